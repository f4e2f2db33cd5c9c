internal import Bytes
internal import Glibc
internal import HTTP
internal import Loop

extension Worker {
    /// Sends what is unsent; false when the connection broke and is gone.
    func flush(_ connection: DownstreamPointer) -> Bool {
        if connection.pointee.isStream { return flushStream(connection) }
        if connection.pointee.session.isActive { return flushSession(connection) }
        return send(connection)
    }

    /// Sends what stands in the connection's own buffers; false when it broke and is gone.
    func send(_ connection: DownstreamPointer) -> Bool {
        if connection.pointee.auditMark > 0, mustHold(connection) { return true }
        if connection.pointee.tls.isActive { return sendSealed(connection) }
        while connection.pointee.unsentByteCount > 0 {
            let head = connection.pointee.output.readable
            let sent: Int
            if let pending = connection.pointee.pending {
                let offset = connection.pointee.pendingOffset
                sent = Socket.send(
                    connection.pointee.descriptor, head: head,
                    content: pending.bytes.view(offset, pending.count - offset))
            } else {
                sent = Socket.send(connection.pointee.descriptor, head)
            }
            guard sent > 0 else { return sendIsShort(connection, sent) }
            counters.downstreamBytesSent += UInt64(sent)
            let fromOutput = min(sent, head.count)
            connection.pointee.output.consume(fromOutput)
            connection.pointee.pendingOffset += sent - fromOutput
            dropPendingIfSent(connection)
            connection.pointee.progressByteCount += sent
        }
        connection.pointee.output.removeAll()
        if connection.pointee.interest.contains(.write) {
            setInterest(connection, connection.pointee.interest.subtracting(.write))
        }
        return true
    }

    /// The kernel took nothing: waits for room, or ends a connection that is gone and answers false.
    func sendIsShort(_ connection: DownstreamPointer, _ answer: Int) -> Bool {
        if answer == -Int(EAGAIN) {
            setInterest(connection, connection.pointee.interest.union(.write))
            return true
        }
        closeDownstream(connection, .clientGone)
        return false
    }

    func hasRoom(_ connection: DownstreamPointer) -> Bool {
        !connection.pointee.output.hasBlock
            || connection.pointee.output.capacity - connection.pointee.output.count >= 4_096
    }

    /// After all events of a connection: sends, closes, gives blocks back, and sets what is waited for.
    func settle(_ connection: DownstreamPointer) {
        guard connection.pointee.state != .closed else { return }
        if connection.pointee.isBroken { return closeDownstream(connection, .none) }
        if connection.pointee.isStream { return settleStream(connection) }
        if connection.pointee.state == .session { return settleSession(connection) }
        let handle = connection.pointee.handle
        if connection.pointee.unsentByteCount > 0 {
            guard flush(connection) else { return }
            if connection.pointee.unsentByteCount > 0, connection.pointee.deadline == 0 {
                setDeadline(connection, now + configuration.contentProgressNanoseconds)
            }
        }
        guard connection.pointee.unsentByteCount == 0 else {
            // With answers unsent no further request is read: the client must take them first.
            if connection.pointee.state == .idle, !connection.pointee.mayBeginExchange {
                stopReading(connection)
            }
            return
        }
        if connection.pointee.closesAfterOutput {
            if connection.pointee.state != .lingering { beginLingering(connection) }
            return
        }
        // Whatever flushed the output, the exchange that waits for room there must hear of it.
        if let exchange = exchanges.find(connection.pointee.exchange), exchange.pointee.wait == .room {
            resume(connection.pointee.exchange)
        }
        if connection.pointee.output.hasBlock { blocks.release(&connection.pointee.output) }
        guard connection.pointee.state == .idle else { return }
        if connection.pointee.peerEnded && connection.pointee.input.isEmpty {
            return closeDownstream(connection, .none)
        }
        if isDraining && connection.pointee.input.isEmpty && connection.pointee.exchangeCount > 0 {
            return closeDownstream(connection, .none)
        }
        startReading(connection)
        if connection.pointee.input.isEmpty {
            if connection.pointee.input.hasBlock { blocks.release(&connection.pointee.input) }
            if connection.pointee.exchangeCount > 0 {
                setDeadline(connection, now + configuration.idleNanoseconds)
            }
        } else {
            again.append(handle)
        }
    }

    /// Settles the connection of an exchange that was resumed by something else than its own socket.
    func flushAfterAdvance(_ exchange: Handle) {
        // The exchange may be over by now; its connection then asked for settling itself.
        if let exchange = exchanges.find(exchange),
            let connection = downstreams.find(exchange.pointee.downstream)
        {
            settle(connection)
        }
    }

    /// Ends the exchange's hold on its connection: the next request, the rest of the content, or the end.
    func releaseDownstream(_ exchange: ExchangePointer) {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return }
        guard connection.pointee.state != .closed else {
            // It ended while a stage ran; its head was needed until now.
            return blocks.release(&connection.pointee.input)
        }
        if connection.pointee.isStream { return releaseStream(connection) }
        connection.pointee.exchange = .none
        connection.pointee.continueOwed = false
        if exchange.pointee.closesDownstream || connection.pointee.isBroken {
            connection.pointee.closesAfterOutput = true
        }
        if connection.pointee.closesAfterOutput {
            connection.pointee.state = .idle
            connection.pointee.input.removeAll()
        } else if !connection.pointee.content.isEnded {
            connection.pointee.state = .discarding
            connection.pointee.discardLeft = 131_072
            // What came already is dropped at once; only this once, since an unfinished line stays in the input.
            if !connection.pointee.input.isEmpty { again.append(connection.pointee.handle) }
            setDeadline(connection, now + configuration.contentProgressNanoseconds)
            startReading(connection)
        } else {
            connection.pointee.state = .idle
            clearDeadline(connection)
        }
        settling.append(connection.pointee.handle)
    }

    /// Shuts our side and waits a little for the client's, so that it can read what was sent (RFC 9112 §9.6).
    func beginLingering(_ connection: DownstreamPointer) {
        connection.pointee.closesAfterOutput = true
        guard connection.pointee.unsentByteCount == 0 else {
            connection.pointee.state = .idle
            return
        }
        if connection.pointee.isBroken { return closeDownstream(connection, .none) }
        sayEndOfSealed(connection)
        guard flush(connection) else { return }
        guard connection.pointee.unsentByteCount == 0 else {
            connection.pointee.state = .idle
            return
        }
        if connection.pointee.peerEnded { return closeDownstream(connection, .none) }
        connection.pointee.state = .lingering
        connection.pointee.input.removeAll()
        _ = Socket.shutdownWrite(connection.pointee.descriptor)
        setDeadline(connection, now + 2_000_000_000)
        startReading(connection)
    }

    /// Breaks the client's connection off, so that a message cut short cannot be taken for a whole one.
    func abortDownstream(_ exchange: ExchangePointer) {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return }
        connection.pointee.isBroken = true
        exchange.pointee.closesDownstream = true
    }

    /// Ends a connection; an exchange in progress on it is over too.
    func closeDownstream(_ connection: DownstreamPointer, _ failure: Failure) {
        guard connection.pointee.state != .closed else { return }
        connection.pointee.state = .closed
        let handle = connection.pointee.handle
        let exchangeHandle = connection.pointee.exchange
        connection.pointee.exchange = .none
        if connection.pointee.isStream {
            leaveCarrier(connection, failure)
        } else {
            closeStreams(connection, failure)
            endSession(connection)
            closeDescriptor(connection, isGone: failure == .clientGone)
        }
        blocks.release(&connection.pointee.output)
        blocks.release(&connection.pointee.sealedInput)
        blocks.release(&connection.pointee.sealedOutput)
        connection.pointee.pending = nil
        downstreamTimers.clear(handle.index)
        if let exchange = exchanges.find(exchangeHandle) {
            // The head lies in the input block, so the record is written before the block goes back.
            if exchange.pointee.failure == .none { exchange.pointee.failure = failure }
            if !exchange.pointee.isAdvancing {
                abandonUpstream(exchange)
                exchange.pointee.stage = .record
                advance(exchange)
                blocks.release(&connection.pointee.input)
            }
        } else {
            blocks.release(&connection.pointee.input)
        }
        closedDownstreams.append(handle)
        guard !connection.pointee.isStream else { return }
        counters.connectionsClosed += 1
        if !connection.pointee.isAdmin { clientConnectionCount -= 1 }
    }

    private func closeDescriptor(_ connection: DownstreamPointer, isGone: Bool) {
        guard !connection.pointee.isBroken else { return Socket.reset(connection.pointee.descriptor) }
        if !isGone, connection.pointee.unsentByteCount == 0 {
            // Nobody waits for it to arrive: without it the client could take the end for a cut.
            sayEndOfSealed(connection)
            if !connection.pointee.sealedOutput.isEmpty {
                _ = Socket.send(connection.pointee.descriptor, connection.pointee.sealedOutput.readable)
            }
        }
        Socket.close(connection.pointee.descriptor)
    }

    // MARK: - Interest and deadlines

    func setInterest(_ connection: DownstreamPointer, _ interest: Interest) {
        guard connection.pointee.interest != interest else { return }
        connection.pointee.interest = interest
        // A stream's client is held up by its window.
        guard !connection.pointee.isStream else { return }
        _ = poller.change(
            connection.pointee.descriptor, interest, tag: Tag.downstream(connection.pointee.handle))
    }

    func startReading(_ connection: DownstreamPointer) {
        openMoreSoon(connection)
        guard !connection.pointee.peerEnded else { return }
        setInterest(connection, connection.pointee.interest.union(.read))
    }

    func stopReading(_ connection: DownstreamPointer) {
        setInterest(connection, connection.pointee.interest.subtracting(.read))
    }

    func setDeadline(_ connection: DownstreamPointer, _ deadline: UInt64) {
        connection.pointee.deadline = deadline
        connection.pointee.progressByteCount = 0
        downstreamTimers.set(connection.pointee.handle.index, deadline: deadline)
    }

    func clearDeadline(_ connection: DownstreamPointer) { connection.pointee.deadline = 0 }

    /// A client's time is up.
    func downstreamExpired(_ index: UInt32) {
        guard let connection = downstreams.find(index: index), connection.pointee.state != .closed,
            connection.pointee.deadline != 0
        else { return }
        guard connection.pointee.deadline <= now else {
            // Put off since it was set: the wheel is told only now.
            return downstreamTimers.set(index, deadline: connection.pointee.deadline)
        }
        connection.pointee.deadline = 0
        let isSending = connection.pointee.unsentByteCount > 0
        let isTakingContent = connection.pointee.state == .exchange && !connection.pointee.content.isEnded
        if isSending || isTakingContent,
            connection.pointee.progressByteCount >= DownstreamConnection.minimumProgress
        {
            return setDeadline(connection, now + configuration.contentProgressNanoseconds)
        }
        if isSending {
            counters.downstreamTimeouts += 1
            return breakDownstream(connection, .writeTimeout)
        }
        switch connection.pointee.state {
        case .handshake:
            counters.tlsHandshakesFailed += 1
            counters.downstreamTimeouts += 1
            closeDownstream(connection, .none)
        case .session: sessionExpired(connection)
        case .idle, .lingering, .discarding: closeDownstream(connection, .none)
        case .head: timeOut(connection, .headTimeout)
        case .exchange:
            // An exchange that waits for the upstream is bounded there; its client owes nothing.
            if isTakingContent, connection.pointee.interest.contains(.read) {
                timeOut(connection, .contentTimeout)
            }
        case .closed: break
        }
    }

    private func breakDownstream(_ connection: DownstreamPointer, _ failure: Failure) {
        connection.pointee.isBroken = true
        closeDownstream(connection, failure)
    }

    private func timeOut(_ connection: DownstreamPointer, _ failure: Failure) {
        counters.downstreamTimeouts += 1
        guard let exchange = exchanges.find(connection.pointee.exchange), !exchange.pointee.responseHeadSent
        else {
            return breakDownstream(connection, failure)
        }
        abandonUpstream(exchange)
        if exchange.pointee.stage == .identify {
            exchange.pointee.requestID.renew(&random)
        }
        exchange.pointee.closesDownstream = true
        connection.pointee.state = .exchange
        connection.pointee.content.isEnded = true
        _ = fail(exchange, failure)
        writeReply(exchange)
        exchange.pointee.stage = .record
        advance(exchange)
        settle(connection)
    }
}
