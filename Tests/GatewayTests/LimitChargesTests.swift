import Bytes
import Foundation
import OpenStack
import Testing

@testable import Gateway

/// What a request took, and what becomes of it when it turns out to have cost less.
struct LimitChargesTests {
    private static func table(rate: Settings.Rate, cost: Settings.LimitCost) throws -> LimitTable {
        let file = SettingsPlaces.root + "/config/openapi/compute.yaml"
        let operations = try OperationTable.load(
            text: String(contentsOfFile: file, encoding: .utf8), file: file)
        var rule = Settings.LimitRule(name: "all", quota: .rate(rate, burst: 20))
        rule.cost = cost
        var limits = Settings.Limits()
        limits.rules = [rule]
        return try LimitTable.compile(limits, tables: [operations], hash: .random())
    }

    @Test func `a hit that the shared store was asked about leaves nothing behind here`() throws {
        var cost = Settings.LimitCost()
        cost.hit = 0
        let table = try Self.table(rate: .init(count: 60, per: .minute), cost: cost)
        let buckets = Buckets(capacity: 8)
        let now: UInt64 = 3_600_000_000_000
        var all: [LimitCharges] = []
        for number in 1...20 as ClosedRange<UInt64> {
            var charges = LimitCharges()
            table.demand(LimitSubject(), into: &charges)
            try #require(charges.count == 1)
            // As the store answers twenty requests at once: each finds the debt of those before it.
            charges[0].paidAt = now + number * charges[0].cost
            charges[0].storePaidAt = number
            charges[0].state = .taken
            buckets.note(charges[0].key, paidAt: charges[0].paidAt, now: now)
            all.append(charges)
        }
        var next = LimitCharges()
        table.demand(LimitSubject(), into: &next)
        #expect(buckets.take(&next, now: now) != .allowed)
        for index in all.indices.reversed() { all[index].settle(buckets, table, as: .hit, now: now) }
        table.demand(LimitSubject(), into: &next)
        #expect(buckets.take(&next, now: now) == .allowed)
        #expect(next[0].paidAt == now + next[0].cost)
    }

    @Test(arguments: [1, 3, 333, 999, 1_000])
    func `parts of a request add up to no less than the request`(_ thousandths: Int) throws {
        var cost = Settings.LimitCost()
        cost.request = thousandths
        let table = try Self.table(rate: .init(count: 999_999, per: .second), cost: cost)
        var charges = LimitCharges()
        table.demand(LimitSubject(), into: &charges)
        let interval = UInt64(1_001)
        #expect(charges[0].cost * 1_000 >= interval * UInt64(thousandths))
        #expect(charges[0].cost * 1_000 < interval * UInt64(thousandths) + 1_000)
    }
}
