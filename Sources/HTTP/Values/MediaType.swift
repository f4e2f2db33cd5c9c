import Bytes

/// The parts of a Content-Type value as places in it.
///
/// - Shape: `parameters` is all after the first semicolon; `charset` is without quotes, empty when absent.
/// - Errors: nil for anything that is not `type/subtype` with well-formed parameters.
/// - Source: RFC 9110 §8.3.1 and §5.6.6.
public struct MediaType: Sendable {
    public var type = ByteRange.empty
    public var subtype = ByteRange.empty
    public var parameters = ByteRange.empty
    public var charset = ByteRange.empty

    /// Reads a whole field value, or answers nil.
    public init?(reading value: ByteView) {
        var scan = 0
        while scan < value.count, ByteClass.is(value[scan], ByteClass.token) { scan += 1 }
        guard scan > 0, scan < value.count, value[scan] == UInt8(ascii: "/") else { return nil }
        type = ByteRange(start: 0, count: scan)
        let start = scan + 1
        scan = start
        while scan < value.count, ByteClass.is(value[scan], ByteClass.token) { scan += 1 }
        guard scan > start else { return nil }
        subtype = ByteRange(start: start, count: scan - start)
        if let semicolon = Self.skipSpace(value, scan), value[semicolon] == UInt8(ascii: ";") {
            parameters = value.trimmedRange(from: semicolon + 1, to: value.count)
        }
        guard readParameters(value, from: scan) else { return nil }
    }

    /// Tells whether the type is `literal`, as `application/json` in lower case; case and parameters are
    /// ignored.
    public func matches(_ literal: StaticString, in value: ByteView) -> Bool {
        value.view(0, subtype.upper).equalsIgnoringCase(literal)
    }

    /// Reads `*( OWS ";" OWS [ parameter ] )`.
    private mutating func readParameters(_ value: ByteView, from start: Int) -> Bool {
        var position = start
        while let semicolon = Self.skipSpace(value, position) {
            guard value[semicolon] == UInt8(ascii: ";") else { return false }
            position = semicolon + 1
            guard let nameStart = Self.skipSpace(value, position) else { return true }
            position = nameStart
            if value[position] == UInt8(ascii: ";") { continue }
            while position < value.count, ByteClass.is(value[position], ByteClass.token) { position += 1 }
            let name = value.view(nameStart, position - nameStart)
            guard name.count > 0, position < value.count, value[position] == UInt8(ascii: "=") else {
                return false
            }
            position += 1
            guard let range = Self.readValue(value, &position) else { return false }
            if charset.isEmpty, name.equalsIgnoringCase("charset") { charset = range }
        }
        return true
    }

    /// Reads a token or a quoted string, whose range is given without its quotes.
    private static func readValue(_ value: ByteView, _ position: inout Int) -> ByteRange? {
        let start = position
        guard start < value.count, value[start] == UInt8(ascii: "\"") else {
            while position < value.count, ByteClass.is(value[position], ByteClass.token) { position += 1 }
            return position > start ? ByteRange(start: start, count: position - start) : nil
        }
        position += 1
        while position < value.count, value[position] != UInt8(ascii: "\"") {
            position += value[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard position < value.count else { return nil }
        position += 1
        return ByteRange(start: start + 1, count: position - start - 2)
    }

    /// The first place at or after `start` that is no space or tab; nil at the end.
    private static func skipSpace(_ value: ByteView, _ start: Int) -> Int? {
        var position = start
        while position < value.count, value[position] == 0x20 || value[position] == 0x09 { position += 1 }
        return position < value.count ? position : nil
    }
}
