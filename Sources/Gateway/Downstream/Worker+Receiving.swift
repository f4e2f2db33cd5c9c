internal import Bytes
internal import Glibc
internal import HTTP
internal import Loop

extension Worker {
    /// Acts on what the kernel says of a client's connection.
    func downstreamReady(_ handle: Handle, _ readiness: Readiness) {
        guard let connection = downstreams.find(handle), connection.pointee.state != .closed else { return }
        if readiness.isBroken { return closeDownstream(connection, .clientGone) }
        if readiness.isWritable {
            guard flush(connection) else { return }
            if hasRoom(connection), let exchange = exchanges.find(connection.pointee.exchange),
                exchange.pointee.wait == .room
            {
                resume(connection.pointee.exchange)
            }
        }
        if readiness.isReadable || readiness.isHungUp { receive(connection) }
        settle(connection)
    }

    /// Reads what has come, as far as there is room for it.
    private func receive(_ connection: DownstreamPointer) {
        if connection.pointee.tls.isActive { return receiveSealed(connection) }
        blocks.attach(to: &connection.pointee.input)
        makeRoom(connection)
        guard connection.pointee.input.room > 0 else { return stopReading(connection) }
        let count = Socket.receive(connection.pointee.descriptor, into: connection.pointee.input.writable)
        if count > 0 { connection.pointee.input.grow(by: count) }
        guard noteReceived(count, connection) else { return }
        process(connection)
    }

    /// Takes note of what a read of the socket answered; false when the connection is gone.
    func noteReceived(_ count: Int, _ connection: DownstreamPointer) -> Bool {
        if count > 0 {
            connection.pointee.progressByteCount += count
            counters.downstreamBytesReceived += UInt64(count)
        } else if count == 0 {
            connection.pointee.peerEnded = true
            stopReading(connection)
        } else if count != -Int(EAGAIN) {
            closeDownstream(connection, .clientGone)
            return false
        }
        return true
    }

    /// Moves unread bytes down so that the next read has room; the pinned head stays where it is.
    func makeRoom(_ connection: DownstreamPointer) {
        let pinned: Int
        if connection.pointee.state == .exchange || connection.pointee.state == .head,
            let exchange = exchanges.find(connection.pointee.exchange), exchange.pointee.headBase != nil
        {
            // A head being read starts at the block's start; its bytes are all unread, so nothing is moved.
            pinned = connection.pointee.state == .exchange ? headEnd(connection, exchange) : 0
        } else {
            pinned = 0
        }
        if connection.pointee.input.isEmpty {
            if connection.pointee.input.start > pinned { connection.pointee.input.compact(to: pinned) }
        } else if connection.pointee.input.room < 4_096, connection.pointee.input.start > pinned {
            connection.pointee.input.compact(to: pinned)
        }
    }

    private func headEnd(_ connection: DownstreamPointer, _ exchange: ExchangePointer) -> Int {
        let base = connection.pointee.input.all.baseAddress!
        return exchange.pointee.headBase! - base + exchange.pointee.head.byteCount
    }

    /// Uses the bytes at hand: heads begin exchanges, content goes to the exchange in progress.
    func process(_ connection: DownstreamPointer) {
        // At most 32 pipelined exchanges a turn; the rest follow in the next round.
        for _ in 0..<32 {
            switch connection.pointee.state {
            case .handshake: return endIfPeerEnded(connection)
            case .session: return processSession(connection)
            case .idle:
                if connection.pointee.exchangeCount == 0, !connection.pointee.input.isEmpty,
                    let begins = beginsSession(connection)
                {
                    if begins { continue } else { return endIfPeerEnded(connection) }
                }
                if connection.pointee.input.isEmpty || !connection.pointee.mayBeginExchange {
                    return endIfPeerEnded(connection)
                }
                guard beginExchange(connection) else { return }
                continue
            case .head:
                guard readHead(connection) else { return endIfPeerEnded(connection) }
            case .exchange:
                if let exchange = exchanges.find(connection.pointee.exchange),
                    exchange.pointee.wait != .nothing
                {
                    contentArrived(connection, exchange)
                }
                guard connection.pointee.state != .exchange else { return }
            case .discarding:
                discard(connection)
                guard connection.pointee.state != .discarding else { return }
            case .lingering:
                connection.pointee.input.removeAll()
                if connection.pointee.peerEnded { closeDownstream(connection, .none) }
                return
            case .closed:
                return
            }
        }
        if !connection.pointee.input.isEmpty { again.append(connection.pointee.handle) }
    }

    private func endIfPeerEnded(_ connection: DownstreamPointer) {
        guard connection.pointee.peerEnded else { return }
        switch connection.pointee.state {
        case .handshake:
            // What is left to be said of why it failed was said.
            if connection.pointee.unsentByteCount == 0 { closeDownstream(connection, .clientGone) }
        case .idle:
            if connection.pointee.unsentByteCount == 0 { closeDownstream(connection, .none) }
        case .head:
            // What was answered before this unfinished request still belongs to the client. If the kernel takes it not
            // all now, the head's deadline ends the connection.
            guard flush(connection), connection.pointee.unsentByteCount == 0 else { return }
            closeDownstream(connection, .clientGone)
        case .exchange, .discarding, .lingering, .session, .closed: break
        }
    }

    func beginExchange(_ connection: DownstreamPointer) -> Bool {
        if connection.pointee.input.start > 0 { connection.pointee.input.compact() }
        let fieldCapacity = configuration.limits.fieldCount
        guard let handle = exchanges.take(make: { Exchange(fieldCapacity: fieldCapacity) }),
            let exchange = exchanges.find(handle)
        else {
            // As many exchanges as connections fit, so only fetches can use the slab up; the client may come again.
            closeDownstream(connection, .tooManyExchanges)
            return false
        }
        exchange.pointee.handle = handle
        exchange.pointee.downstream = connection.pointee.handle
        exchange.pointee.configuration = Unmanaged.passUnretained(configuration)
        configuration.exchangeCount += 1
        exchange.pointee.headBase = connection.pointee.input.all.baseAddress
        exchange.pointee.client = connection.pointee.peer.ip
        exchange.pointee.isSecure = connection.pointee.isSecure
        exchange.pointee.startedAt = now
        exchange.pointee.wait = .head
        exchange.pointee.waitingSince = now
        connection.pointee.exchange = handle
        connection.pointee.state = .head
        setDeadline(connection, now + configuration.headNanoseconds)
        return true
    }

    /// Reads the head that stands at the start of the input; true when the exchange has begun.
    func readHead(_ connection: DownstreamPointer) -> Bool {
        guard let exchange = exchanges.find(connection.pointee.exchange) else { return false }
        let result = exchange.pointee.reader.read(
            connection.pointee.input.readable, into: &exchange.pointee.head, limits: configuration.limits)
        switch result {
        case .incomplete:
            return false
        case .complete:
            connection.pointee.input.consume(exchange.pointee.head.byteCount)
            connection.pointee.exchangeCount += 1
            connection.pointee.state = .exchange
            connection.pointee.content = ContentReader(exchange.pointee.head.framing)
            if connection.pointee.isStream { takeStreamHead(connection, exchange) }
            exchange.pointee.contentComplete = connection.pointee.content.isEnded
            connection.pointee.continueOwed =
                exchange.pointee.head.expectsContinue && !connection.pointee.content.isEnded
            exchange.pointee.closesDownstream = !exchange.pointee.head.keepsAlive || isDraining
            clearDeadline(connection)
            if connection.pointee.isAdmin { answerAdmin(exchange) } else { advance(exchange) }
            return true
        case .refused(let refusal):
            refuseHead(connection, exchange, refusal)
            return true
        }
    }

    /// Answers a head that cannot be read, and ends its connection or stream.
    func refuseHead(_ connection: DownstreamPointer, _ exchange: ExchangePointer, _ refusal: Refusal) {
        counters.unreadableRequests += 1
        connection.pointee.state = .exchange
        connection.pointee.content.isEnded = true
        exchange.pointee.closesDownstream = true
        exchange.pointee.failure = .unreadableRequest
        exchange.pointee.requestID.renew(&random)
        message.removeAll()
        message.append(refusal.phrase)
        _ = refuse(exchange, status: refusal.status)
        writeReply(exchange)
        exchange.pointee.stage = .record
        // What follows cannot be framed: it is dropped unread.
        connection.pointee.input.removeAll()
        advance(exchange)
    }
}
