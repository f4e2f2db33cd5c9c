import Bytes
import Testing

@testable import HTTP

struct RequestReaderTests {
    /// Feeds the text in every way and gives the answer.
    static func read(_ text: String, limits: HeadLimits = HeadLimits()) -> RequestSnapshot {
        SplitFeeding.check(text.latin1) { RequestSnapshot.read($0, limits: limits) }
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let section: String
        let text: String
        let refusal: Refusal
        var testDescription: String { "\(section): \(text.debugDescription)" }

        init(_ section: String, _ text: String, _ refusal: Refusal) {
            self.section = section
            self.text = text
            self.refusal = refusal
        }

        /// A request whose only odd part is one field line.
        init(_ section: String, line: String, _ refusal: Refusal) {
            self.init(section, "POST / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n", refusal)
        }
    }

    static let refusedLines: [Refused] = [
        Refused("RFC 9112 §2.2 TLS", "\u{16}", .secureProtocol),
        Refused("RFC 9112 §2.2", "\n", .bareLineFeed),
        Refused("RFC 9112 §2.2", "\r\r", .controlByte),
        Refused("RFC 9112 §2.2", "\r\n\r\n\r", .badRequestLine),
        Refused("RFC 9112 §3", " ", .badRequestLine),
        Refused("RFC 9112 §3", "\0", .controlByte),
        Refused("RFC 9112 §3", "\u{80}", .badRequestLine),
        Refused("RFC 9112 §3", "GET\t", .badRequestLine),
        Refused("RFC 9112 §3", "GET\r", .badRequestLine),
        Refused("RFC 9112 §3", "GET\n", .bareLineFeed),
        Refused("RFC 9112 §3", "GET  ", .badRequestLine),
        Refused("RFC 9112 §3.1", "G(", .badRequestLine),
        Refused("RFC 9112 §3.1", String(repeating: "M", count: 25), .badRequestLine),
        Refused("RFC 9110 §9.3.6", "CONNECT ", .methodNotAllowedHere),
        Refused("RFC 9112 §3", "GET /\r", .badRequestLine),
        Refused("RFC 9112 §3", "GET /\n", .bareLineFeed),
        Refused("RFC 9112 §3", "GET / \r", .badRequestLine),
        Refused("RFC 9112 §3", "GET /  ", .badRequestLine),
        Refused("RFC 9112 §3", "GET /\t", .controlByte),
        Refused("RFC 9112 §3.2", "GET /a\u{7F}", .controlByte),
        Refused("RFC 9112 §3.2", "GET /\u{E9}", .badTarget),
        Refused("RFC 9112 §3.2", "GET /a#", .badTarget),
        Refused("RFC 9112 §3.2", "GET a/b ", .badTarget),
        Refused("RFC 9112 §3.2", "GET ?a=b ", .badTarget),
        Refused("RFC 9112 §3.2.1 ours", "GET //a ", .pathNotNormal),
        Refused("RFC 9112 §3.2.1 ours", "GET /a/../b ", .pathNotNormal),
        Refused("RFC 9112 §3.2.2", "GET ftp://a/ ", .badTarget),
        Refused("RFC 9112 §3.2.2", "GET http:/a ", .badTarget),
        Refused("RFC 9112 §3.2.2", "GET http:///a ", .badHost),
        Refused("RFC 9110 §4.2.4", "GET http://u@h/ ", .badHost),
        Refused("RFC 9112 §3.2.2", "GET http://h:99999/ ", .badHost),
        Refused("RFC 9112 §3.2.2", "GET http://h/a/./b ", .pathNotNormal),
        Refused("RFC 9112 §3.2.3", "GET h:80 ", .badTarget),
        Refused("RFC 9112 §3.2.4", "GET * ", .badTarget),
        Refused("RFC 9112 §3.2.4", "OPTIONS ** ", .badTarget),
        Refused("RFC 9112 §2.3", "GET / h", .badRequestLine),
        Refused("RFC 9112 §2.3", "GET / HTTQ", .badRequestLine),
        Refused("RFC 9112 §2.3", "GET / HTTP/2", .versionNotSupported),
        Refused("RFC 9112 §2.3", "GET / HTTP/1.2", .versionNotSupported),
        Refused("RFC 9112 §2.3", "GET / HTTP/0", .versionNotSupported),
        Refused("RFC 9112 §2.3", "GET / HTTP/11", .badRequestLine),
        Refused("RFC 9112 §2.3", "GET / HTTP/1.1 ", .badRequestLine),
        Refused("RFC 9112 §2.3", "GET / HTTP/1.10", .badRequestLine),
        Refused("RFC 9112 §2.2", "GET / HTTP/1.1\n", .bareLineFeed),
        Refused("RFC 9112 §2.2", "GET / HTTP/1.1\rX", .controlByte),
    ]

    @Test(arguments: refusedLines) func `an odd request line is refused at its first odd byte`(row: Refused) {
        #expect(Self.read(row.text).result == .refused(row.refusal))
        // The last byte of each row decides: before it, more could still be right.
        #expect(Self.read(String(row.text.unicodeScalars.dropLast())).result == .incomplete)
    }

    static let refusedFieldLines: [Refused] = [
        Refused("RFC 9112 §5.2 fold", line: "A: b\r\n c", .obsoleteFold),
        Refused("RFC 9112 §5.2 fold", line: "A: b\r\n\tc", .obsoleteFold),
        Refused(
            "RFC 9112 §2.2 space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .obsoleteFold),
        Refused("RFC 9112 §5.1 space before colon", line: "A : b", .badFieldLine),
        Refused("RFC 9112 §5.1 tab before colon", line: "A\t: b", .badFieldLine),
        Refused("RFC 9112 §5 empty name", line: ": b", .badFieldLine),
        Refused("RFC 9112 §5 no colon", line: "Abc", .badFieldLine),
        Refused("RFC 9110 §5.1 name is no token", line: "A(b: c", .badFieldLine),
        Refused("RFC 9110 §5.1 name is no token", line: "\u{C4}: c", .badFieldLine),
        Refused("RFC 9110 §5.5 NUL", line: "A: b\0c", .controlByte),
        Refused("RFC 9110 §5.5 DEL", line: "A: bcdefgh\u{7F}c", .controlByte),
        Refused("RFC 9110 §5.5 VT", line: "A: b\u{0B}", .controlByte),
        Refused("RFC 9110 §5.5 BEL in name", line: "A\u{07}: b", .controlByte),
        Refused("RFC 9112 §2.2 bare CR", line: "A: b\rc", .controlByte),
        Refused("RFC 9112 §2.2 bare LF", line: "A: b\nC: d", .bareLineFeed),
        Refused("RFC 9112 §2.2 bare LF", "GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
        Refused("RFC 9112 §2.2 bare CR", "GET / HTTP/1.1\r\nHost: a\r\n\rX", .controlByte),
        Refused("RFC 9112 §3.2 Host", "GET / HTTP/1.1\r\n\r\n", .missingHost),
        Refused("RFC 9112 §3.2 Host", "GET http://a/ HTTP/1.1\r\n\r\n", .missingHost),
        Refused("RFC 9112 §3.2 Host", line: "host: a", .repeatedHost),
        Refused("RFC 9112 §3.2 Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", .badHost),
        Refused("RFC 9112 §3.2 Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .badHost),
        Refused("RFC 9112 §3.2 Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", .badHost),
        Refused("RFC 9112 §3.2 Host", "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", .badHost),
        Refused(
            "RFC 9112 §6.3 both", line: "Content-Length: 3\r\nTransfer-Encoding: chunked", .ambiguousLength),
        Refused(
            "RFC 9112 §6.3 both", line: "Transfer-Encoding: chunked\r\nContent-Length: 0", .ambiguousLength),
        Refused("RFC 9112 §6.3 two", line: "Content-Length: 3\r\nContent-Length: 4", .ambiguousLength),
        Refused("RFC 9112 §6.3 two equal", line: "Content-Length: 3\r\nContent-Length: 3", .ambiguousLength),
        Refused("RFC 9112 §6.3 list", line: "Content-Length: 3, 3", .ambiguousLength),
        Refused("RFC 9110 §8.6", line: "Content-Length: +3", .badLength),
        Refused("RFC 9110 §8.6", line: "Content-Length: -3", .badLength),
        Refused("RFC 9110 §8.6", line: "Content-Length: 0x3", .badLength),
        Refused("RFC 9110 §8.6", line: "Content-Length: 3 3", .badLength),
        Refused("RFC 9110 §8.6", line: "Content-Length:", .badLength),
        Refused("RFC 9110 §8.6", line: "Content-Length: 9223372036854775808", .badLength),
        Refused("RFC 9110 §8.6", line: "Content-Length: 18446744073709551617", .badLength),
        Refused("RFC 9112 §6.1 unknown", line: "Transfer-Encoding: gzip, chunked", .transferCodingUnknown),
        Refused("RFC 9112 §6.1 unknown", line: "Transfer-Encoding: identity", .transferCodingUnknown),
        Refused("RFC 9112 §6.1 unknown", line: "Transfer-Encoding: xchunked", .transferCodingUnknown),
        Refused("RFC 9112 §6.1 twice", line: "Transfer-Encoding: chunked, chunked", .badTransferCoding),
        Refused(
            "RFC 9112 §6.1 twice", line: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            .badTransferCoding
        ),
        Refused("RFC 9112 §6.1 empty", line: "Transfer-Encoding:", .badTransferCoding),
        Refused("RFC 9112 §6.1 list end", line: "Transfer-Encoding: chunked,", .badTransferCoding),
        Refused("RFC 9112 §7 parameter", line: "Transfer-Encoding: chunked;a=b", .badTransferCoding),
        Refused("RFC 9112 §7 quoted", line: "Transfer-Encoding: \"chunked\"", .badTransferCoding),
        Refused(
            "RFC 9112 §6.1 HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            .badTransferCoding),
        Refused("RFC 9110 §10.1.1", line: "Expect: 200-ok", .expectationFailed),
        Refused("RFC 9110 §10.1.1", line: "Expect: 100-continue\r\nExpect: x", .expectationFailed),
    ]

    @Test(arguments: refusedFieldLines) func `fields that could be read two ways are refused`(row: Refused) {
        #expect(Self.read(row.text).result == .refused(row.refusal))
    }

    @Test func `every refusal has an error status and a sentence`() {
        for refusal in Refusal.allCases {
            #expect((400...599).contains(refusal.status), "\(refusal)")
            #expect(refusal.phrase.utf8CodeUnitCount > 10)
        }
    }

    @Test func `a plain request is read with all its parts`() {
        let text =
            "GET /v2.1/servers?limit=1&name= HTTP/1.1\r\nHost: cloud.example:8774\r\nX-Auth-Token: \tt t \t\r\n"
            + "Empty:\r\nx_y: 1\r\n\r\nrest"
        var expected = RequestSnapshot()
        expected.result = .complete
        expected.method = "GET"
        expected.target = "/v2.1/servers?limit=1&name="
        expected.path = "/v2.1/servers"
        expected.query = "limit=1&name="
        expected.fields = ["Host:cloud.example:8774", "X-Auth-Token:t t", "Empty:", "x_y:1"]
        expected.keepsAlive = true
        expected.host = "cloud.example:8774"
        expected.byteCount = text.latin1.count - 4
        #expect(Self.read(text) == expected)
    }

    @Test func `two empty lines before the request line are counted in the head`() {
        let snapshot = Self.read("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(snapshot.result == .complete && snapshot.method == "GET" && snapshot.byteCount == 31)
    }

    @Test func `an absolute-form target gives the host, and may lack a path`() {
        let one = Self.read("GET HTTP://Cloud:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n")
        #expect(one.result == .complete && one.host == "Cloud:80" && one.path == "/a" && one.query == "b")
        let two = Self.read("GET https://[::1]?b/../c HTTP/1.1\r\nHost: other\r\n\r\n")
        #expect(two.result == .complete && two.host == "[::1]" && two.path == "" && two.query == "b/../c")
        let three = Self.read("OPTIONS http://h HTTP/1.0\r\n\r\n")
        #expect(three.result == .complete && three.host == "h" && three.query == nil)
    }

    @Test func `OPTIONS takes an asterisk`() {
        #expect(Self.read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target == "*")
    }

    @Test func `a query may hold any visible byte but the number sign`() {
        let query = (0x21...0x7E).filter { $0 != 0x23 }.map { String(UnicodeScalar(UInt8($0))) }.joined()
        #expect(Self.read("GET /?\(query) HTTP/1.1\r\nHost: a\r\n\r\n").query == query)
    }

    @Test(arguments: [
        ("", Framing.none), ("Content-Length: 0\r\n", .length(0)), ("content-length: 0042 \r\n", .length(42)),
        ("Content-Length: 9223372036854775807\r\n", .length(9_223_372_036_854_775_807)),
        ("TRANSFER-encoding:  Chunked\t\r\n", .chunked),
    ])
    func `RFC 9112 §6.3: the framing is read`(lines: String, framing: Framing) {
        let snapshot = Self.read("POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")
        #expect(snapshot.result == .complete && snapshot.framing == framing)
    }

    @Test(arguments: [
        ("1.1", "", true), ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false), ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false), ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ])
    func `RFC 9112 §9.3: persistence is read`(version: String, lines: String, keepsAlive: Bool) {
        let snapshot = Self.read("GET / HTTP/\(version)\r\nHost: a\r\n\(lines)\r\n")
        #expect(snapshot.result == .complete && snapshot.keepsAlive == keepsAlive)
    }

    @Test(arguments: [
        ("1.1", "Content-Length: 1\r\n", true), ("1.1", "Transfer-Encoding: chunked\r\n", true),
        ("1.1", "Content-Length: 0\r\n", false), ("1.1", "", false), ("1.0", "Content-Length: 1\r\n", false),
    ])
    func `RFC 9110 §10.1.1: 100 is expected only before content`(
        version: String, lines: String, expects: Bool
    ) {
        let snapshot = Self.read("POST / HTTP/\(version)\r\nHost: a\r\nExpect: 100-Continue\r\n\(lines)\r\n")
        #expect(snapshot.result == .complete && snapshot.expectsContinue == expects)
    }

    @Test(arguments: [
        ("a", true), ("a.b-c_d~e", true), ("a:0", true), ("a:65535", true), ("127.0.0.1:8774", true),
        ("[::]", true),
        ("[1:2:3:4:5:6:7:8]:1", true), ("[::ffff:1.2.3.4]", true), ("[1::]", true), ("[fe80::1:2]", true),
        ("", false),
        ("a:", false), (":1", false), ("a:65536", false), ("a:123456", false), ("a:1a", false),
        ("a:-1", false),
        ("a@b", false), ("a%41", false), ("a;b", false), ("a/b", false), ("a?b", false), ("a b", false),
        ("[", false),
        ("[]", false), ("[::", false), ("[:::]", false), ("[::1]a", false), ("[1:2]", false),
        ("[1::2::3]", false),
        ("[1:2:3:4:5:6:7:8:9]", false), ("[1:2:3:4:5:6:7::8]", false), ("[12345::]", false),
        ("[::1.2.3]", false),
        ("[::1.2.3.256]", false), ("[::1.2.3.04]", false), ("[::1.2.3.4:5]", false), ("[1:]", false),
        ("[:1]", false),
        ("[fe80::1%25eth0]", false), ("[v1.a]", false),
    ])
    func `RFC 9110 §4.2: a host is a name or an address and perhaps a port`(text: String, isValid: Bool) {
        #expect(withBytes(text) { Authority.isValid($0) } == isValid)
    }

    @Test func `a target is refused at the byte after the limit`() {
        let limits = HeadLimits(headByteCount: 64, targetByteCount: 8, fieldCount: 4)
        #expect(Self.read("GET /2345678 HTTP/1.0\r\n\r\n", limits: limits).result == .complete)
        #expect(Self.read("GET /23456789", limits: limits).result == .refused(.targetTooLong))
        #expect(Self.read("GET /2345678", limits: limits).result == .incomplete)
    }

    @Test func `a head is refused at the byte that fills the limit without ending it`() {
        let limits = HeadLimits(headByteCount: 32, targetByteCount: 16, fieldCount: 4)
        let head = "GET / HTTP/1.0\r\nAccept: 678901\r\n\r\n"
        #expect(head.latin1.count == 34)
        #expect(Self.read(head, limits: limits).result == .refused(.headTooLarge))
        #expect(Self.read(String(head.unicodeScalars.prefix(31)), limits: limits).result == .incomplete)
        let exact = "GET / HTTP/1.0\r\nAccept: 6789\r\n\r\n"
        #expect(Self.read(exact + "more", limits: limits).result == .complete)
    }

    @Test func `one field too many is refused at its first byte`() {
        let limits = HeadLimits(headByteCount: 640, targetByteCount: 16, fieldCount: 2)
        let head = "GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\n"
        #expect(Self.read(head + "\r\n", limits: limits).result == .complete)
        #expect(Self.read(head + "C", limits: limits).result == .refused(.tooManyFields))
    }

    @Test func `more fields than the storage holds are refused whatever the limit`() {
        var reader = RequestReader()
        var head = RequestHead(fieldCapacity: 1)
        let result = withBytes("GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\n\r\n") { reader.read($0, into: &head) }
        #expect(result == .refused(.tooManyFields))
    }

    @Test func `each byte is looked at once however small the pieces`() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "v", count: 16_000))\r\n\r\n".latin1
        var reader = RequestReader()
        var storage = RequestHead()
        head.withUnsafeBufferPointer { bytes in
            for count in 1..<head.count {
                let before = reader.position
                #expect(reader.read(bytes.view(0, count), into: &storage) == .incomplete)
                #expect(before == count - 1 && reader.position == count)
            }
            #expect(reader.read(bytes, into: &storage) == .complete)
        }
    }

    @Test func `a reader and its head serve one request after another`() {
        let stream = "GET /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        let next = "PUT /b HTTP/1.0\r\nAccept: c\r\n\r\n"
        var reader = RequestReader()
        var head = RequestHead()
        #expect(withBytes(stream) { reader.read($0, into: &head) } == .complete)
        reader.reset()
        #expect(!reader.hasBegun)
        withBytes(next) { bytes in
            #expect(reader.read(bytes, into: &head) == .complete)
            #expect(
                head.method == .put && head.fields.count == 1 && head.framing == .none
                    && !head.expectsContinue)
            #expect(
                head.fields.find(.host) == nil && head.fields.find(.contentLength) == nil && head.host.isEmpty
            )
            #expect(head.fields.find(.accept).map { bytes.view($0).latin1 } == "c")
        }
        #expect(reader.hasBegun)
    }
}
