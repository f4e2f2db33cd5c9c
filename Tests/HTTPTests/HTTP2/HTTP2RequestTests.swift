import Bytes
import HTTP
import Testing

/// A request's fields in HTTP/2, the head they become, and what the strict reader says of it.
struct HTTP2RequestTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var name: String
        var fields: [(String, String)]
        var lines: [String]
        var result: HeadResult
        var testDescription: String { name }

        init(
            _ name: String, _ fields: [(String, String)], _ lines: [String], _ result: HeadResult = .complete
        ) {
            (self.name, self.fields, self.lines, self.result) = (name, fields, lines, result)
        }
    }

    static func with(_ extra: (String, String)...) -> [(String, String)] { Wire.get + extra }

    static func changed(_ name: String, _ value: String) -> [(String, String)] {
        Wire.get.map { $0.0 == name ? (name, value) : $0 }
    }

    static let first = ["GET /v2.1/servers HTTP/1.1", "host: nova.example"]

    static let rows: [Row] = [
        Row("pseudo-fields in another order", Wire.get.reversed(), first),
        Row("a host equal to the authority", with(("host", "NOVA.example")), first),
        Row(
            "a host without an authority",
            [(":method", "GET"), (":scheme", "http"), (":path", "/a?b=c"), ("host", "nova.example:80")],
            ["GET /a?b=c HTTP/1.1", "host: nova.example:80"]),
        Row(
            "OPTIONS for the server itself",
            [
                (":method", "OPTIONS"), (":scheme", "https"), (":authority", "a"), (":path", "*"),
            ], ["OPTIONS * HTTP/1.1", "host: a"]),
        Row("TE of trailers alone", with(("te", "trailers")), first + ["te: trailers"]),
        Row(
            "a field that comes twice", with(("accept", "a"), ("accept", "b")),
            first + ["accept: a", "accept: b"]),
        Row("an empty value", with(("x-empty", "")), first + ["x-empty: "]),
        Row("bytes above ASCII in a value", with(("x", "é")), first + ["x: é"]),
        Row("cookies in two crumbs", with(("cookie", "a"), ("cookie", "b")), first + ["cookie: a; b"]),
        Row(
            "CONNECT", [(":method", "CONNECT"), (":authority", "nova.example:443")],
            ["CONNECT nova.example:443 HTTP/1.1", "host: nova.example:443"], .refused(.methodNotAllowedHere)),
        Row(
            "a path that is not normal", changed(":path", "/a/../b"), ["GET /a/../b HTTP/1.1", first[1]],
            .refused(.pathNotNormal)),
        Row("a fragment", changed(":path", "/a#b"), ["GET /a#b HTTP/1.1", first[1]], .refused(.badTarget)),
        Row(
            "an authority that is no host", changed(":authority", "a_b!"), [first[0], "host: a_b!"],
            .refused(.badHost)),
        Row(
            "an expectation unknown", with(("expect", "magic")), first + ["expect: magic"],
            .refused(.expectationFailed)),
    ]

    @Test(arguments: rows) func `fields become the head that the strict reader judges`(_ row: Row) {
        let seen = SessionBed.everyWay(Wire.greeting + Wire.headers(1, row.fields)).seen
        let text = row.lines.map { $0 + "\r\n" }.joined() + "\r\n"
        #expect(seen == [.head(1, text, isEnd: true)])
        #expect(RequestSnapshot.read([text.latin1]).result == row.result)
    }

    @Test func `the last byte of a length is told with the stream's end and not before`() {
        let bed = SessionBed()
        bed.feed(Wire.greeting + Wire.headers(1, Wire.post + [("content-length", "4")], isEnd: false))
        bed.feed(Wire.data(1, "abcd"))
        #expect(bed.seen.last == .content(1, "abc", isEnd: false))
        bed.feed(Wire.data(1, "", isEnd: true))
        #expect(bed.seen.last == .content(1, "abcd", isEnd: true))
        bed.feed(Wire.headers(3, Wire.post + [("content-length", "1")], isEnd: false) + Wire.data(3, "x"))
        guard case .head(3, _, false) = bed.seen.last else {
            Issue.record("\(bed.seen)")
            return
        }
        bed.feed(Wire.data(3, "y"))
        #expect(bed.seen.last == .closed(1_003, HTTP2Code.protocolError, wasRefused: false))
        bed.feed(Wire.headers(5, Wire.post + [("content-length", "2")], isEnd: false) + Wire.data(5, "ab"))
        bed.feed(Wire.headers(5, [("x-sum", "1")]))
        #expect(bed.seen.last == .content(5, "ab", isEnd: true))
    }

    @Test func `a length of 0 without the stream's end is none yet`() {
        let bed = SessionBed()
        bed.feed(Wire.greeting + Wire.headers(1, Wire.post + [("content-length", "0")], isEnd: false))
        #expect(
            bed.seen == [
                .head(
                    1,
                    "POST /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\ntransfer-encoding: chunked\r\n\r\n",
                    isEnd: false)
            ])
        bed.feed(Wire.data(1, "x"))
        #expect(bed.seen.last == .closed(1_001, HTTP2Code.protocolError, wasRefused: false))
        let ended = SessionBed()
        ended.feed(Wire.greeting + Wire.headers(1, Wire.post + [("content-length", "0")]))
        #expect(
            ended.seen == [
                .head(
                    1, "POST /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\ncontent-length: 0\r\n\r\n",
                    isEnd: true)
            ])
    }

    @Test func `a field section in Huffman code and from the tables reads the same`() {
        // RFC 7541 §C.4.1 and §C.4.2, as they stand there.
        let one: [UInt8] = [
            0x82, 0x86, 0x84, 0x41, 0x8C, 0xF1, 0xE3, 0xC2, 0xE5, 0xF2, 0x3A, 0x6B, 0xA0, 0xAB, 0x90, 0xF4,
            0xFF,
        ]
        let two: [UInt8] = [0x82, 0x86, 0x84, 0xBE, 0x58, 0x86, 0xA8, 0xEB, 0x10, 0x64, 0x9C, 0xBF]
        let seen = SessionBed.everyWay(
            Wire.greeting + Wire.frame(.headers, 5, 1, one) + Wire.frame(.headers, 5, 3, two)
        ).seen
        #expect(
            seen == [
                .head(1, "GET / HTTP/1.1\r\nhost: www.example.com\r\n\r\n", isEnd: true),
                .head(
                    3, "GET / HTTP/1.1\r\nhost: www.example.com\r\ncache-control: no-cache\r\n\r\n",
                    isEnd: true),
            ])
    }

    @Test func `a head in many CONTINUATIONs, padded and with a priority, reads the same`() {
        let block = Wire.section(Wire.get + [("x-long", String(repeating: "v", count: 300))])
        var bytes = Wire.frame(
            .headers, Wire.endStream | Wire.padded | Wire.priority, 1,
            [3] + Wire.number(7) + [9] + block.prefix(10) + [0, 0, 0])
        for start in stride(from: 10, to: block.count, by: 40) {
            let end = min(start + 40, block.count)
            bytes += Wire.frame(
                .continuation, end == block.count ? Wire.endHeaders : 0, 1, Array(block[start..<end]))
        }
        let seen = SessionBed.everyWay(Wire.greeting + bytes).seen
        #expect(
            seen == [
                .head(
                    1,
                    "GET /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\nx-long: \(String(repeating: "v", count: 300))\r\n\r\n",
                    isEnd: true)
            ])
    }

    @Test func `content with padding and in many frames reads the same, trailers end it`() {
        let seen = SessionBed.everyWay(
            Wire.greeting + Wire.headers(1, Wire.post + [("content-length", "9")], isEnd: false)
                + Wire.frame(.data, Wire.padded, 1, [5] + "abc".latin1 + [0, 0, 0, 0, 0])
                + Wire.data(1, "def")
                + Wire.frame(.data, Wire.padded, 1, [0] + "ghi".latin1) + Wire.headers(1, [("x-sum", "1")])
        ).seen
        #expect(seen.count == 2)
        #expect(seen.last == .content(1, "abcdefghi", isEnd: true))
    }
}
