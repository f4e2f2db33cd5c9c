internal import Bytes

/// `XADD` commands that have no reply yet, in the order of the trail.
///
/// - Shape: their bytes in a row, those that were sent first, so that all of them can be sent again elsewhere.
/// - Limits: `maxCommandCount` commands and `maxByteCount` bytes, or one that is longer.
struct RedisStreamPipeline: ~Copyable {
    static var maxCommandCount: Int { 1_024 }
    /// 1 MiB.
    static var maxByteCount: Int { 1 << 20 }

    /// What every command begins with: all up to the value of `id`.
    private let head: [UInt8]
    private var commands = Buffer(capacity: 65_536)
    /// Of the commands from `first` on; what stands before was taken.
    private var byteCounts: [Int] = []
    private var first = 0
    /// How many of them were sent, and how many bytes that is.
    private(set) var sentCount = 0
    private var sentByteCount = 0
    /// Commands that were sent and not taken, in their order: they go elsewhere.
    private var returned = Buffer()
    private var returnedByteCounts: [Int] = []

    init(key: String, maxEntryCount: Int?) {
        var made = Buffer(capacity: key.utf8.count + 128)
        made.appendRedisCommand(argumentCount: maxEntryCount == nil ? 11 : 14)
        made.appendRedis("XADD")
        made.appendRedis(byteCount: key.utf8.count)
        made.append(key)
        made.append("\r\n")
        if let maxEntryCount {
            made.appendRedis("MAXLEN")
            made.appendRedis("~")
            made.appendRedis(UInt64(maxEntryCount))
        }
        made.appendRedis("*")
        made.appendRedis("id")
        head = Array(made.readable)
    }

    var count: Int { byteCounts.count - first }
    var isEmpty: Bool { count == 0 }
    var byteCount: Int { commands.count }
    var unsentByteCount: Int { commands.count - sentByteCount }

    /// Whether an event can be appended now; always when there is nothing else.
    func hasRoom(for event: SinkEvent) -> Bool {
        isEmpty || count < Self.maxCommandCount && byteCount + byteCount(of: event) <= Self.maxByteCount
    }

    /// The command's bytes, at most: numbers and lengths have up to 20 digits.
    private func byteCount(of event: SinkEvent) -> Int {
        head.count + event.writer.count * 2 + event.content.count + 256
    }

    /// Appends the command that adds `event`: `XADD key [MAXLEN ~ n] * id … writer … sequence … event …`.
    ///
    /// - Shape: `id` is the event's own, by which one that comes twice is known; of one that has none the writer and the
    ///   sequence, which say the same.
    mutating func append(_ event: SinkEvent) {
        let id = event.text("id")
        let room = byteCount(of: event) + (id?.count ?? 0)
        // One command may be as long as a line of the trail.
        _ = commands.makeRoom(room, limit: .max)
        let before = commands.count
        head.withUnsafeBufferPointer { commands.append($0) }
        if let id {
            commands.appendRedis(id)
        } else {
            commands.appendRedis(byteCount: event.writer.count + 17)
            commands.append(event.writer)
            commands.append(0x2D)
            commands.appendHexadecimal(event.sequence, width: 16)
            commands.append("\r\n")
        }
        commands.appendRedis("writer")
        commands.appendRedis(event.writer)
        commands.appendRedis("sequence")
        commands.appendRedis(event.sequence)
        commands.appendRedis("event")
        commands.appendRedis(event.content)
        precondition(!commands.hasOverflowed)
        byteCounts.append(commands.count - before)
    }

    /// All that was not sent; lent until the next change.
    var unsent: ByteView { commands.readable.view(sentByteCount, unsentByteCount) }

    /// The first command that was not sent; empty when all were.
    var firstUnsent: ByteView {
        commands.readable.view(sentByteCount, sentCount < count ? byteCounts[first + sentCount] : 0)
    }

    /// Notes that `unsent` was sent.
    mutating func markSent() {
        sentCount = count
        sentByteCount = commands.count
    }

    /// Notes that `firstUnsent` was sent.
    mutating func markFirstSent() {
        sentByteCount += byteCounts[first + sentCount]
        sentCount += 1
    }

    /// Forgets the first command, which was sent and answered.
    mutating func removeFirst() {
        precondition(sentCount > 0)
        let byteCount = byteCounts[first]
        commands.consume(byteCount)
        sentByteCount -= byteCount
        sentCount -= 1
        first += 1
        if first == byteCounts.count || first > 4 * Self.maxCommandCount {
            byteCounts.removeFirst(first)
            first = 0
        }
        guard commands.isEmpty else { return }
        // What one long event needed is not kept for the others.
        if commands.capacity > 2 * Self.maxByteCount { commands = Buffer(capacity: 65_536) }
        commands.removeAll()
    }

    /// Keeps the first command, which was sent and not taken, for `takeBack`.
    mutating func returnFirst() {
        let command = commands.readable.view(0, byteCounts[first])
        _ = returned.makeRoom(command.count, limit: .max)
        returned.append(command)
        returnedByteCounts.append(command.count)
        removeFirst()
    }

    /// Everything that was returned is to be sent again, before what was not sent; nothing is on its way any more.
    mutating func takeBack() {
        precondition(sentCount == 0)
        _ = returned.makeRoom(commands.count, limit: .max)
        returned.append(commands.readable)
        swap(&commands, &returned)
        returned.free()
        byteCounts = returnedByteCounts + byteCounts[first...]
        first = 0
        returnedByteCounts = []
    }

    mutating func removeAll() {
        commands = Buffer(capacity: 65_536)
        returned.free()
        byteCounts = []
        returnedByteCounts = []
        first = 0
        sentCount = 0
        sentByteCount = 0
    }
}
