internal import Bytes
internal import HTTP

extension Worker {
    /// Starts a call; its end comes in a later turn or at the end of this one, never before this returns.
    ///
    /// - Parameter configuration: whose pool it uses; it stays until the call is over.
    func start(_ call: Call, _ configuration: Configuration) {
        let fieldCapacity = configuration.limits.fieldCount
        guard let handle = exchanges.take(make: { Exchange(fieldCapacity: fieldCapacity) }),
            let exchange = exchanges.find(handle)
        else {
            // It stays on this loop.
            nonisolated(unsafe) let call = call
            return mail { call.end($0, status: 0, .tooManyExchanges) }
        }
        exchange.pointee.handle = handle
        exchange.pointee.configuration = .passUnretained(configuration)
        configuration.exchangeCount += 1
        exchange.pointee.call = call
        call.exchange = handle
        exchange.pointee.head.method = call.method
        exchange.pointee.requestID.renew(&random)
        exchange.pointee.startedAt = now
        exchange.pointee.stage = .forward
        exchange.pointee.wait = .connection
        resume(handle)
    }

    /// Gives a call up, whatever has become of it; its connection is closed at once.
    func abandon(_ call: Call) {
        call.forget()
        guard let exchange = exchanges.find(call.exchange) else { return }
        abandonUpstream(exchange)
        exchange.pointee.failure = .clientGone
        resume(call.exchange)
    }

    /// Receives a call's answer whole.
    func receiveCall(_ exchange: ExchangePointer, _ call: Call, _ connection: UpstreamPointer) -> Verdict {
        if exchange.pointee.errorHead == nil {
            let bytes = connection.pointee.input.readable.view(0, connection.pointee.head.byteCount)
            // Marks the head as taken; its fields are looked at while they are here.
            exchange.pointee.errorHead = Content(bytes.view(0, 0))
            if let range = connection.pointee.head.fields.find(.xSubjectToken) {
                call.subjectToken = Content(bytes.view(range))
            }
            if let range = connection.pointee.head.fields.find(.retryAfter) {
                call.retryAfterSeconds = Decimal.read(bytes.view(range)).flatMap { Int(exactly: $0) }
            }
            if call.keepsHead { call.head = Content(bytes) }
            call.endpoint = exchange.pointee.endpoint
            connection.pointee.input.consume(connection.pointee.head.byteCount)
        }
        while true {
            let piece = connection.pointee.content.next(connection.pointee.input.readable, limit: Int.max)
            switch piece {
            case .bytes(let bytes, _):
                guard call.collect(bytes) else {
                    return end(exchange, call, .responseInvalid)
                }
            case .skipped: break
            case .refused: return end(exchange, call, .responseInvalid)
            case .ended:
                connection.pointee.input.consume(connection.pointee.content.consume(piece))
                releaseUpstream(exchange)
                return end(exchange, call, .none)
            case .needMore:
                guard connection.pointee.peerEnded else { return .wait(.responseContent) }
                guard connection.pointee.endsWithPeer else {
                    return end(exchange, call, .responseIncomplete)
                }
                connection.pointee.content.isEnded = true
                return end(exchange, call, .none)
            }
            connection.pointee.input.consume(connection.pointee.content.consume(piece))
        }
    }

    private func end(_ exchange: ExchangePointer, _ call: Call, _ failure: Failure) -> Verdict {
        abandonUpstream(exchange)
        call.end(self, status: failure == .none ? exchange.pointee.status : 0, failure)
        return .finish
    }
}
