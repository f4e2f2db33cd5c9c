import Bytes

/// Judges whether a path can be read in one way only.
///
/// - Source: RFC 3986 §3.3 and §6.2.2; ours in refusing instead of normalizing: Nova would fold such a path,
///   so a rule that looks at the path could be walked around.
public enum PathForm {
    /// Tells whether the path is absolute, without empty or dot segments, and clean; one slash at its end is
    /// allowed.
    ///
    /// - Errors: false for `//`, `.` and `..` (also with `%2e`), encoded slash, backslash or control bytes, a
    ///   percent sign without two hexadecimal digits, and any byte that is no pchar.
    public static func isNormal(_ path: ByteView) -> Bool {
        guard let base = path.baseAddress, path.count > 0, base[0] == UInt8(ascii: "/") else { return false }
        return endOfNormalPath(base, from: 0, to: path.count) == path.count
    }

    /// The end of the normal path at `start`, at a question mark or at `end`; nil when it is not normal.
    @inline(__always) static func endOfNormalPath(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) -> Int? {
        var position = start + 1
        while true {
            // One segment a round.
            let segment = position
            var hasTriple = false
            var delimiter: UInt8 = 0x3F
            position = skipPlain(base, from: position, to: end)
            while position < end {
                let byte = base[position]
                if ByteClass.is(byte, ByteClass.pathPlain) {
                    position += 1
                    continue
                }
                if byte == UInt8(ascii: "%") {
                    guard isAllowedTriple(base, position, end) else { return nil }
                    hasTriple = true
                    position += 3
                    continue
                }
                delimiter = byte
                break
            }
            if hasTriple || (position > segment && base[segment] == UInt8(ascii: ".")) {
                if isDotSegment(base, from: segment, to: position) { return nil }
            }
            if position == end { return end }
            if delimiter == 0x3F { return position }
            guard delimiter == UInt8(ascii: "/"), position > segment else { return nil }
            position += 1
        }
    }

    /// Steps over letters, digits, hyphens and full stops, sixteen at a time while there are as many bytes.
    ///
    /// An id is a segment of 36 of those; short segments are left to the loop over single bytes.
    @inline(__always) private static func skipPlain(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) -> Int {
        ByteLanes.skip(base, from: start, to: end) { lanes in
            // Bit 7 of what is no letter, no digit, neither hyphen nor full stop: each distance from the first of a
            // kind that is beyond the last one has it, of itself or once the sum is past 0x7F.
            let letter = (lanes | 0x20) &- 0x61
            let digit = lanes &- 0x30
            let mark = lanes &- 0x2D
            return (letter | (letter &+ 0x66)) & (digit | (digit &+ 0x76)) & (mark | (mark &+ 0x7E))
        }
    }

    private static func isAllowedTriple(_ base: UnsafePointer<UInt8>, _ position: Int, _ end: Int) -> Bool {
        guard end - position >= 3, let high = ASCII.hexValue(base[position + 1]),
            let low = ASCII.hexValue(base[position + 2])
        else { return false }
        let byte = high << 4 | low
        return byte >= 0x20 && byte != 0x7F && byte != UInt8(ascii: "/") && byte != UInt8(ascii: "\\")
    }

    private static func isDotSegment(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Bool {
        var position = start
        var dotCount = 0
        while position < end {
            if base[position] == UInt8(ascii: ".") {
                position += 1
            } else if base[position] == UInt8(ascii: "%"), base[position + 1] == UInt8(ascii: "2"),
                base[position + 2] | 0x20 == UInt8(ascii: "e")
            {
                // The triple was checked to be whole.
                position += 3
            } else {
                return false
            }
            dotCount += 1
        }
        return dotCount == 1 || dotCount == 2
    }
}
