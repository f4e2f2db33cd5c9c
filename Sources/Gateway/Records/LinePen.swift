internal import Bytes
internal import Loop

/// Writes one line into a block that somebody lends.
///
/// - Shape: two pointers and a flag, which stay in registers while a line is made.
/// - Limits: what finds no room is left out and noted; the line is then not to be used.
struct LinePen {
    private(set) var place: UnsafeMutablePointer<UInt8>
    private let end: UnsafeMutablePointer<UInt8>
    private(set) var hasOverflowed = false

    /// A pen at the front of `block`, which is not empty.
    init(_ block: UnsafeMutableBufferPointer<UInt8>) {
        place = block.baseAddress!
        end = place + block.count
    }

    private var room: Int { end - place }

    /// Appends a literal, whose count is known where it stands: a comparison and a few moves.
    @inline(__always) mutating func append(_ literal: StaticString) {
        let byteCount = literal.utf8CodeUnitCount
        guard byteCount <= room else { return hasOverflowed = true }
        place.update(from: literal.utf8Start, count: byteCount)
        place += byteCount
    }

    /// Appends one of several texts of the program.
    @inline(never) mutating func append(oneOf text: StaticString) {
        append(plain: ByteView(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends bytes that are known to need no escapes.
    @inline(__always) mutating func append(plain bytes: ByteView) {
        guard bytes.count <= room else { return hasOverflowed = true }
        guard let base = bytes.baseAddress else { return }
        place.update(from: base, count: bytes.count)
        place += bytes.count
    }

    /// Appends the bytes of a value as they stand in memory.
    @inline(__always) mutating func append<Value: BitwiseCopyable>(bytesOf value: Value) {
        guard MemoryLayout<Value>.size <= room else { return hasOverflowed = true }
        UnsafeMutableRawPointer(place).storeBytes(of: value, as: Value.self)
        place += MemoryLayout<Value>.size
    }

    // MARK: - Numbers

    /// Appends a number in decimal digits.
    @inline(__always) mutating func append(_ number: UInt64) {
        // Most numbers of a line are a digit or a status.
        if number < 10, room > 0 {
            place[0] = UInt8(truncatingIfNeeded: number) &+ 0x30
            place += 1
        } else if 100..<1_000 ~= number {
            append(threeDigitsOf: number)
        } else {
            appendDecimal(number)
        }
    }

    @inline(never) private mutating func appendDecimal(_ number: UInt64) {
        let byteCount = Decimal.digitCount(number)
        guard byteCount <= room else { return hasOverflowed = true }
        place += byteCount
        Decimal.write(number, endingAt: place)
    }

    /// Appends a number below 1,000 in three digits.
    @inline(__always) mutating func append(threeDigitsOf number: UInt64) {
        guard room >= 3 else { return hasOverflowed = true }
        let number = UInt32(truncatingIfNeeded: number)
        place[0] = UInt8(truncatingIfNeeded: number / 100) &+ 0x30
        place[1] = UInt8(truncatingIfNeeded: number / 10 % 10) &+ 0x30
        place[2] = UInt8(truncatingIfNeeded: number % 10) &+ 0x30
        place += 3
    }

    /// Appends an address as text; the rest of a line is longer than what may be too much room asked for.
    mutating func append(_ address: IPAddress) {
        guard room >= IPAddress.maxByteCount else { return hasOverflowed = true }
        place += address.write(to: UnsafeMutableBufferPointer(start: place, count: room))
    }

    // MARK: - Text from outside

    /// Appends a text, all but printable ASCII, quotes and backslashes escaped byte by byte.
    ///
    /// Looked at and copied eight bytes at a time; hardly any text has something to escape.
    mutating func append(escaped bytes: ByteView) {
        let count = bytes.count
        guard count > 0, count <= room, let base = bytes.baseAddress else { return appendSlowly(bytes) }
        let source = UnsafeRawPointer(base)
        let target = UnsafeMutableRawPointer(place)
        guard count >= 4 else {
            // The first, the middle and the last, which are all; of fewer than three some are the same.
            let (first, middle, last) = (base[0], base[count / 2], base[count - 1])
            let all = UInt64(first) | UInt64(middle) << 8 | UInt64(last) << 16 | 0x2020_2020_2000_0000
            guard Self.isPlain(all) else { return appendSlowly(bytes) }
            place[0] = first
            place[count / 2] = middle
            place[count - 1] = last
            place += count
            return
        }
        guard count >= 8 else {
            // Two halves that overlap.
            let first = source.loadUnaligned(as: UInt32.self)
            let second = source.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self)
            guard Self.isPlain(UInt64(first) << 32 | UInt64(second)) else { return appendSlowly(bytes) }
            target.storeBytes(of: first, as: UInt32.self)
            target.storeBytes(of: second, toByteOffset: count - 4, as: UInt32.self)
            place += count
            return
        }
        var offset = 0
        while offset < count {
            // The last piece is as wide as those before it, and overlaps.
            offset = min(offset, count &- 8)
            let piece = source.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard Self.isPlain(piece) else { return appendSlowly(bytes) }
            target.storeBytes(of: piece, toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        place += count
    }

    @inline(never) private mutating func appendSlowly(_ bytes: ByteView) {
        for byte in bytes {
            guard byte < 0x20 || byte >= 0x7F || byte == 0x22 || byte == 0x5C else {
                append(bytesOf: byte)
                continue
            }
            append("\\u00")
            append(bytesOf: Self.digit(byte >> 4))
            append(bytesOf: Self.digit(byte & 15))
        }
    }

    /// 0x30 is `0`; 0x57 and 10 give `a`.
    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? value + 0x30 : value + 0x57 }

    /// Tells whether all eight bytes stand for themselves in a JSON text.
    @inline(__always) private static func isPlain(_ bytes: UInt64) -> Bool {
        // Of each byte the highest bit says how it compares; no sum of seven bits carries into the next byte.
        let low = bytes & 0x7F7F_7F7F_7F7F_7F7F
        let isPrintable = low &+ 0x6060_6060_6060_6060
        let isDelete = low &+ 0x0101_0101_0101_0101
        let isNoQuote = (low ^ 0x2222_2222_2222_2222) &+ 0x7F7F_7F7F_7F7F_7F7F
        let isNoBackslash = (low ^ 0x5C5C_5C5C_5C5C_5C5C) &+ 0x7F7F_7F7F_7F7F_7F7F
        let highest: UInt64 = 0x8080_8080_8080_8080
        return isPrintable & isNoQuote & isNoBackslash & ~(isDelete | bytes) & highest == highest
    }
}
