import Bytes
import Dispatch

/// The lines of one loop that an `AppendFile` has not written yet.
///
/// - Shape: two blocks: one is filled here while the file writes the other. A block goes over when it holds
///   `handOverByteCount`, or at `flush`; when the other one is still on its way, it goes as soon as that is
///   back.
/// - Limits: a line that finds no room is refused as a whole and counted by the file. `append` allocates
///   nothing but for the hand-over, one block in a few hundred lines.
/// - Ownership: made by `AppendFile.makeLineBuffer`, used on its loop's queue only. Lines that were neither
///   handed over nor closed end with it.
public final class LineBuffer: @unchecked Sendable {
    // Unchecked: every stored `var` is touched on `queue` only, which a debug build checks.

    let queue: DispatchQueue
    private let file: AppendFile
    private let capacity: Int
    private let handOverByteCount: Int
    private let onProgress: () -> Void
    private var filling: UnsafeMutablePointer<UInt8>
    private var fillingCount = 0
    // The other block; nil while the file has it.
    private var spare: UnsafeMutablePointer<UInt8>?
    private var handsOverAtReturn = false
    private var isClosing = false
    private var whenClosed: [@Sendable () -> Void] = []

    /// Where the last accepted line ends, counted in bytes from the first line's start.
    public private(set) var appendedByteCount: UInt64 = 0
    /// Up to where the file has the lines (with `synchronizes`: has them on the disk). Whoever waits for a
    /// line compares this with `appendedByteCount` as it stood after that line.
    public private(set) var writtenByteCount: UInt64 = 0

    init(
        file: AppendFile, queue: DispatchQueue, capacity: Int, handOverByteCount: Int,
        onProgress: @escaping () -> Void
    ) {
        precondition(capacity > 0 && handOverByteCount > 0)
        self.file = file
        self.queue = queue
        self.capacity = capacity
        self.handOverByteCount = handOverByteCount
        self.onProgress = onProgress
        filling = .allocate(capacity: capacity)
        spare = .allocate(capacity: capacity)
    }

    deinit {
        // A block on its way keeps this object alive, so the spare one is home here.
        filling.deallocate()
        spare?.deallocate()
    }

    /// Tells whether a line of `byteCount` bytes would be accepted now; for events that must not be dropped.
    public func hasRoom(for byteCount: Int) -> Bool { !isClosing && byteCount <= capacity - fillingCount }

    /// Takes a copy of `line`, which ends with its line feed; false when there is no room, and the line is
    /// dropped.
    @discardableResult
    public func append(_ line: ByteView) -> Bool {
        assert(line.last == 0x0A, "a line ends with a line feed")
        #if DEBUG
            dispatchPrecondition(condition: .onQueue(queue))
        #endif
        guard hasRoom(for: line.count) else {
            file.countDropped(1)
            return false
        }
        (filling + fillingCount).initialize(from: line.baseAddress!, count: line.count)
        fillingCount += line.count
        appendedByteCount += UInt64(line.count)
        if fillingCount >= handOverByteCount { handOver() }
        return true
    }

    /// Hands over what there is now, or as soon as the block that is on its way comes back.
    public func flush() {
        if fillingCount > 0 { handOver() }
    }

    /// Hands over everything, then runs `ended` on the loop's queue; later lines are refused.
    public func close(_ ended: @escaping @Sendable () -> Void = {}) {
        isClosing = true
        whenClosed.append(ended)
        flush()
        endIfClosed()
    }

    private func handOver() {
        guard let empty = spare else {
            handsOverAtReturn = true
            return
        }
        let batch = LineBatch(start: filling, count: fillingCount)
        spare = nil
        filling = empty
        fillingCount = 0
        handsOverAtReturn = false
        file.queue.async { [self] in
            file.write(batch) { [self] in queue.async { [self] in takeBack(batch) } }
        }
    }

    private func takeBack(_ batch: LineBatch) {
        spare = batch.start
        writtenByteCount += UInt64(batch.count)
        if handsOverAtReturn { handOver() }
        onProgress()
        endIfClosed()
    }

    private func endIfClosed() {
        guard isClosing, spare != nil, fillingCount == 0 else { return }
        file.forget(self)
        let ended = whenClosed
        whenClosed = []
        for body in ended { body() }
    }
}
