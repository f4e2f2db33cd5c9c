public import Bytes

extension Buffer {
    /// Appends text as a JSON string's inside, as Python's `json.dumps` with `ensure_ascii` writes it.
    ///
    /// - Shape: everything outside U+0020…U+007E as `\uXXXX` (lower-case digits, surrogate pairs), quotes not included.
    /// - Errors: bytes that are no UTF-8 become U+FFFD.
    /// - Source: Nova serializes its faults with `jsonutils.dump_as_bytes`, which has this default.
    public mutating func appendJSONEscaped(_ text: ByteView) {
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte >= 0x20, byte < 0x7F, byte != 0x22, byte != 0x5C {
                append(byte)
                index += 1
                continue
            }
            switch UTF8Text.readScalar(text, &index) ?? 0xFFFD {
            case 0x22: append("\\\"")
            case 0x5C: append("\\\\")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0x08: append("\\b")
            case 0x0C: append("\\f")
            case let scalar where scalar > 0xFFFF:
                let rest = scalar - 0x10000
                append("\\u")
                appendHexadecimal(UInt64(0xD800 + (rest >> 10)), width: 4)
                append("\\u")
                appendHexadecimal(UInt64(0xDC00 + (rest & 0x3FF)), width: 4)
            case let scalar:
                append("\\u")
                appendHexadecimal(UInt64(scalar), width: 4)
            }
        }
    }

    /// Appends text as Python's `repr` of a string: the quotes, and escapes for what cannot be printed.
    ///
    /// - Source: Nova's messages come from jsonschema, which quotes values with `%r`.
    mutating func appendPythonRepresentation(_ text: ByteView) {
        var hasSingle = false
        var hasDouble = false
        for byte in text {
            if byte == 0x27 { hasSingle = true }
            if byte == 0x22 { hasDouble = true }
        }
        let quote: UInt8 = hasSingle && !hasDouble ? 0x22 : 0x27
        append(quote)
        var index = 0
        while index < text.count {
            switch UTF8Text.readScalar(text, &index) ?? 0xFFFD {
            case UInt32(quote):
                append(0x5C)
                append(quote)
            case 0x5C: append("\\\\")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case let scalar where PythonText.isPrintable(scalar): appendScalar(scalar)
            case let scalar where scalar < 0x100:
                append("\\x")
                appendHexadecimal(UInt64(scalar), width: 2)
            case let scalar where scalar < 0x10000:
                append("\\u")
                appendHexadecimal(UInt64(scalar), width: 4)
            case let scalar:
                append("\\U")
                appendHexadecimal(UInt64(scalar), width: 8)
            }
        }
        append(quote)
    }
}

extension Buffer {
    /// Appends a number as Python's `repr` of a float: the shortest digits that read back the same.
    mutating func appendPythonFloat(_ value: Double) {
        if value.isNaN { return append("nan") }
        if value.isInfinite { return append(value < 0 ? "-inf" : "inf") }
        // Swift, too, has the shortest digits, but turns to an exponent elsewhere.
        var digits: [UInt8] = []
        var exponent = 0
        var hasPoint = false
        var text = abs(value).description
        if let mark = text.firstIndex(of: "e") {
            exponent = Int(text[text.index(after: mark)...]) ?? 0
            text = String(text[..<mark])
        }
        for byte in text.utf8 {
            if byte == 0x2E {
                hasPoint = true
            } else {
                digits.append(byte)
                if hasPoint { exponent -= 1 }
            }
        }
        while digits.count > 1, digits.last == 0x30 {
            digits.removeLast()
            exponent += 1
        }
        while digits.count > 1, digits.first == 0x30 { digits.removeFirst() }
        if value.sign == .minus { append("-") }
        if digits == [0x30] { return append("0.0") }
        // Where the point stands, counted from before the first digit.
        let point = digits.count + exponent
        if point > 16 || point < -3 {
            append(digits[0])
            if digits.count > 1 { append(".") }
            for digit in digits.dropFirst() { append(digit) }
            append(point > 16 ? "e+" : "e-")
            let power = abs(point - 1)
            if power < 10 { append("0") }
            return appendDecimal(power)
        }
        if point <= 0 { append("0.") }
        for _ in 0..<max(0, -point) { append("0") }
        for (index, digit) in digits.enumerated() {
            if index == point, point > 0 { append(".") }
            append(digit)
        }
        for _ in 0..<max(0, point - digits.count) { append("0") }
        if point >= digits.count { append(".0") }
    }
}

/// How Python reads small texts: numbers, truth words, printable characters.
enum PythonText {
    /// Tells whether `str.isprintable` holds for the scalar.
    static func isPrintable(_ value: UInt32) -> Bool {
        if value < 0x7F { return value >= 0x20 }
        guard let scalar = Unicode.Scalar(value) else { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default:
            return true
        }
    }

    /// Lends what is left after `str.strip()` of ASCII white space.
    static func stripped(_ text: ByteView) -> ByteView {
        var low = 0
        var high = text.count
        while low < high, isSpace(text[low]) { low += 1 }
        while high > low, isSpace(text[high - 1]) { high -= 1 }
        return text.view(low, high - low)
    }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte) || (0x1C...0x1F).contains(byte)
    }

    /// What `int(text)` makes of an ASCII text.
    enum Integer { case notANumber, negative, zero, positive }

    /// Reads as `int(text)` does: white space around, a sign, digits with single underscores between them.
    ///
    /// - Limits: more than 4,300 digits are no number, as in Python since 3.10.7.
    static func readInteger(_ text: ByteView) -> Integer {
        let text = stripped(text)
        var index = 0
        var isNegative = false
        if index < text.count, text[index] == 0x2B || text[index] == 0x2D {
            isNegative = text[index] == 0x2D
            index += 1
        }
        var digitCount = 0
        var isZero = true
        var mayUnderscore = false
        while index < text.count {
            let byte = text[index]
            if ASCII.isDigit(byte) {
                digitCount += 1
                if byte != 0x30 { isZero = false }
                mayUnderscore = true
            } else if byte == 0x5F, mayUnderscore {
                mayUnderscore = false
            } else {
                return .notANumber
            }
            index += 1
        }
        guard digitCount > 0, mayUnderscore, digitCount <= 4300 else { return .notANumber }
        return isZero ? .zero : isNegative ? .negative : .positive
    }

    /// Reads a truth word as oslo's `bool_from_string` does in strict mode; nil for any other word.
    static func readTruth(_ text: ByteView) -> Bool? {
        let text = stripped(text)
        switch text.count {
        case 1:
            switch ASCII.lowercased(text[0]) {
            case 0x31, 0x74, 0x79: return true  // 1 t y
            case 0x30, 0x66, 0x6E: return false  // 0 f n
            default: return nil
            }
        case 2: return text.equalsIgnoringCase("on") ? true : text.equalsIgnoringCase("no") ? false : nil
        case 3: return text.equalsIgnoringCase("yes") ? true : text.equalsIgnoringCase("off") ? false : nil
        case 4: return text.equalsIgnoringCase("true") ? true : nil
        case 5: return text.equalsIgnoringCase("false") ? false : nil
        default: return nil
        }
    }
}
