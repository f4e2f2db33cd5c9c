import Testing

@testable import compute_simulator

/// What a service that checks tokens asks of Keystone, and what it is told.
struct TokenTests {
    private let fixture = CloudFixture()
    private var cloud: Cloud { fixture.cloud }

    /// The token of the service user `nova`, got with its password.
    private func ownToken() throws -> String {
        let body = """
            {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "nova", \
            "domain": {"id": "default"}, "password": "secret"}}}, "scope": {"project": {"name": "service", \
            "domain": {"name": "Default"}}}}}
            """
        let issued = fixture.identify("POST", "/v3/auth/tokens?nocatalog", body: body)
        #expect(issued.status == 201)
        #expect(issued.json?["token"]?["catalog"] == nil)
        return try #require(issued.value("X-Subject-Token"))
    }

    private func validate(
        _ subject: String, by own: String, method: String = "GET", query: String = "?nocatalog",
        understandsRules: String? = "1"
    ) -> Response {
        var fields = [(name: "X-Auth-Token", value: own), (name: "X-Subject-Token", value: subject)]
        if let understandsRules { fields.append(("OpenStack-Identity-Access-Rules", understandsRules)) }
        return fixture.identify(method, "/v3/auth/tokens" + query, fields: fields)
    }

    private func add(
        _ text: String, scope: Token.Scope = .project(CloudFixture.demo), roles: [String] = ["member"],
        seconds: Double = 60, rules: [AccessRule]? = nil
    ) {
        let credential = rules.map {
            ApplicationCredential(
                id: "c1", name: "narrow", secret: "", project: CloudFixture.demo, accessRules: $0)
        }
        _ = cloud.issue(
            user: Seed.userID("demo"), scope: scope, roles: roles, methods: ["password"], now: fixture.now,
            expires: fixture.now.adding(seconds: seconds), id: text, credential: credential)
    }

    @Test func `the service user validates any token and fetches any project`() throws {
        let own = try ownToken()
        let answer = validate("demo", by: own)
        #expect(answer.status == 200)
        #expect(answer.value("X-Subject-Token") == "demo")
        #expect(answer.value("Content-Type") == "application/json")
        #expect(answer.json?["token"]?["user"]?["name"]?.string == "demo")
        #expect(validate("demo", by: own, method: "HEAD").status == 200)
        let project = fixture.identify(
            "GET", "/v3/projects/\(Seed.otherProject)", fields: [("X-Auth-Token", own)])
        #expect(project.json?["project"]?["name"]?.string == "other")
        let missing = fixture.identify(
            "GET", "/v3/projects/00000000000000000000000000000000", fields: [("X-Auth-Token", own)])
        #expect(missing.status == 404)
        #expect(
            missing.text == "{\"error\":{\"code\":404,\"message\":\"Could not find project: "
                + "00000000000000000000000000000000.\",\"title\":\"Not Found\"}}\n")
    }

    @Test func `who may not ask is told 403, there or not`() {
        for project in [Seed.otherProject, "00000000000000000000000000000000"] {
            let answer = fixture.identify(
                "GET", "/v3/projects/\(project)", fields: [("X-Auth-Token", "demo")])
            #expect(answer.status == 403)
        }
        #expect(
            fixture.identify("GET", "/v3/projects/\(Seed.demoProject)", fields: [("X-Auth-Token", "demo")])
                .status == 200)
        #expect(validate("nobody's", by: "demo").status == 403)
    }

    @Test func `an own token that is unknown, expired or revoked is 401 and names the service`() throws {
        add("short", roles: ["admin"], seconds: 1)
        let revoked = try ownToken()
        cloud.tokens[revoked]?.isRevoked = true
        #expect(validate("demo", by: "short").status == 200)
        fixture.pass(seconds: 2)
        for own in ["nobody's", "short", revoked] {
            let answer = validate("demo", by: own)
            #expect(answer.status == 401)
            #expect(answer.value("WWW-Authenticate") == "Keystone uri=\"http://id.example/v3\"")
        }
    }

    @Test func `a subject that is unknown, expired, revoked or missing is 404 in Keystone's words`() throws {
        let own = try ownToken()
        add("ended", seconds: -5)
        add("revoked")
        cloud.tokens["revoked"]?.isRevoked = true
        for (subject, message) in [
            ("nobody's", "Could not recognize Fernet token"), ("ended", "Failed to validate token"),
            ("revoked", "Failed to validate token"), ("", "No token in the request"),
        ] {
            let answer = validate(subject, by: own)
            #expect(answer.status == 404)
            #expect(answer.message == message)
        }
    }

    @Test(arguments: [
        ("?nocatalog&allow_expired=1", 200), ("?allow_expired=true", 200), ("?allow_expired=0", 404),
        ("?nocatalog", 404),
    ])
    func `an expired token is fetched only by those who take expired ones`(query: String, status: Int) throws
    {
        let own = try ownToken()
        add("ended", seconds: -5)
        let answer = validate("ended", by: own, query: query)
        #expect(answer.status == status)
        if status == 200 {
            #expect(
                answer.json?["token"]?["expires_at"]?.string == fixture.now.adding(seconds: -5).tokenText)
        }
        cloud.tokens["ended"]?.isRevoked = true
        #expect(validate("ended", by: own, query: query).status == 404)
    }

    @Test func `a token with access rules is known only to those who understand them`() throws {
        let own = try ownToken()
        add("narrow", rules: [AccessRule(service: "compute", method: "GET", path: "/v2.1/servers")])
        for understands in [nil, "0.5", "yes"] {
            #expect(validate("narrow", by: own, understandsRules: understands).status == 404)
        }
        let credential = validate("narrow", by: own).json?["token"]?["application_credential"]
        #expect(credential?["restricted"]?.bool == true)
        let rule = credential?["access_rules"]?.array?.first
        #expect(rule?["service"]?.string == "compute")
        #expect(rule?["method"]?.string == "GET")
        #expect(rule?["path"]?.string == "/v2.1/servers")
        add("open", rules: [])
        let open = validate("open", by: own).json?["token"]?["application_credential"]
        #expect(open?["id"]?.string == "c1")
        #expect(open?["access_rules"] == nil)
    }

    @Test func `each scope has its own members`() throws {
        let own = try ownToken()
        add("nothing", scope: .unscoped, roles: [])
        add("domain", scope: .domain, roles: ["admin"])
        add("system", scope: .system, roles: ["reader"])
        let rows: [(String, [String])] = [
            ("nothing", []), ("domain", ["domain", "roles"]), ("system", ["roles", "system"]),
            ("demo", ["project", "is_domain", "roles"]),
        ]
        for (text, members) in rows {
            let token = validate(text, by: own).json?["token"]
            let names = token?.members?.map(\.0) ?? []
            #expect(
                names == ["methods", "user", "audit_ids", "expires_at", "issued_at"] + members, "\(text)")
        }
        #expect(validate("system", by: own).json?["token"]?["system"]?["all"]?.bool == true)
        #expect(fixture.ask("GET", "/v2.1/servers", token: "system").status == 403)
        #expect(fixture.ask("GET", "/servers", token: "nothing").status == 400)
    }

    @Test func `an administrator may ask for a token of the domain or of the system`() {
        for (user, scope, status) in [
            ("admin", "{\"system\": {\"all\": true}}", 201),
            ("admin", "{\"domain\": {\"id\": \"default\"}}", 201),
            ("demo", "{\"system\": {\"all\": true}}", 401), ("admin", "{\"domain\": {\"id\": \"x\"}}", 401),
        ] {
            let body = """
                {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "\(user)", \
                "domain": {"name": "Default"}, "password": "secret"}}}, "scope": \(scope)}}
                """
            #expect(fixture.identify("POST", "/v3/auth/tokens", body: body).status == status)
        }
    }

    @Test func `an application credential is named by its id, or by name and user, and has no scope`() throws
    {
        cloud.users[Seed.userID("demo")]?.credentials.append(
            ApplicationCredential(
                id: "c2", name: "narrow", secret: "s", project: CloudFixture.demo,
                accessRules: [AccessRule(service: "compute", method: "GET", path: "/v2.1/**")]))
        func issue(_ credential: String, more: String = "") -> Response {
            let body = """
                {"auth": {"identity": {"methods": ["application_credential"], "application_credential": \
                {\(credential)}}\(more)}}
                """
            return fixture.identify("POST", "/v3/auth/tokens", body: body)
        }
        let user = "\"user\": {\"name\": \"demo\", \"domain\": {\"id\": \"default\"}}"
        for good in [
            "\"id\": \"c2\", \"secret\": \"s\"", "\"name\": \"narrow\", \"secret\": \"s\", \(user)",
            "\"name\": \"narrow\", \"secret\": \"s\", \"user\": {\"id\": \"\(Seed.userID("demo"))\"}",
        ] {
            let token = issue(good).json?["token"]
            #expect(token?["methods"]?.array?.first?.string == "application_credential")
            #expect(token?["project"]?["id"]?.string == CloudFixture.demo)
            #expect(
                token?["application_credential"]?["access_rules"]?.array?.first?["path"]?.string == "/v2.1/**"
            )
        }
        for bad in [
            "\"id\": \"c2\", \"secret\": \"x\"", "\"id\": \"c3\", \"secret\": \"s\"",
            "\"name\": \"narrow\", \"secret\": \"s\"",
        ] {
            #expect(issue(bad).status == 401)
        }
        let scoped = issue(
            "\"id\": \"c2\", \"secret\": \"s\"",
            more: ", \"scope\": {\"project\": {\"id\": \"\(CloudFixture.demo)\"}}")
        #expect(scoped.status == 401)
        #expect(scoped.message?.hasSuffix("Application credentials cannot request a scope.") == true)
    }

    @Test func `a token got with a token ends with it`() {
        add("old", seconds: 30)
        let body =
            "{\"auth\": {\"identity\": {\"methods\": [\"token\"], \"token\": {\"id\": \"old\"}}, \"scope\": "
            + "{\"project\": {\"id\": \"\(CloudFixture.demo)\"}}}}"
        let issued = fixture.identify("POST", "/v3/auth/tokens", body: body)
        #expect(
            issued.json?["token"]?["expires_at"]?.string == fixture.now.adding(seconds: 30).tokenText)
    }

    @Test func `how long a new token is good can be set`() throws {
        cloud.tokenSeconds = 2
        let own = try ownToken()
        #expect(validate("demo", by: own).status == 200)
        fixture.pass(seconds: 3)
        #expect(validate("demo", by: own).status == 401)
    }

    @Test func `a request that is no request for a token says what is missing`() {
        for (body, missing) in [
            ("{}", "auth in request body"), ("{\"auth\": {}}", "identity in auth"),
            ("[", "auth in request body"),
        ] {
            let answer = fixture.identify("POST", "/v3/auth/tokens", body: body)
            #expect(answer.status == 400)
            #expect(answer.message?.hasPrefix("Expecting to find \(missing). ") == true)
        }
    }

    @Test func `compute takes an expired token only next to a service's token`() throws {
        let own = try ownToken()
        add("ended", seconds: -5)
        add("long gone", seconds: -172_801)
        for (user, service, status) in [
            ("demo", own, 200), ("ended", own, 200), ("long gone", own, 401), ("ended", nil, 401),
            ("ended", "demo", 401), ("demo", "", 200), ("demo", "demo", 401), ("demo", "nobody's", 401),
            ("demo", "ended", 401),
        ] {
            let fields = service.map { [(name: "X-Service-Token", value: $0)] } ?? []
            #expect(
                fixture.ask("GET", "/servers", token: user, fields: fields).status == status,
                "\(user) \(service ?? "alone")")
        }
    }
}
