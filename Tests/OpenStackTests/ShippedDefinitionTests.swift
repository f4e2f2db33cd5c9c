import Bytes
import HTTP
import Testing

@testable import OpenStack

@Suite struct `The shipped definition` {
    @Test func `loads without a mistake and has the operations of both documents`() {
        #expect(shipped.operations.count > 150)
        #expect(shipped.find("servers.list") != nil)
        #expect(shipped.maximum == Microversion(major: 2, minor: 104))
    }

    @Test(arguments: [
        ("GET", "/v2.1/servers", "servers.list"),
        ("GET", "/v2.1/0123abc/servers", "servers.list"),
        ("GET", "/v2/-/servers/detail", "servers.list_detail"),
        ("GET", "/v2.1/abc/servers/xyz", "servers.show"),
        ("GET", "/v2.1/abc/%73ervers", "servers.list"),
        ("GET", "/%76%32.1/abc/servers", "servers.list"),
        ("GET", "/v2.1/ABC/servers", "404"),
        ("GET", "/v2.1/zzz/servers", "404"),
        ("GET", "/v2.1/abc/servers/", "404"),
        ("GET", "/v2.1/abc/servers.json", "404"),
        ("GET", "/v2.1/abc/SERVERS", "404"),
        ("GET", "/v2.1/abc", "404"),
        ("GET", "/v2.1/abc/", "versions.show"),
        ("GET", "/", "versions.show"),
        ("GET", "/v2", "versions.show"),
        ("HEAD", "/v2.1/", "versions.show"),
        ("DELETE", "/v2.1", "405 GET, HEAD"),
        ("GET", "/v2.0/abc/servers", "404"),
        ("GET", "/servers", "404"),
        ("GET", "/v2.1/abc/abc/servers", "404"),
        ("DELETE", "/v2.1/abc/servers", "405 GET, POST"),
        ("HEAD", "/v2.1/abc/servers", "405 GET, POST"),
        ("DELETE", "/v2.1/abc/servers/detail", "servers.delete"),
        ("POST", "/v2.1/abc/servers/detail", "405 DELETE, GET, PUT"),
        ("POST", "/v2.1/abc/servers/x/action", "servers.action"),
    ])
    func `routes as Nova does`(method: String, path: String, expected: String) {
        #expect(route(shipped, method, path) == expected)
    }

    static let limitWords = "400 Invalid input for query parameters limit. Value: "

    @Test(arguments: [
        ("limit=", limitWords + ". '' should be non-empty"),
        ("limit", limitWords + ". '' should be non-empty"),
        ("limit=abc", limitWords + "abc. 'abc' does not match '^[0-9]*$'"),
        ("limit=%EF%BC%95", limitWords + "\u{FF15}. '\u{FF15}' does not match '^[0-9]*$'"),
        ("limit=1%00", limitWords + "1\u{0}. '1\\x00' does not match '^[0-9]*$'"),
        ("limit=1%0A", "200"),
        ("limit=%ff", "400 Query string is not UTF-8 encoded"),
        ("limit='", limitWords + "'. \"'\" does not match '^[0-9]*$'"),
        ("limit=1=2", limitWords + "1=2. '1=2' does not match '^[0-9]*$'"),
        ("limit=abc&limit=1", limitWords + "abc. 'abc' does not match '^[0-9]*$'"),
        ("limit=1;limit=", limitWords + ". '' should be non-empty"),
        ("Limit=abc", "200"),
        ("l%69mit=abc", limitWords + "abc. 'abc' does not match '^[0-9]*$'"),
        ("marker=nope&limit=1", "400 marker [nope] not found"),
        ("marker=nope&limit=x", limitWords + "x. 'x' does not match '^[0-9]*$'"),
        ("marker=%67%72%C3%B6%C3%9F%65", "400 marker [größe] not found"),
        ("marker=2402ea71-26e7-50cf-baa1-e7c8836e38a9&marker=nope", "400 marker [nope] not found"),
        ("marker=nope&marker=2402EA71-26e7-50cf-baa1-e7c8836e38a9%20", "200"),
        ("marker=", "200"),
        (
            "changes-since=%00",
            "400 Invalid input for query parameters changes-since. Value: \u{0}. '\\x00' is not a 'date-time'"
        ),
        ("changes-before=abc", "200"),
        ("name=%5C", "400 Invalid input for query parameters name. Value: \\. '\\\\' is not a 'regex'"),
        ("name=+", "200"),
        ("flavor=", "400 Invalid input for query parameters flavor. Value: . '' is not a 'regex'"),
        ("image=%5B", "200"),
        ("status=nope", "200"),
        ("status=DeLeted", "200 deleted"),
        ("status=deleted&status=nope", "200 deleted"),
        ("status=deleted&status=active", "200"),
        ("status=deleted&marker=nope", "200 deleted"),
        ("status=deleted&limit=x", limitWords + "x. 'x' does not match '^[0-9]*$'"),
        ("all_tenants", "200 all_tenants"),
        ("all%5Ftenants=on&marker=nope", "200 all_tenants"),
        ("all_tenants=0&all_tenants=1", "200 all_tenants"),
        ("all_tenants=0&marker=nope", "400 marker [nope] not found"),
        (
            "all_tenants=abc",
            "400 Unrecognized value 'abc', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
        ),
        ("sort_dir=ASC", "400 Invalid input received: Unknown sort direction, must be 'desc' or 'asc'"),
        ("sort_key=host", "403 Only administrators can sort servers by host"),
        (
            "page_size=x",
            "400 Invalid input for query parameters page_size. Value: x. 'x' does not match '^[0-9]*$'"
        ),
        ("foo=%C3%28", "400 Query string is not UTF-8 encoded"),
        ("foo=%ED%A0%80&limit=x", "400 Query string is not UTF-8 encoded"),
        ("foo=%zz&=1&&", "200"),
    ])
    func `checks the query of a list of servers in Nova's words`(query: String, expected: String) {
        #expect(verdict(shipped, "servers.list", query) == expected)
    }
}
