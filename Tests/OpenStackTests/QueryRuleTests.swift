import Bytes
import HTTP
import Testing

@testable import OpenStack

/// One query and what Nova says of it, with the row of what a real one answered, or the place in its code.
struct QueryRow: Sendable, CustomStringConvertible {
    var source: String
    var id: String
    var version: String
    var query: String
    var expected: String
    var caller = Caller.member

    init(
        _ source: String, _ id: String, _ version: String, _ query: String, _ expected: String,
        _ caller: Caller = .member
    ) {
        self.source = source
        self.id = id
        self.version = version
        self.query = query
        self.expected = expected
        self.caller = caller
    }

    var description: String { "\(source): \(id) \(version) ?\(query)" }
}

/// The shipped definition with Nova's own rules alone.
let shippedNova: OperationTable = {
    do { return try OperationTable.load(text: shippedText, file: "compute.yaml", profile: .nova) } catch {
        fatalError("\(error)")
    }
}()

private let reversed = "400 The value of changes-since must be less than or equal to changes-before."
private let limitWords = "400 Invalid input for query parameters limit. Value: "
private let dates = "changes-since=2025-06-01T00:00:00Z&changes-before="

@Suite struct `Rules by microversion` {
    @Test(arguments: [
        QueryRow("limit-079", "servers.list", "2.74", "Limit=1", "200"),
        QueryRow(
            "limit-079", "servers.list", "2.75", "Limit=1",
            "400 'Limit' does not match any of the regexes: '^_'"),
        QueryRow(
            "limit-080", "servers.list", "2.75", "limit%3D1",
            "400 'limit=1' does not match any of the regexes: '^_'"),
        QueryRow(
            "servers.py", "servers.list", "2.75", "foo&b%61r=1&foo=2&_x=1",
            "400 'bar', 'foo' do not match any of the regexes: '^_'"),
        QueryRow(
            "servers.py", "servers.list", "2.104", "foo&limit=x",
            limitWords + "x. 'x' does not match '^[0-9]*$'"),
        QueryRow(
            "page-012", "servers.list", "2.75", "page_size=1&limit=1",
            "400 'page_size' does not match any of the regexes: '^_'"),
        QueryRow(
            "servers.py", "servers.list", "2.75", "all_tenants=1&foo=1",
            "400 'foo' does not match any of the regexes: '^_'"),
        QueryRow(
            "groups-016", "server_groups.list", "2.75", "marker=x",
            "400 Additional properties are not allowed ('marker' was unexpected)"),
        QueryRow("groups-016", "server_groups.list", "2.74", "marker=x", "200"),
        QueryRow(
            "flavors.py", "flavors.list", "2.75", "b=&a=%C3%A9&a",
            "400 Additional properties are not allowed ('a', 'b' were unexpected)"),
        QueryRow(
            "flavors.py", "flavors.list", "2.101", "name=x",
            "400 Additional properties are not allowed ('name' was unexpected)"),
        QueryRow("flavors.py", "flavors.list", "2.102", "name=x", "200"),
        QueryRow(
            "misc-082", "limits.show", "2.75", "reserved=1",
            "400 Additional properties are not allowed ('reserved' was unexpected)"),
        QueryRow("images.py", "images.list", "2.35", "property-x=1&nonsense=1&page_size=5", "200"),
        QueryRow(
            "images.py", "images.list", "2.1", "limit=00",
            "400 Invalid input for query parameters limit. Value: 00. 0 is less than the minimum of 1"),
        QueryRow("hypervisors.py", "hypervisors.list", "2.52", "limit=1&limit=2&foo", "200"),
        QueryRow(
            "hypervisors.py", "hypervisors.list", "2.53", "limit=1&li%6Dit=2",
            "400 Invalid input for query parameters limit. Value: ['1', '2']. ['1', '2'] is too long"),
        QueryRow(
            "hypervisors.py", "hypervisors.list", "2.53", "limit=1&limit=x",
            limitWords + "x. 'x' does not match '^[0-9]*$'"),
        QueryRow(
            "hypervisors.py", "hypervisors.list", "2.53", "with_servers=1&with_servers=1&marker=a&marker=b",
            "400 Invalid input for query parameters marker. Value: ['a', 'b']. ['a', 'b'] is too long"),
        QueryRow("hypervisors.py", "hypervisors.list", "2.32", "limit=x", "200"),
    ])
    func `a query is judged at its own microversion`(row: QueryRow) {
        let found = verdict(shippedNova, row.id, row.query, microversion: row.version, caller: row.caller)
        #expect(found == row.expected, "\(row)")
    }

    @Test(arguments: [
        QueryRow("status-032", "servers.list", "2.38", "status=nope", "400 Invalid status value"),
        QueryRow("status-041", "servers.list", "2.38", "status=UNKNOWN", "400 Invalid status value"),
        QueryRow("servers.py", "servers.list", "2.38", "status=nope&status=active", "200"),
        QueryRow("servers.py", "servers.list", "2.37", "status=nope", "200"),
        QueryRow("servers.py", "servers.list", "2.37", "status=nope&all_tenants=abc&sort_dir=up", "200"),
        QueryRow(
            "servers.py", "servers.list", "2.38", "status=nope&all_tenants=abc", "400 Invalid status value"),
        QueryRow("changes-049", "servers.list", "2.66", dates + "2025-01-01T00:00:00Z", reversed),
        QueryRow("servers.py", "servers.list", "2.66", dates + "2025-06-01T01:59:59%2B02:00", reversed),
        QueryRow("servers.py", "servers.list", "2.66", dates + "2025-06-01T02:00:00%2B02:00", "200"),
        QueryRow("servers.py", "servers.list", "2.66", dates + "2025-01-01&changes-before=2026", "200"),
        QueryRow("servers.py", "servers.list", "2.65", dates + "2025-01-01", "200"),
        QueryRow("changes-057", "servers.list", "2.66", dates + "2025-01-01&status=deleted", reversed),
        QueryRow(
            "sort-031", "servers.list", "2.1", "sort_dir=nope&limit=2",
            "400 Invalid input received: Unknown sort direction, must be 'desc' or 'asc'"),
        QueryRow("common.py", "servers.list", "2.1", "sort_dir=%20asc+", "200"),
        QueryRow(
            "db/utils.py", "servers.list", "2.1", "sort_dir=asc&sort_dir=desc",
            "400 Invalid input received: Sort direction size exceeds sort key size"),
        QueryRow(
            "servers.py", "servers.list", "2.73", "locked=abc&all_tenants=1",
            "400 Unrecognized value 'abc', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
        ),
        QueryRow("servers.py", "servers.list", "2.72", "locked=abc", "200"),
        // What is stored decides whether Nova gets as far as the marker.
        QueryRow("compute/api.py", "servers.list", "2.1", "flavor=1&marker=nope&sort_dir=up", "200"),
        QueryRow("compute/api.py", "servers.list", "2.1", "limit=0&sort_dir=up", "200"),
        QueryRow("servers.py", "servers.list", "2.1", "_x=1&marker=nope", "200", .administrator),
        QueryRow("servers.py", "servers.list", "2.1", "_x=1&marker=nope", "400 marker [nope] not found"),
        QueryRow("marker-016", "servers.list", "2.1", "marker=gr%C3%B6%C3%9Fe", "200"),
        QueryRow("sort-017", "servers.list", "2.1", "sort_key=host&marker=nope", "200", .unknown),
        QueryRow(
            "flavors.py", "flavors.list", "2.1", "is_public=x&minRam=x", "400 Invalid minRam filter [x]"),
        QueryRow(
            "flavors.py", "flavors.list", "2.1", "is_public=x&minRam=x", "400 Invalid is_public filter [x]",
            .administrator),
        QueryRow("flavors.py", "flavors.list", "2.1", "is_public=None", "200", .administrator),
        // Python takes any decimal digit of Unicode.
        QueryRow("flavors.py", "flavors.list", "2.1", "minRam=%EF%BC%91", "200"),
        QueryRow("flavors.py", "flavors.list", "2.1", "is_public=x&minRam=x", "200", .unknown),
    ])
    func `what Nova's own code refuses is refused in its order`(row: QueryRow) {
        let found = verdict(shippedNova, row.id, row.query, microversion: row.version, caller: row.caller)
        #expect(found == row.expected, "\(row)")
    }

    @Test(arguments: [
        (
            "page_size=abc", "200",
            "400 Invalid input for query parameters page_size. Value: abc. 'abc' does not match '^[0-9]*$'"
        ),
        ("marker=%C3%A9", "200", "400 marker [é] not found"),
        ("marker=nope&flavor=1", "200", "400 marker [nope] not found"),
    ])
    func `the documents' stricter rows count in their own profile only`(
        query: String, nova: String, document: String
    ) {
        #expect(verdict(shippedNova, "servers.list", query) == nova)
        #expect(verdict(shipped, "servers.list", query) == document)
    }

    @Test func `under v2 any sort key is taken, but not the administrators' of a member`() {
        let query = "sort_key=%20node&marker=nope&limit=1"
        let refusal = "403 Only administrators can sort servers by node"
        #expect(verdict(shippedNova, "servers.list", query, version: .v2) == refusal)
        let found = verdict(shippedNova, "servers.list", query, version: .v2, caller: .administrator)
        #expect(found == "400 marker [nope] not found")
    }

    @Test(arguments: [
        ("images.list", "2.35", "200"), ("images.list", "2.36", "404 The resource could not be found."),
        ("tags.list", "2.25", "404 The resource could not be found."), ("tags.list", "2.26", "200"),
        ("cells.list", "2.1", "410 This resource is no longer available. No forwarding address is given."),
        (
            "baremetal_nodes.create", "2.1",
            "400 Command not supported. Please use Ironic command node-create to perform this action."
        ),
        ("baremetal_nodes.create", "2.36", "404 The resource could not be found."),
    ])
    func `an operation exists between its microversions, and may have ended`(
        id: String, version: String, expected: String
    ) {
        let operation = shipped.find(id)!
        var message = Buffer(capacity: 1_024)
        var found = shipped.validateExistence(
            operation: operation, action: nil, version: .v21,
            microversion: withBytes(version) { Microversion.read($0)! }, message: &message)
        if found == .valid {
            found = shipped.validateNotEnded(operation: operation, action: nil, message: &message)
        }
        switch found {
        case .valid: #expect(expected == "200")
        case .refused(let status): #expect("\(status) \(message.readable.string)" == expected)
        }
    }
}
