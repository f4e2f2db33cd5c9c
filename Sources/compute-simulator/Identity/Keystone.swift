/// The identity API v3, as much of it as the compute clients and a token-checking proxy use.
///
/// - Shape: also answers the image and network APIs under `/image` and `/network`, so that one address is
///   enough.
/// - Source: identity API v3 reference; error bodies as Keystone spaces them.
struct Keystone {
    let cloud: Cloud
    /// The compute endpoint that catalogs name; `%(project_id)s` in it stands for the token's project.
    let computeURL: String

    /// The answer to `request`, complete with its fields.
    func answer(_ request: Request, now: Moment) -> Response {
        cloud.advance(to: now)
        let path = Nova.normalPath(request.path).segments
        let isHead = request.method == "HEAD"
        var asked = request
        if isHead { asked.method = "GET" }
        let response: Response
        switch path.first {
        case "image": response = ImageService(cloud: cloud).answer(asked, Array(path.dropFirst()), now: now)
        case "network":
            response = NetworkService(cloud: cloud).answer(asked, Array(path.dropFirst()), now: now)
        default:
            do { response = try identity(asked, path, now: now) } catch {
                response = Self.refuse(error, base: LinkBase(request).text)
            }
        }
        var whole = response
        if whole.value("Content-Type") == nil { whole.fields.append(("Content-Type", "application/json")) }
        if whole.status != 204 { whole.fields.append(("Content-Length", String(whole.content.count))) }
        whole.fields.append(("Vary", "X-Auth-Token"))
        whole.fields.append(("x-openstack-request-id", cloud.ids.requestID()))
        return whole
    }

    /// A refusal by Keystone: status and message.
    struct Refusal: Error, Equatable {
        var status: Int
        var message: String

        static let unauthorized = Refusal(
            status: 401, message: "The request you have made requires authentication.")
        static func notFound(_ message: String) -> Refusal { Refusal(status: 404, message: message) }
        static func badRequest(_ message: String) -> Refusal { Refusal(status: 400, message: message) }
        static func forbidden(_ rule: String) -> Refusal {
            Refusal(
                status: 403,
                message: "You are not authorized to perform the requested action: identity:\(rule).")
        }
    }

    /// The body of a refusal, spaced as Keystone spaces it: not at all, with a line feed after it.
    static func refusalContent(_ status: Int, _ message: String) -> [UInt8] {
        let text = String(decoding: JSONWriter.value(.string(message)), as: UTF8.self)
        let title = Phrases.phrase(status)
        return Array(
            "{\"error\":{\"code\":\(status),\"message\":\(text),\"title\":\"\(title)\"}}\n".utf8)
    }

    private static func refuse(_ refusal: Refusal, base: String) -> Response {
        var response = Response(
            refusal.status, content: refusalContent(refusal.status, refusal.message))
        if refusal.status == 401 {
            response.fields.append(("WWW-Authenticate", "Keystone uri=\"\(base)/v3\""))
        }
        return response
    }

    private func identity(_ request: Request, _ path: [String], now: Moment) throws(Refusal) -> Response {
        let base = LinkBase(request).text
        if path.isEmpty {
            return .json(300) { writer in
                writer.member("versions") { versions in
                    versions.list("values") { values in values.object { Self.writeVersion(&$0, base) } }
                }
            }
        }
        guard path[0] == "v3" else { throw .notFound("The resource could not be found.") }
        if path.count == 1 {
            return .json { writer in writer.member("version") { Self.writeVersion(&$0, base) } }
        }
        switch (request.method, path.dropFirst().joined(separator: "/")) {
        case ("POST", "auth/tokens"): return try TokenIssue(keystone: self, now: now).answer(request)
        case ("GET", "auth/tokens"): return try validate(request, now: now)
        case ("DELETE", "auth/tokens"): return try revoke(request, now: now)
        default: return try resources(request, Array(path.dropFirst()), base, now: now)
        }
    }

    private static func writeVersion(_ writer: inout JSONWriter, _ base: String) {
        writer.member("id", "v3.14")
        writer.member("status", "stable")
        writer.member("updated", "2020-04-07T00:00:00Z")
        writer.list("links") { links in
            links.object { link in
                link.member("rel", "self")
                link.member("href", base + "/v3/")
            }
        }
        writer.list("media-types") { types in
            types.object { type in
                type.member("base", "application/json")
                type.member("type", "application/vnd.openstack.identity-v3+json")
            }
        }
    }

    /// The token that makes the request; 401 when it is missing or no longer good.
    func caller(_ request: Request, now: Moment) throws(Refusal) -> Token {
        guard let text = request.value("x-auth-token"), let token = cloud.validToken(text, at: now) else {
            throw .unauthorized
        }
        return token
    }

    /// The token that `X-Subject-Token` names.
    ///
    /// - Errors: 404 in Keystone's words, whatever is wrong with it.
    private func subject(
        _ request: Request, now: Moment, mayBeExpired: Bool = false
    ) throws(Refusal) -> Token {
        guard let text = request.value("x-subject-token"), !text.isEmpty else {
            throw .notFound("No token in the request")
        }
        guard let token = cloud.tokens[text] else { throw .notFound("Could not recognize Fernet token") }
        guard token.isValid(at: now) || (mayBeExpired && token.isWithinWindow(at: now)) else {
            throw .notFound("Failed to validate token")
        }
        return token
    }

    /// `GET /v3/auth/tokens`: what the subject token stands for.
    ///
    /// - Shape: the order of Keystone: who asks, whether it may, then the subject; a token with access rules is
    ///   known only to those who say that they understand them.
    private func validate(_ request: Request, now: Moment) throws(Refusal) -> Response {
        let caller = try caller(request, now: now)
        guard
            caller.isAdmin || caller.roles.contains("service")
                || caller.id == request.value("x-subject-token")
        else { throw .forbidden("validate_token") }
        let query = Text.queryPairs(request.query) ?? []
        let mayBeExpired = query.contains {
            $0.name == "allow_expired"
                && ["1", "t", "true", "on", "y", "yes"].contains($0.value.lowercased())
        }
        let token = try subject(request, now: now, mayBeExpired: mayBeExpired)
        if token.credential?.accessRules != nil {
            guard let version = request.value("openstack-identity-access-rules").flatMap(Double.init),
                version >= 1
            else { throw .notFound("Failed to validate token") }
        }
        return tokenResponse(token, 200, hasCatalog: !query.contains { $0.name == "nocatalog" }, request)
    }

    private func revoke(_ request: Request, now: Moment) throws(Refusal) -> Response {
        let caller = try caller(request, now: now)
        guard caller.isAdmin || caller.id == request.value("x-subject-token") else {
            throw .forbidden("revoke_token")
        }
        cloud.tokens[try subject(request, now: now).id]?.isRevoked = true
        return Response(204)
    }

    // MARK: - Projects, users, roles

    private func resources(
        _ request: Request, _ path: [String], _ base: String, now: Moment
    ) throws(Refusal) -> Response {
        let caller = try caller(request, now: now)
        guard request.method == "GET" else { throw .notFound("The resource could not be found.") }
        let query = Text.queryPairs(request.query) ?? []
        let name = query.first { $0.name == "name" }?.value
        let own = cloud.users[caller.user]?.roles.keys.sorted() ?? []
        switch (path[0], path.count) {
        case ("projects", 1):
            let projects = cloud.projects.values.filter { name == nil || $0.name == name }.sorted {
                $0.id < $1.id
            }
            return list("projects", base) { for project in projects { write(&$0, project, base) } }
        case ("auth", 2) where path[1] == "projects", ("users", 3) where path[2] == "projects":
            let projects = own.compactMap { cloud.projects[$0] }
            return list("projects", base) { for project in projects { write(&$0, project, base) } }
        case ("auth", 2) where path[1] == "catalog":
            return .json { writer in
                writer.list("catalog") {
                    writeCatalog(&$0, project: caller.project ?? "", base: LinkBase(request))
                }
            }
        case ("projects", 2):
            guard caller.isAdmin || caller.project == path[1] else { throw .forbidden("get_project") }
            guard let project = cloud.projects[path[1]] else {
                throw .notFound("Could not find project: \(path[1]).")
            }
            return .json { writer in writer.member("project") { members(&$0, project, base) } }
        case ("users", 1):
            let users = cloud.users.values.filter { name == nil || $0.name == name }.sorted { $0.id < $1.id }
            return list("users", base) { items in
                for user in users { items.object { members(&$0, user, base) } }
            }
        case ("users", 2):
            guard let user = cloud.users[path[1]] else { throw .notFound("Could not find user: \(path[1]).") }
            return .json { writer in writer.member("user") { members(&$0, user, base) } }
        case ("roles", 1):
            return list("roles", base) { items in
                for role in ["admin", "manager", "member", "reader", "service"]
                where name == nil || role == name {
                    items.object { item in
                        item.member("id", Seed.compactID("role " + role))
                        item.member("name", role)
                    }
                }
            }
        case ("domains", 1), ("domains", 2):
            return list("domains", base) { items in
                items.object { item in
                    item.member("id", "default")
                    item.member("name", "Default")
                    item.member("enabled", true)
                }
            }
        default: throw .notFound("The resource could not be found.")
        }
    }

    private func list(_ name: String, _ base: String, _ body: (inout JSONWriter) -> Void) -> Response {
        .json { writer in
            writer.list(name, body)
            writer.member("links") { links in
                links.member("next", .null)
                links.member("self", base + "/v3/" + name)
                links.member("previous", .null)
            }
        }
    }

    private func write(_ writer: inout JSONWriter, _ project: Project, _ base: String) {
        writer.object { members(&$0, project, base) }
    }

    private func members(_ writer: inout JSONWriter, _ project: Project, _ base: String) {
        writer.member("id", project.id)
        writer.member("name", project.name)
        writer.member("domain_id", "default")
        writer.member("description", "")
        writer.member("enabled", true)
        writer.member("parent_id", "default")
        writer.member("is_domain", false)
        writer.member("links") { $0.member("self", base + "/v3/projects/" + project.id) }
    }

    private func members(_ writer: inout JSONWriter, _ user: User, _ base: String) {
        writer.member("id", user.id)
        writer.member("name", user.name)
        writer.member("domain_id", "default")
        writer.member("enabled", true)
        writer.member("links") { $0.member("self", base + "/v3/users/" + user.id) }
    }
}
