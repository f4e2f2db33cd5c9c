/// Everything the simulated cloud knows: projects, users, tokens, servers and what belongs to them.
///
/// - Shape: one instance, used from one loop only; time comes in as an argument, so tests drive it by hand.
/// - Limits: `deletedCount` deleted servers are remembered per project, for markers and `changes-since`.
final class Cloud {
    /// How long a build, a deletion or an action takes.
    var transitionSeconds: Double
    /// The largest page of a list (Nova's `max_limit`).
    var maximumPage = 1000
    /// How long a token that is asked for with a password or a credential is good.
    var tokenSeconds: Double = 3600
    static let tokenLimit = 200_000
    let deletedCount = 500

    var ids = Ids()
    var projects: [String: Project] = [:]
    var users: [String: User] = [:]
    var tokens: [String: Token] = [:]
    var flavors: [Flavor] = []
    var images: [Image] = []
    var networks: [Network] = []
    var keypairs: [String: [Keypair]] = [:]
    var serverGroups: [ServerGroup] = []
    private(set) var servers: [String: Server] = [:]
    /// Servers of each project, the newest first, deleted ones included.
    private(set) var serversByProject: [String: [Server]] = [:]
    private var busy: [Server] = []
    private var serverNumber = 0
    private var keypairNumber = 0

    init(transitionSeconds: Double = 1) { self.transitionSeconds = transitionSeconds }

    // MARK: - Time

    /// Finishes all work that was due by `now`.
    func advance(to now: Moment) {
        guard busy.contains(where: { $0.pending.map { $0.due <= now } ?? true }) else { return }
        for server in busy { finish(server, now) }
        busy.removeAll { $0.pending == nil }
    }

    private func finish(_ server: Server, _ now: Moment) {
        guard let pending = server.pending, pending.due <= now else { return }
        server.pending = nil
        server.taskState = nil
        server.vmState = pending.vmState
        server.powerState = pending.powerState
        server.updated = pending.due
        if !server.actions.isEmpty { server.actions[0].finish = pending.due }
        switch pending.effect {
        case .none: break
        case .launch: server.launched = pending.due
        case .removal:
            server.isDeleted = true
            server.terminated = pending.due
            forgetOldest(of: server.project)
        case .softRemoval: server.terminated = pending.due
        case .takeFlavor: break
        case .dropOldFlavor: server.previousFlavor = nil
        case .restoreOldFlavor:
            if let old = server.previousFlavor { server.flavor = old }
            server.previousFlavor = nil
        }
    }

    private func forgetOldest(of project: String) {
        let deleted = serversByProject[project, default: []].filter(\.isDeleted)
        guard deleted.count > deletedCount, let oldest = deleted.last else { return }
        serversByProject[project]?.removeAll { $0 === oldest }
        servers[oldest.id] = nil
    }

    /// Starts work on `server`: the task is visible at once, the end state after `transitionSeconds`.
    func start(
        _ task: String, on server: Server, endsIn vmState: String, power: Int, effect: Server.Effect = .none,
        now: Moment
    ) {
        server.taskState = task
        server.updated = now
        let due = now.adding(seconds: transitionSeconds)
        server.pending = Server.Pending(due: due, vmState: vmState, powerState: power, effect: effect)
        if !busy.contains(where: { $0 === server }) { busy.append(server) }
        advance(to: now)
    }

    // MARK: - Servers

    /// Makes a server that is still building; the caller starts the work.
    func addServer(
        name: String, project: String, user: String, flavor: String, image: String?, created: Moment,
        id: String? = nil
    ) -> Server {
        serverNumber += 1
        let server = Server(
            id: id ?? ids.uuid(), project: project, user: user, created: created, number: serverNumber,
            name: name,
            flavor: flavor, image: image)
        servers[server.id] = server
        serversByProject[project, default: []].insert(server, at: 0)
        return server
    }

    /// Puts many servers of `project` in at once, the newest first.
    func seed(_ seeded: [Server], project: String) {
        for server in seeded { servers[server.id] = server }
        serversByProject[project] = seeded + serversByProject[project, default: []]
    }

    func nextServerNumber() -> Int {
        serverNumber += 1
        return serverNumber
    }

    func nextKeypairNumber() -> Int {
        keypairNumber += 1
        return keypairNumber
    }

    /// A port with an address for a server on `network`.
    func makeInterface(on network: Network, number: Int, port: String? = nil, address: String? = nil)
        -> Interface
    {
        let mac =
            "fa:16:3e:"
            + [number >> 16, number >> 8, number].map { Text.hexadecimal([UInt8($0 & 255)]) }
            .joined(separator: ":")
        let chosen = address ?? "\(network.prefix).\(number >> 8 & 255).\(number & 255)"
        return Interface(
            port: port ?? ids.uuid(), network: network.id, networkLabel: network.name, subnet: network.subnet,
            mac: mac,
            addresses: [(4, chosen)])
    }

    /// The networks that a project may attach to, its own before shared ones.
    func networks(of project: String) -> [Network] {
        networks.filter { $0.project == project && !$0.isExternal }
            + networks.filter { $0.isShared && !$0.isExternal }
    }

    // MARK: - Identity

    func user(named name: String) -> User? { users.values.first { $0.name == name } }
    func project(named name: String) -> Project? { projects.values.first { $0.name == name } }

    /// The token that the text names, when it is known, not expired and not revoked.
    func validToken(_ text: String, at now: Moment) -> Token? {
        guard let token = tokens[text], token.isValid(at: now) else { return nil }
        return token
    }

    /// Makes a token and keeps it; the one that ended first leaves when there are `tokenLimit`.
    func issue(
        user: String, scope: Token.Scope, roles: [String], methods: [String], now: Moment,
        expires: Moment? = nil, id: String? = nil, credential: ApplicationCredential? = nil
    ) -> Token {
        if tokens.count >= Self.tokenLimit {
            tokens = tokens.filter { $0.value.isWithinWindow(at: now) }
            if tokens.count >= Self.tokenLimit,
                let oldest = tokens.values.min(by: { $0.expires < $1.expires })
            {
                tokens[oldest.id] = nil
            }
        }
        let token = Token(
            id: id ?? ids.token(), user: user, scope: scope, roles: Token.implied(roles), issued: now,
            expires: expires ?? now.adding(seconds: tokenSeconds), methods: methods,
            auditID: String(ids.hex(2).prefix(22)), credential: credential)
        tokens[token.id] = token
        return token
    }
}
