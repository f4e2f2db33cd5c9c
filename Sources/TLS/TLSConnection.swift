public import Bytes
internal import COpenSSL

/// How far `TLSConnection.receive` came.
public enum TLSStep: UInt8, Sendable, Equatable {
    /// Everything was taken; it goes on with more ciphertext.
    case incomplete
    /// `plaintext` or `reply` lacks room: make some and call again, with or without more ciphertext.
    case full
    /// The peer's close_notify came: nothing follows, and what came before it is complete.
    case ended
    /// The first bytes are no TLS record but letters, as of a plain HTTP request; nothing was taken.
    case plainHTTP
    /// The connection is over: send what `reply` has, then close; `failure` says why.
    case failed
}

/// What a connection has besides OpenSSL's own state; at one address as long as the connection lives.
struct ConnectionState {
    /// First, since OpenSSL's calls get its address.
    var wire: COpenSSL_wire
    let ssl: OpaquePointer
    let context: TLSContext
    var hasStarted = false
    var isEstablished = false
    /// The peer's close_notify came.
    var hasEnded = false
    /// Ours was sent.
    var hasClosed = false
    var failure = TLSFailure.none
    var alert: UInt8 = 0
    /// The most content of one record: 16 KiB, or less if the peer asked (RFC 6066 §4).
    var maxRecordByteCount = 16_384
    /// Which endpoint's session to resume and replace; a client's alone.
    var sessionKey: UInt64 = 0
    var sentAt: UInt64 = 0
    var burstByteCount = 0
    var receivedByteCount: UInt64 = 0
}

/// One TLS connection, without its socket: ciphertext in and out of buffers.
///
/// - Shape: a pointer to OpenSSL's state, or none. OpenSSL reads from and writes to the buffers given to each call; none is
///   held on to.
/// - Limits: holds a partly received record at most, up to 17 KiB, and some KiB without one.
/// - Ownership: ends OpenSSL's state with it; moves to no other loop.
/// - Source: RFC 8446, RFC 5246.
public struct TLSConnection: ~Copyable {
    var state: UnsafeMutablePointer<ConnectionState>?

    /// Made once for the program; never freed or changed.
    nonisolated(unsafe) private static let method: OpaquePointer? = COpenSSL_wire_method()

    /// Makes no connection; costs nothing.
    public init() { state = nil }

    /// Makes the server's side of a connection; nil when memory is short.
    public init?(server context: TLSContext) {
        guard let state = Self.make(context) else { return nil }
        SSL_set_accept_state(state.pointee.ssl)
        self.state = state
    }

    private static func make(_ context: TLSContext) -> UnsafeMutablePointer<ConnectionState>? {
        ERR_clear_error()
        guard let method, let ssl = SSL_new(context.contexts[0]) else { return nil }
        let state = UnsafeMutablePointer<ConnectionState>.allocate(capacity: 1)
        state.initialize(to: ConnectionState(wire: COpenSSL_wire(), ssl: ssl, context: context))
        let wire = UnsafeMutableRawPointer(state).assumingMemoryBound(to: COpenSSL_wire.self)
        guard COpenSSL_wire_attach(ssl, wire, method) == 1 else {
            free(state)
            return nil
        }
        COpenSSL_set_argument(ssl, state)
        return state
    }

    private static func free(_ state: UnsafeMutablePointer<ConnectionState>) {
        // Without it OpenSSL takes a session that was not shut down for a broken one, and does not resume it.
        if state.pointee.failure == .none {
            SSL_set_shutdown(state.pointee.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        }
        SSL_free(state.pointee.ssl)
        state.deinitialize(count: 1)
        state.deallocate()
    }

    deinit { if let state { Self.free(state) } }

    /// Tells whether there is a connection at all.
    public var isActive: Bool { state != nil }

    /// Tells whether the handshake is over and content may be sent.
    public var isEstablished: Bool { state?.pointee.isEstablished ?? false }

    /// Tells whether the peer's close_notify came: without it, the end of the socket is a truncation (RFC 8446 §6.1).
    public var hasEnded: Bool { state?.pointee.hasEnded ?? false }

    /// Tells whether OpenSSL holds content that another `receive` gives, without more ciphertext.
    public var hasMore: Bool {
        guard let state, state.pointee.failure == .none else { return false }
        return SSL_pending(state.pointee.ssl) > 0 || SSL_want(state.pointee.ssl) == SSL_WRITING
    }

    /// Why it failed; `.none` as long as it did not.
    public var failure: TLSFailure { state?.pointee.failure ?? .none }

    /// The alert with which the peer ended it (RFC 8446 §6), after `.refusedByPeer`.
    public var alert: UInt8 { state?.pointee.alert ?? 0 }

    // MARK: - Receiving

    /// Takes ciphertext and gives the plaintext in it.
    ///
    /// - Shape: consumes from `ciphertext` as far as `plaintext` has room, appends there, and appends what has to be sent in
    ///   return to `reply`: flights of the handshake, alerts, key updates. After the handshake everything of `ciphertext` is
    ///   consumed unless the answer is `.full`.
    /// - Limits: work is in proportion to the bytes taken; 32 messages without content, and one more for each MiB received.
    /// - Errors: `.failed`, with the alert for the peer in `reply` if it has room.
    public mutating func receive(
        _ ciphertext: inout Buffer, into plaintext: inout Buffer, reply: inout Buffer
    ) -> TLSStep {
        guard let state, state.pointee.failure == .none else { return .failed }
        if state.pointee.hasEnded {
            // What follows a close_notify is ignored (RFC 8446 §6.1).
            ciphertext.consume(ciphertext.count)
            return .ended
        }
        if !state.pointee.hasStarted {
            guard let first = ciphertext.readable.first else { return .incomplete }
            // Content types of records are 20 to 24; methods begin with letters, a hello of SSL 2 with the high bit, which
            // OpenSSL would still take (RFC 8446 §D.5: it ought not).
            if state.pointee.context.isServer {
                if (ASCII.lowercased(first) &- 0x61) < 26 { return .plainHTTP }
                if first >= 0x80 {
                    state.pointee.failure = .malformed
                    return .failed
                }
            }
            state.pointee.hasStarted = true
        }
        lend(state, ciphertext, &reply)
        state.pointee.wire.lateMessageLimit = 32 + Int(state.pointee.receivedByteCount >> 20)
        let step = receive(state, into: &plaintext)
        let consumed = ciphertext.count - state.pointee.wire.inputByteCount
        ciphertext.consume(consumed)
        reply.grow(by: state.pointee.wire.outputByteCount)
        state.pointee.receivedByteCount &+= UInt64(consumed)
        if state.pointee.wire.lateMessageCount > state.pointee.wire.lateMessageLimit,
            state.pointee.failure == .none
        {
            state.pointee.failure = .excess
            return .failed
        }
        return step
    }

    private func receive(_ state: UnsafeMutablePointer<ConnectionState>, into plaintext: inout Buffer)
        -> TLSStep
    {
        let ssl = state.pointee.ssl
        if !state.pointee.isEstablished {
            let result = COpenSSL_handshake(ssl)
            guard result == 1 else { return Self.step(state, result) }
            Self.establish(state)
        } else if state.pointee.wire.inputByteCount == 0, SSL_pending(ssl) == 0, SSL_want(ssl) != SSL_WRITING
        {
            return .incomplete
        }
        while true {
            // Nothing left: asking OpenSSL would only make it look for the next record's first byte.
            if state.pointee.wire.inputByteCount == 0, SSL_pending(ssl) == 0, SSL_want(ssl) != SSL_WRITING {
                return .incomplete
            }
            let room = plaintext.writable
            guard room.count > 0 else { return .full }
            let result = COpenSSL_read(
                ssl, room.baseAddress, Int32(truncatingIfNeeded: min(room.count, 1 << 30)))
            guard result > 0 else { return Self.step(state, result) }
            plaintext.grow(by: Int(result))
        }
    }

    private static func establish(_ state: UnsafeMutablePointer<ConnectionState>) {
        state.pointee.isEstablished = true
        state.pointee.wire.isEstablished = 1
        let asked = Int(COpenSSL_max_fragment_length(state.pointee.ssl))
        if asked > 0 { state.pointee.maxRecordByteCount = asked }
    }

    private func lend(
        _ state: UnsafeMutablePointer<ConnectionState>, _ ciphertext: borrowing Buffer, _ output: inout Buffer
    ) {
        let input = ciphertext.readable
        state.pointee.wire.input = input.baseAddress
        state.pointee.wire.inputByteCount = input.count
        lend(state, &output)
    }

    private func lend(_ state: UnsafeMutablePointer<ConnectionState>, _ output: inout Buffer) {
        let room = output.writable
        state.pointee.wire.output = room.baseAddress
        state.pointee.wire.outputRoom = room.count
        state.pointee.wire.outputByteCount = 0
    }

    /// What a call of OpenSSL that did not succeed means.
    private static func step(_ state: UnsafeMutablePointer<ConnectionState>, _ result: Int32) -> TLSStep {
        switch -result {
        case SSL_ERROR_WANT_READ: return .incomplete
        case SSL_ERROR_WANT_WRITE: return .full
        case SSL_ERROR_ZERO_RETURN:
            state.pointee.hasEnded = true
            return .ended
        default:
            let reason = COpenSSL_reason(ERR_peek_error())
            ERR_clear_error()
            state.pointee.failure = .reading(reason, verification: SSL_get_verify_result(state.pointee.ssl))
            if state.pointee.failure == .refusedByPeer {
                state.pointee.alert = UInt8(truncatingIfNeeded: reason - 1_000)
            }
            return .failed
        }
    }

    // MARK: - Sending

    /// Begins a client's handshake: appends its first flight to `reply`.
    ///
    /// - Errors: `.failed`; `.full` when `reply` has less than 2 KiB of room.
    public mutating func start(reply: inout Buffer) -> TLSStep {
        guard let state, state.pointee.failure == .none else { return .failed }
        lend(state, &reply)
        state.pointee.wire.inputByteCount = 0
        let result = COpenSSL_handshake(state.pointee.ssl)
        reply.grow(by: state.pointee.wire.outputByteCount)
        return result == 1 ? .incomplete : Self.step(state, result)
    }

    /// Seals one record of content; answers how many bytes of `plaintext` it took.
    ///
    /// - Shape: records of 1,300 bytes for the first 16 KiB after a second without sending, so that a client can read each
    ///   packet as it comes; full ones of 16 KiB after that. A record is made smaller to fit the room when that is 4 KiB or
    ///   more. `now` is of the monotonic clock, in nanoseconds.
    /// - Limits: a record takes up to 64 bytes more than its content.
    /// - Errors: 0 when `ciphertext` lacks room or there is nothing to send, -1 before the handshake's end, after `close` and
    ///   after a failure.
    public mutating func send(_ plaintext: ByteView, into ciphertext: inout Buffer, now: UInt64) -> Int {
        guard let state, state.pointee.isEstablished, state.pointee.failure == .none, !state.pointee.hasClosed
        else { return -1 }
        if now &- state.pointee.sentAt > 1_000_000_000 { state.pointee.burstByteCount = 0 }
        let isFirst = state.pointee.burstByteCount < 16_384
        let limit = min(isFirst ? 1_300 : 16_384, state.pointee.maxRecordByteCount)
        let wanted = min(plaintext.count, limit)
        let count = min(wanted, ciphertext.room - 64)
        guard count > 0, count == wanted || count >= 4_096 else { return 0 }
        lend(state, &ciphertext)
        state.pointee.wire.inputByteCount = 0
        let result = COpenSSL_write(state.pointee.ssl, plaintext.baseAddress, Int32(count))
        ciphertext.grow(by: state.pointee.wire.outputByteCount)
        guard result > 0 else { return Self.step(state, result) == .full ? 0 : -1 }
        state.pointee.sentAt = now
        state.pointee.burstByteCount += Int(result)
        return Int(result)
    }

    /// Appends close_notify to `reply`, the first time it is called and only after the handshake; nothing is sent after it.
    ///
    /// - Limits: 64 bytes of room; without, nothing happens and it may be called again.
    public mutating func close(reply: inout Buffer) {
        guard let state, state.pointee.isEstablished, state.pointee.failure == .none,
            !state.pointee.hasClosed,
            reply.room >= 64
        else { return }
        lend(state, &reply)
        state.pointee.wire.inputByteCount = 0
        let result = COpenSSL_shutdown(state.pointee.ssl)
        reply.grow(by: state.pointee.wire.outputByteCount)
        if result == 1 { state.pointee.hasClosed = true } else { _ = Self.step(state, result) }
    }
}

extension TLSConnection {
    /// Makes the client's side of a connection; nil when memory is short or `serverName` is no name.
    ///
    /// - Shape: the server's certificate must be for `serverName`, a host name or an IP address (brackets of IPv6 and a dot at
    ///   the end taken off), unless the context does not verify; only a host name is sent to the server. `key` stands for the
    ///   endpoint and name together: a session of an earlier connection with the same key is resumed.
    public init?(client context: TLSContext, serverName: String, session key: UInt64) {
        guard let state = Self.make(context) else { return nil }
        self.state = state
        let ssl = state.pointee.ssl
        SSL_set_connect_state(ssl)
        state.pointee.sessionKey = key
        state.pointee.hasStarted = true
        var name = Substring(serverName)
        if name.first == "[", name.last == "]" { name = name.dropFirst().dropLast() }
        if name.last == "." { name = name.dropLast() }
        let text = String(name)
        // A dot in front would mean any host of the domain to OpenSSL.
        guard !text.isEmpty, text.first != "." else { return nil }
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) != 1 {
            ERR_clear_error()
            SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            guard SSL_set1_host(ssl, text) == 1, COpenSSL_set_server_name(ssl, text) == 1 else { return nil }
        }
        if let session = context.sessions?.take(key: key) {
            SSL_set_session(ssl, session.pointer)
            session.free()
        }
    }
}
