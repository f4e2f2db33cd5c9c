import Bytes
import HTTP
import Testing

struct PathFormTests {
    @Test(arguments: [
        ("/", true), ("/a", true), ("/a/", true), ("/a/b.c/..d/...", true), ("/%41%c3%a9", true),
        ("/a%20b", true),
        ("/a:b@c;d=e,f!$&'()*+~-_", true), ("/%2e%2e%2e", true), ("/.a", true), ("/a%3F%23%25", true),
        ("", false),
        ("a", false), ("//", false), ("//a", false), ("/a//b", false), ("/a//", false), ("/.", false),
        ("/..", false),
        ("/./a", false), ("/a/../b", false), ("/a/..", false), ("/a/./", false), ("/%2e", false),
        ("/%2E%2e/a", false),
        ("/.%2e", false), ("/%2e.", false), ("/a%2fb", false), ("/a%2Fb", false), ("/a%5cb", false),
        ("/a\\b", false),
        ("/%00", false), ("/%0a", false), ("/%1f", false), ("/%7F", false), ("/%", false), ("/%4", false),
        ("/%4g", false),
        ("/%g4", false), ("/a b", false), ("/a\"b", false), ("/a<b", false), ("/a|b", false), ("/a^b", false),
        ("/a[b", false), ("/a{b", false), ("/\u{E9}", false), ("/a\0", false), ("/a?b", false),
        ("/a#b", false),
    ])
    func `RFC 3986 §3.3 and ours: a path in normal form`(path: String, isNormal: Bool) {
        #expect(withBytes(path) { PathForm.isNormal($0) } == isNormal)
    }
}

struct QueryReaderTests {
    static func pairs(_ text: String) -> [String] {
        withBytes(text) { bytes in
            var reader = QueryReader(bytes)
            var pairs: [String] = []
            while let (name, value, hasEquals) = reader.next() {
                pairs.append(bytes.view(name).latin1 + (hasEquals ? "=" : "") + bytes.view(value).latin1)
            }
            return pairs
        }
    }

    @Test(arguments: [
        ("", []), ("a", ["a"]), ("a=", ["a="]), ("=b", ["=b"]), ("=", ["="]),
        ("a=b&c=d;e=f", ["a=b", "c=d", "e=f"]),
        ("&&a=b;;&", ["a=b"]), ("a=b=c", ["a=b=c"]), ("a&b", ["a", "b"]), ("a%26b=c+d", ["a%26b=c+d"]),
        (";", []),
    ])
    func `pairs are divided at ampersands and semicolons`(text: String, pairs: [String]) {
        #expect(Self.pairs(text) == pairs)
    }

    @Test(arguments: [
        ("a+b%20c", true, "a b c", true), ("a+b", false, "a+b", true), ("%41%zz%4", true, "A%zz%4", false),
        ("%", true, "%", false), ("%C3%a9", true, "\u{C3}\u{A9}", true), ("%00", false, "\0", true),
        ("", true, "", true),
        ("%%41", true, "%A", false),
    ])
    func `triples are decoded and bad ones kept`(
        text: String, plusIsSpace: Bool, decoded: String, isClean: Bool
    ) {
        var buffer = Buffer(capacity: 32)
        let answer = withBytes(text) { PercentCoding.decode($0, plusIsSpace: plusIsSpace, into: &buffer) }
        #expect(answer == isClean)
        #expect(buffer.readable.latin1 == decoded)
    }

    @Test func `every byte survives encoding and decoding`() {
        let all = String(decoding: (0...127).map { UInt8($0) }, as: UTF8.self) + "\u{80}\u{FF}"
        for spaceIsPlus in [true, false] {
            var encoded = Buffer(capacity: 1_024)
            var decoded = Buffer(capacity: 1_024)
            withBytes(all) { PercentCoding.appendEncoded($0, spaceIsPlus: spaceIsPlus, to: &encoded) }
            let isClean = PercentCoding.decode(encoded.readable, plusIsSpace: spaceIsPlus, into: &decoded)
            #expect(isClean)
            #expect(decoded.readable.latin1 == all)
        }
        var buffer = Buffer(capacity: 32)
        withBytes("a b/~\u{E9}") { PercentCoding.appendEncoded($0, spaceIsPlus: true, to: &buffer) }
        #expect(buffer.readable.latin1 == "a+b%2F~%E9")
    }
}

struct WriterTests {
    @Test func `a written response reads back`() {
        var buffer = Buffer(capacity: 1_024)
        buffer.appendStatusLine(503)
        buffer.appendField(.retryAfter, 7)
        buffer.appendField(.contentType, "application/json")
        buffer.appendField("X-Made-Up", "a")
        withBytes("value") { value in
            buffer.appendField(.etag, value)
            buffer.appendField("x-name", value)
            buffer.appendField(value, value)
        }
        buffer.appendDate(0)
        buffer.appendContentLength(UInt64.max / 2)
        buffer.appendHeadEnd()
        let text =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Type: application/json\r\nX-Made-Up: a\r\n"
            + "ETag: value\r\nx-name: value\r\nvalue: value\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
            + "Content-Length: 9223372036854775807\r\n\r\n"
        #expect(buffer.readable.latin1 == text)
        let snapshot = ResponseSnapshot.read([Array(buffer.readable)], .get)
        #expect(snapshot.result == .complete && snapshot.fields.count == 8)
    }

    @Test func `written chunks read back`() {
        var buffer = Buffer(capacity: 1_024)
        for text in ["a", String(repeating: "b", count: 300)] {
            buffer.appendChunkHead(byteCount: text.utf8.count)
            buffer.append(text)
            buffer.appendChunkEnd()
        }
        buffer.appendLastChunk()
        buffer.appendField("X-Sum", "1")
        buffer.appendHeadEnd()
        let outcome = ChunkedReaderTests.read([Array(buffer.readable)])
        #expect(outcome.content.count == 301 && outcome.trailers == ["X-Sum:1"] && outcome.hasEnded)
        buffer.removeAll()
        buffer.appendChunkedEnd()
        #expect(ChunkedReaderTests.read([Array(buffer.readable)]).hasEnded == true)
    }

    @Test func `too little room shows once at the end`() {
        var buffer = Buffer(capacity: 20)
        buffer.appendStatusLine(200)
        buffer.appendField(.etag, "\"a\"")
        #expect(buffer.hasOverflowed == true)
    }

    @Test func `methods are found by their exact names and know what they may`() {
        for method in Method.allCases where method != .other {
            #expect(withBytes("\(method.name)") { Method.find($0) } == method)
            #expect(withBytes("\(method.name)".lowercased()) { Method.find($0) } == .other)
        }
        for text in ["", "GETS", "XXX", "HEAT", "TRACK", "CONNECTS", "DELETF"] {
            #expect(withBytes(text) { Method.find($0) } == .other)
        }
        let idempotent = Method.allCases.filter(\.isIdempotent)
        #expect(idempotent == [.get, .head, .put, .delete, .options, .trace])
        #expect(Method.allCases.filter(\.isSafe) == [.get, .head, .options, .trace])
    }

    @Test func `statuses have their registered phrases and unknown ones none`() {
        #expect("\(StatusPhrase.phrase(413))" == "Content Too Large")
        #expect("\(StatusPhrase.phrase(299))" == "")
        for refusal in Refusal.allCases { #expect(!"\(StatusPhrase.phrase(refusal.status))".isEmpty) }
    }
}
