internal import Bytes

extension SchemaCheck {
    /// Tells whether a string has a form; other values have every form, but for names.
    mutating func hasFormat(_ node: JSONNode, _ format: Schema.Format, _ scratch: inout Buffer) -> Bool {
        guard node.kind == .string else {
            switch format {
            case .name, .nameWithSpaces, .zoneName, .zoneNameWithSpaces: return false
            default: return true
            }
        }
        guard let text = text(node, &scratch) else { return false }
        switch format {
        case .uuid: return UUIDForm.isUUIDLike(text)
        case .ipv4: return TextForms.isIPv4(text)
        case .ipv6: return TextForms.isIPv6(text)
        case .base64: return TextForms.isBase64(text)
        case .regex: return !text.isEmpty && RegexSyntax.isValid(text)
        case .dateTime: return ISO8601.isDate(text)
        case .printable:
            for byte in text where byte < 0x20 || byte > 0x7E { isUndecided = true }
            return !isUndecided
        case .name, .nameWithSpaces, .zoneName, .zoneNameWithSpaces:
            let isForZone = format == .zoneName || format == .zoneNameWithSpaces
            let maySpace = format == .nameWithSpaces || format == .zoneNameWithSpaces
            if let isName = TextForms.isName(text, maySpace: maySpace, mayColon: !isForZone) { return isName }
            isUndecided = true
            return false
        }
    }
}

/// The forms of texts as the Python code behind Nova's schemas reads them.
enum TextForms {
    /// Four numbers up to 255 without leading zeros (`ipaddress.IPv4Address`).
    static func isIPv4(_ text: ByteView) -> Bool {
        var octets = 0
        var index = 0
        while true {
            let start = index
            var value = 0
            while index < text.count, ASCII.isDigit(text[index]), index - start < 4 {
                value = value * 10 + Int(text[index] - 0x30)
                index += 1
            }
            let count = index - start
            guard (1...3).contains(count), value <= 255, count == 1 || text[start] != 0x30 else {
                return false
            }
            octets += 1
            if index == text.count { return octets == 4 }
            guard text[index] == 0x2E, octets < 4 else { return false }
            index += 1
        }
    }

    /// Eight groups, or fewer around one `::`, the last two perhaps as IPv4; no zone (`ipaddress.IPv6Address`).
    static func isIPv6(_ text: ByteView) -> Bool {
        var groups = 0
        var gap = false
        var index = 0
        guard text.count >= 2 else { return false }
        if text[0] == 0x3A {
            guard text[1] == 0x3A else { return false }
            gap = true
            index = 2
        }
        while index < text.count {
            let start = index
            while index < text.count, ASCII.hexValue(text[index]) != nil { index += 1 }
            if index < text.count, text[index] == 0x2E {
                guard isIPv4(text.view(start, text.count - start)) else { return false }
                groups += 2
                index = text.count
                break
            }
            guard (1...4).contains(index - start) else { return false }
            groups += 1
            if index == text.count { break }
            guard text[index] == 0x3A else { return false }
            index += 1
            guard index < text.count else { return false }
            if text[index] == 0x3A {
                guard !gap else { return false }
                gap = true
                index += 1
            }
        }
        return gap ? groups <= 7 : groups == 8
    }

    /// What `base64.b64decode` takes: other characters are skipped, and the rest must come out even.
    static func isBase64(_ text: ByteView) -> Bool {
        var place = 0
        var pads = 0
        for byte in text {
            if byte == 0x3D {
                if place >= 2 {
                    pads += 1
                    if place + pads >= 4 { return true }
                }
                continue
            }
            let isDigit =
                (byte | 0x20) &- 0x61 < 26 || ASCII.isDigit(byte) || byte == 0x2B || byte == 0x2F
            guard isDigit else { continue }
            pads = 0
            place = (place + 1) & 3
        }
        return place == 0
    }

    /// Tells whether a text is a name of Nova's: printable characters of the first plane, no white space at its ends;
    /// nil where that depends on which characters a release of Python knows.
    ///
    /// - Source: `nova.api.validation.parameter_types`; a line feed may end it, since its patterns are closed by `$`.
    static func isName(_ text: ByteView, maySpace: Bool, mayColon: Bool) -> Bool? {
        // The pattern without spaces at the ends lets the empty text pass, for its length to be told.
        if text.isEmpty { return !maySpace }
        let end = text.count > 1 && text[text.count - 1] == 0x0A ? text.count - 1 : text.count
        var index = 0
        var hasOther = false
        var isUnknown = false
        while index < end {
            let start = index
            guard let scalar = UTF8Text.readScalar(text, &index) else { return false }
            if scalar == 0x3A, !mayColon { return false }
            switch kind(scalar) {
            case .unprintable: return false
            case .unknown: isUnknown = true
            case .space: if !maySpace, start == 0 || index == end { return false }
            case .other: hasOther = true
            }
        }
        if maySpace, !hasOther { return isUnknown ? nil : false }
        return isUnknown ? nil : true
    }

    private enum CharacterKind { case unprintable, unknown, space, other }

    private static func kind(_ value: UInt32) -> CharacterKind {
        if value < 0x7F { return value > 0x20 ? .other : value == 0x20 ? .space : .unprintable }
        guard value < 0xFFFF, let scalar = Unicode.Scalar(value) else { return .unprintable }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .lineSeparator, .paragraphSeparator:
            return .unprintable
        case .unassigned: return .unknown
        case .spaceSeparator: return .space
        default: return .other
        }
    }
}
