internal import Bytes
internal import HTTP
internal import Loop
internal import TLS

typealias UpstreamPointer = UnsafeMutablePointer<UpstreamConnection>

/// A connection to an endpoint, or a stream of one: what carries an exchange.
///
/// It is one of three things. With HTTP/1.1 it has a descriptor and one exchange at a time. With HTTP/2 it has a
/// descriptor and a session and no exchange, and each of its streams is a slot of its own, without a descriptor and with
/// `carrier`: to the stages a stream is a connection that carries one exchange and is gone.
///
/// - Shape: lives in a slab of its worker and is reset and reused, so that its field table is allocated once. `output`
///   holds the request's head and streamed content until sent; collected content is sent from the exchange itself. `input`
///   holds what was received and not yet passed on; a stream's, in HTTP/1.1 form. With TLS these are plaintext, and
///   `sealedInput` and `sealedOutput` are what the socket carries.
/// - Limits: one block each way, and one more each way with TLS; all given back while idle.
struct UpstreamConnection: ~Copyable {
    enum State: UInt8 {
        case connecting
        /// TLS is being set up.
        case handshake
        case busy, idle
        /// HTTP/2: its streams have the exchanges.
        case session
        case closed
    }

    var handle = Handle.none
    var descriptor: Int32 = -1
    /// The pool and the endpoint outlive their connections: a configuration retires only without any.
    var endpoint: Unmanaged<Endpoint>!
    var pool: Unmanaged<UpstreamPool>!
    var configuration: Unmanaged<Configuration>!
    var state = State.closed
    var exchange = Handle.none
    var input = Buffer()
    var output = Buffer()

    var reader = ResponseReader()
    var head: ResponseHead
    var headRead = false
    var content = ContentReader()

    /// How much of the exchange's collected content was sent.
    var collectedOffset = 0
    var requestComplete = false
    var isReused = false
    var receivedAny = false
    var peerEnded = false
    /// It ended without saying so: content without a length may lack its rest.
    var isTruncated = false

    // TLS.
    var tls = TLSConnection()
    var sealedInput = Buffer()
    var sealedOutput = Buffer()
    /// Something is left to open that there was no room for.
    var holdsMore = false
    /// The socket has no more to receive; what it gave may still be opened.
    var socketEnded = false
    /// It is on this round's list of those to be looked at again.
    var isTouched = false

    // HTTP/2, the connection's own.
    var session = HTTP2Session()
    /// Its streams, newest first.
    var firstStream = Handle.none
    var streamCount = 0
    /// Takes no new streams: it is closed with its last one.
    var isLeaving = false
    /// When something last came.
    var receivedAt: UInt64 = 0

    // HTTP/2, a stream's own.
    var carrier = Handle.none
    var streamID: Int32 = 0
    var nextStream = Handle.none
    var previousStream = Handle.none
    /// Neither side sends on it any more, so there is nothing left to reset.
    var isStreamOver = false
    /// The last byte of its request was handed over for sending.
    var isEndGiven = false
    /// Content that came and that its window was not opened for again.
    var unconsumedByteCount = 0
    var startedAt: UInt64 = 0

    /// Out of the epoll set: broken, with bytes still to deliver.
    var isParked = false
    var interest = Interest.read
    var deadline: UInt64 = 0

    init(fieldCapacity: Int) { head = ResponseHead(fieldCapacity: fieldCapacity) }

    var isStream: Bool { !carrier.isNone }

    /// Whether the peer's end is that of the content (RFC 9112 §6.3).
    var endsWithPeer: Bool { content.framing == .untilClose && !isTruncated }

    /// Makes the connection fit for the next exchange.
    mutating func prepare(for exchange: Handle) {
        self.exchange = exchange
        reader.reset()
        head.reset()
        headRead = false
        content = ContentReader()
        collectedOffset = 0
        requestComplete = false
        receivedAny = false
    }

    /// Makes the slot fit for its next use; its blocks were given back before.
    mutating func reset() {
        handle = .none
        descriptor = -1
        endpoint = nil
        pool = nil
        configuration = nil
        state = .closed
        prepare(for: .none)
        isReused = false
        peerEnded = false
        isTruncated = false
        if tls.isActive { tls = TLSConnection() }
        holdsMore = false
        socketEnded = false
        isTouched = false
        if session.isActive { session = HTTP2Session() }
        firstStream = .none
        streamCount = 0
        isLeaving = false
        receivedAt = 0
        carrier = .none
        streamID = 0
        nextStream = .none
        previousStream = .none
        isStreamOver = false
        isEndGiven = false
        unconsumedByteCount = 0
        startedAt = 0
        isParked = false
        interest = .read
        deadline = 0
    }
}
