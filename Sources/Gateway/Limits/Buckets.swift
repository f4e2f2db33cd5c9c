internal import Bytes
internal import Glibc
internal import Synchronization

/// The buckets of all limits, one atomic word each, shared by all loops.
///
/// - Shape: sets of eight places of 16 bytes, the key and the word. With a rate the word is the time at which the debt is
///   paid (monotonic nanoseconds); with at-once it counts the exchanges in progress.
/// - Limits: never more than `capacity` places; a new key takes the idlest place of its set, and is not limited when all
///   eight count exchanges in progress. The memory is the kernel's until it is touched.
/// - Source: ITU-T I.371, generic cell rate algorithm (virtual scheduling).
// Unchecked: places are touched by atomic operations alone, and change their key under a lock of their set.
public final class Buckets: @unchecked Sendable {
    struct Place: ~Copyable {
        let key: Atomic<UInt64>
        let word: Atomic<UInt64>
    }

    /// How full the table is, and what had to go.
    public struct Occupation: Sendable, Equatable {
        public var capacity: Int
        /// Places that ever had a key.
        public var usedCount: Int
        /// Keys that made room while their debt was not paid.
        public var evictedInDebtCount: Int
        /// Requests that were not limited for want of a place.
        public var unplacedCount: Int
    }

    private static let setSize = 8
    /// Held by whoever gives the place another key.
    private static let busy = UInt64.max
    private let places: UnsafeMutablePointer<Place>
    private let byteCount: Int
    private let setMask: UInt64
    private let locks: [Guarded<Int>]
    private let used = Atomic<Int>(0)
    private let evictedInDebt = Atomic<Int>(0)
    private let unplaced = Atomic<Int>(0)

    /// - Parameter capacity: rounded up to a power of two, at least 8.
    public init(capacity: Int) {
        var sets = 1
        while sets * Self.setSize < capacity { sets *= 2 }
        setMask = UInt64(sets - 1)
        byteCount = sets * Self.setSize * MemoryLayout<Place>.stride
        // All zero is what an empty place is; a page is made when it is first touched.
        let block = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(block != MAP_FAILED, "no address space for the buckets")
        places = block!.bindMemory(to: Place.self, capacity: sets * Self.setSize)
        locks = (0..<64).map { _ in Guarded(0) }
    }

    deinit { munmap(places, byteCount) }

    public var occupation: Occupation {
        Occupation(
            capacity: byteCount / MemoryLayout<Place>.stride, usedCount: used.load(ordering: .relaxed),
            evictedInDebtCount: evictedInDebt.load(ordering: .relaxed),
            unplacedCount: unplaced.load(ordering: .relaxed))
    }

    // MARK: - Places

    private func first(_ key: UInt64) -> UnsafeMutablePointer<Place> {
        places + Int(key >> 8 & setMask) * Self.setSize
    }

    /// The place of a key, and its word; nil when it has none.
    ///
    /// The word is read before the key is looked at once more. Should the place change hands after that, whoever exchanges
    /// the word finds another one there: a new key's begins at the time of then.
    private func find(_ key: UInt64) -> (place: UnsafeMutablePointer<Place>, word: UInt64)? {
        let first = first(key)
        for offset in 0..<Self.setSize {
            let place = first + offset
            guard place.pointee.key.load(ordering: .relaxed) == key else { continue }
            let word = place.pointee.word.load(ordering: .acquiring)
            guard word != Self.busy, place.pointee.key.load(ordering: .acquiring) == key else { continue }
            return (place, word)
        }
        return nil
    }

    /// When a place is idle: the later, the longer it is worth keeping.
    private static func idleAt(_ key: UInt64, _ word: UInt64) -> UInt64 {
        guard BucketKey.isAtOnce(key) else { return word }
        return AtOnceWord.count(word) > 0 ? .max : AtOnceWord.time(word)
    }

    /// Makes a place for a key that has none, with a word that owes nothing at `now`.
    ///
    /// - Returns: false when there is none to be had.
    @inline(never)
    private func insert(_ key: UInt64, now: UInt64) -> Bool {
        let first = first(key)
        let lock = locks[Int(key >> 8 & setMask) & (locks.count - 1)]
        return lock.withLock { _ in
            while true {
                if find(key) != nil { return true }
                var best: (place: UnsafeMutablePointer<Place>, word: UInt64, idleAt: UInt64)?
                for offset in 0..<Self.setSize {
                    let place = first + offset
                    let word = place.pointee.word.load(ordering: .relaxed)
                    let old = place.pointee.key.load(ordering: .relaxed)
                    let idleAt = old == 0 ? 0 : Self.idleAt(old, word)
                    if idleAt < best?.idleAt ?? .max { best = (place, word, idleAt) }
                }
                guard let best else {
                    unplaced.wrappingAdd(1, ordering: .relaxed)
                    return false
                }
                // Somebody may have used it since.
                guard
                    best.place.pointee.word.compareExchange(
                        expected: best.word, desired: Self.busy, ordering: .acquiringAndReleasing
                    ).exchanged
                else { continue }
                if best.place.pointee.key.load(ordering: .relaxed) == 0 {
                    used.wrappingAdd(1, ordering: .relaxed)
                } else if best.idleAt > now {
                    evictedInDebt.wrappingAdd(1, ordering: .relaxed)
                }
                best.place.pointee.key.store(key, ordering: .releasing)
                best.place.pointee.word.store(
                    BucketKey.isAtOnce(key) ? AtOnceWord.make(now, count: 0) : now, ordering: .releasing)
                return true
            }
        }
    }

    // MARK: - Rates

    /// When the debt of a bucket is paid; 0 for a bucket that has none.
    public func paidAt(_ key: UInt64) -> UInt64 { find(key)?.word ?? 0 }

    /// Takes `cost` nanoseconds of debt where the whole debt then is at most `tolerance`.
    ///
    /// - Returns: when the debt is paid, whether `cost` is in it or not.
    func take(
        _ key: UInt64, cost: UInt64, tolerance: UInt64, now: UInt64
    ) -> (isTaken: Bool, paidAt: UInt64) {
        while true {
            guard let (place, word) = find(key) else {
                if insert(key, now: now) { continue }
                return (true, now)
            }
            let paidAt = max(word, now)
            // Cannot overflow: debts and costs are at most two years, clocks count from the boot.
            guard paidAt + cost <= now + tolerance else { return (false, paidAt) }
            let (exchanged, _) = place.pointee.word.compareExchange(
                expected: word, desired: paidAt + cost, ordering: .acquiringAndReleasing)
            if exchanged { return (true, paidAt + cost) }
        }
    }

    /// Gives back up to `amount` of what was taken when the debt became `paidAt`.
    ///
    /// What time has paid off meanwhile is not given back: in no window does the bucket then give more than it should.
    func giveBack(_ key: UInt64, _ amount: UInt64, paidAt: UInt64, now: UInt64) {
        guard paidAt > now else { return }
        let amount = min(amount, paidAt - now)
        while amount > 0, let (place, word) = find(key), word >= amount {
            let (exchanged, _) = place.pointee.word.compareExchange(
                expected: word, desired: word - amount, ordering: .acquiringAndReleasing)
            if exchanged { return }
        }
    }

    /// Notes that a debt is paid at `paidAt` at the earliest: what the shared store said of it.
    func note(_ key: UInt64, paidAt: UInt64, now: UInt64) {
        while paidAt > now {
            guard let (place, word) = find(key) else {
                if insert(key, now: now) { continue }
                return
            }
            guard word < paidAt else { return }
            let (exchanged, _) = place.pointee.word.compareExchange(
                expected: word, desired: paidAt, ordering: .acquiringAndReleasing)
            if exchanged { return }
        }
    }

    /// A bucket as a look found it.
    struct Seen {
        /// nil where it has no place yet.
        fileprivate var place: UnsafeMutablePointer<Place>?
        /// When the debt is paid; 0 without a place.
        fileprivate(set) var word: UInt64 = 0

        init() {}
    }

    func see(_ key: UInt64) -> Seen {
        var seen = Seen()
        if let found = find(key) { (seen.place, seen.word) = found }
        return seen
    }

    /// Takes `cost` from a bucket that is as it was seen, with room for it; nil, and nothing taken, when it is not.
    ///
    /// - Returns: when the debt is paid, with `cost` in it.
    func take(_ seen: Seen, _ cost: UInt64, now: UInt64) -> UInt64? {
        guard let place = seen.place else { return nil }
        // Cannot overflow: the look added the same.
        let paidAt = max(seen.word, now) + cost
        let (exchanged, _) = place.pointee.word.compareExchange(
            expected: seen.word, desired: paidAt, ordering: .acquiringAndReleasing)
        return exchanged ? paidAt : nil
    }

    // MARK: - At once

    /// The exchanges in progress.
    func countAtOnce(_ key: UInt64) -> Int { find(key).map { AtOnceWord.count($0.word) } ?? 0 }

    /// Counts one more where there are fewer than `limit`.
    ///
    /// - Returns: how many there are, with it where it was taken; nil when there was no place, so that none is counted.
    func enter(_ key: UInt64, limit: Int, now: UInt64) -> (isTaken: Bool, count: Int)? {
        while true {
            guard let (place, word) = find(key) else {
                if insert(key, now: now) { continue }
                return nil
            }
            let count = AtOnceWord.count(word)
            guard count < limit else { return (false, count) }
            let (exchanged, _) = place.pointee.word.compareExchange(
                expected: word, desired: AtOnceWord.make(now, count: count + 1),
                ordering: .acquiringAndReleasing)
            guard exchanged else { continue }
            // Within a millisecond words are alike: a place that counted nothing may have got another key meanwhile. One
            // that counts keeps its key, so what is found now stays.
            if place.pointee.key.load(ordering: .acquiring) == key { return (true, count + 1) }
            while true {
                let word = place.pointee.word.load(ordering: .relaxed)
                let (undone, _) = place.pointee.word.compareExchange(
                    expected: word, desired: word - 1, ordering: .acquiringAndReleasing)
                if undone { break }
            }
        }
    }

    /// Ends what `enter` took; the place is still there, since one that counts is never given away.
    func leave(_ key: UInt64) {
        while let (place, word) = find(key) {
            guard AtOnceWord.count(word) > 0 else { return }
            let (exchanged, _) = place.pointee.word.compareExchange(
                expected: word, desired: word - 1, ordering: .acquiringAndReleasing)
            if exchanged { return }
        }
    }
}

/// The name of a bucket: 62 bits of a keyed hash, one bit for its kind, and one that keeps it from being zero.
public enum BucketKey {
    public static func make(_ hash: UInt64, isAtOnce: Bool) -> UInt64 {
        hash & ~3 | 2 | (isAtOnce ? 1 : 0)
    }

    static func isAtOnce(_ key: UInt64) -> Bool { key & 1 == 1 }
}

/// A count of exchanges in progress and when it was last raised.
///
/// - Shape: 20 bits of count below 44 bits of about a millisecond each.
enum AtOnceWord {
    static let maxCount = 1 << 20 - 1

    static func make(_ now: UInt64, count: Int) -> UInt64 { (now >> 20) << 20 | UInt64(count) }
    static func count(_ word: UInt64) -> Int { Int(word & 0xF_FFFF) }
    static func time(_ word: UInt64) -> UInt64 { word & ~0xF_FFFF }
}
