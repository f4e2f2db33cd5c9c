internal import OpenStack

/// One shard of the identity cache; always under its lock.
///
/// Each loop reads the clock for itself, so `now` may be a little before a moment that another loop left here.
struct IdentityShard: Sendable {
    private struct Entry {
        var digest: TokenDigest
        /// Never `unavailable`.
        var judgement: Judgement
        var learnedAt: UInt64
        /// From when on it is judged anew beside its use; moved on while Keystone is in trouble.
        var renewAt: UInt64
        var freshUntil: UInt64
        var staleUntil: UInt64
    }

    private var slots: [Entry?] = Array(repeating: nil, count: 64)
    private struct Asking {
        var waiters: [Waiter]
        let since: UInt64
    }

    private var asking: [TokenDigest: Asking] = [:]
    /// Longer than any question takes: one that is still open was lost with the settings it was asked under.
    private static let maxAskingNanoseconds: UInt64 = 120_000_000_000
    private(set) var count = 0
    private(set) var evictedCount: UInt64 = 0
    private let maxCount: Int

    init(maxCount: Int) { self.maxCount = maxCount }

    private func home(_ digest: TokenDigest) -> Int {
        Int(truncatingIfNeeded: digest.words[1]) & (slots.count - 1)
    }

    private func find(_ digest: TokenDigest) -> Int? {
        var index = home(digest)
        // By the digest alone: a copy of the entry would count a reference to its identity.
        while let other = slots[index]?.digest {
            if other == digest { return index }
            index = (index + 1) & (slots.count - 1)
        }
        return nil
    }

    /// Whom a token stands for that is known, fresh and not due to be judged anew; with a reference for the caller.
    func lend(_ digest: TokenDigest, now: UInt64, wallSeconds: Int64) -> Unmanaged<Identity>? {
        guard let index = find(digest), now < slots[index]!.renewAt, now < slots[index]!.freshUntil,
            case .identity(let identity) = slots[index]!.judgement,
            !identity.hasExpired(at: wallSeconds)
        else { return nil }
        return .passRetained(identity)
    }

    mutating func look(
        _ digest: TokenDigest, now: UInt64, wallSeconds: Int64?, mayUseStale: Bool, mayAsk: Bool,
        waiter: Waiter
    ) -> Known {
        var hasStale = false
        if let index = find(digest), let entry = slots[index] {
            if case .identity(let identity) = entry.judgement {
                // Its end needs no asking.
                if let wallSeconds, identity.hasExpired(at: wallSeconds) {
                    return .judgement(.invalid, renews: false)
                }
                if now >= entry.freshUntil, now < entry.staleUntil {
                    hasStale = true
                    if mayUseStale { return .stale(identity, renews: renew(digest, index, now)) }
                }
            }
            if now < entry.freshUntil {
                return .judgement(entry.judgement, renews: renew(digest, index, now))
            }
        }
        if let open = asking[digest], now < open.since + Self.maxAskingNanoseconds {
            asking[digest]?.waiters.append(waiter)
            return .asked(hasStale: hasStale)
        }
        if mayAsk {
            asking[digest] = Asking(waiters: (asking[digest]?.waiters ?? []) + [waiter], since: now)
        }
        return .unknown(hasStale: hasStale)
    }

    /// Whether the one who looked shall have it judged anew; nobody waits for that.
    private mutating func renew(_ digest: TokenDigest, _ index: Int, _ now: UInt64) -> Bool {
        guard now >= slots[index]!.renewAt, asking[digest] == nil else { return false }
        asking[digest] = Asking(waiters: [], since: now)
        return true
    }

    mutating func complete(
        _ digest: TokenDigest, _ judgement: Judgement, now: UInt64, jitter: Double, times: JudgementTimes
    ) -> [Waiter] {
        let waiters = asking.removeValue(forKey: digest)?.waiters ?? []
        switch judgement {
        case .unavailable:
            // What is known stays known; it is not asked about again at once.
            if let index = find(digest) { slots[index]!.renewAt = now + 1_000_000_000 }
        case .identity:
            let age = times.maxAge - UInt64(Double(times.maxAge) * 0.1 * jitter)
            store(
                Entry(
                    digest: digest, judgement: judgement, learnedAt: now, renewAt: now + age / 5 * 4,
                    freshUntil: now + age, staleUntil: now + age + times.staleMaxAge))
        case .invalid, .project(exists: false):
            let until = now + times.negativeMaxAge
            store(
                Entry(
                    digest: digest, judgement: judgement, learnedAt: now, renewAt: .max, freshUntil: until,
                    staleUntil: until))
        case .project(exists: true):
            let until = now + times.maxAge
            store(
                Entry(
                    digest: digest, judgement: judgement, learnedAt: now, renewAt: .max, freshUntil: until,
                    staleUntil: until))
        }
        return waiters
    }

    mutating func drop(_ digest: TokenDigest, now: UInt64) {
        guard let index = find(digest), now > slots[index]!.learnedAt + 1_000_000_000 else { return }
        remove(index)
    }

    private mutating func store(_ entry: Entry) {
        if let index = find(entry.digest) {
            slots[index] = entry
            return
        }
        if count >= maxCount { evict(near: home(entry.digest)) }
        if (count + 1) * 2 > slots.count { enlarge() }
        place(entry)
        count += 1
    }

    private mutating func place(_ entry: Entry) {
        var index = home(entry.digest)
        while slots[index] != nil { index = (index + 1) & (slots.count - 1) }
        slots[index] = entry
    }

    private mutating func enlarge() {
        let old = slots
        slots = Array(repeating: nil, count: old.count * 2)
        for case let entry? in old { place(entry) }
    }

    /// Lets go, of the next eight entries from `start`, the one whose time is over first.
    private mutating func evict(near start: Int) {
        var index = start
        var chosen: Int?
        var seen = 0
        for _ in 0..<slots.count where seen < 8 {
            if let entry = slots[index] {
                seen += 1
                if chosen == nil || entry.staleUntil < slots[chosen!]!.staleUntil { chosen = index }
            }
            index = (index + 1) & (slots.count - 1)
        }
        guard let chosen else { return }
        evictedCount += 1
        remove(chosen)
    }

    /// Takes an entry out and moves up those that were placed past it.
    private mutating func remove(_ index: Int) {
        count -= 1
        var hole = index
        var next = (hole + 1) & (slots.count - 1)
        slots[hole] = nil
        while let entry = slots[next] {
            let wanted = home(entry.digest)
            let distance = (next - wanted) & (slots.count - 1)
            if distance >= (next - hole) & (slots.count - 1) {
                slots[hole] = entry
                slots[next] = nil
                hole = next
            }
            next = (next + 1) & (slots.count - 1)
        }
    }
}
