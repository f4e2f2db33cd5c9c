public import Bytes

/// The forms in which ids are written.
public enum UUIDForm {
    /// Appends a random UUID of version 4, in 36 bytes (RFC 9562 §5.4).
    public static func append(_ random: inout RandomSource, to buffer: inout Buffer) {
        guard buffer.room >= byteCount else { return buffer.hasOverflowed = true }
        write(&random, to: UnsafeMutableRawBufferPointer(buffer.writable))
        buffer.grow(by: byteCount)
    }

    /// How long a UUID is in text.
    public static var byteCount: Int { 36 }

    /// Writes a random UUID of version 4 at the front of `bytes`, which has room for it.
    public static func write(_ random: inout RandomSource, to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= byteCount)
        // Version nibble 4, variant bits 10.
        let high = random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        // Groups of eight digits as they stand in memory, the second and third of which a dash divides.
        let (first, second) = (
            Buffer.digits(UInt32(high >> 32)), Buffer.digits(UInt32(truncatingIfNeeded: high))
        )
        let (third, last) = (
            Buffer.digits(UInt32(low >> 32)), Buffer.digits(UInt32(truncatingIfNeeded: low))
        )
        bytes.storeBytes(of: first, toByteOffset: 0, as: UInt64.self)
        bytes[8] = 0x2D
        bytes.storeBytes(of: UInt32(truncatingIfNeeded: second), toByteOffset: 9, as: UInt32.self)
        bytes[13] = 0x2D
        bytes.storeBytes(of: UInt32(second >> 32), toByteOffset: 14, as: UInt32.self)
        bytes[18] = 0x2D
        bytes.storeBytes(of: UInt32(truncatingIfNeeded: third), toByteOffset: 19, as: UInt32.self)
        bytes[23] = 0x2D
        bytes.storeBytes(of: UInt32(third >> 32), toByteOffset: 24, as: UInt32.self)
        bytes.storeBytes(of: last, toByteOffset: 28, as: UInt64.self)
    }

    /// Tells whether the text is 8-4-4-4-12 hexadecimal digits of either case.
    public static func isCanonical(_ text: ByteView) -> Bool {
        guard text.count == 36, let base = text.baseAddress,
            base[8] == 0x2D, base[13] == 0x2D, base[18] == 0x2D, base[23] == 0x2D
        else { return false }
        let raw = UnsafeRawPointer(base)
        // Sixteen bytes at a time, the last twelve of the middle once more with the end.
        let start = noDigits(raw.loadUnaligned(as: SIMD16<UInt8>.self))
        let middle = noDigits(raw.loadUnaligned(fromByteOffset: 16, as: SIMD16<UInt8>.self))
        let end = noDigits(raw.loadUnaligned(fromByteOffset: 20, as: SIMD16<UInt8>.self))
        // The four dashes are there, one of them in two of the blocks; nothing else may be wrong.
        return start + middle + end == 5
    }

    /// How many of sixteen bytes are no hexadecimal digits.
    @inline(__always) private static func noDigits(_ lanes: SIMD16<UInt8>) -> Int {
        // Each distance from the first of a kind that is beyond the last one has bit 7, of itself or once the sum is
        // past 0x7F.
        let letter = (lanes | 0x20) &- 0x61
        let digit = lanes &- 0x30
        let found = (letter | (letter &+ 0x7A)) & (digit | (digit &+ 0x76)) & 0x80
        let words = unsafeBitCast(found, to: SIMD2<UInt64>.self)
        // Bits 7 of the one half and, moved by one, of the other: none falls on another.
        return (words[0] | words[1] &>> 1).nonzeroBitCount
    }

    /// Tells whether oslo's `is_uuid_like` holds: 32 digits, with dashes, braces and `urn:uuid:` where they may be.
    static func isUUIDLike(_ text: ByteView) -> Bool {
        var text = text
        if text.starts(with: "urn:") { text = text.view(4, text.count - 4) }
        if text.starts(with: "uuid:") { text = text.view(5, text.count - 5) }
        // By index: `first` and `last` allocate where the compiler does not specialize them.
        while text.count > 0, text[0] == 0x7B || text[0] == 0x7D { text = text.view(1, text.count - 1) }
        while text.count > 0, text[text.count - 1] == 0x7B || text[text.count - 1] == 0x7D {
            text = text.view(0, text.count - 1)
        }
        var digitCount = 0
        for byte in text where byte != 0x2D {
            guard ASCII.hexValue(byte) != nil else { return false }
            digitCount += 1
        }
        return digitCount == 32
    }

    /// Tells whether a path segment can stand for a project: Nova's route condition `[0-9a-f-]+`.
    static func isProjectSegment(_ byte: UInt8) -> Bool {
        ASCII.isDigit(byte) || (byte &- 0x61) < 6 || byte == 0x2D
    }
}

/// Request ids: `req-` and a random UUID of version 4, 40 bytes.
///
/// - Source: oslo.context's `generate_request_id` and the pattern by which it accepts a global id.
public enum RequestID {
    /// Writes a new id into `bytes`, which are 40.
    public static func write(_ random: inout RandomSource, to bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count == 40)
        // `req-`, the first letter in the lowest byte.
        bytes.storeBytes(of: UInt32(0x2D71_6572).littleEndian, as: UInt32.self)
        UUIDForm.write(&random, to: UnsafeMutableRawBufferPointer(rebasing: bytes[4...]))
    }

    /// Tells whether a client's id is accepted: lower-case digits only, any version.
    public static func isValid(_ text: ByteView) -> Bool {
        guard text.count == 40, text.starts(with: "req-") else { return false }
        let id = text.view(4, 36)
        for byte in id where (byte &- 0x41) < 26 { return false }
        return UUIDForm.isCanonical(id)
    }
}
