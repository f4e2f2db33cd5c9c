internal import Dispatch

/// Where work of more than a millisecond goes, so that no loop waits for it.
enum SideQueue {
    private static let queue = DispatchQueue(label: "gatehouse.side", qos: .utility)

    static func run(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }
}
