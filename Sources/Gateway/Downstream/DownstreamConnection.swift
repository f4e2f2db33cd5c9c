internal import Bytes
internal import HTTP
internal import Loop

typealias DownstreamPointer = UnsafeMutablePointer<DownstreamConnection>

/// A client's connection: bytes in, bytes out, and the one exchange that is in progress on it (HTTP/1.1).
///
/// - Shape: `input` holds the head of the current exchange at `[headStart, headStart + head.byteCount)`, pinned until the
///   exchange ends, and behind it what was received and not yet used. `output` holds what is to be sent; `pending` a stored
///   content that follows it without being copied.
/// - Limits: one block each way, both given back while the connection is idle.
struct DownstreamConnection: ~Copyable {
    enum State: UInt8 {
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

    init(descriptor: Int32, peer: SocketAddress, isAdmin: Bool) {
        self.descriptor = descriptor
        self.peer = peer
        self.isAdmin = isAdmin
    }

    /// A peer that moves fewer bytes in a whole progress time only holds the connection.
    static let minimumProgress = 1_024

    /// Bytes that wait to be sent.
    var unsentByteCount: Int { output.count + (pending.map { $0.count - pendingOffset } ?? 0) }

    /// A whole response head, and a fault with it, always fits behind this much.
    static let headRoom = 24 * 1_024

    var mayBeginExchange: Bool {
        !closesAfterOutput && pending == nil && (!output.hasBlock || output.room >= Self.headRoom)
    }
}
