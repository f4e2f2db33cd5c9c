internal import Bytes
internal import HTTP
internal import Loop
internal import TLS

typealias UpstreamPointer = UnsafeMutablePointer<UpstreamConnection>

/// A connection to an endpoint, carrying one exchange at a time (HTTP/1.1).
///
/// - Shape: `output` holds the request's head and streamed content until sent; collected content is sent from the exchange
///   itself. `input` holds what was received and not yet passed on. With TLS these are plaintext, and `sealedInput` and
///   `sealedOutput` are what the socket carries.
/// - Limits: one block each way, and one more each way with TLS; all given back while idle.
struct UpstreamConnection: ~Copyable {
    enum State: UInt8 {
        case connecting
        /// TLS is being set up.
        case handshake
        case busy, idle, closed
    }

    var handle = Handle.none
    let descriptor: Int32
    /// The pool and the endpoint outlive their connections: a configuration retires only without any.
    let endpoint: Unmanaged<Endpoint>
    let pool: Unmanaged<UpstreamPool>
    let configuration: Unmanaged<Configuration>
    var state: State
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
    /// It is on this round's list of connections with something left to open.
    var isTouched = false

    /// Out of the epoll set: broken, with bytes still to deliver.
    var isParked = false
    var interest: Interest
    var deadline: UInt64 = 0

    init(
        descriptor: Int32, endpoint: Endpoint, pool: UpstreamPool, configuration: Configuration,
        connecting: Bool,
        fieldCapacity: Int
    ) {
        self.descriptor = descriptor
        self.endpoint = .passUnretained(endpoint)
        self.pool = .passUnretained(pool)
        self.configuration = .passUnretained(configuration)
        state = connecting ? .connecting : .busy
        interest = connecting ? [.read, .write] : [.read]
        head = ResponseHead(fieldCapacity: fieldCapacity)
    }

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
}
