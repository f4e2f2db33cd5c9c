internal import Bytes

/// Tells whether Python's `re.compile` would take a pattern; builds nothing and matches nothing.
///
/// - Limits: past 99 groups or 100 levels of nesting the pattern passes, and Nova judges it.
/// - Source: the parser of CPython 3.11's `re` module, step by step, widths for look-behind included. Nova asks only
///   this of a filter before MariaDB runs it; facts §2.3.
enum RegexSyntax {
    static func isValid(_ pattern: ByteView) -> Bool {
        var parser = RegexParser(pattern)
        guard parser.endsWhole() else { return false }
        guard let _ = parser.readBranches(isVerbose: false, depth: 0) else { return parser.gaveUp }
        if parser.gaveUp { return true }
        guard parser.isAtEnd else { return false }
        return parser.highestCondition < parser.groupCount
    }
}

/// Least and greatest number of characters that a part can match, saturated as Python's are.
struct RegexWidth {
    var low: UInt64
    var high: UInt64

    static var zero: RegexWidth { RegexWidth(low: 0, high: 0) }
    static var one: RegexWidth { RegexWidth(low: 1, high: 1) }
    static var unlimited: UInt64 { 4_294_967_295 }

    func adding(_ other: RegexWidth) -> RegexWidth {
        RegexWidth(low: low + other.low, high: high + other.high).clamped
    }

    func repeated(_ least: UInt64, _ most: UInt64) -> RegexWidth {
        // Cannot overflow: all four factors are below 2^32.
        RegexWidth(low: low * least, high: high * most).clamped
    }

    private var clamped: RegexWidth {
        RegexWidth(low: min(low, Self.unlimited - 1), high: min(high, Self.unlimited))
    }
}

/// The parser's place and what it knows of groups.
struct RegexParser {
    let bytes: ByteView
    var index = 0
    var gaveUp = false
    /// Counts the whole pattern as group 0.
    var groupCount = 1
    var groupWidths: InlineArray<100, RegexWidth> = .init(repeating: .zero)
    var groupIsClosed: InlineArray<100, Bool> = .init(repeating: false)
    var groupNames: InlineArray<100, ByteRange> = .init(repeating: .empty)
    /// How many groups there were where the outermost look-behind began; -1 outside of one.
    var lookBehindGroups = -1
    var highestCondition = 0

    init(_ bytes: ByteView) { self.bytes = bytes }

    var isAtEnd: Bool { index >= bytes.count }

    /// Tells whether the pattern does not end in the middle of an escape.
    func endsWhole() -> Bool {
        var place = 0
        while place < bytes.count { place += bytes[place] == 0x5C ? 2 : 1 }
        return place == bytes.count
    }

    func peek() -> UInt8? { index < bytes.count ? bytes[index] : nil }

    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        index += 1
        return true
    }

    /// Reads `a|b|c` up to a closing parenthesis or the end; nil for an error.
    mutating func readBranches(isVerbose: Bool, depth: Int) -> RegexWidth? {
        guard depth <= 100 else { return giveUp() }
        var verbose = isVerbose
        guard var width = readSequence(&verbose, depth: depth, isFirst: depth == 0) else { return nil }
        while take(0x7C) {
            guard let other = readSequence(&verbose, depth: depth, isFirst: false) else { return nil }
            width = RegexWidth(low: min(width.low, other.low), high: max(width.high, other.high))
        }
        return width
    }

    mutating func giveUp() -> RegexWidth? {
        gaveUp = true
        return nil
    }

    private enum Item { case nothing, position, repetition, plain }

    /// Reads items up to `|`, `)` or the end.
    private mutating func readSequence(_ verbose: inout Bool, depth: Int, isFirst: Bool) -> RegexWidth? {
        var before = RegexWidth.zero
        var last = RegexWidth.zero
        var item = Item.nothing
        while let byte = peek(), byte != 0x7C, byte != 0x29 {
            index += 1
            if verbose, PythonText.isSpace(byte), byte < 0x1C { continue }
            if verbose, byte == 0x23 {
                while let skipped = peek() {
                    index += skipped == 0x5C ? 2 : 1
                    if skipped == 0x0A { break }
                }
                continue
            }
            var width = RegexWidth.one
            var next = Item.plain
            switch byte {
            case 0x5C:
                guard let escape = readEscape() else { return nil }
                (width, next) = (escape.width, escape.isPosition ? .position : .plain)
            case 0x5B:
                guard readSet() else { return nil }
            case 0x5E, 0x24: (width, next) = (.zero, .position)
            case 0x28:
                let start = item == .nothing && isFirst
                guard let group = readGroup(&verbose, depth: depth, mayHoldGlobalFlags: start) else {
                    return nil
                }
                guard group.isItem else { continue }
                width = group.width
            case 0x2A, 0x2B, 0x3F, 0x7B:
                guard let bounds = readBounds(byte) else { return nil }
                guard bounds.isRepetition else { break }
                guard item == .plain else { return nil }
                if !take(0x3F) { _ = take(0x2B) }
                last = last.repeated(bounds.least, bounds.most)
                item = .repetition
                continue
            case 0x80...: skipRest()
            default: break
            }
            before = before.adding(last)
            last = width
            item = next
        }
        return before.adding(last)
    }

    /// Reads one alternative of a conditional.
    mutating func readAlternative(_ verbose: Bool, _ depth: Int) -> RegexWidth? {
        var verbose = verbose
        return readSequence(&verbose, depth: depth, isFirst: false)
    }

    /// Steps over the rest of a character outside ASCII.
    mutating func skipRest() {
        while let byte = peek(), byte & 0xC0 == 0x80 { index += 1 }
    }

    /// Reads what follows a repetition's first character; a brace that opens none is a plain character.
    private mutating func readBounds(_ byte: UInt8) -> (isRepetition: Bool, least: UInt64, most: UInt64)? {
        switch byte {
        case 0x2A: return (true, 0, RegexWidth.unlimited)
        case 0x2B: return (true, 1, RegexWidth.unlimited)
        case 0x3F: return (true, 0, 1)
        default: break
        }
        let start = index
        if peek() == 0x7D { return (false, 0, 0) }
        let least = readNumber()
        var most = least
        if take(0x2C) { most = readNumber() }
        guard take(0x7D) else {
            index = start
            return (false, 0, 0)
        }
        if (least ?? 0) >= RegexWidth.unlimited || (most ?? 0) >= RegexWidth.unlimited {
            // Python raises OverflowError here, which Nova does not expect.
            gaveUp = true
            return nil
        }
        if let least, let most, most < least { return nil }
        return (true, least ?? 0, most ?? RegexWidth.unlimited)
    }

    /// Reads digits, saturated; nil for none.
    mutating func readNumber() -> UInt64? {
        var value: UInt64?
        while let byte = peek(), ASCII.isDigit(byte) {
            index += 1
            value = min((value ?? 0) * 10 + UInt64(byte - 0x30), RegexWidth.unlimited)
        }
        return value
    }

    // MARK: - Escapes and sets

    /// Reads what follows a backslash outside a set.
    private mutating func readEscape() -> (width: RegexWidth, isPosition: Bool)? {
        let byte = bytes[index]
        index += 1
        switch byte {
        case 0x41, 0x62, 0x42, 0x5A: return (.zero, true)  // A b B Z
        case 0x64, 0x44, 0x73, 0x53, 0x77, 0x57: return (.one, false)  // d D s S w W
        case 0x61, 0x66, 0x6E, 0x72, 0x74, 0x76: return (.one, false)  // a f n r t v
        case 0x30:
            for _ in 0..<2 { if let digit = peek(), isOctal(digit) { index += 1 } }
            return (.one, false)
        case 0x31...0x39: return readReference(byte)
        default: return readCharacterEscape(byte) == nil ? nil : (.one, false)
        }
    }

    /// Reads `\1` to `\99`, or three octal digits.
    private mutating func readReference(_ first: UInt8) -> (width: RegexWidth, isPosition: Bool)? {
        var group = Int(first - 0x30)
        if let second = peek(), ASCII.isDigit(second) {
            index += 1
            if isOctal(first), isOctal(second), let third = peek(), isOctal(third) {
                index += 1
                return first > 0x33 ? nil : (.one, false)
            }
            group = group * 10 + Int(second - 0x30)
        }
        guard mayRefer(to: group) else { return nil }
        return (groupWidths[group], false)
    }

    /// Tells whether a group is closed, and no part of the look-behind that refers to it.
    func mayRefer(to group: Int) -> Bool {
        group < groupCount && group < 100 && groupIsClosed[group]
            && (lookBehindGroups < 0 || group < lookBehindGroups)
    }

    /// Reads an escape that stands for one character; nil for an error.
    private mutating func readCharacterEscape(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x78: return readHexadecimal(2)
        case 0x75: return readHexadecimal(4)
        case 0x55:
            guard let value = readHexadecimal(8), value <= 0x10FFFF else { return nil }
            return value
        case 0x4E:
            guard take(0x7B) else { return nil }
            let start = index
            while let letter = peek(), letter != 0x7D { index += letter == 0x5C ? 2 : 1 }
            guard index > start, take(0x7D) else { return nil }
            // Which character it names is not looked up; only ranges would want to know.
            return 0
        case 0x80...:
            var place = index - 1
            let value = UTF8Text.readScalar(bytes, &place) ?? 0xFFFD
            index = place
            return value
        default: return (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A ? nil : UInt32(byte)
        }
    }

    private mutating func readHexadecimal(_ count: Int) -> UInt32? {
        var value: UInt64 = 0
        for _ in 0..<count {
            guard let byte = peek(), let digit = ASCII.hexValue(byte) else { return nil }
            value = value << 4 | UInt64(digit)
            index += 1
        }
        return UInt32(truncatingIfNeeded: value)
    }

    private func isOctal(_ byte: UInt8) -> Bool { (0x30...0x37).contains(byte) }

    /// Reads a set after its bracket.
    private mutating func readSet() -> Bool {
        _ = take(0x5E)
        var isEmpty = true
        while true {
            guard let byte = peek() else { return false }
            if byte == 0x5D, !isEmpty {
                index += 1
                return true
            }
            isEmpty = false
            guard let low = readSetCharacter() else { return false }
            guard take(0x2D) else { continue }
            guard let end = peek() else { return false }
            if end == 0x5D {
                index += 1
                return true
            }
            guard let high = readSetCharacter(), case .one(let first) = low, case .one(let last) = high,
                first <= last
            else { return false }
        }
    }

    private enum SetPart { case one(UInt32), several }

    private mutating func readSetCharacter() -> SetPart? {
        let byte = bytes[index]
        guard byte == 0x5C else {
            return .one(UTF8Text.readScalar(bytes, &index) ?? 0xFFFD)
        }
        let escaped = bytes[index + 1]
        index += 2
        switch escaped {
        case 0x64, 0x44, 0x73, 0x53, 0x77, 0x57: return .several
        case 0x61: return .one(7)
        case 0x62: return .one(8)
        case 0x66: return .one(12)
        case 0x6E: return .one(10)
        case 0x72: return .one(13)
        case 0x74: return .one(9)
        case 0x76: return .one(11)
        case 0x30...0x37:
            var value = UInt32(escaped - 0x30)
            for _ in 0..<2 {
                guard let digit = peek(), isOctal(digit) else { break }
                value = value << 3 | UInt32(digit - 0x30)
                index += 1
            }
            return value > 0o377 ? nil : .one(value)
        case 0x38, 0x39: return nil
        default: return readCharacterEscape(escaped).map { .one($0) }
        }
    }
}
