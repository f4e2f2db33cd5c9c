public import Bytes
public import HTTP

/// A version of the compute API inside one root, such as 2.90.
///
/// - Limits: both numbers are below 65,536; larger ones are out of every range and never get here.
public struct Microversion: Comparable, Hashable, Sendable {
    public var major: UInt16
    public var minor: UInt16

    public init(major: UInt16, minor: UInt16) {
        self.major = major
        self.minor = minor
    }

    /// What a request without the field means, and all that `/v2` ever means.
    public static var base: Microversion { Microversion(major: 2, minor: 1) }
    /// Below and above every version, for open ends of ranges.
    static var lowest: Microversion { Microversion(major: 0, minor: 0) }
    static var highest: Microversion { Microversion(major: .max, minor: .max) }

    public static func < (left: Microversion, right: Microversion) -> Bool {
        left.number < right.number
    }

    /// Both numbers as one that is ordered as versions are.
    @inline(__always) private var number: UInt32 { UInt32(major) << 16 | UInt32(minor) }

    /// Reads `2.90`: no leading zeros, no sign; nil for any other form and for numbers above 65,535.
    public static func read(_ text: ByteView) -> Microversion? {
        guard let dot = form(text), let major = Decimal.read(text.view(0, dot)),
            let minor = Decimal.read(text.view(dot + 1, text.count - dot - 1)),
            major <= UInt16.max, minor <= UInt16.max
        else { return nil }
        return Microversion(major: UInt16(major), minor: UInt16(minor))
    }

    /// Reads a version of one digit, a dot and one to four digits, as `read` does; nil for all others.
    @inline(__always) static func readShort(_ text: ByteView) -> Microversion? {
        guard text.count >= 3, text.count <= 6, let base = text.baseAddress,
            ASCII.isDigit(base[0]), base[0] != 0x30, base[1] == 0x2E, base[2] != 0x30 || text.count == 3
        else { return nil }
        var minor: UInt16 = 0
        for place in 2..<text.count {
            guard ASCII.isDigit(base[place]) else { return nil }
            minor = minor &* 10 &+ UInt16(base[place] &- 0x30)  // Cannot wrap: four digits.
        }
        return Microversion(major: UInt16(base[0] &- 0x30), minor: minor)
    }

    /// Where the dot is when the text has the form `MajorNum.MinorNum`, whatever the size of its numbers.
    static func form(_ text: ByteView) -> Int? {
        var dot = -1
        for index in 0..<text.count {
            if text[index] == 0x2E {
                guard dot < 0 else { return nil }
                dot = index
            } else if !ASCII.isDigit(text[index]) {
                return nil
            }
        }
        guard dot > 0, dot + 1 < text.count, text[0] != 0x30 else { return nil }
        guard text[dot + 1] != 0x30 || dot + 2 == text.count else { return nil }
        return dot
    }

    /// Appends `2.90`.
    public func append(to buffer: inout Buffer) {
        buffer.appendDecimal(UInt64(major))
        buffer.append(0x2E)
        buffer.appendDecimal(UInt64(minor))
    }
}

/// Which microversion a request asks for.
///
/// - Shape: ranges are places of the asked text in the view that the field section belongs to.
public enum MicroversionRequest: Equatable, Sendable {
    /// No field, or none for the compute service: 2.1.
    case absent
    case version(Microversion)
    /// `latest`: the highest version the upstream has.
    case latest
    /// Not of the form `MajorNum.MinorNum` → 400.
    case malformed(ByteRange)
    /// Well-formed, but below the minimum or above the maximum → 406; answers repeat the asked text.
    case outOfRange(ByteRange)

    /// Reads the two fields of the compute API: `OpenStack-API-Version` first, then `X-OpenStack-Nova-API-Version`.
    ///
    /// - Shape: of several values for `compute` the last counts; other services are skipped, and a standard field that
    ///   names only others leaves the word to the older field.
    /// - Source: microversion-parse, which Nova uses; facts §1.6, §3.1 (mv-*).
    public static func read(
        _ fields: borrowing FieldSection, in bytes: ByteView, minimum: Microversion, maximum: Microversion
    ) -> MicroversionRequest {
        if let (version, range) = usual(fields, in: bytes) {
            return version >= minimum && version <= maximum ? .version(version) : .outOfRange(range)
        }
        var found: ByteRange?
        var start = 0
        while let index = fields.index(of: .openStackAPIVersion, from: start) {
            if let range = standardValue(bytes, fields[index].value) { found = range }
            start = index + 1
        }
        if found == nil {
            start = 0
            while let index = fields.index(of: .xOpenStackNovaAPIVersion, from: start) {
                found = legacyValue(bytes, fields[index].value)
                start = index + 1
            }
        }
        guard let found else { return .absent }
        return judge(bytes.view(found), found, minimum, maximum)
    }

    /// Reads what nearly all clients send: one line with `compute 2.96`, or one of the older field with `2.96`.
    ///
    /// - Errors: nil for any other form, none of which is wrong for that.
    @inline(__always) private static func usual(
        _ fields: borrowing FieldSection, in bytes: ByteView
    ) -> (Microversion, ByteRange)? {
        let service: UInt64 = 0x2065_7475_706D_6F63  // «compute », its first byte lowest.
        var text: ByteRange
        if let value = fields.find(.openStackAPIVersion) {
            text = value
            let view = bytes.view(text)
            guard view.count > 8, fields.count(of: .openStackAPIVersion) == 1, let base = view.baseAddress,
                UInt64(littleEndian: UnsafeRawPointer(base).loadUnaligned(as: UInt64.self)) == service
            else { return nil }
            text = ByteRange(start: text.lower + 8, count: view.count - 8)
        } else {
            guard let value = fields.find(.xOpenStackNovaAPIVersion),
                fields.count(of: .xOpenStackNovaAPIVersion) == 1
            else { return nil }
            text = value
        }
        return Microversion.readShort(bytes.view(text)).map { ($0, text) }
    }

    static func judge(
        _ text: ByteView, _ range: ByteRange, _ minimum: Microversion, _ maximum: Microversion
    ) -> MicroversionRequest {
        if text.equals("latest") { return .latest }
        guard Microversion.form(text) != nil else { return .malformed(range) }
        guard let version = Microversion.read(text), version >= minimum, version <= maximum else {
            return .outOfRange(range)
        }
        return .version(version)
    }

    /// The version in the last element `compute VERSION` of a list.
    static func standardValue(_ bytes: ByteView, _ value: ByteRange) -> ByteRange? {
        var end = value.upper
        while true {
            var start = end
            while start > value.lower, bytes[start - 1] != 0x2C { start -= 1 }
            if let found = element(bytes, start, end) { return found }
            guard start > value.lower else { return nil }
            end = start - 1
        }
    }

    private static func element(_ bytes: ByteView, _ start: Int, _ end: Int) -> ByteRange? {
        let (low, high) = stripped(bytes, start, end)
        var wordEnd = low
        while wordEnd < high, !PythonText.isSpace(bytes[wordEnd]) { wordEnd += 1 }
        guard wordEnd < high, bytes.view(low, wordEnd - low).equalsIgnoringCase("compute") else { return nil }
        let (first, last) = stripped(bytes, wordEnd, high)
        return first < last ? ByteRange(start: first, count: last - first) : nil
    }

    /// The last element of the older field, which may be empty.
    static func legacyValue(_ bytes: ByteView, _ value: ByteRange) -> ByteRange {
        var start = value.upper
        while start > value.lower, bytes[start - 1] != 0x2C { start -= 1 }
        let (low, high) = stripped(bytes, start, value.upper)
        return ByteRange(start: low, count: high - low)
    }

    private static func stripped(_ bytes: ByteView, _ start: Int, _ end: Int) -> (Int, Int) {
        var low = start
        var high = end
        while low < high, PythonText.isSpace(bytes[low]) { low += 1 }
        while high > low, PythonText.isSpace(bytes[high - 1]) { high -= 1 }
        return (low, high)
    }
}
