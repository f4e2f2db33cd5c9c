internal import Bytes
internal import Glibc
internal import HTTP
internal import Logging
internal import Loop
internal import TLS

private let log = Logger(label: "gatehouse.upstream")

extension Worker {
    /// Sends the first flight of a handshake; false when the connection failed.
    func startHandshake(_ connection: UpstreamPointer) -> Bool {
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        guard let context = connection.pointee.pool._withUnsafeGuaranteedRef({ $0.tls }),
            let tls = TLSConnection(client: context, serverName: endpoint.serverName, session: endpoint.index)
        else {
            upstreamFailed(connection, .internalError)
            return false
        }
        connection.pointee.tls = tls
        connection.pointee.state = .handshake
        setInterest(connection, writing: false)
        blocks.attach(to: &connection.pointee.sealedOutput)
        guard connection.pointee.tls.start(reply: &connection.pointee.sealedOutput) != .failed else {
            tlsFailed(connection)
            return false
        }
        return flushIdly(connection)
    }

    // MARK: - Receiving

    /// Takes what the socket has, and opens it.
    func receiveSealed(_ connection: UpstreamPointer, isBroken: Bool) {
        guard !connection.pointee.socketEnded else {
            if isBroken { park(connection) }
            return
        }
        blocks.attach(to: &connection.pointee.sealedInput)
        if connection.pointee.sealedInput.isEmpty {
            connection.pointee.sealedInput.removeAll()
        } else if connection.pointee.sealedInput.room < 4_096 {
            connection.pointee.sealedInput.compact()
        }
        guard connection.pointee.sealedInput.room > 0 else {
            setInterest(connection, reading: false)
            if isBroken { park(connection) }
            return
        }
        let count = Socket.receive(
            connection.pointee.descriptor, into: connection.pointee.sealedInput.writable)
        if count > 0 {
            connection.pointee.sealedInput.grow(by: count)
            counters.upstreamBytesReceived += UInt64(count)
            if connection.pointee.requestComplete, connection.pointee.state == .busy {
                setDeadline(connection, progress(connection))
            }
        } else if count == -Int(EAGAIN) {
            if connection.pointee.sealedInput.isEmpty { blocks.release(&connection.pointee.sealedInput) }
            return
        } else {
            // An end or a reset: what came before it may be the whole answer, and close_notify tells whether it is.
            connection.pointee.socketEnded = true
            setInterest(connection, reading: false)
            if count < 0 || isBroken { park(connection) }
        }
        openSealed(connection)
    }

    /// Opens what was received, as far as there is room for it, and tells the exchange.
    func openSealed(_ connection: UpstreamPointer) {
        let heldBefore = connection.pointee.input.count
        var step = TLSStep.incomplete
        while true {
            blocks.attach(to: &connection.pointee.input)
            makeRoom(connection)
            blocks.attach(to: &connection.pointee.sealedOutput)
            step = connection.pointee.tls.receive(
                &connection.pointee.sealedInput, into: &connection.pointee.input,
                reply: &connection.pointee.sealedOutput)
            if connection.pointee.state == .handshake, connection.pointee.tls.isEstablished {
                let goesOn = handshakeEnded(connection)
                guard goesOn || connection.pointee.state == .session else { return }
            } else if connection.pointee.state == .session {
                // What it has to say goes out with the session's own.
            } else if !connection.pointee.sealedOutput.isEmpty, !flushIdly(connection) {
                return
            }
            // Full for want of room in the reply, which is there again, else the peer takes nothing and is owed nothing.
            if connection.pointee.state == .session, !connection.pointee.input.isEmpty {
                feedSession(connection)
                guard connection.pointee.state == .session else { return }
                if step == .full { continue }
            }
            guard step == .full, connection.pointee.input.room > 0, connection.pointee.sealedOutput.isEmpty
            else { break }
        }
        if step == .failed || step == .plainHTTP { return tlsFailed(connection) }
        let hasMore = connection.pointee.input.count > heldBefore
        if connection.pointee.sealedOutput.isEmpty { blocks.release(&connection.pointee.sealedOutput) }
        if connection.pointee.sealedInput.isEmpty { blocks.release(&connection.pointee.sealedInput) }
        connection.pointee.holdsMore = step == .full
        if hasMore { connection.pointee.receivedAny = true }
        switch connection.pointee.state {
        case .idle:
            // Tickets and key updates are welcome at any time; content nobody asked for, or the end, is not.
            if hasMore || step != .incomplete || connection.pointee.socketEnded {
                closeUpstream(connection)
            } else {
                blocks.release(&connection.pointee.input)
            }
            return
        case .handshake:
            if connection.pointee.socketEnded || step == .ended { tlsFailed(connection) }
            return
        case .session:
            blocks.release(&connection.pointee.input)
            if !connection.pointee.holdsMore { setInterest(connection, reading: true) }
            if step == .ended || connection.pointee.socketEnded { closeCarrier(connection, .upstreamClosed) }
            return
        case .connecting, .closed: return
        case .busy: break
        }
        if connection.pointee.holdsMore {
            setInterest(connection, reading: false)
        } else if step == .ended || connection.pointee.socketEnded {
            connection.pointee.isTruncated = step != .ended && !connection.pointee.tls.hasEnded
            connection.pointee.peerEnded = true
            setInterest(connection, reading: false)
        } else if connection.pointee.input.room > 0 {
            setInterest(connection, reading: true)
        }
        if exchanges.find(connection.pointee.exchange) != nil { resume(connection.pointee.exchange) }
    }

    private func makeRoom(_ connection: UpstreamPointer) {
        if connection.pointee.input.isEmpty {
            connection.pointee.input.removeAll()
        } else if connection.pointee.input.room < 4_096 {
            connection.pointee.input.compact()
        }
    }

    private func handshakeEnded(_ connection: UpstreamPointer) -> Bool {
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        if endpoint.tlsFailure != .none {
            endpoint.tlsFailure = .none
            log.notice(
                "TLS with an upstream works again", metadata: ["upstream": "\(endpoint.url.bytes.string)"])
        }
        counters.upstreamHandshakes += 1
        if connection.pointee.tls.isResumed { counters.upstreamResumptions += 1 }
        return established(connection)
    }

    // MARK: - Sending

    /// Seals and sends what there is of the request; false when the kernel took only a part, or the connection failed.
    func sealRequest(_ connection: UpstreamPointer, _ exchange: ExchangePointer) -> Bool {
        while true {
            let offset = connection.pointee.collectedOffset
            let isOutput = !connection.pointee.output.isEmpty
            let plain =
                isOutput
                ? connection.pointee.output.readable
                : exchange.pointee.content.readable.view(offset, exchange.pointee.content.count - offset)
            guard !plain.isEmpty else { return flushSealed(connection, exchange) }
            blocks.attach(to: &connection.pointee.sealedOutput)
            if connection.pointee.sealedOutput.isEmpty { connection.pointee.sealedOutput.removeAll() }
            let taken = connection.pointee.tls.send(plain, into: &connection.pointee.sealedOutput, now: now)
            if taken > 0 {
                if isOutput {
                    connection.pointee.output.consume(taken)
                } else {
                    connection.pointee.collectedOffset += taken
                }
            } else if taken == 0 {
                guard flushSealed(connection, exchange) else { return false }
            } else {
                sendFailed(connection, exchange, -Int(EPIPE))
                return false
            }
        }
    }

    /// Sends what is sealed; false when the kernel took only a part, or the connection failed.
    private func flushSealed(_ connection: UpstreamPointer, _ exchange: ExchangePointer) -> Bool {
        let error = pushSealed(connection)
        if error == -Int(EAGAIN) {
            awaitRoom(connection)
        } else if error < 0 {
            blocks.release(&connection.pointee.sealedOutput)
            sendFailed(connection, exchange, error)
        }
        return error == 0
    }

    /// Sends what is sealed while no request is being sent: handshakes, alerts, key updates; false when the connection failed.
    func flushIdly(_ connection: UpstreamPointer) -> Bool {
        let error = pushSealed(connection)
        if error == -Int(EAGAIN) {
            awaitRoom(connection)
        } else if error < 0 {
            blocks.release(&connection.pointee.sealedOutput)
            guard connection.pointee.state == .busy else {
                if connection.pointee.state == .idle {
                    closeUpstream(connection)
                } else {
                    tlsFailed(connection)
                }
                return false
            }
        } else if connection.pointee.state != .busy || connection.pointee.output.isEmpty {
            setInterest(connection, writing: false)
        }
        return true
    }

    /// 0 when everything sealed was sent, else the kernel's error.
    func pushSealed(_ connection: UpstreamPointer) -> Int {
        while !connection.pointee.sealedOutput.isEmpty {
            let sent = Socket.send(connection.pointee.descriptor, connection.pointee.sealedOutput.readable)
            guard sent > 0 else {
                connection.pointee.sealedOutput.compact()
                return sent
            }
            counters.upstreamBytesSent += UInt64(sent)
            connection.pointee.sealedOutput.consume(sent)
        }
        blocks.release(&connection.pointee.sealedOutput)
        return 0
    }

    /// Sends close_notify if it goes at once: the peer then knows that nothing was cut off (RFC 8446 §6.1).
    func sayClosing(_ connection: UpstreamPointer) {
        guard connection.pointee.tls.isEstablished, !connection.pointee.socketEnded,
            connection.pointee.sealedOutput.isEmpty
        else { return }
        blocks.attach(to: &connection.pointee.sealedOutput)
        connection.pointee.tls.close(reply: &connection.pointee.sealedOutput)
        _ = pushSealed(connection)
        blocks.release(&connection.pointee.sealedOutput)
    }

    // MARK: - Failures

    /// A handshake that failed, or a record that cannot be opened.
    private func tlsFailed(_ connection: UpstreamPointer) {
        // The alert tells the peer why; if it does not go at once, the peer sees the end alone.
        _ = pushSealed(connection)
        let why = connection.pointee.tls.failure
        let endpoint = connection.pointee.endpoint.takeUnretainedValue()
        let reason: StaticString = why == .none ? "closed_in_handshake" : why.word
        if connection.pointee.state == .handshake, endpoint.tlsFailure != why || why == .none {
            if endpoint.tlsFailure == .none || endpoint.tlsFailure != why {
                log.error(
                    "no TLS with an upstream",
                    metadata: [
                        "upstream": "\(endpoint.url.bytes.string)", "reason": "\(reason)",
                        "server_name": "\(endpoint.serverName)",
                    ])
            }
            endpoint.tlsFailure = why == .none ? .handshake : why
        }
        if connection.pointee.state == .idle { return closeUpstream(connection) }
        if connection.pointee.state == .session {
            return closeCarrier(connection, why == .refusedByPeer ? .tlsAlertReceived : .tlsProtocolError)
        }
        if connection.pointee.state == .busy, connection.pointee.headRead {
            // What was opened is good; the rest is missing.
            connection.pointee.isTruncated = true
            connection.pointee.peerEnded = true
            connection.pointee.socketEnded = true
            connection.pointee.holdsMore = false
            setInterest(connection, reading: false)
            park(connection)
            return resume(connection.pointee.exchange)
        }
        switch why {
        case .refusedByPeer: upstreamFailed(connection, .tlsAlertReceived)
        case .certificateUntrusted, .certificateExpired, .certificateNotValidYet, .certificateRevoked,
            .certificateMismatch, .certificateInvalid, .certificateMissing:
            upstreamFailed(connection, .tlsCertificateError)
        default: upstreamFailed(connection, .tlsProtocolError)
        }
    }
}
