import Bytes
import Glibc
import HTTP
import Testing

/// Compares the reader with the slow parser over many odd requests.
struct RequestReaderDifferentialTests {
    static let methods = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "get", "CONNECT", "X-Y", "", "G T"]
    static let targets = [
        "/", "/v2.1/servers", "/v2.1/servers?limit=1&x=%", "/a/", "/a//b", "/a/./b", "/a/%2e%2E/b", "/a%2Fb",
        "/a%00",
        "/.a/..b/...", "/%41%", "*", "http://h/p", "http://h:80?q", "HTTPS://[::1]:1/x", "http://u@h/",
        "//h/p", "/a?b#c",
        "/a|b", "/?a|b{}\"", "/%zz", "h:80", "/a;b=c,d", "/a%5cb", "/%2e", "/%2e.", "/~a", "", "/\u{E9}",
    ]
    static let versions = [
        "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ",
        "HTTP/1.", "",
    ]
    static let lines = [
        "Accept: */*", "Connection: close", "Connection: keep-alive, x", "connection: Keep-Alive,close",
        "Content-Length: 5", "Content-Length: 0", "Content-Length: 05", "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: 99999999999999999999", "content-length:5\t ", "Transfer-Encoding: chunked",
        "Transfer-Encoding: Chunked", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked", "Transfer-Encoding:\u{0B}chunked", "Expect: 100-continue",
        "Expect: 100-Continue ",
        "Expect: other", "X: a\tb", "X:", "X : a", ": a", " folded", "X: \u{80}\u{FF}", "X: a\rb", "X: a\nb",
        "X: \0",
        "x_y: 1", "Host: h", "Host: h:x", "Content\u{0D}Length: 5", "Content\rLength: 5",
        "HTTP\u{12}-Settings: a",
        "X-Auth-Token: secret", "Contentólength: 1", "content-lengtH: 7", "Transfer_Encoding: chunked",
    ]
    static let hosts = [
        "Host: h", "Host: h", "Host: h", "Host: h:8774", "HOST:[::1]:80", "Host:", "Host: h h", "X: 1",
    ]
    static let snippets = [
        "\r\n", "\r", "\n", " ", "\t", "\0", ":", ",", "%", "/", "..", "?", "#", "\u{7F}", "\u{80}",
        "\r\n\r\n", "\r\n ",
        "Host: b\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "_", "HTTP/1.1", "[", "]",
        "\u{0B}",
    ]

    static func makeRequest(_ random: inout RandomSource) -> [UInt8] {
        func mostlyFirst(_ list: [String]) -> String {
            Int.random(in: 0..<3, using: &random) > 0 ? list[0] : list.randomElement(using: &random) ?? ""
        }
        var text = Int.random(in: 0..<8, using: &random) == 0 ? "\r\n" : ""
        text += "\(mostlyFirst(methods)) \(mostlyFirst([targets[2]] + targets)) \(mostlyFirst(versions))\r\n"
        text += mostlyFirst(hosts) + "\r\n"
        for _ in 0..<Int.random(in: 0..<4, using: &random) {
            text += mostlyFirst([lines[Int.random(in: 0..<7, using: &random)]] + lines) + "\r\n"
        }
        text += "\r\n"
        var bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        for _ in 0..<Int.random(in: 0..<3, using: &random) {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(contentsOf: (snippets.randomElement(using: &random) ?? "").latin1, at: place)
            case 4: bytes[place] ^= 0x20
            case 5: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<4, using: &random)))
            default: break
            }
        }
        return bytes
    }

    /// Reads whole, byte by byte and cut at one place; all three must agree.
    static func read(_ bytes: [UInt8], _ random: inout RandomSource) -> RequestSnapshot {
        let whole = RequestSnapshot.read([bytes])
        let single = RequestSnapshot.read((1...bytes.count).map { Array(bytes[0..<$0]) })
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let cut = RequestSnapshot.read([Array(bytes[0..<place]), bytes])
        #expect(whole == single && whole == cut, "\(SplitFeeding.text(bytes)) cut at \(place)")
        return whole
    }

    @Test func `the reader and the slow parser agree on odd requests`() {
        let given = getenv("GATEHOUSE_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? UInt64.random(in: 0...UInt64.max)
        print("GATEHOUSE_TEST_SEED=\(seed)")
        var random = RandomSource(seed: (seed, 0x9E37_79B9_7F4A_7C15, 3, 4))
        var acceptedCount = 0
        var refusedCount = 0
        for _ in 0..<20_000 {
            let bytes = Self.makeRequest(&random)
            let snapshot = Self.read(bytes, &random)
            let message: Comment = "seed \(seed): \(snapshot) for \(SplitFeeding.text(bytes))"
            switch SlowRequestParser.parse(bytes) {
            case .incomplete:
                // The reader may know better, but never more than that it is wrong.
                #expect(snapshot.result != .complete, message)
            case .refused:
                refusedCount += 1
                guard case .refused = snapshot.result else {
                    Issue.record(message)
                    return
                }
            case .accepted(let head):
                acceptedCount += 1
                guard snapshot.result == .complete else {
                    Issue.record(message)
                    return
                }
                #expect(head == SlowRequestParser.Head(snapshot), message)
            }
        }
        // A generator gone wrong would make the comparison say nothing.
        #expect(
            acceptedCount > 2_000 && refusedCount > 2_000,
            "\(acceptedCount) accepted, \(refusedCount) refused")
    }

    @Test(arguments: targets) func `both agree on each target alone`(target: String) {
        let bytes = "GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n".latin1
        let snapshot = SplitFeeding.check(bytes) { RequestSnapshot.read($0) }
        let slow = SlowRequestParser.parse(bytes)
        #expect((snapshot.result == .complete) == (slow != .refused), "\(snapshot)")
    }
}

extension SlowRequestParser.Head {
    init(_ snapshot: RequestSnapshot) {
        self.init(
            method: snapshot.method, target: snapshot.target, path: snapshot.path, query: snapshot.query,
            isOldVersion: snapshot.version == .http10, fields: snapshot.fields, framing: snapshot.framing,
            keepsAlive: snapshot.keepsAlive, expectsContinue: snapshot.expectsContinue, host: snapshot.host,
            byteCount: snapshot.byteCount)
    }
}
