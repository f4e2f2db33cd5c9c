import Bytes
import CZlib
import Foundation
import HTTP
import Testing

@testable import Gateway

struct RepresentationTests {
    private func representation(_ text: String, reusing old: Representation? = nil) -> Representation {
        withBytes(text) { Representation($0, reusing: old) }
    }

    private static let text = String(repeating: "server ", count: 1_000)

    @Test func `the tag is strong, 32 digits, and the same for the same bytes only`() {
        let one = representation("a")
        #expect(one.tag.bytes.string.wholeMatch(of: /"[0-9a-f]{32}"/) != nil)
        // Views must not outlive what they look into, so both are held here.
        let same = representation("a")
        let other = representation("b")
        #expect(one.tag.bytes.equals(same.tag.bytes))
        #expect(!one.tag.bytes.equals(other.tag.bytes))
        // The first half of SHA-256 of "a", from FIPS 180-4 tools.
        #expect(one.tag.bytes.string == "\"ca978112ca1bbdcafac231b39a23dc4d\"")
    }

    @Test func `the identity form is the bytes themselves`() {
        let whole = representation("abc")
        #expect(whole.form(.identity)?.bytes.string == "abc")
    }

    @Test(arguments: [ContentCoding.gzip, .deflate])
    func `a coded form is made once and decodes to the bytes`(_ coding: ContentCoding) throws {
        let whole = representation(Self.text)
        let first = try #require(whole.form(coding))
        #expect(whole.form(coding) === first)
        #expect(first.count < whole.content.count)
        #expect(Self.inflate(first.bytes, windowBits: coding == .gzip ? 31 : 15) == Self.text)
    }

    @Test func `gzip and deflate are two forms`() throws {
        let whole = representation(Self.text)
        let gzip = try #require(whole.form(.gzip))
        let deflate = try #require(whole.form(.deflate))
        #expect(!gzip.bytes.equals(deflate.bytes))
        #expect(gzip.bytes[0] == 0x1F && gzip.bytes[1] == 0x8B)
        #expect(deflate.bytes[0] & 0x0F == 8, "zlib's header, RFC 1950")
    }

    @Test func `short contents are not coded`() {
        #expect(representation(String(repeating: "x", count: 1_023)).form(.gzip) == nil)
        #expect(representation(String(repeating: "x", count: 1_024)).form(.gzip) != nil)
    }

    @Test func `a content that coding makes no shorter stays as it is`() {
        var numbers = SeededNumbers(seed: 7)
        let noise = (0..<4_096).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let whole = noise.withUnsafeBufferPointer { Representation($0, reusing: nil) }
        #expect(whole.form(.gzip) == nil)
        #expect(whole.form(.gzip) == nil, "and is not tried again")
    }

    @Test func `a large content is coded beside the loop and is there soon`() throws {
        let whole = representation(String(repeating: "server ", count: 20_000))
        #expect(whole.content.count > Representation.inlineCodingThreshold)
        #expect(whole.form(.gzip) == nil, "the first one gets the identity form")
        let end = Date(timeIntervalSinceNow: 20)
        while whole.form(.gzip) == nil, Date() < end { usleep(1_000) }
        let coded = try #require(whole.form(.gzip))
        #expect(Self.inflate(coded.bytes, windowBits: 31)?.utf8.count == whole.content.count)
    }

    @Test func `a renewed list of the same bytes keeps its content and forms`() throws {
        let old = representation(Self.text)
        let form = try #require(old.form(.gzip))
        let renewed = representation(Self.text, reusing: old)
        #expect(renewed.content === old.content)
        #expect(renewed.form(.gzip) === form)
        let changed = representation(Self.text + "x", reusing: old)
        #expect(changed.content !== old.content)
        #expect(changed.form(.gzip) !== form)
    }

    @Test func `many threads that ask for a form get the same or none`() {
        let whole = representation(Self.text)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            if let form = whole.form(.gzip) { #expect(Self.inflate(form.bytes, windowBits: 31) == Self.text) }
        }
        #expect(whole.form(.gzip) != nil)
    }

    private static func inflate(_ coded: ByteView, windowBits: Int32) -> String? {
        var stream = z_stream()
        guard CZlib_inflateInit2(&stream, windowBits) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: 1 << 20)
        let count = output.count
        return output.withUnsafeMutableBufferPointer { output in
            stream.next_in = UnsafeMutablePointer(mutating: coded.baseAddress)
            stream.avail_in = UInt32(coded.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(count)
            guard CZlib.inflate(&stream, Z_FINISH) == Z_STREAM_END else { return nil }
            return String(decoding: output[..<Int(stream.total_out)], as: UTF8.self)
        }
    }
}
