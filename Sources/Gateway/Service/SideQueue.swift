internal import Dispatch

/// Where work of more than a millisecond goes, so that no loop waits for it.
enum SideQueue {
    private static let queue = DispatchQueue(label: "gatehouse.side", qos: .utility)

    /// What may block for seconds keeps nothing else from running.
    private static let slowQueue = DispatchQueue(label: "gatehouse.side.slow", qos: .utility)

    static func run(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

    static func run(at time: DispatchTime, _ body: @escaping @Sendable () -> Void) {
        queue.asyncAfter(deadline: time, execute: body)
    }

    /// For name services and the like, one after the other.
    static func runSlowly(_ body: @escaping @Sendable () -> Void) { slowQueue.async(execute: body) }
}

/// Where the disk is asked to keep the audit trail, so that no loop waits for it; one at a time, which groups what comes meanwhile.
enum AuditQueue {
    private static let queue = DispatchQueue(label: "gatehouse.audit", qos: .userInitiated)

    static func run(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }
}
