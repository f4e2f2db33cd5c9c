internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Limit: takes from the buckets of every rule that is about the request, or refuses it.
    ///
    /// It stands right behind who asks, so that wrong requests count too. It may wait for content, where the action in it
    /// decides which rules count.
    func limit(_ exchange: ExchangePointer) -> Verdict {
        // Version discovery is free, as it is without a token.
        guard let table = configuration(of: exchange).limitTable, !exchange.pointee.route.isDiscovery else {
            return .next
        }
        if table.needsAction(api: exchange.pointee.api, operation: exchange.pointee.operation),
            exchange.pointee.action < 0, let verdict = findAction(exchange)
        {
            return verdict
        }
        withSubject(exchange, table) { table.demand($0, into: &exchange.pointee.charges) }
        guard exchange.pointee.charges.count > 0 else { return .next }
        let verdict = shared.buckets.take(&exchange.pointee.charges, now: now)
        return conclude(verdict, exchange, table)
    }

    /// Counts what the rules said, and refuses what they refuse.
    private func conclude(_ verdict: LimitVerdict, _ exchange: ExchangePointer, _ table: LimitTable)
        -> Verdict
    {
        switch verdict {
        case .allowed:
            // Under settings that were replaced while it waited, its rules have no counters any more.
            guard configuration.limitTable === table else { return .next }
            for index in 0..<exchange.pointee.charges.count {
                let charge = exchange.pointee.charges[index]
                limitCounters.count(Int(charge.rule), charge.state == .refused ? .shadowed : .allowed)
            }
            return .next
        case .refused(let rule, let wait):
            if configuration.limitTable === table { limitCounters.count(rule, .limited) }
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
            if let verdict = collectContent(exchange, limit: operation.maxContentByteCount) { return verdict }
        }
        message.removeAll()
        // Whether the content is any good is Validate's to say; without an action the operation's own rules count.
        if case .valid(_, let action?) = table.validateContent(
            operation: exchange.pointee.operation, mediaType: nil, content: exchange.pointee.content.readable,
            tape: &tape, scratch: &scratch, message: &message)
        {
            exchange.pointee.action = action
        }
        return nil
    }
}
