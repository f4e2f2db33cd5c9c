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
            do { response = try identity(asked, path, now: now) } catch { response = Self.refuse(error) }
        }
        var whole = response
        if whole.value("Content-Type") == nil { whole.fields.append(("Content-Type", "application/json")) }
        whole.fields.append(("Content-Length", String(whole.content.count)))
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
    }

    private static func refuse(_ refusal: Refusal) -> Response {
        var response = Response.json(refusal.status) { writer in
            writer.member("error") { error in
                error.member("code", refusal.status)
                error.member("message", refusal.message)
                error.member("title", Phrases.phrase(refusal.status))
            }
        }
        if refusal.status == 401 { response.fields.append(("WWW-Authenticate", "Keystone uri=\"/v3\"")) }
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
        case ("DELETE", "auth/tokens"):
            let caller = try caller(request, now: now)
            guard let subject = request.value("x-subject-token"), cloud.validToken(subject, at: now) != nil
            else {
                throw .notFound("Failed to validate token")
            }
            guard subject == caller.id || caller.isAdmin else {
                throw Refusal(status: 403, message: "You are not authorized to perform the requested action.")
            }
            cloud.tokens[subject]?.isRevoked = true
            return Response(204)
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

    /// `GET /v3/auth/tokens`: what the subject token stands for.
    private func validate(_ request: Request, now: Moment) throws(Refusal) -> Response {
        let caller = try caller(request, now: now)
        let query = Text.queryPairs(request.query) ?? []
        guard let subject = request.value("x-subject-token"), let token = cloud.tokens[subject],
            !token.isRevoked
        else { throw .notFound("Failed to validate token") }
        // Expired tokens can be fetched for two days more (Keystone's allow_expired_window).
        let mayBeExpired = query.contains { $0.name == "allow_expired" && $0.value != "0" }
        guard token.isValid(at: now) || (mayBeExpired && now < token.expires.adding(seconds: 172_800)) else {
            throw .notFound("Failed to validate token")
        }
        guard caller.id == subject || caller.isAdmin || caller.roles.contains("service") else {
            throw Refusal(
                status: 403,
                message: "You are not authorized to perform the requested action: identity:validate_token.")
        }
        return tokenResponse(token, 200, hasCatalog: !query.contains { $0.name == "nocatalog" }, request)
    }

    // MARK: - Bodies

    func tokenResponse(_ token: Token, _ status: Int, hasCatalog: Bool, _ request: Request) -> Response {
        var response = Response.json(status) { writer in
            writer.member("token") { writeToken(&$0, token, hasCatalog: hasCatalog, base: LinkBase(request)) }
        }
        response.fields = [("X-Subject-Token", token.id)]
        return response
    }

    private static func writeDomain(_ writer: inout JSONWriter) {
        writer.member("domain") { domain in
            domain.member("id", "default")
            domain.member("name", "Default")
        }
    }

    private func writeToken(_ writer: inout JSONWriter, _ token: Token, hasCatalog: Bool, base: LinkBase) {
        writer.member("methods", strings: token.methods)
        writer.member("user") { user in
            Self.writeDomain(&user)
            user.member("id", token.user)
            user.member("name", cloud.users[token.user]?.name ?? token.user)
            user.member("password_expires_at", .null)
        }
        writer.member("audit_ids", strings: [token.auditID])
        writer.member("expires_at", token.expires.tokenText)
        writer.member("issued_at", token.issued.tokenText)
        guard let project = token.project else { return }
        writer.member("project") { item in
            Self.writeDomain(&item)
            item.member("id", project)
            item.member("name", cloud.projects[project]?.name ?? project)
        }
        writer.member("is_domain", false)
        writer.list("roles") { roles in
            for name in token.roles {
                roles.object { role in
                    role.member("id", Seed.compactID("role " + name))
                    role.member("name", name)
                }
            }
        }
        if hasCatalog { writer.list("catalog") { writeCatalog(&$0, project: project, base: base) } }
    }

    func writeCatalog(_ writer: inout JSONWriter, project: String, base: LinkBase) {
        let compute = computeURL.replacing("%(project_id)s", with: project).replacing(
            "$(project_id)s", with: project)
        let services = [
            ("nova", "compute", compute), ("keystone", "identity", base.text + "/v3"),
            ("glance", "image", base.text + "/image"), ("neutron", "network", base.text + "/network"),
        ]
        for (name, type, address) in services {
            writer.object { service in
                service.list("endpoints") { endpoints in
                    for interface in ["public", "internal", "admin"] {
                        endpoints.object { endpoint in
                            endpoint.member("id", Seed.compactID("endpoint \(interface) \(type)"))
                            endpoint.member("interface", interface)
                            endpoint.member("region_id", "RegionOne")
                            endpoint.member("url", address)
                            endpoint.member("region", "RegionOne")
                        }
                    }
                }
                service.member("id", Seed.compactID("service " + type))
                service.member("type", type)
                service.member("name", name)
            }
        }
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
