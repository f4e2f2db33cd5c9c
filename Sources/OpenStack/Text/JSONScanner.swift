public import Bytes

/// What a JSON text is at its top, after its whole syntax was checked.
///
/// - Shape: ranges count from the scanned view's start; keys and strings without their quotes, still escaped.
public struct JSONSummary: Equatable, Sendable {
    public enum Kind: UInt8, Sendable { case object, array, string, number, literal }

    public var kind: Kind
    /// Members of the top object or elements of the top array, repeated keys counted each time.
    public var memberCount: Int
    /// The last key of the top object.
    public var key: ByteRange
    /// Whether all keys of the top object are the same bytes.
    public var hasSingleKey: Bool
    /// The value of the last member, or the whole value when the top is no object.
    public var value: ByteRange
}

/// Checks JSON over bytes and says where things are; builds nothing.
///
/// - Limits: 64 levels of arrays and objects; deeper is malformed.
/// - Source: RFC 8259, and Python's three extra numbers (`NaN`, `Infinity`, `-Infinity`), because Nova reads them and
///   answers in words of its own.
public enum JSONScanner {
    public static let maximumDepth = 64

    /// Checks all of `bytes`; nil when it is not one JSON text in UTF-8.
    public static func scan(_ bytes: ByteView) -> JSONSummary? {
        var cursor = JSONCursor(bytes)
        cursor.skipSpace()
        guard let summary = cursor.readTop() else { return nil }
        cursor.skipSpace()
        return cursor.index == bytes.count ? summary : nil
    }

    /// Finds the value of a member of the object in `bytes`, which must have passed `scan`; the last of equal keys.
    public static func member(_ name: StaticString, of bytes: ByteView) -> ByteRange? {
        var cursor = JSONCursor(bytes)
        cursor.skipSpace()
        guard cursor.take(0x7B) else { return nil }
        var found: ByteRange?
        cursor.skipSpace()
        if cursor.take(0x7D) { return nil }
        while true {
            cursor.skipSpace()
            guard let key = cursor.readString() else { return nil }
            cursor.skipSpace()
            guard cursor.take(0x3A) else { return nil }
            cursor.skipSpace()
            let start = cursor.index
            guard cursor.readValue(depth: 1) else { return nil }
            if bytes.view(key).equals(name) { found = ByteRange(start: start, count: cursor.index - start) }
            cursor.skipSpace()
            if cursor.take(0x2C) { continue }
            return found
        }
    }

    /// Finds the first element of the array in `bytes`, which must have passed `scan`.
    static func firstElement(of bytes: ByteView) -> ByteRange? {
        var cursor = JSONCursor(bytes)
        cursor.skipSpace()
        guard cursor.take(0x5B) else { return nil }
        cursor.skipSpace()
        let start = cursor.index
        guard cursor.readValue(depth: 1) else { return nil }
        return ByteRange(start: start, count: cursor.index - start)
    }

    /// Appends the text of a JSON string's inside, escapes resolved; a lone surrogate becomes U+FFFD.
    public static func appendUnescaped(_ inside: ByteView, to buffer: inout Buffer) {
        var index = 0
        while index < inside.count {
            let byte = inside[index]
            index += 1
            guard byte == 0x5C, index < inside.count else {
                buffer.append(byte)
                continue
            }
            let escape = inside[index]
            index += 1
            switch escape {
            case 0x6E: buffer.append(0x0A)
            case 0x72: buffer.append(0x0D)
            case 0x74: buffer.append(0x09)
            case 0x62: buffer.append(0x08)
            case 0x66: buffer.append(0x0C)
            case 0x75:
                var value = hexadecimal(inside, index) ?? 0xFFFD
                index = min(index + 4, inside.count)
                if (0xD800..<0xDC00).contains(value), index + 1 < inside.count, inside[index] == 0x5C,
                    inside[index + 1] == 0x75, let low = hexadecimal(inside, index + 2),
                    (0xDC00..<0xE000).contains(low)
                {
                    value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                    index += 6
                }
                buffer.appendScalar(value)
            default: buffer.append(escape)
            }
        }
    }

    static func hexadecimal(_ bytes: ByteView, _ start: Int) -> UInt32? {
        guard start + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for index in start..<start + 4 {
            guard let digit = ASCII.hexValue(bytes[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}

/// A place in a JSON text and the steps over its parts.
struct JSONCursor {
    let bytes: ByteView
    var index = 0

    init(_ bytes: ByteView) { self.bytes = bytes }

    mutating func skipSpace() {
        while index < bytes.count,
            bytes[index] == 0x20 || bytes[index] == 0x0A || bytes[index] == 0x0D
                || bytes[index] == 0x09
        {
            index += 1
        }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    mutating func take(_ word: StaticString) -> Bool {
        guard bytes.count - index >= word.utf8CodeUnitCount,
            bytes.view(index, word.utf8CodeUnitCount).equals(word)
        else { return false }
        index += word.utf8CodeUnitCount
        return true
    }

    /// Reads the whole top value and tells about it.
    mutating func readTop() -> JSONSummary? {
        let start = index
        guard index < bytes.count else { return nil }
        var summary = JSONSummary(
            kind: .object, memberCount: 0, key: .empty, hasSingleKey: true, value: .empty)
        if bytes[index] == 0x7B {
            guard readMembers(depth: 0, into: &summary) else { return nil }
            return summary
        }
        switch bytes[index] {
        case 0x5B: summary.kind = .array
        case 0x22: summary.kind = .string
        case 0x2D, 0x30...0x39, 0x4E, 0x49: summary.kind = .number
        default: summary.kind = .literal
        }
        if summary.kind == .array {
            guard readElements(depth: 0, count: &summary.memberCount) else { return nil }
        } else {
            guard readValue(depth: 0) else { return nil }
        }
        summary.value = ByteRange(start: start, count: index - start)
        return summary
    }

    /// Reads one value of any kind; recursion is bounded by the depth limit.
    mutating func readValue(depth: Int) -> Bool {
        guard index < bytes.count else { return false }
        switch bytes[index] {
        case 0x7B:
            var ignored = JSONSummary(
                kind: .object, memberCount: 0, key: .empty, hasSingleKey: true, value: .empty)
            return readMembers(depth: depth, into: &ignored)
        case 0x5B:
            var ignored = 0
            return readElements(depth: depth, count: &ignored)
        case 0x22: return readString() != nil
        case 0x74: return take("true")
        case 0x66: return take("false")
        case 0x6E: return take("null")
        case 0x4E: return take("NaN")
        case 0x49: return take("Infinity")
        default: return readNumber()
        }
    }

    private mutating func readMembers(depth: Int, into summary: inout JSONSummary) -> Bool {
        guard depth < JSONScanner.maximumDepth, take(0x7B) else { return false }
        skipSpace()
        if take(0x7D) { return true }
        while true {
            skipSpace()
            guard let key = readString() else { return false }
            if summary.memberCount > 0, !bytes.view(key).equals(bytes.view(summary.key)) {
                summary.hasSingleKey = false
            }
            summary.memberCount += 1
            summary.key = key
            skipSpace()
            guard take(0x3A) else { return false }
            skipSpace()
            let start = index
            guard readValue(depth: depth + 1) else { return false }
            summary.value = ByteRange(start: start, count: index - start)
            skipSpace()
            if take(0x2C) { continue }
            return take(0x7D)
        }
    }

    private mutating func readElements(depth: Int, count: inout Int) -> Bool {
        guard depth < JSONScanner.maximumDepth, take(0x5B) else { return false }
        skipSpace()
        if take(0x5D) { return true }
        while true {
            skipSpace()
            guard readValue(depth: depth + 1) else { return false }
            count += 1
            skipSpace()
            if take(0x2C) { continue }
            return take(0x5D)
        }
    }

    /// Reads a string and gives its inside.
    mutating func readString() -> ByteRange? {
        guard take(0x22) else { return nil }
        let start = index
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case 0x22:
                index += 1
                return ByteRange(start: start, count: index - 1 - start)
            case 0x5C:
                guard index + 1 < bytes.count else { return nil }
                switch bytes[index + 1] {
                case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: index += 2
                case 0x75:
                    guard JSONScanner.hexadecimal(bytes, index + 2) != nil else { return nil }
                    index += 6
                default: return nil
                }
            case 0..<0x20: return nil
            case 0x20..<0x80: index += 1
            default: guard UTF8Text.readScalar(bytes, &index) != nil else { return nil }
            }
        }
        return nil
    }

    private mutating func readNumber() -> Bool {
        if take(0x2D), index < bytes.count, bytes[index] == 0x49 { return take("Infinity") }
        guard index < bytes.count else { return false }
        if !take(0x30) {
            guard readDigits() else { return false }
        }
        if take(0x2E) {
            guard readDigits() else { return false }
        }
        if index < bytes.count, bytes[index] | 0x20 == 0x65 {
            index += 1
            if !take(0x2B) { _ = take(0x2D) }
            guard readDigits() else { return false }
        }
        return true
    }

    private mutating func readDigits() -> Bool {
        let start = index
        while index < bytes.count, ASCII.isDigit(bytes[index]) { index += 1 }
        return index > start
    }
}
