import Bytes
import Testing

/// Lends the UTF-8 of `text` to `body`, from a block of exactly its size.
func withBytes<Answer>(_ text: String, _ body: (ByteView) throws -> Answer) rethrows -> Answer {
    try Array(text.utf8).withUnsafeBufferPointer(body)
}

struct ByteViewTests {
    @Test func `token characters are those of RFC 9110 and no other of the 256 bytes`() {
        let symbols = Set("!#$%&'*+-.^_`|~".utf8)
        for byte in UInt8.min...UInt8.max {
            let isAlphanumeric =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            #expect(
                ASCII.isTokenCharacter(byte) == (isAlphanumeric || symbols.contains(byte)), "byte \(byte)")
        }
    }

    @Test func `only the 26 upper-case letters have another lower case`() {
        for byte in UInt8.min...UInt8.max {
            let expected = (0x41...0x5A).contains(byte) ? byte + 32 : byte
            #expect(ASCII.lowercased(byte) == expected)
        }
    }

    @Test func `hexadecimal digits have values and no other of the 256 bytes has`() {
        for byte in UInt8.min...UInt8.max {
            let digit = byte < 0x80 ? Character(UnicodeScalar(byte)).hexDigitValue : nil
            #expect(ASCII.hexValue(byte).map(Int.init) == digit, "byte \(byte)")
            #expect(ASCII.isDigit(byte) == (0x30...0x39).contains(byte))
        }
    }

    @Test(arguments: [
        ("0", UInt64(0)), ("007", 7), ("18446744073709551615", .max), ("18446744073709551616", nil),
        ("99999999999999999999", nil), ("", nil), ("+1", nil), ("-1", nil), (" 1", nil), ("1 ", nil),
        ("1,1", nil),
        ("0x1", nil), ("١", nil),
    ])
    func `a decimal number is digits only and fits 64 bits`(text: String, value: UInt64?) {
        #expect(withBytes(text) { Decimal.read($0) } == value)
    }

    @Test func `comparisons look at length, bytes and case`() {
        withBytes("Content-Length") { bytes in
            #expect(bytes.equals("Content-Length"))
            #expect(!bytes.equals("content-length"))
            #expect(bytes.equalsIgnoringCase("content-length"))
            #expect(!bytes.equalsIgnoringCase("content-lengt"))
            #expect(bytes.starts(with: "Content"))
            #expect(!bytes.starts(with: "Content-Lengths"))
            #expect(bytes.equals(bytes) && !bytes.equals(bytes.view(0, 3)))
        }
        // A letter and the symbol 32 below or above it are not two cases of one.
        withBytes("@[`{") { #expect(!$0.equalsIgnoringCase("`{`{")) }
    }

    @Test(arguments: [("  a b\t", "a b"), ("", ""), (" \t ", ""), ("a", "a"), ("\u{0B}a", "\u{0B}a")])
    func `trimming takes spaces and tabs only`(text: String, trimmed: String) {
        #expect(withBytes(text) { $0.trimmed().string } == trimmed)
    }

    @Test func `a range names its bytes`() {
        let range = ByteRange(start: 4, count: 3)
        #expect(range.lower == 4 && range.upper == 7 && !range.isEmpty && ByteRange.empty.isEmpty)
        withBytes("abc defg") { #expect($0.view(range).string == "def") }
    }
}
