import Bytes
import CNghttp2

/// One HTTP/2 connection without its socket: bytes in, events out; heads and content in, bytes out.
///
/// Heads cross this boundary in HTTP/1.1 form, so that the same strict readers judge them and the same writers make them.
///
/// - Shape: `receive` until all bytes are consumed, `popClosed` until nil, `send` while it has something and room. Nothing is
///   done between calls; nothing calls back but `HTTP2Source`, from inside `send`.
/// - Limits: `HTTP2Limits`; whatever a peer can make a session keep is bounded by them.
/// - Errors: `.failed` and `failure`; what nghttp2 itself refuses is known once `send` has written its GOAWAY, so ask `isOver`
///   and `reason` after. A stream's own errors are answered with RST_STREAM here and told by `popClosed`.
/// - Source: RFC 9113, RFC 7541, RFC 9218 (nghttp2); what nghttp2 leaves to its user is in `HTTP2Core+Receive.swift`.
public struct HTTP2Session: ~Copyable {
    private var core: HTTP2Core?

    /// Makes none: it costs nothing and may only be asked whether it is active.
    public init() { core = nil }

    /// Opens a connection's end, SETTINGS and the connection's window queued; nil when memory is short.
    ///
    /// - Shape: `memory` is the loop's own, shared by its sessions; without one each block comes from the C library.
    public init?(role: HTTP2Role, limits: HTTP2Limits, source: HTTP2Source, memory: HTTP2Memory? = nil) {
        guard let core = HTTP2Core.make(role: role, limits: limits, source: source, memory: memory) else {
            return nil
        }
        self.core = core
    }

    deinit { core?.destroy() }

    public var isActive: Bool { core != nil }

    /// Feeds bytes up to the first event, and says how many were consumed.
    ///
    /// - Shape: call again until everything is consumed and the event is `.none`. An event's bytes and `head` are valid until the
    ///   next call.
    public mutating func receive(_ input: ByteView, now: UInt64) -> (consumed: Int, event: HTTP2Event) {
        guard let core else { return (input.count, .failed) }
        return core.receive(input, now: now)
    }

    /// The head of the latest `.head`, in HTTP/1.1 form, empty line included.
    public var head: ByteView { core?.pointee.head.readable ?? ByteView(start: nil, count: 0) }

    /// Takes the next stream that ended with a user attached: by both sides (`noError`), or reset by either.
    ///
    /// - Shape: `wasRefused` says that the peer did nothing with it, so that a request may be sent again (RFC 9113 §8.7).
    public mutating func popClosed() -> (user: UInt64, code: UInt32, wasRefused: Bool)? {
        guard let core, let stream = core.pointee.streams.popClosed() else { return nil }
        let wasRefused =
            core.pointee.role == .client
            && (stream.pointee.code == HTTP2Code.refusedStream || !stream.pointee.isSent)
        let answer = (stream.pointee.user, stream.pointee.code, wasRefused)
        core.pointee.streams.release(stream)
        return answer
    }

    /// Gives a stream its user, which is not 0; false when it is not open any more.
    public mutating func attach(stream: Int32, user: UInt64) -> Bool {
        guard let stream = core?.stream(stream) else { return false }
        stream.pointee.user = user
        return true
    }

    /// The user of an open stream; 0 when it has none.
    public func user(stream: Int32) -> UInt64 { core?.stream(stream)?.pointee.user ?? 0 }

    /// Answers a stream with a head in HTTP/1.1 form: a final one, or interim ones (1xx) before it.
    ///
    /// - Shape: `hasContent` false ends the stream with the head; true asks the source for content.
    /// - Errors: false when the stream is not open, was answered already, or the head is none (or 101).
    public mutating func respond(stream: Int32, head: ByteView, hasContent: Bool) -> Bool {
        core?.respond(stream, head, hasContent: hasContent) ?? false
    }

    /// Sends a request with a head in HTTP/1.1 form; answers its stream, or below 0 when none may be opened now.
    public mutating func request(head: ByteView, scheme: StaticString, hasContent: Bool, user: UInt64)
        -> Int32
    {
        core?.request(head, scheme, hasContent: hasContent, user) ?? -1
    }

    /// Says that content came for a stream whose source said `later`.
    public mutating func resume(stream: Int32) {
        guard let core else { return }
        nghttp2_session_resume_data(core.session, stream)
    }

    /// Says that content was passed on, so that the windows open again; content of a stream that ended counts by itself.
    public mutating func consume(stream: Int32, byteCount: Int) { core?.consume(stream, byteCount) }

    /// Breaks a stream off; with `noError` after its answer has gone out whole (RFC 9113 §8.1).
    public mutating func reset(stream: Int32, code: UInt32) { core?.reset(stream, code) }

    /// Takes no new streams: a server says so at the first call, and which was the last at the second, a round trip later.
    public mutating func drain() { core?.drain() }

    /// Ends the connection with a GOAWAY; what is queued before it is still sent.
    public mutating func terminate(code: UInt32) { core?.fail(.terminated, code: code) }

    /// Appends frames while `output` has room; true when more waits for room.
    ///
    /// - Shape: DATA is written by the source into `output` itself; a frame is cut short rather than split.
    public mutating func send(into output: inout Buffer, now: UInt64) -> Bool {
        guard let core else { return false }
        return withUnsafeMutablePointer(to: &output) { core.send(into: $0, now: now) }
    }

    /// Streams that have not ended.
    public var openStreamCount: Int { core?.pointee.streams.openCount ?? 0 }

    /// Tells whether `send` has something to write.
    public var wantsToSend: Bool {
        guard let core else { return false }
        return core.pointee.unsent.count > 0 || nghttp2_session_want_write(core.session) != 0
    }

    /// Tells whether the connection is to be closed: nothing will be read or written any more.
    public var isOver: Bool {
        guard let core else { return true }
        if core.pointee.isBroken { return true }
        return core.pointee.unsent.count == 0 && nghttp2_session_want_write(core.session) == 0
            && (core.pointee.isFailed || nghttp2_session_want_read(core.session) == 0)
    }

    /// Tells whether the peer said GOAWAY.
    public var peerIsLeaving: Bool { core?.pointee.peerIsLeaving ?? true }

    /// Tells whether `request` may open a stream now.
    public var mayRequest: Bool { core?.mayRequest ?? false }

    /// Why the connection failed.
    public var reason: HTTP2Failure { core?.pointee.failure ?? .none }

    /// The word for `reason`.
    public var failure: StaticString { reason.word }
}
