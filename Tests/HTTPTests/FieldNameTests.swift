import Bytes
import Testing

@testable import HTTP

struct FieldNameTests {
    static let known = FieldName.allCases.filter { $0 != .other }

    static func text(_ name: FieldName) -> String { "\(name.canonical)" }

    @Test func `every known name is found in any case and nothing near it is`() {
        for name in Self.known {
            let spelling = Self.text(name)
            #expect(withBytes(spelling) { FieldName.find($0) } == name)
            #expect(withBytes(spelling.lowercased()) { FieldName.find($0) } == name)
            #expect(withBytes(spelling.uppercased()) { FieldName.find($0) } == name)
            #expect(withBytes(spelling + "x") { FieldName.find($0) } == .other)
            #expect(withBytes(" " + spelling) { FieldName.find($0) } == .other)
            // Each byte changed to each other byte: only the other case of a letter is the same name.
            var bytes = spelling.latin1
            for place in bytes.indices {
                let right = bytes[place]
                for wrong in UInt8.min...UInt8.max where ASCII.lowercased(wrong) != ASCII.lowercased(right) {
                    bytes[place] = wrong
                    let found = bytes.withUnsafeBufferPointer { FieldName.find($0) }
                    if found == name { Issue.record("\(spelling) found with byte \(wrong) at \(place)") }
                }
                bytes[place] = right
            }
        }
    }

    @Test func `every slot of the table holds a raw value`() {
        var seen = Set<UInt8>()
        for index in 0..<512 where FieldName.slots[index] != 0 {
            #expect(FieldName(rawValue: FieldName.slots[index]) != nil)
            #expect(seen.insert(FieldName.slots[index]).inserted)
        }
        #expect(seen.count == FieldName.knownCount - 1 && FieldName.allCases.count == FieldName.knownCount)
        for (index, name) in FieldName.allCases.enumerated() { #expect(Int(name.rawValue) == index) }
    }

    @Test func `the look-up by words relies on spellings of letters, digits and hyphens`() {
        for name in Self.known {
            let spelling = Self.text(name)
            let isPlain = spelling.unicodeScalars.allSatisfy {
                "a"..."z" ~= $0 || "A"..."Z" ~= $0 || "0"..."9" ~= $0 || $0 == "-"
            }
            #expect(
                isPlain && spelling.count > 1 && spelling.count <= FieldName.longestByteCount, "\(spelling)")
        }
    }

    @Test func `empty, short and long names are other`() {
        for text in ["", "t", "x", String(repeating: "x", count: 4_000)] {
            #expect(withBytes(text) { FieldName.find($0) } == .other)
        }
    }

    @Test(arguments: [
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "Proxy-Authenticate", "Proxy-Authorization",
    ])
    func `RFC 9110 §7.6.1: these fields belong to one connection`(text: String) {
        #expect(withBytes(text) { FieldName.find($0) }.isHopByHop)
    }

    // The fields auth_token removes from every request before it sets them itself.
    @Test(arguments: [
        "X-Identity-Status", "X-Service-Identity-Status", "X-Roles", "X-Service-Roles", "X-Project-Id",
        "X-Project-Name",
        "X-Project-Domain-Id", "X-Project-Domain-Name", "X-User-Id", "X-User-Name", "X-User-Domain-Id",
        "X-User-Domain-Name", "X-Domain-Id", "X-Domain-Name", "X-Service-Project-Id",
        "X-Service-Project-Name",
        "X-Service-Project-Domain-Id", "X-Service-Project-Domain-Name", "X-Service-User-Id",
        "X-Service-User-Name",
        "X-Service-User-Domain-Id", "X-Service-User-Domain-Name", "X-Service-Domain-Id",
        "X-Service-Domain-Name",
        "X-Is-Admin-Project", "X-Service-Catalog", "X-User", "X-Tenant", "X-Tenant-Id", "X-Tenant-Name",
        "X-Role",
        "OpenStack-System-Scope",
    ])
    func `identity fields are known as such`(text: String) {
        #expect(withBytes(text) { FieldName.find($0) }.isIdentity)
    }

    @Test func `tokens are secrets, not identity`() {
        for name in [FieldName.xAuthToken, .xServiceToken, .xStorageToken, .xSubjectToken] {
            #expect(name.isSensitive && !name.isIdentity && !name.isAllowedInTrailer)
        }
    }

    @Test func `byte classes are those of the grammar for all 256 bytes`() {
        let tokens = Set("!#$%&'*+-.^_`|~".utf8)
        let path = Set("-._~!$&'()*+,;=:@".utf8)
        for byte in UInt8.min...UInt8.max {
            let isAlphanumeric =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            let isVisible = (0x21...0x7E).contains(byte)
            #expect(ByteClass.is(byte, ByteClass.token) == (isAlphanumeric || tokens.contains(byte)))
            #expect(ByteClass.is(byte, ByteClass.pathPlain) == (isAlphanumeric || path.contains(byte)))
            #expect(ByteClass.is(byte, ByteClass.target) == (isVisible && byte != 0x23))
            #expect(
                ByteClass.is(byte, ByteClass.unreserved)
                    == (isAlphanumeric || Set("-._~".utf8).contains(byte)))
            #expect(ByteClass.is(byte, ByteClass.underscore) == (byte == 0x5F))
            #expect(
                ByteClass.is(byte, ByteClass.fieldText)
                    == (isVisible || byte == 0x20 || byte == 9 || byte >= 0x80))
        }
    }

    @Test func `each byte at each place of a value is judged alike by words and alone`() {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<20 {
                var bytes = [UInt8](repeating: 0x61, count: 20)
                bytes[place] = byte
                let end = bytes.withUnsafeBufferPointer {
                    FieldScanner.skipText($0.baseAddress!, from: 0, to: 20)
                }
                #expect(end == (ByteClass.is(byte, ByteClass.fieldText) ? 20 : place))
            }
        }
    }
}

struct FieldSectionTests {
    @Test func `lines are found by name, counted and walked`() {
        var reader = RequestReader()
        var head = RequestHead()
        withBytes("GET / HTTP/1.0\r\nVary: a\r\nX-Other: 1\r\nVARY: b\r\nx_roles: c\r\n\r\n") { bytes in
            #expect(reader.read(bytes, into: &head) == .complete)
            #expect(
                head.fields.count == 4 && head.fields.count(of: .vary) == 2
                    && head.fields.count(of: .other) == 2)
            #expect(head.fields.find(.vary).map { bytes.view($0).latin1 } == "a")
            let first = head.fields.index(of: .vary)
            let second = head.fields.index(of: .vary, from: 1)
            let third = head.fields.index(of: .vary, from: 3)
            #expect(first == 0 && second == 2 && third == nil)
            #expect(head.fields[3].hasUnderscore && !head.fields[1].hasUnderscore)
            #expect(head.fields[3].known == .other)
            let other = head.fields.find("x-other", in: bytes)
            #expect(other.map { bytes.view($0).latin1 } == "1")
            let absent = head.fields.find("x-absent", in: bytes)
            #expect(absent == nil)
            let has = (head.fields.has(.vary), head.fields.has(.etag))
            #expect(has == (true, false))
        }
        head.reset()
        #expect(head.fields.count == 0 && head.fields.count(of: .vary) == 0 && head.fields.find(.vary) == nil)
    }

    @Test func `a full section takes no more`() {
        var fields = FieldSection(capacity: 1)
        let line = FieldLine(name: .empty, value: .empty, known: .vary, hasUnderscore: false)
        let answers = (fields.append(line), fields.append(line))
        #expect(answers == (true, false))
        #expect(fields.count == 1 && fields.count(of: .vary) == 1)
    }

    @Test(arguments: [
        ("a, b ,\tc", ["a", "b", "c"]), ("", []), (" , ,", []), ("a,,b", ["a", "b"]),
        ("\"x, y\", z", ["\"x, y\"", "z"]),
        ("\"a\\\", b\", c", ["\"a\\\", b\"", "c"]), ("\"open, a", ["\"open, a"]), ("a\\, b", ["a\\", "b"]),
        ("\"\\", ["\"\\"]),
    ])
    func `RFC 9110 §5.6.1: members of a list`(text: String, members: [String]) {
        let found = withBytes(text) { bytes in
            var list = FieldList(bytes)
            var found: [String] = []
            while let member = list.next() { found.append(bytes.view(member).latin1) }
            return found
        }
        #expect(found == members)
    }

    @Test func `a token is contained whole and in any case`() {
        #expect(withBytes("Keep-Alive, Close") { FieldList.contains("close", in: $0) })
        #expect(withBytes("closed, \"close\"") { !FieldList.contains("close", in: $0) })
    }
}
