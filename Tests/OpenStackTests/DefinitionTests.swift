import Bytes
import HTTP
import Testing

@testable import OpenStack

private let small = """
    openapi: 3.1.0
    info: {title: Small, version: "2.90"}
    x-gatehouse:
      roots: [{path: /v2, version: v2}, {path: /v2.1, version: v2.1}]
      max_content: 1000
      media_types: [application/json, text/plain]
      discovery: ["/", "/v2.1/"]
      limit_classes: {read: 10/min, list: none}
    paths:
      "/":
        get: {operationId: versions.show, x-gatehouse: {discovery: true}}
      /things:
        get:
          operationId: things.list
          tags: [things]
          parameters:
            - {name: size, in: query, schema: {type: string, enum: [true, "true", small, "it's"]}}
            - {$ref: '#/components/parameters/since'}
            - {name: host, in: query, schema: {type: string}, x-gatehouse: {rule: hostname}}
            - {name: id, in: query, schema: {type: string, format: uuid}}
            - {name: wanted, in: query, schema: {type: string}, x-gatehouse: {rule: boolean, min: "2.50"}}
            - {name: least, in: query, schema: {type: string}, x-gatehouse: {rule: integer}}
            - {name: kind, in: query, schema: {type: string, enum: [new, old]},
               x-gatehouse: {rule: enum, retired: {values: [old], max: "2.60"}}}
            - {name: limit, in: query, schema: {type: string}, x-gatehouse: {rule: digits, v2: legacy_integer}}
            - {name: from, in: query, schema: {type: string}, x-gatehouse: {rule: date-time, v2: legacy_date}}
          x-gatehouse: {cache: list, limit: list, audit: read/list, max: "2.80"}
        post: {operationId: things.create}
      /things/new:
        get: {operationId: things.show_new}
      /things/{thing_id}:
        parameters: [{name: thing_id, in: path, required: true, schema: {type: string},
          x-gatehouse: {rule: uuid, message: 'No thing {} here.', invalid: {action: terminate, status: 404}}}]
        get: {operationId: things.show}
        delete: {operationId: things.delete, x-gatehouse: {audit: delete}}
      /things/{thing_id}/action:
        parameters: [{name: thing_id, in: path, required: true, schema: {type: string}}]
        post: {operationId: things.action, x-gatehouse: {actions: {start: {audit: start}, "é": {limit: list}}}}
    components:
      parameters:
        since: {name: since, in: query, schema: {type: string, format: date-time}}
    """

private let table: OperationTable = {
    do { return try OperationTable.load(text: small, file: "small.yaml") } catch { fatalError("\(error)") }
}()

/// The mistakes of `small` with one text replaced by another.
private func mistakes(_ old: String, _ new: String) -> [String] {
    #expect(small.contains(old), "\(old)")
    do {
        _ = try OperationTable.load(text: small.replacing(old, with: new), file: "small.yaml")
        return []
    } catch {
        return error.mistakes.map(\.description)
    }
}

@Suite struct `A definition` {
    @Test func `becomes facts`() {
        let index = table.find("things.list")!
        let facts = table[index]
        #expect(facts.idBytes.string == "things.list")
        #expect(facts.tagBytes.string == "things")
        #expect(facts.auditAction.string == "read/list")
        #expect(table.limitClasses[facts.limitClass] == "list")
        #expect(facts.cacheClass == .list)
        #expect(!facts.isWrite)
        #expect(facts.maximum == Microversion(major: 2, minor: 80))
        let create = table[table.find("things.create")!]
        #expect(create.isWrite)
        #expect(create.content == .collected)
        #expect(create.maxContentByteCount == 1000)
        #expect(table.maximum == Microversion(major: 2, minor: 90))
    }

    @Test(arguments: [
        ("GET", "/v2.1/things/new", "things.show_new"), ("DELETE", "/v2.1/things/new", "things.delete"),
        ("POST", "/v2.1/things/new", "405 DELETE, GET"), ("GET", "/v2.1/things/%6Eew", "things.show_new"),
        ("GET", "/v2.1/things/", "404"), ("GET", "/v2.1/a/things/x/action", "405 POST"),
        ("GET", "/v2.1", "404"),
        ("GET", "/v2.1x/things", "404"), ("GET", "/v2/%61-0/things", "things.list"),
        ("GET", "/v2.1/%41/things", "404"),
    ])
    func `becomes routes`(method: String, path: String, expected: String) {
        #expect(route(table, method, path) == expected)
    }

    @Test func `a match says where project and parameters are`() {
        let path = "/v2.1/0a-f/things/x%20y/action"
        withBytes(path) { bytes in
            let match = table.match(path: bytes, method: .post)
            #expect(match.version == .v21)
            #expect(match.project.map { bytes.view($0).string } == "0a-f")
            #expect(match.parameterCount == 1)
            #expect(bytes.view(match.parameters[0]).string == "x%20y")
            #expect(!match.isDiscovery)
        }
        #expect(withBytes("/") { table.match(path: $0, method: .get).isDiscovery })
        #expect(withBytes("/v2/a/") { !table.match(path: $0, method: .get).isDiscovery })
    }

    @Test func `no cut or change of a path traps`() {
        let path = Array("/v2.1/0a/things/%7e%/action/x/y/z".utf8)
        for count in 0...path.count {
            _ = path[..<count].withUnsafeBufferPointer { table.match(path: $0, method: .get) }
        }
        var random = RandomSource(seed: (5, 6, 7, 8))
        for _ in 0..<5000 {
            var changed = path
            for _ in 0..<3 {
                changed[Int(random.next() % UInt64(path.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            _ = changed.withUnsafeBufferPointer { table.match(path: $0, method: .post) }
        }
    }

    static let words = "400 Invalid input for query parameters "

    @Test(arguments: [
        (
            "size=big", "2.1",
            words + "size. Value: big. 'big' is not one of [True, 'true', 'small', \"it's\"]"
        ),
        ("size=true", "2.1", "200"),
        (
            "since=x&size=big", "2.1",
            words + "size. Value: big. 'big' is not one of [True, 'true', 'small', \"it's\"]"
        ),
        ("since=x", "2.1", words + "since. Value: x. 'x' is not a 'date-time'"),
        ("host=", "2.1", words + "host. Value: . '' should be non-empty"),
        ("host=a/b", "2.1", words + "host. Value: a/b. 'a/b' does not match '^[a-zA-Z0-9-._]*$'"),
        ("host=A-z.0_", "2.1", "200"),
        ("id=1", "2.1", words + "id. Value: 1. '1' is not a 'uuid'"),
        ("id=urn:uuid:%7B2402EA71-26e7-50cf-baa1-e7c8836e38a9%7D", "2.1", "200"),
        ("wanted=x", "2.1", "200"),
        (
            "wanted=x", "2.50",
            "400 Unrecognized value 'x', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
        ),
        ("least=abc", "2.1", "400 Invalid least filter [abc]"),
        ("least=abc&least=1", "2.1", "200"),
        ("least=-1", "2.1", "200"),
        ("kind=old", "2.60", "200"),
        ("kind=old", "2.61", words + "kind. Value: old. 'old' is not one of ['new']"),
        ("size=big", "2.81", "200"),
    ])
    func `becomes rules`(query: String, microversion: String, expected: String) {
        #expect(verdict(table, "things.list", query, microversion: microversion) == expected)
    }

    @Test(arguments: [
        ("limit=abc", "400 Invalid input received: limit must be an integer"),
        ("limit=", "400 Invalid input received: limit must be an integer"),
        ("limit=-1", "400 Invalid input received: limit must be >= 0"),
        ("limit=abc&limit=+5%20", "200"),
        ("from=abc", "400 Invalid filter field: from."),
        ("from=abc&limit=x", "400 Invalid filter field: from."),
    ])
    func `other words under v2`(query: String, expected: String) {
        #expect(verdict(table, "things.list", query, version: .v2) == expected)
    }

    @Test func `a message that does not fit gives way to a short one`() {
        var scratch = Buffer(capacity: 8192)
        var message = Buffer(capacity: 100)
        let found = withBytes("limit=" + String(repeating: "x", count: 200)) { query in
            table.validateQuery(
                query, operation: table.find("things.list")!, version: .v21, caller: .member,
                scratch: &scratch,
                message: &message)
        }
        #expect(found == .refused(status: 400))
        #expect(message.readable.string == "Invalid input for query parameters limit.")
    }

    @Test func `a path parameter is refused in its own words`() {
        var scratch = Buffer(capacity: 1024)
        var message = Buffer(capacity: 1024)
        withBytes("/v2.1/things/a%62") { path in
            let match = table.match(path: path, method: .get)
            #expect(
                table.validatePath(path, match: match, action: nil, scratch: &scratch, message: &message)
                    == .refused(status: 404))
        }
        #expect(message.readable.string == "No thing ab here.")
        withBytes("/v2.1/things/2402ea71-26e7-50cf-baa1-e7c8836e38a9") { path in
            let match = table.match(path: path, method: .get)
            #expect(
                table.validatePath(path, match: match, action: nil, scratch: &scratch, message: &message)
                    == .valid)
        }
    }

    @Test(arguments: [
        (
            "title: Small, version: \"2.90\"", "title: Small, version: x",
            "2:31: version must be a version such as \"2.90\""
        ),
        ("openapi: 3.1.0", "openapi: 3.0.0", "1:10: openapi must be 3.1"),
        ("max_content: 1000", "max_content: -1", "5:16: max_content must be a number of 0 to 1099511627776"),
        ("max_content: 1000", "max_conten: 1000", "5:3: unknown key in x-gatehouse: max_conten"),
        ("version: v2}", "version: v3}", "4:32: a root's version is v2 or v2.1"),
        (
            "limit: list, audit", "limit: lots, audit",
            "27:41: limit is none of x-gatehouse.limit_classes: lots"
        ),
        ("audit: read/list", "audit: look", "27:54: not an audit action: look"),
        ("rule: hostname", "rule: hostnam", "19:79: unknown rule: hostnam"),
        ("parameters/since", "parameters/sinc", "18:18: no such parameter: #/components/parameters/sinc"),
        ("things.show_new", "things.show", "34:24: operationId is there twice: things.show"),
        (
            "operationId: things.create", "operationId: Create",
            "28:25: operationId is resource.verb in lower case: Create"
        ),
        (
            "/things/new:", "things:",
            "29:3: not a path: it begins with a slash, and braces hold whole segments"
        ),
        (
            "parameters: [{name: thing_id, in: path, required: true, schema: {type: string}}]\n",
            "description: x\n", "38:11: the path parameter thing_id is not described"
        ),
        ("tags: [things]", "tags: things", "15:13: tags must be a list"),
    ])
    func `says what is wrong and where`(old: String, new: String, mistake: String) {
        let found = mistakes(old, new)
        #expect(found.contains("small.yaml:" + mistake), "\(found)")
    }

    @Test func `all mistakes are told at once`() {
        let found = mistakes("cache: list, limit: list", "cache: lis, limit: lots, nonsense: 1")
        #expect(found.count == 3)
    }

    @Test(arguments: [
        "", "a: [", "\t", "a: 1\na: 2", "just text", "- 1", "{}", "paths: {}", "a: *b", "\u{0}",
    ])
    func `what is no definition is refused`(text: String) {
        #expect(throws: DefinitionMistakes.self) { try OperationTable.load(text: text, file: "x.yaml") }
    }
}

@Suite struct `Content` {
    private func check(_ id: String, _ type: String?, _ content: String, table: OperationTable = table)
        -> String
    {
        var scratch = Buffer(capacity: 4096)
        var message = Buffer(capacity: 4096)
        var tape = JSONTape()
        let verdict = withBytes(content) { content in
            withBytes(type ?? "") { view in
                table.validateContent(
                    operation: table.find(id)!, mediaType: type == nil ? nil : view, content: content,
                    tape: &tape, scratch: &scratch, message: &message)
            }
        }
        switch verdict {
        case .valid(_, let action): return "200" + (action.map { " " + table.action($0).key.string } ?? "")
        case .refused(let status): return "\(status) \(message.readable.string)"
        }
    }

    @Test(
        arguments: [
            (nil, true), ("", true), ("application/json", true), ("Application/JSON", true),
            ("application/json; charset=utf-16", true), ("text/plain", true), ("text/xml", false),
            ("foo", false),
            ("application/x-www-form-urlencoded", false), ("application/jsonx", false), (" ; x", true),
        ] as [(String?, Bool)])
    func `the media type is judged for every method`(type: String?, passes: Bool) {
        let expected = passes ? "200" : "415 Unsupported Content-Type"
        #expect(check("things.list", type, "") == expected)
        #expect(check("things.create", type, "{}") == expected)
    }

    @Test(arguments: [
        ("", "200"), ("{", "400 Malformed request body"), ("[]", "200"), ("{\"a\": NaN}", "200"),
        ("\u{FEFF}{}", "400 Malformed request body"), ("{\"server\": {}} x", "400 Malformed request body"),
    ])
    func `content must be JSON`(content: String, expected: String) {
        #expect(check("things.create", "application/json", content) == expected)
    }

    @Test func `content of a method that Nova reads none of is not looked at`() {
        #expect(check("things.delete", nil, "{") == "200")
    }

    @Test(arguments: [
        ("{\"start\": null}", "200 start"), ("{\"\\u0073tart\": {}}", "200 start"),
        ("{\"\\u00e9\": 1}", "200 é"),
        ("{\"start\": 1, \"start\": 2}", "200 start"), ("{}", "400 Malformed request body"),
        ("", "400 Malformed request body"), ("{", "400 Malformed request body"),
        ("{\"start\": 1, \"stop\": 2}", "400 Malformed request body"), ("[]", "400 Malformed request body"),
        ("{\"nope\": null}", "400 There is no such action: nope"),
        ("{\"\\u00f6\": null}", "400 There is no such action: ö"), ("[1, 2]", "400 Malformed request body"),
        ("[1]", "404 The resource could not be found."), ("1", "404 The resource could not be found."),
        ("null", "404 The resource could not be found."), ("\"a\"", "404 The resource could not be found."),
        ("\"ab\"", "400 Malformed request body"),
    ])
    func `an action is named by exactly one key`(content: String, expected: String) {
        #expect(check("things.action", "application/json", content) == expected)
    }
}

@Suite struct `Identities` {
    @Test func `roles make a class whatever their order and case`() {
        let one = Identity(userID: "u", projectID: "p", roles: ["Member", "reader"])
        let other = Identity(userID: "v", projectID: "p", roles: ["reader", "member", "MEMBER"])
        #expect(one.rolesKey == other.rolesKey)
        #expect(!one.isAdmin)
        #expect(Identity(userID: "u", roles: ["Admin"]).isAdmin)
        #expect(Identity(userID: "u", roles: ["boss"], adminRoles: ["boss"]).isAdmin)
    }

    @Test func `a token ends at its second`() {
        let identity = Identity(userID: "u", roles: [], expiresAt: 100)
        #expect(!identity.hasExpired(at: 99))
        #expect(identity.hasExpired(at: 100))
        #expect(!Identity(userID: "u", roles: []).hasExpired(at: .max))
    }
}
