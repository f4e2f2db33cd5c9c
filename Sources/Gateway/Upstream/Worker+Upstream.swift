internal import Bytes
internal import Glibc
internal import HTTP
internal import Loop

extension Worker {
    /// Acts on what the kernel says of an upstream connection.
    func upstreamReady(_ handle: Handle, _ readiness: Readiness) {
        guard let connection = upstreams.find(handle), connection.pointee.state != .closed else { return }
        if connection.pointee.state == .connecting {
            guard readiness.isWritable || readiness.isBroken else { return }
            let error = Socket.connectError(connection.pointee.descriptor)
            if error != 0 { return upstreamFailed(connection, .connectFailed) }
            guard connected(connection) else { return }
        } else if readiness.isWritable {
            let goesOn =
                switch connection.pointee.state {
                case .busy: sendUpstream(connection)
                case .session: flushSession(connection)
                default: flushIdly(connection)
                }
            guard goesOn else { return }
        }
        if readiness.isReadable || readiness.isHungUp || readiness.isBroken {
            receiveUpstream(connection, isBroken: readiness.isBroken)
        }
    }

    /// The socket is connected: TLS first, or the request at once; false when it failed.
    func connected(_ connection: UpstreamPointer) -> Bool {
        if connection.pointee.pool._withUnsafeGuaranteedRef({ $0.tls != nil }) {
            return startHandshake(connection)
        }
        return established(connection)
    }

    /// The connection can carry requests: its exchange's own, or as many as there are streams; false when it failed.
    func established(_ connection: UpstreamPointer) -> Bool {
        let pool = connection.pointee.pool.takeUnretainedValue()
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        endpoint.connectsCount += 1
        let wasPioneer = endpoint.pioneer == connection.pointee.handle
        if wasPioneer { endpoint.pioneer = .none }
        let agreed = connection.pointee.tls.negotiatedProtocol
        switch pool.http2 {
        case .never: break
        case .always where agreed == .http11:
            // It was asked, and has no HTTP/2.
            upstreamFailed(connection, .tlsProtocolError)
            return false
        case .always: return beginSession(connection)
        case .negotiated:
            endpoint.speaksHTTP2 = agreed == .http2
            if agreed == .http2 { return beginSession(connection) }
        }
        connection.pointee.state = .busy
        // Who waited to learn what is spoken makes a connection of its own.
        if wasPioneer { serveQueue(pool) }
        return sendUpstream(connection)
    }

    func receiveUpstream(_ connection: UpstreamPointer, isBroken: Bool) {
        if connection.pointee.tls.isActive { return receiveSealed(connection, isBroken: isBroken) }
        if connection.pointee.state == .session { return receiveSession(connection) }
        if connection.pointee.state == .idle {
            // The end, or bytes nobody asked for: either way it carries no further exchange.
            return closeUpstream(connection)
        }
        blocks.attach(to: &connection.pointee.input)
        if connection.pointee.input.isEmpty {
            connection.pointee.input.removeAll()
        } else if connection.pointee.input.room < 4_096 {
            connection.pointee.input.compact()
        }
        guard connection.pointee.input.room > 0, !connection.pointee.peerEnded else {
            setInterest(connection, reading: false)
            if isBroken { park(connection) }
            return
        }
        let count = Socket.receive(connection.pointee.descriptor, into: connection.pointee.input.writable)
        if count > 0 {
            connection.pointee.input.grow(by: count)
            connection.pointee.receivedAny = true
            counters.upstreamBytesReceived += UInt64(count)
            if connection.pointee.requestComplete { setDeadline(connection, progress(connection)) }
        } else if count == 0 {
            connection.pointee.peerEnded = true
            setInterest(connection, reading: false)
        } else if count == -Int(EAGAIN) {
            return
        } else if connection.pointee.headRead, connection.pointee.content.framing != .untilClose {
            // What came before may be the whole content; if it is not, its framing tells.
            connection.pointee.peerEnded = true
            setInterest(connection, reading: false)
            park(connection)
        } else {
            return upstreamFailed(connection, .upstreamClosed)
        }
        if exchanges.find(connection.pointee.exchange) != nil { resume(connection.pointee.exchange) }
    }

    /// Takes a broken connection out of the epoll set while its last bytes are still being delivered: the kernel would
    /// report it in every round, whatever is waited for.
    func park(_ connection: UpstreamPointer) {
        guard !connection.pointee.isParked else { return }
        connection.pointee.isParked = true
        _ = poller.remove(connection.pointee.descriptor)
    }

    /// Until when the next piece must have come: the head's time first, then the time between pieces.
    func progress(_ connection: UpstreamPointer) -> UInt64 {
        // A head that trickles does not get more time: its deadline stays from when the request was sent.
        guard connection.pointee.headRead else { return connection.pointee.deadline }
        return connection.pointee.pool._withUnsafeGuaranteedRef { now + $0.progressNanoseconds }
    }

    // MARK: - Ends

    /// A connection that cannot bring its answer: another try where that is safe, else the exchange is told.
    ///
    /// - Parameter wasRefused: the endpoint did nothing with the request, and that it did not is no failure.
    func upstreamFailed(_ connection: UpstreamPointer, _ failure: Failure, wasRefused: Bool = false) {
        let wasConnecting = connection.pointee.state == .connecting || connection.pointee.state == .handshake
        let isReused = connection.pointee.isReused
        let receivedAny = connection.pointee.receivedAny
        let handle = connection.pointee.exchange
        if failure == .responseHeadTimeout, connection.pointee.isStream { doubt(connection) }
        if !wasRefused, connection.pointee.state == .busy || wasConnecting, !isReused || receivedAny {
            let pool = connection.pointee.pool.takeUnretainedValue()
            connection.pointee.endpoint._withUnsafeGuaranteedRef { $0.failed(now, pool) }
        }
        closeUpstream(connection)
        guard let exchange = exchanges.find(handle) else { return }
        exchange.pointee.upstream = .none
        let wasSent = !wasConnecting && !wasRefused
        // Streamed content is gone once sent, and the end of a chunked one with it.
        let canResend =
            exchange.pointee.isCollected || exchange.pointee.fetch != nil
            || (exchange.pointee.head.framing != .chunked && exchange.pointee.requestContentByteCount == 0)
        let mayRepeat = !wasSent || (exchange.pointee.head.method.isIdempotent && !receivedAny)
        if mayRepeat, canResend, exchange.pointee.contentComplete, !exchange.pointee.responseHeadSent,
            exchange.pointee.attempts < (wasSent ? 2 : 3), failure != .responseHeadTimeout
        {
            counters.retries += 1
            exchange.pointee.stage = .forward
        } else {
            exchange.pointee.failure = failure
            exchange.pointee.stage = .receive
        }
        resume(handle)
    }

    /// Gives up the exchange's upstream connection in mid-message.
    func abandonUpstream(_ exchange: ExchangePointer) {
        guard let connection = upstreams.find(exchange.pointee.upstream) else { return }
        exchange.pointee.upstream = .none
        closeUpstream(connection)
    }

    /// Ends the exchange's use of its connection: kept for the next one where both sides allow it.
    func releaseUpstream(_ exchange: ExchangePointer) {
        guard let connection = upstreams.find(exchange.pointee.upstream) else { return }
        exchange.pointee.upstream = .none
        if connection.pointee.isStream { return closeStream(connection) }
        connection.pointee.pool._withUnsafeGuaranteedRef { pool in
            connection.pointee.endpoint._withUnsafeGuaranteedRef { keep(connection, $0, pool) }
        }
    }

    private func keep(_ connection: UpstreamPointer, _ endpoint: Endpoint, _ pool: UpstreamPool) {
        guard pool.keepsAlive, connection.pointee.head.keepsAlive, connection.pointee.headRead,
            connection.pointee.content.isEnded,
            connection.pointee.requestComplete, connection.pointee.input.isEmpty,
            connection.pointee.sealedInput.isEmpty, connection.pointee.sealedOutput.isEmpty,
            !connection.pointee.holdsMore, !connection.pointee.peerEnded, !connection.pointee.socketEnded,
            connection.pointee.content.framing != .untilClose, endpoint.idle.count < pool.maxIdleCount,
            !isDraining,
            connection.pointee.configuration.toOpaque() == Unmanaged.passUnretained(configuration).toOpaque()
        else { return closeUpstream(connection) }
        connection.pointee.state = .idle
        connection.pointee.exchange = .none
        releaseBlocks(connection)
        endpoint.busyCount -= 1
        endpoint.idle.append(connection.pointee.handle)
        setInterest(connection, reading: true)
        setDeadline(connection, now + pool.idleNanoseconds)
        serveQueue(pool)
    }

    func closeUpstream(_ connection: UpstreamPointer) {
        guard connection.pointee.state != .closed else { return }
        if connection.pointee.isStream { return closeStream(connection) }
        if connection.pointee.state == .session { return closeCarrier(connection, .upstreamClosed) }
        let pool = connection.pointee.pool.takeUnretainedValue()
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        let handle = connection.pointee.handle
        if endpoint.pioneer == handle { endpoint.pioneer = .none }
        if connection.pointee.state == .idle {
            endpoint.idle.removeAll { $0 == handle }
        } else {
            endpoint.busyCount -= 1
        }
        if connection.pointee.tls.isActive { sayClosing(connection) }
        connection.pointee.state = .closed
        Socket.close(connection.pointee.descriptor)
        upstreamTimers.clear(handle.index)
        releaseBlocks(connection)
        closedUpstreams.append(handle)
        serveQueue(pool)
    }

    func releaseBlocks(_ connection: UpstreamPointer) {
        blocks.release(&connection.pointee.input)
        blocks.release(&connection.pointee.output)
        blocks.release(&connection.pointee.sealedInput)
        blocks.release(&connection.pointee.sealedOutput)
    }

    /// Lets as many waiting exchanges try as there are places; who finds none waits again.
    func serveQueue(_ pool: UpstreamPool) {
        guard !pool.queue.isEmpty else { return }
        var places = pool.endpoints.reduce(0) { $0 + placeCount($1, pool) }
        var taken = 0
        while places > 0, taken < pool.queue.count {
            let handle = pool.queue[taken]
            taken += 1
            guard let exchange = exchanges.find(handle), exchange.pointee.wait == .connection else {
                continue
            }
            places -= 1
            resume(handle)
        }
        pool.queue.removeFirst(taken)
    }

    /// How many who wait may try: each that finds a stream lets the next one try.
    private func placeCount(_ endpoint: Endpoint, _ pool: UpstreamPool) -> Int {
        guard pool.multiplexes(endpoint) else { return max(0, pool.maxConnectionCount - endpoint.busyCount) }
        if findCarrier(endpoint) != nil { return 1 }
        let connectionCount = endpoint.busyCount + endpoint.idleCarrierCount
        return endpoint.pioneer.isNone && !isNew(endpoint) && connectionCount < pool.maxConnectionCount
            ? 1 : 0
    }

    /// An upstream's time is up.
    func upstreamExpired(_ index: UInt32) {
        guard let connection = upstreams.find(index: index), connection.pointee.deadline != 0,
            connection.pointee.state != .closed
        else { return }
        guard connection.pointee.deadline <= now else {
            return upstreamTimers.set(index, deadline: connection.pointee.deadline)
        }
        connection.pointee.deadline = 0
        switch connection.pointee.state {
        case .connecting, .handshake: upstreamFailed(connection, .connectTimeout)
        case .idle: closeUpstream(connection)
        case .session:
            if connection.pointee.streamCount == 0 { endSession(connection) }
        case .busy:
            // It is the client that does not take the content; its own deadline runs.
            if connection.pointee.headRead, exchanges.find(connection.pointee.exchange)?.pointee.wait == .room
            {
                return
            }
            upstreamFailed(
                connection, connection.pointee.headRead ? .responseProgressTimeout : .responseHeadTimeout)
        case .closed: break
        }
    }

    // MARK: - Interest and deadlines

    func setInterest(_ connection: UpstreamPointer, reading: Bool? = nil, writing: Bool? = nil) {
        // A stream has none of its own: its window says how much may come.
        guard !connection.pointee.isStream else { return }
        var interest = connection.pointee.interest
        if let reading {
            interest =
                reading && !connection.pointee.peerEnded && !connection.pointee.socketEnded
                ? interest.union(.read) : interest.subtracting(.read)
        }
        if let writing { interest = writing ? interest.union(.write) : interest.subtracting(.write) }
        guard interest != connection.pointee.interest else { return }
        connection.pointee.interest = interest
        let tag = Tag.upstream(connection.pointee.handle)
        if !connection.pointee.isParked {
            _ = poller.change(connection.pointee.descriptor, interest, tag: tag)
        } else if interest.contains(.read) {
            connection.pointee.isParked = false
            _ = poller.add(connection.pointee.descriptor, interest, tag: tag)
        }
    }

    func setDeadline(_ connection: UpstreamPointer, _ deadline: UInt64) {
        connection.pointee.deadline = deadline
        upstreamTimers.set(connection.pointee.handle.index, deadline: deadline)
    }
}
