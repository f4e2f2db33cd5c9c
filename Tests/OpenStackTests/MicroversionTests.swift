import Bytes
import HTTP
import Testing

@testable import OpenStack

@Suite struct `Microversions` {
    /// Reads fields as a request of these lines would carry them.
    private func read(_ lines: [(FieldName, String)]) -> String {
        let text = lines.map(\.1).joined(separator: "\n")
        return withBytes(text) { bytes in
            var fields = FieldSection(capacity: 8)
            var start = 0
            for (name, value) in lines {
                let range = ByteRange(start: start, count: value.utf8.count)
                _ = fields.append(FieldLine(name: .empty, value: range, known: name, hasUnderscore: false))
                start += value.utf8.count + 1
            }
            let request = MicroversionRequest.read(
                fields, in: bytes, minimum: .base, maximum: Microversion(major: 2, minor: 104))
            switch request {
            case .absent: return "absent"
            case .latest: return "latest"
            case .version(let version): return "\(version.major).\(version.minor)"
            case .malformed(let range): return "400 " + bytes.view(range).string
            case .outOfRange(let range): return "406 " + bytes.view(range).string
            }
        }
    }

    @Test(arguments: [
        ("compute 2.60", "2.60"), ("compute 2.104", "2.104"), ("compute 2.1", "2.1"),
        ("compute 2.105", "406 2.105"),
        ("compute 2.0", "406 2.0"), ("compute 1.0", "406 1.0"), ("compute 3.0", "406 3.0"),
        ("compute latest", "latest"), ("compute LATEST", "400 LATEST"), ("COMPUTE 2.60", "2.60"),
        ("2.60", "absent"),
        ("compute2.60", "absent"), ("compute  2.60", "2.60"), ("compute\t2.60", "2.60"),
        ("nova 2.60", "absent"),
        ("identity 3.10", "absent"), ("identity 3.10, compute 2.60", "2.60"),
        ("compute 2.60, identity 3.10", "2.60"),
        ("compute 2.60,compute 2.70", "2.70"), ("compute 2.60,", "2.60"), ("", "absent"),
        ("compute", "absent"),
        ("compute ", "absent"), ("compute 2", "400 2"), ("compute 2.01", "400 2.01"),
        ("compute 02.1", "400 02.1"),
        ("compute -2.1", "400 -2.1"), ("compute 2.1a", "400 2.1a"), ("compute 2.1;x", "400 2.1;x"),
        ("compute=2.60", "absent"), ("compute 2.60 2.70", "400 2.60 2.70"), ("compute 2.", "400 2."),
        ("compute .1", "400 .1"), ("compute 2.1.1", "400 2.1.1"),
        ("compute 2.99999999999999999999", "406 2.99999999999999999999"),
        ("compute 70000.1", "406 70000.1"),
    ])
    func `the standard field is read as microversion-parse does`(value: String, expected: String) {
        #expect(read([(.openStackAPIVersion, value)]) == expected)
    }

    @Test(arguments: [
        ("2.60", "2.60"), ("2.999", "406 2.999"), ("", "400 "), ("compute 2.60", "400 compute 2.60"),
        ("2.1, 2.60", "2.60"), ("latest", "latest"),
    ])
    func `the older field is read as microversion-parse does`(value: String, expected: String) {
        #expect(read([(.xOpenStackNovaAPIVersion, value)]) == expected)
    }

    @Test func `the standard field wins unless it names only other services`() {
        #expect(
            read([(.xOpenStackNovaAPIVersion, "2.60"), (.openStackAPIVersion, "compute 2.999")])
                == "406 2.999")
        #expect(
            read([(.openStackAPIVersion, "identity 3.10"), (.xOpenStackNovaAPIVersion, "2.60")]) == "2.60")
        #expect(
            read([(.openStackAPIVersion, "compute 2.60"), (.openStackAPIVersion, "compute 2.70")]) == "2.70")
        #expect(
            read([(.openStackAPIVersion, "compute 2.60"), (.openStackAPIVersion, "identity 3.1")]) == "2.60")
        #expect(read([]) == "absent")
    }

    @Test func `ids are new each time and of Nova's form`() {
        var random = RandomSource(seed: (1, 2, 3, 4))
        func made() -> String {
            var bytes = [UInt8](repeating: 0, count: 40)
            bytes.withUnsafeMutableBytes { RequestID.write(&random, to: $0) }
            return String(decoding: bytes, as: UTF8.self)
        }
        let (first, second) = (made(), made())
        #expect(first != second)
        for id in [first, second] {
            #expect(withBytes(id) { RequestID.isValid($0) })
            #expect(
                id.wholeMatch(of: /req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/)
                    != nil)
        }
    }

    @Test(arguments: [
        "", "req-", "req-11111111-2222-3333-4444-55555555555", "req-11111111-2222-3333-4444-5555555555555",
        "REQ-11111111-2222-3333-4444-555555555555", "req-1111111a-2222-3333-4444-55555555555A",
        "req-11111111-2222-3333-4444-55555555555g", "req_11111111-2222-3333-4444-555555555555",
        "req-111111112-222-3333-4444-555555555555", "req-11111111-2222-3333-4444-555555555555\n",
    ])
    func `an id of any other form is refused`(id: String) {
        #expect(!withBytes(id) { RequestID.isValid($0) })
    }
}
