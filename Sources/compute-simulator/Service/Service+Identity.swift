import HTTP
import Loop

// The control listener's part for the identity service: users with their credentials, and tokens of any kind.

extension Service {
    /// Why a control request cannot be done.
    struct Mistake: Error { var text: String }

    /// `GET /identity`: requests and answers by kind, how many tokens were validated and how many there are.
    func identityCounts() -> Response {
        .json { writer in
            log.identity.write(&writer)
            writer.member("tokens", cloud.tokens.count)
        }
    }

    /// `PUT /settings`: `{"transition_seconds": n, "token_seconds": n}`, either or both.
    func takeSettings(_ request: Request) throws(Mistake) -> Response {
        let body = JSONParser.read(request.content)
        let transition = try Self.seconds(body, "transition_seconds", from: 0)
        let token = try Self.seconds(body, "token_seconds", from: 0.001)
        guard transition != nil || token != nil else {
            throw Mistake(text: "\"transition_seconds\" or \"token_seconds\" is expected")
        }
        if let transition { cloud.transitionSeconds = transition }
        if let token { cloud.tokenSeconds = token }
        return Response(204)
    }

    private static func seconds(
        _ body: JSONValue?, _ name: String, from least: Double
    ) throws(Mistake) -> Double? {
        guard let value = body?[name] else { return nil }
        guard let number = value.double, number >= least, number <= Seed.secondsLimit else {
            throw Mistake(text: "\"\(name)\" is a number from \(least) to \(Int(Seed.secondsLimit))")
        }
        return number
    }

    /// `POST /users`: a user, or more roles and credentials for one that is there.
    ///
    /// - Shape: `{"name", "password", "roles": {PROJECT: [ROLE]}, "domain_roles": [ROLE], "system_roles": [ROLE],
    ///   "credentials": [{"id", "name", "secret", "project", "access_rules": [{"service", "method", "path"}]}]}`;
    ///   a project is an id or a name, and made when it is not known.
    func addUser(_ request: Request, now: Moment) throws(Mistake) -> Response {
        guard let body = JSONParser.read(request.content), let name = body["name"]?.string, !name.isEmpty
        else { throw Mistake(text: "\"name\" is the user's name") }
        let id = Seed.userID(name)
        var user = cloud.users[id] ?? User(id: id, name: name, password: "secret")
        if let password = body["password"]?.string { user.password = password }
        for (project, roles) in body["roles"]?.members ?? [] {
            user.roles[makeProject(project)] = try Self.strings(roles, "roles")
        }
        if let roles = body["domain_roles"] { user.domainRoles = try Self.strings(roles, "domain_roles") }
        if let roles = body["system_roles"] { user.systemRoles = try Self.strings(roles, "system_roles") }
        for item in body["credentials"]?.array ?? [] {
            guard let id = item["id"]?.string, let secret = item["secret"]?.string,
                let project = item["project"]?.string
            else { throw Mistake(text: "a credential has id, secret and project") }
            user.credentials.removeAll { $0.id == id }
            user.credentials.append(
                ApplicationCredential(
                    id: id, name: item["name"]?.string ?? id, secret: secret, project: makeProject(project),
                    accessRules: try Self.accessRules(item["access_rules"])))
        }
        cloud.users[id] = user
        return .json { $0.member("id", id) }
    }

    /// `POST /tokens`: a list of tokens, each of any kind.
    ///
    /// - Shape: `[{"token": TEXT, "user": NAME, "project": PROJECT | "domain": true | "system": true,
    ///   "roles": [ROLE], "expires_in": SECONDS, "access_rules": [...]}]`; without a text it gets one, without a
    ///   user it is `demo`, without a scope it has none; `expires_in` may be negative.
    /// - Limits: a list of 1,000.
    func addTokens(_ request: Request, now: Moment) throws(Mistake) -> Response {
        guard let items = JSONParser.read(request.content)?.array, items.count <= 1000 else {
            throw Mistake(text: "a list of at most 1000 tokens is expected")
        }
        var made: [Token] = []
        for item in items { made.append(try addToken(item, now: now)) }
        return .json { writer in
            writer.list("tokens") { list in
                for token in made {
                    list.object { member in
                        member.member("token", token.id)
                        member.member("user", token.user)
                        member.member("project", token.project)
                        member.member("expires_at", token.expires.tokenText)
                    }
                }
            }
        }
    }

    private func addToken(_ item: JSONValue, now: Moment) throws(Mistake) -> Token {
        let name = item["user"]?.string ?? "demo"
        let user = Seed.userID(name)
        if cloud.users[user] == nil { Seed.addUser(cloud, name, roles: [:]) }
        let scope: Token.Scope
        if let project = item["project"]?.string {
            scope = .project(makeProject(project))
        } else if item["domain"]?.bool == true {
            scope = .domain
        } else {
            scope = item["system"]?.bool == true ? .system : .unscoped
        }
        let roles = try item["roles"].map { value throws(Mistake) in try Self.strings(value, "roles") }
        let seconds = item["expires_in"]?.double ?? cloud.tokenSeconds
        guard abs(seconds) <= Seed.secondsLimit else {
            throw Mistake(text: "\"expires_in\" is at most \(Int(Seed.secondsLimit)) seconds away")
        }
        let rules = try Self.accessRules(item["access_rules"])
        let credential = rules.map {
            ApplicationCredential(
                id: Seed.compactID("credential " + name), name: name, secret: "", project: "",
                accessRules: $0)
        }
        // One that has ended was issued before that.
        let issued = seconds > 0 ? now : now.adding(seconds: seconds - cloud.tokenSeconds)
        var token = cloud.issue(
            user: user, scope: scope, roles: roles ?? (scope == .unscoped ? [] : ["member"]),
            methods: [credential == nil ? "password" : "application_credential"], now: now,
            expires: now.adding(seconds: seconds), id: item["token"]?.string, credential: credential)
        token.issued = issued
        cloud.tokens[token.id] = token
        return token
    }

    /// The id of a project given by id or name; one that is not known is made, without servers.
    private func makeProject(_ text: String) -> String {
        if cloud.projects[text] != nil { return text }
        if let known = cloud.project(named: text) { return known.id }
        let id = Seed.isProjectID(text) ? text : Seed.compactID("project " + text)
        cloud.projects[id] = Project(id: id, name: text)
        return id
    }

    private static func strings(_ value: JSONValue, _ name: String) throws(Mistake) -> [String] {
        guard let items = value.array else { throw Mistake(text: "\"\(name)\" is a list of strings") }
        let texts = items.compactMap(\.string)
        guard texts.count == items.count else { throw Mistake(text: "\"\(name)\" is a list of strings") }
        return texts
    }

    private static func accessRules(_ value: JSONValue?) throws(Mistake) -> [AccessRule]? {
        guard let value else { return nil }
        var rules: [AccessRule] = []
        for item in value.array ?? [.null] {
            guard let service = item["service"]?.string, let method = item["method"]?.string,
                let path = item["path"]?.string
            else { throw Mistake(text: "an access rule has service, method and path") }
            rules.append(AccessRule(service: service, method: method, path: path))
        }
        return rules
    }
}
