import Bytes

/// Reads from the fields how a message is framed and whether its connection goes on.
///
/// - Source: RFC 9112 §6 and §9.3, with no room for two readings (§11.2): one Content-Length line with one
///   number, or one Transfer-Encoding line that says `chunked`, never both, and the latter in HTTP/1.1 only.
enum MessageFraming {
    enum Answer: Equatable {
        case absent
        case length(UInt64)
        case chunked
        case refused(Refusal)
    }

    /// Reads Content-Length and Transfer-Encoding together.
    @inline(__always) static func read(
        _ fields: borrowing FieldSection, _ bytes: ByteView, _ version: HTTPVersion
    ) -> Answer {
        if !fields.has(.contentLength), !fields.has(.transferEncoding) { return .absent }
        return readPresent(fields, bytes, version)
    }

    private static func readPresent(
        _ fields: borrowing FieldSection, _ bytes: ByteView, _ version: HTTPVersion
    ) -> Answer {
        if let coding = fields.find(.transferEncoding) {
            if fields.has(.contentLength) { return .refused(.ambiguousLength) }
            // RFC 9112 §6.1: such a message's framing is faulty, the chunked coding being unknown to
            // HTTP/1.0.
            guard version == .http11, fields.count(of: .transferEncoding) == 1 else {
                return .refused(.badTransferCoding)
            }
            let value = bytes.view(coding)
            if value.equalsIgnoringCase("chunked") { return .chunked }
            return .refused(isUnknownCoding(value) ? .transferCodingUnknown : .badTransferCoding)
        }
        guard fields.count(of: .contentLength) == 1, let value = fields.find(.contentLength) else {
            return .refused(.ambiguousLength)
        }
        let digits = bytes.view(value)
        guard let byteCount = Decimal.read(digits), byteCount <= UInt64(Int64.max) else {
            for byte in digits where byte == UInt8(ascii: ",") { return .refused(.ambiguousLength) }
            return .refused(.badLength)
        }
        return .length(byteCount)
    }

    /// Tells whether the value is a clean list of codings of which one at least is not `chunked`.
    private static func isUnknownCoding(_ value: ByteView) -> Bool {
        var hasUnknown = false
        var start = 0
        for index in 0...value.count where index == value.count || value[index] == UInt8(ascii: ",") {
            let coding = value.view(start, index - start).trimmed()
            guard coding.isToken else { return false }
            if !coding.equalsIgnoringCase("chunked") { hasUnknown = true }
            start = index + 1
        }
        return hasUnknown
    }

    /// Tells whether the sender keeps the connection after this message (RFC 9112 §9.3).
    @inline(__always) static func keepsAlive(
        _ fields: borrowing FieldSection, _ bytes: ByteView, _ version: HTTPVersion
    ) -> Bool {
        if !fields.has(.connection) { return version != .http10 }
        if FieldList.contains("close", of: .connection, in: fields, bytes) { return false }
        return version != .http10 || FieldList.contains("keep-alive", of: .connection, in: fields, bytes)
    }
}
