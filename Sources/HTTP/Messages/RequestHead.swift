import Bytes

/// How a request target is written (RFC 9112 §3.2); authority-form belongs to CONNECT, which is refused.
public enum TargetForm: Sendable {
    case origin, absolute, asterisk
}

/// The parts of a request target as places in its head.
///
/// - Shape: parts that are not there are empty. The path of an absolute-form may be empty and then means `/`.
///   `query` does not include the question mark.
public struct RequestTarget: Sendable {
    public var form = TargetForm.origin
    public var whole = ByteRange.empty
    public var path = ByteRange.empty
    public var query = ByteRange.empty
    public var hasQuery = false
    public var authority = ByteRange.empty
    public var scheme = ByteRange.empty

    /// Makes a target without any part.
    public init() {}
}

/// A request head that was read, as places in the bytes it was read from; reusable after `reset()`.
///
/// - Shape: all ranges count from the first byte of the view given to the reader.
public struct RequestHead: ~Copyable {
    public var method = Method.other
    public var methodName = ByteRange.empty
    public var target = RequestTarget()
    public var version = HTTPVersion.http11
    public var fields: FieldSection
    /// The bytes of the head, empty lines before it and after it included.
    public var byteCount = 0
    /// `.none`, `.length` or `.chunked`.
    public var framing = Framing.none
    /// Whether the connection may carry another request after this one.
    public var keepsAlive = false
    /// Whether the client waits for 100 before it sends the content.
    public var expectsContinue = false
    /// The host with its port, if it has one: from the absolute-form target, else from Host; empty in
    /// HTTP/1.0 without.
    public var host = ByteRange.empty

    /// Makes an empty head with room for `fieldCapacity` field lines.
    public init(fieldCapacity: Int = 100) { fields = FieldSection(capacity: fieldCapacity) }

    /// Forgets everything; the storage stays.
    public mutating func reset() {
        method = .other
        methodName = .empty
        target = RequestTarget()
        version = .http11
        fields.reset()
        byteCount = 0
        framing = .none
        keepsAlive = false
        expectsContinue = false
        host = .empty
    }
}
