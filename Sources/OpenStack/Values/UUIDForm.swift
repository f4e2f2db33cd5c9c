public import Bytes

/// The forms in which ids are written.
public enum UUIDForm {
    /// Appends a random UUID of version 4, in 36 bytes (RFC 9562 §5.4).
    public static func append(_ random: inout RandomSource, to buffer: inout Buffer) {
        // Version nibble 4, variant bits 10.
        let high = random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        buffer.appendHexadecimal(high >> 32, width: 8)
        buffer.append(0x2D)
        buffer.appendHexadecimal(high >> 16 & 0xFFFF, width: 4)
        buffer.append(0x2D)
        buffer.appendHexadecimal(high & 0xFFFF, width: 4)
        buffer.append(0x2D)
        buffer.appendHexadecimal(low >> 48, width: 4)
        buffer.append(0x2D)
        buffer.appendHexadecimal(low & 0xFFFF_FFFF_FFFF, width: 12)
    }

    /// Tells whether the text is 8-4-4-4-12 hexadecimal digits of either case.
    public static func isCanonical(_ text: ByteView) -> Bool {
        guard text.count == 36 else { return false }
        for index in 0..<36 {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard text[index] == 0x2D else { return false }
            } else {
                guard ASCII.hexValue(text[index]) != nil else { return false }
            }
        }
        return true
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
    /// Appends a new id.
    public static func append(_ random: inout RandomSource, to buffer: inout Buffer) {
        buffer.append("req-")
        UUIDForm.append(&random, to: &buffer)
    }

    /// Tells whether a client's id is accepted: lower-case digits only, any version.
    public static func isValid(_ text: ByteView) -> Bool {
        guard text.count == 40, text.starts(with: "req-") else { return false }
        let id = text.view(4, 36)
        for byte in id where (byte &- 0x41) < 26 { return false }
        return UUIDForm.isCanonical(id)
    }
}
