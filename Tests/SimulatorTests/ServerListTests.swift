import Testing

@testable import compute_simulator

struct ServerListTests {
    @Test func `the list has the members, links and order of the list-servers document`() {
        let fixture = CloudFixture(servers: 1)
        let server = fixture.cloud.serversByProject[CloudFixture.demo]![0]
        let response = fixture.ask("GET", "/v2/\(CloudFixture.demo)/servers")
        let base = "http://cloud.example:8774"
        #expect(response.status == 200)
        #expect(
            response.text == """
                {"servers": [{"id": "\(server.id)", "name": "demo-web-0000", \
                "links": [{"rel": "self", "href": \
                "\(base)/v2/\(CloudFixture.demo)/servers/\(server.id)"}, {"rel": "bookmark", "href": \
                "\(base)/\(CloudFixture.demo)/servers/\(server.id)"}]}]}
                """)
    }

    @Test func `field lines of an answer come in Nova's order with two Vary lines`() {
        let names = CloudFixture().ask("GET", "/servers").fields.map(\.name)
        #expect(
            names == [
                "Content-Length", "Content-Type", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version",
                "Vary",
                "Vary", "x-openstack-request-id", "x-compute-request-id",
            ])
        let refused = CloudFixture().ask("GET", "/servers?limit=abc").fields.map(\.name)
        #expect(
            refused == [
                "OpenStack-API-Version", "X-OpenStack-Nova-API-Version", "Vary", "Vary", "Content-Type",
                "Content-Length", "x-openstack-request-id", "x-compute-request-id",
            ])
    }

    @Test func `the error example of the list-servers document has its length and message`() {
        let response = CloudFixture().ask("GET", "/v2/\(Seed.otherProject)/servers")
        #expect(response.status == 400)
        #expect(response.content.count == 188)
        #expect(response.value("Content-Type") == "application/json; charset=UTF-8")
        #expect(
            response.message
                == "Malformed request URL: URL's project_id '\(Seed.otherProject)' doesn't match "
                + "Context's project_id "
                + "'\(Seed.demoProject)'")
    }

    @Test func `pages follow their next links to the end without loss or repetition`() throws {
        let fixture = CloudFixture(servers: 7)
        var path: String? = "/v2.1/\(CloudFixture.demo)/servers?limit=3&bogus=1"
        var names: [String] = []
        var pageCount = 0
        while let next = path, pageCount < 10 {
            let json = try #require(fixture.ask("GET", next).json)
            names += (json["servers"]?.array ?? []).compactMap { $0["name"]?.string }
            path = json["servers_links"]?.array?.first?["href"]?.string.map {
                String($0.dropFirst("http://cloud.example:8774".count))
            }
            #expect(path?.contains("bogus") != true)
            pageCount += 1
        }
        #expect(pageCount == 3)
        #expect(names == (0..<7).reversed().map { "demo-web-000\($0)" })
    }

    @Test func `a page is at most max_limit long and then has a next link`() {
        let fixture = CloudFixture(servers: 12)
        fixture.cloud.maximumPage = 10
        let response = fixture.ask("GET", "/servers?limit=5000")
        #expect(response.count(of: "servers") == 10)
        #expect(response.count(of: "servers_links") == 1)
        #expect(fixture.ask("GET", "/servers?limit=0").text == "{\"servers\": []}")
    }

    @Test(arguments: [
        ("limit=", "2.1", 400, "Invalid input for query parameters limit. Value: . '' should be non-empty"),
        (
            "limit=-1", "2.1", 400,
            "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'"
        ),
        (
            "limit=1&limit=x", "2.1", 400,
            "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'"
        ),
        ("marker=nope", "2.1", 400, "marker [nope] not found"),
        ("name=%5B", "2.1", 400, "Invalid input for query parameters name. Value: [. '[' is not a 'regex'"),
        (
            "changes-since=1748736000", "2.1", 400,
            "Invalid input for query parameters changes-since. Value: 1748736000. '1748736000' is not a "
                + "'date-time'"
        ),
        ("status=%ff", "2.1", 400, "Query string is not UTF-8 encoded"),
        ("status=nope", "2.38", 400, "Invalid status value"),
        ("status=deleted", "2.1", 403, "Only administrators may list deleted instances"),
        (
            "all_tenants", "2.1", 403,
            "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed."
        ),
        ("sort_key=host", "2.1", 403, "Only administrators can sort servers by host"),
        (
            "sort_dir=ASC", "2.1", 400,
            "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'"
        ),
        ("foo=1", "2.75", 400, "'foo' does not match any of the regexes: '^_'"),
    ])
    func `a wrong query gets Nova's status and words`(
        query: String, version: String, status: Int, message: String
    ) {
        let response = CloudFixture().ask("GET", "/servers?" + query, version: version)
        #expect(response.status == status)
        #expect(response.message == message)
    }

    @Test(arguments: [
        ("limit=abc", "Invalid input received: limit must be an integer"),
        ("limit=-1", "Invalid input received: limit must be >= 0"),
    ])
    func `the older version has its own words for a wrong limit`(query: String, message: String) {
        #expect(CloudFixture().ask("GET", "/v2/\(CloudFixture.demo)/servers?" + query).message == message)
    }

    @Test(arguments: [
        ("status=active", 8), ("status=SHUTOFF", 1), ("status=nope", 0), ("status=active&status=shutoff", 9),
        ("name=web-000%5B12%5D", 2), ("name=WEB-0003", 1), ("flavor=1", 4), ("marker=", 10), ("Limit=1", 10),
        ("page_size=2", 10), ("changes-since=2024-01-01T01:00:00Z", 4), ("changes-since=2100", 0),
        ("host=host-1", 10),
    ])
    func `filters select what Nova selects for a member`(query: String, count: Int) {
        let fixture = CloudFixture(servers: 10)
        // One in another state than the seed gives, so that the status filters have something to leave out.
        fixture.cloud.serversByProject[CloudFixture.demo]![0].vmState = "stopped"
        fixture.cloud.serversByProject[CloudFixture.demo]![1].vmState = "suspended"
        #expect(fixture.ask("GET", "/servers?" + query).count(of: "servers") == count)
    }

    @Test func `an administrator sees all projects and other hosts`() {
        let fixture = CloudFixture(servers: 5)
        #expect(fixture.ask("GET", "/servers?all_tenants=1", token: "demo-admin").count(of: "servers") == 8)
        #expect(fixture.ask("GET", "/servers?host=host-1", token: "demo-admin").count(of: "servers") == 2)
        #expect(fixture.ask("GET", "/v2.1/\(Seed.otherProject)/servers", token: "demo-admin").status == 400)
        #expect(
            fixture.ask("GET", "/v2.1/\(Seed.otherProject)/servers", token: "other").count(of: "servers") == 3
        )
    }

    @Test func `links follow the forwarding fields of the request`() {
        let response = CloudFixture(servers: 1).ask(
            "GET", "/servers",
            fields: [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "public.example")])
        #expect(response.text.contains("\"href\": \"https://public.example/v2.1/"))
        #expect(!response.text.contains("cloud.example"))
    }

    @Test func `a detailed item grows with the microversion`() {
        let fixture = CloudFixture(servers: 1)
        func keys(_ version: String, token: String = "demo") -> [String] {
            let response = fixture.ask("GET", "/servers/detail", token: token, version: version)
            return response.json?["servers"]?.array?.first?.members?.map(\.0) ?? []
        }
        #expect(keys("2.1").last == "security_groups")
        #expect(!keys("2.1").contains("locked"))
        #expect(keys("2.90").contains("OS-EXT-SRV-ATTR:hostname"))
        #expect(!keys("2.90").contains("OS-EXT-SRV-ATTR:host"))
        #expect(keys("2.1", token: "demo-admin").contains("OS-EXT-SRV-ATTR:host"))
        let flavor = fixture.ask("GET", "/servers/detail", version: "2.47").json?["servers"]?.array?.first?[
            "flavor"]
        #expect(flavor?["original_name"]?.string == "m1.tiny")
    }
}
