public import Bytes
internal import Glibc

/// A file of the trail that is still written, and what takes its place when it is rotated.
///
/// - Shape: read to its end, and asked again later, it goes on, through as many rotations as there were meanwhile, by what
///   each file's first line says.
public struct TrailFollower: ~Copyable {
    /// Rotations between two readings that are looked for.
    static let maxMissedCount = 1_000

    private let path: String
    private var blocks: TrailBlocks

    /// Opens the file, to be followed from its beginning.
    public init(_ path: String) throws(TrailFailure) {
        self.path = path
        blocks = try TrailBlocks(path)
    }

    /// The last events there are that `filter` asks for, the oldest first; following goes on behind the last whole line.
    ///
    /// Reads from the end to the beginning, no further than it must.
    ///
    /// - Parameter count: how many at most.
    public mutating func last(_ count: Int, _ filter: TrailFilter) throws(TrailFailure) -> [[UInt8]] {
        var facts = stat()
        guard fstat(blocks.descriptor, &facts) == 0 else { throw TrailFailure(path, code: errno) }
        var end = Int(facts.st_size)
        var reach = TrailBlocks.blockByteCount
        var wholeEnd: Int?
        var found: [[UInt8]] = []
        var search = TrailSearch(filter)
        var buffer = Buffer()
        while end > 0, found.count < count || wholeEnd == nil {
            let start = max(0, end - reach)
            try read(&buffer, start, end - start)
            let bytes = buffer.readable
            let lineFeed = bytes.lastLineFeed()
            let first = start == 0 ? 0 : bytes.nextLineFeed(from: 0).map { $0 + 1 } ?? bytes.count
            guard let lineFeed, first <= lineFeed else {
                if start == 0 { break }
                // Within a line: from further before, unless no line is as long as that.
                if reach > TrailBlocks.maxLineByteCount * 2 { break }
                reach *= 2
                continue
            }
            wholeEnd = wholeEnd ?? start + lineFeed + 1
            var here: [[UInt8]] = []
            search.search(bytes.view(first, lineFeed + 1 - first)) { here.append(Array($0.text)) }
            found = here.suffix(count - found.count) + found
            end = start + first
        }
        blocks.seek(to: UInt64(wholeEnd ?? 0))
        return found
    }

    /// Gives what has been written since, whole lines only.
    ///
    /// - Parameter told: takes a sentence when lines may have been passed over: a file that was cut, or removed before it was
    ///   read.
    /// - Errors: a file cannot be read. A path that is not there is no error: a file may be about to take its place.
    public mutating func poll(_ body: (ByteView) -> Void, told: (String) -> Void) throws(TrailFailure) {
        while true {
            try drain(body)
            var own = stat()
            var named = stat()
            guard fstat(blocks.descriptor, &own) == 0 else { throw TrailFailure(path, code: errno) }
            guard stat(path, &named) == 0 else { return }
            if TrailEnds.Identity(own) == TrailEnds.Identity(named) {
                let rest = blocks.rest
                guard UInt64(own.st_size) < rest.offset + rest.byteCount else { return }
                told("\(path): it was cut to \(own.st_size) bytes, and is read anew")
                blocks.seek(to: 0)
                continue
            }
            // A file without a line may get the one that says what it follows.
            guard named.st_size > 0, let (file, identity) = try following(TrailEnds.Identity(own), told)
            else { return }
            // All of it was written before its name was gone.
            try drain(body)
            let rest = blocks.rest.byteCount
            if rest > 0 {
                told("\(blocks.name): \(rest) bytes without a line feed at its end are passed over")
            }
            let next = try TrailBlocks(file)
            guard fstat(next.descriptor, &named) == 0 else { throw TrailFailure(file, code: errno) }
            // Otherwise it was renamed in between, and is looked for anew.
            if TrailEnds.Identity(named) == identity { blocks = next }
        }
    }

    private mutating func drain(_ body: (ByteView) -> Void) throws(TrailFailure) {
        while let run = try blocks.next() { body(run.bytes) }
    }

    /// Finds the file behind ours, by following first lines back from the newest.
    private func following(
        _ own: TrailEnds.Identity, _ told: (String) -> Void
    ) throws(TrailFailure) -> (file: String, identity: TrailEnds.Identity)? {
        let folder = TrailEnds.folder(path)
        var file = path
        for _ in 0..<Self.maxMissedCount {
            let ends = try TrailEnds(file)
            guard let before = ends.followsName, !before.contains("/") else { return (file, ends.identity) }
            var facts = stat()
            guard stat(folder + before, &facts) == 0 else {
                told("\(folder)\(before): it is not there any more, and was not read")
                return (file, ends.identity)
            }
            if TrailEnds.Identity(facts) == own { return (file, ends.identity) }
            file = folder + before
        }
        return nil
    }

    /// Fills `buffer` with what the file has there.
    private func read(_ buffer: inout Buffer, _ start: Int, _ count: Int) throws(TrailFailure) {
        buffer.removeAll()
        buffer.enlarge(to: count)
        while buffer.count < count {
            let done = pread(
                blocks.descriptor, buffer.writable.baseAddress, count - buffer.count,
                off_t(start + buffer.count))
            if done < 0, errno == EINTR { continue }
            guard done >= 0 else { throw TrailFailure(path, code: errno) }
            guard done > 0 else { return }
            buffer.grow(by: done)
        }
    }
}
