internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Begins the fetch that `key` describes, with a copy of the leading request; its exchange has no client.
    func startFetch(_ leader: ExchangePointer, _ hash: UInt64) {
        let fetch = Fetch(
            key: key.readable, hash: hash, requestHead: leader.pointee.headBytes,
            leader: leader.pointee.handle)
        let fieldCapacity = configuration.limits.fieldCount
        guard let handle = exchanges.take(make: { Exchange(fieldCapacity: fieldCapacity) }),
            let exchange = exchanges.find(handle)
        else { return completeFetch(fetch, .forwardYourself) }
        let house = configuration(of: leader)
        exchange.pointee.handle = handle
        exchange.pointee.configuration = leader.pointee.configuration
        house.exchangeCount += 1
        exchange.pointee.fetch = fetch
        exchange.pointee.headBase = fetch.requestHead.bytes.baseAddress
        // The copy is read anew: it was accepted once under the same limits.
        guard
            exchange.pointee.reader.read(
                fetch.requestHead.bytes, into: &exchange.pointee.head, limits: house.limits)
                == .complete
        else {
            releaseExchange(exchange)
            return completeFetch(fetch, .forwardYourself)
        }
        // Lookup lets only requests without content come here; a chunked one was empty, and is not sent as chunked.
        exchange.pointee.head.framing = .none
        exchange.pointee.head.version = leader.pointee.head.version
        exchange.pointee.requestID.renew(&random)
        exchange.pointee.startedAt = now
        exchange.pointee.api = leader.pointee.api
        exchange.pointee.route = leader.pointee.route
        exchange.pointee.operation = leader.pointee.operation
        exchange.pointee.site = leader.pointee.site
        exchange.pointee.facts = leader.pointee.facts
        exchange.pointee.adopt(leader.pointee.identity?.takeUnretainedValue())
        exchange.pointee.microversion = leader.pointee.microversion
        exchange.pointee.peerIsTrusted = leader.pointee.peerIsTrusted
        exchange.pointee.isSecure = leader.pointee.isSecure
        exchange.pointee.client = leader.pointee.client
        exchange.pointee.stage = .forward
        exchange.pointee.wait = .connection
        counters.fetches += 1
        resume(handle)
    }

    /// Receives a list for the store: fields and content are kept, up to the cache's limit for one.
    func receiveFetch(_ exchange: ExchangePointer, _ connection: UpstreamPointer) -> Verdict {
        guard let fetch = exchange.pointee.fetch, let cache = shared.cache else { return .finish }
        if !fetch.headTaken {
            fetch.headTaken = true
            let bytes = connection.pointee.input.readable.view(0, connection.pointee.head.byteCount)
            takeFields(fetch, exchange, connection.pointee.head, bytes)
            connection.pointee.input.consume(connection.pointee.head.byteCount)
        }
        while true {
            let piece = connection.pointee.content.next(connection.pointee.input.readable, limit: Int.max)
            switch piece {
            case .bytes(let bytes, _):
                guard fetch.collect(bytes, maxByteCount: cache.maxObjectByteCount) else {
                    abandonUpstream(exchange)
                    finishFetch(exchange, .forwardYourself)
                    return .finish
                }
            case .skipped: break
            case .refused:
                exchange.pointee.failure = .responseIncomplete
                abandonUpstream(exchange)
                return failUpstream(exchange)
            case .ended:
                connection.pointee.input.consume(connection.pointee.content.consume(piece))
                return endFetch(exchange, fetch, connection.pointee.head)
            case .needMore:
                if connection.pointee.peerEnded {
                    guard connection.pointee.endsWithPeer else {
                        exchange.pointee.failure = .responseIncomplete
                        abandonUpstream(exchange)
                        return failUpstream(exchange)
                    }
                    connection.pointee.content.isEnded = true
                    return endFetch(exchange, fetch, connection.pointee.head)
                }
                return .wait(.responseContent)
            }
            connection.pointee.input.consume(connection.pointee.content.consume(piece))
        }
    }

    /// Keeps the end-to-end fields of the answer, without those that each use of it writes anew.
    func takeFields(
        _ fetch: Fetch, _ exchange: ExchangePointer, _ head: borrowing ResponseHead, _ bytes: ByteView
    ) {
        exchange.pointee.errorHead = Content(bytes)
        // Each of at most 128 lines may grow by the space after its colon.
        fetch.fields.enlarge(to: bytes.count + 192)
        fetch.forbidsStoring = forbidsStoring(head, bytes)
        let nominates = head.fields.count(of: .connection) > 0
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            switch line.known {
            case .contentLength, .date, .age, .etag, .cacheStatus, .xComputeRequestID, .xOpenStackRequestID,
                .xGatehouseRequestID:
                continue
            case .openStackAPIVersion, .xOpenStackNovaAPIVersion:
                if appendAskedVersion(line.known, exchange, to: &fetch.fields) { continue }
            default: break
            }
            if line.known.isHopByHop { continue }
            let name = bytes.view(line.name)
            if nominates, head.fields.nominates(name, in: bytes) { continue }
            fetch.fields.appendField(name, bytes.view(line.value))
        }
    }

    /// Whether the answer says itself that it is not to be kept.
    func forbidsStoring(_ head: borrowing ResponseHead, _ bytes: ByteView) -> Bool {
        let control = CacheControl(reading: head.fields, bytes)
        return control.noStore || control.isPrivate || control.noCache || control.mustRevalidate
            || control.noTransform || control.maxAge == 0 || control.sMaxAge == 0
            || head.fields.count(of: .setCookie) > 0 || head.fields.count(of: .age) > 0
            || variesBeyondKey(head, bytes)
    }

    /// Whether the answer varies by more than the key holds, or came in a coding that nobody asked for (RFC 9111 §4.1).
    private func variesBeyondKey(_ head: borrowing ResponseHead, _ bytes: ByteView) -> Bool {
        if head.fields.count(of: .contentEncoding) > 0 { return true }
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            guard line.known == .vary else { continue }
            let value = bytes.view(line.value)
            var list = FieldList(value, readsQuotes: false)
            while let member = list.next() {
                switch FieldName.find(value.view(member)) {
                case .accept, .acceptEncoding, .openStackAPIVersion, .xOpenStackNovaAPIVersion: continue
                default: return true
                }
            }
        }
        return false
    }

    /// Makes the stored response of what came, and ends the fetch.
    func endFetch(
        _ exchange: ExchangePointer, _ fetch: Fetch, _ head: borrowing ResponseHead
    ) -> Verdict {
        let status = exchange.pointee.status
        if status >= 400 { replaceByFault(exchange, fetch, head) }
        releaseUpstream(exchange)
        guard let lists = configuration(of: exchange).lists else {
            finishFetch(exchange, .forwardYourself)
            return .finish
        }
        // Lifetimes count from the answer: a slow Nova must not make its lists stale at birth.
        let fresh = now + lists.fresh
        let old = shared.cache?.find(fetch.key.bytes, hash: fetch.hash, now: now).stored
        let response = StoredResponse(
            status: status, fields: Content(fetch.fields.readable),
            representation: Representation(fetch.collected.readable, reusing: old?.representation),
            requestedAt: exchange.pointee.forwardedAt, freshUntil: fresh, staleUntil: fresh + lists.stale,
            errorUntil: fresh + lists.error, isStorable: status == 200 && !fetch.forbidsStoring,
            isPartial: isPartial(exchange, fetch.collected.readable))
        if fetch.forbidsStoring || !Self.isForAll(status) {
            finishFetch(exchange, .forwardYourself, leader: .response(response))
        } else {
            finishFetch(exchange, .response(response))
        }
        return .finish
    }

    /// What one token met is not told to the others: who may, and who asked too often.
    private static func isForAll(_ status: Int) -> Bool {
        switch status {
        case 200, 404, 410: true
        case 401, 403, 407, 429: false
        default: status >= 400
        }
    }

    /// From 2.69, servers of a cell that is down come as bare items of status UNKNOWN (facts §2.3).
    private func isPartial(_ exchange: ExchangePointer, _ content: ByteView) -> Bool {
        switch exchange.pointee.microversion {
        case .version(let version) where version >= Microversion(major: 2, minor: 69): break
        case .latest: break
        default: return false
        }
        return content.contains("\"status\": \"UNKNOWN\"")
    }

    /// An error answer to a fetch, in Nova's form, as every error of an upstream.
    private func replaceByFault(
        _ exchange: ExchangePointer, _ fetch: Fetch, _ head: borrowing ResponseHead
    ) {
        guard let errorHead = exchange.pointee.errorHead else { return }
        swap(&exchange.pointee.errorContent, &fetch.collected)
        faultContent.removeAll()
        let outcome = normalizeError(exchange, head, errorHead.bytes, into: &faultContent)
        swap(&exchange.pointee.errorContent, &fetch.collected)
        guard outcome == .replaced else { return }
        fetch.collected.removeAll()
        _ = fetch.collect(faultContent.readable, maxByteCount: faultContent.count)
        fetch.replaceContentType()
    }

    /// Ends a fetch: stores what may be stored and answers those who wait.
    ///
    /// `leader`, if given, is for the one whose own request was sent; the others get `outcome`.
    func finishFetch(_ exchange: ExchangePointer, _ outcome: FetchOutcome, leader: FetchOutcome? = nil) {
        guard let fetch = exchange.pointee.fetch, !fetch.isComplete else { return }
        fetch.isComplete = true
        completeFetch(fetch, outcome, leader: leader)
    }

    private func completeFetch(_ fetch: Fetch, _ outcome: FetchOutcome, leader: FetchOutcome? = nil) {
        guard let cache = shared.cache else { return }
        var stored: StoredResponse?
        var passUntil: UInt64 = 0
        switch outcome {
        case .response(let response): if response.isStorable { stored = response }
        // What cannot be shared shall not make equal requests wait for each other, for a second.
        case .forwardYourself: passUntil = now + 1_000_000_000
        case .failed: break
        }
        let waiters = cache.complete(fetch.key.bytes, hash: fetch.hash, stored: stored, passUntil: passUntil)
        for waiter in waiters {
            let isLeader = waiter.worker == index && waiter.exchange == fetch.leader
            let told = isLeader ? leader ?? outcome : outcome
            if waiter.worker == index {
                fetchEnded(waiter.exchange, told)
            } else {
                shared.workers[waiter.worker].mail { $0.fetchEnded(waiter.exchange, told) }
            }
        }
    }

    /// Hands a fetch's outcome to an exchange of this worker that waits for it.
    func fetchEnded(_ handle: Handle, _ outcome: FetchOutcome) {
        guard let exchange = exchanges.find(handle), exchange.pointee.wait == .fetch else { return }
        exchange.pointee.fetchOutcome = outcome
        resume(handle)
    }
}
