internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Lookup: a stored list, an equal fetch to wait for, or the upstream itself.
    func lookup(_ exchange: ExchangePointer) -> Verdict {
        if let outcome = exchange.pointee.fetchOutcome {
            exchange.pointee.fetchOutcome = nil
            return take(outcome, exchange)
        }
        guard let operation = operation(of: exchange), operation.cacheClass == .list,
            let cache = shared.cache,
            configuration(of: exchange).lists != nil
        else { return .next }
        guard exchange.pointee.head.method == .get else {
            exchange.pointee.cacheVerdict = .method
            return .next
        }
        let control = CacheControl(reading: exchange.pointee.head.fields, exchange.pointee.headBytes)
        // Without an identity nobody has said whose list it is, so nothing may be kept (design: cannot leak).
        guard exchange.pointee.identity != nil, exchange.pointee.content.isEmpty, !control.noStore,
            exchange.pointee.head.fields.count(of: .xServiceToken) == 0,
            exchange.pointee.head.fields.count(of: .authorization) == 0,
            exchange.pointee.head.fields.count(of: .cookie) == 0, appendCacheKey(exchange, operation)
        else {
            exchange.pointee.cacheVerdict = .bypass
            return control.onlyIfCached ? fail(exchange, .onlyIfCached) : .next
        }
        exchange.pointee.acceptedCoding =
            AcceptEncoding.choose(exchange.pointee.head.fields, exchange.pointee.headBytes) ?? .identity
        let hash = cache.hash(key.readable)
        let found = cache.find(key.readable, hash: hash, now: now)
        var isStale = false
        if let stored = found.stored, !control.noCache {
            if let verdict = serve(stored, exchange, control, hash) { return verdict }
            isStale = true
            if stored.errorUntil > now { exchange.pointee.fallback = stored }
        }
        exchange.pointee.cacheVerdict = control.noCache ? .request : isStale ? .forwardedStale : .uriMiss
        if control.onlyIfCached { return fail(exchange, .onlyIfCached) }
        if found.passes { return .next }
        return collapse(exchange, cache, hash, mayJoin: !control.noCache)
    }

    /// Answers from the store when the stored response is fresh enough for this request; nil when it is not.
    private func serve(
        _ stored: StoredResponse, _ exchange: ExchangePointer, _ control: CacheControl, _ hash: UInt64
    ) -> Verdict? {
        // In nanoseconds: half a second is older than `max-age=0` allows. Directives are at most 2^31 seconds.
        let age = now &- min(now, stored.requestedAt)
        if let maxAge = control.maxAge, age > maxAge * 1_000_000_000 { return nil }
        if let minFresh = control.minFresh, stored.freshUntil < now + minFresh * 1_000_000_000 { return nil }
        if stored.freshUntil > now {
            exchange.pointee.cacheVerdict = .hit
        } else if stored.staleUntil > now, control.maxAge == nil, control.minFresh == nil {
            exchange.pointee.cacheVerdict = .stale
            // One fetch renews it; nobody waits (RFC 5861 §3).
            if let cache = shared.cache, cache.lead(key.readable, hash: hash, waiter: nil) == true {
                startFetch(exchange, hash)
            }
        } else {
            return nil
        }
        return reply(stored, exchange)
    }

    private func reply(_ stored: StoredResponse, _ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.reply.kind = .stored
        exchange.pointee.reply.stored = stored
        return .reply
    }

    private func collapse(
        _ exchange: ExchangePointer, _ cache: ResponseCache, _ hash: UInt64, mayJoin: Bool
    ) -> Verdict {
        let waiter = Waiter(worker: index, exchange: exchange.pointee.handle)
        switch mayJoin
            ? cache.lead(key.readable, hash: hash, waiter: waiter)
            : cache.leadAlone(key.readable, hash: hash, waiter: waiter)
        {
        case true?:
            // Before the fetch starts, which may fail at once and then looks for those who wait.
            exchange.pointee.wait = .fetch
            startFetch(exchange, hash)
            return .wait(.fetch)
        case false?:
            exchange.pointee.isCollapsed = true
            return .wait(.fetch)
        case nil:
            // The table is full of fetches, or one that began earlier may be too old for this request.
            return .next
        }
    }

    /// Uses what the fetch brought.
    private func take(_ outcome: FetchOutcome, _ exchange: ExchangePointer) -> Verdict {
        let fallback = exchange.pointee.fallback
        switch outcome {
        case .response(let stored):
            if stored.status >= 500, let fallback { return serveOnError(fallback, exchange) }
            return reply(stored, exchange)
        case .forwardYourself:
            return .next
        case .failed(let failure):
            if let fallback { return serveOnError(fallback, exchange) }
            exchange.pointee.failure = failure
            return fail(exchange, failure, retryAfterSeconds: failure.answer?.status == 503 ? 1 : 0)
        }
    }

    /// The upstream failed: the last good list is served while `stale_if_error` lasts (RFC 5861 §4).
    private func serveOnError(_ stored: StoredResponse, _ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.cacheVerdict = .stale
        counters.staleOnError += 1
        return reply(stored, exchange)
    }
}
