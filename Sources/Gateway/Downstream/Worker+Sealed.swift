internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack
internal import TLS

// A client's connection under TLS: what the socket carries is sealed, what the stages see is not.

extension Worker {
    /// Reads what has come, sealed, as far as there is room for it.
    func receiveSealed(_ connection: DownstreamPointer) {
        blocks.attach(to: &connection.pointee.sealedInput)
        if connection.pointee.sealedInput.room < 4_096 { connection.pointee.sealedInput.compact() }
        guard connection.pointee.sealedInput.room > 0 else { return stopReading(connection) }
        let count = Socket.receive(
            connection.pointee.descriptor, into: connection.pointee.sealedInput.writable)
        if count > 0 { connection.pointee.sealedInput.grow(by: count) }
        guard noteReceived(count, connection) else { return }
        openSealed(connection)
        process(connection)
        openMoreSoon(connection)
    }

    /// Takes TLS off what has come, as far as there is room for the plaintext.
    func openSealed(_ connection: DownstreamPointer) {
        guard connection.pointee.tls.isActive, connection.pointee.state != .closed else { return }
        blocks.attach(to: &connection.pointee.input)
        makeRoom(connection)
        if connection.pointee.input.room > 0 {
            blocks.attach(to: &connection.pointee.sealedOutput)
            let step = connection.pointee.tls.receive(
                &connection.pointee.sealedInput, into: &connection.pointee.input,
                reply: &connection.pointee.sealedOutput)
            take(step, connection)
        }
        if connection.pointee.sealedInput.isEmpty { blocks.release(&connection.pointee.sealedInput) }
        if connection.pointee.sealedOutput.isEmpty { blocks.release(&connection.pointee.sealedOutput) }
    }

    private func take(_ step: TLSStep, _ connection: DownstreamPointer) {
        if connection.pointee.state == .handshake, connection.pointee.tls.isEstablished {
            endHandshake(connection)
        }
        connection.pointee.holdsMore = false
        switch step {
        case .incomplete: break
        case .full: connection.pointee.holdsMore = true
        case .ended:
            connection.pointee.peerEnded = true
            stopReading(connection)
        case .plainHTTP: answerPlainHTTP(connection)
        case .failed:
            counters.tlsFailures[Int(connection.pointee.tls.failure.rawValue)] += 1
            if connection.pointee.state == .handshake {
                counters.tlsHandshakesFailed += 1
                unseal(connection)
                connection.pointee.closesAfterOutput = true
                connection.pointee.state = .idle
            } else {
                // In the middle of a message there is nobody to answer, only an alert to send.
                _ = Socket.send(connection.pointee.descriptor, connection.pointee.sealedOutput.readable)
                closeDownstream(connection, .clientGone)
            }
        }
    }

    private func endHandshake(_ connection: DownstreamPointer) {
        counters.tlsHandshakes += 1
        if connection.pointee.tls.isResumed { counters.tlsResumedHandshakes += 1 }
        connection.pointee.state = .idle
        connection.pointee.certificate = ClientCertificate(connection.pointee.tls)
        // The first request has a head's time, as on a connection without TLS.
        setDeadline(connection, now + configuration.headNanoseconds)
        if connection.pointee.tls.negotiatedProtocol == .http2 { beginSession(connection) }
    }

    /// Goes on without TLS, for an alert or an answer that nothing follows; what was sealed already still goes out.
    private func unseal(_ connection: DownstreamPointer) {
        blocks.attach(to: &connection.pointee.output)
        connection.pointee.output.removeAll()
        connection.pointee.pending = nil
        connection.pointee.output.append(connection.pointee.sealedOutput.readable)
        connection.pointee.sealedOutput.removeAll()
        blocks.release(&connection.pointee.sealedInput)
        connection.pointee.input.removeAll()
        connection.pointee.tls = TLSConnection()
    }

    /// Tells a client that spoke plain HTTP on a port with TLS; nothing of its request is looked at.
    private func answerPlainHTTP(_ connection: DownstreamPointer) {
        counters.plainRequestsOnTLS += 1
        unseal(connection)
        message.removeAll()
        message.append("This port speaks HTTPS only.")
        faultContent.removeAll()
        Fault.append(status: 400, message: message.readable, retryAfterSeconds: nil, to: &faultContent)
        var id = RequestIDBytes()
        id.renew(&random)
        connection.pointee.output.appendStatusLine(400)
        connection.pointee.output.append("Content-Type: application/json; charset=UTF-8\r\n")
        connection.pointee.output.appendContentLength(UInt64(faultContent.count))
        connection.pointee.output.append(dateLine.readable)
        appendRequestIDs(id, to: &connection.pointee.output, compute: true, openStack: true)
        connection.pointee.output.append(configuration.viaLine.bytes)
        connection.pointee.output.append("Connection: close\r\n\r\n")
        connection.pointee.output.append(faultContent.readable)
        connection.pointee.state = .idle
        connection.pointee.closesAfterOutput = true
    }

    /// Has the connection looked at again in this round when more plaintext waits than there was room for.
    func openMoreSoon(_ connection: DownstreamPointer) {
        guard connection.pointee.state != .closed, connection.pointee.tls.isActive,
            connection.pointee.holdsMore || !connection.pointee.sealedInput.isEmpty,
            connection.pointee.input.isEmpty || connection.pointee.input.room > 0
        else { return }
        again.append(connection.pointee.handle)
    }

    /// Seals and sends what is unsent; false when the connection broke and is gone.
    func sendSealed(_ connection: DownstreamPointer) -> Bool {
        while true {
            guard seal(connection) else {
                connection.pointee.isBroken = true
                closeDownstream(connection, .clientGone)
                return false
            }
            guard !connection.pointee.sealedOutput.isEmpty else { break }
            let sent = Socket.send(connection.pointee.descriptor, connection.pointee.sealedOutput.readable)
            guard sent > 0 else { return sendIsShort(connection, sent) }
            counters.downstreamBytesSent += UInt64(sent)
            connection.pointee.sealedOutput.consume(sent)
            connection.pointee.progressByteCount += sent
        }
        blocks.release(&connection.pointee.sealedOutput)
        connection.pointee.output.removeAll()
        if connection.pointee.interest.contains(.write) {
            setInterest(connection, connection.pointee.interest.subtracting(.write))
        }
        return true
    }

    /// Seals plaintext while there is room for a record; false when TLS refuses.
    private func seal(_ connection: DownstreamPointer) -> Bool {
        guard connection.pointee.plainByteCount > 0, connection.pointee.tls.isEstablished else { return true }
        if connection.pointee.session.isActive {
            blocks.attachLarge(to: &connection.pointee.sealedOutput)
        } else {
            blocks.attach(to: &connection.pointee.sealedOutput)
        }
        connection.pointee.sealedOutput.compact()
        while connection.pointee.plainByteCount > 0 {
            gather(connection)
            let room = connection.pointee.sealedOutput.room - Self.recordOverhead
            let plain =
                connection.pointee.output.isEmpty
                ? pendingView(connection) : connection.pointee.output.readable
            // A record cut for want of room would cost as much as a whole one.
            guard room >= min(plain.count, Self.recordByteCount) || room >= Self.recordByteCount else {
                return connection.pointee.sealedOutput.count > 0 || sealPart(connection, plain, room)
            }
            guard sealPart(connection, plain, room) else { return false }
        }
        return true
    }

    private func sealPart(_ connection: DownstreamPointer, _ plain: ByteView, _ room: Int) -> Bool {
        guard room > 0 else { return true }
        let count = min(plain.count, min(room, Self.recordByteCount))
        let taken = connection.pointee.tls.send(
            plain.view(0, count), into: &connection.pointee.sealedOutput, now: now)
        guard taken > 0 else { return false }
        if connection.pointee.output.isEmpty {
            connection.pointee.pendingOffset += taken
            dropPendingIfSent(connection)
        } else {
            connection.pointee.output.consume(taken)
            if connection.pointee.output.isEmpty { connection.pointee.output.removeAll() }
        }
        return true
    }

    /// Brings the beginning of a stored content behind the head, so that both share a record.
    private func gather(_ connection: DownstreamPointer) {
        guard connection.pointee.pending != nil, !connection.pointee.output.isEmpty else { return }
        let waiting = pendingView(connection)
        let room = min(connection.pointee.output.room, Self.recordByteCount - connection.pointee.output.count)
        guard room > 0 else { return }
        let part = waiting.view(0, min(room, waiting.count))
        connection.pointee.output.append(part)
        connection.pointee.pendingOffset += part.count
        dropPendingIfSent(connection)
    }

    func pendingView(_ connection: DownstreamPointer) -> ByteView {
        guard let pending = connection.pointee.pending else { return ByteView(start: nil, count: 0) }
        let offset = connection.pointee.pendingOffset
        return pending.bytes.view(offset, pending.count - offset)
    }

    func dropPendingIfSent(_ connection: DownstreamPointer) {
        guard let pending = connection.pointee.pending, connection.pointee.pendingOffset == pending.count
        else { return }
        connection.pointee.pending = nil
        connection.pointee.pendingOffset = 0
    }

    /// Queues the alert that says that nothing follows (RFC 8446 §6.1); once, and only after a whole handshake.
    func sayEndOfSealed(_ connection: DownstreamPointer) {
        guard connection.pointee.tls.isActive, connection.pointee.tls.isEstablished else { return }
        blocks.attach(to: &connection.pointee.sealedOutput)
        connection.pointee.tls.close(reply: &connection.pointee.sealedOutput)
        if connection.pointee.sealedOutput.isEmpty { blocks.release(&connection.pointee.sealedOutput) }
    }

    /// The most plaintext in one record (RFC 8446 §5.1), and what sealing adds at most.
    static var recordByteCount: Int { 16_384 }
    private static var recordOverhead: Int { 64 }
}
