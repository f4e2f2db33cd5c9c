public import Bytes

/// Strict UTF-8 as Python's decoder reads it (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF.
public enum UTF8Text {
    /// Tells whether all of `bytes` is well-formed.
    static func isValid(_ bytes: ByteView) -> Bool {
        var index = 0
        while index < bytes.count {
            if bytes[index] < 0x80 {
                index += 1
            } else if readScalar(bytes, &index) == nil {
                return false
            }
        }
        return true
    }

    /// Reads the scalar at `index` and steps over it; nil, with one byte stepped over, where the form is wrong.
    public static func readScalar(_ bytes: ByteView, _ index: inout Int) -> UInt32? {
        let first = bytes[index]
        index += 1
        if first < 0x80 { return UInt32(first) }
        let count: Int
        var value: UInt32
        switch first {
        case 0xC2...0xDF: (count, value) = (1, UInt32(first & 0x1F))
        case 0xE0...0xEF: (count, value) = (2, UInt32(first & 0x0F))
        case 0xF0...0xF4: (count, value) = (3, UInt32(first & 0x07))
        default: return nil
        }
        guard index + count <= bytes.count else { return nil }
        for offset in 0..<count {
            let byte = bytes[index + offset]
            guard byte & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        if count == 2, value < 0x800 || (0xD800...0xDFFF).contains(value) { return nil }
        if count == 3, value < 0x10000 || value > 0x10FFFF { return nil }
        index += count
        return value
    }
}

extension Buffer {
    /// Appends a scalar as UTF-8; a surrogate, which has no such form, becomes U+FFFD.
    mutating func appendScalar(_ value: UInt32) {
        let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
        for byte in UTF8.encode(scalar).unsafelyUnwrapped { append(byte) }
    }
}
