import CLinux

/// Makes a kernel call fail on purpose, for tests of what happens then.
///
/// - Limits: works in debug builds only (`isAvailable`); one plan a thread and one for all threads at a time.
public enum KernelFault {
    public enum Call: UInt32, Sendable, CaseIterable {
        case epollCreate = 1
        case epollControl, epollWait, socket, bind, listen, accept, connect, receive, send, option, shutdown,
            close
        case name, open, write, synchronize, truncate
    }

    public enum Scope: Int32, Sendable { case thisThread, allThreads }

    #if DEBUG
        public static let isAvailable = true
    #else
        public static let isAvailable = false
    #endif

    /// Lets the `nth` call of this kind from now on answer −`code` without reaching the kernel.
    public static func fail(_ call: Call, nth: Int32 = 1, code: Int32, scope: Scope = .thisThread) {
        _ = CLinux_failNth(scope.rawValue, CLinux_call(rawValue: call.rawValue), nth, code)
    }

    /// Lets the disk take a half of this thread's `nth` write from now on and then nothing more, nor anything back.
    public static func tear(nthWrite nth: Int32 = 1, code: Int32) {
        _ = CLinux_tearNthWrite(nth, code)
    }

    /// Takes the plan of `scope` back; for this thread that of a torn write, too.
    public static func clear(_ scope: Scope = .thisThread) {
        if scope == .thisThread { _ = CLinux_tearNthWrite(0, 0) }
        _ = CLinux_failNth(scope.rawValue, CLinux_callNone, 0, 0)
    }
}
