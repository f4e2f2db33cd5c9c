internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

/// What an answer that waits for its event would tell a client; the order is that of what weighs more.
enum AuditWeight: UInt8 {
    /// Nothing was done: it was refused here.
    case refusal
    /// Something was read.
    case read
    /// Something was changed, or may have been.
    case change
}

extension Worker {
    // MARK: - Events

    /// Records an exchange whose answer is about to leave: its event comes first.
    func auditAnswer(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        guard !connection.pointee.isAdmin, !exchange.pointee.isAudited else { return }
        lentAudit?._withUnsafeGuaranteedRef { auditAnswer(exchange, connection, $0) }
    }

    private func auditAnswer(
        _ exchange: ExchangePointer, _ connection: DownstreamPointer, _ audit: AuditWriter
    ) {
        exchange.pointee.auditedFailure = exchange.pointee.failure
        let event = recordEvent(exchange, audit)
        exchange.pointee.isAudited = true
        let mark: UInt64
        switch event {
        case .recorded(let made): mark = made
        case .none: return
        case .lost:
            // What nobody can say afterwards that it happened is not answered, unless the settings allow it.
            guard !mayGo(auditWeight(exchange), audit) else { return }
            abortDownstream(exchange)
            // A stream is reset with all that it was to send; a connection sends nothing any more.
            guard !connection.pointee.isStream else { return }
            mark = .max
        }
        let weight = auditWeight(exchange)
        // What a stream is given to send leaves with its connection.
        guard
            let holder = connection.pointee.isStream
                ? downstreams.find(connection.pointee.carrier) : connection
        else { return }
        holder.pointee.auditMark = mark
        holder.pointee.auditWeight = max(holder.pointee.auditWeight, weight.rawValue)
    }

    /// Records that an upload begins, whose end may be long in coming.
    func auditAttempt(_ exchange: ExchangePointer) {
        guard let audit, exchange.pointee.fetch == nil, exchange.pointee.call == nil,
            auditRule(of: exchange)?.record == .each
        else { return }
        withAuditScratch {
            _ = appendEvent(exchange, audit, .change) {
                appendAuditEvent(exchange, status: 0, outcome: .pending, to: &$0)
            }
        }
    }

    /// Records an exchange at its end: one that was never answered, or whose answer broke off.
    func auditEnd(_ exchange: ExchangePointer) {
        // An answer whose head left says nothing of what became of the rest.
        guard !exchange.pointee.isAudited || exchange.pointee.failure != exchange.pointee.auditedFailure,
            !isAdminExchange(exchange)
        else { return }
        lentAudit?._withUnsafeGuaranteedRef { _ = recordEvent(exchange, $0) }
    }

    /// What became of an exchange's event.
    private enum Recorded {
        case recorded(UInt64)
        /// It is folded into another, or not wanted.
        case none
        /// There was no room for it.
        case lost
    }

    /// Appends the exchange's event.
    private func recordEvent(_ exchange: ExchangePointer, _ audit: AuditWriter) -> Recorded {
        switch lendAuditRule(of: exchange)?.pointee.record {
        case .off, nil: .none
        case .each:
            withAuditScratch {
                appendEvent(exchange, audit, auditWeight(exchange)) { appendAuditEvent(exchange, to: &$0) }
            }
        case .folded: foldEvent(exchange, audit)
        }
    }

    /// Lends buffers of their own to those who make events: whoever writes an answer has parts of it in the others.
    private func withAuditScratch<Result>(_ body: () -> Result) -> Result {
        swap(&scratch, &auditScratch)
        swap(&key, &auditKey)
        defer {
            swap(&scratch, &auditScratch)
            swap(&key, &auditKey)
        }
        return body()
    }

    /// Appends an event of the exchange that `body` makes; twice when it finds no room for the end of its line at first.
    private func appendEvent(
        _ exchange: ExchangePointer, _ audit: AuditWriter, _ weight: AuditWeight,
        _ body: (inout Buffer) -> Void
    ) -> Recorded {
        let notes = exchange.pointee.auditNotes
        let mark = audit.appendEvent(weight) {
            exchange.pointee.auditNotes = notes
            body(&$0)
        }
        return mark.map { .recorded($0) } ?? .lost
    }

    private func auditWeight(_ exchange: ExchangePointer) -> AuditWeight {
        if exchange.pointee.forwardedAt == 0, exchange.pointee.reply.stored == nil { return .refusal }
        return lendAuditRule(of: exchange)?.pointee.changesState == false ? .read : .change
    }

    // MARK: - Folding

    /// The first of equal reads has its event, the others are counted until the window ends.
    @inline(__always) private func foldEvent(_ exchange: ExchangePointer, _ audit: AuditWriter) -> Recorded {
        let key = foldKey(exchange, audit)
        if audit.fold.count(key, now: now, wallMicroseconds: wallMicroseconds) { return .none }
        return withAuditScratch { beginFold(key, exchange, audit) }
    }

    private func beginFold(_ key: UInt64, _ exchange: ExchangePointer, _ audit: AuditWriter) -> Recorded {
        auditText.removeAll()
        appendAuditEvent(exchange, to: &auditText)
        let event = Content(auditText.readable)
        let window = configuration.foldNanoseconds
        guard let mark = audit.appendEvent(auditWeight(exchange), { $0.append(event.bytes) }) else {
            return .lost
        }
        if let ended = audit.fold.begin(
            key, event: event, now: now, window: window, wallMicroseconds: wallMicroseconds)
        {
            appendFolded(ended, audit)
        }
        if audit.foldsAt == 0 { audit.foldsAt = now + window }
        return .recorded(mark)
    }

    /// What makes reads equal: who, from where, what, and how it ended.
    ///
    /// Who it is goes in as the hashes that the identity has: under a key as this one, so that no two can be chosen that
    /// have the same.
    @inline(__always) private func foldKey(_ exchange: ExchangePointer, _ audit: AuditWriter) -> UInt64 {
        let hasHead = exchange.pointee.head.byteCount > 0
        let method = exchange.pointee.head.method
        var parts: InlineArray<5, UInt64> = .init(repeating: 0)
        if let identity = exchange.pointee.identity {
            parts[0] = identity._withUnsafeGuaranteedRef { $0.userHash }
            parts[1] = identity._withUnsafeGuaranteedRef { $0.projectHash }
        } else if let token = userToken(exchange) {
            parts[0] = audit.hash.hash(token)
        }
        parts[2] = exchange.pointee.client.high
        parts[3] = exchange.pointee.client.low
        parts[4] =
            UInt64(truncatingIfNeeded: exchange.pointee.status) << 32
            | UInt64(exchange.pointee.client.family.rawValue) << 24
            | UInt64(exchange.pointee.failure.rawValue) << 16
            | (hasHead ? UInt64(method.rawValue) + 1 : 0) << 8 | (exchange.pointee.identity == nil ? 0 : 1)
        auditText.removeAll()
        withUnsafeBytes(of: parts) { auditText.append($0.bindMemory(to: UInt8.self)) }
        if hasHead {
            let head = exchange.pointee.headBytes
            // A method that is not known has its name alone; a space is in none, and ends it.
            if method == .other {
                auditText.append(head.view(exchange.pointee.head.methodName))
                auditText.append(" ")
            }
            let target = head.view(exchange.pointee.head.target.whole)
            if target.count <= Self.maxAuditEventByteCount {
                auditText.append(target)
            } else {
                withUnsafeBytes(of: audit.hash.hash(target)) {
                    auditText.append($0.bindMemory(to: UInt8.self))
                }
            }
        }
        return audit.hash.hash(auditText.readable) | 1
    }

    /// Appends the event that ends a window: the first one's, with a new id, and how many there were.
    private func appendFolded(_ place: AuditFold.Place, _ audit: AuditWriter) {
        guard let event = place.event else { return }
        _ = audit.appendEvent(.read) { appendFoldedEvent(event.bytes, place, to: &$0) }
    }

    private func appendFoldedEvent(_ event: ByteView, _ place: AuditFold.Place, to buffer: inout Buffer) {
        let (id, time) = (Self.auditEventIDOffset, Self.auditEventTimeOffset)
        buffer.append(event.view(0, id))
        UUIDForm.append(&random, to: &buffer)
        buffer.append(event.view(id + 36, time - id - 36))
        appendAuditTime(place.lastAt, to: &buffer)
        // `gatehouse` is the last member, and has one at least.
        buffer.append(event.view(time + 32, event.count - time - 34))
        buffer.append(",\"folds\":\"")
        buffer.append(event.view(id, 36))
        buffer.append("\",\"count\":")
        buffer.appendDecimal(place.count)
        buffer.append(",\"first\":\"")
        appendAuditTime(place.firstAt, to: &buffer)
        buffer.append("\",\"last\":\"")
        appendAuditTime(place.lastAt, to: &buffer)
        buffer.append("\"}}")
    }

    /// Appends a moment in microseconds since 1970 as events have their times.
    private func appendAuditTime(_ microseconds: Int64, to buffer: inout Buffer) {
        Self.appendTime(microseconds / 1_000_000, to: &buffer)
        buffer.append(".")
        Self.appendMicroseconds(Int(microseconds % 1_000_000), to: &buffer)
        buffer.append("+00:00")
    }

    private static func appendMicroseconds(_ count: Int, to buffer: inout Buffer) {
        var unit = 100_000
        while unit > 0 {
            buffer.append(UInt8(0x30 + count / unit % 10))
            unit /= 10
        }
    }

    /// Ends windows whose time is over; all of them at the end.
    func endFolds(isEnd: Bool) {
        guard let audit else { return }
        for place in audit.fold.takeEnded(now: now, isEnd: isEnd) { appendFolded(place, audit) }
        audit.foldsAt = audit.fold.openCount > 0 ? now + 1_000_000_000 : 0
    }

    private var wallMicroseconds: Int64 { wallSeconds * 1_000_000 + Int64(wallNanoseconds / 1_000) }

    // MARK: - Holding answers

    /// Whether a connection's bytes have to wait for an event that is not safe yet.
    func mustHold(_ connection: DownstreamPointer) -> Bool {
        guard let audit else { return false }
        let weight = AuditWeight(rawValue: connection.pointee.auditWeight) ?? .change
        if connection.pointee.auditMark <= audit.safeMark
            || connection.pointee.auditMark != .max && mayGo(weight, audit)
        {
            connection.pointee.auditMark = 0
            connection.pointee.auditWeight = 0
            return false
        }
        if !connection.pointee.isHeld {
            connection.pointee.isHeld = true
            audit.held.append(connection.pointee.handle)
        }
        return true
    }

    /// Whether an answer may leave although its event cannot be kept.
    private func mayGo(_ weight: AuditWeight, _ audit: AuditWriter) -> Bool {
        if audit.trail.settings.durability == .bestEffort { return true }
        guard audit.isFailing else { return false }
        return switch audit.trail.settings.onFailure {
        case .continue: true
        case .refuseWrites: weight != .change
        case .refuse: weight == .refusal
        }
    }

    /// Whether every request is refused, reads as well, because its event could not be kept.
    var auditRefusesAll: Bool {
        lentAudit?._withUnsafeGuaranteedRef {
            $0.isFailing && $0.trail.settings.onFailure == .refuse
                && $0.trail.settings.durability != .bestEffort
        } ?? false
    }

    /// Whether a request is refused because its event could not be kept.
    func auditRefuses(isWrite: Bool) -> Bool {
        guard let audit, audit.isFailing, audit.trail.settings.durability != .bestEffort else { return false }
        return switch audit.trail.settings.onFailure {
        case .continue: false
        case .refuseWrites: isWrite
        case .refuse: true
        }
    }

    /// Writes the events of this round, and lets the answers go that waited for them.
    func settleAudit() { lentAudit?._withUnsafeGuaranteedRef { settleAudit($0) } }

    private func settleAudit(_ audit: AuditWriter) {
        if audit.trail.settings.durability == .bestEffort {
            if audit.byteCount >= 65_536 {
                audit.write(now: now, wallSeconds: wallSeconds)
            } else if !audit.isEmpty, flushesAt == 0 {
                flushesAt = now + 100_000_000
            }
        } else {
            audit.write(now: now, wallSeconds: wallSeconds)
        }
        if let mark = audit.unsyncedMark, !audit.isSyncing { synchronize(audit, mark) }
        releaseHeld(audit)
    }

    private func releaseHeld(_ audit: AuditWriter) {
        guard audit.mayReleaseMore() else { return }
        let held = audit.takeHeld()
        for handle in held {
            guard let connection = downstreams.find(handle), connection.pointee.state != .closed else {
                continue
            }
            connection.pointee.isHeld = false
            // Looked at as if the kernel had room again; what still has to wait is held anew.
            settle(connection)
        }
        audit.giveBack(held)
    }

    /// Has the disk keep what was written, beside the loop; the answers that wait go in the turn that hears of it.
    private func synchronize(_ audit: AuditWriter, _ mark: UInt64) {
        let descriptor = audit.trail.duplicate()
        // Without a descriptor there is nothing to ask by; the next round tries again, or the next tick.
        guard descriptor >= 0 else { return }
        audit.isSyncing = true
        AuditQueue.run { [self] in
            let code = RecordFile.synchronizeAndClose(descriptor)
            mail { worker in
                guard let audit = worker.audit else { return }
                audit.isSyncing = false
                if code == 0 {
                    audit.synced(to: mark)
                } else {
                    audit.trail.breakOff("fdatasync: \(SystemError.describe(code))")
                }
            }
        }
    }

    /// What is due by the clock: ended windows, lines that no answer waits for or that the disk refused, a new file.
    ///
    /// Answers that wait are looked at when the turn ends.
    func tickAudit() {
        guard let audit else { return }
        if audit.foldsAt != 0, audit.foldsAt <= now { endFolds(isEnd: false) }
        audit.write(now: now, wallSeconds: wallSeconds)
        guard audit.isEmpty, audit.trail.needsRotation(wallSeconds: wallSeconds) else { return }
        audit.rotate(time: Self.timeNow, wallSeconds: wallSeconds)
    }

    // MARK: - Beginning and end

    /// Begins the loops' parts of the trail; before they start.
    ///
    /// - Errors: `SystemError` when their first lines cannot be written.
    static func beginAudit(_ trail: AuditTrail, _ workers: [Worker]) throws(SystemError) {
        let writers = workers.map { AuditWriter(trail, worker: $0.index, random: &$0.random) }
        let code = AuditWriter.begin(writers, time: timeNow, wallSeconds: WallClock.now().seconds)
        guard code == 0 else { throw SystemError(call: "write", code: code) }
        for (worker, writer) in zip(workers, writers) {
            worker.audit = writer
            worker.auditDigester = trail.digester
        }
    }

    /// Ends this loop's part of the trail, with all that is still open.
    func endAudit() {
        guard let audit else { return }
        endFolds(isEnd: true)
        settleAudit()
        audit.end(time: Self.timeNow, now: now, wallSeconds: wallSeconds)
    }

    /// `2026-09-01T10:00:00.123456Z`
    static var timeNow: Content {
        let wall = WallClock.now()
        var text = Buffer(capacity: 40)
        appendTime(wall.seconds, to: &text)
        text.append(".")
        appendMicroseconds(Int(wall.nanoseconds / 1_000), to: &text)
        text.append("Z")
        return Content(text.readable)
    }
}
