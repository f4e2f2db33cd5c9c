import Bytes
import HTTP
import Testing

@testable import Gateway

struct ContentReaderTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let framing: Framing
        let input: String
        /// The content, or nil when the reader refuses.
        let content: String?
        /// Bytes that belong to the next message.
        var rest = ""
        var testDescription: String { name }
    }

    static let rows = [
        Row(name: "no content", framing: .none, input: "GET", content: "", rest: "GET"),
        Row(name: "length zero", framing: .length(0), input: "GET", content: "", rest: "GET"),
        Row(
            name: "a length, RFC 9112 §6.2", framing: .length(5), input: "helloGET", content: "hello",
            rest: "GET"),
        Row(name: "to the end, RFC 9112 §6.3", framing: .untilClose, input: "hello", content: "hello"),
        Row(
            name: "chunks, RFC 9112 §7.1", framing: .chunked,
            input: "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET",
            content: "hello world", rest: "GET"),
        Row(
            name: "no chunk at all", framing: .chunked, input: "0\r\n\r\nGET", content: "", rest: "GET"),
        Row(
            name: "trailer fields are dropped, RFC 9110 §6.5.1", framing: .chunked,
            input: "1\r\na\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\nGET", content: "a", rest: "GET"),
        Row(name: "a bad size", framing: .chunked, input: "5\r\nhello\r\nx\r\n", content: nil),
        Row(
            name: "no CRLF behind a chunk", framing: .chunked, input: "5\r\nhelloX\r\n0\r\n\r\n", content: nil
        ),
    ]

    /// Feeds `pieces` one after the other, as a connection's input would hold them.
    private static func read(_ row: Row, _ pieces: [ArraySlice<UInt8>], limit: Int) -> (
        content: String?, rest: String
    ) {
        var reader = ContentReader(row.framing)
        var buffered: [UInt8] = []
        var content: [UInt8] = []
        for piece in pieces {
            buffered += piece
            while true {
                let (consumed, goesOn, isRefused) = buffered.withUnsafeBufferPointer { input in
                    let next = reader.next(input, limit: limit)
                    switch next {
                    case .bytes(let bytes, _):
                        content += Array(bytes)
                        return (reader.consume(next), true, false)
                    case .skipped: return (reader.consume(next), true, false)
                    case .ended: return (reader.consume(next), false, false)
                    case .needMore: return (0, false, false)
                    case .refused: return (0, false, true)
                    }
                }
                buffered.removeFirst(consumed)
                if isRefused { return (nil, "") }
                if !goesOn { break }
            }
        }
        if row.framing == .untilClose { reader.isEnded = true }
        guard reader.isEnded else { return ("not ended", "") }
        return (String(decoding: content, as: UTF8.self), String(decoding: buffered, as: UTF8.self))
    }

    @Test(arguments: rows)
    func `content is the same however it is cut`(_ row: Row) {
        let bytes = Array(row.input.utf8)
        var feeds: [[ArraySlice<UInt8>]] = [[bytes[...]], bytes.indices.map { bytes[$0...$0] }]
        for cut in 0...bytes.count { feeds.append([bytes[..<cut], bytes[cut...]]) }
        for feed in feeds {
            for limit in [1, 2, 3, Int.max] {
                // A window smaller than a chunk's size line cannot be read; the callers' is never that small.
                if row.framing == .chunked, limit < 32 { continue }
                let found = Self.read(row, feed, limit: limit)
                #expect(found.content == row.content, "\(feed.map { $0.count }) limit \(limit)")
                if row.content != nil {
                    #expect(found.rest == row.rest, "\(feed.map { $0.count }) limit \(limit)")
                }
            }
        }
    }

    @Test func `a piece is never longer than its limit and a large chunk goes on in the next one`() {
        let input = Array(("1000\r\n" + String(repeating: "x", count: 4_096) + "\r\n0\r\n\r\n").utf8)
        var reader = ContentReader(.chunked)
        var offset = 0
        var count = 0
        while !reader.isEnded {
            input[offset...].withUnsafeBufferPointer { left in
                let piece = reader.next(left, limit: 100)
                if case .bytes(let bytes, let consumed) = piece {
                    #expect(consumed <= 100)
                    count += bytes.count
                }
                offset += reader.consume(piece)
            }
        }
        #expect(count == 4_096)
        #expect(offset == input.count)
    }

    @Test func `a length beyond what an Int holds is counted`() {
        var reader = ContentReader(.length(UInt64(Int64.max)))
        withBytes("hello") { input in
            let piece = reader.next(input, limit: 3)
            #expect(reader.consume(piece) == 3)
        }
        #expect(!reader.isEnded)
    }

    @Test func `without room nothing is taken`() {
        var reader = ContentReader(.length(5))
        withBytes("hello") { input in
            guard case .needMore = reader.next(input, limit: 0) else {
                return #expect(Bool(false), "something came")
            }
            guard case .needMore = reader.next(input, limit: -5) else {
                return #expect(Bool(false), "something came")
            }
        }
        #expect(!reader.isEnded)
    }
}
