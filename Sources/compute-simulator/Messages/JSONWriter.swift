/// Writes JSON in Python's default spacing, members in the order they are given.
///
/// - Shape: `", "` and `": "` between things, every character above ASCII as `\uXXXX`, as `json.dumps` does;
///   clients
///   and recorded answers are compared byte for byte, so the order of members is part of the answer.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// The bytes of one object whose members `body` writes.
    static func object(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(body)
        return writer.bytes
    }

    /// The bytes of one value.
    static func value(_ value: JSONValue) -> [UInt8] {
        var writer = JSONWriter()
        writer.value(value)
        return writer.bytes
    }

    // MARK: - Values

    mutating func object(_ body: (inout JSONWriter) -> Void) {
        begin()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    mutating func array(_ body: (inout JSONWriter) -> Void) {
        begin()
        bytes.append(UInt8(ascii: "["))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    mutating func string(_ text: String) {
        begin()
        appendQuoted(text)
    }

    mutating func raw(_ text: String) {
        begin()
        bytes.append(contentsOf: text.utf8)
    }

    mutating func value(_ value: JSONValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .number(let text): raw(text)
        case .string(let text): string(text)
        case .array(let items): array { writer in for item in items { writer.value(item) } }
        case .object(let members):
            object { writer in for member in members { writer.member(member.name, member.value) } }
        }
    }

    // MARK: - Members

    mutating func key(_ name: String) {
        begin()
        appendQuoted(name)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(UInt8(ascii: " "))
        needsComma = false
    }

    mutating func member(_ name: String, _ text: String?) {
        key(name)
        if let text { string(text) } else { raw("null") }
    }

    mutating func member(_ name: String, _ number: Int) {
        key(name)
        raw(String(number))
    }

    mutating func member(_ name: String, _ flag: Bool) {
        key(name)
        raw(flag ? "true" : "false")
    }

    mutating func member(_ name: String, _ item: JSONValue) {
        key(name)
        value(item)
    }

    mutating func member(_ name: String, strings: [String]) {
        key(name)
        array { writer in for text in strings { writer.string(text) } }
    }

    mutating func member(_ name: String, pairs: [(String, String)]) {
        key(name)
        object { writer in for (key, text) in pairs { writer.member(key, text) } }
    }

    mutating func member(_ name: String, _ body: (inout JSONWriter) -> Void) {
        key(name)
        object(body)
    }

    mutating func list(_ name: String, _ body: (inout JSONWriter) -> Void) {
        key(name)
        array(body)
    }

    // MARK: - Characters

    private mutating func begin() {
        if needsComma {
            bytes.append(UInt8(ascii: ","))
            bytes.append(UInt8(ascii: " "))
        }
        needsComma = true
    }

    private mutating func appendQuoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: bytes.append(contentsOf: "\\\"".utf8)
            case 0x5C: bytes.append(contentsOf: "\\\\".utf8)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0x08: bytes.append(contentsOf: "\\b".utf8)
            case 0x0C: bytes.append(contentsOf: "\\f".utf8)
            case 0x20...0x7E: bytes.append(UInt8(scalar.value))
            case 0x10000...:
                let rest = scalar.value - 0x10000
                appendEscape(0xD800 + rest >> 10)
                appendEscape(0xDC00 + rest & 0x3FF)
            default: appendEscape(scalar.value)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func appendEscape(_ unit: UInt32) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift: UInt32 in [12, 8, 4, 0] {
            let digit = UInt8(unit >> shift & 15)
            bytes.append(digit < 10 ? digit + 0x30 : digit + 0x57)
        }
    }
}
