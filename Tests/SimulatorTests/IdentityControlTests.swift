import Testing

@testable import compute_simulator

/// What tests can set and count of the identity service while it runs.
struct IdentityControlTests {
    /// Asks the identity service for one thing on a connection of its own.
    private func identify(
        _ running: RunningService, _ method: String, _ target: String, fields: String = "",
        content: String = "",
        seconds: Double = 10
    ) throws -> TestClient.Answer {
        let client = try running.connect(.identity)
        client.send(
            "\(method) \(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
                + "\(content.utf8.count)\r\n\(fields)\r\n\(content)")
        return client.readToEnd(seconds: seconds)
    }

    private func validate(
        _ running: RunningService, _ subject: String, query: String = "?nocatalog", seconds: Double = 10
    ) throws -> TestClient.Answer {
        try identify(
            running, "GET", "/v3/auth/tokens" + query,
            fields: "X-Auth-Token: demo-admin\r\nX-Subject-Token: \(subject)\r\n", seconds: seconds)
    }

    @Test func `requests are counted by kind, by answer and by token`() throws {
        let running = try RunningService()
        for subject in ["demo", "demo", "other", "nobody's"] { _ = try validate(running, subject) }
        _ = try validate(running, "demo", query: "?nocatalog&allow_expired=1")
        _ = try identify(running, "POST", "/v3/auth/tokens", content: "{}")
        let own = "X-Auth-Token: demo-admin\r\n"
        _ = try identify(running, "HEAD", "/v3/auth/tokens", fields: own + "X-Subject-Token: demo\r\n")
        _ = try identify(running, "GET", "/v3/projects/\(Seed.otherProject)", fields: own)
        _ = try identify(running, "DELETE", "/v3/auth/tokens", fields: own + "X-Subject-Token: other\r\n")
        _ = try identify(running, "GET", "/v3")
        let counts = try running.control("GET", "/identity")
        let requests = counts?["requests"]
        for (kind, count) in [
            ("validate", 4), ("validate_expired", 1), ("check", 1), ("issue", 1), ("revoke", 1),
            ("project", 1), ("other", 1),
        ] {
            #expect(requests?[kind]?.integer == count, "\(kind)")
        }
        #expect(counts?["answers"]?["validate"]?["200"]?.integer == 3)
        #expect(counts?["answers"]?["validate"]?["404"]?.integer == 1)
        #expect(counts?["answers"]?["issue"]?["400"]?.integer == 1)
        #expect(counts?["subjects"]?.integer == 3)
        _ = try running.control("DELETE", "/requests")
        #expect(try running.control("GET", "/identity")?["requests"]?["validate"]?.integer == 0)
    }

    @Test func `tokens of every kind can be added`() throws {
        let running = try RunningService()
        let made = try running.control(
            "POST", "/tokens",
            """
            [{"token": "t1", "project": "red", "roles": ["admin"]}, {"token": "t2", "domain": true}, \
            {"token": "t3", "system": true}, {"token": "t4"}, {"token": "t5", "project": "demo", "expires_in": -9}, \
            {"token": "t6", "project": "demo", "access_rules": [{"service": "compute", "method": "GET", \
            "path": "/v2.1/servers"}]}, {"user": "new", "project": "demo"}]
            """)?["tokens"]?.array
        #expect(made?.count == 7)
        for (subject, status, part) in [
            ("t1", 200, "\"name\": \"red\""), ("t2", 200, "\"domain\": {\"id\""), ("t3", 200, "\"system\""),
            ("t4", 200, "\"issued_at\""), ("t5", 404, "Failed to validate"),
            ("t6", 404, "Failed to validate"),
            (made?.last?["token"]?.string ?? "", 200, "\"name\": \"new\""),
        ] {
            let answer = try validate(running, subject)
            #expect(answer.status == status, "\(subject)")
            #expect(answer.text.contains(part), "\(subject)")
        }
        #expect(try validate(running, "t5", query: "?allow_expired=1").status == 200)
    }

    @Test func `users with credentials can be added, and how long tokens are good set`() throws {
        let running = try RunningService()
        _ = try running.control(
            "POST", "/users",
            """
            {"name": "robot", "password": "p", "roles": {"demo": ["member"]}, "credentials": [{"id": "c9", \
            "secret": "s", "project": "demo", "access_rules": []}]}
            """)
        _ = try running.control("PUT", "/settings", "{\"token_seconds\": 0.001}")
        let issued = try identify(
            running, "POST", "/v3/auth/tokens",
            content: """
                {"auth": {"identity": {"methods": ["application_credential"], "application_credential": \
                {"id": "c9", "secret": "s"}}}}
                """)
        #expect(issued.status == 201)
        let line = issued.text.split(separator: "\r\n").first { $0.hasPrefix("X-Subject-Token: ") }
        let token = try #require(line?.dropFirst("X-Subject-Token: ".count))
        var status = 200
        for _ in 0..<1000 where status == 200 { status = try validate(running, String(token)).status }
        #expect(status == 404)
    }

    @Test(arguments: [
        ("/tokens", "{}", "a list of at most 1000 tokens is expected"),
        ("/tokens", "[{\"roles\": \"a\"}]", "\"roles\" is a list of strings"),
        ("/tokens", "[{\"expires_in\": 1e300}]", "\"expires_in\" is at most 3153600000 seconds away"),
        ("/tokens", "[{\"access_rules\": [{}]}]", "an access rule has service, method and path"),
        ("/users", "{}", "\"name\" is the user's name"),
        ("/users", "{\"name\": \"a\", \"credentials\": [{}]}", "a credential has id, secret and project"),
    ])
    func `a wrong control request is named`(path: String, body: String, mistake: String) throws {
        let running = try RunningService()
        #expect(try running.control("POST", path, body)?["error"]?.string == mistake)
    }

    @Test(arguments: [
        "{}", "{\"token_seconds\": 0}", "{\"transition_seconds\": -1}", "{\"token_seconds\": \"a\"}",
    ])
    func `settings out of range are refused`(body: String) throws {
        let running = try RunningService()
        #expect(try running.control("PUT", "/settings", body)?["error"] != nil)
    }

    private static let faults: [(rule: String, status: Int, parts: [String])] = [
        (
            "\"action\": \"status\", \"status\": 429, \"fields\": [[\"Retry-After\", \"7\"]]", 429,
            ["\r\nRetry-After: 7\r\n", "{\"error\":{\"code\":429,", "\r\nx-openstack-request-id: req-"]
        ),
        ("\"action\": \"status\", \"status\": 500", 500, ["\"title\":\"Internal Server Error\"}}\n"]),
        ("\"action\": \"unauthorized\"", 401, ["WWW-Authenticate: Keystone uri=\"http://127.0.0.1:"]),
        (
            "\"action\": \"override_fields\", \"fields\": [[\"content-type\", \"text/html\"]]", 200,
            ["\r\ncontent-type: text/html\r\n", "{\"token\": {"]
        ),
        (
            "\"action\": \"pad\", \"bytes\": 100000", 200,
            ["{\"token\": {", String(repeating: " ", count: 100_000)]
        ),
        (
            "\"action\": \"chunked\", \"bytes\": 16", 200,
            ["Transfer-Encoding: chunked\r\n", "\r\n\r\n10\r\n{\"token\": {\"meth\r\n", "\r\n0\r\n\r\n"]
        ),
        ("\"action\": \"literal\", \"status\": 200, \"content\": \"{\"", 200, ["Content-Length: 1\r\n"]),
        ("\"action\": \"html\", \"status\": 502", 502, ["<h1>502 Bad Gateway</h1>"]),
    ]

    @Test(arguments: faults.indices)
    func `an identity fault has Keystone's form and hits nothing else`(index: Int) throws {
        let (rule, status, parts) = Self.faults[index]
        let running = try RunningService()
        _ = try running.control(
            "PUT", "/faults",
            "[{\"match\": {\"listener\": \"identity\", \"method\": \"GET\", \"path\": \"/v3/auth/tokens\"}, "
                + "\"count\": 0, \(rule)}]")
        let spoiled = try validate(running, "demo")
        #expect(spoiled.status == status)
        for part in parts { #expect(spoiled.text.contains(part)) }
        #expect(try identify(running, "POST", "/v3/auth/tokens", content: "{}").status == 400)
        #expect(try running.ask("/v2.1/servers").status == 200)
        #expect(try running.control("GET", "/identity")?["requests"]?["validate"]?.integer == 1)
        _ = try running.control("DELETE", "/faults")
        let again = try validate(running, "demo")
        #expect(again.status == 200)
        #expect(again.text.hasSuffix("}}"))
        #expect(again.text.contains("\r\nContent-Type: application/json\r\n"))
    }

    @Test func `a fault may be for one token alone`() throws {
        let running = try RunningService()
        _ = try running.control(
            "PUT", "/faults",
            "[{\"match\": {\"listener\": \"identity\", \"field\": \"x-subject-token: other\"}, \"count\": 0, "
                + "\"action\": \"hang\"}]")
        #expect(try validate(running, "demo").status == 200)
        #expect(try validate(running, "other", seconds: 0.1).end == .silence)
    }
}
