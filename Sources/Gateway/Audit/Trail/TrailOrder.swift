internal import Bytes
internal import Glibc

/// A file as it was when its place in the trail was found.
public struct TrailFile: Sendable {
    public let path: String
    let identity: TrailEnds.Identity
}

/// The files of a trail from the oldest to the newest, whichever way they were given.
///
/// A file that begins by a rotation names the digest of the last line of the one before; one that begins by a writer's
/// start names it too. Where both are changed, the rotation's name of the file counts, and then the rotated files' names,
/// which have their time.
///
/// - Limits: 16,384 files; of each, the first line and the last are read.
public enum TrailOrder {
    public static let maxFileCount = 16_384

    /// - Errors: a file that cannot be read, or that was given twice.
    public static func sorted(_ files: [String]) throws(TrailFailure) -> [TrailFile] {
        guard files.count <= maxFileCount else {
            throw TrailFailure(files[maxFileCount], reason: "more than \(maxFileCount) files")
        }
        var ends: [TrailEnds] = []
        var seen: [TrailEnds.Identity: String] = [:]
        for file in files {
            let found = try TrailEnds(file)
            if let other = seen.updateValue(file, forKey: found.identity) {
                throw TrailFailure(file, reason: "the same file as \(other)")
            }
            ends.append(found)
        }
        // By name first: of files without links, this is what there is.
        ends = ends.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(
            \.element)
        return chained(ends)
    }

    private static func chained(_ ends: [TrailEnds]) -> [TrailFile] {
        var byLast: [TrailDigest: Int] = [:]
        var byName: [String: Int] = [:]
        for (index, file) in ends.enumerated() {
            if let last = file.last { byLast[last] = byLast[last] ?? index }
            byName[file.name] = byName[file.name] ?? index
        }
        var follower = [Int?](repeating: nil, count: ends.count)
        var isFollowing = [Bool](repeating: false, count: ends.count)
        func link(_ index: Int, after before: Int?) {
            guard !isFollowing[index], let before, before != index, follower[before] == nil else { return }
            follower[before] = index
            isFollowing[index] = true
        }
        for (index, file) in ends.enumerated() { link(index, after: file.follows.flatMap { byLast[$0] }) }
        for (index, file) in ends.enumerated() { link(index, after: file.followsName.flatMap { byName[$0] }) }
        var order: [Int] = []
        var isPlaced = [Bool](repeating: false, count: ends.count)
        func place(_ first: Int) {
            var next: Int? = first
            while let index = next, !isPlaced[index] {
                isPlaced[index] = true
                order.append(index)
                next = follower[index]
            }
        }
        for index in ends.indices where !isFollowing[index] { place(index) }
        // What is left runs in a circle, which no trail does; verifying tells where.
        for index in ends.indices { place(index) }
        return order.map { TrailFile(path: ends[$0].path, identity: ends[$0].identity) }
    }
}

/// What a file's first and last lines say of its place in the trail.
struct TrailEnds {
    struct Identity: Hashable, Sendable {
        var device: UInt
        var number: UInt

        init(_ facts: stat) {
            device = UInt(facts.st_dev)
            number = UInt(facts.st_ino)
        }

        /// Of the file that has the name; nil when none has.
        init?(named path: String) {
            var facts = stat()
            guard stat(path, &facts) == 0 else { return nil }
            self.init(facts)
        }
    }

    let path: String
    /// Without its folder.
    let name: String
    let identity: Identity
    /// The digest of the last line of the file before, and that file's name, as this one's first line has them.
    private(set) var follows: TrailDigest?
    private(set) var followsName: String?
    /// The digest of the last whole line.
    private(set) var last: TrailDigest?

    init(_ path: String) throws(TrailFailure) {
        self.path = path
        name = Self.name(path)
        var blocks = try TrailBlocks(path)
        var facts = stat()
        guard fstat(blocks.descriptor, &facts) == 0 else { throw TrailFailure(path, code: errno) }
        identity = Identity(facts)
        if let run = try blocks.next(), !run.isTooLong, let end = run.bytes.nextLineFeed(from: 0),
            let line = TrailLine(run.bytes.view(0, end)), line.kind == .rotation || line.kind == .start
        {
            let control = TrailControl(line.content)
            followsName = control.after.map(TrailControl.text)
            follows = line.kind == .rotation ? control.digest : line.previous
            if follows == TrailDigest.none { follows = nil }
        }
        try readLast(&blocks, UInt64(max(0, facts.st_size)))
    }

    /// Finds the last whole line, reading from further and further before the end.
    private mutating func readLast(_ blocks: inout TrailBlocks, _ size: UInt64) throws(TrailFailure) {
        var reach: UInt64 = 65_536
        while true {
            let start = size > reach ? size - reach : 0
            blocks.seek(to: start)
            var found: TrailDigest?
            var isInside = start > 0
            while let run = try blocks.next() {
                guard !run.isTooLong, let end = run.bytes.lastLineFeed() else { continue }
                if let before = run.bytes.view(0, end).lastLineFeed() {
                    found = TrailHash().digest(run.bytes.view(before + 1, end - before - 1))
                } else if !isInside {
                    found = TrailHash().digest(run.bytes.view(0, end))
                }
                isInside = false
            }
            last = found
            if found != nil || start == 0 || reach > UInt64(TrailBlocks.maxLineByteCount) * 2 { return }
            reach *= 8
        }
    }

    static func name(_ path: String) -> String {
        String(path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...])
    }

    /// The folder with its slash; empty for the one we are in.
    static func folder(_ path: String) -> String { String(path.dropLast(name(path).count)) }

    /// What sorts files by their names: `audit.jsonl.20260901T100000Z-10` after `…-9` and before `audit.jsonl`.
    struct Rank: Comparable {
        var moment: String
        var number: Int
        static func < (left: Rank, right: Rank) -> Bool {
            (left.moment, left.number) < (right.moment, right.number)
        }
    }

    var rank: Rank {
        let newest = Rank(moment: "~", number: 0)
        guard let dot = name.lastIndex(of: ".") else { return newest }
        let parts = name[name.index(after: dot)...].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 16, parts[0].hasSuffix("Z"), let number = Int(parts[1])
        else { return newest }
        return Rank(moment: String(parts[0]), number: number)
    }
}
