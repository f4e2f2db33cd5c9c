internal import Bytes
internal import Synchronization

/// A number per project, per user and for the whole cloud that each write seen for it moves, part of cache keys.
///
/// - Shape: 4,096 words by hash of the id, so it is bounded; two ids on one word only invalidate each other.
final class Generations: Sendable {
    private static let count = 4_096
    private let words: [Word]
    private let hash = KeyedHash.random()

    private final class Word: Sendable { let value = Atomic<UInt64>(0) }

    /// The id of what is everybody's, such as flavors; no project or user has it.
    static var cloud: ByteView {
        let name: StaticString = "*"
        return ByteView(start: name.utf8Start, count: name.utf8CodeUnitCount)
    }

    init() { words = (0..<Self.count).map { _ in Word() } }

    private func index(_ id: ByteView) -> Int {
        Int(truncatingIfNeeded: hash.hash(id)) & (Self.count - 1)
    }

    func current(_ id: ByteView) -> UInt64 { words[index(id)].value.load(ordering: .acquiring) }

    /// Makes every list stored for `id` so far unreachable.
    func advance(_ id: ByteView) {
        words[index(id)].value.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }
}
