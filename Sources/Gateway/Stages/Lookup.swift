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
            shared.cache != nil, withHouse(of: exchange, { $0.lists != nil })
        else { return .next }
        guard exchange.pointee.head.method == .get else {
            exchange.pointee.cacheVerdict = .method
            return .next
        }
        let control =
            exchange.pointee.head.fields.has(.cacheControl) || exchange.pointee.head.fields.has(.pragma)
            ? CacheControl(reading: exchange.pointee.head.fields, exchange.pointee.headBytes) : CacheControl()
        // Without an identity nobody has said whose list it is, so nothing may be kept (design: cannot leak).
        guard exchange.pointee.identity != nil, exchange.pointee.content.isEmpty, !control.noStore,
            exchange.pointee.head.fields.count(of: .xServiceToken) == 0,
            exchange.pointee.head.fields.count(of: .authorization) == 0,
            exchange.pointee.head.fields.count(of: .cookie) == 0,
            let hash = appendCacheKey(exchange, operation)
        else {
            exchange.pointee.cacheVerdict = .bypass
            return control.onlyIfCached ? fail(exchange, .onlyIfCached) : .next
        }
        exchange.pointee.acceptedCoding =
            AcceptEncoding.choose(exchange.pointee.head.fields, exchange.pointee.headBytes) ?? .identity
        let found = hold(hash)
        var isStale = false
        if let held = found.stored {
            if control.noCache {
                held.release()
            } else if held._withUnsafeGuaranteedRef({ mayServe($0, exchange, control, hash) }) {
                return reply(held.takeRetainedValue(), exchange)
            } else {
                isStale = true
                let stored = held.takeRetainedValue()
                if stored.errorUntil > now { exchange.pointee.fallback = stored }
            }
        }
        exchange.pointee.cacheVerdict = control.noCache ? .request : isStale ? .forwardedStale : .uriMiss
        if control.onlyIfCached { return fail(exchange, .onlyIfCached) }
        if found.passes { return .next }
        return collapse(exchange, hash, mayJoin: !control.noCache)
    }

    /// What the cache has under `key`; the stored response with one reference to give up or to pass on.
    private func hold(_ hash: UInt64) -> (stored: Unmanaged<StoredResponse>?, passes: Bool) {
        guard let cache = shared.cache else { return (nil, true) }
        // Shared by all workers for as long as there are any.
        return Unmanaged.passUnretained(cache)._withUnsafeGuaranteedRef { cache in
            cache.hold(key.readable, hash: hash, now: now)
        }
    }

    /// Whether the stored response is fresh enough for this request; one that is stale, and may be served all the same, is
    /// fetched anew.
    private func mayServe(
        _ stored: StoredResponse, _ exchange: ExchangePointer, _ control: CacheControl, _ hash: UInt64
    ) -> Bool {
        // In nanoseconds: half a second is older than `max-age=0` allows. Directives are at most 2^31 seconds.
        let age = now &- min(now, stored.requestedAt)
        if let maxAge = control.maxAge, age > maxAge * 1_000_000_000 { return false }
        if let minFresh = control.minFresh, stored.freshUntil < now + minFresh * 1_000_000_000 {
            return false
        }
        if stored.freshUntil > now {
            exchange.pointee.cacheVerdict = .hit
        } else if stored.staleUntil > now, control.maxAge == nil, control.minFresh == nil {
            exchange.pointee.cacheVerdict = .stale
            // One fetch renews it; nobody waits (RFC 5861 §3).
            if let cache = shared.cache, cache.lead(key.readable, hash: hash, waiter: nil) == true {
                startFetch(exchange, hash)
            }
        } else {
            return false
        }
        return true
    }

    private func reply(_ stored: consuming StoredResponse, _ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.reply.kind = .stored
        exchange.pointee.reply.stored = stored
        return .reply
    }

    private func collapse(
        _ exchange: ExchangePointer, _ hash: UInt64, mayJoin: Bool
    ) -> Verdict {
        guard let cache = shared.cache else { return .next }
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
