import Bytes

/// Tells HTTP/2 from HTTP/1.1 by the first bytes of a connection without TLS (RFC 9113 §3.3 and §3.4).
public enum HTTP2Preface: Sendable {
    /// HTTP/1.1 by all that is seen.
    case absent
    /// Too few bytes came to tell.
    case partial
    /// The preface begins; the session checks the rest of it.
    case present
    /// A first line of three words of which the last names no version: no answer would be understood.
    case broken

    /// Judges what a connection begins with; `bytes` is not empty.
    public static func judge(_ bytes: ByteView) -> HTTP2Preface {
        // `PRI` was kept from ever being a method (RFC 9113 §11.6), so four bytes tell.
        let start: StaticString = "PRI "
        let known = ByteView(start: start.utf8Start, count: 4)
        let count = min(4, bytes.count)
        if bytes.view(0, count).equals(known.view(0, count)) { return count == 4 ? .present : .partial }
        return hasForeignLine(bytes) ? .broken : .absent
    }

    private static func hasForeignLine(_ bytes: ByteView) -> Bool {
        var spaces = 0
        var last = 0
        for index in 0..<bytes.count {
            switch bytes[index] {
            case 0x20:
                spaces += 1
                last = index + 1
            case 0x0D, 0x0A:
                let word = bytes.view(last, index - last)
                return spaces == 2 && word.count > 0 && !word.contains("/")
            case 0x21...0x7E: break
            default: return false
            }
        }
        return false
    }
}
