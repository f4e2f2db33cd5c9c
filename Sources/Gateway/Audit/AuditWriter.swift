internal import Bytes
internal import Loop

/// The trail as one loop writes it: its chain, the lines of this round, and how far they are safe.
///
/// - Shape: lines are made in a buffer and appended to the file once a round. A mark is the count of events so far: an
///   answer leaves when the mark of its event is safe.
/// - Limits: 4 MiB of lines that could not be written; what has no room then is lost, and counted.
/// - Ownership: of one loop alone.
final class AuditWriter {
    static let maxByteCount = 4 << 20
    private static let firstByteCount = 256 << 10
    /// Left for lines that are no events, and for the longest event.
    private static let reservedByteCount = 128 << 10
    /// As long as the disk refuses, it is tried this often.
    private static let retryNanoseconds: UInt64 = 100_000_000

    let trail: AuditTrail
    private let worker: Int
    private var chain: AuditChain
    private var lines = Buffer(capacity: firstByteCount)
    /// Events made; and those that are as safe as the settings ask.
    private(set) var mark: UInt64 = 0
    private(set) var safeMark: UInt64 = 0
    /// Events in the file, but with `synced` not yet on the disk.
    private var writtenMark: UInt64 = 0
    /// Events since the last signed line.
    private var unsignedCount = 0
    private var retriesAt: UInt64 = 0
    /// Connections with answers whose events are not safe yet.
    var held: [Handle] = []
    private var spare: [Handle] = []
    /// The disk is being asked to keep what was written.
    var isSyncing = false
    var fold = AuditFold()
    /// When windows that are over are looked for next; 0 while none is open.
    var foldsAt: UInt64 = 0
    /// The wall second at which the file was last looked for.
    private var lookedForFileAt: Int64 = 0
    let hash = KeyedHash.random()
    private(set) var lostCount: UInt64 = 0
    private(set) var eventCount: UInt64 = 0
    private(set) var writeCount: UInt64 = 0

    init(_ trail: AuditTrail, worker: Int, random: inout RandomSource) {
        self.trail = trail
        self.worker = worker
        chain = AuditChain(&random)
    }

    /// The errno value of the last write; 0 when the file has all that was to be written then.
    private var failureCode: Int32 = 0
    /// Nothing is taken any more; exchanges that end now are lost.
    private var hasEnded = false
    /// What the held answers were last looked at with.
    private var lookedAt: (safeMark: UInt64, isFailing: Bool) = (0, false)

    /// Whether its lines cannot be kept.
    var isFailing: Bool { failureCode != 0 || trail.isBroken }

    /// Whether held answers may go that could not when they were last looked at.
    func mayReleaseMore() -> Bool {
        guard !held.isEmpty, lookedAt != (safeMark, isFailing) else { return false }
        lookedAt = (safeMark, isFailing)
        return true
    }

    var isEmpty: Bool { lines.isEmpty }
    /// Nothing has to be written nor to be asked of the disk, and no window is open.
    var isQuiet: Bool { lines.isEmpty && foldsAt == 0 && (isSyncing || unsyncedMark == nil) }
    /// Bytes that are not in the file yet.
    var byteCount: Int { lines.count }

    var state: WorkerReport.AuditState {
        WorkerReport.AuditState(
            eventCount: eventCount, lostCount: lostCount, writeCount: writeCount,
            openFoldCount: fold.openCount,
            waitingByteCount: lines.count, byteCount: trail.byteCount.load(ordering: .relaxed),
            failureCount: trail.failureCount.load(ordering: .relaxed),
            rotationCount: trail.rotationCount.load(ordering: .relaxed), isFailing: isFailing)
    }

    /// The connections that wait, to be looked at; two arrays take turns, so that none is made.
    func takeHeld() -> [Handle] {
        var taken = spare
        spare = []
        swap(&taken, &held)
        return taken
    }

    func giveBack(_ taken: [Handle]) {
        spare = taken
        spare.removeAll(keepingCapacity: true)
    }

    // MARK: - Lines

    /// Writes the first lines of all writers of a process in one piece, and marks what another one left unfinished.
    ///
    /// - Errors: the errno value, 0 for none.
    static func begin(_ writers: [AuditWriter], time: Content, wallSeconds: Int64) -> Int32 {
        guard let first = writers.first, let last = writers.last else { return 0 }
        let trail = first.trail
        var all = Buffer(capacity: 4_096 * (writers.count + trail.found.fragments.count + 1))
        if trail.found.lacksLineFeed { all.append("\n") }
        var digest = trail.found.lastDigest
        for writer in writers {
            writer.chain = writer.chain.following(digest)
            writer.appendStart(time, process: trail.process, workerCount: trail.workerCount)
            if writer === first { writer.appendRepairs(trail.found.fragments) }
            all.append(writer.lines.readable)
            writer.lines.removeAll()
            digest = writer.chain.previous
        }
        return trail.append(all.readable, digest: last.chain.previous, wallSeconds: wallSeconds)
    }

    /// The lines that begin a file in place of one that was moved: a writer of their own, which names that file and its
    /// last line and ends at once. The others go on with their chains behind it.
    static func opening(
        _ trail: AuditTrail, after moved: String, previous: InlineArray<32, UInt8>, time: Content
    ) -> (lines: Content, digest: InlineArray<32, UInt8>) {
        var random = RandomSource()
        let writer = AuditWriter(trail, worker: 0, random: &random)
        writer.chain = writer.chain.following(previous)
        var process = Buffer(capacity: 32)
        process.appendHexadecimal(random.next(), width: 16)
        writer.appendStart(
            time, process: Content(process.readable), workerCount: 1, after: Content(text: moved))
        writer.appendEnd(time)
        return (Content(writer.lines.readable), writer.chain.previous)
    }

    private func appendStart(_ time: Content, process: Content, workerCount: Int, after moved: Content? = nil)
    {
        appendSigned { lines in
            lines.append("\"start\":{\"time\":\"")
            lines.append(time.bytes)
            lines.append("\",\"version\":\"")
            lines.append(Version.text)
            lines.append("\",\"process\":\"")
            lines.append(process.bytes)
            lines.append("\",\"workers\":")
            lines.appendDecimal(workerCount)
            lines.append(",\"worker\":")
            lines.appendDecimal(worker)
            if trail.key != nil {
                lines.append(",\"sign_every\":")
                lines.appendDecimal(trail.settings.signEveryCount)
            }
            if let moved {
                lines.append(",\"after\":\"")
                lines.appendJSONEscaped(moved.bytes)
                lines.append("\"")
            } else if trail.found.lastWriter.count == 16 {
                lines.append(",\"continues\":\"")
                trail.found.lastWriter.withUnsafeBufferPointer { lines.append($0) }
                lines.append("\"")
            }
        }
    }

    private func appendRepairs(_ fragments: [AuditRemains.Fragment]) {
        for fragment in fragments {
            appendSigned { lines in
                lines.append("\"repair\":{\"offset\":")
                lines.appendDecimal(fragment.offset)
                lines.append(",\"byteCount\":")
                lines.appendDecimal(fragment.byteCount)
                lines.append(",\"sha256\":\"")
                withUnsafeBytes(of: fragment.digest) { lines.appendHexadecimal($0) }
                lines.append("\"")
            }
        }
    }

    private func appendEnd(_ time: Content) {
        appendSigned { lines in
            lines.append("\"end\":{\"time\":\"")
            lines.append(time.bytes)
            lines.append("\"")
        }
    }

    /// Appends a line; false, and none of it, when there is no room.
    private func append(_ body: (inout Buffer, AuditChain) -> Void) -> Bool {
        while true {
            let (before, chainBefore) = (lines.count, chain)
            chain.begin(&lines)
            body(&lines, chain)
            if chain.end(&lines) { return true }
            chain = chainBefore
            lines.hasOverflowed = false
            lines.cut(to: before)
            guard lines.capacity < Self.maxByteCount else { return false }
            lines.enlarge(to: min(Self.maxByteCount, lines.capacity * 4))
        }
    }

    /// Appends a line that is no event, whose object `body` leaves open; signed where there is a key.
    ///
    /// There is always room for one: events leave it.
    private func appendSigned(_ body: (inout Buffer) -> Void) {
        let key = trail.key
        _ = append { lines, chain in
            body(&lines)
            if let key { chain.sign(&lines, key) }
            lines.append("}")
        }
        if key != nil { unsignedCount = 0 }
    }

    /// Appends an event that `body` writes; its mark, or nil when there is no room for it, and it is lost.
    func appendEvent(_ weight: AuditWeight, _ body: (inout Buffer) -> Void) -> UInt64? {
        var isTaken = hasRoom(weight) && appendEvent(body)
        if !isTaken, !hasEnded, !isFailing {
            // A round of more events than there is room for: what there is goes to the file first.
            write(now: MonotonicClock.now(), wallSeconds: WallClock.now().seconds)
            isTaken = hasRoom(weight) && appendEvent(body)
        }
        guard isTaken else {
            lostCount += 1
            return nil
        }
        eventCount += 1
        unsignedCount += 1
        mark += 1
        // Right behind the last event that it covers.
        if unsignedCount >= trail.settings.signEveryCount { appendHead() }
        return mark
    }

    /// While nothing can be written, half of the room is for what changed something.
    private func hasRoom(_ weight: AuditWeight) -> Bool {
        let room = weight == .change ? Self.maxByteCount - Self.reservedByteCount : Self.maxByteCount / 2
        return !hasEnded && lines.count < room
    }

    private func appendEvent(_ body: (inout Buffer) -> Void) -> Bool {
        append { lines, _ in
            lines.append("\"event\":")
            body(&lines)
        }
    }

    /// Signs the chain as it stands now, where there is a key.
    private func appendHead() {
        guard trail.key != nil, unsignedCount > 0 else { return }
        let mark = mark
        appendSigned { lines in
            lines.append("\"head\":{\"events\":")
            lines.appendDecimal(mark)
        }
    }

    // MARK: - Writing

    /// Appends the lines that are due to the file, unless the disk refused a moment ago.
    func write(now: UInt64, wallSeconds: Int64) {
        guard !lines.isEmpty, failureCode == 0 || now >= retriesAt else { return }
        if wallSeconds != lookedForFileAt {
            lookedForFileAt = wallSeconds
            trail.lookForFile()
        }
        let code = trail.append(lines.readable, digest: chain.previous, wallSeconds: wallSeconds)
        if (code == 0) != (failureCode == 0) { trail.noteFailing(code) }
        failureCode = code
        guard code == 0 else { return retriesAt = now + Self.retryNanoseconds }
        writeCount += 1
        lines.removeAll()
        writtenMark = mark
        if trail.settings.durability != .synced { safeMark = mark }
    }

    /// Events up to here wait for the disk; nil for none.
    var unsyncedMark: UInt64? {
        trail.settings.durability == .synced && !trail.isBroken && writtenMark > safeMark ? writtenMark : nil
    }

    /// The disk has all events up to `mark`.
    func synced(to mark: UInt64) {
        // Once it said that it lost something, its word that it has something is worth nothing.
        if !trail.isBroken { safeMark = max(safeMark, mark) }
    }

    /// Ends the chain.
    func end(time: Content, now: UInt64, wallSeconds: Int64) {
        guard !hasEnded else { return }
        appendEnd(time)
        hasEnded = true
        retriesAt = 0
        write(now: now, wallSeconds: wallSeconds)
        if !lines.isEmpty { trail.noteLost(lines.count) }
    }

    /// Goes on in a new file where it is time; with no lines that wait.
    func rotate(time: Content, wallSeconds: Int64) {
        let (before, unsignedBefore) = (chain, unsignedCount)
        var ended = chain
        let from = Content(text: AuditNames.last(trail.settings.file.path))
        let rotation = trail.rotate(time: time.bytes.string, wallSeconds: wallSeconds) { name in
            let to = Content(text: AuditNames.last(name))
            appendSigned { lines in
                lines.append("\"rotation\":{\"from\":\"")
                lines.appendJSONEscaped(from.bytes)
                lines.append("\",\"to\":\"")
                lines.appendJSONEscaped(to.bytes)
                lines.append("\"")
            }
            ended = chain
            let last = Content(lines.readable)
            lines.removeAll()
            appendSigned { lines in
                lines.append("\"rotation\":{\"after\":\"")
                lines.appendJSONEscaped(to.bytes)
                lines.append("\",\"sha256\":\"")
                withUnsafeBytes(of: ended.previous) { lines.appendHexadecimal($0) }
                lines.append("\",\"time\":\"")
                lines.append(time.bytes)
                lines.append("\"")
            }
            let first = Content(lines.readable)
            lines.removeAll()
            return AuditTrail.Lines(
                last: last, lastDigest: ended.previous, first: first, firstDigest: chain.previous)
        }
        switch rotation {
        case .done: break
        case .onlyEnded: chain = ended
        case .refused: (chain, unsignedCount) = (before, unsignedBefore)
        }
    }
}
