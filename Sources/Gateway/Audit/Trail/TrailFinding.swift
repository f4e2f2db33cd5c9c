/// Something that verifying a trail found, and where.
///
/// - Shape: written `FILE:LINE: byte N[, writer W, sequence S]: WORD: DETAIL`; lines count from 1, bytes from 0.
public struct TrailFinding: Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable, CaseIterable {
        // The trail is broken.
        case changed, missing, misplaced, unreadable, inserted, cut, forged, unsigned
        // Told only; the trail may be whole.
        case continued, killed, torn, repaired, unrotated, unchecked

        /// Whether it makes the trail a broken one.
        public var isBreak: Bool {
            switch self {
            case .changed, .missing, .misplaced, .unreadable, .inserted, .cut, .forged, .unsigned:
                true
            case .continued, .killed, .torn, .repaired, .unrotated, .unchecked: false
            }
        }
    }

    public var kind: Kind
    public var place: TrailPlace
    public var writer: UInt64?
    public var sequence: UInt64?
    public var detail: String

    public var description: String {
        var text = "\(place.file):\(place.line): byte \(place.offset)"
        if let writer { text += ", writer \(TrailHexadecimal.text(writer))" }
        if let sequence { text += ", sequence \(sequence)" }
        return text + ": \(kind.isBreak ? "" : "note: ")\(kind.rawValue): \(detail)"
    }
}

/// A line of a file, by its number from 1 and its first byte.
public struct TrailPlace: Equatable, Sendable {
    public var file: String
    public var line: Int
    public var offset: UInt64

    var text: String { "\(file):\(line)" }
}

/// What verifying a trail came to.
public struct TrailVerdict: Sendable {
    /// Lines that are whole, and the events among them.
    public var lineCount = 0
    public var eventCount = 0
    public var writerCount = 0
    public var byteCount: UInt64 = 0
    public var breakCount = 0
    /// Signatures that are by a key that was given.
    public var signatureCount = 0
    /// Signatures that nobody checked, because no key was given.
    public var uncheckedSignatureCount = 0
    /// Lines that no valid signature covers.
    public var unprovenLineCount = 0
    /// Writers whose end, if there was one, is not in the files.
    public var openWriterCount = 0

    public var isWhole: Bool { breakCount == 0 }
}
