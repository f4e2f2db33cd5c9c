/// What kinds of element each byte may stand in, one bit a kind.
///
/// - Source: RFC 9110 §5.5 and §5.6.2, RFC 3986 §2.3 and §3.3; a test derives the table again from those
///   rules.
enum ByteClass {
    /// tchar.
    static let token: UInt8 = 1
    /// pchar without the percent sign: unreserved, sub-delims, colon, at.
    static let pathPlain: UInt8 = 2
    /// VCHAR without the number sign.
    static let target: UInt8 = 4
    /// unreserved; also what we take in a host name.
    static let unreserved: UInt8 = 8
    static let underscore: UInt8 = 16
    /// VCHAR, obs-text, space, tab.
    static let fieldText: UInt8 = 32
    /// What divides a query: ampersand, semicolon, equals sign.
    static let queryDelimiter: UInt8 = 64
    /// What stands for something else in a query, or may be no text at all: percent sign, plus, beyond ASCII.
    static let queryEncoded: UInt8 = 128

    @inline(__always) static func of(_ byte: UInt8) -> UInt8 { table[Int(byte)] }

    @inline(__always) static func `is`(_ byte: UInt8, _ kind: UInt8) -> Bool { table[Int(byte)] & kind != 0 }

    static let table: [256 of UInt8] = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        32, 39, 36, 33, 39, 165, 103, 39, 38, 38, 39, 167, 38, 47, 47, 36,
        47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 38, 102, 36, 102, 36, 36,
        38, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47,
        47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 36, 36, 36, 37, 63,
        37, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47,
        47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 36, 37, 36, 47, 0,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
        160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160, 160,
    ]
}
