internal import Bytes
internal import CHiredis

/// Reads replies from whatever pieces of them arrive.
///
/// - Shape: hiredis's reader over a `RedisReply` of ours, so that a reply costs no allocation: its own buffer grows to
///   what came at once and stays while it is at most 16 KiB.
/// - Limits: a reply is at most `maxByteCount` bytes and seven arrays deep; one that is more is malformed.
/// - Source: RESP 2. `HELLO 3` is never sent, so RESP 3 never comes.
struct RedisReader: ~Copyable {
    /// 1 MiB, of one reply.
    static var maxByteCount: Int { 1 << 20 }

    enum Step: UInt8 {
        case incomplete
        /// A reply is there until `next` is called again.
        case reply
        /// Not the protocol, or too much of it: the connection is of no more use.
        case malformed
    }

    private let reader: UnsafeMutablePointer<redisReader>
    private let place: UnsafeMutablePointer<RedisReply>

    /// Made once and never changed; hiredis keeps its address.
    nonisolated(unsafe) private static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        functions.initialize(
            to: redisReplyObjectFunctions(
                createString: { task, text, count in
                    guard let task, let text else { return nil }
                    return text.withMemoryRebound(to: UInt8.self, capacity: count) {
                        let kind: RedisKind =
                            switch task.pointee.type {
                            case REDIS_REPLY_ERROR: .error
                            case REDIS_REPLY_STATUS: .status
                            default: .string
                            }
                        return RedisReader.add(task, RedisNode(kind: kind), ByteView(start: $0, count: count))
                    }
                },
                createArray: { task, count in
                    RedisReader.add(task, RedisNode(kind: .array, number: Int64(count)))
                },
                createInteger: { task, value in
                    RedisReader.add(task, RedisNode(kind: .integer, number: value))
                },
                createNil: { RedisReader.add($0, RedisNode(kind: .null)) },
                freeObject: { _ in }))
        return functions
    }()

    /// Answers something that is not null, or hiredis takes it for a lack of memory and stops.
    private static func add(
        _ task: UnsafePointer<redisReadTask>?, _ node: RedisNode,
        _ text: ByteView = ByteView(start: nil, count: 0)
    ) -> UnsafeMutableRawPointer? {
        guard let raw = task?.pointee.privdata else { return nil }
        return raw.assumingMemoryBound(to: RedisReply.self).pointee.append(node, text: text) ? raw : nil
    }

    init() {
        guard let reader = redisReaderCreateWithFunctions(Self.functions) else {
            preconditionFailure("no memory for a reader of replies")
        }
        self.reader = reader
        place = .allocate(capacity: 1)
        place.initialize(to: RedisReply())
        reader.pointee.privdata = UnsafeMutableRawPointer(place)
    }

    deinit {
        redisReaderFree(reader)
        place.deinitialize(count: 1)
        place.deallocate()
    }

    /// The reply that `next` found; lent until `next` is called again.
    var reply: UnsafePointer<RedisReply> { UnsafePointer(place) }

    /// Whether nothing is left of what came but the reply that `next` found.
    var isEmpty: Bool { reader.pointee.len == reader.pointee.pos && reader.pointee.ridx < 0 }

    /// Takes what came; false when it cannot be kept.
    mutating func feed(_ bytes: ByteView) -> Bool {
        guard let start = bytes.baseAddress else { return true }
        return start.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
            redisReaderFeed(reader, $0, bytes.count) == REDIS_OK
        }
    }

    /// Looks for the next whole reply.
    mutating func next() -> Step {
        // Between two replies the stack is empty; else the part of one that was read stays.
        if reader.pointee.ridx < 0 { place.pointee.removeAll() }
        var found: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &found) == REDIS_OK else { return .malformed }
        if found != nil { return .reply }
        let heldByteCount = Int(reader.pointee.len) - Int(reader.pointee.pos) + place.pointee.byteCount
        return heldByteCount > Self.maxByteCount ? .malformed : .incomplete
    }
}
