import CLinux
import Synchronization

/// Lets a loop wait in its epoll set for a moment instead of going back to Dispatch, without its mail having to wait.
///
/// - Shape: who puts something on the loop's queue calls `announce` before and the something calls `take` first; the loop
///   waits between `mayWait` and `hasWaited`. Whatever the order of threads, either the loop sees the letter or is woken.
/// - Errors: `EMFILE`, `ENFILE` when it is made.
public final class Waker: Sendable {
    /// To be watched for reading in the loop's `Poller`; ready after a wake-up until `clear`.
    public let descriptor: Int32
    private let letterCount = Atomic<Int>(0)
    private let isWaiting = Atomic<Bool>(false)

    public init() throws(SystemError) {
        descriptor = try SystemError.check("eventfd", CLinux_eventCreate())
    }

    deinit { _ = CLinux_close(descriptor) }

    /// Says that something is about to be put on the loop's queue.
    public func announce() {
        // Sequentially consistent, as all here: this store and the loop's must be seen in one order by both.
        letterCount.add(1, ordering: .sequentiallyConsistent)
        if isWaiting.load(ordering: .sequentiallyConsistent) { _ = CLinux_eventSignal(descriptor) }
    }

    /// Says that what was announced is running.
    public func take() { letterCount.subtract(1, ordering: .sequentiallyConsistent) }

    /// Tells whether the loop may wait now; if so, `hasWaited` follows.
    public func mayWait() -> Bool {
        isWaiting.store(true, ordering: .sequentiallyConsistent)
        if letterCount.load(ordering: .sequentiallyConsistent) == 0 { return true }
        hasWaited()
        return false
    }

    /// Says that the loop waits no more.
    public func hasWaited() { isWaiting.store(false, ordering: .sequentiallyConsistent) }

    /// Takes back a wake-up, so that the descriptor is not ready any more.
    public func clear() { _ = CLinux_eventTake(descriptor) }
}
