internal import Bytes
internal import HTTP
internal import Loop

extension Worker {
    /// The next piece of the request's content at the front of the connection's input.
    func nextPiece(_ connection: DownstreamPointer, limit: Int) -> ContentPiece {
        connection.pointee.content.next(connection.pointee.input.readable, limit: limit)
    }

    func consumePiece(_ connection: DownstreamPointer, _ piece: ContentPiece) {
        let count = connection.pointee.content.consume(piece)
        connection.pointee.input.consume(count)
        if connection.pointee.isStream { openWindow(connection, by: count) }
    }

    /// Tells whether the request's content is over: it was all read, or with HTTP/2 its stream ended behind what was read.
    func contentIsOver(_ connection: DownstreamPointer) -> Bool {
        if connection.pointee.isStream, connection.pointee.peerEnded, connection.pointee.input.isEmpty,
            connection.pointee.content.framing == .untilClose
        {
            connection.pointee.content.isEnded = true
        }
        return connection.pointee.content.isEnded
    }

    /// Gives content that came to the exchange in progress, collected or streamed.
    func contentArrived(_ connection: DownstreamPointer, _ exchange: ExchangePointer) {
        if connection.pointee.content.isEnded {
            // Bytes of the next request, or none: they wait in the input. Without room, reading stops.
            if connection.pointee.input.room == 0 { stopReading(connection) }
            return
        }
        if connection.pointee.deadline == 0 {
            setDeadline(connection, now + configuration.contentProgressNanoseconds)
        }
        if exchange.pointee.wait == .content {
            advance(exchange)
        } else {
            pumpRequestContent(exchange)
        }
    }

    /// Collects content into the exchange, up to `limit` bytes.
    ///
    /// - Returns: nil when it is complete, or what to do until then.
    func collectContent(_ exchange: ExchangePointer, limit: Int) -> Verdict? {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return .finish }
        while true {
            let piece = nextPiece(connection, limit: Int.max)
            switch piece {
            case .bytes(let bytes, _):
                guard exchange.pointee.content.count + bytes.count <= limit else {
                    // The reader has counted the piece already; read twice, it would end a chunk early.
                    consumePiece(connection, piece)
                    return fail(exchange, .contentTooLarge)
                }
                let needed = exchange.pointee.content.end + bytes.count
                if exchange.pointee.content.capacity < needed {
                    let doubled = max(4_096, exchange.pointee.content.capacity * 2)
                    exchange.pointee.content.enlarge(to: max(needed, min(doubled, limit)))
                }
                exchange.pointee.content.append(bytes)
                exchange.pointee.requestContentByteCount += UInt64(bytes.count)
                consumePiece(connection, piece)
            case .skipped:
                consumePiece(connection, piece)
            case .ended:
                consumePiece(connection, piece)
                exchange.pointee.contentComplete = true
                clearDeadline(connection)
                return nil
            case .refused(let refusal):
                exchange.pointee.failure = .unreadableRequest
                exchange.pointee.closesDownstream = true
                message.removeAll()
                message.append(refusal.phrase)
                return refuse(exchange, status: refusal.status)
            case .needMore:
                if contentIsOver(connection) {
                    exchange.pointee.contentComplete = true
                    clearDeadline(connection)
                    return nil
                }
                if connection.pointee.peerEnded {
                    exchange.pointee.failure = .clientGone
                    return .finish
                }
                sendContinueIfOwed(connection)
                if connection.pointee.deadline == 0 {
                    setDeadline(connection, now + configuration.contentProgressNanoseconds)
                }
                startReading(connection)
                return .wait(.content)
            }
        }
    }

    /// Tells a client that waits for it that its content is wanted (RFC 9110 §10.1.1).
    func sendContinueIfOwed(_ connection: DownstreamPointer) {
        guard connection.pointee.continueOwed else { return }
        connection.pointee.continueOwed = false
        blocks.attach(to: &connection.pointee.output)
        connection.pointee.output.append("HTTP/1.1 100 Continue\r\n\r\n")
        if connection.pointee.isStream { sendInterimHead(connection) }
    }

    /// Drops the rest of a request's content that nobody wants, within bounds.
    func discard(_ connection: DownstreamPointer) {
        while true {
            let piece = nextPiece(connection, limit: Int.max)
            switch piece {
            case .bytes(let bytes, _):
                consumePiece(connection, piece)
                connection.pointee.discardLeft -= bytes.count
                if connection.pointee.discardLeft < 0 { return beginLingering(connection) }
            case .skipped: consumePiece(connection, piece)
            case .ended:
                consumePiece(connection, piece)
                connection.pointee.state = .idle
                setDeadline(connection, now + configuration.idleNanoseconds)
                return
            case .refused: return beginLingering(connection)
            case .needMore:
                if connection.pointee.peerEnded { return closeDownstream(connection, .none) }
                return
            }
        }
    }
}
