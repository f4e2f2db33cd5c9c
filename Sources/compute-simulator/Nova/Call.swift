/// One authenticated request to the compute API, matched to an endpoint.
struct Call {
    let cloud: Cloud
    let request: Request
    let token: Token
    /// Whether the path began with `/v2` rather than `/v2.1`.
    let isLegacy: Bool
    /// The minor of the resolved microversion; 1 under `/v2`.
    let minor: Int
    let base: LinkBase
    let pathProject: String?
    /// The values of the path's parameters, in order.
    let parameters: [String]
    let query: [(name: String, value: String)]
    let body: JSONValue?
    let requestID: String
    let now: Moment

    /// The project that the call is about: the token's.
    var project: String { token.project ?? "" }

    /// The value that counts when a query name stands there once or more: the last.
    func queryValue(_ name: String) -> String? { query.last { $0.name == name }?.value }

    func queryValues(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }

    // MARK: - Links

    private var versionSegment: String { isLegacy ? "/v2" : "/v2.1" }

    /// An address of `path` under the version and, where the request had one, the project.
    func link(_ path: String) -> String {
        base.text + versionSegment + (pathProject.map { "/" + $0 } ?? "") + path
    }

    func bookmark(_ path: String) -> String { base.text + (pathProject.map { "/" + $0 } ?? "") + path }

    /// Writes a `links` member with the two links every item has.
    func writeLinks(_ writer: inout JSONWriter, _ path: String) {
        writer.list("links") { links in
            links.object { link in
                link.member("rel", "self")
                link.member("href", self.link(path))
            }
            links.object { link in
                link.member("rel", "bookmark")
                link.member("href", bookmark(path))
            }
        }
    }

    /// Writes the `next` link of a full page under `name`.
    ///
    /// - Shape: known query names sorted, one value each, `marker` last.
    func writeNext(
        _ writer: inout JSONWriter, _ name: String, path: String, marker: String, known: Set<String>
    ) {
        var values: [String: String] = [:]
        for pair in query where known.contains(pair.name) && pair.name != "marker" {
            values[pair.name] = pair.value
        }
        let pairs = values.sorted { $0.key < $1.key } + [(key: "marker", value: marker)]
        let text = pairs.map { Text.queryEncoded($0.key) + "=" + Text.queryEncoded($0.value) }.joined(
            separator: "&")
        writer.list(name) { links in
            links.object { link in
                link.member("rel", "next")
                link.member("href", self.link(path) + "?" + text)
            }
        }
    }

    // MARK: - Checks

    /// Refuses with 403 unless the token has `role`.
    func require(_ role: String, _ policy: String) throws(NovaFault) {
        guard token.roles.contains(role) || token.isAdmin else { throw .forbidden(policy) }
    }

    /// The server named by the first parameter; 404 when it is not there or not visible to the token.
    func server() throws(NovaFault) -> Server {
        let id = parameters[0]
        guard let server = cloud.servers[id.lowercased()], !server.isDeleted,
            server.project == project || token.isAdmin
        else { throw .notFound("Instance \(id) could not be found.") }
        return server
    }

    func flavor(_ id: String) throws(NovaFault) -> Flavor {
        guard let flavor = cloud.flavors.first(where: { $0.id == id }),
            flavor.isPublic || flavor.access.contains(project) || token.isAdmin
        else { throw .notFound("Flavor \(id) could not be found.") }
        return flavor
    }

    /// The page size the query asks for, at most the cloud's largest page.
    func limit() throws(NovaFault) -> Int {
        for value in queryValues("limit") {
            try Self.checkNumber(value, "limit")
        }
        guard let text = queryValue("limit") else { return cloud.maximumPage }
        return min(Int(text.trimmedNewline) ?? Int.max, cloud.maximumPage)
    }

    static func checkNumber(_ value: String, _ name: String) throws(NovaFault) {
        let start = "Invalid input for query parameters \(name). Value: \(value). "
        guard !value.isEmpty else { throw .badRequest(start + "'' should be non-empty") }
        guard value.trimmedNewline.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            throw .badRequest(start + "\(JSONValue.string(value).pythonText) does not match '^[0-9]*$'")
        }
    }

    /// The items after `marker`, at most `limit` of them, and whether the page is full.
    func page<Item>(
        _ items: [Item], limit: Int, missing: (String) -> NovaFault, key: (Item) -> String
    ) throws(NovaFault) -> (items: ArraySlice<Item>, isFull: Bool) {
        var start = 0
        if let marker = queryValue("marker") {
            guard let index = items.firstIndex(where: { key($0) == marker }) else { throw missing(marker) }
            start = index + 1
        }
        let page = items[start...].prefix(limit)
        return (page, limit > 0 && page.count == limit)
    }

    /// The member `name` of the body as an object.
    ///
    /// - Errors: 400 in the words of Nova's schema check when it is not there or not an object.
    func object(_ name: String) throws(NovaFault) -> JSONValue {
        guard let body else { throw .badRequest("None is not of type 'object'") }
        guard body.members != nil else { throw .badRequest("\(body.pythonText) is not of type 'object'") }
        guard let member = body[name] else { throw .badRequest("'\(name)' is a required property") }
        guard member.members != nil else { throw Self.invalid(name, member, "is not of type 'object'") }
        return member
    }

    static func invalid(_ name: String, _ value: JSONValue, _ why: String) -> NovaFault {
        .badRequest(
            "Invalid input for field/attribute \(name). Value: \(value.plainText). \(value.pythonText) \(why)"
        )
    }

    /// A required string of `object`.
    func text(_ name: String, of object: JSONValue, in parent: String) throws(NovaFault) -> String {
        guard let value = object[name] else {
            throw .badRequest(
                "Invalid input for field/attribute \(parent). Value: \(object.plainText). '\(name)' is "
                    + "a required property"
            )
        }
        guard let text = value.string else { throw Self.invalid(name, value, "is not of type 'string'") }
        guard !text.isEmpty else {
            throw .badRequest("Invalid input for field/attribute \(name). Value: . '' should be non-empty")
        }
        return text
    }
}

extension String {
    /// The text without one line feed at its end, which Python's `$` lets pass.
    var trimmedNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
