internal import Bytes

/// Names an exchange of some worker that waits for a fetch.
struct Waiter: Sendable {
    let worker: Int
    let exchange: Handle
}

/// What a fetch ended in, for those who waited for it.
enum FetchOutcome: Sendable {
    /// An answer all of them may have; stored or not.
    case response(StoredResponse)
    /// It was for one token alone, or too large to keep: each asks the upstream itself.
    case forwardYourself
    case failed(Failure)
}

/// Stored responses of all projects, split into shards with one short lock each.
///
/// - Shape: keys are bytes made by `CacheKey`; a key holds a stored response, a fetch under way, or both.
/// - Limits: `maxByteCount` over all shards, the least recently used leave first; at most `maxEntryCount` keys a shard
///   and `maxWaiterCount` waiters a fetch (the next one leads its own).
/// - Source: RFC 9111 §2–4; collapsing as §4 allows it.
final class ResponseCache: Sendable {
    static let maxWaiterCount = 10_000
    static let maxEntryCount = 65_536

    private let shards: [Guarded<Shard>]
    private let hash = KeyedHash.random()
    let maxObjectByteCount: Int

    init(maxByteCount: Int, maxObjectByteCount: Int) {
        self.maxObjectByteCount = maxObjectByteCount
        // A shard must hold a few of the largest objects, or one would push out all others.
        var shardCount = 16
        while shardCount > 1, maxByteCount / shardCount < 4 * maxObjectByteCount { shardCount /= 2 }
        shards = (0..<shardCount).map { _ in Guarded<Shard>(Shard(maxByteCount: maxByteCount / shardCount)) }
    }

    func hash(_ key: ByteView) -> UInt64 { hash.hash(key) }

    private func shard(_ hash: UInt64) -> Guarded<Shard> {
        shards[Int(truncatingIfNeeded: hash >> 48) & (shards.count - 1)]
    }

    /// The stored response under `key`, fresh or not, and whether collapsing is off for it just now.
    func find(_ key: ByteView, hash: UInt64, now: UInt64) -> (stored: StoredResponse?, passes: Bool) {
        let found = hold(key, hash: hash, now: now)
        return (found.stored?.takeRetainedValue(), found.passes)
    }

    /// The same, the stored response with one reference that the caller has to give up or to pass on.
    func hold(
        _ key: ByteView, hash: UInt64, now: UInt64
    ) -> (stored: Unmanaged<StoredResponse>?, passes: Bool) {
        // The array holds the shards for good, so none is counted here.
        Unmanaged.passUnretained(shard(hash))._withUnsafeGuaranteedRef { shard in
            shard.withLock { shard in
                guard let index = shard.find(key, hash) else { return (nil, false) }
                shard.touch(index)
                return (
                    shard.entries[index].stored.map { .passRetained($0) },
                    shard.entries[index].passUntil > now
                )
            }
        }
    }

    /// Joins the fetch under way for `key`, or makes the caller its leader; nil waiter: leads or does nothing.
    ///
    /// - Returns: true when the caller leads and must call `complete` once, whatever happens.
    func lead(_ key: ByteView, hash: UInt64, waiter: Waiter?) -> Bool? {
        shard(hash).withLock { shard in
            if let index = shard.find(key, hash) {
                if shard.entries[index].isFetching {
                    guard let waiter else { return false }
                    guard shard.entries[index].waiters.count < Self.maxWaiterCount else { return nil }
                    shard.entries[index].waiters.append(waiter)
                    return false
                }
                shard.begin(index, waiter)
                return true
            }
            guard let index = shard.insert(Content(key), hash) else { return nil }
            shard.begin(index, waiter)
            return true
        }
    }

    /// Makes the caller the leader unless a fetch is under way, whose answer might be older than the request.
    func leadAlone(_ key: ByteView, hash: UInt64, waiter: Waiter) -> Bool? {
        let isFree = shard(hash).withLock { shard in
            shard.find(key, hash).map { !shard.entries[$0].isFetching } ?? true
        }
        return isFree ? lead(key, hash: hash, waiter: waiter) : nil
    }

    /// Ends the fetch under way for `key`: stores `stored` if given, and answers those who waited.
    ///
    /// - Parameter passUntil: until when equal requests shall not wait for each other, since this one could not be kept.
    func complete(_ key: ByteView, hash: UInt64, stored: StoredResponse?, passUntil: UInt64) -> [Waiter] {
        shard(hash).withLock { shard in
            guard let index = shard.find(key, hash) else { return [] }
            let waiters = shard.entries[index].waiters
            shard.entries[index].isFetching = false
            shard.entries[index].waiters = []
            if let stored { shard.store(stored, at: index) }
            shard.entries[index].passUntil = passUntil
            shard.evict()
            return waiters
        }
    }

    /// The stored responses and their bytes, now.
    func totals() -> (count: Int, byteCount: Int, evictedCount: UInt64) {
        var totals = (count: 0, byteCount: 0, evictedCount: UInt64(0))
        for box in shards {
            box.withLock { shard in
                totals.count += shard.storedCount
                totals.byteCount += shard.byteCount
                totals.evictedCount += shard.evictedCount
            }
        }
        return totals
    }
}
