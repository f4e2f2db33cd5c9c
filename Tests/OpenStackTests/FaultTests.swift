import Bytes
import Testing

@testable import OpenStack

@Suite struct `Faults` {
    @Test(arguments: [
        (400, "badRequest"), (401, "unauthorized"), (403, "forbidden"), (404, "itemNotFound"),
        (405, "badMethod"),
        (406, "computeFault"), (408, "computeFault"), (409, "conflictingRequest"), (410, "computeFault"),
        (413, "overLimit"), (415, "badMediaType"), (429, "overLimit"), (500, "computeFault"),
        (501, "notImplemented"), (502, "computeFault"), (503, "serviceUnavailable"), (504, "computeFault"),
    ])
    func `each status has the name that Nova gives it`(status: Int, name: String) {
        #expect(FaultName.name(forStatus: status).wire.description == name)
    }

    @Test(arguments: [
        ("marker [größe] not found", #"marker [gr\u00f6\u00dfe] not found"#),
        ("\u{FF15}\u{0}", #"\uff15\u0000"#),
        ("a\"b\\c\n\r\t\u{8}\u{C}\u{7F}/", #"a\"b\\c\n\r\t\b\f\u007f/"#),
        ("😀", #"\ud83d\ude00"#),
    ])
    func `a message is escaped as Python's json module does it`(message: String, escaped: String) {
        let body = appended { buffer in
            withBytes(message) { Fault.append(status: 400, message: $0, to: &buffer) }
        }
        #expect(body == #"{"badRequest": {"code": 400, "message": ""# + escaped + #""}}"#)
    }

    @Test(arguments: [
        UInt8(0x00), 0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7E, 0x7F, 0x80, 0xA2, 0xFF,
    ])
    func `a byte is escaped or not wherever it stands in a text`(_ byte: UInt8) {
        let alone = appended { buffer in [byte].withUnsafeBufferPointer { buffer.appendJSONEscaped($0) } }
        let isPlain = (0x20...0x7E).contains(byte) && byte != 0x22 && byte != 0x5C
        #expect((alone.utf8.count == 1) == isPlain)
        for count in 1...40 {
            for place in 0..<count {
                var text = [UInt8](repeating: 0x61, count: count)
                text[place] = byte
                let escaped = appended { buffer in
                    text.withUnsafeBufferPointer { buffer.appendJSONEscaped($0) }
                }
                let expected =
                    String(repeating: "a", count: place) + alone
                    + String(repeating: "a", count: count - place - 1)
                #expect(escaped == expected, "\(place) of \(count)")
            }
        }
    }

    @Test func `bytes that are no UTF-8 become replacement characters`() {
        let body = appended { buffer in
            let bytes: [UInt8] = [0x61, 0xFF, 0xC3, 0x28]
            bytes.withUnsafeBufferPointer { buffer.appendJSONEscaped($0) }
        }
        #expect(body == #"a\ufffd\ufffd("#)
    }

    @Test func `retryAfter is a string, and only for limits`() {
        let limited = appended { Fault.append(status: 429, message: "m", retryAfterSeconds: 37, to: &$0) }
        #expect(limited == #"{"overLimit": {"code": 429, "message": "m", "retryAfter": "37"}}"#)
        let other = appended { Fault.append(status: 503, message: "m", retryAfterSeconds: 37, to: &$0) }
        #expect(other == #"{"serviceUnavailable": {"code": 503, "message": "m"}}"#)
    }

    @Test(arguments: [
        ("", "''"), ("abc", "'abc'"), ("'", "\"'\""), ("'\"", #"'\'"'"#), ("\\", #"'\\'"#),
        ("\u{0}", #"'\x00'"#),
        ("a\r\nb\t", #"'a\r\nb\t'"#), ("\u{7F}\u{85}\u{A0}", #"'\x7f\x85\xa0'"#), ("ö５", "'ö５'"),
        ("\u{200B}\u{2028}", #"'\u200b\u2028'"#), ("\u{E0001}", #"'\U000e0001'"#), ("😀", "'😀'"),
    ])
    func `a value is quoted as Python's repr does it`(value: String, quoted: String) {
        #expect(appended { buffer in withBytes(value) { buffer.appendPythonRepresentation($0) } } == quoted)
    }

    @Test(arguments: [
        ("1", PythonText.Integer.positive), ("0", .zero), ("-0", .zero), ("-1", .negative),
        (" 5 ", .positive),
        ("1_000", .positive), ("+7", .positive), ("", .notANumber), ("1.0", .notANumber), ("_1", .notANumber),
        ("1_", .notANumber), ("1__0", .notANumber), ("abc", .notANumber), ("+", .notANumber),
        (String(repeating: "9", count: 4300), .positive), (String(repeating: "9", count: 4301), .notANumber),
    ])
    func `a number is read as Python's int reads it`(text: String, expected: PythonText.Integer) {
        #expect(withBytes(text) { PythonText.readInteger($0) } == expected)
    }

    @Test(arguments: [
        ("1", true), ("T", true), ("true", true), (" On ", true), ("y", true), ("YES", true), ("0", false),
        ("f", false), ("False", false), ("off", false), ("n", false), ("no", false),
    ])
    func `truth words are oslo's`(text: String, expected: Bool) {
        #expect(withBytes(text) { PythonText.readTruth($0) } == expected)
        #expect(withBytes(text + "x") { PythonText.readTruth($0) } == nil)
    }

    @Test func `a token without a project is named None`() {
        let text = appended { buffer in
            withBytes("abc") { path in
                Messages.appendProjectMismatch(path: path, token: ByteView(start: nil, count: 0), to: &buffer)
            }
        }
        #expect(
            text == "Malformed request URL: URL's project_id 'abc' doesn't match Context's project_id 'None'")
    }
}
