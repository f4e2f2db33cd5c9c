import Testing

@testable import compute_simulator

struct NovaRuleTests {
    @Test func `a request without a good token gets keystonemiddleware's 401`() {
        let fixture = CloudFixture()
        for token in [nil, "nope", "demo-"] as [String?] {
            let response = fixture.ask("GET", "/servers", token: token)
            #expect(response.status == 401)
            #expect(response.value("WWW-Authenticate") == "Keystone uri=\"http://127.0.0.1:15000\"")
            #expect(
                response.text
                    == "{\"error\": {\"code\": 401, \"title\": \"Unauthorized\", \"message\": "
                    + "\"The request you have made requires authentication.\"}}")
            #expect(response.value("Vary") == nil)
        }
        #expect(fixture.ask("GET", "/nope", token: nil).status == 401)
    }

    @Test(arguments: [
        ("GET", "/v2.1/zzz/servers", 404), ("GET", "/v2.1/ABC/servers", 404),
        ("GET", "/v2.1/abc/servers", 400),
        ("GET", "/servers/", 404), ("PATCH", "/servers", 404), ("DELETE", "/servers", 404),
        ("HEAD", "/servers", 404),
        ("OPTIONS", "/servers", 200), ("GET", "/v2.1/nope", 404), ("GET", "/v2.1/servers", 200),
        ("GET", "/v2.1", 200),
        ("GET", "/v2/", 200), ("GET", "/", 200), ("GET", "/v3/servers", 300), ("GET", "/os-cells", 410),
        ("GET", "/os-hypervisors", 403), ("GET", "/os-keypairs", 200), ("GET", "/limits", 200),
        ("GET", "/images", 200),
    ])
    func `routes answer as Nova's do`(method: String, path: String, status: Int) {
        #expect(CloudFixture().ask(method, path).status == status)
    }

    @Test func `a route that is missing gets WebOb's page in the form of Accept`() {
        let nova = CloudFixture().nova
        let now = Moment(seconds: 1_790_000_000)
        func page(_ accept: String?) -> Response {
            let lines =
                [(name: "X-Auth-Token", value: "demo")] + (accept.map { [(name: "Accept", value: $0)] } ?? [])
            return nova.answer(Request("GET", "/v2.1/nope", lines), now: now)
        }
        #expect(page(nil).value("Content-Type") == "text/plain; charset=UTF-8")
        #expect(page(nil).content.count == 52)
        #expect(page("*/*").value("Content-Type") == "text/html; charset=UTF-8")
        #expect(page("text/html").content.count == 154)
        #expect(page("application/json").value("Content-Type") == "application/json")
        #expect(page("application/json").content.count == 112)
    }

    @Test(arguments: [
        ("compute 2.90", 200, "compute 2.90"), ("compute latest", 200, "compute 2.104"),
        ("2.60", 200, "compute 2.1"),
        ("compute2.60", 200, "compute 2.1"), ("identity 3.10, compute 2.60", 200, "compute 2.60"),
        ("compute 2.60, compute 2.70", 200, "compute 2.70"), ("compute 2.105", 406, "compute 2.105"),
        ("compute 3.0", 406, "compute 3.0"), ("compute 2.01", 400, nil), ("compute LATEST", 400, nil),
        ("compute 2", 400, nil), ("compute 2.99999999999999999999", 406, "compute 2.99999999999999999999"),
    ])
    func `the version field resolves as Nova resolves it`(value: String, status: Int, echo: String?) {
        let response = CloudFixture().ask(
            "GET", "/servers?limit=1", fields: [("OpenStack-API-Version", value)])
        #expect(response.status == status)
        #expect(response.value("OpenStack-API-Version") == echo)
    }

    @Test func `the older version neither reads nor gives version fields`() {
        let response = CloudFixture().ask("GET", "/v2/\(CloudFixture.demo)/servers", version: "2.999")
        #expect(response.status == 200)
        #expect(response.value("OpenStack-API-Version") == nil)
        #expect(response.value("Vary") == nil)
    }

    @Test func `checks come in Nova's order`() {
        let fixture = CloudFixture()
        let large = String(repeating: " ", count: Nova.contentLimit + 1)
        #expect(fixture.ask("POST", "/servers", token: "nope", body: large).status == 413)
        #expect(fixture.ask("GET", "/nope?limit=abc", token: "nope").status == 401)
        #expect(fixture.ask("GET", "/nope", version: "2.999").status == 404)
        #expect(fixture.ask("POST", "/v2.1/abc/servers", version: "2.999", body: "{").status == 406)
        #expect(fixture.ask("POST", "/v2.1/abc/servers", body: "{").message == "Malformed request body")
        #expect(fixture.ask("GET", "/servers?all_tenants=1&limit=abc").status == 400)
        #expect(fixture.ask("GET", "/servers?all_tenants=1&marker=nope").status == 403)
        #expect(
            fixture.ask("GET", "/servers", fields: [("Content-Type", "application/xml")]).message
                == "Unsupported Content-Type")
    }

    @Test func `keypairs are made once, shown, listed and removed`() {
        let fixture = CloudFixture()
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl bed"
        let body = "{\"keypair\": {\"name\": \"k\", \"public_key\": \"\(key)\"}}"
        let made = fixture.ask("POST", "/os-keypairs", version: "2.2", body: body)
        #expect(made.status == 201)
        // The fingerprint that a running Nova gave for this key.
        #expect(
            made.json?["keypair"]?["fingerprint"]?.string == "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd"
        )
        #expect(fixture.ask("POST", "/os-keypairs", body: body).status == 409)
        #expect(fixture.ask("GET", "/os-keypairs").count(of: "keypairs") == 1)
        #expect(fixture.ask("GET", "/os-keypairs", token: "demo-admin").count(of: "keypairs") == 0)
        #expect(fixture.ask("DELETE", "/os-keypairs/k", version: "2.10").status == 204)
        #expect(fixture.ask("GET", "/os-keypairs/k").status == 404)
        #expect(
            fixture.ask(
                "POST", "/os-keypairs", body: "{\"keypair\": {\"name\": \"k\", \"public_key\": \"bad\"}}"
            ).message
                == "Keypair data is invalid: failed to generate fingerprint")
    }

    @Test func `a reader may read and not write`() {
        let fixture = CloudFixture()
        #expect(
            Seed.addToken(
                fixture.cloud, specification: "reading:demo:reader", serverCount: 0, now: fixture.now))
        #expect(fixture.ask("GET", "/servers", token: "reading").status == 200)
        let id = fixture.cloud.serversByProject[CloudFixture.demo]![0].id
        let refused = fixture.ask("DELETE", "/servers/\(id)", token: "reading")
        #expect(refused.message == "Policy doesn't allow os_compute_api:servers:delete to be performed.")
    }
}
