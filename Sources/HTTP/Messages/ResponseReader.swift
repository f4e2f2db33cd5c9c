import Bytes

/// Reads one HTTP/1.1 response head from bytes that come in pieces.
///
/// - Shape: as `RequestReader`: each byte is looked at once, and the reader is reset for the next head.
/// - Limits: `HeadLimits`, of which the target's does not apply.
/// - Errors: as strict as for requests, since a proxy answers 502 to what could be read two ways.
/// - Source: RFC 9112 §4, §5 and §6; a missing space before an empty reason phrase is let pass.
public struct ResponseReader {
    enum Stage: UInt8 { case line, reason, lineFeed, fields }

    var stage = Stage.line
    var position = 0
    var scanner = FieldScanner()

    /// Makes a reader that is before the first byte of a head.
    public init() {}

    /// Prepares for the next head, whose first byte will be the first of the next view.
    @inlinable public mutating func reset() { self = ResponseReader() }

    /// Tells whether any byte of the head was seen.
    public var hasBegun: Bool { position > 0 }

    /// Reads on in `bytes`, which begins at the head's first byte and has all earlier bytes unchanged.
    ///
    /// The framing depends on `requestMethod`: a response to HEAD has no content.
    public mutating func read(
        _ bytes: ByteView, into head: inout ResponseHead, requestMethod: Method,
        limits: HeadLimits = HeadLimits()
    ) -> HeadResult {
        if position == 0 { head.reset() }
        guard let base = bytes.baseAddress else { return .incomplete }
        let end = min(bytes.count, limits.headByteCount)
        var result = readLine(base, to: end, into: &head)
        if result == .complete {
            result = scanner.read(
                base, from: &position, to: end, into: &head.fields, fieldLimit: limits.fieldCount)
        }
        guard result == .complete else {
            return result == .incomplete && end >= limits.headByteCount ? .refused(.headTooLarge) : result
        }
        head.byteCount = position
        if let refusal = head.settle(ByteView(start: base, count: position), requestMethod: requestMethod) {
            return .refused(refusal)
        }
        return .complete
    }

    /// Reads on in the status line: `HTTP/1.x 123`, then perhaps a space and a reason, then CRLF.
    @inline(__always) private mutating func readLine(
        _ base: UnsafePointer<UInt8>, to end: Int, into head: inout ResponseHead
    ) -> HeadResult {
        while true {
            switch stage {
            case .line:
                // The usual spelling at once; everything else byte by byte.
                if end > 12, position == 0, Self.isUsualLine(base) { position = 12 }
                while position < end, position < 12 {
                    if let refusal = Self.refusal(of: base[position], at: position) {
                        return .refused(refusal)
                    }
                    position += 1
                }
                guard position < end else { return .incomplete }
                head.version = base[7] == UInt8(ascii: "1") ? .http11 : .http10
                head.status = Int(base[9] - 0x30) * 100 + Int(base[10] - 0x30) * 10 + Int(base[11] - 0x30)
                guard base[12] == 0x20 else {
                    guard base[12] == 0x0D else { return .refused(Self.refusal(ofOdd: base[12])) }
                    position = 13
                    stage = .lineFeed
                    continue
                }
                position = 13
                stage = .reason
                fallthrough
            case .reason:
                position = FieldScanner.skipText(base, from: position, to: end)
                guard position < end else { return .incomplete }
                guard base[position] == 0x0D else { return .refused(Self.refusal(ofOdd: base[position])) }
                head.reason = ByteRange(start: 13, count: position - 13)
                position += 1
                stage = .lineFeed
                fallthrough
            case .lineFeed:
                guard position < end else { return .incomplete }
                guard base[position] == 0x0A else { return .refused(.controlByte) }
                position += 1
                stage = .fields
                fallthrough
            case .fields:
                return .complete
            }
        }
    }

    /// Tells whether the first twelve bytes are `HTTP/1.1 ` and a status from 100 to 599.
    @inline(__always) private static func isUsualLine(_ base: UnsafePointer<UInt8>) -> Bool {
        UInt64(littleEndian: UnsafeRawPointer(base).loadUnaligned(as: UInt64.self)) == RequestReader.version11
            && base[8] == 0x20 && base[9] &- 0x31 < 5 && ASCII.isDigit(base[10]) && ASCII.isDigit(base[11])
    }

    /// Judges one byte of `HTTP/1.x 123` by its place; statuses are 100 to 599 (RFC 9110 §15).
    private static func refusal(of byte: UInt8, at index: Int) -> Refusal? {
        switch index {
        case 0...7:
            // The ninth byte differs between request and status line, the first eight do not.
            guard let refusal = RequestReader.refusal(of: byte, inVersionAt: index) else { return nil }
            return refusal == .badRequestLine ? .badStatusLine : refusal
        case 8: return byte == 0x20 ? nil : refusal(ofOdd: byte)
        case 9: return byte >= UInt8(ascii: "1") && byte <= UInt8(ascii: "5") ? nil : refusal(ofOdd: byte)
        default: return ASCII.isDigit(byte) ? nil : refusal(ofOdd: byte)
        }
    }

    private static func refusal(ofOdd byte: UInt8) -> Refusal {
        switch byte {
        case 0x0A: .bareLineFeed
        case 0x0D, 0x09: .badStatusLine
        default: byte < 0x20 || byte == 0x7F ? .controlByte : .badStatusLine
        }
    }
}
