import Testing

@testable import compute_simulator

struct ServiceTests {
    private static let list = "/v2.1/\(Seed.demoProject)/servers?limit=1"

    @Test func `pipelined requests are answered in order on one connection`() throws {
        let running = try RunningService()
        let client = try running.connect()
        client.send(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"
                + "GET /v2.1/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let answer = client.readToEnd()
        let order = [
            "{\"versions\"", "\"id\": \"v2.0\", \"status\": \"DEPRECATED\", \"version\"",
            "\"version\": {\"id\": \"v2.1\"",
        ]
        var rest = answer.text[...]
        for part in order {
            let range = try #require(rest.firstRange(of: part))
            rest = rest[range.upperBound...]
        }
        #expect(answer.end == .closed)
        #expect(answer.text.ranges(of: "HTTP/1.1 200 OK").count == 3)
    }

    @Test func `a request that comes byte by byte is answered`() throws {
        let running = try RunningService()
        let client = try running.connect()
        for byte in "GET \(Self.list) HTTP/1.1\r\nHost: a\r\nX-Auth-Token: demo\r\n\r\n".utf8 {
            client.send([byte])
        }
        #expect(client.read(until: "\r\n\r\n").status == 200)
    }

    @Test func `expected content is asked for and then counted`() throws {
        let running = try RunningService()
        let client = try running.connect()
        client.send(
            "PUT /v2.1/stream/upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        #expect(client.read(until: "\r\n\r\n").text == "HTTP/1.1 100 Continue\r\n\r\n")
        client.send("hello")
        let answer = client.read(until: "}}")
        #expect(answer.text.contains("\"bytes\": 5"))
        #expect(answer.text.contains("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"))
    }

    @Test func `chunked content and its trailer are in the log as they came`() throws {
        let running = try RunningService()
        let client = try running.connect()
        client.send(
            "POST /v2.1/stream/upload HTTP/1.1\r\nhOST: a\r\nTransfer-Encoding: chunked\r\nX-Two:  b \r\n\r\n"
                + "3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Last: 1\r\n\r\n")
        #expect(client.read(until: "}}").status == 200)
        let entry = try #require(try running.control("GET", "/requests")?["requests"]?.array?.first)
        #expect(entry["framing"]?.string == "chunked")
        #expect(entry["content_length"]?.integer == 5)
        #expect(
            entry["sha256"]?.string == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        #expect(
            entry["fields"]
                == JSONParser.read(
                    Array(
                        "[[\"hOST\", \"a\"], [\"Transfer-Encoding\", \"chunked\"], [\"X-Two\", \"b\"]]".utf8))
        )
        #expect(entry["trailers"] == JSONParser.read(Array("[[\"X-Last\", \"1\"]]".utf8)))
    }

    @Test func `a head that no strict reader takes is refused, closed and logged`() throws {
        let running = try RunningService()
        let client = try running.connect()
        client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        let answer = client.readToEnd()
        #expect(answer.status == 400)
        #expect(answer.end == .closed)
        let log = try running.control("GET", "/requests")
        #expect(log?["counters"]?["refused"]?.integer == 1)
        #expect(log?["requests"]?.array?.first?["refusal"]?.string == "badFieldLine")
    }

    @Test func `a large answer is a pattern of the right length, plain or chunked`() throws {
        let running = try RunningService()
        let count = 3_000_000
        let plain = try running.ask("/v2.1/stream/\(count)").bytes
        let start = try #require(plain.firstRange(of: Array("\r\n\r\n".utf8))).upperBound
        #expect(plain.count - start == count)
        #expect(plain[start...].enumerated().allSatisfy { $0.element == UInt8($0.offset % 251) })
        let chunked = try running.ask("/v2.1/stream/\(count)?chunked=1")
        #expect(
            chunked.bytes.suffix(40).firstRange(of: Array("0\r\nX-Simulator-Bytes: \(count)\r\n\r\n".utf8))
                != nil)
    }

    @Test func `an idle connection is closed after its time`() throws {
        let running = try RunningService(idleSeconds: 0.05)
        #expect(try running.connect().readToEnd().end == .closed)
    }

    @Test func `counters tell open connections and requests by path`() throws {
        let running = try RunningService()
        let first = try running.connect()
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = first.read(until: "]}")
        _ = try running.ask(Self.list)
        _ = try running.ask(Self.list)
        let counters = try running.control("GET", "/requests?prefix=/v2.1/")?["counters"]
        #expect(counters?["requests"]?.integer == 3)
        #expect(counters?["matched"]?.integer == 2)
        #expect(counters?["paths"]?["GET /v2.1/\(Seed.demoProject)/servers"]?.integer == 2)
        _ = try running.control("DELETE", "/connections")
        #expect(first.readToEnd().end == .closed)
        _ = try running.control("DELETE", "/requests")
        #expect(try running.control("GET", "/requests")?["counters"]?["requests"]?.integer == 0)
    }

    @Test func `projects, tokens and speed can be changed while it runs`() throws {
        let running = try RunningService()
        let made = try running.control(
            "POST", "/projects", "{\"tokens\": [\"t1:red:member\"], \"servers\": 7}")
        let project = try #require(made?["projects"]?.array?.first?["project"]?.string)
        #expect(Seed.isProjectID(project))
        let client = try running.connect()
        client.send(
            "GET /v2.1/\(project)/servers HTTP/1.1\r\nHost: a\r\nX-Auth-Token: t1\r\nConnection: "
                + "close\r\n\r\n"
        )
        #expect(client.readToEnd().text.ranges(of: "red-web-").count == 7)
        _ = try running.control("DELETE", "/tokens?token=t1")
        let again = try running.connect()
        again.send("GET /v2.1/servers HTTP/1.1\r\nHost: a\r\nX-Auth-Token: t1\r\nConnection: close\r\n\r\n")
        #expect(again.readToEnd().status == 401)
        #expect(try running.control("POST", "/projects", "{}")?["error"] != nil)
    }
}
