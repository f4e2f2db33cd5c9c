import Bytes
import HTTP
import Loop

/// Which of the simulator's addresses a connection came in on.
enum Listener: Int, CaseIterable {
    case nova, identity, control

    var name: String {
        switch self {
        case .nova: "nova"
        case .identity: "identity"
        case .control: "control"
        }
    }
}

/// One accepted connection and the request it is busy with.
///
/// - Shape: passive state, moved by `Service` alone. One request at a time: the next one in `input` waits
///   until the
///   answer is sent, so answers stay in order and a client that does not read is not read from.
/// - Limits: `inputLimit` bytes of input, `contentLimit` bytes of content kept (all of it is counted and
///   digested).
final class Connection {
    enum Stage {
        /// Waits for a head, or for the rest of one.
        case head
        case content
        /// The answer waits for its time (`dueAt`).
        case delayed
        case sending
        /// Ends at `dueAt`, unannounced.
        case closing
        /// Stays open and silent until the other side leaves.
        case silent
    }

    static let inputLimit = 66_560
    static let contentLimit = Nova.contentLimit + 1

    let descriptor: Int32
    let listener: Listener
    let serial: UInt64
    var handle = Handle.none
    var stage = Stage.head
    var interest: Interest = .read
    var dueAt: UInt64?
    var hasPeerEnded = false
    var requestCount = 0

    var input = Buffer()
    var reader = RequestReader()
    var head = RequestHead(fieldCapacity: 200)
    var chunks = ChunkedReader()
    var contentLeft: UInt64 = 0

    var entry = RequestLog.Entry()
    var rule: FaultRule?
    var content: [UInt8] = []
    var digest: Digest?
    var keepsAlive = true

    var delivery: Delivery?
    var output: [UInt8] = []
    var sentCount = 0
    /// How much of `output` may go out now, when the delivery has a pace.
    var allowedCount = Int.max

    init(descriptor: Int32, listener: Listener, serial: UInt64) {
        self.descriptor = descriptor
        self.listener = listener
        self.serial = serial
    }

    /// Forgets the request that was answered.
    func prepareForNext() {
        stage = .head
        entry = RequestLog.Entry()
        rule = nil
        content = []
        digest = nil
        delivery = nil
        output = []
        sentCount = 0
        allowedCount = .max
        dueAt = nil
        reader.reset()
        chunks.reset()
        input.compact()
        if input.isEmpty { input.free() }
    }

    /// Makes room for more input: false when the limit is reached.
    func makeRoom() -> Bool {
        if input.room > 0 { return true }
        input.compact()
        if input.room > 0 { return true }
        guard input.capacity < Self.inputLimit else { return false }
        input.enlarge(to: input.capacity == 0 ? 4096 : Self.inputLimit)
        return true
    }
}
