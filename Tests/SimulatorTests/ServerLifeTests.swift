import Testing

@testable import compute_simulator

struct ServerLifeTests {
    @Test func `a created server builds, becomes active and then leaves`() {
        let fixture = CloudFixture()
        let id = fixture.create()
        #expect(fixture.status(of: id) == "BUILD")
        fixture.pass(seconds: 9)
        #expect(fixture.status(of: id) == "BUILD")
        fixture.pass(seconds: 2)
        #expect(fixture.status(of: id) == "ACTIVE")
        #expect(fixture.ask("DELETE", "/servers/\(id)").status == 204)
        #expect(
            fixture.ask("GET", "/servers/\(id)").json?["server"]?["OS-EXT-STS:task_state"]?.string
                == "deleting")
        fixture.pass(seconds: 11)
        let gone = fixture.ask("GET", "/servers/\(id)")
        #expect(gone.status == 404)
        #expect(gone.message == "Instance \(id) could not be found.")
        #expect(fixture.ask("GET", "/servers?marker=\(id)").status == 200)
    }

    @Test func `creation answers 202 with a location and a password`() {
        let fixture = CloudFixture()
        let body =
            "{\"server\": {\"name\": \"a\", \"flavorRef\": 1, \"imageRef\": "
            + "\"\(fixture.cloud.images[0].id)\", \"metadata\": {\"k\": \"v\"}}}"
        let response = fixture.ask("POST", "/servers", body: body)
        let server = response.json?["server"]
        #expect(response.status == 202)
        #expect(
            response.value("location")
                == "http://cloud.example:8774/v2.1/\(CloudFixture.demo)/servers/\(server?["id"]?.string ?? "")"
        )
        #expect(server?["adminPass"]?.string?.count == 12)
        #expect(
            server?.members?.map(\.0) == ["id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"])
    }

    @Test(arguments: [
        ("", "2.1", "None is not of type 'object'"), ("{", "2.1", "Malformed request body"),
        ("[]", "2.1", "[] is not of type 'object'"), ("{}", "2.1", "'server' is a required property"),
        (
            "{\"server\": []}", "2.1",
            "Invalid input for field/attribute server. Value: []. [] is not of type 'object'"
        ),
        (
            "{\"server\": {}}", "2.1",
            "Invalid input for field/attribute server. Value: {}. 'name' is a required property"
        ),
        (
            "{\"server\": {\"name\": 1}}", "2.1",
            "Invalid input for field/attribute name. Value: 1. 1 is not of type 'string'"
        ),
        (
            "{\"server\": {\"name\": \"n\", \"flavorRef\": 1.5}}", "2.1",
            "Invalid input for field/attribute flavorRef. Value: 1.5. 1.5 is not of type 'string', 'integer'"
        ),
        (
            "{\"server\": {\"name\": \"n\", \"flavorRef\": \"nope\"}}", "2.1",
            "Flavor nope could not be found."
        ),
        ("{\"server\": {\"name\": \"n\", \"flavorRef\": \"1\"}}", "2.1", "Missing imageRef attribute"),
    ])
    func `a wrong creation gets 400 in Nova's words`(body: String, version: String, message: String) {
        let response = CloudFixture().ask("POST", "/servers", version: version, body: body)
        #expect(response.status == 400)
        #expect(response.message == message)
    }

    @Test(arguments: [
        ("{\"os-stop\": null}", "SHUTOFF"), ("{\"pause\": null}", "PAUSED"),
        ("{\"suspend\": null}", "SUSPENDED"),
        ("{\"reboot\": {\"type\": \"SOFT\"}}", "ACTIVE"),
        ("{\"resize\": {\"flavorRef\": \"2\"}}", "VERIFY_RESIZE"),
        ("{\"shelve\": null}", "SHELVED_OFFLOADED"), ("{\"lock\": null}", "ACTIVE"),
    ])
    func `an action is accepted and ends in its status`(body: String, status: String) {
        let fixture = CloudFixture()
        let id = fixture.create()
        fixture.pass(seconds: 11)
        #expect(fixture.ask("POST", "/servers/\(id)/action", body: body).status == 202)
        fixture.pass(seconds: 11)
        #expect(fixture.status(of: id) == status)
    }

    @Test func `actions that do not fit are refused as Nova refuses them`() {
        let fixture = CloudFixture()
        let id = fixture.create()
        fixture.pass(seconds: 11)
        func act(_ body: String, token: String = "demo") -> Response {
            fixture.ask("POST", "/servers/\(id)/action", token: token, body: body)
        }
        #expect(
            act("{\"os-start\": null}").message
                == "Cannot 'start' instance \(id) while it is in vm_state active")
        #expect(act("{\"nope\": null}").message == "There is no such action: nope")
        #expect(act("{}").message == "Malformed request body")
        #expect(act("{\"os-stop\": null, \"pause\": null}").message == "Malformed request body")
        #expect(act("{\"os-resetState\": {\"state\": \"error\"}}").status == 403)
        #expect(act("{\"lock\": null}").status == 202)
        #expect(act("{\"os-stop\": null}").status == 409)
        #expect(act("{\"os-stop\": null}", token: "demo-admin").status == 202)
    }

    @Test func `a resize can be confirmed or taken back`() {
        for (action, status, flavor) in [("confirmResize", 204, "2"), ("revertResize", 202, "1")] {
            let fixture = CloudFixture()
            let id = fixture.create()
            fixture.pass(seconds: 11)
            _ = fixture.ask("POST", "/servers/\(id)/action", body: "{\"resize\": {\"flavorRef\": \"2\"}}")
            fixture.pass(seconds: 11)
            #expect(
                fixture.ask("POST", "/servers/\(id)/action", body: "{\"\(action)\": null}").status == status)
            fixture.pass(seconds: 11)
            let server = fixture.ask("GET", "/servers/\(id)").json?["server"]
            #expect(server?["flavor"]?["id"]?.string == flavor)
            #expect(server?["status"]?.string == "ACTIVE")
        }
    }

    @Test func `every action leaves a row in the action log under its request id`() {
        let fixture = CloudFixture()
        let id = fixture.create()
        fixture.pass(seconds: 11)
        let stopped = fixture.ask("POST", "/servers/\(id)/action", body: "{\"os-stop\": null}")
        let rows = fixture.ask("GET", "/servers/\(id)/os-instance-actions").json?["instanceActions"]?.array
        #expect(rows?.map { $0["action"]?.string } == ["stop", "create"])
        #expect(rows?.first?["request_id"]?.string == stopped.value("x-compute-request-id"))
    }

    @Test func `virtual interfaces have the members of their document`() {
        let fixture = CloudFixture(servers: 1)
        let server = fixture.cloud.serversByProject[CloudFixture.demo]![0]
        let interface = server.interfaces[0]
        #expect(
            fixture.ask("GET", "/servers/\(server.id)/os-virtual-interfacesv2").text == """
                {"virtual_interfaces": [{"id": "\(interface.port)", "ip_addresses": [{"address": \
                "\(interface.addresses[0].address)", "network_id": "\(interface.network)", "network_label": \
                "private"}], "mac_address": "\(interface.mac)"}]}
                """)
        #expect(fixture.ask("GET", "/servers/\(server.id)/os-virtual-interfaces").status == 410)
        #expect(fixture.ask("GET", "/servers/nope/os-virtual-interfacesv2").status == 404)
    }

    @Test func `a server of another project is not found, except by an administrator`() {
        let fixture = CloudFixture()
        let foreign = fixture.cloud.serversByProject[Seed.otherProject]![0].id
        #expect(fixture.ask("GET", "/servers/\(foreign)").status == 404)
        #expect(fixture.ask("GET", "/servers/\(foreign)", token: "demo-admin").status == 200)
    }

    @Test func `metadata and tags can be written, read and removed`() {
        let fixture = CloudFixture()
        let id = fixture.create()
        #expect(
            fixture.ask("POST", "/servers/\(id)/metadata", body: "{\"metadata\": {\"a\": \"1\"}}").text
                == "{\"metadata\": {\"a\": \"1\"}}")
        #expect(fixture.ask("GET", "/servers/\(id)/metadata/a").text == "{\"meta\": {\"a\": \"1\"}}")
        #expect(fixture.ask("DELETE", "/servers/\(id)/metadata/a").status == 204)
        #expect(fixture.ask("GET", "/servers/\(id)/metadata/a").message == "Metadata item was not found")
        #expect(fixture.ask("PUT", "/servers/\(id)/tags/blue", version: "2.26").status == 201)
        #expect(fixture.ask("GET", "/servers/\(id)/tags", version: "2.26").text == "{\"tags\": [\"blue\"]}")
        #expect(fixture.ask("GET", "/servers/\(id)/tags").status == 404)
    }
}
