import Bytes
import Dispatch
import Synchronization

/// The lines of one loop that an `AppendFile` has not written yet.
///
/// - Shape: two blocks: one is filled here while the file writes the other. A block goes over when it holds
///   `handOverByteCount`, or at `flush`; when the other one is still on its way, it goes as soon as that is
///   back. The loop looks for itself whether it is, so that a busy one need not be told.
/// - Limits: a line that finds no room is refused as a whole and counted by the file. `append` allocates
///   nothing but for the hand-over, one block in a few hundred lines.
/// - Ownership: made by `AppendFile.makeLineBuffer`, used on its loop's queue only. Lines that were neither
///   handed over nor closed end with it.
public final class LineBuffer: @unchecked Sendable {
    // Unchecked: every stored `var` is touched on `queue` only, which a debug build checks.

    /// Where the other block is.
    private enum Whereabouts: UInt8, AtomicRepresentable {
        /// The file has it; or has it and tells the loop when it is done with it.
        case away, awaited
        case back
    }

    let queue: DispatchQueue
    private let file: AppendFile
    private let capacity: Int
    private let handOverByteCount: Int
    private let onProgress: (() -> Void)?
    private var filling: UnsafeMutablePointer<UInt8>
    private var fillingCount = 0
    // The other block; nil from its hand-over until it is taken back.
    private var spare: UnsafeMutablePointer<UInt8>?
    private var sent: LineBatch?
    private let whereabouts = Atomic<Whereabouts>(.back)
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
        onProgress: (() -> Void)?
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
        // While the file has a block, it keeps this object alive.
        filling.deallocate()
        spare?.deallocate()
        sent?.start.deallocate()
    }

    /// Tells whether a line of `byteCount` bytes would be accepted now; for events that must not be dropped.
    public func hasRoom(for byteCount: Int) -> Bool { !isClosing && byteCount <= capacity - fillingCount }

    /// Takes a copy of `line`, which ends with its line feed; false when there is no room, and the line is
    /// dropped.
    @discardableResult
    public func append(_ line: ByteView) -> Bool {
        let room = lend(atMost: line.count)
        guard room.count == line.count else {
            drop()
            return false
        }
        room.baseAddress!.initialize(from: line.baseAddress!, count: line.count)
        take(line.count)
        return true
    }

    /// Lends the room behind the last line, at most `byteCount` bytes of it, where the next line is made.
    ///
    /// Whoever asks goes on with `take`, or with `drop` when the line found no room in it.
    public func lend(atMost byteCount: Int) -> UnsafeMutableBufferPointer<UInt8> {
        #if DEBUG
            dispatchPrecondition(condition: .onQueue(queue))
        #endif
        let count = isClosing ? 0 : min(byteCount, capacity - fillingCount)
        return UnsafeMutableBufferPointer(start: filling + fillingCount, count: count)
    }

    /// Takes the line of `byteCount` bytes, its line feed the last, that was made at the front of what `lend` lent.
    public func take(_ byteCount: Int) {
        precondition(byteCount > 0 && byteCount <= capacity - fillingCount)
        assert(filling[fillingCount + byteCount - 1] == 0x0A, "a line ends with a line feed")
        fillingCount += byteCount
        appendedByteCount += UInt64(byteCount)
        if fillingCount >= handOverByteCount { handOver() }
    }

    /// Counts a line for which there was no room.
    public func drop() { file.countDropped(1) }

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
        guard takeBack(), let empty = spare else {
            handsOverAtReturn = true
            return
        }
        handsOverAtReturn = false
        let batch = LineBatch(start: filling, count: fillingCount)
        spare = nil
        sent = batch
        filling = empty
        fillingCount = 0
        whereabouts.store(.away, ordering: .releasing)
        file.queue.async { [self] in file.write(batch) { [self] in giveBack() } }
    }

    /// The file is done with the block; on its queue.
    private func giveBack() {
        let before = whereabouts.exchange(.back, ordering: .acquiringAndReleasing)
        if before == .awaited || onProgress != nil { queue.async { [self] in goOn() } }
    }

    /// Takes the other block back; false while the file has it, which then tells when it is done.
    private func takeBack() -> Bool {
        guard let batch = sent else { return true }
        let (_, found) = whereabouts.compareExchange(
            expected: .away, desired: .awaited, ordering: .acquiringAndReleasing)
        guard found == .back else { return false }
        sent = nil
        spare = batch.start
        writtenByteCount += UInt64(batch.count)
        return true
    }

    /// The file said that a block is back, which by now may have been taken back and sent anew.
    private func goOn() {
        if takeBack(), handsOverAtReturn { handOver() }
        onProgress?()
        endIfClosed()
    }

    private func endIfClosed() {
        guard isClosing, fillingCount == 0, takeBack() else { return }
        file.forget(self)
        let ended = whenClosed
        whenClosed = []
        for body in ended { body() }
    }
}
