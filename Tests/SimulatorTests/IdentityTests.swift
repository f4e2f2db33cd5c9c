import Testing

@testable import compute_simulator

struct IdentityTests {
    private func password(_ user: String, _ word: String, scope: String) -> String {
        """
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "\(user)", \
        "domain": {"name": "Default"}, "password": "\(word)"}}}, "scope": \(scope)}}
        """
    }

    private let demoScope = "{\"project\": {\"name\": \"demo\", \"domain\": {\"id\": \"default\"}}}"

    @Test func `a password gives a scoped token that the compute API takes`() throws {
        let fixture = CloudFixture()
        let issued = fixture.identify(
            "POST", "/v3/auth/tokens", body: password("demo", "secret", scope: demoScope))
        #expect(issued.status == 201)
        let token = try #require(issued.value("X-Subject-Token"))
        #expect(issued.json?["token"]?["project"]?["id"]?.string == Seed.demoProject)
        let compute = issued.json?["token"]?["catalog"]?.array?.first { $0["type"]?.string == "compute" }
        #expect(
            compute?["endpoints"]?.array?.first?["url"]?.string
                == "http://compute.example/v2.1/\(Seed.demoProject)")
        #expect(fixture.ask("GET", "/servers", token: token).status == 200)
        fixture.pass(seconds: 3601)
        #expect(fixture.ask("GET", "/servers", token: token).status == 401)
    }

    @Test func `wrong names, words and scopes are all the same 401`() {
        let fixture = CloudFixture()
        let otherScope = "{\"project\": {\"id\": \"\(Seed.otherProject)\"}}"
        for body in [
            password("demo", "wrong", scope: demoScope), password("nobody", "secret", scope: demoScope),
            password("demo", "secret", scope: otherScope),
        ] {
            let response = fixture.identify("POST", "/v3/auth/tokens", body: body)
            #expect(response.status == 401)
            #expect(response.message == "The request you have made requires authentication.")
        }
        #expect(fixture.identify("POST", "/v3/auth/tokens", body: "{").status == 400)
    }

    @Test func `a token and an application credential give tokens too`() {
        let fixture = CloudFixture()
        let byToken =
            "{\"auth\": {\"identity\": {\"methods\": [\"token\"], \"token\": {\"id\": \"demo\"}}, "
            + "\"scope\": \(demoScope)}}"
        #expect(fixture.identify("POST", "/v3/auth/tokens", body: byToken).status == 201)
        let byCredential = """
            {"auth": {"identity": {"methods": ["application_credential"], "application_credential": \
            {"id": "demo-credential", "secret": "secret"}}}}
            """
        let issued = fixture.identify("POST", "/v3/auth/tokens", body: byCredential)
        #expect(issued.json?["token"]?["project"]?["name"]?.string == "demo")
    }

    @Test func `a token is validated by a service, and is gone once revoked`() {
        let fixture = CloudFixture()
        func validate(by caller: String, _ subject: String, query: String = "") -> Response {
            fixture.identify(
                "GET", "/v3/auth/tokens" + query,
                fields: [("X-Auth-Token", caller), ("X-Subject-Token", subject)])
        }
        let found = validate(by: "demo-admin", "other", query: "?nocatalog")
        #expect(found.status == 200)
        #expect(
            found.json?["token"]?["roles"]?.array?.compactMap { $0["name"]?.string } == ["member", "reader"])
        #expect(found.json?["token"]?["catalog"] == nil)
        #expect(validate(by: "demo", "demo").json?["token"]?["catalog"] != nil)
        #expect(validate(by: "demo", "other").status == 403)
        #expect(validate(by: "nope", "other").status == 401)
        #expect(validate(by: "demo-admin", "nope").status == 404)
        let revoked = fixture.identify(
            "DELETE", "/v3/auth/tokens",
            fields: [("X-Auth-Token", "demo-admin"), ("X-Subject-Token", "other")])
        #expect(revoked.status == 204)
        #expect(validate(by: "demo-admin", "other").status == 404)
    }

    @Test func `an expired token can be asked for within two days`() {
        let fixture = CloudFixture()
        let issued = fixture.identify(
            "POST", "/v3/auth/tokens", body: password("demo", "secret", scope: demoScope))
        let fields = [
            (name: "X-Auth-Token", value: "demo-admin"),
            (name: "X-Subject-Token", value: issued.value("X-Subject-Token") ?? ""),
        ]
        fixture.pass(seconds: 4000)
        #expect(fixture.identify("GET", "/v3/auth/tokens", fields: fields).status == 404)
        #expect(fixture.identify("GET", "/v3/auth/tokens?allow_expired=1", fields: fields).status == 200)
        fixture.pass(seconds: 180_000)
        #expect(fixture.identify("GET", "/v3/auth/tokens?allow_expired=1", fields: fields).status == 404)
    }

    @Test func `images and networks are found by name`() {
        let fixture = CloudFixture()
        let token = [(name: "X-Auth-Token", value: "demo")]
        let images = fixture.identify("GET", "/image/v2/images?name=\(Seed.imageName)", fields: token)
        #expect(images.count(of: "images") == 1)
        #expect(
            fixture.identify("GET", "/network/v2.0/networks?name=private", fields: token).count(
                of: "networks") == 1)
        #expect(
            fixture.identify("GET", "/network/v2.0/networks?name=none", fields: token).count(of: "networks")
                == 0)
        #expect(fixture.identify("GET", "/network/v2.0/networks").status == 401)
        #expect(fixture.identify("GET", "/").status == 300)
        #expect(fixture.identify("GET", "/v3").json?["version"]?["id"]?.string == "v3.14")
    }

    @Test func `the fixed tokens are those of the example settings`() throws {
        let cloud = CloudFixture().cloud
        for (name, user, project, roles) in [
            (
                "demo", "0ca8f6a31d5a4e52a5d3a3e8f9a1c001", "6f70656e737461636b20342065766572",
                ["member", "reader"]
            ),
            (
                "demo-admin", "0ca8f6a31d5a4e52a5d3a3e8f9a1c002", "6f70656e737461636b20342065766572",
                ["admin", "member", "reader"]
            ),
            (
                "other", "0ca8f6a31d5a4e52a5d3a3e8f9a1c003", "b322a85578de48beba0f92acce57869b",
                ["member", "reader"]
            ),
        ] {
            let token = try #require(cloud.tokens[name])
            #expect(token.user == user)
            #expect(token.project == project)
            #expect(token.roles == roles)
            #expect(cloud.users[user] != nil)
        }
    }
}
