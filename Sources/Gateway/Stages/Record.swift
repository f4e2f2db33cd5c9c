internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

extension Worker {
    /// Record: the last stage of every exchange, also of one whose client left: counters, access line, release.
    func record(_ exchange: ExchangePointer) {
        abandonTranslation(exchange)
        if let call = exchange.pointee.call {
            call.end(
                self, status: 0,
                exchange.pointee.failure == .none ? .upstreamClosed : exchange.pointee.failure)
            abandonUpstream(exchange)
            return releaseExchange(exchange)
        }
        if exchange.pointee.fetch != nil {
            finishFetch(
                exchange,
                .failed(exchange.pointee.failure == .none ? .upstreamClosed : exchange.pointee.failure))
            abandonUpstream(exchange)
            return releaseExchange(exchange)
        }
        // An exchange whose head never came whole is no request; its connection's end is counted elsewhere.
        let hasRequest =
            exchange.pointee.stage == .record
            && (exchange.pointee.head.byteCount > 0 || exchange.pointee.status > 0)
        // Its client left, but the upstream may have carried it out.
        if exchange.pointee.forwardedAt > 0, exchange.pointee.responseHeadAt == 0 {
            writeWasForwarded(exchange)
        }
        abandonUpstream(exchange)
        if hasRequest, !isAdminExchange(exchange) {
            if exchange.pointee.failure == .clientGone, exchange.pointee.status == 0 {
                exchange.pointee.status = 499
            }
            // A second reading of the clock in this turn, against the rule: an answer made here lasts less than a turn.
            let ended = MonotonicClock.now()
            let microseconds = (ended &- min(ended, exchange.pointee.startedAt)) / 1_000
            exchangeCounters.count(
                operation: globalOperation(exchange), status: exchange.pointee.status,
                microseconds: microseconds,
                source: source(of: exchange), verdict: exchange.pointee.cacheVerdict,
                failure: exchange.pointee.failure)
            if audit != nil { auditEnd(exchange) }
            if accessLog != nil { writeAccessLine(exchange, endedAt: ended, microseconds: microseconds) }
        }
        if exchange.pointee.charges.count > 0 { settleLimits(exchange) }
        releaseDownstream(exchange)
        releaseExchange(exchange)
    }

    private func source(of exchange: ExchangePointer) -> ExchangeCounters.Source {
        if exchange.pointee.reply.stored != nil { return .store }
        if exchange.pointee.reply.made != nil { return .translation }
        return exchange.pointee.responseHeadAt > 0 ? .upstream : .here
    }

    /// The operation's index among those of all APIs; -1 for none.
    func globalOperation(_ exchange: ExchangePointer) -> Int {
        guard exchange.pointee.operation >= 0, let site = exchange.pointee.site else { return -1 }
        return site._withUnsafeGuaranteedRef { $0.firstOperation } + exchange.pointee.operation
    }

    /// Gives the slot back; the configuration it began under may now retire.
    func releaseExchange(_ exchange: ExchangePointer) {
        let handle = exchange.pointee.handle
        withHouse(of: exchange) { $0.exchangeCount -= 1 }
        exchangeTimers.clear(handle.index)
        exchange.pointee.reset()
        exchanges.release(handle)
    }
}
