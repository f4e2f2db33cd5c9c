import Bytes
import Testing

@testable import OpenStack

/// Compiles a pattern and looks for it; nil when it is not supported or takes too long.
private func isFound(_ pattern: String, in text: String) -> Bool? {
    var compiler = PatternCompiler()
    guard let first = compiler.compile(pattern) else { return nil }
    return compiler.steps.withUnsafeBufferPointer { steps in
        compiler.ranges.withUnsafeBufferPointer { ranges in
            withBytes(text) { text in
                // The compiler made at least one step; without a range the pointer is never read.
                let place = ranges.baseAddress ?? UnsafePointer(bitPattern: 16)!
                var match = PatternMatch(steps: steps.baseAddress!, ranges: place, text: text)
                return match.search(first)
            }
        }
    }
}

@Suite struct `A pattern of a schema` {
    @Test(arguments: [
        ("^[0-9]*$", "12", true), ("^[0-9]*$", "", true), ("^[0-9]*$", "12\n", true),
        ("^[0-9]*$", "12\n\n", false),
        ("^[0-9]*$", "1a", false), ("^[^,/]*$", "é b", true), ("^[^,/]*$", "a,b", false),
        ("^-?[0-9]+$", "-7", true), ("^-?[0-9]+$", "--7", false), ("b", "abc", true), ("^b", "abc", false),
        ("^[0-9]+(\\.[0-9]+)?$", "1.5", true), ("^[0-9]+(\\.[0-9]+)?$", "1.", false),
        ("^(?! )[a-z ]+(?<! )$", "a b", true), ("^(?! )[a-z ]+(?<! )$", " a", false),
        ("^(?! )[a-z ]+(?<! )$", "a ", false), ("^[a-zA-Z0-9-_:. ]{1,255}$", "", false),
        ("^[a-z]{2,3}$", "abcd", false), ("^[a-z]{2,3}$", "abc", true), ("^(?:a|bc)d$", "bcd", true),
        ("(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$", "/dev/vda1", true),
        ("(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$", "vda", false),
        ("^[]a]$", "]", true), ("^.$", "\n", false), ("^[\\-\\@]$", "@", true),
    ])
    func `is looked for as Python's re.search does`(pattern: String, text: String, expected: Bool) {
        #expect(isFound(pattern, in: text) == expected)
    }

    @Test(arguments: ["\\d", "(a)*", "a*?", "(?P<n>a)", "a{2", "[a", "(a", "\\1", "(?!ab)"])
    func `with an unsupported part is none`(pattern: String) { #expect(isFound(pattern, in: "a") == nil) }

    @Test func `that would take too long is given up`() {
        let text = String(repeating: "a", count: 4_000) + "!"
        #expect(isFound("^[a-z]+[a-z]*[a-z]+$", in: text) == nil)
    }
}

@Suite struct `A form of text` {
    @Test(arguments: [
        ("192.0.2.1", true), ("0.0.0.0", true), ("1.2.3", false), ("1.2.3.4.5", false), ("01.2.3.4", false),
        ("1.2.3.256", false), ("1.2.3.", false), ("", false), (" 1.2.3.4", false), ("1.2.3.4\n", false),
    ])
    func `is an IPv4 address`(text: String, expected: Bool) {
        #expect(withBytes(text) { TextForms.isIPv4($0) } == expected)
    }

    @Test(arguments: [
        ("::", true), ("::1", true), ("1::", true), ("1:2:3:4:5:6:7:8", true), ("1:2:3:4:5:6:7::", true),
        ("::2:3:4:5:6:7:8", true), ("1:2:3:4::5:6:7:8", false), (":::", false), ("1::2::3", false),
        (":1", false),
        ("1:", false), ("12345::", false), ("::ffff:192.0.2.1", true), ("::192.0.2", false),
        ("fe80::1%eth0", false),
        ("1:2:3:4:5:6:192.0.2.1", true), ("1:2:3:4:5:6:7:192.0.2.1", false), ("", false), ("g::", false),
    ])
    func `is an IPv6 address`(text: String, expected: Bool) {
        #expect(withBytes(text) { TextForms.isIPv6($0) } == expected)
    }

    @Test(arguments: [
        ("", true), ("aGVsbG8=", true), ("aGVsbG8", false), ("a", false), ("aGVs bG8=", true), ("====", true),
        ("ab==cd", true), ("é", true), ("YQ=", false),
    ])
    func `is what Python decodes as base64`(text: String, expected: Bool) {
        #expect(withBytes(text) { TextForms.isBase64($0) } == expected)
    }

    @Test(arguments: [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.5, "1.5"), (1e15, "1000000000000000.0"), (1e16, "1e+16"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"), (1.25e-7, "1.25e-07"), (123456.75, "123456.75"), (1e300, "1e+300"),
        (-2.5e22, "-2.5e+22"),
        (.infinity, "inf"), (.nan, "nan"), (12345678901234567, "1.2345678901234568e+16"), (5e-324, "5e-324"),
    ])
    func `is a number as Python shows it`(value: Double, expected: String) {
        #expect(appended { $0.appendPythonFloat(value) } == expected)
    }
}

@Suite struct `Content by its schema` {
    private let name = "Invalid input for field/attribute name. Value: "

    @Test func `is nothing where nothing came`() {
        #expect(contentVerdict("servers.create", microversion: "2.1", "") == "None is not of type 'object'")
    }

    @Test func `counts the last of equal keys and sees through escapes`() {
        let twice = #"{"server": {"name": "a", "n\u0061me": ""}}"#
        #expect(
            contentVerdict("servers.create", microversion: "2.1", twice) == name + ". '' should be non-empty")
    }

    @Test func `is judged at its microversion`() {
        let tagged = #"{"server": {"name": "n", "flavorRef": "1", "networks": "none", "tags": ["a"]}}"#
        #expect(contentVerdict("servers.create", microversion: "2.52", tagged) == nil)
        #expect(
            contentVerdict("servers.create", microversion: "2.51", tagged)?.hasSuffix(
                "('tags' was unexpected)") == true)
        #expect(
            contentVerdict("servers.create", microversion: "2.36", tagged)
                == "Invalid input for field/attribute networks. Value: none. 'none' is not of type 'array'")
    }

    @Test func `may have more under v2, where the rest is dropped`() {
        let more = #"{"server": {"name": "n", "flavorRef": "1", "bogus": 1}}"#
        #expect(contentVerdict("servers.create", isLegacy: true, microversion: "2.1", more) == nil)
        #expect(contentVerdict("servers.create", microversion: "2.1", more) != nil)
    }

    @Test(arguments: [
        // Half a surrogate pair, which no UTF-8 can hold.
        #"{"server": {"name": "\ud800", "flavorRef": "1"}}"#,
        // Characters of which releases of Python know more or fewer.
        #"{"server": {"name": "n", "flavorRef": "1", "description": "é"}}"#,
        "{\"server\": " + String(repeating: "[", count: 1_000) + String(repeating: "]", count: 1_000) + "}",
    ])
    func `that cannot be decided here is left to Nova`(content: String) {
        #expect(contentVerdict("servers.create", microversion: "2.19", content) == nil)
    }

    @Test func `with very many keys is left to Nova`() {
        let keys = (0..<5_000).map { "\"k\($0)\": \"v\"" }.joined(separator: ", ")
        #expect(contentVerdict("metadata.replace", microversion: "2.1", "{\"metadata\": {\(keys)}}") == nil)
    }
}
