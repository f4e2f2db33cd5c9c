import Bytes
import Testing

@testable import HTTP

/// Which names the lines of a head have, whatever pieces it comes in and whatever was read before it.
struct FieldReadingTests {
    /// The numbers of the names, and the lines, of a head shown in growing prefixes; none when it is refused.
    static func lines(_ prefixes: [[UInt8]], into head: inout RequestHead) -> [String] {
        var reader = RequestReader()
        for prefix in prefixes {
            let result = prefix.withUnsafeBufferPointer { reader.read($0, into: &head) }
            guard result == .complete else { continue }
            var lines: [String] = []
            for index in 0..<head.fields.count {
                let line = head.fields[index]
                let text = prefix.withUnsafeBufferPointer {
                    $0.view(line.name).latin1 + ":" + $0.view(line.value).latin1
                }
                lines.append("\(line.known) \(text) \(line.hasUnderscore)")
            }
            return lines
        }
        return []
    }

    @Test func `a name that begins as a known one does is read whole however it is cut`() {
        for name in FieldName.allCases where name != .other {
            let text = "GET / HTTP/1.1\r\nHost: a\r\n\(name.canonical)-x: b\r\n\r\n"
            let lines = SplitFeeding.check(text.latin1) { prefixes in
                var head = RequestHead(fieldCapacity: 100)
                return Self.lines(prefixes, into: &head)
            }
            #expect(lines == ["host Host:a false", "other \(name.canonical)-x:b false"])
        }
        let lines = SplitFeeding.check("GET / HTTP/1.1\r\nHost: a\r\nX-Tenant-Id: b\r\n\r\n".latin1) {
            prefixes in
            var head = RequestHead(fieldCapacity: 100)
            return Self.lines(prefixes, into: &head)
        }
        #expect(lines == ["host Host:a false", "xTenantID X-Tenant-Id:b false"])
    }

    @Test func `what the head before had does not show in the next one`() {
        let sections = [
            "Host: a\r\nAccept: b\r\nX-Auth-Token: \(String(repeating: "t", count: 183))\r\n",
            "Host: a\r\nAccept: b\r\nX-Auth-Token: short\r\n",
            "Host: a\r\naccept:b\r\nX-Auth-Tokem: short\r\n",
            "Accept: b\r\nHost: a\r\nAccept-Encoding: gzip\r\nX_Auth_Token: c\r\n",
            "Host: a\r\nAccept: \tb \r\nAccept-Encodinh: gzip\r\nX-Auth-Token:\r\n",
            "Host: a\r\nAccept-Language: b\r\nAccept: gzip\r\n",
            "Host: a\r\nAge: b\r\nAllow: \(String(repeating: "ä", count: 40))\r\nVia: e\tf\r\n",
            "Host: a\r\nAgf: b\r\nAllox: \(String(repeating: "c", count: 15))\r\nVib: \(String(repeating: "d", count: 16))\r\n",
            "hOST: a\r\n",
        ]
        var used = RequestHead(fieldCapacity: 100)
        for before in sections {
            for section in sections {
                var fresh = RequestHead(fieldCapacity: 100)
                let text = "GET / HTTP/1.1\r\n\(section)\r\n".latin1
                _ = Self.lines(["GET / HTTP/1.1\r\n\(before)\r\n".latin1], into: &used)
                let lines = Self.lines([text], into: &used)
                #expect(!lines.isEmpty)
                #expect(lines == Self.lines([text], into: &fresh))
            }
        }
    }
}
