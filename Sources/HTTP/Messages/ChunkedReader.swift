import Bytes

/// Takes the chunked coding off a message's content, from bytes that come in pieces.
///
/// - Shape: call `next` until it answers `.needMore`, each time with what was not consumed, and more behind
///   it. Content is lent as ranges of the given bytes, never copied; a chunk may come in many ranges.
/// - Limits: chunk sizes of 1 to 16 hexadecimal digits up to 2^63-1; trailer sections of 8 KiB.
/// - Errors: `.chunkedCodingInvalid` for anything but digits and CRLF around chunks, extensions included
///   (ours: parsers differ over them and nobody sends them); trailer lines as field lines;
///   `.trailerFieldRefused`; `.trailerTooLarge`.
/// - Source: RFC 9112 §7.1 and §11.2.
public struct ChunkedReader {
    /// What the next bytes are.
    public enum Step: Equatable {
        case needMore
        case content(ByteRange)
        case trailer(name: ByteRange, value: ByteRange)
        /// The message has ended; nothing after it was consumed.
        case end
        case refused(Refusal)
    }

    enum Stage: UInt8 {
        case size, sizeLineFeed, content, contentReturn, contentLineFeed, trailer, lastLineFeed, ended
    }

    /// How long a trailer section may be, line ends included.
    public static let trailerByteLimit = 8_192

    var stage = Stage.size
    var digitCount = 0
    var remaining: UInt64 = 0
    var trailerByteCount = 0
    // How much of an unfinished trailer line was looked at already.
    var scannedCount = 0

    /// Makes a reader that is before the first chunk.
    public init() {}

    /// Prepares for the next message.
    public mutating func reset() { self = ChunkedReader() }

    /// Reads the next step from `bytes` and says how many of them are done with, a content range included.
    ///
    /// What is not consumed with `.needMore` (an unfinished trailer line only) must be shown again.
    public mutating func next(_ bytes: ByteView) -> (step: Step, consumed: Int) {
        var position = 0
        while position < bytes.count || stage == .ended {
            switch stage {
            case .size:
                let byte = bytes[position]
                if let digit = ASCII.hexValue(byte) {
                    // Refused before the shift could lose a bit: 15 digits before mean a value below 2^60.
                    guard digitCount < 16, remaining < 1 << 59 else {
                        return (.refused(.chunkedCodingInvalid), position)
                    }
                    remaining = remaining << 4 | UInt64(digit)
                    digitCount += 1
                } else {
                    guard byte == 0x0D, digitCount > 0 else {
                        return (.refused(.chunkedCodingInvalid), position)
                    }
                    stage = .sizeLineFeed
                }
                position += 1
            case .sizeLineFeed:
                guard bytes[position] == 0x0A else { return (.refused(.chunkedCodingInvalid), position) }
                position += 1
                digitCount = 0
                stage = remaining == 0 ? .trailer : .content
            case .content:
                let byteCount = Int(min(remaining, UInt64(bytes.count - position)))
                remaining -= UInt64(byteCount)
                if remaining == 0 { stage = .contentReturn }
                return (.content(ByteRange(start: position, count: byteCount)), position + byteCount)
            case .contentReturn, .contentLineFeed:
                guard bytes[position] == (stage == .contentReturn ? 0x0D : 0x0A) else {
                    return (.refused(.chunkedCodingInvalid), position)
                }
                stage = stage == .contentReturn ? .contentLineFeed : .size
                position += 1
            case .trailer:
                if bytes[position] == 0x0D {
                    position += 1
                    stage = .lastLineFeed
                    continue
                }
                return readTrailerLine(bytes, from: position)
            case .lastLineFeed:
                guard bytes[position] == 0x0A else { return (.refused(.controlByte), position) }
                position += 1
                stage = .ended
            case .ended:
                return (.end, position)
            }
        }
        return (.needMore, position)
    }

    /// Reads one whole trailer line at `start`, remembering how far an unfinished one was looked at.
    private mutating func readTrailerLine(_ bytes: ByteView, from start: Int) -> (step: Step, consumed: Int) {
        guard let base = bytes.baseAddress else { return (.needMore, start) }
        let room = Self.trailerByteLimit - trailerByteCount
        let end = min(bytes.count, start + room)
        var position = start + scannedCount
        while position < end, base[position] != 0x0A { position += 1 }
        guard position < end else {
            if end - start >= room { return (.refused(.trailerTooLarge), start) }
            scannedCount = position - start
            return (.needMore, start)
        }
        scannedCount = 0
        let lineEnd = position + 1
        trailerByteCount += lineEnd - start
        return (Self.judge(ByteView(start: base, count: lineEnd), from: start), lineEnd)
    }

    /// Judges a whole line from `start` to the end of `bytes`, whose last byte is its line feed.
    private static func judge(_ bytes: ByteView, from start: Int) -> Step {
        var colon = start
        var classes: UInt8 = 0
        while ByteClass.is(bytes[colon], ByteClass.token) {
            classes |= ByteClass.of(bytes[colon])
            colon += 1
        }
        guard bytes[colon] == UInt8(ascii: ":"), colon > start else {
            let byte = bytes[colon]
            return .refused(
                colon == start
                    ? FieldScanner.refusal(atLineStart: byte) : FieldScanner.refusal(inName: byte))
        }
        guard let base = bytes.baseAddress else { return .needMore }
        let textEnd = FieldScanner.skipText(base, from: colon + 1, to: bytes.count)
        guard bytes[textEnd] == 0x0D, textEnd + 2 == bytes.count else {
            return .refused(bytes[textEnd] == 0x0A ? .bareLineFeed : .controlByte)
        }
        let name = ByteRange(start: start, count: colon - start)
        guard FieldName.find(base + start, count: colon - start).isAllowedInTrailer,
            classes & ByteClass.underscore == 0
        else { return .refused(.trailerFieldRefused) }
        return .trailer(name: name, value: bytes.trimmedRange(from: colon + 1, to: textEnd))
    }
}
