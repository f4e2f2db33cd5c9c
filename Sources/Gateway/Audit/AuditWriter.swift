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
    private var signedSequence: UInt64 = 0
    private var retriesAt: UInt64 = 0
    /// Connections with answers whose events are not safe yet.
    var held: [Handle] = []
    private(set) var lostCount: UInt64 = 0
    private(set) var eventCount: UInt64 = 0
    private(set) var writeCount: UInt64 = 0

    init(_ trail: AuditTrail, worker: Int, random: inout RandomSource) {
        self.trail = trail
        self.worker = worker
        chain = AuditChain(&random)
    }

    /// Whether the last write or synchronization failed.
    var isFailing: Bool { trail.failureCode != 0 }

    var isEmpty: Bool { lines.isEmpty }

    // MARK: - Lines

    /// Writes the writer's first line, and marks what another process left unfinished.
    ///
    /// - Errors: the errno value, 0 for none.
    func start(marksRemains: Bool, time: ByteView, wallSeconds: Int64) -> Int32 {
        let remains = trail.found
        if marksRemains, remains.fragmentByteCount > 0 { lines.append("\n") }
        chain = chain.following(trail.lastDigest)
        _ = append { lines in
            lines.append("\"start\":{\"time\":\"")
            lines.append(time)
            lines.append("\",\"version\":\"")
            lines.append(Version.text)
            lines.append("\",\"worker\":")
            lines.appendDecimal(worker)
            if remains.lastWriter.count == 16 {
                lines.append(",\"continues\":\"")
                remains.lastWriter.withUnsafeBufferPointer { lines.append($0) }
                lines.append("\"")
            }
            lines.append("}")
        }
        if marksRemains, remains.fragmentByteCount > 0 {
            _ = append { lines in
                lines.append("\"repair\":{\"offset\":")
                lines.appendDecimal(remains.fragmentOffset)
                lines.append(",\"byteCount\":")
                lines.appendDecimal(remains.fragmentByteCount)
                lines.append(",\"sha256\":\"")
                for index in 0..<32 {
                    lines.appendHexadecimal(UInt64(remains.fragmentDigest[index]), width: 2)
                }
                lines.append("\"}")
            }
        }
        return write(wallSeconds: wallSeconds)
    }

    /// Makes room for a line, and lets `body` append its member.
    private func append(_ body: (inout Buffer) -> Void) -> Bool {
        let before = lines.count
        let chainBefore = chain
        chain.begin(&lines)
        body(&lines)
        if chain.end(&lines) { return true }
        chain = chainBefore
        lines.hasOverflowed = false
        lines.cut(to: before)
        return false
    }

    /// Appends an event that `body` writes; its mark, or nil when there is no room for it, and it is lost.
    func appendEvent(_ body: (inout Buffer) -> Void) -> UInt64? {
        var isTaken = append { lines in
            lines.append("\"event\":")
            body(&lines)
        }
        if !isTaken, lines.capacity < Self.maxByteCount {
            lines.enlarge(to: min(Self.maxByteCount, lines.capacity * 4))
            isTaken = append { lines in
                lines.append("\"event\":")
                body(&lines)
            }
        }
        guard isTaken else {
            lostCount += 1
            return nil
        }
        eventCount += 1
        mark += 1
        return mark
    }

    /// Signs the chain as it stands now, where there is a key.
    private func appendHead() {
        guard let key = trail.key else { return }
        let signed = chain
        _ = append { lines in
            lines.append("\"head\":{\"key\":\"")
            lines.append(key.name.bytes)
            lines.append("\",\"signature\":\"")
            var text = Buffer(capacity: 128)
            signed.appendSigned(to: &text)
            key.appendSignature(of: text.readable, to: &lines)
            lines.append("\"}")
        }
        signedSequence = chain.sequence
    }

    // MARK: - Writing

    /// Appends this round's lines to the file; the errno value, 0 for none.
    func write(wallSeconds: Int64) -> Int32 {
        if trail.key != nil, chain.sequence - signedSequence >= UInt64(trail.settings.signEveryCount) {
            appendHead()
        }
        guard !lines.isEmpty else { return 0 }
        let code = trail.append(lines.readable, digest: chain.previous, wallSeconds: wallSeconds)
        guard code == 0 else { return code }
        writeCount += 1
        lines.removeAll()
        writtenMark = mark
        if trail.settings.durability != .synced { safeMark = mark }
        return 0
    }

    /// Writes unless the disk refused a moment ago.
    func writeIfDue(now: UInt64, wallSeconds: Int64) {
        guard !lines.isEmpty, !isFailing || now >= retriesAt else { return }
        if write(wallSeconds: wallSeconds) != 0 { retriesAt = now + Self.retryNanoseconds }
    }

    /// Events up to here wait for the disk; nil for none.
    var unsyncedMark: UInt64? {
        trail.settings.durability == .synced && writtenMark > safeMark ? writtenMark : nil
    }

    /// The disk has all events up to `mark`.
    func synced(to mark: UInt64) { safeMark = max(safeMark, mark) }

    /// Ends the chain, with a signed head where there is a key.
    func end(time: ByteView, wallSeconds: Int64) {
        appendHead()
        _ = append { lines in
            lines.append("\"end\":{\"time\":\"")
            lines.append(time)
            lines.append("\"}")
        }
        _ = write(wallSeconds: wallSeconds)
    }

    /// Goes on in a new file where this one has grown to its size or age.
    func rotateIfDue(time: ByteView, wallSeconds: Int64) {
        guard lines.isEmpty, trail.needsRotation(wallSeconds: wallSeconds) else { return }
        let path = trail.settings.file.path
        let name = AuditNames.rotated(path, time: time.string)
        guard let name else { return }
        let before = chain
        appendHead()
        _ = append { lines in
            lines.append("\"rotation\":{\"from\":\"")
            lines.appendJSONEscaped(Content(text: AuditNames.last(path)).bytes)
            lines.append("\",\"to\":\"")
            lines.appendJSONEscaped(Content(text: AuditNames.last(name)).bytes)
            lines.append("\"}")
        }
        let (last, ended) = (Content(lines.readable), chain)
        lines.removeAll()
        _ = append { lines in
            lines.append("\"rotation\":{\"after\":\"")
            lines.appendJSONEscaped(Content(text: AuditNames.last(name)).bytes)
            lines.append("\",\"sha256\":\"")
            for index in 0..<32 { lines.appendHexadecimal(UInt64(ended.previous[index]), width: 2) }
            lines.append("\"}")
        }
        let rotation = trail.rotate(
            to: name, wallSeconds: wallSeconds, last: last.bytes, lastDigest: ended.previous,
            first: lines.readable, firstDigest: chain.previous)
        lines.removeAll()
        switch rotation {
        case .done: break
        case .onlyEnded: return chain = ended
        case .refused: return chain = before
        }
        guard let kept = trail.settings.rotation.keptFileCount else { return }
        AuditNames.removeOldest(path, keeping: kept)
    }
}
