internal import Bytes
internal import HTTP
internal import Loop

typealias UpstreamPointer = UnsafeMutablePointer<UpstreamConnection>

/// A connection to an endpoint, carrying one exchange at a time (HTTP/1.1).
///
/// - Shape: `output` holds the request's head and streamed content until sent; collected content is sent from the exchange
///   itself. `input` holds what was received and not yet passed on.
/// - Limits: one block each way, given back while idle.
struct UpstreamConnection: ~Copyable {
    enum State: UInt8 { case connecting, busy, idle, closed }

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
