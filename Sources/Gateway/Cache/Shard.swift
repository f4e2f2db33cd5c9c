internal import Bytes

/// One shard of the response cache: a chained hash table with a use order; always under its lock.
struct Shard: ~Copyable, Sendable {
    struct Entry: Sendable {
        var hash: UInt64 = 0
        var key: Content?
        var stored: StoredResponse?
        /// A fetch is under way; those who wait for it.
        var isFetching = false
        var waiters: [Waiter] = []
        var passUntil: UInt64 = 0
        var byteCount = 0
        var nextInBucket: Int32 = -1
        var newer: Int32 = -1
        var older: Int32 = -1
    }

    var entries: [Entry] = []
    private var buckets: [Int32] = Array(repeating: -1, count: 256)
    private var free: [Int32] = []
    private var newest: Int32 = -1
    private var oldest: Int32 = -1
    private var usedCount = 0
    private(set) var byteCount = 0
    private(set) var storedCount = 0
    private(set) var evictedCount: UInt64 = 0
    private let maxByteCount: Int

    init(maxByteCount: Int) { self.maxByteCount = maxByteCount }

    func find(_ key: ByteView, _ hash: UInt64) -> Int? {
        var index = buckets[bucket(hash)]
        while index >= 0 {
            let place = Int(index)
            if entries[place].hash == hash, hasKey(place, key) { return place }
            index = entries[place].nextInBucket
        }
        return nil
    }

    /// The entry holds its key while it is looked at, so no reference is counted.
    private func hasKey(_ place: Int, _ key: ByteView) -> Bool {
        Unmanaged.passUnretained(entries[place].key!)._withUnsafeGuaranteedRef { $0.bytes.equals(key) }
    }

    /// Makes an empty entry; nil when the shard is full of entries that cannot leave.
    mutating func insert(_ key: Content, _ hash: UInt64) -> Int? {
        if usedCount >= ResponseCache.maxEntryCount, !removeOldest() { return nil }
        if usedCount >= buckets.count { rehash() }
        let index: Int
        if let reused = free.popLast() {
            index = Int(reused)
        } else {
            index = entries.count
            entries.append(Entry())
        }
        let place = bucket(hash)
        entries[index] = Entry(hash: hash, key: key, byteCount: key.count + 128, nextInBucket: buckets[place])
        buckets[place] = Int32(index)
        byteCount += entries[index].byteCount
        usedCount += 1
        link(index)
        return index
    }

    /// Marks a fetch as under way, with the one who leads it.
    mutating func begin(_ index: Int, _ leader: Waiter?) {
        entries[index].isFetching = true
        entries[index].waiters = leader.map { [$0] } ?? []
    }

    mutating func store(_ stored: StoredResponse, at index: Int) {
        if entries[index].stored == nil { storedCount += 1 }
        byteCount -= entries[index].byteCount
        entries[index].stored = stored
        entries[index].byteCount = stored.byteCount + entries[index].key!.count + 128
        byteCount += entries[index].byteCount
        touch(index)
    }

    /// Makes `index` the most recently used.
    mutating func touch(_ index: Int) {
        guard newest != Int32(index) else { return }
        unlink(index)
        link(index)
    }

    /// Lets the least recently used go until the shard fits.
    mutating func evict() {
        while byteCount > maxByteCount, removeOldest() {}
    }

    /// Removes the oldest entry without a fetch under way; looks at 8 before it gives up.
    private mutating func removeOldest() -> Bool {
        var index = oldest
        for _ in 0..<8 where index >= 0 {
            if !entries[Int(index)].isFetching {
                remove(Int(index))
                evictedCount += 1
                return true
            }
            index = entries[Int(index)].newer
        }
        return false
    }

    private mutating func remove(_ index: Int) {
        unlink(index)
        let place = bucket(entries[index].hash)
        if buckets[place] == Int32(index) {
            buckets[place] = entries[index].nextInBucket
        } else {
            var before = Int(buckets[place])
            while entries[before].nextInBucket != Int32(index) { before = Int(entries[before].nextInBucket) }
            entries[before].nextInBucket = entries[index].nextInBucket
        }
        if entries[index].stored != nil { storedCount -= 1 }
        byteCount -= entries[index].byteCount
        entries[index] = Entry()
        free.append(Int32(index))
        usedCount -= 1
    }

    private func bucket(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash) & (buckets.count - 1) }

    private mutating func rehash() {
        buckets = Array(repeating: -1, count: buckets.count * 2)
        for index in entries.indices where entries[index].key != nil {
            let place = bucket(entries[index].hash)
            entries[index].nextInBucket = buckets[place]
            buckets[place] = Int32(index)
        }
    }

    private mutating func link(_ index: Int) {
        entries[index].older = newest
        entries[index].newer = -1
        if newest >= 0 { entries[Int(newest)].newer = Int32(index) } else { oldest = Int32(index) }
        newest = Int32(index)
    }

    private mutating func unlink(_ index: Int) {
        let older = entries[index].older
        let newer = entries[index].newer
        if newer >= 0 { entries[Int(newer)].older = older } else { newest = older }
        if older >= 0 { entries[Int(older)].newer = newer } else { oldest = newer }
    }
}
