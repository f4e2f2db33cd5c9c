internal import Bytes
internal import Logging
internal import Loop
internal import TLS

/// What all loops share of one Keystone: its judgements and our own token.
///
/// - Shape: outlives a reload that leaves `identity` as it is, so that no token is asked about again for it.
final class Keystone: Sendable {
    let settings: Settings.Keystone
    let adminRoles: [String]
    let addresses: [SocketAddress]
    let digester = TokenDigester()
    let judgements: IdentityCache
    let ownToken = Guarded(OwnToken())
    /// Until when Keystone wants to be left alone, in monotonic nanoseconds.
    let pausedUntil = Guarded<UInt64>(0)
    /// `/v3/auth/tokens?nocatalog`, `Host` and what else is the same in every request.
    let tokensTarget: Content
    let projectsTarget: Content
    let commonFields: Content
    /// The content of the request for a token of our own; never logged.
    let credential: Content
    let publicURL: Content
    private let troubled = Guarded(false)
    private let log = Logger(label: "gatehouse.identity")

    init(_ settings: Settings.Keystone, adminRoles: [String], addresses: [SocketAddress]) {
        self.settings = settings
        self.adminRoles = adminRoles
        self.addresses = addresses
        judgements = IdentityCache(
            maxCount: settings.cache.maxTokenCount,
            times: JudgementTimes(
                maxAge: settings.cache.maxAge.nanoseconds,
                negativeMaxAge: settings.cache.negativeMaxAge.nanoseconds,
                staleMaxAge: settings.cache.staleMaxAge.nanoseconds))
        tokensTarget = Content(text: "\(settings.path)/auth/tokens?nocatalog")
        projectsTarget = Content(text: "\(settings.path)/projects/")
        commonFields = Content(
            text: "Host: \(settings.endpoint.address)\r\nAccept: application/json\r\n"
                + "User-Agent: gatehouse/\(Version.text)\r\n")
        credential = Content(text: settings.credential.requestContent)
        publicURL = Content(text: settings.publicURL)
    }

    /// Whether this is what the settings still say.
    func serves(_ settings: Settings.Keystone, adminRoles: [String], addresses: [SocketAddress]) -> Bool {
        self.settings == settings && self.adminRoles == adminRoles && self.addresses == addresses
    }

    /// Notes how Keystone is; each change is one log line, whichever loop sees it.
    func note(trouble reason: String?) {
        let changed = troubled.withLock { troubled in
            defer { troubled = reason != nil }
            return troubled != (reason != nil)
        }
        guard changed else { return }
        if let reason {
            log.error(
                "Keystone cannot be used",
                metadata: ["url": "\(settings.endpoint.url)\(settings.path)", "reason": "\(reason)"])
        } else {
            log.notice(
                "Keystone answers again", metadata: ["url": "\(settings.endpoint.url)\(settings.path)"])
        }
    }
}

/// How one loop asks Keystone; its connections are its own.
final class KeystoneClient {
    let shared: Keystone
    /// Of `shared`, which each request asks without counting a reference for it.
    let digester: Unmanaged<TokenDigester>
    let judgements: Unmanaged<IdentityCache>
    let pool: UpstreamPool
    /// Until when reads with a known token do not wait: a question had no answer of use, or took too long.
    var troubledUntil: UInt64 = 0
    static let troubleNanoseconds: UInt64 = 5_000_000_000
    /// Questions that wait for a token of our own.
    var waiting: [Question] = []

    /// - Errors: `TLSFault` when the certificates that the settings name cannot be loaded.
    init(_ shared: Keystone) throws(TLSFault) {
        self.shared = shared
        digester = .passUnretained(shared.digester)
        judgements = .passUnretained(shared.judgements)
        let settings = shared.settings
        var upstream = Settings.Upstream(endpoints: [settings.endpoint])
        upstream.connectTimeout = settings.connectTimeout
        upstream.responseTimeout = settings.responseTimeout
        upstream.progressTimeout = settings.responseTimeout
        upstream.maxConnectionCount = settings.maxConnectionCount
        upstream.maxIdleConnectionCount = settings.maxConnectionCount
        // Short, since every answer waits for it: a Keystone that is back shall be seen within seconds.
        upstream.ejection.maxTime = .seconds(4)
        let endpoint = Endpoint(
            url: settings.endpoint.url, addresses: shared.addresses,
            serverName: settings.tls?.serverName ?? settings.endpoint.address.host)
        var context: TLSContext?
        if let tls = settings.tls { context = try tls.makeContext(offersHTTP2: false) }
        pool = UpstreamPool(upstream, endpoints: [endpoint], tls: context)
    }
}

/// Something to ask Keystone.
final class Question {
    enum Subject {
        case token(Content, allowsExpired: Bool)
        case project(Content)
    }

    let digest: TokenDigest
    let subject: Subject
    /// What its address was charged with; nil for what is known already.
    let charge: BadTokens.Charge?
    /// Our own token was refused once already.
    var isRepeated = false

    init(_ digest: TokenDigest, _ subject: Subject, charge: BadTokens.Charge?) {
        self.digest = digest
        self.subject = subject
        self.charge = charge
    }
}
