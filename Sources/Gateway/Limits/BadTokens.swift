internal import Bytes
internal import Loop

/// How many requests without a good token an address may send.
///
/// - Shape: a bucket for each address, and beside it the count of tokens that are being judged; an IPv6 address counts with
///   its /64.
struct BadTokens {
    private let hash: KeyedHash
    let interval: UInt64
    let tolerance: UInt64

    init(_ settings: Settings.BadTokens, hash: KeyedHash) {
        self.hash = hash
        interval = settings.rate.intervalNanoseconds
        tolerance = interval * UInt64(settings.burst)
    }

    /// What an address was charged with for a token that may yet prove good.
    struct Charge {
        let debt: UInt64
        /// Nil where there was no place to count it.
        let underWay: UInt64?
        let amount: UInt64
        let paidAt: UInt64
    }

    /// The names of an address's two buckets: of its debt, and of what is being judged.
    func keys(_ address: IPAddress) -> (debt: UInt64, underWay: UInt64) {
        // Complemented, so that a rule per address has another name.
        let name = ~LimitTable.name(address, hash)
        return (BucketKey.make(name, isAtOnce: false), BucketKey.make(name, isAtOnce: true))
    }
}

/// What became of the wish to have an unknown token judged.
enum AdvanceCharge {
    case charged(BadTokens.Charge?)
    case verdict(Verdict)
}

extension Worker {
    /// How long an unknown token waits before it looks again whether others of its address are judged.
    private static var budgetPauseNanoseconds: UInt64 { 50_000_000 }

    /// 401 for a request without a good token; 429 once its address has sent too many of them.
    func refuseToken(_ exchange: ExchangePointer) -> Verdict {
        guard !exchange.pointee.isCharged, let budget = configuration(of: exchange).badTokens else {
            return fail(exchange, .unauthorized)
        }
        let taken = shared.buckets.take(
            budget.keys(exchange.pointee.client).debt, cost: budget.interval, tolerance: budget.tolerance,
            now: now)
        return taken.isTaken ? fail(exchange, .unauthorized) : tooMany(exchange, budget, taken.paidAt)
    }

    /// Charges an unknown token to its address before Keystone is asked; given back unless it proves bad.
    ///
    /// While some of the address's are under way it waits, as long as Keystone may take for one: they may all be good,
    /// as behind a NAT.
    func chargeInAdvance(_ exchange: ExchangePointer, patience: UInt64) -> AdvanceCharge {
        guard let budget = configuration(of: exchange).badTokens else { return .charged(nil) }
        let keys = budget.keys(exchange.pointee.client)
        let taken = shared.buckets.take(
            keys.debt, cost: budget.interval, tolerance: budget.tolerance, now: now)
        guard taken.isTaken else {
            if shared.buckets.countAtOnce(keys.underWay) > 0, now - exchange.pointee.startedAt < patience {
                exchange.pointee.awaitsBudget = true
                exchange.pointee.waitDeadline = now + Self.budgetPauseNanoseconds
                exchangeTimers.set(
                    exchange.pointee.handle.index, deadline: exchange.pointee.waitDeadline)
                return .verdict(.wait(.identity))
            }
            return .verdict(tooMany(exchange, budget, taken.paidAt))
        }
        let entered = shared.buckets.enter(keys.underWay, limit: AtOnceWord.maxCount, now: now)
        exchange.pointee.isCharged = true
        return .charged(
            BadTokens.Charge(
                debt: keys.debt, underWay: entered?.isTaken == true ? keys.underWay : nil,
                amount: budget.interval, paidAt: taken.paidAt))
    }

    /// Gives back what was charged for a token that is known after all.
    func giveBack(_ charge: BadTokens.Charge?, _ exchange: ExchangePointer) {
        guard let charge else { return }
        exchange.pointee.isCharged = false
        settle(charge, isBad: false)
    }

    /// Notes what became of a token that was judged.
    func settle(_ charge: BadTokens.Charge, isBad: Bool) {
        if let underWay = charge.underWay { shared.buckets.leave(underWay) }
        guard !isBad else { return }
        shared.buckets.giveBack(charge.debt, charge.amount, paidAt: charge.paidAt, now: now)
    }

    private func tooMany(_ exchange: ExchangePointer, _ budget: BadTokens, _ paidAt: UInt64) -> Verdict {
        counters.refusedBadTokens += 1
        let wait = paidAt + budget.interval - min(paidAt + budget.interval, now + budget.tolerance)
        return fail(exchange, .tooManyBadTokens, retryAfterSeconds: Self.retryAfterSeconds(wait))
    }
}
