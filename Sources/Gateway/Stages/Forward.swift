internal import Bytes
internal import Glibc
internal import HTTP
internal import Loop

extension Worker {
    /// Forward: chooses an endpoint and a connection, and sends the rewritten request.
    ///
    /// A request that must not be repeated never goes on a reused connection: uWSGI drops idle ones unannounced, and then
    /// nobody could tell whether it was carried out (RFC 9110 §9.2.2).
    func forward(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.failure != .none { return fail(exchange, exchange.pointee.failure) }
        if translates(exchange) { return translate(exchange) }
        return pool(of: exchange)._withUnsafeGuaranteedRef { forward(exchange, through: $0) }
    }

    private func forward(_ exchange: ExchangePointer, through pool: UpstreamPool) -> Verdict {
        let failed = exchange.pointee.attempts > 0 ? exchange.pointee.endpoint?.takeUnretainedValue() : nil
        guard let endpoint = pool.choose(&random, now: now, avoiding: failed) else {
            return fail(exchange, .noEndpoint, retryAfterSeconds: pool.retryAfterSeconds(now))
        }
        if exchange.pointee.forwardedAt == 0 {
            exchange.pointee.forwardedAt = now
            if audit != nil, !exchange.pointee.contentComplete { auditAttempt(exchange) }
        }
        let handle: Handle
        switch place(exchange, endpoint, pool) {
        case .on(let found): handle = found
        case .none: return queue(exchange, pool)
        case .failed:
            exchange.pointee.attempts += 1
            if !lacksDescriptors { endpoint.failed(now, pool) }
            if exchange.pointee.attempts < 3 { return forward(exchange, through: pool) }
            return fail(exchange, .connectFailed, retryAfterSeconds: 1)
        }
        guard let connection = upstreams.find(handle) else { return fail(exchange, .internalError) }
        exchange.pointee.attempts += 1
        exchange.pointee.upstream = handle
        exchange.pointee.endpoint = .passUnretained(endpoint)
        connection.pointee.prepare(for: exchange.pointee.handle)
        blocks.attach(to: &connection.pointee.output)
        if let call = exchange.pointee.call {
            connection.pointee.output.append(call.request.bytes)
        } else {
            appendUpstreamHead(exchange, to: &connection.pointee.output, keepsAlive: pool.keepsAlive)
        }
        if connection.pointee.output.hasOverflowed {
            abandonUpstream(exchange)
            return refuseLongHead(exchange)
        }
        if connection.pointee.state == .busy {
            // One that is connected at once still has its TLS to set up.
            let isNew = !connection.pointee.isReused && !connection.pointee.isStream
            if isNew { setDeadline(connection, now + pool.connectNanoseconds) }
            let wasSent = isNew ? connected(connection) : sendUpstream(connection)
            // When it failed at once, the exchange was put on the ready list with its next stage.
            if !wasSent { return .wait(exchange.pointee.stage == .forward ? .connection : .responseHead) }
        } else {
            setDeadline(connection, now + pool.connectNanoseconds)
        }
        return .next
    }

    /// Where an exchange's request goes.
    private enum Place {
        case on(Handle)
        /// Nowhere yet: it waits for a connection or a stream to end, or to be made.
        case none
        /// The kernel makes no connection.
        case failed
    }

    private func place(_ exchange: ExchangePointer, _ endpoint: Endpoint, _ pool: UpstreamPool) -> Place {
        if pool.multiplexes(endpoint) {
            if let carrier = findCarrier(endpoint) {
                return makeStream(carrier, exchange).map { .on($0) } ?? .none
            }
            // One connection is made at a time: most often its streams are enough for all who wait.
            guard endpoint.pioneer.isNone, !isNew(endpoint),
                endpoint.busyCount + endpoint.idleCarrierCount < pool.maxConnectionCount
            else { return .none }
            guard let made = connect(endpoint, pool, exchange) else { return .failed }
            endpoint.pioneer = made
            endpoint.busyCount += 1
            return .on(made)
        }
        if pool.keepsAlive, exchange.pointee.head.method.isIdempotent, exchange.pointee.contentComplete,
            exchange.pointee.attempts == 0, let reused = endpoint.idle.popLast()
        {
            guard let connection = upstreams.find(reused) else { return .failed }
            connection.pointee.state = .busy
            connection.pointee.isReused = true
            endpoint.busyCount += 1
            return .on(reused)
        }
        guard endpoint.busyCount < pool.maxConnectionCount else { return .none }
        // The place of an idle connection may be needed for the new one.
        if endpoint.busyCount + endpoint.idle.count >= pool.maxConnectionCount,
            let idle = endpoint.idle.first, let connection = upstreams.find(idle)
        {
            closeUpstream(connection)
        }
        guard let made = connect(endpoint, pool, exchange) else { return .failed }
        endpoint.busyCount += 1
        return .on(made)
    }

    /// The head grew too long by what is added to it here.
    func refuseLongHead(_ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.failure = .unreadableRequest
        message.removeAll()
        message.append("Request header fields too large.")
        return refuse(exchange, status: 431)
    }

    private func queue(_ exchange: ExchangePointer, _ pool: UpstreamPool) -> Verdict {
        if exchange.pointee.waitDeadline == 0 {
            if pool.queue.count >= UpstreamPool.maxQueueCount {
                pool.queue.removeAll { exchanges.find($0) == nil }
            }
            guard pool.queue.count < UpstreamPool.maxQueueCount else {
                return fail(exchange, .noEndpoint, retryAfterSeconds: 1)
            }
            exchange.pointee.waitDeadline = now + pool.connectNanoseconds
            exchangeTimers.set(exchange.pointee.handle.index, deadline: exchange.pointee.waitDeadline)
        } else if now >= exchange.pointee.waitDeadline {
            return fail(exchange, .noEndpoint, retryAfterSeconds: 1)
        }
        pool.queue.append(exchange.pointee.handle)
        return .wait(.connection)
    }

    /// Whose connections it uses; lent by its call or its API.
    func pool(of exchange: ExchangePointer) -> Unmanaged<UpstreamPool> {
        if let call = exchange.pointee.call { return .passUnretained(call.pool) }
        // Only what matched an API's operation gets this far, or what its validation lets pass.
        return exchange.pointee.site!._withUnsafeGuaranteedRef { .passUnretained($0.upstream) }
    }

    /// An exchange waited long enough; it finds that out when it runs.
    func exchangeExpired(_ index: UInt32) {
        guard let exchange = exchanges.find(index: index), exchange.pointee.waitDeadline != 0,
            exchange.pointee.wait == .connection && exchange.pointee.stage == .forward
                || exchange.pointee.wait == .identity
        else { return }
        guard exchange.pointee.waitDeadline <= now else {
            return exchangeTimers.set(index, deadline: exchange.pointee.waitDeadline)
        }
        let handle = exchange.pointee.handle
        if exchange.pointee.wait == .connection {
            pool(of: exchange)._withUnsafeGuaranteedRef { $0.queue.removeAll { $0 == handle } }
        }
        resume(handle)
    }

    private func connect(_ endpoint: Endpoint, _ pool: UpstreamPool, _ exchange: ExchangePointer) -> Handle? {
        let (descriptor, inProgress) = Socket.connect(endpoint.address)
        // Our own shortage says nothing of the endpoint.
        lacksDescriptors = [-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM].contains(descriptor)
        guard descriptor >= 0 else { return nil }
        _ = Socket.setNoDelay(descriptor)
        guard let handle = takeSlot(endpoint, pool, configuration(of: exchange)),
            let connection = upstreams.find(handle)
        else {
            Socket.close(descriptor)
            return nil
        }
        connection.pointee.descriptor = descriptor
        connection.pointee.state = inProgress ? .connecting : .busy
        connection.pointee.interest = inProgress ? [.read, .write] : [.read]
        guard poller.add(descriptor, connection.pointee.interest, tag: Tag.upstream(handle)) == 0 else {
            Socket.close(descriptor)
            connection.pointee.reset()
            upstreams.release(handle)
            return nil
        }
        return handle
    }

    /// A slot for a connection or a stream; nil when there are too many.
    func takeSlot(_ endpoint: Endpoint, _ pool: UpstreamPool, _ configuration: Configuration) -> Handle? {
        guard let handle = upstreams.take(make: { UpstreamConnection(fieldCapacity: 128) }),
            let connection = upstreams.find(handle)
        else { return nil }
        connection.pointee.handle = handle
        connection.pointee.endpoint = .passUnretained(endpoint)
        connection.pointee.pool = .passUnretained(pool)
        connection.pointee.configuration = .passUnretained(configuration)
        return handle
    }
}
