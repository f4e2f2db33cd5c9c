internal import Bytes

/// A command that was sent, or is to be, and has no reply yet.
struct RedisQuestion {
    /// What the reply is for; the owner of the connection acts on it.
    enum Kind: UInt8 {
        /// Of the connection's beginning: who we are, which database.
        case authenticate, select, role
        /// Nobody waits for the reply.
        case ignored
        /// Whether the server is of use.
        case probe
        /// Where a Sentinel sees the master.
        case master
        /// The nodes of a cluster.
        case nodes
        case take, giveBack
    }

    var kind: Kind
    /// How many times it was sent again because of an error reply.
    var repeatCount: UInt8 = 0
    /// How many buckets it is about.
    var bucketCount: UInt8 = 0
    /// Its time was up: whoever waited was told, and the reply is dropped.
    var isAbandoned = false
    /// It is for a node that does not have the slot yet: `ASKING` goes before it.
    var isAsking = false
    /// Bytes of the command before those that stay the same when the script is sent whole.
    var headByteCount: UInt16 = 0
    var byteCount: UInt32 = 0
    var handle = Handle.none
    var sentAt: UInt64 = 0
    var deadline: UInt64 = 0
}

/// Questions in the order in which their replies will come.
///
/// - Limits: `capacity`, a power of two; made once.
struct RedisQuestions: ~Copyable {
    private let places: UnsafeMutablePointer<RedisQuestion>
    private let mask: Int
    private var first = 0
    private(set) var count = 0

    init(capacity: Int) {
        precondition(capacity.nonzeroBitCount == 1)
        places = .allocate(capacity: capacity)
        places.initialize(repeating: RedisQuestion(kind: .ignored), count: capacity)
        mask = capacity - 1
    }

    deinit { places.deallocate() }

    var isEmpty: Bool { count == 0 }
    var capacity: Int { mask + 1 }

    subscript(_ index: Int) -> RedisQuestion {
        get { places[(first + index) & mask] }
        set { places[(first + index) & mask] = newValue }
    }

    /// The caller has looked that there is room.
    mutating func append(_ question: RedisQuestion) {
        precondition(count <= mask)
        places[(first + count) & mask] = question
        count += 1
    }

    mutating func removeFirst() {
        precondition(count > 0)
        first = (first + 1) & mask
        count -= 1
    }
}
