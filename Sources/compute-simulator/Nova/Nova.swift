/// The compute API: takes a request, gives the answer that a real Nova gives.
///
/// - Shape: checks come in Nova's order: size, token, route, microversion, media type, body, project, query,
///   policy,
///   look-up.
/// - Source: facts measured on a running Nova 34.
struct Nova {
    static let contentLimit = 114_688

    let cloud: Cloud
    /// The identity address that a 401 names.
    let identityURL: String
    private let endpoints: [Endpoint]

    init(cloud: Cloud, identityURL: String) {
        self.cloud = cloud
        self.identityURL = identityURL
        endpoints =
            ServerEndpoints.all + ServerPartEndpoints.all + ActionEndpoints.all + AttachmentEndpoints.all
            + FlavorEndpoints.all + KeypairEndpoints.all + ProjectEndpoints.all + AdminEndpoints.all
            + GoneEndpoints.all
    }

    /// The answer to `request`, complete with its fields.
    func answer(_ request: Request, now: Moment) -> Response {
        cloud.advance(to: now)
        if request.method == "OPTIONS" { return Response(200, [("Content-Length", "0")]) }
        let path = Self.normalPath(request.path)
        let base = LinkBase(request)
        if path.segments.isEmpty { return Self.finishPlain(VersionDocuments.all(base)) }
        guard path.segments[0] == "v2" || path.segments[0] == "v2.1" else {
            return Self.finishPlain(VersionDocuments.choices(base, path: path.text))
        }
        let id = cloud.ids.requestID()
        let isLegacy = path.segments[0] == "v2"
        if path.segments.count == 1 {
            do {
                _ = try isLegacy ? 1 : Self.minor(VersionChoice.resolve(request))
                return finish(
                    VersionDocuments.one(base, isLegacy: isLegacy), minor: isLegacy ? nil : "2.1",
                    requestID: id)
            } catch {
                let version = VersionChoice.resolve(request)
                return refuse(error, request, isLegacy: isLegacy, version: version, requestID: id)
            }
        }
        let version = isLegacy ? VersionChoice.minor(1) : VersionChoice.resolve(request)
        do {
            let response = try answer(
                request, path, isLegacy: isLegacy, version: version, requestID: id, now: now)
            return finish(response, minor: isLegacy ? nil : Self.echo(version), requestID: id)
        } catch {
            return refuse(error, request, isLegacy: isLegacy, version: version, requestID: id)
        }
    }

    private func answer(
        _ request: Request, _ path: NormalPath, isLegacy: Bool, version: VersionChoice, requestID: String,
        now: Moment
    ) throws(NovaFault) -> Response {
        guard request.content.count <= Self.contentLimit else {
            throw .webob(413, "Request is too large. Larger than max_request_body_size (%s).")
        }
        let token = try token(request, now: now)
        let base = LinkBase(request)
        guard let route = route(request.method, path) else { throw .noRoute }
        if route.isVersionDocument { return VersionDocuments.one(base, isLegacy: isLegacy) }
        let minor = try Self.minor(version)
        let body = try Self.body(request)
        if let project = route.project, project != token.project {
            throw .badRequest(
                "Malformed request URL: URL's project_id '\(project)' doesn't match Context's project_id "
                    + "'\(token.project ?? "None")'")
        }
        guard let query = Text.queryPairs(request.query) else {
            throw .badRequest("Query string is not UTF-8 encoded")
        }
        guard let (endpoint, parameters) = route.matches.first(where: { $0.0.versions.contains(minor) })
        else {
            throw .notAtThisVersion
        }
        try endpoint.checkNames(query, minor: isLegacy ? 1 : minor)
        guard token.project != nil else { throw .forbidden("servers:index") }
        return try endpoint.answer(
            Call(
                cloud: cloud, request: request, token: token, isLegacy: isLegacy, minor: minor, base: base,
                pathProject: route.project, parameters: parameters, query: query, body: body,
                requestID: requestID,
                now: now))
    }

    /// The one token of the request.
    ///
    /// - Shape: with a service token beside it, that must be good and a service's; then the user's may have
    ///   expired within the last two days.
    /// - Source: keystonemiddleware auth_token, with `service_token_roles_required`.
    private func token(_ request: Request, now: Moment) throws(NovaFault) -> Token {
        var texts = request.values("x-auth-token")
        if texts.isEmpty { texts = request.values("x-storage-token") }
        guard texts.count == 1, let token = cloud.tokens[texts[0]] else { throw .unauthorized }
        guard let service = request.value("x-service-token"), !service.isEmpty else {
            guard token.isValid(at: now) else { throw .unauthorized }
            return token
        }
        guard cloud.validToken(service, at: now)?.roles.contains("service") == true,
            token.isWithinWindow(at: now)
        else { throw .unauthorized }
        return token
    }

    private static func minor(_ version: VersionChoice) throws(NovaFault) -> Int {
        switch version {
        case .minor(let number): return number
        case .outOfRange(let asked):
            let newest = VersionChoice.newestMinor
            throw .nova(
                406,
                "Version \(asked) is not supported by the API. Minimum is 2.1 and maximum is 2.\(newest).")
        case .malformed(let asked):
            throw .badRequest(
                "API Version String \(asked) is of invalid format. Must be of format MajorNum.MinorNum.")
        }
    }

    // MARK: - Routes

    private struct Route {
        var matches: [(Endpoint, [String])] = []
        var project: String?
        var isVersionDocument = false
    }

    /// A path after percent-decoding, empty and dot segments folded, as Nova's router sees it.
    struct NormalPath {
        var segments: [String]
        var endsWithSlash: Bool
        var text: String
    }

    static func normalPath(_ raw: Substring) -> NormalPath {
        let decoded = Text.latin1(Text.percentDecoded(raw))
        var segments: [String] = []
        for segment in decoded.split(separator: "/").map(String.init) where segment != "." {
            if segment == ".." { _ = segments.popLast() } else { segments.append(segment) }
        }
        return NormalPath(
            segments: segments, endsWithSlash: decoded.hasSuffix("/"),
            text: decoded.hasPrefix("/") ? decoded : "/" + decoded)
    }

    private func route(_ method: String, _ path: NormalPath) -> Route? {
        let rest = Array(path.segments.dropFirst())
        guard !path.endsWithSlash else {
            return rest.count == 1 && Self.isProjectShaped(rest[0]) && method == "GET"
                ? Route(project: rest[0], isVersionDocument: true) : nil
        }
        // A first segment that only fits as a project is one; a resource is never made of hexadecimal digits
        // alone.
        let project = rest.count > 1 && Self.isProjectShaped(rest[0]) ? rest[0] : nil
        let wanted = project == nil ? rest : Array(rest.dropFirst())
        var matches: [(Endpoint, [String])] = []
        for endpoint in endpoints where endpoint.method == method {
            if let parameters = endpoint.match(wanted) { matches.append((endpoint, parameters)) }
        }
        guard let first = matches.first else { return nil }
        // Only endpoints of the same path compete by version: `servers/detail` never falls to `servers/{}`.
        return Route(matches: matches.filter { $0.0.segments == first.0.segments }, project: project)
    }

    static func isProjectShaped(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) || $0 == 0x2D }
    }

    /// The body as JSON; nil when there is none.
    private static func body(_ request: Request) throws(NovaFault) -> JSONValue? {
        let type = request.value("content-type")?.split(separator: ";").first.map {
            String($0).trimmed.lowercased()
        }
        switch type {
        case nil, "application/json", "application/vnd.openstack.compute+json", "text/plain": break
        default: throw .nova(415, "Unsupported Content-Type")
        }
        guard !request.content.isEmpty else { return nil }
        guard String(validating: request.content, as: UTF8.self) != nil else {
            throw .nova(
                500, "The server has either erred or is incapable of performing the requested operation.")
        }
        guard let body = JSONParser.read(request.content) else { throw .badRequest("Malformed request body") }
        return body
    }

    // MARK: - Fields

    private static func echo(_ version: VersionChoice) -> String? {
        switch version {
        case .minor(let minor): "2.\(minor)"
        case .outOfRange(let asked): asked
        case .malformed: nil
        }
    }

    private static func versionFields(_ version: String?) -> [(name: String, value: String)] {
        guard let version else { return [] }
        return [
            ("OpenStack-API-Version", "compute \(version)"), ("X-OpenStack-Nova-API-Version", version),
            ("Vary", "OpenStack-API-Version"), ("Vary", "X-OpenStack-Nova-API-Version"),
        ]
    }

    private static func idFields(_ id: String) -> [(name: String, value: String)] {
        [("x-openstack-request-id", id), ("x-compute-request-id", id)]
    }

    /// Puts the fields of a success around the handler's own, in Nova's order.
    private func finish(_ response: Response, minor: String?, requestID: String) -> Response {
        var whole = response
        whole.fields = [("Content-Length", String(response.content.count))] + response.fields
        whole.fields.append(("Content-Type", "application/json"))
        whole.fields += Self.versionFields(minor) + Self.idFields(requestID)
        return whole
    }

    private static func finishPlain(_ response: Response) -> Response {
        var whole = response
        whole.fields = [
            ("Content-Length", String(response.content.count)), ("Content-Type", "application/json"),
        ]
        return whole
    }

    private func refuse(
        _ fault: NovaFault, _ request: Request, isLegacy: Bool, version: VersionChoice, requestID: String
    ) -> Response {
        switch fault {
        case .nova(let status, let message):
            let content = NovaFault.novaContent(status, message)
            let fields =
                Self.versionFields(isLegacy ? nil : Self.echo(version)) + [
                    ("Content-Type", "application/json; charset=UTF-8"),
                    ("Content-Length", String(content.count)),
                ]
            return Response(status, fields + Self.idFields(requestID), content: content)
        case .unauthorized:
            let content = NovaFault.unauthorizedContent
            return Response(
                401,
                [
                    ("Content-Type", "application/json"), ("Content-Length", String(content.count)),
                    ("WWW-Authenticate", "Keystone uri=\"\(identityURL)\""),
                ] + Self.idFields(requestID), content: content)
        case .webob(let status, let text):
            let page = NovaFault.webobContent(status, text, accept: request.value("accept"))
            var fields = [
                (name: "Content-Length", value: String(page.content.count)),
                (name: "Content-Type", value: page.type),
            ]
            if request.method == "HEAD" { fields.reverse() }
            return Response(status, fields + Self.idFields(requestID), content: page.content)
        }
    }
}
