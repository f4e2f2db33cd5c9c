internal import Bytes

/// The buckets of one request: what it asks of each, and what became of it.
///
/// - Shape: trivial, at most eight, those of enforced rules first; lives in the exchange.
public struct LimitCharges {
    /// The most rules that may be about one operation.
    public static var maxCount: Int { 8 }

    enum State: UInt8 { case asked, taken, refused }

    struct Charge {
        var key: UInt64 = 0
        /// Nanoseconds of debt; 1 for at-once.
        var cost: UInt64 = 0
        /// The most nanoseconds of debt; the most in progress for at-once.
        var tolerance: UInt64 = 0
        /// When the debt is paid, monotonic; how many are in progress for at-once.
        var paidAt: UInt64 = 0
        /// The same by the shared store's clock, in microseconds; 0 where it was taken here.
        var storePaidAt: UInt64 = 0
        var rule: UInt16 = 0
        var quota: UInt16 = 0
        var state = State.asked
        var isShadow = false

        var isAtOnce: Bool { BucketKey.isAtOnce(key) }
    }

    private var charges: InlineArray<8, Charge> = .init(repeating: Charge())
    public private(set) var count = 0
    /// Where the table has the policies of all enforced rules in one piece; empty when not all of them are as usual.
    var policies = ByteRange.empty

    public init() {}

    subscript(_ index: Int) -> Charge {
        get { charges[index] }
        set { charges[index] = newValue }
    }

    /// Adds what `fill` makes of a charge, unless it answers false; as many as are selected fit, by the table's making.
    mutating func append(_ fill: (inout Charge) -> Bool) -> Bool {
        guard count < Self.maxCount, fill(&charges[count]) else { return false }
        count += 1
        return true
    }

    public mutating func removeAll() { count = 0 }

    /// Gives back what a request did not cost in the end, and ends its part of what counts at once; once per request.
    public mutating func settle(
        _ buckets: Buckets, _ table: LimitTable, as outcome: LimitOutcome, now: UInt64
    ) {
        for index in 0..<count where charges[index].state == .taken {
            let charge = charges[index]
            if charge.isAtOnce {
                buckets.leave(charge.key)
            } else {
                // What the shared store said is noted here, too, and would refuse what the store allows.
                let quota = table.quota(charge.quota)
                // Settings have no hit that costs more than the request.
                guard quota.cost(outcome) < quota.requestCost else { continue }
                let back = quota.requestCost - quota.cost(outcome)
                // A process that stands in for all of a store's took more than the request's own cost.
                let amount =
                    charge.cost == quota.requestCost
                    ? back : UInt64(Double(charge.cost) * Double(back) / Double(quota.requestCost))
                buckets.giveBack(charge.key, amount, paidAt: charge.paidAt, now: now)
            }
        }
        count = 0
    }
}

/// What a request turned out to be, which decides what it costs.
public enum LimitOutcome: UInt8, Sendable { case request, hit, notModified }

/// Whether a request may go on.
public enum LimitVerdict: Equatable, Sendable {
    case allowed
    /// By the rule with the longest wait; `wait` is in nanoseconds, 0 where nobody can tell (at-once).
    case refused(rule: Int, wait: UInt64)
}

extension Buckets {
    /// Takes from all buckets of a request, or from none: then the longest wait counts.
    ///
    /// Shadow rules are asked when the others allowed it; each that would refuse takes nothing.
    public func take(_ charges: inout LimitCharges, now: UInt64) -> LimitVerdict {
        var seen = SeenPlaces(repeating: Seen())
        if let refused = look(&charges, now: now, &seen) { return refused }
        for index in 0..<charges.count where charges[index].state == .asked {
            if let paidAt = take(seen[index], charges[index].cost, now: now) {
                charges[index].paidAt = paidAt
                charges[index].state = .taken
                continue
            }
            let isTaken = take(&charges[index], now: now)
            if isTaken || charges[index].isShadow { continue }
            // Another loop was quicker since the look.
            let refused = verdict(charges[index], now: now)
            putBack(&charges, now: now)
            return refused
        }
        return .allowed
    }

    /// Where a look found the rates of a request, so that taking need not look for them again.
    private typealias SeenPlaces = InlineArray<8, Seen>

    /// Looks whether an enforced rule refuses, and takes nothing; what is known is noted in the charges.
    func look(_ charges: inout LimitCharges, now: UInt64) -> LimitVerdict? {
        var seen = SeenPlaces(repeating: Seen())
        return look(&charges, now: now, &seen)
    }

    private func look(
        _ charges: inout LimitCharges, now: UInt64, _ seen: inout SeenPlaces
    ) -> LimitVerdict? {
        var worst: LimitVerdict?
        var longest: UInt64 = 0
        for index in 0..<charges.count where !charges[index].isShadow && charges[index].state == .asked {
            if charges[index].isAtOnce {
                charges[index].paidAt = UInt64(countAtOnce(charges[index].key))
                guard charges[index].paidAt >= charges[index].tolerance else { continue }
            } else {
                seen[index] = see(charges[index].key)
                charges[index].paidAt = max(seen[index].word, now)
                guard charges[index].paidAt + charges[index].cost > now + charges[index].tolerance else {
                    continue
                }
            }
            let verdict = verdict(charges[index], now: now)
            guard case .refused(_, let wait) = verdict, worst == nil || wait > longest else { continue }
            longest = wait
            worst = verdict
        }
        return worst
    }

    private func verdict(_ charge: LimitCharges.Charge, now: UInt64) -> LimitVerdict {
        let wait =
            charge.isAtOnce
            ? 0 : charge.paidAt + charge.cost - min(charge.paidAt + charge.cost, now + charge.tolerance)
        return .refused(rule: Int(charge.rule), wait: wait)
    }

    func take(_ charge: inout LimitCharges.Charge, now: UInt64) -> Bool {
        let isTaken: Bool
        if charge.isAtOnce {
            // Without a place for it nothing is counted, and nothing has to be given back.
            guard let entered = enter(charge.key, limit: Int(charge.tolerance), now: now) else { return true }
            charge.paidAt = UInt64(entered.count)
            isTaken = entered.isTaken
        } else {
            (isTaken, charge.paidAt) = take(
                charge.key, cost: charge.cost, tolerance: charge.tolerance, now: now)
        }
        charge.state = isTaken ? .taken : .refused
        return isTaken
    }

    /// Takes what counts at once alone; what refuses it, with nothing taken then.
    func enterAll(_ charges: inout LimitCharges, now: UInt64) -> LimitVerdict? {
        for index in 0..<charges.count where charges[index].isAtOnce {
            if take(&charges[index], now: now) || charges[index].isShadow { continue }
            let refused = verdict(charges[index], now: now)
            putBack(&charges, now: now)
            return refused
        }
        return nil
    }

    /// Undoes what was taken of a request that is refused.
    func putBack(_ charges: inout LimitCharges, now: UInt64) {
        for index in 0..<charges.count where charges[index].state == .taken {
            if charges[index].isAtOnce {
                leave(charges[index].key)
            } else {
                giveBack(
                    charges[index].key, charges[index].cost, paidAt: charges[index].paidAt, now: now)
                charges[index].paidAt -= min(charges[index].cost, charges[index].paidAt)
            }
            charges[index].state = .asked
        }
    }
}
