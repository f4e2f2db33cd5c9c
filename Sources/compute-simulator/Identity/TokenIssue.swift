/// `POST /v3/auth/tokens`: who asks, and for which project.
struct TokenIssue {
    let keystone: Keystone
    let now: Moment

    private var cloud: Cloud { keystone.cloud }

    func answer(_ request: Request) throws(Keystone.Refusal) -> Response {
        guard let auth = JSONParser.read(request.content)?["auth"], let identity = auth["identity"],
            let methods = identity["methods"]?.array?.compactMap(\.string), let method = methods.first
        else {
            throw .badRequest(
                "Expecting to find identity in auth. The server could not comply with the request.")
        }
        let user: User
        var project: String?
        switch method {
        case "password": user = try passwordUser(identity)
        case "token": (user, project) = try tokenUser(identity)
        case "application_credential": (user, project) = try credentialUser(identity)
        default: throw .unauthorized
        }
        if let scope = auth["scope"], method != "application_credential" {
            project = try scopedProject(scope)
        } else if method == "token" {
            // A token asked with a token stays in its project only when the scope says so again.
            project = nil
        }
        var roles: [String] = []
        if let project {
            guard let held = user.roles[project] else { throw .unauthorized }
            roles = held
        }
        let token = cloud.issue(user: user.id, project: project, roles: roles, methods: methods, now: now)
        let query = Text.queryPairs(request.query) ?? []
        return keystone.tokenResponse(
            token, 201, hasCatalog: !query.contains { $0.name == "nocatalog" }, request)
    }

    private func find(_ user: JSONValue?) throws(Keystone.Refusal) -> User {
        guard let user else { throw .badRequest("Expecting to find user in password.") }
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

    private func tokenUser(_ identity: JSONValue) throws(Keystone.Refusal) -> (User, String?) {
        guard let text = identity["token"]?["id"]?.string, let token = cloud.validToken(text, at: now),
            let user = cloud.users[token.user]
        else { throw .unauthorized }
        return (user, token.project)
    }

    private func credentialUser(_ identity: JSONValue) throws(Keystone.Refusal) -> (User, String?) {
        guard let given = identity["application_credential"] else {
            throw .badRequest("Expecting to find application_credential.")
        }
        let users = given["user"] == nil ? Array(cloud.users.values) : [try find(given["user"])]
        for user in users {
            for credential in user.credentials {
                let isNamed = given["user"] != nil && credential.name == given["name"]?.string
                guard credential.id == given["id"]?.string || isNamed else { continue }
                guard credential.secret == given["secret"]?.string else { throw .unauthorized }
                return (user, credential.project)
            }
        }
        throw .unauthorized
    }

    private func scopedProject(_ scope: JSONValue) throws(Keystone.Refusal) -> String? {
        guard let asked = scope["project"] else { return nil }
        if let id = asked["id"]?.string {
            guard cloud.projects[id] != nil else { throw .unauthorized }
            return id
        }
        guard let name = asked["name"]?.string, isDefault(asked["domain"]),
            let project = cloud.project(named: name)
        else { throw .unauthorized }
        return project.id
    }
}
