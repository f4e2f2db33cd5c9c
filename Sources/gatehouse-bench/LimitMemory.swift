import Foundation
import Gateway
import Loop
import OpenStack

/// A bucket for each of many addresses, in a table that has room for fewer.
struct LimitMemory {
    struct Row: Encodable {
        let addresses: Int
        let capacity: Int
        let used: Int
        /// Of the process: before the table was touched, and after the last address.
        let residentBefore: Int
        let residentAfter: Int
        let nanoseconds: Double

        var line: String {
            String(
                format:
                    "%6.1f ns each: %ld distinct addresses, %ld of %ld buckets used, VmRSS %.1f MB before, %.1f MB after",
                nanoseconds, addresses, used, capacity, Double(residentBefore) / 1e6,
                Double(residentAfter) / 1e6)
        }
    }

    let table: LimitTable
    let operation: Int
    let capacity: Int
    let addresses: Int

    init(table operations: OperationTable, capacity: Int, addresses: Int) throws {
        var limits = Settings.Limits()
        // An hour until it is paid, so that nothing is idle when room is wanted.
        limits.rules = [
            LimitPlan.rule("address", .rate(Settings.Rate(count: 1, per: .hour), burst: 2), [.address])
        ]
        table = try LimitMeasure.compile(limits, operations)
        operation = try LimitMeasure.operation(of: operations)
        self.capacity = capacity
        self.addresses = addresses
    }

    func run() throws -> Row {
        let buckets = Buckets(capacity: capacity)
        let before = try resident()
        let begun = LimitMeasure.threadNanoseconds()
        let start = MonotonicClock.now()
        var subject = LimitSubject()
        subject.operation = operation
        var charges = LimitCharges()
        for address in 0..<addresses {
            subject.address = IPAddress(v4: UInt32(truncatingIfNeeded: address))
            table.demand(subject, into: &charges)
            guard buckets.take(&charges, now: start + UInt64(address)) == .allowed else {
                throw BenchFailure("a new address was refused")
            }
            charges.settle(buckets, table, as: .request, now: start + UInt64(address))
        }
        let took = LimitMeasure.threadNanoseconds() - begun
        let occupation = buckets.occupation
        return Row(
            addresses: addresses, capacity: occupation.capacity, used: occupation.usedCount,
            residentBefore: before, residentAfter: try resident(),
            nanoseconds: Double(took) / Double(addresses))
    }

    private func resident() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let number = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw BenchFailure("the kernel does not tell VmRSS") }
        return number * 1_024
    }
}
