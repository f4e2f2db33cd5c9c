import CLinux

/// One moment at which a loop is woken, to a fraction of a millisecond; the tick of a `LoopQueue` is for the rest.
///
/// - Shape: a timer of the kernel (timerfd) in the loop's `Poller`. Its owner holds many deadlines and asks for the first:
///   an earlier moment costs a call of the kernel (0.5 µs), a later one nothing. A deadline that was met is not taken back:
///   being woken for nothing once in ten milliseconds (30 µs) is cheaper than two calls for each of thousands.
/// - Errors: `EMFILE`, `ENFILE`, `ENOMEM` when it is made.
public struct Alarm: ~Copyable {
    /// To be watched for reading in the loop's `Poller`; ready from the moment on until `replace`.
    public let descriptor: Int32
    /// The moment it is set to, in nanoseconds of `MonotonicClock`; 0 while it is not.
    public private(set) var moment: UInt64 = 0

    public init() throws(SystemError) {
        descriptor = try SystemError.check("timerfd_create", CLinux_timerCreate())
    }

    deinit { _ = CLinux_close(descriptor) }

    /// Sees to it that the loop is woken at `moment`, or earlier if it is to be woken earlier already.
    public mutating func set(_ moment: UInt64) {
        guard self.moment == 0 || moment < self.moment else { return }
        // The kernel takes 0 for none; any moment in the past is now.
        self.moment = max(1, moment)
        _ = CLinux_timerSet(descriptor, self.moment)
    }

    /// Sets it to `moment` alone, whatever it was set to before, also if that has come; 0 for none.
    public mutating func replace(_ moment: UInt64) {
        guard self.moment != moment else { return }
        self.moment = moment
        _ = CLinux_timerSet(descriptor, moment)
    }
}
