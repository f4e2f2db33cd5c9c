import CLinux

/// A descriptor that becomes readable once and stays so, for threads that wait in poll(2).
///
/// - Errors: `EMFILE`, `ENFILE` when it is made.
public final class Bell: Sendable {
    /// To be watched for reading.
    public let descriptor: Int32

    public init() throws(SystemError) {
        descriptor = try SystemError.check("eventfd", CLinux_eventCreate())
    }

    deinit { _ = CLinux_close(descriptor) }

    /// Makes the descriptor readable, from any thread and any number of times.
    public func ring() { _ = CLinux_eventSignal(descriptor) }
}
