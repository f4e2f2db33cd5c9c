internal import Bytes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The first eight bytes of a text as a number, so that most comparisons of texts are one of numbers.
///
/// - Shape: the first byte is the highest; what is missing is zero. Numbers that differ are ordered as the texts are.
enum TextKey {
    static func of(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { of($0) }
    }

    @inline(__always) static func of(_ text: ByteView) -> UInt64 {
        guard let base = text.baseAddress else { return 0 }
        let raw = UnsafeRawPointer(base)
        if text.count >= 8 { return UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)) }
        if text.count >= 4 {
            let high = UInt64(UInt32(bigEndian: raw.loadUnaligned(as: UInt32.self)))
            let low = UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: text.count &- 4, as: UInt32.self))
            // The last four bytes without those that are among the first four; the shift is 8 to 32.
            return high &<< 32 | UInt64(low) &<< UInt64(64 &- 8 &* text.count) & 0xFFFF_FFFF
        }
        var key: UInt64 = 0
        for place in 0..<text.count { key |= UInt64(base[place]) &<< UInt64(56 &- 8 &* place) }
        return key
    }

    /// Compares texts of which the keys are at hand, by their bytes: below, at or above zero.
    @inline(__always) static func order(
        _ left: ByteView, _ leftKey: UInt64, _ right: ByteView, _ rightKey: UInt64
    ) -> Int {
        if leftKey != rightKey { return leftKey < rightKey ? -1 : 1 }
        let shared = min(left.count, right.count)
        if shared > 8 {
            let rest = memcmp(left.baseAddress! + 8, right.baseAddress! + 8, shared - 8)
            if rest != 0 { return Int(rest) }
        }
        return left.count - right.count
    }
}
