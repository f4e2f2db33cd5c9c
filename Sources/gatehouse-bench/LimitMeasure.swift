import Bytes
import Foundation
import Gateway
import Glibc
import Loop
import OpenStack

/// What one row measured.
struct LimitRow: Encodable {
    let name: String
    let rules: Int
    /// All buckets are in the cache of a core, as they are for those who ask again and again.
    let isWarm: Bool
    let threads: Int
    let checks: Int
    /// The median of the rounds, and the best of them.
    let nanoseconds: Double
    let leastNanoseconds: Double
    let allocations: Int

    var line: String {
        let time = String(format: "%6.1f ns (at least %.1f)", nanoseconds, leastNanoseconds)
        let perCheck = String(format: "%g", Double(allocations) / Double(checks))
        return "\(time), \(perCheck) allocations: \(name), \(checks) checks"
    }
}

/// Carries out a plan: threads that check in rounds, each with its own names and clock.
// Unchecked: threads write to places of their own, and these are read when the threads have ended.
final class LimitMeasure: @unchecked Sendable {
    static let checksOfRound = 10_000
    /// Two threads never write to one line of a cache.
    static let nameStride = 128

    private let plan: LimitPlan
    private let table: LimitTable
    private let buckets: Buckets
    private let operation: Int
    private let counter: Allocations.Counter
    /// The id of who asks, of each thread.
    private let names: UnsafeMutablePointer<UInt8>
    private let start = MonotonicClock.now()

    init(_ plan: LimitPlan, table operations: OperationTable, counter: @escaping Allocations.Counter) throws {
        self.plan = plan
        self.counter = counter
        var limits = Settings.Limits()
        limits.rules = plan.rules
        table = try Self.compile(limits, operations)
        buckets = Buckets(capacity: 1 << 20)
        operation = try Self.operation(of: operations)
        names = .allocate(capacity: plan.threads * Self.nameStride)
        names.initialize(repeating: 0x61, count: plan.threads * Self.nameStride)
    }

    deinit { names.deallocate() }

    static func compile(_ limits: Settings.Limits, _ operations: OperationTable) throws -> LimitTable {
        do throws(RuleMistakes) {
            return try LimitTable.compile(limits, tables: [operations], hash: KeyedHash.random())
        } catch {
            throw BenchFailure(error.list.map(\.message).joined(separator: "\n"))
        }
    }

    static func operation(of table: OperationTable) throws -> Int {
        guard let found = table.operations.firstIndex(where: { $0.id == "servers.list" }) else {
            throw BenchFailure("the definition has no servers.list")
        }
        return found
    }

    func run(rounds: Int) throws -> LimitRow {
        // What is new about a bucket, and an exhausted one's last request, is not what is measured.
        let warm = check(thread: 0, first: 0, count: max(plan.askers, 1_000))
        guard warm == 0 || plan.isRefused else { throw BenchFailure("\(plan.name): \(warm) refused") }
        let times = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: rounds * plan.threads)
        times.initialize(repeating: 0)
        defer { times.deallocate() }
        let results = UnsafeMutableBufferPointer<Int>.allocate(capacity: plan.threads * 2)
        results.initialize(repeating: 0)
        defer { results.deallocate() }
        nonisolated(unsafe) let (timesOfAll, resultsOfAll) = (times, results)
        let begun = DispatchSemaphore(value: 0)
        let go = DispatchSemaphore(value: 0)
        let over = DispatchGroup()
        for thread in 0..<plan.threads {
            over.enter()
            let body = Thread { [self] in
                begun.signal()
                go.wait()
                let allocated = counter()
                var refused = 0
                for round in 0..<rounds {
                    let before = Self.threadNanoseconds()
                    refused += check(
                        thread: thread, first: round * Self.checksOfRound, count: Self.checksOfRound)
                    timesOfAll[thread * rounds + round] = Self.threadNanoseconds() - before
                }
                resultsOfAll[thread * 2] = Int(counter() - allocated)
                resultsOfAll[thread * 2 + 1] = refused
                over.leave()
            }
            body.start()
        }
        for _ in 0..<plan.threads { begun.wait() }
        for _ in 0..<plan.threads { go.signal() }
        over.wait()
        let checks = rounds * Self.checksOfRound
        var allocations = 0
        for thread in 0..<plan.threads {
            // One counter for all threads: each has seen the others' as well.
            allocations = max(allocations, results[thread * 2])
            let refused = results[thread * 2 + 1]
            guard refused == (plan.isRefused ? checks : 0) else {
                throw BenchFailure("\(plan.name): \(refused) of \(checks) refused")
            }
        }
        let sorted = times.map { Double($0) / Double(Self.checksOfRound) }.sorted()
        return LimitRow(
            name: plan.name, rules: plan.rules.count, isWarm: plan.askers == 1, threads: plan.threads,
            checks: checks * plan.threads,
            nanoseconds: sorted[sorted.count / 2], leastNanoseconds: sorted[0], allocations: allocations)
    }

    /// Checks `count` requests, and gives the number that were refused.
    @inline(never)
    private func check(thread: Int, first: Int, count: Int) -> Int {
        // In place, since a request's own names were looked at just before.
        let names = UnsafeMutableBufferPointer(start: self.names + thread * Self.nameStride, count: 32)
        let mask = plan.askers - 1
        var subject = LimitSubject()
        subject.hasIdentity = true
        subject.operation = operation
        subject.project = ByteView(names)
        subject.user = subject.project
        var charges = LimitCharges()
        var refused = 0
        // A step of what all threads may ask together, so that no debt grows.
        let step = UInt64(plan.threads) * 1_000
        var now = start + UInt64(first) * step
        // Neighbours in the table are not neighbours in time.
        var asker = (thread << 15 &+ first) & mask
        for _ in 0..<count {
            asker = (asker &+ 7_919) & mask
            for digit in 0..<4 { names[28 + digit] = 0x61 + UInt8(asker >> (4 * digit) & 15) }
            subject.address = IPAddress(v4: UInt32(truncatingIfNeeded: asker))
            table.demand(subject, into: &charges)
            if case .refused = buckets.take(&charges, now: now) { refused += 1 }
            charges.settle(buckets, table, as: plan.outcome, now: now)
            now += step
        }
        return refused
    }

    static func threadNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
