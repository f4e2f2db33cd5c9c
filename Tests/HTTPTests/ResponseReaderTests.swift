import Bytes
import HTTP
import Testing

struct ResponseReaderTests {
    static func read(_ text: String, _ method: Method = .get, limits: HeadLimits = HeadLimits())
        -> ResponseSnapshot
    {
        SplitFeeding.check(text.latin1) { ResponseSnapshot.read($0, method, limits: limits) }
    }

    @Test func `a response is read with all its parts`() {
        let snapshot = Self.read("HTTP/1.1 404 Not  Found\u{E9}\r\nContent-Length: 3\r\nX: y\r\n\r\nabc")
        var expected = ResponseSnapshot()
        expected.result = .complete
        expected.status = 404
        expected.reason = "Not  Found\u{E9}"
        expected.fields = ["Content-Length:3", "X:y"]
        expected.framing = .length(3)
        expected.keepsAlive = true
        expected.byteCount = 53
        #expect(snapshot == expected)
    }

    @Test(arguments: ["HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n"])
    func `a reason phrase may be empty, its space too`(text: String) {
        let snapshot = Self.read(text)
        #expect(snapshot.result == .complete && snapshot.status == 200 && snapshot.reason.isEmpty)
    }

    @Test(arguments: [
        (Method.get, 200, "", Framing.untilClose), (.get, 200, "Content-Length: 0\r\n", .length(0)),
        (.get, 200, "Transfer-Encoding: chunked\r\n", .chunked), (.head, 200, "Content-Length: 9\r\n", .none),
        (.head, 200, "Transfer-Encoding: chunked\r\n", .none), (.head, 200, "", .none),
        (.get, 100, "", .none),
        (.get, 103, "Content-Length: 9\r\n", .none), (.get, 204, "Content-Length: 0\r\n", .none),
        (.get, 304, "Content-Length: 9\r\n", .none), (.post, 500, "", .untilClose),
    ])
    func `RFC 9112 §6.3: status and method decide over the content`(
        method: Method, status: Int, lines: String, framing: Framing
    ) {
        let snapshot = Self.read("HTTP/1.1 \(status) X\r\n\(lines)\r\n", method)
        #expect(snapshot.result == .complete && snapshot.framing == framing)
        #expect(snapshot.keepsAlive == (framing != .untilClose))
    }

    @Test(arguments: [
        ("1.1", "", true), ("1.1", "Connection: close\r\n", false), ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ])
    func `RFC 9112 §9.3: persistence is read`(version: String, line: String, keepsAlive: Bool) {
        let snapshot = Self.read("HTTP/\(version) 200 OK\r\nContent-Length: 0\r\n\(line)\r\n")
        #expect(snapshot.result == .complete && snapshot.keepsAlive == keepsAlive)
    }

    @Test(arguments: [
        ("\r", Refusal.badStatusLine), ("HTTP/2", .versionNotSupported), ("http", .badStatusLine),
        ("HTTP/1.1  ", .badStatusLine), ("HTTP/1.1 0", .badStatusLine), ("HTTP/1.1 6", .badStatusLine),
        ("HTTP/1.1 20X", .badStatusLine), ("HTTP/1.1 2000", .badStatusLine),
        ("HTTP/1.1 200\n", .bareLineFeed),
        ("HTTP/1.1 200 OK\n", .bareLineFeed), ("HTTP/1.1 200 \0", .controlByte),
        ("HTTP/1.1 200 OK\rX", .controlByte),
        ("HTTP/1.1 200 OK\r\n A", .obsoleteFold), ("HTTP/1.1 101 X\r\n\r\n", .unexpectedUpgrade),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .ambiguousLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .ambiguousLength),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .transferCodingUnknown),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .badTransferCoding),
        ("HTTP/1.1 204 X\r\nContent-Length: x\r\n\r\n", .badLength), ("<html>", .badStatusLine),
    ])
    func `a response that could be read two ways is refused`(text: String, refusal: Refusal) {
        #expect(Self.read(text).result == .refused(refusal))
    }

    @Test func `the limits hold for responses too`() {
        let limits = HeadLimits(headByteCount: 40, targetByteCount: 1, fieldCount: 1)
        #expect(
            Self.read("HTTP/1.1 200 \(String(repeating: "O", count: 27))", limits: limits).result
                == .refused(.headTooLarge))
        #expect(Self.read("HTTP/1.1 200 OK\r\nA: b\r\nC", limits: limits).result == .refused(.tooManyFields))
    }

    @Test func `an interim response is followed by another from the same reader`() {
        var reader = ResponseReader()
        var head = ResponseHead()
        #expect(
            withBytes("HTTP/1.1 100 Continue\r\nX: y\r\n\r\n") {
                reader.read($0, into: &head, requestMethod: .post)
            } == .complete)
        #expect(head.isInterim == true)
        reader.reset()
        #expect(
            withBytes("HTTP/1.1 201 Created\r\n\r\n") { reader.read($0, into: &head, requestMethod: .post) }
                == .complete)
        #expect(head.status == 201 && head.fields.count == 0 && head.isInterim == false)
    }
}
