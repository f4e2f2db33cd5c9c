internal import Bytes
internal import HTTP
internal import OpenStack

/// How far the stage Limit is with an exchange.
enum LimitStep: UInt8 {
    case start
    /// The shared store is asked about what the request takes.
    case taking
    /// It is asked about the caller's buckets, for the list of rates.
    case rates
}

extension Worker {
    /// Limit: takes from the buckets of every rule that is about the request, or refuses it.
    ///
    /// It stands right behind who asks, so that wrong requests count too. It may wait for content, where the action in it
    /// decides which rules count, and for the shared store.
    func limit(_ exchange: ExchangePointer) -> Verdict {
        // Version discovery is free, as it is without a token.
        guard let table = limitTable(of: exchange), !exchange.pointee.route.isDiscovery else { return .next }
        return table._withUnsafeGuaranteedRef { limit(exchange, $0) }
    }

    private func limit(_ exchange: ExchangePointer, _ table: LimitTable) -> Verdict {
        switch exchange.pointee.limitStep {
        case .start:
            if table.needsAction(api: exchange.pointee.api, operation: exchange.pointee.operation),
                exchange.pointee.action < 0, let verdict = findAction(exchange)
            {
                return verdict
            }
            table.demand(limitSubject(exchange, table), into: &exchange.pointee.charges)
            if exchange.pointee.charges.count > 0 {
                let verdict = store == nil ? take(exchange) : begin(exchange, table)
                // Without one, it waits for the store.
                guard let verdict else { return .wait(.limits) }
                if let refusal = conclude(verdict, exchange, table) { return refusal }
            }
        case .taking:
            if let refusal = conclude(finish(exchange, table), exchange, table) { return refusal }
        case .rates:
            noteRates(exchange, table)
        }
        return asksForRates(exchange, table) ? .wait(.limits) : .next
    }

    private func take(_ exchange: ExchangePointer) -> LimitVerdict {
        Unmanaged.passUnretained(shared.buckets)._withUnsafeGuaranteedRef { buckets in
            buckets.take(&exchange.pointee.charges, now: now)
        }
    }

    /// Counts what the rules said; the refusal, where they refuse.
    private func conclude(
        _ verdict: LimitVerdict, _ exchange: ExchangePointer, _ table: LimitTable
    ) -> Verdict? {
        // Under settings that were replaced while it waited, its rules have no counters any more.
        let isCounted = configuration.limitTable === table
        switch verdict {
        case .allowed:
            guard isCounted else { return nil }
            limitCounters.countAllowed(&exchange.pointee.charges)
            return nil
        case .refused(let rule, let wait):
            if isCounted { limitCounters.count(rule, .limited) }
            exchange.pointee.limitedBy = rule
            exchange.pointee.failure = .rateLimited
            message.removeAll()
            message.append("This request was rate-limited.")
            let isOld = exchange.pointee.route.version == .v2
            return refuse(
                exchange, status: isOld ? table.legacyStatus : 429,
                retryAfterSeconds: Self.retryAfterSeconds(wait))
        }
    }

    /// Whole seconds, at least 1, and never early: what a loop's clock may be behind is in it.
    static func retryAfterSeconds(_ wait: UInt64) -> Int {
        max(1, Int((wait + 10_000_000 + 999_999_999) / 1_000_000_000))
    }

    /// Collects the content and finds the action that it names; nil when the stage may go on.
    private func findAction(_ exchange: ExchangePointer) -> Verdict? {
        guard let operation = operation(of: exchange), let table = self.table(of: exchange) else {
            return nil
        }
        if !exchange.pointee.contentComplete {
            exchange.pointee.isCollected = true
            if let verdict = collectContent(exchange, limit: operation.maxContentByteCount) {
                return verdict
            }
        }
        // Whether the content is any good is Validate's to say; without an action the operation's own rules count.
        readAction(exchange, table)
        return nil
    }
}
