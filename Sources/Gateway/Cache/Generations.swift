internal import Bytes
internal import OpenStack
internal import Synchronization

/// A number per project, per user and for the whole cloud that each write seen for it moves, part of cache keys.
///
/// - Shape: 4,096 words by hash of the id, so it is bounded; two ids on one word only invalidate each other.
// Unchecked because of the pointer: it is written in `init` alone, and the words are atomic.
final class Generations: @unchecked Sendable {
    private static let count = 4_096
    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    /// The hash of what is everybody's, such as flavors; no project or user has its name.
    let cloud = [UInt8(ascii: "*")].withUnsafeBufferPointer { Identity.hash(of: $0) }

    init() {
        words = .allocate(capacity: Self.count)
        for index in 0..<Self.count { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: Self.count)
        words.deallocate()
    }

    private func word(_ hash: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
        words + Int(truncatingIfNeeded: hash) & (Self.count - 1)
    }

    /// The number of what has `hash`, which is `Identity.hash(of:)` of its id.
    func current(_ hash: UInt64) -> UInt64 { word(hash).pointee.load(ordering: .acquiring) }

    /// Makes every list stored so far for what has `hash` unreachable.
    func advance(_ hash: UInt64) {
        word(hash).pointee.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }
}
