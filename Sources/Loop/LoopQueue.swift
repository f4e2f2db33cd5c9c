import Dispatch

/// The serial queue of one loop with its two sources: the epoll set and the tick.
///
/// - Shape: one read source on the descriptor of the loop's `Poller`, one timer source. Both bodies run on
///   `queue`, so everything a loop owns is touched by one thread at a time, though not always the same one.
/// - Ownership: the bodies are kept until `cancel`; they are made once per loop, never per connection.
/// - Source: ours; style §3.1 has the measurements.
public final class LoopQueue {
    public let queue: DispatchQueue

    private var readSource: (any DispatchSourceRead)?
    private var tickSource: (any DispatchSourceTimer)?
    private var tickInterval = DispatchTimeInterval.never
    /// Tells whether the tick is running.
    public private(set) var isTicking = false

    public init(label: String) {
        queue = DispatchQueue(label: label, qos: .userInitiated)
    }

    /// Runs `body` on the queue whenever `descriptor` (a `Poller`'s) is readable; called once per loop.
    ///
    /// - Limits: the body must drain or return soon; it runs again while the set stays readable.
    public func watch(_ descriptor: Int32, _ body: @escaping () -> Void) {
        precondition(readSource == nil, "a loop watches one descriptor")
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        source.setEventHandler(handler: body)
        readSource = source
        source.activate()
    }

    /// Prepares the tick, which is stopped at first; called once per loop.
    ///
    /// - Limits: `interval` is at least a millisecond; the kernel may add a tenth of it.
    public func tick(every interval: Duration, _ body: @escaping () -> Void) {
        precondition(tickSource == nil, "a loop has one tick")
        let (seconds, attoseconds) = interval.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        precondition(nanoseconds >= 1_000_000, "a tick is at least a millisecond")
        tickInterval = .nanoseconds(nanoseconds)
        let source = DispatchSource.makeTimerSource(queue: queue)
        source.setEventHandler(handler: body)
        // Never suspended, since releasing a suspended source traps: a stopped tick is one that is never due.
        source.schedule(deadline: .distantFuture)
        tickSource = source
        source.activate()
    }

    /// Starts the tick unless it runs; the first one comes after one interval.
    ///
    /// Costs an allocation and a timer change in the kernel. Stop it from the tick's own body once the timer
    /// wheel is empty, then a busy loop starts it rarely and an idle one is never woken.
    public func startTicking() {
        guard !isTicking, let tickSource else { return }
        isTicking = true
        tickSource.schedule(
            deadline: .now() + tickInterval, repeating: tickInterval, leeway: .milliseconds(1))
    }

    /// Stops the tick; one that is already on its way may still run.
    public func stopTicking() {
        guard isTicking, let tickSource else { return }
        isTicking = false
        tickSource.schedule(deadline: .distantFuture)
    }

    /// Ends both sources, then runs `ended` on the queue; only after that may the `Poller` end.
    ///
    /// libdispatch still uses a watched descriptor until the source's cancel handler ran, so an earlier close
    /// could take the events of whoever gets the same number next.
    public func cancel(_ ended: @escaping @Sendable () -> Void = {}) {
        let group = DispatchGroup()
        for case let source? in [readSource as (any DispatchSourceProtocol)?, tickSource] {
            group.enter()
            // Also drops the event handler, and with it what the body captured.
            source.setCancelHandler { group.leave() }
            source.cancel()
        }
        readSource = nil
        tickSource = nil
        isTicking = false
        group.notify(queue: queue, execute: ended)
    }
}
