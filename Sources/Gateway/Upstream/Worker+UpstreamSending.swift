internal import Bytes
internal import Glibc
internal import HTTP
internal import Loop

extension Worker {
    /// Sends the request as far as the kernel takes it; false when the connection failed.
    func sendUpstream(_ connection: UpstreamPointer) -> Bool {
        guard connection.pointee.state == .busy, let exchange = exchanges.find(connection.pointee.exchange)
        else {
            return connection.pointee.state != .closed
        }
        if connection.pointee.isStream { return sendStream(connection, exchange) }
        if connection.pointee.tls.isActive {
            guard sealRequest(connection, exchange) else { return connection.pointee.state != .closed }
        } else if !sendPlain(connection, exchange) {
            return connection.pointee.state != .closed
        }
        connection.pointee.output.removeAll()
        setInterest(connection, writing: false)
        if exchange.pointee.contentComplete {
            if !connection.pointee.requestComplete {
                connection.pointee.requestComplete = true
                let time = connection.pointee.pool._withUnsafeGuaranteedRef { $0.responseNanoseconds }
                setDeadline(connection, now + time)
            }
        } else {
            // While the client owes content, its own deadline runs.
            connection.pointee.deadline = 0
            pumpRequestContent(exchange)
        }
        return connection.pointee.state != .closed
    }

    /// Sends what there is of the request; false when the kernel took only a part, or the connection failed.
    private func sendPlain(_ connection: UpstreamPointer, _ exchange: ExchangePointer) -> Bool {
        while true {
            let head = connection.pointee.output.readable
            let offset = connection.pointee.collectedOffset
            let collected = exchange.pointee.content.count - offset
            guard head.count > 0 || collected > 0 else { return true }
            let sent = Socket.send(
                connection.pointee.descriptor, head: head,
                content: exchange.pointee.content.readable.view(offset, collected))
            guard sent > 0 else {
                if sent == -Int(EAGAIN) {
                    awaitRoom(connection)
                } else {
                    sendFailed(connection, exchange, sent)
                }
                return false
            }
            counters.upstreamBytesSent += UInt64(sent)
            let fromOutput = min(sent, head.count)
            connection.pointee.output.consume(fromOutput)
            connection.pointee.collectedOffset += sent - fromOutput
        }
    }

    /// The kernel takes no more for now.
    func awaitRoom(_ connection: UpstreamPointer) {
        setInterest(connection, writing: true)
        guard connection.pointee.state == .busy else { return }
        setDeadline(
            connection, connection.pointee.pool._withUnsafeGuaranteedRef { now + $0.progressNanoseconds })
    }

    /// The peer takes no more at all. The answer may have come before the rest of the request was wanted: it is read if so.
    func sendFailed(_ connection: UpstreamPointer, _ exchange: ExchangePointer, _ error: Int) {
        connection.pointee.output.removeAll()
        connection.pointee.collectedOffset = exchange.pointee.content.count
        connection.pointee.requestComplete = false
        setInterest(connection, writing: false)
        guard error == -Int(EPIPE) || error == -Int(ECONNRESET) else {
            return upstreamFailed(connection, .upstreamClosed)
        }
        receiveUpstream(connection, isBroken: true)
    }

    /// Passes streamed request content on, as far as it came and the upstream takes it.
    func pumpRequestContent(_ exchange: ExchangePointer) {
        guard let upstream = upstreams.find(exchange.pointee.upstream), upstream.pointee.state == .busy,
            let connection = downstreams.find(exchange.pointee.downstream), !exchange.pointee.contentComplete
        else { return }
        blocks.attach(to: &upstream.pointee.output)
        // A stream's frames say themselves how long they are.
        let isChunked = exchange.pointee.head.framing == .chunked && !upstream.pointee.isStream
        while !exchange.pointee.contentComplete {
            // 20 bytes hold a chunk's size line and its CRLF; what is kept back holds the last chunk.
            let room = upstream.pointee.output.room - 32
            guard room > 0 else { break }
            let piece = nextPiece(connection, limit: room)
            switch piece {
            case .bytes(let bytes, _):
                if isChunked {
                    upstream.pointee.output.appendChunkHead(byteCount: bytes.count)
                }
                upstream.pointee.output.append(bytes)
                if isChunked { upstream.pointee.output.append("\r\n") }
                exchange.pointee.requestContentByteCount += UInt64(bytes.count)
                consumePiece(connection, piece)
                let limit = UInt64(maxContentByteCount(exchange))
                if exchange.pointee.requestContentByteCount > limit {
                    return refuseStreamed(exchange, .contentTooLarge)
                }
            case .skipped: consumePiece(connection, piece)
            case .ended:
                consumePiece(connection, piece)
                if isChunked { upstream.pointee.output.appendChunkedEnd() }
                exchange.pointee.contentComplete = true
            case .refused:
                return refuseStreamed(exchange, .unreadableRequest)
            case .needMore:
                if contentIsOver(connection) {
                    if isChunked {
                        upstream.pointee.output.appendChunkedEnd()
                    }
                    exchange.pointee.contentComplete = true
                    continue
                }
                if connection.pointee.peerEnded { return refuseStreamed(exchange, .clientGone) }
                if upstream.pointee.output.isEmpty {
                    if !exchange.pointee.responseHeadSent { sendContinueIfOwed(connection) }
                    if connection.pointee.deadline == 0 {
                        setDeadline(connection, now + configuration.contentProgressNanoseconds)
                    }
                    startReading(connection)
                    settling.append(connection.pointee.handle)
                    return
                }
            }
            if case .needMore = piece { break }
        }
        if exchange.pointee.contentComplete { clearDeadline(connection) }
        _ = sendUpstream(upstream)
    }

    /// Ends a streamed request that must not go on: the upstream sees it cut, never whole.
    private func refuseStreamed(_ exchange: ExchangePointer, _ failure: Failure) {
        abandonUpstream(exchange)
        exchange.pointee.closesDownstream = true
        exchange.pointee.failure = failure
        resume(exchange.pointee.handle)
    }
}
