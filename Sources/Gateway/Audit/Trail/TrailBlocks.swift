internal import Bytes
internal import Glibc
internal import Loop

/// Why a file of the trail could not be read.
public struct TrailFailure: Error, CustomStringConvertible {
    public let file: String
    public let reason: String

    init(_ file: String, code: Int32) {
        self.file = file
        reason = SystemError.describe(code)
    }

    init(_ file: String, reason: String) {
        self.file = file
        self.reason = reason
    }

    public var description: String { "\(file): \(reason)" }
}

/// A file of the trail in runs of whole lines, as far as it has grown.
///
/// - Limits: reads of 1 MiB; memory grows to 8 MiB for a long line, and a line over 4 MiB is passed over and told.
/// - Ownership: owns the descriptor.
public struct TrailBlocks: ~Copyable {
    public static let maxLineByteCount = 4 << 20
    static let blockByteCount = 1 << 20

    /// Lines one after the other, each with its line feed.
    public struct Run {
        /// Borrowed until the next reading; empty in place of a line that is too long.
        public var bytes: UnsafeBufferPointer<UInt8>
        /// Of the first byte, in the file; and how many bytes it stands for.
        public var offset: UInt64
        public var byteCount: UInt64
        public var isTooLong: Bool { bytes.isEmpty }
    }

    public let name: String
    let descriptor: Int32
    private var buffer = Buffer(capacity: blockByteCount)
    /// In the file, of the first byte that the buffer holds.
    private var offset: UInt64 = 0
    private var lentByteCount = 0
    /// Bytes so far of a line that is too long; 0 when none is being passed over.
    private var skippedByteCount: UInt64 = 0
    /// What is held came with the end of a line that is too long, and may have lines of its own.
    private var holdsMore = false

    /// Opens `file` at its beginning.
    public init(_ file: String) throws(TrailFailure) {
        name = file
        descriptor = try Self.open(file, nil)
    }

    /// Opens a file whose place in the trail was found.
    ///
    /// - Errors: it was rotated since then, among others.
    public init(_ file: TrailFile) throws(TrailFailure) {
        name = file.path
        descriptor = try Self.open(file.path, file.identity)
    }

    private static func open(
        _ file: String, _ identity: TrailEnds.Identity?
    ) throws(TrailFailure) -> Int32 {
        let descriptor = Glibc.open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TrailFailure(file, code: errno) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw TrailFailure(file, reason: "not a regular file")
        }
        guard identity == nil || identity == TrailEnds.Identity(facts) else {
            close(descriptor)
            throw TrailFailure(file, reason: "another file took its place meanwhile; try again")
        }
        return descriptor
    }

    deinit { close(descriptor) }

    /// Goes to a byte of the file, which must begin a line, and forgets what was read.
    mutating func seek(to place: UInt64) {
        buffer.removeAll()
        lentByteCount = 0
        skippedByteCount = 0
        holdsMore = false
        offset = place
        lseek(descriptor, off_t(place), SEEK_SET)
    }

    /// Reads on; nil at the end of the file as it is now, and later more, when it has grown.
    public mutating func next() throws(TrailFailure) -> Run? { try next(upTo: nil) }

    /// The same up to a byte of the file that ends a line, whatever stands behind it now; nil for no such bound.
    mutating func next(upTo bound: UInt64?) throws(TrailFailure) -> Run? {
        buffer.consume(lentByteCount)
        offset += UInt64(lentByteCount)
        lentByteCount = 0
        buffer.compact()
        if holdsMore {
            holdsMore = false
            if let run = run(endingFrom: 0) { return run }
        }
        while true {
            if buffer.room == 0 {
                if skippedByteCount > 0 || buffer.capacity > Self.maxLineByteCount {
                    skippedByteCount += UInt64(buffer.count)
                    offset += UInt64(buffer.count)
                    buffer.removeAll()
                } else {
                    buffer.enlarge(to: buffer.capacity * 2)
                }
            }
            let held = buffer.count
            let room = buffer.writable
            let place = offset + UInt64(held)
            let wanted = bound.map { Int(min(UInt64(room.count), $0 - min($0, place))) } ?? room.count
            guard wanted > 0 else { return nil }
            let count = read(descriptor, room.baseAddress, wanted)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw TrailFailure(name, code: errno) }
            guard count > 0 else { return nil }
            buffer.grow(by: count)
            if skippedByteCount > 0 {
                guard let end = buffer.readable.firstIndex(of: 0x0A) else { continue }
                lentByteCount = end + 1
                let skipped = skippedByteCount
                skippedByteCount = 0
                holdsMore = true
                return Run(
                    bytes: buffer.readable.view(0, 0), offset: offset - skipped,
                    byteCount: skipped + UInt64(end + 1))
            }
            if let run = run(endingFrom: held) { return run }
        }
    }

    /// Lends what is held up to its last line feed, if that is at or after `start`.
    private mutating func run(endingFrom start: Int) -> Run? {
        guard let end = buffer.readable.lastLineFeed(downTo: start) else { return nil }
        lentByteCount = end + 1
        return Run(bytes: buffer.readable.view(0, end + 1), offset: offset, byteCount: UInt64(end + 1))
    }

    /// What stands behind the last line feed, once `next` said that there is no more; its offset in the file and its size.
    ///
    /// The bytes are only those that are held: none of a line that is too long.
    var rest: (bytes: ByteView, offset: UInt64, byteCount: UInt64) {
        let isSkipping = skippedByteCount > 0
        return (
            isSkipping ? buffer.readable.view(0, 0) : buffer.readable, offset - skippedByteCount,
            skippedByteCount + UInt64(buffer.count)
        )
    }
}

extension UnsafeBufferPointer where Element == UInt8 {
    /// Where the last line feed is at or after `start`.
    func lastLineFeed(downTo start: Int = 0) -> Int? {
        var index = count
        while index > start {
            index -= 1
            if self[index] == 0x0A { return index }
        }
        return nil
    }

    /// Where the next line feed is at or after `start`.
    func nextLineFeed(from start: Int) -> Int? {
        guard start < count, let base = baseAddress, let found = memchr(base + start, 0x0A, count - start)
        else { return nil }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }
}
