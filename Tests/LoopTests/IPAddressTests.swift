import Bytes
import Glibc
import Loop
import Testing

@Suite struct IPAddressTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let text: String
        let canonical: String?
        let source: String
        init(_ text: String, _ canonical: String?, _ source: String) {
            self.text = text
            self.canonical = canonical
            self.source = source
        }
        var testDescription: String { "\(source): \(text)" }
    }

    static let rows: [Row] = [
        Row("192.0.2.1", "192.0.2.1", "RFC 3986 §3.2.2"),
        Row("0.0.0.0", "0.0.0.0", "RFC 3986 §3.2.2"),
        Row("255.255.255.255", "255.255.255.255", "RFC 3986 §3.2.2"),
        Row("256.0.0.1", nil, "RFC 3986 §3.2.2"),
        Row("1.2.3", nil, "RFC 6943 §3.1.1"),
        Row("1.2.3.4.5", nil, "RFC 3986 §3.2.2"),
        Row("01.2.3.4", nil, "RFC 6943 §3.1.1"),
        Row("1.2.3.0x4", nil, "RFC 6943 §3.1.1"),
        Row("1.2.3.4 ", nil, "RFC 3986 §3.2.2"),
        Row("1..2.3", nil, "RFC 3986 §3.2.2"),
        Row("+1.2.3.4", nil, "RFC 3986 §3.2.2"),
        Row("::", "::", "RFC 4291 §2.2"),
        Row("::1", "::1", "RFC 4291 §2.2"),
        Row("1::", "1::", "RFC 4291 §2.2"),
        Row("2001:DB8::8:800:200C:417A", "2001:db8::8:800:200c:417a", "RFC 5952 §4.3"),
        Row("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1", "RFC 5952 §4.2.3"),
        Row("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "RFC 5952 §4.2.2"),
        Row("2001:0:0:1:0:0:0:1", "2001:0:0:1::1", "RFC 5952 §4.2.3"),
        Row("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::", "RFC 5952 §4.2.1"),
        Row("::ffff:192.0.2.1", "::ffff:192.0.2.1", "RFC 5952 §5"),
        Row("::ffff:c000:201", "::ffff:192.0.2.1", "RFC 5952 §5"),
        Row("64:ff9b::192.0.2.33", "64:ff9b::c000:221", "RFC 4291 §2.2"),
        Row("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304", "RFC 4291 §2.2"),
        Row("1:2:3:4:5:6:7:1.2.3.4", nil, "RFC 4291 §2.2"),
        Row("1.2.3.4::", nil, "RFC 4291 §2.2"),
        Row("1:2:3:4:5:6:7", nil, "RFC 4291 §2.2"),
        Row("1:2:3:4:5:6:7:8:9", nil, "RFC 4291 §2.2"),
        Row("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "RFC 4291 §2.2"),
        Row("1:2:3:4::5:6:7:8", nil, "RFC 4291 §2.2"),
        Row("1::2::3", nil, "RFC 4291 §2.2"),
        Row(":::", nil, "RFC 4291 §2.2"),
        Row(":1", nil, "RFC 4291 §2.2"),
        Row("1:", nil, "RFC 4291 §2.2"),
        Row("12345::", nil, "RFC 4291 §2.2"),
        Row("g::", nil, "RFC 4291 §2.2"),
        Row("fe80::1%eth0", nil, "ours: no zones"),
        Row("[::1]", nil, "ours: no brackets"),
        Row("", nil, "ours"),
        Row("localhost", nil, "ours: no names"),
    ]

    @Test(arguments: rows) func `an address is read and written in its canonical form`(row: Row) {
        #expect(IPAddress(parsing: row.text)?.description == row.canonical)
    }

    @Test func `the C library reads the same texts to the same bytes`() {
        var random = RandomSource(seed: (11, 12, 13, 14))
        let alphabet = Array("0123456789abcdefAF:::::....gx".utf8)
        let seeds = Self.rows.map { Array($0.text.utf8) }
        var accepted = 0
        for _ in 0..<60_000 {
            var bytes = seeds.randomElement(using: &random)!
            for _ in 0..<random.next() % 4 {
                let place = Int(random.next() % UInt64(bytes.count + 1))
                switch random.next() % 3 {
                case 0: bytes.insert(alphabet.randomElement(using: &random)!, at: place)
                case 1 where place < bytes.count: bytes.remove(at: place)
                case 2 where place < bytes.count: bytes[place] = alphabet.randomElement(using: &random)!
                default: break
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let ours = IPAddress(parsing: text)
            #expect(ours == Self.reference(text), "\(text)")
            if let ours {
                accepted += 1
                #expect(IPAddress(parsing: ours.description) == ours)
            }
        }
        #expect(accepted > 1_000, "the generator must make good addresses too")
    }

    static func reference(_ text: String) -> IPAddress? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return IPAddress(v4: UInt32(bigEndian: four.s_addr)) }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        return withUnsafeBytes(of: six) {
            IPAddress(
                v6: UInt64(bigEndian: $0.load(as: UInt64.self)),
                UInt64(bigEndian: $0.load(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    @Test(arguments: [
        ("127.0.0.1:8774", "127.0.0.1:8774"), ("[::1]:80", "[::1]:80"),
        ("[2001:DB8::1]:0", "[2001:db8::1]:0"),
        ("10.0.0.1:65535", "10.0.0.1:65535"), ("10.0.0.1:65536", nil), ("10.0.0.1", nil), ("10.0.0.1:", nil),
        ("::1:80", nil), ("[::1]", nil), ("[127.0.0.1]:80", nil), ("[]:80", nil), (":80", nil),
        ("[::1:80", nil),
        ("localhost:80", nil), ("10.0.0.1:+1", nil), ("10.0.0.1:000080", nil), ("", nil),
    ])
    func `a socket address needs address and port`(text: String, canonical: String?) {
        #expect(SocketAddress(parsing: text)?.description == canonical)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.0.9", true), ("::1", true), ("::ffff:127.0.0.1", true),
        ("128.0.0.1", false),
        ("::2", false), ("0.0.0.0", false), ("::", false),
    ])
    func `loopback is known in both families`(text: String, isLoopback: Bool) throws {
        #expect(try #require(IPAddress(parsing: text)).isLoopback == isLoopback)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false),
        ("192.0.2.6/31", "192.0.2.7", true),
        ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::", false), ("::/0", "2001:db8::1", true), ("::/0", "10.0.0.1", false),
        ("2001:db8::/64", "2001:db8::1:0:0:1", true), ("2001:db8::/65", "2001:db8::8000:0:0:1", false),
        ("2001:db8::1", "2001:db8::1", true), ("2001:db8::1/128", "2001:db8::2", false),
        ("::ffff:0:0/96", "::ffff:10.0.0.1", true),
    ])
    func `a block contains what shares its prefix`(block: String, address: String, isInside: Bool) throws {
        let address = try #require(IPAddress(parsing: address))
        #expect(try #require(AddressBlock(parsing: block)).contains(address) == isInside)
    }

    @Test(arguments: [
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "/8", "2001:db8::/129",
        "2001:db8::1/32",
        "10.0.0.0/ 8", "10.0.0/8", "",
    ])
    func `a block with host bits or a bad prefix is refused`(text: String) {
        #expect(AddressBlock(parsing: text) == nil)
    }
}
