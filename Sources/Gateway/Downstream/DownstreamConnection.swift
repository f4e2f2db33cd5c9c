internal import Bytes
internal import HTTP
internal import Loop
internal import TLS

typealias DownstreamPointer = UnsafeMutablePointer<DownstreamConnection>

/// A client's connection: bytes in, bytes out, and the one exchange that is in progress on it.
///
/// It is one of three things. With HTTP/1.1 it has a descriptor and its exchanges, one after the other. With HTTP/2 it
/// has a descriptor and a session and no exchange, and each of its streams is a slot of its own, without a descriptor
/// and with `carrier`: to the stages a stream is a connection with one exchange (see the page on streams).
///
/// - Shape: `input` holds the head of the current exchange at `[headStart, headStart + head.byteCount)`, pinned until the
///   exchange ends, and behind it what was received and not yet used. `output` holds what is to be sent; `pending` a stored
///   content that follows it without being copied. With TLS, both are plaintext, and `sealedInput` and `sealedOutput` what
///   the socket carries.
/// - Limits: one block each way, and one more each way with TLS; all given back while the connection is idle.
struct DownstreamConnection: ~Copyable {
    enum State: UInt8 {
        /// TLS is being set up.
        case handshake
        /// HTTP/2: its streams have the exchanges.
        case session
        /// No byte of a request yet.
        case idle
        /// Between the first byte of a head and its last.
        case head
        /// An exchange is in progress.
        case exchange
        /// Answered; the rest of the request's content is read and dropped, so that the answer arrives (RFC 9112 §9.6).
        case discarding
        /// Our side is shut; waiting for the client's end, bounded.
        case lingering
        /// Closed; the slot is given back when the turn ends, so that no pointer of this turn dangles.
        case closed
    }

    var handle = Handle.none
    let descriptor: Int32
    let peer: SocketAddress
    let isAdmin: Bool
    var state = State.idle
    var input = Buffer()
    var output = Buffer()
    var pending: Content?
    var pendingOffset = 0
    var exchange = Handle.none

    /// The content of the request in progress.
    var content = ContentReader()
    var continueOwed = false

    var closesAfterOutput = false
    var peerEnded = false
    var isBroken = false
    var interest: Interest = [.read]
    /// Monotonic nanoseconds; 0 for none.
    var deadline: UInt64 = 0
    /// Bytes moved either way since the deadline was set; fewer than `minimumProgress` in that time are no progress.
    var progressByteCount = 0
    var exchangeCount: UInt64 = 0
    var discardLeft = 0

    // The audit trail.
    /// The event that has to be safe before anything more is sent, by the writer's count; 0 for none.
    var auditMark: UInt64 = 0
    var auditWeight: UInt8 = 0
    /// It is on the list of connections that wait for their events.
    var isHeld = false

    // TLS.
    var tls = TLSConnection()
    var sealedInput = Buffer()
    var sealedOutput = Buffer()
    /// Plaintext waits that there was no room for.
    var holdsMore = false
    /// What it carries is under TLS, its own or its carrier's.
    let isSecure: Bool
    /// Whose certificate the client showed; a stream's is its carrier's.
    var certificate: ClientCertificate?

    // HTTP/2, the connection's own.
    var session = HTTP2Session()
    /// Its streams, newest first.
    var firstStream = Handle.none
    var streamCount = 0
    /// It had a stream since its idle time was last set.
    var wasBusy = false
    /// It is on this round's list of connections to settle.
    var isSettling = false
    var saidGoodbye = false

    // HTTP/2, a stream's own.
    let carrier: Handle
    let streamID: Int32
    var nextStream = Handle.none
    var previousStream = Handle.none
    /// Neither side sends on it any more, so there is nothing left to reset.
    var isStreamOver = false
    /// The last byte of its answer was handed over for sending.
    var isEndGiven = false
    /// It is on this round's list of streams that something happened to.
    var isTouched = false

    init(descriptor: Int32, peer: SocketAddress, isAdmin: Bool, isSecure: Bool) {
        self.descriptor = descriptor
        self.peer = peer
        self.isAdmin = isAdmin
        self.isSecure = isSecure
        carrier = .none
        streamID = 0
    }

    /// A stream of `carrier`.
    init(stream: Int32, of carrier: Handle, peer: SocketAddress, isSecure: Bool) {
        descriptor = -1
        self.peer = peer
        isAdmin = false
        self.isSecure = isSecure
        self.carrier = carrier
        streamID = stream
    }

    var isStream: Bool { !carrier.isNone }

    /// A peer that moves fewer bytes in a whole progress time only holds the connection.
    static let minimumProgress = 1_024

    /// Bytes of answers that wait to be sent.
    var plainByteCount: Int { output.count + (pending.map { $0.count - pendingOffset } ?? 0) }

    /// All bytes that wait to be sent, those already sealed by TLS included.
    var unsentByteCount: Int { plainByteCount + sealedOutput.count }

    /// A whole response head, and a fault with it, always fits behind this much.
    static let headRoom = 24 * 1_024

    var mayBeginExchange: Bool {
        !closesAfterOutput && pending == nil && (!output.hasBlock || output.room >= Self.headRoom)
    }
}
