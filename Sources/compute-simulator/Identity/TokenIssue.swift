/// `POST /v3/auth/tokens`: who asks, and for which project.
struct TokenIssue {
    let keystone: Keystone
    let now: Moment

    private var cloud: Cloud { keystone.cloud }

    func answer(_ request: Request) throws(Keystone.Refusal) -> Response {
        guard let auth = JSONParser.read(request.content)?["auth"] else {
            throw Self.missing("auth", "request body")
        }
        guard let identity = auth["identity"], let methods = identity["methods"]?.array?.compactMap(\.string),
            let method = methods.first
        else { throw Self.missing("identity", "auth") }
        let user: User
        var scope = Token.Scope.unscoped
        var (expires, credential): (Moment?, ApplicationCredential?)
        switch method {
        case "password": user = try passwordUser(identity)
        case "token":
            // A token asked with a token ends with it, and stays in its project only when the scope says so
            // again.
            let old = try oldToken(identity)
            guard let known = cloud.users[old.user] else { throw .unauthorized }
            (user, expires) = (known, old.expires)
        case "application_credential":
            guard auth["scope"] == nil else {
                throw Keystone.Refusal(
                    status: 401,
                    message: "Error authenticating with application credential: Application credentials "
                        + "cannot request a scope.")
            }
            let (owner, found) = try credentialUser(identity)
            (user, scope, credential) = (owner, .project(found.project), found)
        default: throw .unauthorized
        }
        if let asked = auth["scope"] { scope = try self.scope(asked) }
        let token = cloud.issue(
            user: user.id, scope: scope, roles: try roles(of: user, scope), methods: methods, now: now,
            expires: expires, credential: credential)
        let query = Text.queryPairs(request.query) ?? []
        return keystone.tokenResponse(
            token, 201, hasCatalog: !query.contains { $0.name == "nocatalog" }, request)
    }

    private static func missing(_ name: String, _ place: String) -> Keystone.Refusal {
        .badRequest(
            "Expecting to find \(name) in \(place). The server could not comply with the request since it is "
                + "either malformed or otherwise incorrect. The client is assumed to be in error.")
    }

    /// What the user may do in `scope`; 401 when that is nothing.
    private func roles(of user: User, _ scope: Token.Scope) throws(Keystone.Refusal) -> [String] {
        let held: [String]
        switch scope {
        case .unscoped: return []
        case .project(let id): held = user.roles[id] ?? []
        case .domain: held = user.domainRoles
        case .system: held = user.systemRoles
        }
        guard !held.isEmpty else { throw .unauthorized }
        return held
    }

    private func find(_ user: JSONValue?) throws(Keystone.Refusal) -> User {
        guard let user else { throw Self.missing("user", "password") }
        if let id = user["id"]?.string {
            guard let known = cloud.users[id] else { throw .unauthorized }
            return known
        }
        guard let name = user["name"]?.string, isDefault(user["domain"]), let known = cloud.user(named: name)
        else {
            throw .unauthorized
        }
        return known
    }

    private func isDefault(_ domain: JSONValue?) -> Bool {
        domain?["id"]?.string == "default" || domain?["name"]?.string == "Default"
    }

    private func passwordUser(_ identity: JSONValue) throws(Keystone.Refusal) -> User {
        let given = identity["password"]?["user"]
        let user = try find(given)
        guard given?["password"]?.string == user.password else { throw .unauthorized }
        return user
    }

    private func oldToken(_ identity: JSONValue) throws(Keystone.Refusal) -> Token {
        guard let text = identity["token"]?["id"]?.string, let token = cloud.validToken(text, at: now) else {
            throw .unauthorized
        }
        return token
    }

    private func credentialUser(
        _ identity: JSONValue
    ) throws(Keystone.Refusal) -> (User, ApplicationCredential) {
        guard let given = identity["application_credential"] else {
            throw Self.missing("application_credential", "identity")
        }
        let id = given["id"]?.string
        let users = given["user"] == nil ? Array(cloud.users.values) : [try find(given["user"])]
        for user in users {
            for credential in user.credentials {
                let isMeant =
                    id.map { credential.id == $0 }
                    ?? (given["user"] != nil && credential.name == given["name"]?.string)
                guard isMeant else { continue }
                guard credential.secret == given["secret"]?.string else { throw .unauthorized }
                return (user, credential)
            }
        }
        throw .unauthorized
    }

    private func scope(_ asked: JSONValue) throws(Keystone.Refusal) -> Token.Scope {
        if asked["system"]?["all"]?.bool == true { return .system }
        if let domain = asked["domain"] {
            guard isDefault(domain) else { throw .unauthorized }
            return .domain
        }
        guard let project = asked["project"] else { return .unscoped }
        if let id = project["id"]?.string {
            guard cloud.projects[id] != nil else { throw .unauthorized }
            return .project(id)
        }
        guard let name = project["name"]?.string, isDefault(project["domain"]),
            let found = cloud.project(named: name)
        else { throw .unauthorized }
        return .project(found.id)
    }
}
