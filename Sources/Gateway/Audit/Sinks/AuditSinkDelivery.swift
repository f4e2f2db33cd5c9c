internal import Bytes
internal import Logging
internal import Loop

/// What a sink's thread does: reads events, sends them, has them confirmed, and goes back to the last confirmed one after a
/// failure.
///
/// - Shape: nothing is passed over. All that was sent is settled before the next file is begun, so that the cursor and the
///   reader are always in one.
/// - Ownership: of the sink's thread.
final class AuditSinkDelivery {
    private static let maxUnsettledCount = 4_096
    private static let maxUnsettledByteCount: UInt64 = 4 << 20
    private static let maxUnsettledNanoseconds: UInt64 = 1_000_000_000
    /// The file is looked at this often while it does not grow.
    private static let idleNanoseconds: UInt64 = 100_000_000
    private static let pauses: ClosedRange<UInt64> = 100_000_000...5_000_000_000
    private static let cursorNanoseconds: UInt64 = 1_000_000_000
    private static let stepDuration: Duration = .seconds(10)

    private let sink: AuditSink
    private let cursorPath: String
    private var reader: SinkReader?
    /// How far the receiver has confirmed.
    private var settled = SinkCursor(file: .none)
    private var unsettledCount = 0
    private var unsettledSince: UInt64 = 0
    /// Of the events behind the cursor, so many were sent before.
    private var sentBeforeCount = 0
    private var wasQuiet = false
    private var pause = pauses.lowerBound
    private var failedReadingCount = 0
    private var isFailing = false
    private var hasMoved = false
    private var cursorWrittenAt: UInt64 = 0
    private var cannotWriteCursor = false
    private var held: TrailEnds.Identity?

    init(_ sink: AuditSink) {
        self.sink = sink
        cursorPath = SinkCursor.path(of: sink.settings.name, trail: sink.trail.settings.file.path)
    }

    /// Serves the receiver until the sink ends.
    func run() {
        while !sink.mustStop {
            do throws(SinkFailure) {
                guard try step() else { break }
            } catch {
                fail(error)
                if sink.ending == .settles { break }
                // There is little time left at an end.
                if sink.ending != .none { pause = Self.pauses.lowerBound }
                sink.pause(pause)
                pause = min(pause * 2, Self.pauses.upperBound)
            }
        }
        writeCursor()
    }

    /// Reads on and does what is due; false when the sink has done all before its end.
    private func step() throws(SinkFailure) -> Bool {
        guard let reader = try openedReader() else { return true }
        if sink.ending == .settles {
            try settle(reader)
            return false
        }
        guard let read = try reading({ () throws(TrailFailure) in try reader.next() }) else { return true }
        switch read {
        case .events(let events):
            wasQuiet = false
            try send(events)
            if unsettledCount == 0 { move(to: reader.cursor) }
            if isDue(reader) { try settle(reader) }
            if MonotonicClock.now() - cursorWrittenAt >= Self.cursorNanoseconds { writeCursor() }
        case .nothing:
            return try rest(reader)
        case .ended:
            try settle(reader)
            guard try advance(reader) else { return try rest(reader) }
            move(to: reader.cursor)
            writeCursor()
            sink.settledMark.store(reader.mark(), ordering: .relaxed)
        }
        return true
    }

    /// With nothing to read: settles what has waited long enough, and waits.
    private func rest(_ reader: SinkReader) throws(SinkFailure) -> Bool {
        if wasQuiet || sink.ending == .drains { try settle(reader) }
        if sink.ending == .drains { return false }
        writeCursor()
        wasQuiet = true
        sink.pause(Self.idleNanoseconds)
        return true
    }

    // MARK: - Reading

    /// The reader, opened where the cursor says when there is none; nil when that is to be tried again.
    private func openedReader() throws(SinkFailure) -> SinkReader? {
        if let reader { return reader }
        let (trail, log, name) = (sink.trail, sink.log, sink.settings.name)
        var cursor: SinkCursor?
        do throws(SinkFailure) {
            cursor = try SinkCursor.read(cursorPath)
        } catch {
            tell("\(error); all events of the trail are sent")
        }
        let opened = try reading { () throws(TrailFailure) in
            try SinkReader(trail, cursor) { text in
                log.error("audit sink: \(text)", metadata: ["sink": "\(name)"])
            }
        }
        guard let opened else { return nil }
        reader = opened
        settled = opened.cursor
        hold(opened.identity)
        sink.settledMark.store(opened.mark(), ordering: .relaxed)
        return opened
    }

    private func advance(_ reader: SinkReader) throws(SinkFailure) -> Bool {
        try reading { () throws(TrailFailure) in try reader.advance() } ?? false
    }

    /// What `body` reads of the trail; nil when it could not and may soon: a rotation moves files meanwhile.
    private func reading<Value>(_ body: () throws(TrailFailure) -> Value) throws(SinkFailure) -> Value? {
        do throws(TrailFailure) {
            let value = try body()
            failedReadingCount = 0
            return value
        } catch {
            failedReadingCount += 1
            guard failedReadingCount > 2 else {
                sink.pause(Self.idleNanoseconds)
                return nil
            }
            throw SinkFailure("the trail cannot be read: \(error)")
        }
    }

    // MARK: - Sending

    private var deadline: SinkDeadline {
        SinkDeadline(Self.stepDuration, stopDescriptor: sink.stopDescriptor)
    }

    private func send(_ events: [SinkEvent]) throws(SinkFailure) {
        guard let first = events.first else { return }
        if sink.oldestAt.load(ordering: .relaxed) == 0 {
            sink.oldestAt.store(Self.time(of: first), ordering: .relaxed)
        }
        try sink.destination.send(events, deadline)
        let repeated = max(0, min(events.count, sentBeforeCount - unsettledCount))
        sink.repeatedCount.wrappingAdd(UInt64(repeated), ordering: .relaxed)
        if unsettledCount == 0 { unsettledSince = MonotonicClock.now() }
        unsettledCount += events.count
    }

    private static func time(of event: SinkEvent) -> Int64 {
        event.text("eventTime").flatMap { TrailTime.microseconds($0) } ?? WallClock.now().seconds * 1_000_000
    }

    private func isDue(_ reader: SinkReader) -> Bool {
        unsettledCount >= Self.maxUnsettledCount
            || reader.cursor.offset - settled.offset >= Self.maxUnsettledByteCount
            || unsettledCount > 0 && MonotonicClock.now() - unsettledSince >= Self.maxUnsettledNanoseconds
    }

    /// Has the receiver confirm what was sent.
    private func settle(_ reader: SinkReader) throws(SinkFailure) {
        guard unsettledCount > 0 else { return }
        try sink.destination.settle(deadline)
        sink.settledCount.wrappingAdd(UInt64(unsettledCount), ordering: .relaxed)
        sentBeforeCount = max(0, sentBeforeCount - unsettledCount)
        unsettledCount = 0
        sink.oldestAt.store(0, ordering: .relaxed)
        move(to: reader.cursor)
        pause = Self.pauses.lowerBound
        guard isFailing else { return }
        isFailing = false
        sink.isFailing.store(false, ordering: .relaxed)
        sink.log.notice(
            "the audit sink takes events again", metadata: ["sink": "\(sink.settings.name)"])
    }

    private func fail(_ failure: SinkFailure) {
        sink.destination.close()
        sentBeforeCount = max(sentBeforeCount, unsettledCount)
        unsettledCount = 0
        wasQuiet = false
        reader?.goBack(to: settled)
        // To be stopped is no failure of the receiver.
        guard !sink.mustStop else { return }
        sink.failureCount.wrappingAdd(1, ordering: .relaxed)
        guard !isFailing else { return }
        isFailing = true
        sink.isFailing.store(true, ordering: .relaxed)
        sink.log.error(
            "the audit sink does not take events",
            metadata: ["sink": "\(sink.settings.name)", "reason": "\(failure)"])
    }

    // MARK: - The cursor

    private func move(to cursor: SinkCursor) {
        guard cursor != settled else { return }
        if cursor.file == settled.file, cursor.offset > settled.offset {
            sink.settledMark.wrappingAdd(Int64(cursor.offset - settled.offset), ordering: .relaxed)
        }
        settled = cursor
        hasMoved = true
    }

    /// Writes the cursor where it has moved.
    private func writeCursor() {
        // Of a file without a line there is nothing to know it by.
        guard hasMoved, settled.file != .none else { return }
        cursorWrittenAt = MonotonicClock.now()
        let path = sink.trail.settings.file.path
        let code = settled.write(
            cursorPath, mode: sink.trail.settings.file.mode, trailName: AuditNames.last(path))
        guard code == 0 else {
            sink.failureCount.wrappingAdd(1, ordering: .relaxed)
            if !cannotWriteCursor {
                tell(
                    "\(cursorPath): \(SystemError.describe(code)): without it, a restart sends events again "
                        + "and rotated files stay")
            }
            cannotWriteCursor = true
            return
        }
        hasMoved = false
        if let reader { hold(reader.identity) }
        if cannotWriteCursor {
            cannotWriteCursor = false
            sink.log.notice("the audit sink's cursor is written again", metadata: ["file": "\(cursorPath)"])
        }
    }

    /// Lets files go that are before `file`, in which a restart would begin.
    private func hold(_ file: TrailEnds.Identity) {
        guard held != file else { return }
        held = file
        sink.hold(file)
        sink.trail.removeOldest()
    }

    private func tell(_ text: String) {
        sink.log.error("audit sink: \(text)", metadata: ["sink": "\(sink.settings.name)"])
    }
}
