import Bytes
import HTTP
import Testing

/// What RFC 9113 says a server answers to frames that should not come; each row is fed whole, byte by byte and cut.
struct HTTP2ConformanceTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var section: String
        var name: String
        /// What follows the greeting.
        var bytes: [UInt8]
        /// The last RST_STREAM or GOAWAY that is written, or none.
        var answer: String?
        var testDescription: String { "§\(section) \(name)" }

        init(_ section: String, _ name: String, _ answer: String?, _ bytes: [UInt8]) {
            (self.section, self.name, self.answer, self.bytes) = (section, name, answer, bytes)
        }
    }

    static let open = Wire.headers(1, Wire.post, isEnd: false)
    static let ended = Wire.headers(1, Wire.get)

    static func fields(_ extra: (String, String)..., without name: String = "") -> [UInt8] {
        Wire.headers(1, Wire.get.filter { $0.0 != name } + extra)
    }

    static func fields(_ name: String, _ value: String) -> [UInt8] {
        Wire.headers(1, Wire.get.map { $0.0 == name ? (name, value) : $0 })
    }

    static let frames: [Row] = [
        Row("4.1", "a frame of an unknown type is ignored", nil, Wire.frame(type: 200, 255, 1, [1, 2, 3])),
        Row("4.1", "an unknown flag is ignored", nil, Wire.frame(.ping, 0xFE, 0, [0, 0, 0, 0, 0, 0, 0, 0])),
        Row(
            "4.2", "DATA over the frame size", "goaway 6",
            open + Wire.data(1, String(repeating: "a", count: 16_385))),
        Row(
            "4.2", "HEADERS over the frame size", "goaway 6",
            Wire.frame(.headers, 5, 1, .init(repeating: 0, count: 16_385))),
        Row(
            "4.3", "a field block that is no HPACK", "goaway 9",
            Wire.frame(.headers, 5, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF])),
        Row("4.3", "an index of 0", "goaway 9", Wire.frame(.headers, 5, 1, [0x80])),
        Row(
            "4.3", "a table size over the limit", "goaway 9",
            Wire.frame(.headers, 5, 1, Wire.integer(4_097, bits: 5, first: 0x20) + Wire.section(Wire.get))),
        Row("5.1", "DATA on an idle stream", "goaway 1", Wire.data(1, "x")),
        Row("5.1", "RST_STREAM on an idle stream", "goaway 1", Wire.resetStream(1, 8)),
        Row("5.1", "WINDOW_UPDATE on an idle stream", "goaway 1", Wire.windowUpdate(1, 100)),
        Row(
            "5.1", "CONTINUATION on an idle stream", "goaway 1",
            Wire.frame(.continuation, 4, 1, Wire.section(Wire.get))),
        Row("5.1", "DATA after END_STREAM", "goaway 5", ended + Wire.data(1, "x")),
        Row("5.1", "HEADERS after END_STREAM", "goaway 5", ended + ended),
        Row("5.1", "CONTINUATION after END_STREAM", "goaway 1", ended + Wire.frame(.continuation, 4, 1, [])),
        Row(
            "5.1", "DATA after the client's RST_STREAM", "goaway 5",
            open + Wire.resetStream(1, 8) + Wire.data(1, "x")),
        Row(
            "5.1", "HEADERS after the client's RST_STREAM", "goaway 5", open + Wire.resetStream(1, 8) + ended),
        Row(
            "5.1", "WINDOW_UPDATE after RST_STREAM is ignored", nil,
            open + Wire.resetStream(1, 8) + Wire.windowUpdate(1, 9_000)),
        Row(
            "5.1", "RST_STREAM after RST_STREAM is ignored", nil,
            open + Wire.resetStream(1, 8) + Wire.resetStream(1, 8)),
        Row(
            "5.1", "PRIORITY after RST_STREAM is ignored", nil,
            open + Wire.resetStream(1, 8) + Wire.frame(.priority, 0, 1, [0, 0, 0, 0, 1])),
        Row("5.1.1", "an even stream", "goaway 1", Wire.headers(2, Wire.get)),
        Row(
            "5.1.1", "a stream lower than the latest", "goaway 1",
            Wire.headers(5, Wire.get) + Wire.headers(3, Wire.get)),
        Row("5.1.1", "HEADERS on stream 0", "goaway 1", Wire.headers(0, Wire.get)),
        Row(
            "5.3.1", "HEADERS that depend on their stream", "reset 1 1",
            Wire.frame(.headers, 37, 1, Wire.number(1) + [15] + Wire.section(Wire.get))),
        Row(
            "5.3.1", "padded HEADERS that depend on their stream", "reset 1 1",
            Wire.frame(
                .headers, 45, 1, [2] + Wire.number(0x8000_0001) + [15] + Wire.section(Wire.get) + [0, 0])),
        Row(
            "5.3.1", "PRIORITY that depends on its stream", "reset 1 1",
            open + Wire.frame(.priority, 0, 1, Wire.number(1) + [15])),
        Row(
            "5.3.1", "PRIORITY that depends on its idle stream", "goaway 1",
            Wire.frame(.priority, 0, 1, Wire.number(1) + [15])),
        Row(
            "5.5", "an unknown frame inside a field block", "goaway 1",
            Wire.frame(.headers, 1, 1, Wire.section(Wire.get)) + Wire.frame(type: 200, 0, 1)),
        Row("6.1", "DATA on stream 0", "goaway 1", Wire.data(0, "x")),
        Row("6.1", "padding as long as the payload", "goaway 1", open + Wire.frame(.data, 8, 1, [3, 97, 0])),
        Row(
            "6.2", "HEADERS padding as long as the payload", "goaway 1",
            Wire.frame(.headers, 13, 1, [200, 0x82])),
        Row(
            "6.2", "another stream's HEADERS inside a field block", "goaway 1",
            Wire.frame(.headers, 1, 1, Wire.section(Wire.get)) + Wire.headers(3, Wire.get)),
        Row("6.3", "PRIORITY on stream 0", "goaway 1", Wire.frame(.priority, 0, 0, [0, 0, 0, 0, 1])),
        Row("6.3", "PRIORITY of four bytes", "reset 1 6", open + Wire.frame(.priority, 0, 1, [0, 0, 0, 0])),
        Row(
            "6.3", "PRIORITY on an idle stream is ignored", nil, Wire.frame(.priority, 0, 9, [0, 0, 0, 0, 1])),
        Row("6.4", "RST_STREAM on stream 0", "goaway 1", Wire.resetStream(0, 8)),
        Row(
            "6.4", "RST_STREAM of three bytes", "goaway 6", open + Wire.frame(.resetStream, 0, 1, [0, 0, 0])),
        Row(
            "6.5", "SETTINGS with an acknowledgement and a payload", "goaway 6",
            Wire.frame(.settings, 1, 0, [0, 3, 0, 0, 0, 1])),
        Row("6.5", "SETTINGS on a stream", "goaway 1", Wire.frame(.settings, 0, 1)),
        Row("6.5", "SETTINGS of five bytes", "goaway 6", Wire.frame(.settings, 0, 0, [0, 3, 0, 0, 0])),
        Row("6.5.2", "ENABLE_PUSH of 2", "goaway 1", Wire.settings([(2, 2)])),
        Row("6.5.2", "INITIAL_WINDOW_SIZE over 2^31 - 1", "goaway 3", Wire.settings([(4, 0x8000_0000)])),
        Row("6.5.2", "MAX_FRAME_SIZE under 16,384", "goaway 1", Wire.settings([(5, 16_383)])),
        Row("6.5.2", "MAX_FRAME_SIZE over 16,777,215", "goaway 1", Wire.settings([(5, 16_777_216)])),
        Row("6.5.2", "an unknown setting is ignored", nil, Wire.settings([(0xFFFF, 1)])),
        Row(
            "6.6", "PUSH_PROMISE from a client", "goaway 1",
            open + Wire.frame(.pushPromise, 4, 1, Wire.number(2) + Wire.section(Wire.get))),
        Row("6.7", "PING on a stream", "goaway 1", Wire.frame(.ping, 0, 1, .init(repeating: 0, count: 8))),
        Row("6.7", "PING of seven bytes", "goaway 6", Wire.frame(.ping, 0, 0, .init(repeating: 0, count: 7))),
        Row(
            "6.7", "an acknowledgement of a PING gets none", nil,
            Wire.frame(.ping, 1, 0, .init(repeating: 0, count: 8))),
        Row(
            "6.8", "GOAWAY on a stream", "goaway 1", Wire.frame(.goAway, 0, 1, .init(repeating: 0, count: 8))),
        Row("6.9", "WINDOW_UPDATE by 0 on the connection", "goaway 1", Wire.windowUpdate(0, 0)),
        Row("6.9", "WINDOW_UPDATE by 0 on a stream", "reset 1 1", open + Wire.windowUpdate(1, 0)),
        Row("6.9", "WINDOW_UPDATE of three bytes", "goaway 6", Wire.frame(.windowUpdate, 0, 0, [0, 0, 1])),
        Row("6.9.1", "a connection window over 2^31 - 1", "goaway 3", Wire.windowUpdate(0, 0x7FFF_FFFF)),
        Row("6.9.1", "a stream window over 2^31 - 1", "reset 1 3", open + Wire.windowUpdate(1, 0x7FFF_FFFF)),
        Row(
            "6.9.2", "a stream window over 2^31 - 1 by SETTINGS", "goaway 3",
            open + Wire.windowUpdate(1, 0x7000_0000) + Wire.settings([(4, 0x7000_0000)])),
        Row("6.10", "CONTINUATION after END_HEADERS", "goaway 1", open + Wire.frame(.continuation, 4, 1, [])),
        Row(
            "6.10", "DATA inside a field block", "goaway 1",
            Wire.frame(.headers, 1, 1, Wire.section(Wire.get)) + Wire.data(1, "x")),
        Row(
            "6.10", "CONTINUATION on stream 0", "goaway 1",
            Wire.frame(.headers, 1, 1, Wire.section(Wire.get)) + Wire.frame(.continuation, 4, 0, [])),
    ]

    static let priorities: [Row] = [
        Row(
            "7.1 of RFC 9218", "PRIORITY_UPDATE of stream 0", "goaway 1",
            Wire.frame(.priorityUpdate, 0, 0, Wire.number(0) + "u=1".latin1)),
        Row(
            "7.1 of RFC 9218", "PRIORITY_UPDATE on a stream", "goaway 1",
            Wire.frame(.priorityUpdate, 0, 1, Wire.number(1) + "u=1".latin1)),
        Row(
            "7.1 of RFC 9218", "PRIORITY_UPDATE of three bytes", "goaway 6",
            Wire.frame(.priorityUpdate, 0, 0, [0, 0, 1])),
        Row(
            "7.1 of RFC 9218", "PRIORITY_UPDATE of an even stream", "goaway 1",
            Wire.frame(.priorityUpdate, 0, 0, Wire.number(2) + "u=1".latin1)),
        Row(
            "7.1 of RFC 9218", "PRIORITY_UPDATE whose value is none", nil,
            Wire.frame(.priorityUpdate, 0, 0, Wire.number(1) + "?".latin1)),
    ]

    static let messages: [Row] = [
        Row(
            "8.1", "trailers without END_STREAM", "reset 1 1",
            open + Wire.headers(1, [("x", "y")], isEnd: false)),
        Row("8.1", "a pseudo-field in trailers", "reset 1 1", open + Wire.headers(1, [(":path", "/")])),
        Row(
            "8.1.1", "content longer than its length", "reset 1 1",
            Wire.headers(1, Wire.post + [("content-length", "1")], isEnd: false)
                + Wire.data(1, "ab", isEnd: true)),
        Row(
            "8.1.1", "content shorter than its length", "reset 1 1",
            Wire.headers(1, Wire.post + [("content-length", "3")], isEnd: false)
                + Wire.data(1, "ab", isEnd: true)),
        Row(
            "8.1.1", "a length and no content", "reset 1 1",
            Wire.headers(1, Wire.post + [("content-length", "3")])),
        Row(
            "8.1.1", "lengths that differ over two DATA", "reset 1 1",
            Wire.headers(1, Wire.post + [("content-length", "3")], isEnd: false) + Wire.data(1, "ab")
                + Wire.data(1, "cd", isEnd: true)),
        Row("8.1.1", "two lengths", "reset 1 1", fields(("content-length", "0"), ("content-length", "0"))),
        Row(
            "8.1.1", "a length that is no number", "reset 1 1",
            Wire.headers(1, Wire.post + [("content-length", "+1")], isEnd: false)),
        Row("8.2.1", "an upper-case field name", "reset 1 1", fields(("X-Upper", "v"))),
        Row("8.2.1", "an empty field name", "reset 1 1", fields(("", "v"))),
        Row("8.2.1", "a space in a field name", "reset 1 1", fields(("a b", "v"))),
        Row("8.2.1", "a colon in a field name", "reset 1 1", fields(("a:b", "v"))),
        Row("8.2.1", "a control byte in a field name", "reset 1 1", fields(("a\u{7F}", "v"))),
        Row("8.2.1", "CR in a value", "reset 1 1", fields(("x", "a\rb"))),
        Row("8.2.1", "LF in a value", "reset 1 1", fields(("x", "a\nb"))),
        Row("8.2.1", "CRLF and a field in a value", "reset 1 1", fields(("x", "a\r\ninjected: 1"))),
        Row("8.2.1", "NUL in a value", "reset 1 1", fields(("x", "a\u{0}b"))),
        Row("8.2.1", "a value that begins with a space", "reset 1 1", fields(("x", " a"))),
        Row("8.2.1", "a value that ends with a tab", "reset 1 1", fields(("x", "a\t"))),
        Row("8.2.2", "Connection", "reset 1 1", fields(("connection", "keep-alive"))),
        Row("8.2.2", "Keep-Alive", "reset 1 1", fields(("keep-alive", "5"))),
        Row("8.2.2", "Proxy-Connection", "reset 1 1", fields(("proxy-connection", "close"))),
        Row("8.2.2", "Transfer-Encoding", "reset 1 1", fields(("transfer-encoding", "chunked"))),
        Row("8.2.2", "Upgrade", "reset 1 1", fields(("upgrade", "h2c"))),
        Row("8.2.2", "TE other than trailers", "reset 1 1", fields(("te", "gzip"))),
        Row("8.2.2", "TE with trailers and more", "reset 1 1", fields(("te", "trailers, gzip"))),
        Row("8.3", "an unknown pseudo-field", "reset 1 1", fields((":unknown", "v"))),
        Row("8.3", "a response's pseudo-field", "reset 1 1", fields((":status", "200"))),
        Row("8.3", "a pseudo-field after another", "reset 1 1", Wire.headers(1, [("x", "y")] + Wire.get)),
        Row("8.3", "a repeated pseudo-field", "reset 1 1", fields((":path", "/b"))),
        Row("8.3.1", "no :method", "reset 1 1", fields(without: ":method")),
        Row("8.3.1", "no :scheme", "reset 1 1", fields(without: ":scheme")),
        Row("8.3.1", "no :path", "reset 1 1", fields(without: ":path")),
        Row("8.3.1", "neither :authority nor host", "reset 1 1", fields(without: ":authority")),
        Row("8.3.1", "an empty :path", "reset 1 1", fields(":path", "")),
        Row("8.3.1", "a :path without a slash", "reset 1 1", fields(":path", "servers")),
        Row("8.3.1", "an asterisk for GET", "reset 1 1", fields(":path", "*")),
        Row("8.3.1", "a space in :path", "reset 1 1", fields(":path", "/a b")),
        Row("8.3.1", "CRLF in :path", "reset 1 1", fields(":path", "/a HTTP/1.1\r\nx: y")),
        Row("8.3.1", "CRLF in :method", "reset 1 1", fields(":method", "GET / HTTP/1.1\r\n")),
        Row("8.3.1", "a space in :method", "reset 1 1", fields(":method", "GET /a")),
        Row("8.3.1", "CRLF in :authority", "reset 1 1", fields(":authority", "a\r\nb")),
        Row("8.3.1", "an empty :authority", "reset 1 1", fields(":authority", "")),
        Row("8.3.1", "user information in :authority", "reset 1 1", fields(":authority", "u:p@nova.example")),
        Row("8.3.1", "a host that is not the authority", "reset 1 1", fields(("host", "other.example"))),
        Row("8.3.1", "two hosts", "reset 1 1", fields(("host", "nova.example"), ("host", "nova.example"))),
        Row("8.3.1", "a scheme that is neither http nor https", "reset 1 1", fields(":scheme", "ftp")),
        Row("8.5", ":path in CONNECT", "reset 1 1", fields(":method", "CONNECT")),
        Row("8.4 of RFC 8441", ":protocol", "reset 1 1", fields((":protocol", "websocket"))),
    ]

    @Test(arguments: frames + priorities + messages)
    func `a frame or message out of order is answered as the RFC says`(
        _ row: Row
    ) {
        let (seen, written) = SessionBed.everyWay(Wire.greeting + row.bytes)
        let answers = written.compactMap { frame -> String? in
            switch frame.kind {
            case .resetStream: "reset \(frame.stream) \(frame.number())"
            case .goAway: "goaway \(frame.number(4))"
            default: nil
            }
        }
        #expect(answers.last == row.answer, "\(answers)")
        // What is malformed is never a request.
        if Self.messages.contains(where: { $0.name == row.name }), !row.bytes.starts(with: Self.open),
            !row.name.contains("content "), !row.name.contains("lengths that")
        {
            #expect(!seen.contains { if case .head = $0 { true } else { false } })
        }
    }

    @Test func `the rows are counted`() {
        print("RFC 9113 rows of the session: \((Self.frames + Self.priorities + Self.messages).count)")
        #expect(
            Set((Self.frames + Self.priorities + Self.messages).map(\.name)).count
                == (Self.frames + Self.priorities + Self.messages).count)
    }

    @Test func `a preface that is none ends the connection at its first wrong byte`() {
        for text in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "PRI * HTTP/1.1"] {
            let (seen, frames) = SessionBed.everyWay(text.latin1)
            #expect(seen == [.failed])
            #expect(frames.last?.description == "goaway 0 1")
        }
    }

    @Test func `anything but SETTINGS after the preface ends the connection`() {
        let (_, frames) = SessionBed.everyWay(Wire.preface + Wire.headers(1, Wire.get))
        #expect(frames.last?.description == "goaway 0 1")
    }
}
