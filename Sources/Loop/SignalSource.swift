import CLinux
import Dispatch

/// One signal turned into calls on a queue, for as long as this object lives.
public final class SignalSource {
    private let source: any DispatchSourceSignal

    /// Runs `body` on `queue` each time the process gets signal `number`; several at once may count as one.
    ///
    /// The signal is ignored first, so that one that comes before libdispatch took it over does not end the
    /// process. The order matters: libdispatch puts its own handler in place, and ignoring later would undo
    /// it.
    public init(_ number: Int32, queue: DispatchQueue, _ body: @escaping () -> Void) {
        _ = CLinux_setSignalIgnored(number, 1)
        source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler(handler: body)
        source.activate()
    }

    deinit { source.cancel() }

    /// Makes the process ignore signal `number` (SIGPIPE, for writes to a log that is a pipe).
    public static func ignore(_ number: Int32) { _ = CLinux_setSignalIgnored(number, 1) }
}

/// How many descriptors this process may have open.
public enum DescriptorLimit {
    /// The limit that applies now.
    public static var current: UInt64 {
        var current: UInt64 = 0
        var highest: UInt64 = 0
        _ = CLinux_descriptorLimit(&current, &highest)
        return current
    }

    /// Raises the limit to the highest that needs no privilege; gives what applies then.
    public static func raise() -> UInt64 {
        var current: UInt64 = 0
        var highest: UInt64 = 0
        guard CLinux_descriptorLimit(&current, &highest) == 0, current < highest,
            CLinux_setDescriptorLimit(highest) == 0
        else { return current }
        return highest
    }
}
