import Bytes
import Testing

@testable import OpenStack

@Suite struct `JSON over bytes` {
    @Test(arguments: [
        "{}", "[]", "\"\"", "0", "-0", "1.5e+10", "1E5", "true", "false", "null", "NaN", "Infinity",
        "-Infinity",
        " {\"a\" : [1, {\"b\": \"\\u00e9\\n\"}], \"c\":null} \n", "\"ö😀\"", "\"\\ud800\"", "\"\u{7F}\"",
    ])
    func `takes what Python's json takes`(text: String) {
        #expect(withBytes(text) { JSONScanner.scan($0) } != nil)
    }

    @Test(arguments: [
        "", " ", "{", "}", "{]", "[1,]", "{\"a\":1,}", "{a:1}", "{'a':1}", "{\"a\" 1}", "01", "1.", ".5",
        "1e", "+1",
        "--1", "tru", "nul", "nan", "-NaN", "\"", "\"\n\"", "\"\u{1F}\"", "\"\\x\"", "\"\\u12g4\"", "\"\\",
        "1 2",
        "{} {}", "\u{FEFF}{}", "[1 2]", "{\"a\":}", "{1:2}", "\u{A0}1",
    ])
    func `refuses what is no JSON`(text: String) { #expect(withBytes(text) { JSONScanner.scan($0) } == nil) }

    @Test func `every cut of a text is refused`() {
        let text = Array(#"{"server": {"name": "ö", "n": [1.5, true, null], "e": "\u00e9\\"}}"#.utf8)
        for count in 0..<text.count {
            #expect(text[..<count].withUnsafeBufferPointer { JSONScanner.scan($0) } == nil, "\(count)")
        }
    }

    @Test func `bytes that are no UTF-8 are refused`() {
        for bytes: [UInt8] in [
            [0x22, 0xFF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC3], [0xFF, 0xFE],
        ] {
            #expect(bytes.withUnsafeBufferPointer { JSONScanner.scan($0) } == nil)
        }
    }

    @Test func `64 levels are enough and 65 too many`() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(withBytes(nested(64)) { JSONScanner.scan($0) } != nil)
        #expect(withBytes(nested(65)) { JSONScanner.scan($0) } == nil)
        #expect(withBytes(String(repeating: "[", count: 100_000)) { JSONScanner.scan($0) } == nil)
    }

    @Test func `tells the top of an object`() {
        withBytes(#"{"a": 1, "b\n": [2]}"#) { bytes in
            let summary = JSONScanner.scan(bytes)!
            #expect(summary.kind == .object)
            #expect(summary.memberCount == 2)
            #expect(!summary.hasSingleKey)
            #expect(bytes.view(summary.key).string == #"b\n"#)
            #expect(bytes.view(summary.value).string == "[2]")
        }
    }

    @Test(arguments: [
        (#"a\n\"\\\/\b\f\r\t"#, "a\n\"\\/\u{8}\u{C}\r\t"), (#"\u00e9\ud83d\ude00"#, "é😀"),
        (#"\ud83dx"#, "\u{FFFD}x"),
        (#"\ude00"#, "\u{FFFD}"), (#"\ud83d\u0041"#, "\u{FFFD}A"),
    ])
    func `resolves escapes`(inside: String, text: String) {
        #expect(
            appended { buffer in withBytes(inside) { JSONScanner.appendUnescaped($0, to: &buffer) } } == text)
    }
}
