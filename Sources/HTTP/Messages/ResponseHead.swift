import Bytes

/// A response head that was read, as places in the bytes it was read from; reusable after `reset()`.
///
/// - Shape: all ranges count from the first byte of the view given to the reader.
public struct ResponseHead: ~Copyable {
    public var status = 0
    public var reason = ByteRange.empty
    public var version = HTTPVersion.http11
    public var fields: FieldSection
    /// The bytes of the head, the empty line after it included.
    public var byteCount = 0
    public var framing = Framing.none
    /// Whether the connection may carry another exchange after this response.
    public var keepsAlive = false

    /// Makes an empty head with room for `fieldCapacity` field lines.
    public init(fieldCapacity: Int = 100) { fields = FieldSection(capacity: fieldCapacity) }

    /// Tells whether another response to the same request follows.
    public var isInterim: Bool { status < 200 }

    /// Forgets everything; the storage stays.
    public mutating func reset() {
        status = 0
        reason = .empty
        version = .http11
        fields.reset()
        byteCount = 0
        framing = .none
        keepsAlive = false
    }

    /// Settles framing and persistence (RFC 9112 §6.3).
    mutating func settle(_ bytes: ByteView, requestMethod: Method) -> Refusal? {
        let answer = MessageFraming.read(fields, bytes, version)
        if case .refused(let refusal) = answer { return refusal }
        if status == 101 { return .unexpectedUpgrade }
        keepsAlive = MessageFraming.keepsAlive(fields, bytes, version)
        if requestMethod == .head || status < 200 || status == 204 || status == 304 {
            framing = .none
            return nil
        }
        switch answer {
        case .length(let byteCount): framing = .length(byteCount)
        case .chunked: framing = .chunked
        default:
            framing = .untilClose
            keepsAlive = false
        }
        return nil
    }
}
