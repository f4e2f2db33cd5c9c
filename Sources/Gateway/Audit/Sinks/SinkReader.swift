internal import Bytes
internal import Glibc

/// Reads the trail behind its writers, a few events at a time and through rotations, and goes back where it has to.
///
/// - Shape: of the file that is written now it reads no further than what the writers will not take back; what has no line
///   feed yet is waited for.
/// - Limits: the memory of `TrailBlocks`; at most `maxEventCount` events or `maxByteCount` bytes at once.
/// - Ownership: of one sink's thread.
final class SinkReader {
    static let maxEventCount = 512
    static let maxByteCount = 1 << 20

    /// What reading on came to.
    enum Step {
        /// Lines were read; these are the events among them, until the next reading.
        case events([SinkEvent])
        /// All that is written was read.
        case nothing
        /// The file was read, and nobody writes it any more.
        case ended
    }

    let trail: AuditTrail
    private var blocks: TrailBlocks
    private(set) var identity: TrailEnds.Identity
    /// Behind the last line that was given.
    private(set) var cursor: SinkCursor
    /// Whether the file had a whole first line when it was last looked at.
    private(set) var hasBegun: Bool
    /// Lines that were read and are to be looked at from `index` on.
    private var run = ByteView(start: nil, count: 0)
    private var runOffset: UInt64 = 0
    private var index = 0
    private let hash = TrailHash()
    /// What is before this byte of the file was told of.
    private var toldUpTo: UInt64 = 0
    /// Takes a sentence about what in the trail is not as it should be.
    private let tell: (String) -> Void

    /// Opens the trail where `cursor` says, or where it begins.
    ///
    /// - Errors: a file cannot be read.
    init(_ trail: AuditTrail, _ cursor: SinkCursor?, tell: @escaping (String) -> Void) throws(TrailFailure) {
        self.trail = trail
        self.tell = tell
        var found = try cursor.flatMap { cursor throws(TrailFailure) in
            try SinkOpening.named(by: cursor, trail)
        }
        if let cursor, let file = found {
            if !file.has(cursor) {
                tell(
                    "\(file.name) does not have the line before byte \(cursor.offset) that the cursor names; "
                        + "the file's events are sent from its first one")
            } else {
                found?.cursor = cursor
            }
        } else if cursor != nil {
            tell("the file that the cursor names is not there any more; all events of the trail are sent")
        }
        let file: SinkOpening
        if let found { file = found } else { file = try SinkOpening.oldest(of: trail) }
        blocks = try file.blocks()
        identity = file.identity
        hasBegun = file.hasBegun
        self.cursor = file.cursor
        blocks.seek(to: self.cursor.offset)
    }

    /// Reads on from the last line that was given.
    func next() throws(TrailFailure) -> Step {
        if index >= run.count {
            // Asked before reading: a file that is whole by then is read to its end.
            let bound = trail.bound(of: identity)
            if !hasBegun, !(try begin(bound)) { return bound == nil ? .ended : .nothing }
            guard let read = try blocks.next(upTo: bound) else {
                let (offset, byteCount) = (blocks.rest.offset, blocks.rest.byteCount)
                if bound == nil, byteCount > 0 {
                    tell(offset, "\(byteCount) bytes without a line feed at the end are no line")
                }
                return bound == nil ? .ended : .nothing
            }
            (run, runOffset, index) = (read.bytes, read.offset, 0)
            if read.isTooLong {
                tell(read.offset, "a line of \(read.byteCount) bytes is no event")
                cursor.offset = read.offset + read.byteCount
                (cursor.lineByteCount, cursor.line) = (0, .none)
                return .events([])
            }
        }
        return .events(takeEvents())
    }

    private func takeEvents() -> [SinkEvent] {
        var events: [SinkEvent] = []
        var byteCount = 0
        var last = run.view(0, 0)
        while index < run.count, events.count < Self.maxEventCount, byteCount < Self.maxByteCount {
            // A run ends with a line feed.
            let end = run.nextLineFeed(from: index) ?? run.count
            last = run.view(index, end - index)
            byteCount += last.count
            if let line = TrailLine(last) {
                cursor.writer = line.writer
                cursor.sequence = line.sequence
                if line.kind == .event {
                    events.append(
                        SinkEvent(
                            writer: last.view(11, 16), sequence: line.sequence, content: line.content))
                }
            } else if !last.isEmpty {
                tell(runOffset + UInt64(index), "\(last.count) bytes are no line of a trail")
            }
            index = end + 1
        }
        cursor.offset = runOffset + UInt64(index)
        cursor.lineByteCount = UInt64(last.count)
        cursor.line = hash.digest(last)
        return events
    }

    /// Goes back to a place in the same file.
    func goBack(to cursor: SinkCursor) {
        let file = self.cursor.file
        self.cursor = cursor
        // It may have got its first line since then.
        self.cursor.file = file
        forgetRun()
        blocks.seek(to: cursor.offset)
    }

    private func forgetRun() {
        run = ByteView(start: nil, count: 0)
        index = 0
    }

    /// Looks for the first line of a file that had none; false while there is none.
    private func begin(_ bound: UInt64?) throws(TrailFailure) -> Bool {
        guard let read = try blocks.next(upTo: bound) else { return false }
        cursor.file = SinkOpening.firstLine(of: read).map { hash.digest($0) } ?? .none
        blocks.seek(to: 0)
        hasBegun = true
        return true
    }

    /// Tells of what is at a byte of the file, once however often it is read.
    private func tell(_ offset: UInt64, _ text: String) {
        guard offset >= toldUpTo else { return }
        toldUpTo = offset + 1
        tell("\(blocks.name): byte \(offset): \(text)")
    }

    /// Goes on in the file behind the one that ended; false while there is none with a line.
    func advance() throws(TrailFailure) -> Bool {
        guard let (next, isCertain) = try SinkOpening.following(identity, cursor.line, trail) else {
            return false
        }
        if !isCertain {
            tell("a file before \(next.name) is not there any more, and its events were not sent")
        }
        blocks = try next.blocks()
        identity = next.identity
        hasBegun = next.hasBegun
        cursor = next.cursor
        toldUpTo = 0
        forgetRun()
        return true
    }

    /// What the process will have written to the trail once all behind the cursor is settled, less what is behind it.
    ///
    /// - Shape: what is behind a cursor is then what was written by now, less this and what was settled since.
    func mark() -> Int64 { Self.mark(trail, identity, cursor.offset) }

    /// The same for a place in a file; nil means the trail's beginning.
    static func mark(_ trail: AuditTrail, _ identity: TrailEnds.Identity?, _ offset: UInt64) -> Int64 {
        var mark: Int64 = 0
        // A rotation in between moves bytes from one file to another.
        for _ in 0..<3 {
            let standing = trail.standing
            var byteCount = Int64(standing.byteCount)
            let files = AuditNames.rotated(of: trail.settings.file.path).map { TrailSize($0) }
            if standing.file == identity {
                byteCount -= Int64(offset)
            } else {
                let own = files.firstIndex { $0.identity == identity }
                for file in files[(own ?? 0)...] { byteCount += file.byteCount }
                if own != nil { byteCount -= Int64(offset) }
            }
            mark = Int64(standing.written) - byteCount
            if trail.standing.file == standing.file { break }
        }
        return mark
    }

    private struct TrailSize {
        var identity: TrailEnds.Identity?
        var byteCount: Int64 = 0

        init(_ path: String) {
            var facts = stat()
            guard stat(path, &facts) == 0 else { return }
            identity = TrailEnds.Identity(facts)
            byteCount = Int64(facts.st_size)
        }
    }
}

extension AuditTrail {
    /// How far a file may be read; nil for all of one that nobody writes any more.
    func bound(of file: TrailEnds.Identity) -> UInt64? {
        let standing = standing
        return standing.file == file ? standing.byteCount : nil
    }
}
