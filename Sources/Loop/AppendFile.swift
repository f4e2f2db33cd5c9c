import Bytes
import CLinux
import Dispatch
import Synchronization

/// A file of lines that several loops append to, written from a serial queue of its own.
///
/// - Shape: each loop has a `LineBuffer`, which hands its lines over in batches; at most one batch of each
///   loop is on its way, so memory is bounded by two blocks a loop, and each loop's lines stay in order. A
///   batch of whole lines is written in one piece, unless the disk takes only a part of it.
/// - Errors: a failed write is counted and tried again after `retryDelay`, from the byte where it stopped;
///   meanwhile the loops' buffers fill and then refuse lines. While the file closes, it is given up at once
///   and its lines are counted as dropped.
/// - Ownership: the descriptor is the file's, from `init` until `close` has ended.
public final class AppendFile: @unchecked Sendable {
    // Unchecked: `descriptor` and `generation` are touched on `queue` only, the rest is immutable or atomic.

    public let path: String
    /// Tells whether a batch counts as written only once fdatasync came back.
    public let synchronizes: Bool

    let queue: DispatchQueue
    private let mode: UInt32
    private let retryDelay: DispatchTimeInterval
    private var descriptor: Int32
    // Counts the files opened so far; a batch that was cut by an error starts its line anew in another file.
    private var generation = 0
    private let buffers = Guarded<[LineBuffer]>([])
    private let isClosing = Atomic<Bool>(false)
    private let written = Atomic<UInt64>(0)
    private let dropped = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let lastFailure = Atomic<Int32>(0)

    /// Opens `path` for appending, and makes it (without its folder) when it is missing.
    ///
    /// A line that an earlier process left unfinished is ended first, so that it does not swallow the next
    /// one.
    ///
    /// - Errors: those of open(2); with `synchronizes`, `EINVAL` when the path is a pipe or a terminal, which
    ///   cannot.
    public init(
        path: String, synchronizes: Bool = false, mode: UInt32 = 0o640, retryDelay: Duration = .seconds(1)
    ) throws(SystemError) {
        self.path = path
        self.synchronizes = synchronizes
        self.mode = mode
        let (seconds, attoseconds) = retryDelay.components
        self.retryDelay = .nanoseconds(Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000))
        queue = DispatchQueue(label: "gatehouse.append.\(path)", qos: .utility)
        descriptor = try SystemError.check("open", Self.open(path, mode: mode))
        // Everything is in place by now, so that the deinit closes the descriptor when this throws.
        if synchronizes { try SystemError.check("fdatasync", CLinux_synchronizeData(descriptor)) }
    }

    deinit { if descriptor >= 0 { _ = CLinux_close(descriptor) } }

    /// Bytes that are in the file (or in whatever took its place) since the start.
    public var writtenByteCount: UInt64 { written.load(ordering: .relaxed) }
    /// Lines that were refused by a full buffer or given up while closing.
    public var droppedLineCount: UInt64 { dropped.load(ordering: .relaxed) }
    /// Calls of write, fdatasync and open that failed.
    public var failureCount: UInt64 { failures.load(ordering: .relaxed) }
    /// The errno value that the last attempt met, 0 when it went well.
    public var failureCode: Int32 { lastFailure.load(ordering: .relaxed) }

    /// Makes the buffer of one loop; `onProgress`, if there is one, runs on `queue` whenever more of it was written.
    ///
    /// - Ownership: kept until the buffer ends, also after `close`; let `onProgress` hold its loop weakly.
    /// - Limits: two blocks of `capacity` bytes, touched as far as lines wait; a line longer than `capacity` is always
    ///   refused. What is usual here are 20 ms of lines of a loop that does nothing but answer, since its thread may have
    ///   to wait that long for the file's to get a turn.
    public func makeLineBuffer(
        queue: DispatchQueue, capacity: Int = 1 << 20, handOverByteCount: Int = 128 << 10,
        onProgress: (() -> Void)? = nil
    ) -> LineBuffer {
        let buffer = LineBuffer(
            file: self, queue: queue, capacity: capacity, handOverByteCount: handOverByteCount,
            onProgress: onProgress)
        buffers.withLock { $0.append(buffer) }
        return buffer
    }

    /// Opens the path anew, for log rotation by renaming: earlier batches go to the old file, later ones to
    /// the new.
    ///
    /// - Errors: when it cannot be opened, the old file stays in use; the failure is counted and given to
    ///   `ended`, which runs on the file's own queue.
    public func reopen(_ ended: @escaping @Sendable (SystemError?) -> Void = { _ in }) {
        queue.async { [self] in
            guard descriptor >= 0 else { return ended(SystemError(call: "open", code: 0)) }
            let fresh = Self.open(path, mode: mode)
            guard fresh >= 0 else {
                note(fresh)
                return ended(SystemError(call: "open", code: -fresh))
            }
            _ = CLinux_close(descriptor)
            descriptor = fresh
            generation += 1
            ended(nil)
        }
    }

    /// Writes what all loops still hold, closes the file, and runs `ended` on the file's own queue.
    ///
    /// Lines appended later are refused and counted. A write that fails from now on is not tried again.
    public func close(_ ended: @escaping @Sendable () -> Void = {}) {
        isClosing.store(true, ordering: .relaxed)
        let open = buffers.withLock { buffers in
            defer { buffers = [] }
            return buffers
        }
        let group = DispatchGroup()
        for buffer in open {
            group.enter()
            buffer.queue.async { buffer.close { group.leave() } }
        }
        group.notify(queue: queue) { [self] in
            if descriptor >= 0 { _ = CLinux_close(descriptor) }
            descriptor = -1
            ended()
        }
    }

    // MARK: - For LineBuffer

    func forget(_ buffer: LineBuffer) { buffers.withLock { $0.removeAll { $0 === buffer } } }

    func countDropped(_ lineCount: Int) {
        dropped.wrappingAdd(UInt64(lineCount), ordering: .relaxed)
    }

    /// Writes `batch`, then tells `done` on the file's queue; on `queue` already.
    func write(
        _ batch: LineBatch, from start: Int = 0, in known: Int? = nil, _ done: @escaping @Sendable () -> Void
    ) {
        dispatchPrecondition(condition: .onQueue(queue))
        var offset = start
        if let known, known != generation { offset = batch.startOfLine(at: offset) }
        guard descriptor >= 0 else {
            countDropped(batch.lineCount(from: offset))
            return done()
        }
        var failure: Int64 = 0
        while offset < batch.count, failure == 0 {
            let answer = CLinux_write(descriptor, batch.start + offset, batch.count - offset)
            if answer > 0 {
                offset += Int(answer)
                written.wrappingAdd(UInt64(answer), ordering: .relaxed)
            } else {
                // Nothing taken and no reason given would otherwise be asked forever.
                failure = answer == 0 ? -5 : answer
            }
        }
        if failure == 0, synchronizes {
            failure = Int64(CLinux_synchronizeData(descriptor))
            // The kernel forgets which pages it lost, so a second fdatasync proves nothing: write the batch
            // again. An audit event may then stand twice in the file; it has an id.
            if failure < 0 { offset = 0 }
        }
        guard failure < 0 else {
            lastFailure.store(0, ordering: .relaxed)
            return done()
        }
        note(Int32(failure))
        if isClosing.load(ordering: .relaxed) {
            countDropped(batch.lineCount(from: batch.startOfLine(at: offset)))
            return done()
        }
        let (resumed, current) = (offset, generation)
        queue.asyncAfter(deadline: .now() + retryDelay) { [self] in
            write(batch, from: resumed, in: current, done)
        }
    }

    private func note(_ answer: Int32) {
        failures.wrappingAdd(1, ordering: .relaxed)
        lastFailure.store(-answer, ordering: .relaxed)
    }

    private static func open(_ path: String, mode: UInt32) -> Int32 {
        // The standard streams may be sockets or another user's terminal, which cannot be opened by name.
        if path == "/dev/stdout" { return CLinux_duplicate(1) }
        if path == "/dev/stderr" { return CLinux_duplicate(2) }
        let endsInsideLine = CLinux_endsInsideLine(path) == 1
        let descriptor = CLinux_openForAppend(path, mode)
        if descriptor >= 0, endsInsideLine {
            var lineFeed: UInt8 = 0x0A
            // When this fails, so will the first batch, which reports it.
            _ = CLinux_write(descriptor, &lineFeed, 1)
        }
        return descriptor
    }
}

/// Whole lines on their way to the file.
///
/// - Ownership: lent by a `LineBuffer`, which does not touch the block until the file is done with it.
struct LineBatch: @unchecked Sendable {
    // Unchecked: exactly one queue works on the block at a time, see the ownership above.
    let start: UnsafeMutablePointer<UInt8>
    let count: Int

    /// The start of the line that the byte at `offset` belongs to.
    func startOfLine(at offset: Int) -> Int {
        var place = offset
        while place > 0, start[place - 1] != 0x0A { place -= 1 }
        return place
    }

    func lineCount(from offset: Int) -> Int {
        var lineCount = 0
        for place in offset..<max(offset, count) where start[place] == 0x0A { lineCount += 1 }
        return lineCount
    }
}
