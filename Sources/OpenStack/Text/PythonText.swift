public import Bytes

extension Buffer {
    /// Appends text as a JSON string's inside, as Python's `json.dumps` with `ensure_ascii` writes it.
    ///
    /// - Shape: everything outside U+0020…U+007E as `\uXXXX` (lower-case digits, surrogate pairs), quotes not included.
    /// - Errors: bytes that are no UTF-8 become U+FFFD.
    /// - Source: Nova serializes its faults with `jsonutils.dump_as_bytes`, which has this default.
    public mutating func appendJSONEscaped(_ text: ByteView) {
        var index = 0
        while true {
            // Most texts are one run of plain characters, which is copied as it is.
            let end = PythonText.plainEnd(text, from: index)
            append(text.view(index, end - index))
            guard end < text.count else { return }
            index = end
            appendJSONEscape(UTF8Text.readScalar(text, &index) ?? 0xFFFD)
        }
    }

    /// Appends a character that cannot stand in a JSON string as it is.
    private mutating func appendJSONEscape(_ scalar: UInt32) {
        switch scalar {
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
            // What is plain goes over in one piece.
            let plain = index
            while index < text.count, text[index] >= 0x20, text[index] < 0x7F, text[index] != quote,
                text[index] != 0x5C
            {
                index += 1
            }
            append(text.view(plain, index - plain))
            guard index < text.count else { break }
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
    /// Where the run of characters ends that stand in a JSON string as they are: U+0020…U+007E but quote and backslash.
    ///
    /// Eight bytes at a time, since it looks at every byte of every fault.
    static func plainEnd(_ text: ByteView, from start: Int) -> Int {
        precondition(start >= 0 && start <= text.count)
        guard let base = text.baseAddress else { return start }
        let raw = UnsafeRawPointer(base)
        var index = start
        while index <= text.count - 8 {
            let special = special(raw.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian)
            if special != 0 { return index + special.trailingZeroBitCount / 8 }
            index += 8
        }
        let rest = text.count - index
        guard rest > 0 else { return index }
        // Of the last ones there are fewer: they come with some of those before them, which are shifted out. The zeros
        // that this leaves behind them are not plain, and end the run where the text does.
        var word: UInt64 = 0
        if text.count >= 8 {
            word = raw.loadUnaligned(fromByteOffset: text.count - 8, as: UInt64.self).littleEndian
            word >>= UInt64(8 * (8 - rest))
        } else {
            for place in 0..<rest { word |= UInt64(base[index + place]) << UInt64(8 * place) }
        }
        return index + special(word).trailingZeroBitCount / 8
    }

    /// The highest bit of each byte of `word` that does not stand as it is; no sum here carries into the next byte.
    private static func special(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highest = ones &* 0x80
        let low = word & ~highest
        let isDelete = low &+ ones
        let isNoControl = low &+ ones &* 0x60
        let isNoQuote = (low ^ ones &* 0x22) &+ ones &* 0x7F
        let isNoBackslash = (low ^ ones &* 0x5C) &+ ones &* 0x7F
        return (word | isDelete | ~(isNoControl & isNoQuote & isNoBackslash)) & highest
    }

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

    /// Whether `int(text)` fails for sure: any decimal digit and white space of Unicode may stand in a number, so what has
    /// bytes beyond ASCII is left to the upstream.
    static func isNoInteger(_ text: ByteView) -> Bool {
        readInteger(text) == .notANumber && !text.contains { $0 >= 0x80 }
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
