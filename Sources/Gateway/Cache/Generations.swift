internal import Bytes
internal import Synchronization

/// A number per project that each write seen for it moves, and that is part of every cache key.
///
/// - Shape: 4,096 words by hash of the project id, so it is bounded; two projects on one word only invalidate each other.
final class Generations: Sendable {
    private static let count = 4_096
    private let words: [Word]
    private let hash = KeyedHash.random()

    private final class Word: Sendable { let value = Atomic<UInt64>(0) }

    init() { words = (0..<Self.count).map { _ in Word() } }

    private func index(_ project: ByteView) -> Int {
        Int(truncatingIfNeeded: hash.hash(project)) & (Self.count - 1)
    }

    func current(_ project: ByteView) -> UInt64 { words[index(project)].value.load(ordering: .acquiring) }

    /// Makes every list stored for `project` so far unreachable.
    func advance(_ project: ByteView) {
        words[index(project)].value.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }
}
