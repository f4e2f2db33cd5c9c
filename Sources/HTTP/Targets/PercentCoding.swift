import Bytes

/// Takes percent-encoding off and puts it on.
///
/// - Source: RFC 3986 §2.1; the treatment of bad triples and of plus is Python's `unquote_plus` and
///   `quote_plus`.
public enum PercentCoding {
    /// Appends the decoded bytes; a bad triple is kept as it stands, and the answer is then false.
    ///
    /// - Errors: too little room shows in `buffer.hasOverflowed`; `bytes.count` bytes are always enough.
    @discardableResult
    public static func decode(_ bytes: ByteView, plusIsSpace: Bool, into buffer: inout Buffer) -> Bool {
        var isClean = true
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%") {
                if index + 2 < bytes.count, let high = ASCII.hexValue(bytes[index + 1]),
                    let low = ASCII.hexValue(bytes[index + 2])
                {
                    buffer.append(high << 4 | low)
                    index += 3
                    continue
                }
                isClean = false
            }
            buffer.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
            index += 1
        }
        return isClean
    }

    /// Appends the bytes with all but unreserved characters as triples, upper-case digits; perhaps `+` for a
    /// space.
    public static func appendEncoded(_ bytes: ByteView, spaceIsPlus: Bool, to buffer: inout Buffer) {
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if ByteClass.is(byte, ByteClass.unreserved) {
                buffer.append(byte)
            } else if spaceIsPlus, byte == 0x20 {
                buffer.append(UInt8(ascii: "+"))
            } else {
                appendTriple(byte, to: &buffer)
            }
        }
    }

    /// Appends a decoded path as WebOb writes it: what may stand in one (RFC 3986 §3.3) as it is, the rest as triples.
    public static func appendEncodedPath(_ bytes: ByteView, to buffer: inout Buffer) {
        for byte in bytes {
            if byte == 0x2F || ByteClass.is(byte, ByteClass.pathPlain) {
                buffer.append(byte)
            } else {
                appendTriple(byte, to: &buffer)
            }
        }
    }

    private static func appendTriple(_ byte: UInt8, to buffer: inout Buffer) {
        buffer.append(UInt8(ascii: "%"))
        appendDigit(byte >> 4, to: &buffer)
        appendDigit(byte & 15, to: &buffer)
    }

    private static func appendDigit(_ value: UInt8, to buffer: inout Buffer) {
        buffer.append(value < 10 ? value + 0x30 : value + 0x37)
    }
}
