#if canImport(Glibc)
    import Glibc
#endif

/// A borrowed run of bytes; it never owns, and lives no longer than the block it points into.
public typealias ByteView = UnsafeBufferPointer<UInt8>

/// A place inside a block of bytes, as an offset and a count.
///
/// - Shape: two `UInt32`, so a head of up to 4 GiB; means nothing without the block it was measured in.
public struct ByteRange: Equatable, Sendable {
    public var start: UInt32
    public var count: UInt32

    @inlinable public init(start: Int, count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    @inlinable public static var empty: ByteRange { ByteRange(start: 0, count: 0) }
    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var lower: Int { Int(start) }
    @inlinable public var upper: Int { Int(start) + Int(count) }
}

extension UnsafeBufferPointer where Element == UInt8 {
    /// Lends the bytes of `range`; traps when it reaches past the end.
    @inlinable public func view(_ range: ByteRange) -> ByteView {
        precondition(range.upper <= count)
        return ByteView(rebasing: self[range.lower..<range.upper])
    }

    /// Lends `count` bytes from `start`; traps when it reaches past the end.
    @inlinable public func view(_ start: Int, _ count: Int) -> ByteView {
        precondition(start >= 0 && count >= 0 && start <= self.count - count)
        return ByteView(start: baseAddress.map { $0 + start }, count: count)
    }

    /// Tells whether the bytes are exactly those of `literal`.
    @inlinable @inline(__always) public func equals(_ literal: StaticString) -> Bool {
        // The count is that of the literal, which is known where it stands, so that this is a few comparisons.
        let byteCount = literal.utf8CodeUnitCount
        guard count == byteCount, let baseAddress else { return count == byteCount }
        return memcmp(baseAddress, literal.utf8Start, byteCount) == 0
    }

    /// Tells whether the bytes are those of `literal` (given in lower case), ASCII case aside.
    @inlinable public func equalsIgnoringCase(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        for index in 0..<count where ASCII.lowercased(self[index]) != literal.utf8Start[index] {
            return false
        }
        return true
    }

    /// Tells whether both hold the same bytes.
    @inlinable public func equals(_ other: ByteView) -> Bool {
        guard count == other.count else { return false }
        guard count > 0 else { return true }
        return memcmp(baseAddress!, other.baseAddress!, count) == 0
    }

    /// Tells whether both hold the same bytes, ASCII case aside.
    @inlinable public func equalsIgnoringCase(_ other: ByteView) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where ASCII.lowercased(self[index]) != ASCII.lowercased(other[index]) {
            return false
        }
        return true
    }

    /// Tells whether the bytes begin with those of `literal`.
    @inlinable public func starts(with literal: StaticString) -> Bool {
        count >= literal.utf8CodeUnitCount && view(0, literal.utf8CodeUnitCount).equals(literal)
    }

    /// Tells whether the bytes of `literal` stand anywhere within; for cold paths, since it tries each place.
    public func contains(_ literal: StaticString) -> Bool {
        let wanted = literal.utf8CodeUnitCount
        guard wanted > 0, count >= wanted else { return wanted == 0 }
        let first = literal.utf8Start[0]
        for start in 0...(count - wanted) where self[start] == first && view(start, wanted).equals(literal) {
            return true
        }
        return false
    }

    /// Lends what is left without spaces and tabs at both ends (RFC 9110 §5.6.3, OWS).
    @inlinable public func trimmed() -> ByteView {
        var low = 0
        var high = count
        while low < high, self[low] == 0x20 || self[low] == 0x09 { low += 1 }
        while high > low, self[high - 1] == 0x20 || self[high - 1] == 0x09 { high -= 1 }
        return view(low, high - low)
    }

    /// Copies into a String, bad UTF-8 replaced; for cold paths only, since it allocates.
    public var string: String { String(decoding: self, as: UTF8.self) }
}

/// Facts about single ASCII bytes.
public enum ASCII {
    @inlinable public static func lowercased(_ byte: UInt8) -> UInt8 {
        // 0x41...0x5A are A to Z; the difference wraps for anything lower, which the comparison then rejects.
        (byte &- 0x41) < 26 ? byte | 0x20 : byte
    }

    @inlinable public static func isDigit(_ byte: UInt8) -> Bool { (byte &- 0x30) < 10 }

    /// The value of a hexadecimal digit of either case, or nil.
    @inlinable public static func hexValue(_ byte: UInt8) -> UInt8? {
        if (byte &- 0x30) < 10 { return byte &- 0x30 }
        let lower = byte | 0x20
        return (lower &- 0x61) < 6 ? lower &- 0x61 &+ 10 : nil
    }

    /// Tells whether the byte may stand in a token (RFC 9110 §5.6.2, tchar).
    @inlinable public static func isTokenCharacter(_ byte: UInt8) -> Bool {
        // One bit for each of the 128 ASCII values, low and high half.
        let low: UInt64 = 0x03FF_6CFA_0000_0000
        let high: UInt64 = 0x57FF_FFFF_C7FF_FFFE
        if byte < 64 { return low &>> UInt64(byte) & 1 == 1 }
        return byte < 128 && high &>> UInt64(byte & 63) & 1 == 1
    }
}

/// Reads and writes numbers as ASCII digits.
public enum Decimal {
    /// The digits of all numbers below 100, two each.
    @inlinable static var pairs: StaticString {
        """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """
    }

    /// How many digits a number has, 1 to 20.
    @inlinable public static func digitCount(_ value: UInt64) -> Int {
        // Most numbers are short.
        if value < 100 { return value < 10 ? 1 : 2 }
        if value < 10_000 { return value < 1_000 ? 3 : 4 }
        if value < 1_000_000 { return value < 100_000 ? 5 : 6 }
        var byteCount = 6
        var rest = value / 1_000_000
        while rest > 0 {
            byteCount &+= 1
            rest /= 10
        }
        return byteCount
    }

    /// Writes a number's digits, the last one before `end`; there is room for `digitCount(value)` of them.
    @inlinable public static func write(_ value: UInt64, endingAt end: UnsafeMutablePointer<UInt8>) {
        let digits = UnsafeRawPointer(pairs.utf8Start)
        var place = UnsafeMutableRawPointer(end)
        var rest = value
        // Two digits a division.
        while rest >= 10 {
            place -= 2
            let pair = digits.loadUnaligned(
                fromByteOffset: 2 &* Int(truncatingIfNeeded: rest % 100), as: UInt16.self)
            place.storeBytes(of: pair, as: UInt16.self)
            rest /= 100
            if rest == 0 { return }
        }
        (place - 1).storeBytes(of: UInt8(truncatingIfNeeded: rest) &+ 0x30, as: UInt8.self)
    }

    /// Reads all of `bytes` as an unsigned number: digits only, no sign, no space, or nil; nil too on overflow.
    @inlinable public static func read(_ bytes: ByteView) -> UInt64? {
        guard !bytes.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in bytes {
            guard ASCII.isDigit(byte) else { return nil }
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(UInt64(byte &- 0x30))
            guard !overflowed, !carried else { return nil }
            value = sum
        }
        return value
    }
}
