import Bytes
import HTTP
import Testing

/// Reads a request whose field lines are given and lends its fields.
func withFields<Answer>(_ lines: String, _ body: (borrowing FieldSection, ByteView) -> Answer) throws
    -> Answer
{
    var reader = RequestReader()
    var head = RequestHead()
    let bytes = "GET / HTTP/1.0\r\n\(lines)\r\n".latin1
    let result = bytes.withUnsafeBufferPointer { reader.read($0, into: &head) }
    try #require(result == .complete)
    return bytes.withUnsafeBufferPointer { body(head.fields, $0) }
}

struct HTTPDateTests {
    @Test(arguments: [
        (Int64(0), "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"), (1_798_675_200, "Thu, 31 Dec 2026 00:00:00 GMT"),
    ])
    func `RFC 9110 §5.6.7: an IMF-fixdate is written and read back`(seconds: Int64, text: String) {
        var buffer = Buffer(capacity: 29)
        HTTPDate.append(seconds, to: &buffer)
        #expect(buffer.readable.latin1 == text)
        #expect(withBytes(text) { HTTPDate.read($0) } == seconds)
    }

    @Test func `each day of eight hundred years reads back`() {
        for day in stride(from: Int64(-73_000), to: 220_000, by: 37) {
            var buffer = Buffer(capacity: 29)
            HTTPDate.append(day * 86_400 + 3_661, to: &buffer)
            let back = HTTPDate.read(buffer.readable)
            #expect(back == day * 86_400 + 3_661)
        }
    }

    @Test(arguments: [
        ("Sunday, 06-Nov-94 08:49:37 GMT", Int64(784_111_777)), ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ("Sun Nov 16 08:49:37 1994", 784_975_777), ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
    ])
    func `the two obsolete forms are read`(text: String, seconds: Int64) {
        #expect(withBytes(text) { HTTPDate.read($0) } == seconds)
    }

    @Test(arguments: [
        "", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
    ])
    func `anything else is no date`(text: String) { #expect(withBytes(text) { HTTPDate.read($0) } == nil) }
}

struct AcceptEncodingTests {
    @Test(arguments: [
        ("gzip", ContentCoding.gzip), ("deflate", .deflate), ("gzip, deflate, compress", .gzip),
        ("deflate, gzip", .gzip),
        ("GZIP;Q=0.5", .gzip), ("x-gzip", .gzip), ("gzip;q=0", .identity),
        ("gzip;q=0.4, deflate;q=0.5", .deflate),
        ("gzip;q=0.5, identity;q=0.9", .identity), ("identity;q=0.5, gzip;q=0.5", .gzip), ("*", .gzip),
        ("*;q=0", nil),
        ("gzip;q=0, *", .deflate), ("identity;q=0", nil), ("identity;q=0, gzip", .gzip),
        ("*;q=0, identity", .identity),
        ("br", .identity), ("br, identity;q=0", nil), ("", .identity), ("gzip; q=1.000", .gzip),
        ("gzip;q=1.001", .identity),
        ("gzip;q=", .identity), ("gzip;q=0.0000", .identity), ("gzip;x=1", .identity),
        ("gzip ; q=0.001", .gzip),
    ])
    func `RFC 9110 §12.5.3: the coding of the highest weight`(text: String, coding: ContentCoding?) throws {
        #expect(withBytes(text) { AcceptEncoding.choose($0) } == coding)
        #expect(try withFields("Accept-Encoding: \(text)\r\n") { AcceptEncoding.choose($0, $1) } == coding)
    }

    @Test func `several lines are one list and no line is identity`() throws {
        let lines = "Accept-Encoding: gzip;q=0\r\nAccept-Encoding: deflate\r\n"
        #expect(try withFields(lines) { AcceptEncoding.choose($0, $1) } == .deflate)
        #expect(try withFields("") { AcceptEncoding.choose($0, $1) } == .identity)
    }
}

struct ContentCoderTests {
    static let content = Array(String(repeating: "{\"servers\": []} ", count: 5_000).utf8)

    static func encode(_ bytes: [UInt8], _ coding: ContentCoding) throws -> [UInt8] {
        try #require(bytes.withUnsafeBufferPointer { ContentCoder.encode($0, as: coding) })
    }

    @Test(arguments: [ContentCoding.gzip, .deflate]) func `what was encoded decodes to the same`(
        coding: ContentCoding
    ) throws {
        for bytes in [[], [0x61], Self.content] as [[UInt8]] {
            let encoded = try Self.encode(bytes, coding)
            let limit = bytes.count
            #expect(
                try encoded.withUnsafeBufferPointer { try ContentCoder.decode($0, as: coding, atMost: limit) }
                    == bytes)
        }
        let encoded = try Self.encode(Self.content, coding)
        #expect(encoded.count < 1_000)
        #expect(coding == .gzip ? Array(encoded[0..<2]) == [0x1F, 0x8B] : encoded[0] == 0x78)
    }

    @Test(arguments: [ContentCoding.gzip, .deflate]) func `decoding stops at its limit`(coding: ContentCoding)
        throws
    {
        let encoded = try Self.encode(Self.content, coding)
        #expect(throws: ContentCoder.Failure.tooLarge) {
            try encoded.withUnsafeBufferPointer {
                try ContentCoder.decode($0, as: coding, atMost: Self.content.count - 1)
            }
        }
    }

    @Test(arguments: [ContentCoding.gzip, .deflate]) func `cut, damaged and lengthened content is corrupt`(
        coding: ContentCoding
    ) throws {
        let encoded = try Self.encode(Self.content, coding)
        var damaged = encoded
        damaged[damaged.count - 6] ^= 1
        for bytes in [Array(encoded.dropLast()), encoded + [0], damaged, [], [0x61, 0x62, 0x63]] {
            #expect(throws: ContentCoder.Failure.corrupt) {
                try bytes.withUnsafeBufferPointer { try ContentCoder.decode($0, as: coding, atMost: 1 << 20) }
            }
        }
    }

    @Test func `identity is not encoded and decodes to itself`() throws {
        #expect(withBytes("a") { ContentCoder.encode($0, as: .identity) } == nil)
        #expect(try withBytes("a") { try ContentCoder.decode($0, as: .identity, atMost: 1) } == [0x61])
        #expect(throws: ContentCoder.Failure.tooLarge) {
            try withBytes("ab") { try ContentCoder.decode($0, as: .identity, atMost: 1) }
        }
    }
}

struct CacheControlTests {
    static func read(_ lines: String) throws -> CacheControl {
        try withFields(lines) { CacheControl(reading: $0, $1) }
    }

    @Test func `RFC 9111 §5.2: flags and numbers of several lines are read`() throws {
        var expected = CacheControl()
        expected.noCache = true
        expected.isPrivate = true
        expected.mustRevalidate = true
        expected.maxAge = 60
        expected.sMaxAge = 5
        expected.staleWhileRevalidate = 10
        expected.staleIfError = 20
        let lines =
            "Cache-Control: Max-Age=60, no-cache=\"Set-Cookie, X\", private\r\n"
            + "Cache-Control: s-maxage=\"5\",must-revalidate,foo=bar, stale-while-revalidate=10,stale-if-error=20\r\n"
        #expect(try Self.read(lines) == expected)
    }

    @Test(arguments: [
        ("max-age=0", UInt64(0)), ("max-age=5, max-age=3", 3), ("max-age=x", 0), ("max-age", 0),
        ("max-age=-1", 0),
        ("max-age=99999999999999999999", 1 << 31), ("max-age=", 0), ("min-fresh=1", nil), ("xmax-age=1", nil),
    ])
    func `RFC 9111 §4.2.1: a doubtful age is the shorter one`(text: String, maxAge: UInt64?) throws {
        #expect(try Self.read("Cache-Control: \(text)\r\n").maxAge == maxAge)
    }

    @Test func `max-stale without a number takes any staleness, and min-fresh asks the larger`() throws {
        #expect(try Self.read("Cache-Control: max-stale\r\n").maxStale == CacheControl.secondsLimit)
        #expect(try Self.read("Cache-Control: max-stale=7\r\n").maxStale == 7)
        #expect(try Self.read("Cache-Control: min-fresh=7, min-fresh=9\r\n").minFresh == 9)
        #expect(
            try Self.read("Cache-Control: only-if-cached, no-store, no-transform, public\r\n").onlyIfCached)
    }

    @Test func `RFC 9111 §5.4: Pragma counts only without Cache-Control`() throws {
        #expect(try Self.read("Pragma: no-cache\r\n").noCache)
        #expect(try Self.read("Pragma: no-cache\r\nCache-Control: max-age=1\r\n").noCache == false)
    }
}

struct EntityTagTests {
    @Test(arguments: [
        ("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), (" * ", true),
        ("\"b\",W/\"a\"", true),
        ("\"A\"", false), ("a", false), ("\"b\"", false), ("", false), ("\"a", false), ("w/\"a\"", false),
        ("\"x,\\\", \"a\"", true), ("\"\"", false), ("junk, \"a\"", false), ("\"*\"", false),
        ("*, \"b\"", false),
    ])
    func `RFC 9110 §13.1.2: If-None-Match compares weakly`(value: String, matches: Bool) throws {
        for tag in ["\"a\"", "W/\"a\""] {
            let found = try withFields("If-None-Match: \(value)\r\n") { fields, bytes in
                withBytes(tag) { EntityTag.matches(ifNoneMatch: fields, bytes, tag: $0) }
            }
            #expect(found == matches)
        }
    }

    @Test func `any of several lines may match and none does not`() throws {
        let two = "If-None-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n"
        #expect(
            try withFields(two) { fields, bytes in
                withBytes("\"a\"") { EntityTag.matches(ifNoneMatch: fields, bytes, tag: $0) }
            })
        #expect(
            try withFields("") { fields, bytes in
                withBytes("\"a\"") { EntityTag.matches(ifNoneMatch: fields, bytes, tag: $0) }
            } == false)
    }
}
