import Bytes
import CNghttp2

/// All that one session keeps, at an address that does not change: nghttp2's callbacks get it.
///
/// The callbacks run inside calls that `HTTP2Core` makes. So nothing here has a mutating method that calls nghttp2: every
/// access is a short one through the pointer.
struct HTTP2State: ~Copyable {
    var session: OpaquePointer?
    let role: HTTP2Role
    let limits: HTTP2Limits
    let source: HTTP2Source
    let memory: HTTP2Memory?

    // Receiving.
    var input = HTTP2Input()
    var mark = HTTP2Mark()
    var usages = HTTP2Usages()
    var windowsBefore: (initial: Int64, widest: Int64) = (65_535, 0)
    var history = HTTP2StreamHistory()
    var streams = HTTP2Streams()
    /// Streams that nghttp2 found at fault in this call.
    var provokedCount: UInt32 = 0

    // The head that is being received.
    var incoming = HTTP2IncomingHead()
    var head = Buffer()
    var cookies = Buffer()

    // Sending.
    var outgoing = HTTP2OutgoingHead()
    var output: UnsafeMutablePointer<Buffer>?
    /// What nghttp2 serialised and did not fit; nghttp2's memory, until the next call that sends.
    var unsent = ByteView(start: nil, count: 0)
    var isFull = false
    var smallFrameCount: UInt32 = 0

    // The connection.
    var failure = HTTP2Failure.none
    var isFailed = false
    var peerIsLeaving = false
    var drainStep: UInt8 = 0
    /// nghttp2 broke down while it wrote: nothing more can be sent.
    var isBroken = false
    var isGreeted = false

    /// How many streams too many may wait for their RST_STREAM.
    static var surplus: UInt32 { 256 }

    init(role: HTTP2Role, limits: HTTP2Limits, source: HTTP2Source, memory: HTTP2Memory?) {
        self.role = role
        self.limits = limits
        self.source = source
        self.memory = memory
        input.prefaceLeft = role == .server ? HTTP2Input.preface.utf8CodeUnitCount : 0
    }

    deinit {
        if let session { nghttp2_session_del(session) }
    }
}

/// Where a session stands in the bytes it receives.
struct HTTP2Input {
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    var prefaceLeft = 0
    /// The start of a frame, as long as not enough of it came to be judged: its header and up to six bytes more.
    var held = [16 of UInt8](repeating: 0)
    var heldCount = 0
    /// Payload of the current frame that was not fed or skipped yet.
    var payloadLeft = 0
    var isSkipping = false
    /// The stream whose header block goes on in CONTINUATION frames; 0 without.
    var blockStream: Int32 = 0
    var continuationCount = 0
    var sawSettings = false
}

/// What the callbacks saw during one call of nghttp2.
struct HTTP2Mark {
    enum Kind: UInt8 {
        case none, head, tooLarge, malformed, headBomb, windowOverflow, end, emptyData
    }

    var kind = Kind.none
    var stream: HTTP2StreamPointer?
    var isEnd = false
    var content = ByteView(start: nil, count: 0)
    var contentStream: HTTP2StreamPointer?
    /// The HEADERS frame depends on its own stream.
    var isSelfDependent = false
    /// The DATA frame that is being read brought content.
    var frameHasContent = false
}

/// A session's state where it lives; what `HTTP2Session` does, it does through this.
typealias HTTP2Core = UnsafeMutablePointer<HTTP2State>

extension UnsafeMutablePointer where Pointee == HTTP2State {
    /// Makes the state and its nghttp2 session, with SETTINGS and the connection's window queued; nil without memory.
    static func make(
        role: HTTP2Role, limits: HTTP2Limits, source: HTTP2Source, memory: HTTP2Memory?
    ) -> HTTP2Core? {
        let core = HTTP2Core.allocate(capacity: 1)
        core.initialize(to: HTTP2State(role: role, limits: limits, source: source, memory: memory))
        guard core.openSession(), core.greet() else {
            core.destroy()
            return nil
        }
        return core
    }

    func destroy() {
        deinitialize(count: 1)
        deallocate()
    }

    var session: OpaquePointer { pointee.session.unsafelyUnwrapped }

    private func openSession() -> Bool {
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&option) == 0 else {
            return false
        }
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(option)
        }
        HTTP2Callbacks.install(callbacks)
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_deflate_dynamic_table_size(option, 4_096)
        nghttp2_option_set_max_settings(option, 32)
        nghttp2_option_set_max_outbound_ack(option, 1_000)
        // Behind our own bounds, which answer ENHANCE_YOUR_CALM first.
        nghttp2_option_set_max_continuations(option, pointee.limits.continuationCount + 8)
        let resets = pointee.limits.budgets.resets
        nghttp2_option_set_stream_reset_rate_limit(
            option, UInt64(resets.burst) * 4 + 1_000, 4_000_000_000 / max(resets.interval, 1) + 100)
        var session: OpaquePointer?
        switch pointee.role {
        case .server:
            // The preface is compared here, so that a wrong one gets its GOAWAY.
            nghttp2_option_set_no_recv_client_magic(option, 1)
            nghttp2_option_set_builtin_recv_extension_type(option, 0x10)
            if var functions = pointee.memory?.functions {
                nghttp2_session_server_new3(&session, callbacks, self, option, &functions)
            } else {
                nghttp2_session_server_new2(&session, callbacks, self, option)
            }
        case .client:
            if var functions = pointee.memory?.functions {
                nghttp2_session_client_new3(&session, callbacks, self, option, &functions)
            } else {
                nghttp2_session_client_new2(&session, callbacks, self, option)
            }
        }
        pointee.session = session
        return session != nil
    }

    private func greet() -> Bool {
        let limits = pointee.limits
        var settings: [nghttp2_settings_entry] = []
        func set(_ id: nghttp2_settings_id, _ value: UInt32) {
            settings.append(nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value))
        }
        switch pointee.role {
        case .server:
            // The first entry: what goes out is `maxConcurrentStreams`. nghttp2 ends the connection for a stream too many;
            // RFC 9113 §5.1.2 asks for the stream's end, which the callback sees to below nghttp2's own bound.
            set(
                NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                min(limits.maxConcurrentStreams, 1 << 20) + HTTP2State.surplus)
            set(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1)
        case .client: set(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)
        }
        set(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.streamWindowByteCount)
        set(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, UInt32(clamping: limits.headByteCount))
        if limits.maxFrameByteCount > 16_384 {
            set(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits.maxFrameByteCount)
        }
        guard
            nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count) == 0
        else { return false }
        let window = Int32(clamping: max(limits.connectionWindowByteCount, 65_535))
        return nghttp2_session_set_local_window_size(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, window)
            == 0
    }

    /// Ends the connection for `failure`; the first reason stays.
    func fail(_ failure: HTTP2Failure, code: UInt32? = nil) {
        guard !pointee.isFailed else { return }
        pointee.isFailed = true
        pointee.failure = failure
        nghttp2_session_terminate_session(session, code ?? failure.code)
    }

    /// The stream that nghttp2 has open under `id`.
    func stream(_ id: Int32) -> HTTP2StreamPointer? {
        nghttp2_session_get_stream_user_data(session, id)?.assumingMemoryBound(to: HTTP2Stream.self)
    }
}
