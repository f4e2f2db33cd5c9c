internal import Bytes

/// Reads the files of a trail in their order and finds what is not as it was written.
///
/// Each writer's lines are counted, and each names the SHA-256 of the one before it; so a line that was changed, taken out,
/// put in, repeated or moved among its writer's is found, but for the changing or cutting of a writer's last lines. Starts
/// name the last line of the file, and how many writers their process has; rotations name the last line of the file
/// before. So a writer or a file cannot be taken out whole, but for the newest.
///
/// Without a key that is all: somebody who makes the chain anew is not found. With the key, each writer's start, each of
/// its heads and its end are signed, so that all up to its last signature is as it was written, and what follows was
/// chained to it by anybody. Cutting off the end at a line leaves writers without an end, as a kill does; only `expectsEnds`
/// tells the two apart, for a trail that nobody writes any more. The order of two lines of different writers between
/// starts, rotations and repairs is nobody's claim.
///
/// - Limits: 65,536 writers and as many processes, each in some 150 bytes;
///   64 fragments at a time.
public final class TrailVerifier {
    static let maxWriterCount = 65_536
    static let maxFragmentCount = 64
    /// A place, while its file is known by number.
    struct Spot {
        var file: Int
        var line: Int
        var offset: UInt64
    }

    struct Writer {
        /// The sequence that its next line has, and what that names.
        var next: UInt64
        var digest: TrailDigest
        var last: Spot
        var hasEnded = false
        /// Of its start.
        var process: UInt64?
        var signEvery: UInt64 = 0
        /// Events and lines since the last valid signature.
        var unsignedEvents: UInt64 = 0
        var unsignedLines = 0
        var missesHead = false
    }

    struct Process {
        var started: UInt64
        var expected: UInt64
        var first: Spot
        /// One of its writers has lines besides what it begins by. Without any, the file was cut within what the process
        /// wrote first: if lines were taken out instead, the next start names another line before it.
        var goesOn = false
    }

    struct Fragment {
        var spot: Spot
        var byteCount: UInt64
        var digest: TrailDigest
    }

    let keys: [TrailKey]
    let expectsEnds: Bool
    let onFinding: (TrailFinding) -> Void
    let hash = TrailHash()

    var verdict = TrailVerdict()
    var files: [String] = []
    var writers: [UInt64: Writer] = [:]
    var processes: [UInt64: Process] = [:]
    var fragments: [Fragment] = []
    /// Of the last whole line; none before there is one.
    var lastDigest = TrailDigest.none
    var lastWriter: UInt64?
    /// The first file goes on after one that is not here, and no other process has begun since: those of the one before
    /// are gone by then.
    var isOpen = false
    /// The file's last line so far ended it, in favour of the file of that name.
    var rotation: (spot: Spot, writer: UInt64, sequence: UInt64, next: String)?

    /// - Parameters:
    ///   - keys: those that signed, each for its time; none checks no signature.
    ///   - expectsEnds: the trail is complete, so that a writer without an end is a break.
    public init(
        keys: [TrailKey] = [], expectsEnds: Bool = false, onFinding: @escaping (TrailFinding) -> Void
    ) {
        self.keys = keys
        self.expectsEnds = expectsEnds
        self.onFinding = onFinding
    }

    /// Reads the next file of the trail.
    ///
    /// - Parameter isNewest: none follows, so that it may end inside a line.
    /// - Errors: it cannot be read, or there are too many writers.
    public func read(_ file: TrailFile, isNewest: Bool) throws(TrailFailure) {
        files.append(file.path)
        rotation = nil
        var blocks = try TrailBlocks(file)
        var line = 0
        while let run = try blocks.next() {
            verdict.byteCount += run.byteCount
            if run.isTooLong {
                line += 1
                let spot = Spot(file: files.count - 1, line: line, offset: run.offset)
                report(.unreadable, spot, "longer than \(TrailBlocks.maxLineByteCount) bytes")
                continue
            }
            var start = 0
            while let end = run.bytes.nextLineFeed(from: start) {
                line += 1
                let spot = Spot(file: files.count - 1, line: line, offset: run.offset + UInt64(start))
                try read(run.bytes.view(start, end - start), spot)
                start = end + 1
            }
        }
        for fragment in fragments { reportUnreadable(fragment) }
        fragments = []
        let rest = blocks.rest
        verdict.byteCount += rest.byteCount
        guard rest.byteCount > 0 else { return }
        let spot = Spot(file: files.count - 1, line: line + 1, offset: rest.offset)
        let isTorn = isNewest && !expectsEnds
        report(
            isTorn ? .torn : .cut, spot,
            "the file ends inside a line, after \(rest.byteCount) bytes of it"
                + (isNewest ? "" : ", and is not the newest"))
    }

    /// Says what is left to say, and what all came to.
    public func finish() -> TrailVerdict {
        if let rotation {
            report(
                expectsEnds ? .cut : .continued, rotation.spot, rotation.writer, rotation.sequence,
                "goes on in \(rotation.next), which was not given")
        }
        for process in processes.values.sorted(by: { $0.first < $1.first })
        where process.started != process.expected {
            let isCut = process.started < process.expected && !process.goesOn && !expectsEnds
            report(
                isCut ? .torn : process.started < process.expected ? .missing : .inserted, process.first,
                "\(process.started) of the \(process.expected) writers of its process began")
        }
        for (name, writer) in writers.sorted(by: { $0.value.last < $1.value.last }) {
            verdict.unprovenLineCount += writer.unsignedLines
            guard !writer.hasEnded else { continue }
            verdict.openWriterCount += 1
            var detail = "is the writer's last line, and no end: it was killed, goes on, or was cut off"
            if !keys.isEmpty, writer.unsignedLines > 0 {
                detail += "; \(writer.unsignedLines) lines after its last signature are chained only"
            }
            report(expectsEnds ? .cut : .killed, writer.last, name, writer.next - 1, detail)
        }
        verdict.writerCount = writers.count
        return verdict
    }

    // MARK: - Telling

    func report(
        _ kind: TrailFinding.Kind, _ spot: Spot, _ writer: UInt64?, _ sequence: UInt64?, _ detail: String
    ) {
        if kind.isBreak { verdict.breakCount += 1 }
        onFinding(
            TrailFinding(
                kind: kind, place: place(spot), writer: writer, sequence: sequence, detail: detail))
    }

    func report(_ kind: TrailFinding.Kind, _ spot: Spot, _ detail: String) {
        report(kind, spot, nil, nil, detail)
    }

    func report(_ kind: TrailFinding.Kind, _ spot: Spot, _ line: TrailLine, _ detail: String) {
        report(kind, spot, line.writer, line.sequence, detail)
    }

    func reportUnreadable(_ fragment: Fragment) {
        report(
            .unreadable, fragment.spot,
            "\(fragment.byteCount) bytes are no line of a trail, and no repair marks them")
    }

    func place(_ spot: Spot) -> TrailPlace {
        TrailPlace(file: files[spot.file], line: spot.line, offset: spot.offset)
    }
}

extension TrailVerifier.Spot: Comparable {
    static func < (left: Self, right: Self) -> Bool {
        (left.file, left.offset) < (right.file, right.offset)
    }
}
