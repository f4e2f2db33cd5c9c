import Bytes

/// How much of an HTTP/2 connection's peer a session takes.
public struct HTTP2Limits: Equatable, Sendable {
    /// Streams at once that the peer may open; `http2.max_streams`.
    public var maxConcurrentStreams: UInt32 = 128
    /// A head in HTTP/1.1 form; more is `.tooLarge`, more than four times as much ends the connection.
    public var headByteCount = 16_384
    /// Content of one stream that may come before it is consumed. Until the peer has acknowledged the first
    /// SETTINGS it is the protocol's 65,535.
    public var streamWindowByteCount: UInt32 = 16_384
    /// Content of all streams that may come before it is consumed; at least the protocol's 65,535.
    public var connectionWindowByteCount: UInt32 = 2_097_152
    /// The payload of one frame; at least the protocol's 16,384.
    public var maxFrameByteCount: UInt32 = 16_384
    /// CONTINUATION frames of one head; more end the connection.
    public var continuationCount = 32
    /// Frames that wait to be sent, DATA aside, before the peer counts as one that does not read.
    public var waitingFrameCount = 4_096
    public var budgets = HTTP2Budgets()

    /// Makes the limits of the settings' defaults.
    public init() {}
}

/// Where a session gets the content of its streams: two plain functions and what they belong to.
///
/// - Shape: `user` is what `attach` or `request` was given. Both run inside `send`; they must not call the session.
public struct HTTP2Source {
    public var owner: UnsafeMutableRawPointer
    /// How many content bytes, at most `limit`, the stream has for DATA now: with `lastBit` set they are the last; `later`:
    /// none now, `resume` will follow; `broken`: the stream is to be broken off.
    public var available:
        @convention(c) (_ owner: UnsafeMutableRawPointer, _ user: UInt64, _ limit: Int) -> Int
    /// Copies exactly `count` bytes, as many as `available` just said, to `place` and forgets them.
    public var take:
        @convention(c) (
            _ owner: UnsafeMutableRawPointer, _ user: UInt64, _ place: UnsafeMutablePointer<UInt8>,
            _ count: Int
        ) -> Void

    /// Makes a source.
    public init(
        owner: UnsafeMutableRawPointer,
        available: @escaping @convention(c) (UnsafeMutableRawPointer, UInt64, Int) -> Int,
        take:
            @escaping @convention(c) (UnsafeMutableRawPointer, UInt64, UnsafeMutablePointer<UInt8>, Int) ->
            Void
    ) {
        self.owner = owner
        self.available = available
        self.take = take
    }

    /// Marks an answer of `available` as the end of the content.
    public static let lastBit = 1 << 62
    /// The answer of `available` for «none now».
    public static let later = -1
    /// The answer of `available` for «break the stream off».
    public static let broken = -2
}

/// Which end of the connection a session is.
public enum HTTP2Role: UInt8, Sendable {
    case server, client
}

/// What `HTTP2Session.receive` found; the views are valid until the next call.
public enum HTTP2Event {
    case none
    /// A head is in `HTTP2Session.head`. A server's request has user 0 until it is attached.
    case head(stream: Int32, user: UInt64, isEnd: Bool)
    /// A head over `headByteCount`: well-formed, but not kept.
    case tooLarge(stream: Int32)
    case content(stream: Int32, user: UInt64, ByteView, isEnd: Bool)
    /// The content ended without a byte, or after trailers, which were checked and dropped.
    case end(stream: Int32, user: UInt64)
    /// The connection is over: GOAWAY waits to be sent; `failure` says why.
    case failed
}
