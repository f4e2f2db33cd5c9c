import Bytes
import Foundation
import Synchronization
import Testing

@testable import Gateway

/// One bucket against what it has to be: a store of debt that time pays off.
struct BucketsTests {
    private static let second: UInt64 = 1_000_000_000
    private static func key(_ number: UInt64, isAtOnce: Bool = false) -> UInt64 {
        BucketKey.make(number &* 0x9E37_79B9_7F4A_7C15, isAtOnce: isAtOnce)
    }

    /// Rates from one a day to a million a second, as an interval and a burst.
    static let quotas: [(interval: UInt64, burst: UInt64)] = [
        (second, 1), (second / 20, 20), (1_000, 1), (6 * second, 20), (333_333_334, 7),
        (86_400 * second, 1_000), (50_000, 100_000),
    ]

    @Test(arguments: quotas.indices, [1, 2, 3, 4, 5] as [UInt64])
    func `in no window does a bucket give more than burst and rate, whatever the arrivals`(
        quota: Int, seed: UInt64
    ) {
        let (interval, burst) = Self.quotas[quota]
        var random = SeededNumbers(seed: seed * 1_000 + UInt64(quota))
        let buckets = Buckets(capacity: 8)
        let tolerance = interval * burst
        var now = 3_600 * Self.second
        var admitted: [(time: UInt64, cost: UInt64)] = []
        for _ in 0..<2_000 {
            // Bursts at one moment, even arrivals, long pauses, by turns.
            switch random.next() % 4 {
            case 0: break
            case 1: now += random.next() % (interval / 4 + 1)
            case 2: now += random.next() % (interval * 2)
            default: now += random.next() % (interval * burst + 1) / 8
            }
            let cost = [interval, interval, interval * 2, interval / 10][Int(random.next() % 4)]
            if buckets.take(Self.key(1), cost: cost, tolerance: tolerance, now: now).isTaken {
                admitted.append((now, cost))
            }
        }
        #expect(admitted.count > 10, "seed \(seed)")
        // The sum of costs up to each moment, so that a window is a difference.
        var sums: [UInt64] = [0]
        for one in admitted { sums.append(sums.last! + one.cost) }
        for first in admitted.indices {
            for last in stride(from: first, to: min(admitted.count, first + 300), by: 7) {
                let given = sums[last + 1] - sums[first]
                let allowed = tolerance + (admitted[last].time - admitted[first].time)
                #expect(given <= allowed, "seed \(seed): \(first)...\(last)")
            }
        }
    }

    @Test(arguments: quotas.indices, [1, 2, 3] as [UInt64])
    func `nothing is refused that a slow and obvious bucket admits, and the wait it tells is exact`(
        quota: Int, seed: UInt64
    ) {
        let (interval, burst) = Self.quotas[quota]
        var random = SeededNumbers(seed: seed * 77 + UInt64(quota))
        let buckets = Buckets(capacity: 8)
        var now = 100 * Self.second
        // The obvious one: nanoseconds' worth of credit, filled by the clock up to the burst.
        var credit = interval * burst
        var filledAt = now
        for _ in 0..<3_000 {
            now +=
                random.next() % 3 == 0
                ? random.next() % (interval * burst + 1) / 4 : random.next() % (interval + 1)
            let cost = random.next() % 3 == 0 ? interval / 2 : interval
            credit = min(interval * burst, credit + (now - filledAt))
            filledAt = now
            let (isTaken, paidAt) = buckets.take(
                Self.key(2), cost: cost, tolerance: interval * burst, now: now)
            #expect(isTaken == (credit >= cost), "seed \(seed)")
            if isTaken {
                credit -= cost
            } else {
                let wait = paidAt + cost - interval * burst - now
                #expect(wait == cost - credit, "seed \(seed)")
                // A moment earlier it is refused, after the wait it is admitted.
                #expect(
                    !buckets.take(Self.key(2), cost: cost, tolerance: interval * burst, now: now + wait - 1)
                        .isTaken)
                #expect(
                    buckets.take(Self.key(2), cost: cost, tolerance: interval * burst, now: now + wait)
                        .isTaken)
                now += wait
                credit = 0
                filledAt = now
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `what is given back never lets a window have more than its due`(seed: UInt64) {
        var random = SeededNumbers(seed: seed)
        let buckets = Buckets(capacity: 8)
        let interval = Self.second
        let tolerance = 5 * interval
        var now = 1_000 * Self.second
        var spent: [(time: UInt64, cost: UInt64)] = []
        var open: [(index: Int, paidAt: UInt64)] = []
        for _ in 0..<2_000 {
            now += random.next() % (2 * interval)
            if random.next() % 2 == 0, let last = open.popLast() {
                buckets.giveBack(Self.key(3), interval, paidAt: last.paidAt, now: now)
                spent[last.index].cost = 0
                continue
            }
            let (isTaken, paidAt) = buckets.take(Self.key(3), cost: interval, tolerance: tolerance, now: now)
            guard isTaken else { continue }
            spent.append((now, interval))
            if random.next() % 3 != 0 { open.append((spent.count - 1, paidAt)) }
        }
        for first in spent.indices {
            var given: UInt64 = 0
            for last in first..<min(spent.count, first + 100) {
                given += spent[last].cost
                #expect(given <= tolerance + (spent[last].time - spent[first].time), "seed \(seed)")
            }
        }
    }

    @Test func `eight threads on one bucket get exactly its burst`() {
        for round in 0..<20 as Range<UInt64> {
            let buckets = Buckets(capacity: 64)
            let taken = Atomic<Int>(0)
            let now = 50 * Self.second
            DispatchQueue.concurrentPerform(iterations: 8) { _ in
                for _ in 0..<2_000
                where buckets.take(
                    Self.key(round), cost: 1_000, tolerance: 9_999_000, now: now
                ).isTaken {
                    taken.wrappingAdd(1, ordering: .relaxed)
                }
            }
            #expect(taken.load(ordering: .relaxed) == 9_999)
        }
    }

    @Test func `eight threads that enter and leave never exceed the limit, and leave nothing behind`() {
        let buckets = Buckets(capacity: 8)
        let key = Self.key(9, isAtOnce: true)
        let inside = Atomic<Int>(0)
        let most = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for turn in 0..<5_000 {
                guard let entered = buckets.enter(key, limit: 3, now: UInt64(turn) << 22), entered.isTaken
                else {
                    continue
                }
                let count = inside.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
                _ = most.max(count, ordering: .relaxed)
                inside.wrappingSubtract(1, ordering: .sequentiallyConsistent)
                buckets.leave(key)
            }
        }
        #expect((1...3).contains(most.load(ordering: .relaxed)))
        #expect(buckets.countAtOnce(key) == 0)
    }

    @Test func `threads that make and evict buckets in one set lose no request of a bucket in debt`() {
        // One set of eight places: everybody's keys fight for it, except that the deepest in debt stays.
        let buckets = Buckets(capacity: 8)
        let now = 50 * Self.second
        let deep = Self.key(77)
        let taken = Atomic<Int>(0)
        for _ in 0..<3 { _ = buckets.take(deep, cost: 1_000_000_000, tolerance: 1_000_000_000_000, now: now) }
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for turn in 0..<3_000 {
                let other = Self.key(UInt64(thread * 100_000 + turn + 1_000))
                _ = buckets.take(other, cost: 1_000, tolerance: 10_000, now: now)
                if turn % 10 == 0,
                    buckets.take(deep, cost: 1_000_000_000, tolerance: 1_000_000_000_000, now: now).isTaken
                {
                    taken.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        #expect(taken.load(ordering: .relaxed) == 997)
        #expect(buckets.occupation.usedCount == 8)
        #expect(buckets.occupation.evictedInDebtCount > 0)
    }

    @Test func `a new key takes the place of the idlest, and one that counts exchanges in progress stays`() {
        let buckets = Buckets(capacity: 8)
        let now = 100 * Self.second
        for number in 0..<8 as Range<UInt64> {
            #expect(buckets.enter(Self.key(number, isAtOnce: true), limit: 9, now: now)?.isTaken == true)
        }
        // No place is free: nothing is counted, and nobody is refused for it.
        #expect(buckets.enter(Self.key(8, isAtOnce: true), limit: 9, now: now) == nil)
        #expect(buckets.take(Self.key(9), cost: 5, tolerance: 5, now: now).isTaken)
        #expect(buckets.occupation.unplacedCount == 2)
        buckets.leave(Self.key(3, isAtOnce: true))
        #expect(buckets.take(Self.key(9), cost: 5, tolerance: 5, now: now + Self.second).isTaken)
        #expect(buckets.countAtOnce(Self.key(3, isAtOnce: true)) == 0)
        #expect(buckets.countAtOnce(Self.key(4, isAtOnce: true)) == 1)
        #expect(buckets.occupation.evictedInDebtCount == 0)
    }

    @Test func `what a shared store said of a debt counts here, and what it said before does not lower it`() {
        let buckets = Buckets(capacity: 8)
        let now = 100 * Self.second
        buckets.note(Self.key(1), paidAt: now + 500, now: now)
        #expect(buckets.paidAt(Self.key(1)) == now + 500)
        buckets.note(Self.key(1), paidAt: now + 400, now: now)
        #expect(buckets.paidAt(Self.key(1)) == now + 500)
        #expect(!buckets.take(Self.key(1), cost: 1, tolerance: 500, now: now).isTaken)
        // Nothing is kept of a debt that is paid.
        buckets.note(Self.key(2), paidAt: now, now: now)
        #expect(buckets.paidAt(Self.key(2)) == 0)
    }
}
