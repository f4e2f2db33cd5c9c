import Testing

@testable import compute_simulator

struct FaultTests {
    private static let list = "/v2.1/\(Seed.demoProject)/servers?limit=1"

    @Test(arguments: [
        ("{}", "a JSON list of rules is expected"), ("[1]", "rule 1: a rule is an object"),
        ("[{\"action\": \"delay\", \"x\": 1}]", "rule 1: \"x\" is not known"),
        (
            "[{\"action\": \"delay\"}, {\"action\": \"status\", \"status\": 99}]",
            "rule 2: \"status\" is from 200 to 599"
        ),
        ("[{\"action\": \"delay\", \"delay_ms\": -1}]", "rule 1: \"delay_ms\" is not known or not a number"),
        (
            "[{\"action\": \"delay\", \"match\": {\"host\": \"a\"}}]",
            "rule 1: \"match\" has method, path, listener and field, not \"host\""
        ),
        (
            "[{\"action\": \"delay\", \"match\": {\"field\": \"a\"}}]",
            "rule 1: \"field\" is a line, Name: value"
        ),
        ("[{\"action\": \"pad\", \"bytes\": 67108865}]", "rule 1: \"bytes\" is at most 67108864"),
    ])
    func `a wrong rule is named and none is taken`(text: String, mistake: String) {
        #expect(throws: FaultRule.Mistake(text: mistake)) { try FaultPlan.read(Array(text.utf8)) }
    }

    @Test func `a rule waits for its turn, its requests and its count`() throws {
        var plan = FaultPlan()
        plan.add(
            try FaultPlan.read(
                Array(
                    ("[{\"match\": {\"method\": \"GET\", \"path\": \"/a\"}, \"skip\": 1, \"count\": 2, "
                        + "\"action\": \"hang\"}]").utf8)))
        func take(_ method: String, _ target: String) -> Bool {
            plan.take(for: RequestLog.Entry(listener: "nova", method: method, target: target)) != nil
        }
        #expect(!take("POST", "/a"))
        #expect(!take("GET", "/b"))
        #expect(
            [take("GET", "/a/1"), take("GET", "/a"), take("GET", "/a"), take("GET", "/a")] == [
                false, true, true, false,
            ])
        #expect(plan.appliedCount == 2)
    }

    @Test(arguments: [
        ("\"action\": \"status\", \"status\": 503", 503, "{\"serviceUnavailable\": {\"code\": 503,"),
        ("\"action\": \"html\", \"status\": 502", 502, "<h1>502 Bad Gateway</h1>"),
        ("\"action\": \"webob\", \"status\": 503", 503, "503 Service Unavailable\n\n"),
        ("\"action\": \"empty\", \"status\": 500", 500, "Content-Length: 0\r\n"),
        ("\"action\": \"unauthorized\"", 401, "{\"error\": {\"code\": 401,"),
        (
            "\"action\": \"literal\", \"status\": 200, \"content\": \"odd\", \"fields\": [[\"A\", \"b\"]]",
            200, "odd"
        ),
    ])
    func `an answer is replaced once and then as usual`(rule: String, status: Int, part: String) throws {
        let running = try RunningService()
        _ = try running.control("PUT", "/faults", "[{\(rule)}]")
        let spoiled = try running.ask(Self.list)
        #expect(spoiled.status == status)
        #expect(spoiled.text.contains(part))
        #expect(try running.ask(Self.list).text.contains("\"servers\""))
    }

    @Test(arguments: [
        ("\"action\": \"cut_at\", \"at\": 100", 100, TestClient.Answer.End.closed),
        ("\"action\": \"reset\", \"at\": 50", 50, .reset), ("\"action\": \"reset\"", 0, .reset),
        ("\"action\": \"close_before_answer\"", 0, .closed), ("\"action\": \"garbage\"", 34, .closed),
    ])
    func `an answer is cut`(rule: String, count: Int, end: TestClient.Answer.End) throws {
        let running = try RunningService()
        _ = try running.control("PUT", "/faults", "[{\(rule)}]")
        let answer = try running.ask(Self.list)
        #expect(answer.bytes.count == count)
        #expect(answer.end == end)
    }

    @Test(arguments: ["\"action\": \"hang\"", "\"action\": \"stall_reading\""])
    func `a request is never answered`(rule: String) throws {
        let running = try RunningService()
        _ = try running.control("PUT", "/faults", "[{\(rule)}]")
        let answer = try running.ask(Self.list, seconds: 0.1)
        #expect(answer.bytes.isEmpty)
        #expect(answer.end == .silence)
        #expect(try running.control("GET", "/requests")?["requests"]?.array?.first?["status"] == .null)
    }

    @Test func `a length is wrong by as much as asked`() throws {
        let running = try RunningService()
        let right = try running.ask(Self.list).bytes.count
        _ = try running.control("PUT", "/faults", "[{\"action\": \"wrong_length\", \"delta\": 7}]")
        let wrong = try running.ask(Self.list)
        let announced = wrong.text.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        let split = try #require(wrong.bytes.firstRange(of: Array("\r\n\r\n".utf8)))
        #expect(announced == "Content-Length: \(wrong.bytes.count - split.upperBound + 7)")
        #expect(wrong.bytes.count == right)
    }

    @Test func `a delayed, trickled or unannounced answer is whole`() throws {
        let running = try RunningService()
        let right = try running.ask(Self.list).text.count
        for rule in [
            "\"action\": \"delay\", \"delay_ms\": 30",
            "\"action\": \"trickle\", \"bytes\": 100, \"interval_ms\": 10",
        ] {
            _ = try running.control("PUT", "/faults", "[{\(rule)}]")
            #expect(try running.ask(Self.list).text.count == right)
        }
        _ = try running.control("PUT", "/faults", "[{\"action\": \"close_idle\", \"after_ms\": 20}]")
        let client = try running.connect()
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = client.readToEnd()
        #expect(answer.end == .closed)
        #expect(!answer.text.contains("Connection: close"))
        #expect(answer.text.hasSuffix("]}"))
    }

    @Test func `an answer made in front of the API changes nothing behind it`() throws {
        let running = try RunningService()
        _ = try running.control(
            "PUT", "/faults", "[{\"match\": {\"method\": \"POST\"}, \"action\": \"html\", \"status\": 502}]")
        let client = try running.connect()
        let body = "{\"keypair\": {\"name\": \"k\"}}"
        for expected in [502, 200] {
            client.send(
                "POST /v2.1/os-keypairs HTTP/1.1\r\nHost: a\r\nX-Auth-Token: demo\r\nContent-Type: "
                    + "application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(client.read(until: expected == 502 ? "</html>\n" : "}}").status == expected)
        }
    }
}
