internal import Bytes
internal import Glibc
internal import HTTP
internal import Loop
internal import TLS

// HTTP/2 connections to endpoints: what the socket brings goes to the session, what the session has goes to the socket.

extension HTTP2Limits {
    /// What an endpoint may do to one connection.
    ///
    /// - Shape: the stream window is the protocol's own, and fits into a large block behind the largest head; the
    ///   connection's holds every stream's, so that one that is not taken from never holds another.
    static func upstream(headByteCount: Int) -> HTTP2Limits {
        var limits = HTTP2Limits()
        limits.headByteCount = headByteCount
        limits.streamWindowByteCount = 65_535
        limits.connectionWindowByteCount = 1 << 24
        // An endpoint is no stranger, and one that is overloaded refuses many streams.
        limits.budgets.resets = HTTP2Budget(1_000, burst: 10_000)
        limits.budgets.provokedResets = HTTP2Budget(100, burst: 1_000)
        limits.budgets.controlFrames = HTTP2Budget(500, burst: 5_000)
        limits.budgets.emptyFrames = HTTP2Budget(100, burst: 1_000)
        limits.budgets.smallWindows = HTTP2Budget(1_000, burst: 10_000)
        return limits
    }
}

extension Worker {
    /// Makes a connection that was just made one of streams, and puts the request it was made for on the first; false when
    /// that failed.
    func beginSession(_ connection: UpstreamPointer) -> Bool {
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        let limits = HTTP2Limits.upstream(headByteCount: Self.responseLimits.headByteCount)
        guard let session = HTTP2Session(role: .client, limits: limits, source: requestSource) else {
            upstreamFailed(connection, .internalError)
            return false
        }
        connection.pointee.session = session
        connection.pointee.state = .session
        connection.pointee.deadline = 0
        let waiting = connection.pointee.exchange
        connection.pointee.exchange = .none
        // The head was written before it was known who speaks what; it is a stream's now.
        var request = Buffer()
        swap(&request, &connection.pointee.output)
        endpoint.busyCount -= 1
        endpoint.idleCarrierCount += 1
        endpoint.carriers.append(connection.pointee.handle)
        setInterest(connection, reading: true, writing: false)
        guard let exchange = exchanges.find(waiting), let handle = makeStream(connection, exchange),
            let stream = upstreams.find(handle)
        else {
            blocks.release(&request)
            rest(connection)
            touch(connection)
            return true
        }
        exchange.pointee.upstream = handle
        stream.pointee.prepare(for: waiting)
        stream.pointee.isReused = false
        swap(&request, &stream.pointee.output)
        touch(connection)
        return sendStream(stream, exchange)
    }

    /// A connection that takes a further stream; nil when there is none now.
    ///
    /// The first one says nothing of how many the endpoint takes: that is known with its SETTINGS, which come first.
    func findCarrier(_ endpoint: Endpoint) -> UpstreamPointer? {
        for handle in endpoint.carriers {
            if let carrier = upstreams.find(handle), carrier.pointee.session.mayRequest,
                carrier.pointee.streamCount == 0 || carrier.pointee.receivedAt != 0
            {
                return carrier
            }
        }
        return nil
    }

    /// Whether a connection of the endpoint was just made, and waits for its SETTINGS.
    func isNew(_ endpoint: Endpoint) -> Bool {
        endpoint.carriers.contains { upstreams.find($0)?.pointee.receivedAt == 0 }
    }

    // MARK: - Receiving

    /// Takes what a plain socket has.
    func receiveSession(_ connection: UpstreamPointer) {
        blocks.attach(to: &connection.pointee.input)
        let count = Socket.receive(connection.pointee.descriptor, into: connection.pointee.input.writable)
        if count > 0 {
            connection.pointee.input.grow(by: count)
            counters.upstreamBytesReceived += UInt64(count)
            feedSession(connection)
        } else if count != -Int(EAGAIN) {
            return closeCarrier(connection, .upstreamClosed)
        }
        guard connection.pointee.state == .session else { return }
        blocks.release(&connection.pointee.input)
    }

    /// Gives the session what was received, and its streams what it makes of that.
    func feedSession(_ connection: UpstreamPointer) {
        let isFirst = connection.pointee.receivedAt == 0
        connection.pointee.receivedAt = now
        var isOver = false
        while !isOver {
            let (consumed, event) = connection.pointee.session.receive(
                connection.pointee.input.readable, now: now)
            switch event {
            case .none: isOver = consumed == connection.pointee.input.count
            case .head(_, let user, let isEnd): takeStreamHead(connection, user, isEnd: isEnd)
            case .tooLarge(let stream): refuseStreamHead(connection, stream)
            case .content(let stream, let user, let bytes, let isEnd):
                takeStreamContent(connection, stream, user, bytes, isEnd: isEnd)
            case .end(_, let user): endStream(user)
            case .failed: return sessionFailed(connection)
            }
            connection.pointee.input.consume(consumed)
        }
        connection.pointee.input.removeAll()
        takeClosedStreams(connection)
        if connection.pointee.session.peerIsLeaving { leave(connection) }
        if isFirst { serveQueue(connection.pointee.pool.takeUnretainedValue()) }
        touch(connection)
    }

    private func sessionFailed(_ connection: UpstreamPointer) {
        takeClosedStreams(connection)
        // The GOAWAY says why; if it does not go at once, the endpoint sees the end alone.
        _ = flushSession(connection)
        if connection.pointee.state == .session { closeCarrier(connection, .responseInvalid) }
    }

    func takeClosedStreams(_ connection: UpstreamPointer) {
        while let (user, code, wasRefused) = connection.pointee.session.popClosed() {
            guard let stream = upstreams.find(Handle(bits: user)) else { continue }
            streamClosed(stream, code: code, wasRefused: wasRefused)
        }
    }

    // MARK: - Sending

    /// Sends what the session has, as far as the kernel takes it; false when the connection is gone.
    func flushSession(_ connection: UpstreamPointer) -> Bool {
        while connection.pointee.state == .session {
            let error = pushSession(connection)
            if error == -Int(EAGAIN) {
                setInterest(connection, writing: true)
                return true
            }
            guard error == 0 else {
                closeCarrier(connection, .upstreamClosed)
                return false
            }
            blocks.attach(to: &connection.pointee.output)
            connection.pointee.output.removeAll()
            _ = connection.pointee.session.send(into: &connection.pointee.output, now: now)
            guard connection.pointee.output.isEmpty else { continue }
            blocks.release(&connection.pointee.output)
            setInterest(connection, writing: false)
            // What TLS had to say in return had no room before.
            if connection.pointee.holdsMore { openSealed(connection) }
            return connection.pointee.state == .session
        }
        return false
    }

    /// Sends what frames there are; 0 when all of them went, else the kernel's error.
    private func pushSession(_ connection: UpstreamPointer) -> Int {
        if connection.pointee.tls.isActive { return pushSealedSession(connection) }
        while !connection.pointee.output.isEmpty {
            let sent = Socket.send(connection.pointee.descriptor, connection.pointee.output.readable)
            guard sent > 0 else { return sent }
            counters.upstreamBytesSent += UInt64(sent)
            connection.pointee.output.consume(sent)
        }
        return 0
    }

    private func pushSealedSession(_ connection: UpstreamPointer) -> Int {
        while true {
            while !connection.pointee.output.isEmpty {
                blocks.attach(to: &connection.pointee.sealedOutput)
                let taken = connection.pointee.tls.send(
                    connection.pointee.output.readable, into: &connection.pointee.sealedOutput, now: now)
                guard taken >= 0 else { return -Int(EPIPE) }
                if taken == 0 { break }
                connection.pointee.output.consume(taken)
            }
            let error = pushSealed(connection)
            guard error == 0, !connection.pointee.output.isEmpty else { return error }
        }
    }

    // MARK: - Ends

    /// The connection takes no new streams, and is closed with its last.
    func leave(_ connection: UpstreamPointer) {
        guard !connection.pointee.isLeaving else { return }
        let handle = connection.pointee.handle
        connection.pointee.isLeaving = true
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        endpoint.carriers.removeAll { $0 == handle }
        if connection.pointee.streamCount == 0 { return endSession(connection) }
        // Who waits for a stream needs another connection.
        serveQueue(connection.pointee.pool.takeUnretainedValue())
    }

    /// Without a stream the connection is kept for a while, if there are not too many.
    func rest(_ connection: UpstreamPointer) {
        guard connection.pointee.state == .session, connection.pointee.streamCount == 0 else { return }
        let pool = connection.pointee.pool.takeUnretainedValue()
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        if connection.pointee.isLeaving || isDraining || endpoint.idleCarrierCount > pool.maxIdleCount
            || connection.pointee.configuration.toOpaque()
                != Unmanaged.passUnretained(configuration).toOpaque()
        {
            return endSession(connection)
        }
        setDeadline(connection, now + pool.idleNanoseconds)
    }

    /// Says goodbye and closes.
    func endSession(_ connection: UpstreamPointer) {
        connection.pointee.session.terminate(code: HTTP2Code.noError)
        if flushSession(connection) { closeCarrier(connection, .upstreamClosed) }
    }

    /// Closes a connection, and tells the streams that are left on it.
    func closeCarrier(_ connection: UpstreamPointer, _ failure: Failure) {
        guard connection.pointee.state == .session else { return }
        let handle = connection.pointee.handle
        let pool = connection.pointee.pool.takeUnretainedValue()
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        endpoint.carriers.removeAll { $0 == handle }
        if connection.pointee.streamCount == 0 {
            endpoint.idleCarrierCount -= 1
        } else {
            endpoint.busyCount -= 1
        }
        if connection.pointee.tls.isActive { sayClosing(connection) }
        connection.pointee.state = .closed
        connection.pointee.session = HTTP2Session()
        Socket.close(connection.pointee.descriptor)
        upstreamTimers.clear(handle.index)
        releaseBlocks(connection)
        closedUpstreams.append(handle)
        while let stream = upstreams.find(connection.pointee.firstStream) {
            unlink(stream, connection)
            stream.pointee.isStreamOver = true
            streamBroke(stream, failure)
        }
        serveQueue(pool)
    }
}
