internal import Bytes
internal import Loop
internal import TLS

/// How one loop asks the shared store of limits.
///
/// A question waits at most `limits.redis.deadline`. From the first one that waited longer until its answer comes, nobody
/// is made to wait: local limits decide. When nothing came for 100 ms, or the connection ended, the store is away: it is
/// connected again and again until it does in time what it is for.
///
/// - Shape: at most three connections: to the node that has the keys, to another one of its cluster, to a Sentinel. All
///   deadlines share one `Alarm`. What it has to say stands in `answered` until the worker takes it, so that nothing here
///   calls back.
/// - Ownership: of one loop alone; lives as long as the settings name the same store.
final class LimitStoreClient {
    /// How far it is on the way to be of use.
    enum Phase: UInt8 {
        /// Until `phaseDeadline`, when it is tried again.
        case resting
        /// A name's addresses are looked up.
        case resolving
        /// A Sentinel is asked for the master.
        case seeking
        /// Until it is connected, with TLS.
        case connecting
        /// Until it has done what it is for, once.
        case probing
        case up
    }

    enum Health: UInt8 { case starting, up, away }

    let store: LimitStore
    /// What new connections are opened with; a reload may have loaded other certificates.
    var tls: TLSContext?
    /// Which of the worker's clients it is; part of its tags.
    let slot: UInt32
    private(set) var alarm: Alarm
    var phase = Phase.resting
    /// Until when; while it is up, when the Sentinels are asked next.
    var phaseDeadline: UInt64
    var health = Health.starting
    var hasBeenUp = false
    var counters = StoreCounters()
    /// What is to be told to exchanges, in the order in which it came.
    var answered: [(handle: Handle, answers: StoreAnswers?)] = []
    /// A name to look up; the worker takes it.
    var nameToResolve: NetworkAddress?
    /// The one that is being looked up: never two, however long it takes.
    var resolving: NetworkAddress?
    /// The one whose addresses are waited for.
    var wanted: NetworkAddress?
    /// No questions any more: it ends with its last one.
    private(set) var isLeaving = false

    /// The node that has the keys.
    var node: RedisConnection?
    /// Another node: where a slot moves to, or what is left of the one that had the keys before.
    var other: RedisConnection?
    var sentinel: RedisConnection?
    /// What is tried, in turn: what the settings name, then what was learnt of a cluster.
    var places: [NetworkAddress]
    var placeIndex = 0
    /// Which address of a name that has several.
    var addressIndex = 0
    var backoff: UInt64 = 0
    /// How often nodes sent us on since the store was up last.
    var redirectCount = 0
    var lastSerial: UInt32 = 0
    var scratch = Buffer(capacity: 4_096)
    /// `{gatehouse}:`, which puts all keys in one slot of a cluster.
    let prefix: Content
    let deadlineNanoseconds: UInt64
    let setup: RedisSetup
    // Not asked of the type each time, which costs a check of whether they were made.
    let takeScript = StoreScript.take
    let giveBackScript = StoreScript.giveBack

    /// Nothing came for so long: it is away.
    static let silenceNanoseconds: UInt64 = 100_000_000

    /// - Errors: `SystemError` when there is no descriptor for its alarm.
    init(_ store: LimitStore, tls: TLSContext?, slot: UInt32, now: UInt64) throws(SystemError) {
        self.store = store
        self.tls = tls
        self.slot = slot
        let settings = store.settings
        prefix = Content(text: "{\(settings.prefix)}:")
        deadlineNanoseconds = settings.deadline.nanoseconds
        setup = RedisSetup(settings)
        places = settings.endpoints.map(\.address)
        phaseDeadline = now
        alarm = try Alarm()
        alarm.set(now)
    }

    var isUp: Bool { health == .up }
    var isAway: Bool { !isUp }

    /// A question is overdue: asking more would only make more exchanges wait.
    var isSuspect: Bool {
        guard let node, !node.questions.isEmpty else { return false }
        return node.questions[0].isAbandoned
    }

    func tag(_ serial: UInt32) -> UInt64 { Tag.store(Handle(index: slot, generation: serial)) }

    // MARK: - Questions

    /// Asks about all buckets of a request; false when local limits have to decide at once.
    ///
    /// - Shape: with true, `answered` will have the handle exactly once.
    func ask(_ handle: Handle, _ demand: borrowing StoreDemand, now: UInt64) -> Bool {
        guard phase == .up, !isLeaving, !isSuspect, let node, demand.count > 0, demand.isWhole,
            node.hasRoom(byteCount(demand))
        else { return false }
        let deadline = now + deadlineNanoseconds
        var question = RedisQuestion(kind: .take)
        question.handle = handle
        question.sentAt = now
        question.deadline = deadline
        append(takeScript, question, demand, to: node)
        counters.calls += 1
        alarm.set(deadline)
        return true
    }

    /// Gives back what requests did not cost in the end; nobody waits, and nothing is done while the store is away.
    func giveBack(_ demand: borrowing StoreDemand, now: UInt64) {
        guard phase == .up, !isSuspect, let node, demand.count > 0, demand.isWhole,
            node.hasRoom(byteCount(demand))
        else { return }
        var question = RedisQuestion(kind: .giveBack)
        question.sentAt = now
        question.deadline = now + deadlineNanoseconds
        append(giveBackScript, question, demand, to: node)
        alarm.set(question.deadline)
    }

    /// At most so many bytes: a number has up to 20 digits, and a bucket four arguments with their lengths.
    private func byteCount(_ demand: borrowing StoreDemand) -> Int {
        128 + demand.keys.count + demand.count * (prefix.bytes.count + 4 * 32)
    }

    private func append(
        _ script: StoreScript, _ question: RedisQuestion, _ demand: borrowing StoreDemand,
        to node: RedisConnection
    ) {
        var question = question
        question.bucketCount = UInt8(demand.count)
        let isTake = question.kind == .take
        let argumentCount = 3 + demand.count * (isTake ? 4 : 3)
        // `*13\r\n`: two digits from two buckets on.
        question.headByteCount = UInt16(script.shortHead.count + (argumentCount < 10 ? 4 : 5))
        node.append(question) { commands in
            commands.appendRedisCommand(argumentCount: argumentCount)
            script.shortHead.withUnsafeBufferPointer { commands.append($0) }
            commands.appendRedis(UInt64(demand.count))
            for index in 0..<demand.count {
                let key = demand.keys.all.view(demand.buckets[index].key)
                commands.appendRedis(byteCount: prefix.bytes.count + key.count)
                commands.append(prefix.bytes)
                commands.append(key)
                commands.append("\r\n")
            }
            for index in 0..<demand.count {
                let bucket = demand.buckets[index]
                commands.appendRedis(bucket.cost)
                if isTake {
                    commands.appendRedis(bucket.tolerance)
                    commands.appendRedis(bucket.isShadow ? "1" : "0")
                } else {
                    commands.appendRedis(bucket.paidAt)
                }
            }
        }
    }

    // MARK: - What the loop brings

    /// Acts on what the kernel says of one of its descriptors; the alarm's serial is 0.
    func ready(_ serial: UInt32, _ readiness: Readiness, _ poller: borrowing Poller, now: UInt64) {
        guard serial != 0 else { return alarmRang(poller, now: now) }
        guard let connection = connection(serial) else { return }
        drive(connection, poller, now: now) { (connection, poller) throws(RedisConnection.Failure) in
            try connection.ready(readiness, poller, now: now)
        }
    }

    /// Whether something was asked that was not sent.
    var hasUnsent: Bool {
        node?.hasUnsent == true || other?.hasUnsent == true || sentinel?.hasUnsent == true
    }

    /// Sends what was asked in this round; the time for its answers runs from `now` on.
    func flush(_ poller: borrowing Poller, now: UInt64) {
        if let node, node.hasUnsent { flush(node, poller, now: now) }
        if let other, other.hasUnsent { flush(other, poller, now: now) }
        if let sentinel, sentinel.hasUnsent { flush(sentinel, poller, now: now) }
    }

    private func flush(_ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64) {
        do throws(RedisConnection.Failure) { try connection.flush(poller, now: now) } catch {
            // What came before the end is worth reading: a reply that says why, or answers of others.
            drive(connection, poller, now: now) { (_, _) throws(RedisConnection.Failure) in throw error }
        }
    }

    private func connection(_ serial: UInt32) -> RedisConnection? {
        if let node, node.serial == serial { return node }
        if let other, other.serial == serial { return other }
        if let sentinel, sentinel.serial == serial { return sentinel }
        return nil
    }

    /// Runs `body`, then takes the replies that are there, then ends the connection if it failed.
    private func drive(
        _ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64,
        _ body: (RedisConnection, borrowing Poller) throws(RedisConnection.Failure) -> Void
    ) {
        var failure: RedisConnection.Failure?
        do throws(RedisConnection.Failure) { try body(connection, poller) } catch { failure = error }
        do throws(RedisConnection.Failure) {
            while let question = try connection.next() {
                reply(question, connection, poller, now: now)
                // It may have been closed for what it said.
                guard self.connection(connection.serial) != nil else { return }
                connection.finish()
            }
        } catch { failure = error }
        if let failure { return lost(connection, failure.description, isEnd: failure == .ended, now: now) }
        if phase == .connecting, connection === node, connection.state == .open { connected(now: now) }
    }

    /// A deadline has come, or several.
    private func alarmRang(_ poller: borrowing Poller, now: UInt64) {
        // An answer that is here already is not late, whatever this loop did meanwhile.
        for connection in [node, other] {
            guard let connection else { continue }
            drive(connection, poller, now: now) { (connection, poller) throws(RedisConnection.Failure) in
                try connection.receive(poller, now: now)
            }
        }
        expire(now: now)
        if phase != .up || setup.master != nil, phaseDeadline <= now { phaseExpired(poller, now: now) }
        alarm.replace(firstDeadline)
    }

    /// Tells those whose time is up, and whether the store is silent.
    private func expire(now: UInt64) {
        for connection in [node, other] {
            guard let connection, phase == .up, !connection.questions.isEmpty else { continue }
            for index in 0..<connection.questions.count {
                let question = connection.questions[index]
                // Half a millisecond early is better than a call of the kernel for each.
                guard !question.isAbandoned, question.deadline != 0, question.deadline <= now + 500_000 else {
                    continue
                }
                connection.abandon(index)
                if question.kind == .take {
                    counters.late += 1
                    answered.append((question.handle, nil))
                }
            }
            let silentSince = max(connection.receivedAt, connection.questions[0].sentAt)
            if silentSince + Self.silenceNanoseconds <= now {
                lost(connection, "no answer", isEnd: false, now: now)
            }
        }
    }

    /// The first deadline there is; 0 for none.
    private var firstDeadline: UInt64 {
        guard phase == .up else { return phaseDeadline }
        var first = setup.master == nil ? UInt64.max : phaseDeadline
        for connection in [node, other] {
            guard let connection, !connection.questions.isEmpty else { continue }
            first = min(
                first,
                max(connection.receivedAt, connection.questions[0].sentAt) + Self.silenceNanoseconds)
            for index in 0..<connection.questions.count {
                let question = connection.questions[index]
                guard !question.isAbandoned, question.deadline != 0 else { continue }
                first = min(first, question.deadline)
            }
        }
        return first == .max ? 0 : first
    }

    /// Sees to it that the alarm rings at `moment` at the latest.
    func wake(at moment: UInt64) { alarm.set(moment) }

    // MARK: - Ends

    /// Answers what a connection still owes, and closes it.
    func end(_ connection: RedisConnection) {
        for index in 0..<connection.questions.count {
            let question = connection.questions[index]
            guard question.kind == .take, !question.isAbandoned else { continue }
            counters.errors += 1
            answered.append((question.handle, nil))
        }
        connection.close()
        if connection === node { node = nil }
        if connection === other { other = nil }
        if connection === sentinel { sentinel = nil }
    }

    /// Asks nothing more; the settings name another store now.
    func leave() { isLeaving = true }

    /// Whether a client that leaves has nothing more to wait for; it is closed then.
    func hasLeft() -> Bool {
        guard isLeaving, answered.isEmpty else { return false }
        for connection in [node, other] {
            guard let connection, phase == .up else { continue }
            for index in 0..<connection.questions.count
            where connection.questions[index].kind == .take && !connection.questions[index].isAbandoned {
                return false
            }
        }
        for connection in [node, other, sentinel] { if let connection { end(connection) } }
        if health == .away { store.noteBack("", isGone: true) }
        health = .starting
        return true
    }
}
