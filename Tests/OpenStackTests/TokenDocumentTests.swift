import Testing

@testable import OpenStack

struct TokenDocumentTests {
    private func read(_ text: String) -> TokenDocument? {
        withBytes(text) { TokenDocument($0, adminRoles: ["admin"]) }
    }

    private func document(
        user: String = #""id": "u1", "name": "alice", "domain": {"id": "default", "name": "Default"}"#,
        expires: String = "2030-01-31T12:00:00.000000Z",
        rest: String =
            #""project": {"id": "p1", "name": "A", "domain": {"id": "default", "name": "Default"}}, "#
            + #""roles": [{"id": "r1", "name": "member"}, {"id": "r2", "name": "reader"}]"#
    ) -> String {
        #"{"token": {"methods": ["password"], "audit_ids": ["x"], "is_domain": false, "user": {\#(user)}, "#
            + #""issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "\#(expires)", \#(rest)}}"#
    }

    @Test func `a project's token has its user, project, roles and end`() throws {
        let token = try #require(read(document()))
        #expect(token.expiresAt == 1_896_091_200)
        #expect(token.identity.expiresAt == 1_896_091_200)
        #expect(String(decoding: token.identity.userID, as: UTF8.self) == "u1")
        #expect(String(decoding: token.identity.userDomainName, as: UTF8.self) == "Default")
        #expect(String(decoding: token.identity.projectID, as: UTF8.self) == "p1")
        #expect(token.identity.roles == ["member", "reader"])
        #expect(!token.identity.isAdmin)
        #expect(token.identity.accessRules == nil)
    }

    @Test(arguments: [
        #""roles": []"#, #""domain": {"id": "d", "name": "D"}, "roles": [{"name": "admin"}]"#,
        #""system": {"all": true}, "roles": [{"name": "admin"}]"#, #""methods": ["password"]"#,
    ])
    func `a token of no project has none`(_ rest: String) throws {
        let token = try #require(read(document(rest: rest)))
        #expect(token.identity.projectID.isEmpty)
        #expect(token.identity.isAdmin == rest.contains("admin"))
    }

    @Test func `the access rules of an application credential come along, an empty list too`() throws {
        let rule = #"{"id": "1", "service": "compute", "method": "GET", "path": "/v2.1/servers"}"#
        let rules = #""application_credential": {"id": "c", "access_rules": [\#(rule)]}, "roles": []"#
        #expect(try #require(read(document(rest: rules))).identity.accessRules?.count == 1)
        let none = #""application_credential": {"id": "c", "access_rules": []}, "roles": []"#
        #expect(try #require(read(document(rest: none))).identity.accessRules == [])
        let free = #""application_credential": {"id": "c", "restricted": true}, "roles": []"#
        #expect(try #require(read(document(rest: free))).identity.accessRules == nil)
    }

    @Test func `by what a token was got comes along`() throws {
        let credential = #""application_credential": {"id": "c1", "name": "robot", "restricted": true}, "#
        let trust = #""OS-TRUST:trust": {"id": "t1", "impersonation": true, "trustee_user": {"id": "u9"}}"#
        let federation =
            #""id": "u1", "name": "a", "OS-FEDERATION": {"identity_provider": {"id": "idp"}, "groups": []}"#
        let text = document(user: federation, rest: credential + trust)
        let origin = try #require(read(text)?.identity.origin)
        let found = [
            origin.methods, origin.auditID, origin.applicationCredentialID, origin.applicationCredentialName,
            origin.trustID, origin.trusteeUserID, origin.identityProvider,
        ].map { String(decoding: $0, as: UTF8.self) }
        #expect(found == ["password", "x", "c1", "robot", "t1", "u9", "idp"])
        #expect(read(document())?.identity.origin?.trustID == [])
    }

    @Test(arguments: [
        #""application_credential": {"id": 7}"#, #""OS-TRUST:trust": "t1""#, #""OS-TRUST:trust": []"#,
        #""application_credential": {"id": "c", "name": "a\u0000b"}"#,
        #""application_credential": {"id": "\#(String(repeating: "x", count: 300))"}"#,
    ])
    func `a token whose origin has another form is good without it`(_ rest: String) throws {
        let identity = try #require(read(document(rest: rest + #", "roles": []"#)), "\(rest)").identity
        #expect(identity.origin?.applicationCredentialName ?? [] == [])
        #expect(identity.origin?.trustID ?? [] == [])
    }

    @Test(arguments: [
        "", "{", "[]", "null", "<html></html>", #"{"token": {}}"#, #"{"error": {"code": 404}}"#,
        #"{"token": {"user": {"id": "u"}}}"#, #"{"token": null}"#,
    ])
    func `what is no token's document gives nothing`(_ text: String) { #expect(read(text) == nil) }

    @Test func `a value that could not travel on gives nothing`() {
        for user in [#""id": """#, #""id": "a\r\nX-Roles: admin""#, #""id": 7"#, #""name": "n""#] {
            #expect(read(document(user: user)) == nil, "\(user)")
        }
        let long = String(repeating: "x", count: 256)
        #expect(read(document(user: #""id": "\#(long)""#)) == nil)
        for role in ["", "a,admin", "a\\nb"] {
            #expect(read(document(rest: #""roles": [{"name": "\#(role)"}]"#)) == nil, "\(role)")
        }
        #expect(read(document(rest: #""project": {"id": ""}, "roles": []"#)) == nil)
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2030-01-31T12:00:00Z", 1_896_091_200),
        ("2030-01-31T12:00:00.999999Z", 1_896_091_200), ("2024-02-29T00:00:00.0Z", 1_709_164_800),
    ])
    func `moments of Keystone are seconds since 1970`(_ text: String, _ seconds: Int64) {
        #expect(UTCTime.seconds(text.utf8) == seconds)
    }

    @Test(arguments: [
        "", "2030-01-31", "2030-01-31T12:00:00", "2030-01-31T12:00:00+00:00", "2030-02-30T12:00:00Z",
        "2023-02-29T00:00:00Z", "2030-01-31T24:00:00Z", "2030-01-31T12:60:00Z", "2030-01-31T12:00:00.Z",
        "2030-01-31T12:00:00.1x2Z", "1969-12-31T23:59:59Z", "2030-01-31T12:00:00.00000000000000000000000Z",
    ])
    func `other forms of moments are none`(_ text: String) { #expect(UTCTime.seconds(text.utf8) == nil) }
}

struct AccessRuleTests {
    /// Patterns, paths and whether keystonemiddleware's reading lets them pass.
    @Test(arguments: [
        ("/v2.1/servers", "/v2.1/servers", true), ("/v2.1/servers", "/v2.1/servers/", false),
        ("/v2.1/servers", "/v2.1/server", false), ("/v2.1/servers", "/v2.1/serversx", false),
        ("/v2.1/servers/*", "/v2.1/servers/1", true), ("/v2.1/servers/*", "/v2.1/servers/", false),
        ("/v2.1/servers/*", "/v2.1/servers/1/ips", false), ("/v2.1/servers/{id}", "/v2.1/servers/1", true),
        ("/v2.1/*/servers/{server_id}/ips", "/v2.1/p/servers/1/ips", true),
        ("/v2.1/**", "/v2.1/servers/1/ips", true), ("/v2.1/**", "/v2.1/", true), ("/v2.1/**", "/v2/x", false),
        ("**", "/anything/at/all", true), ("/a**z", "/abc/xyz", true), ("/a**z", "/abc/xy", false),
        ("/v2.1/servers", "/v2x1/servers", true), ("/a*c", "/abc", true), ("/a*c", "/ac", false),
        ("/a*c", "/a/c", false), ("", "", true), ("", "/", false),
    ])
    func `a rule's pattern takes what it names`(_ pattern: String, _ path: String, _ isAllowed: Bool) {
        let rule = AccessRule(service: "compute", method: "GET", path: pattern)
        let found = withBytes("GET") { method in
            withBytes(path) { rule.allows(service: "compute", method: method, path: $0) }
        }
        #expect(found == isAllowed)
    }

    @Test func `another service or method is another rule`() {
        let rule = AccessRule(service: "compute", method: "GET", path: "/v2.1/servers")
        for (service, method) in [("image", "GET"), ("compute", "POST"), ("compute", "get"), ("", "GET")] {
            let found = withBytes(method) { method in
                withBytes("/v2.1/servers") { rule.allows(service: service, method: method, path: $0) }
            }
            #expect(!found, "\(service) \(method)")
        }
    }

    @Test func `a pattern of many wildcards costs no more than its length times the path's`() {
        let rule = AccessRule(
            service: "compute", method: "GET", path: String(repeating: "**a", count: 70) + "b")
        let found = withBytes("GET") { method in
            withBytes("/" + String(repeating: "a", count: 8_000)) {
                rule.allows(service: "compute", method: method, path: $0)
            }
        }
        #expect(!found)
    }
}
