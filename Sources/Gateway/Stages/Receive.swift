internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Receive: the response head; decides whether it streams on, is collected for the cache, or is an error to be worded.
    func receive(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.failure != .none {
            abandonUpstream(exchange)
            writeWasForwarded(exchange)
            return failUpstream(exchange)
        }
        guard let connection = upstreams.find(exchange.pointee.upstream) else {
            exchange.pointee.failure = .upstreamClosed
            return failUpstream(exchange)
        }
        if !connection.pointee.headRead, let verdict = readResponseHead(exchange, connection) {
            return verdict
        }
        if let call = exchange.pointee.call { return receiveCall(exchange, call, connection) }
        if exchange.pointee.fetch != nil { return receiveFetch(exchange, connection) }
        if exchange.pointee.errorHead != nil { return collectError(exchange, connection) }
        if isCollectedAnswer(exchange, connection.pointee.head) {
            let head = connection.pointee.input.readable.view(0, connection.pointee.head.byteCount)
            exchange.pointee.errorHead = Content(head)
            connection.pointee.input.consume(connection.pointee.head.byteCount)
            return collectError(exchange, connection)
        }
        writeForwardedHead(exchange, connection)
        connection.pointee.input.consume(connection.pointee.head.byteCount)
        return .next
    }

    /// Whether an answer is looked at as a whole before anything of it is passed on: errors, limits, and what was made where
    /// its content alone names it.
    private func isCollectedAnswer(_ exchange: ExchangePointer, _ head: borrowing ResponseHead) -> Bool {
        if exchange.pointee.status >= 400 { return exchange.pointee.head.method != .head }
        if exchange.pointee.status == 200, isRatesRequest(exchange) { return true }
        guard audit != nil, case .length = head.framing else { return false }
        return needsAnswerContent(exchange, head)
    }

    /// Reads the response head; nil once it is there.
    private func readResponseHead(_ exchange: ExchangePointer, _ connection: UpstreamPointer) -> Verdict? {
        while true {
            let result = connection.pointee.reader.read(
                connection.pointee.input.readable, into: &connection.pointee.head,
                requestMethod: exchange.pointee.head.method, limits: Self.responseLimits)
            switch result {
            case .incomplete:
                if connection.pointee.peerEnded {
                    upstreamFailed(connection, .upstreamClosed)
                    return .wait(.responseHead)
                }
                return .wait(.responseHead)
            case .refused:
                return invalidResponse(exchange, connection)
            case .complete:
                let status = connection.pointee.head.status
                if status < 200 {
                    // Interim answers are not passed on; a switch of protocols was never asked for.
                    guard status != 101 else { return invalidResponse(exchange, connection) }
                    connection.pointee.input.consume(connection.pointee.head.byteCount)
                    connection.pointee.reader.reset()
                    connection.pointee.head.reset()
                    continue
                }
                connection.pointee.headRead = true
                connection.pointee.content = ContentReader(connection.pointee.head.framing)
                exchange.pointee.status = status
                exchange.pointee.responseHeadAt = now
                noteAnswerHead(exchange, connection.pointee.head, connection.pointee.input.readable)
                if status == 401 { forgetToken(exchange) }
                writeWasForwarded(exchange)
                noteAnswer(connection, status)
                return nil
            }
        }
    }

    /// What an answer's status says of the endpoint, and until when its content must go on.
    private func noteAnswer(_ connection: UpstreamPointer, _ status: Int) {
        connection.pointee.pool._withUnsafeGuaranteedRef { pool in
            connection.pointee.endpoint._withUnsafeGuaranteedRef { endpoint in
                if status == 502 || status == 503 || status == 504 {
                    endpoint.failed(now, pool)
                } else {
                    endpoint.succeeded()
                }
            }
            setDeadline(connection, now + pool.progressNanoseconds)
        }
    }

    private func invalidResponse(_ exchange: ExchangePointer, _ connection: UpstreamPointer) -> Verdict {
        let pool = connection.pointee.pool.takeUnretainedValue()
        connection.pointee.endpoint._withUnsafeGuaranteedRef { $0.failed(now, pool) }
        abandonUpstream(exchange)
        exchange.pointee.failure = .responseInvalid
        writeWasForwarded(exchange)
        return failUpstream(exchange)
    }

    /// Words an upstream's failure for whoever waits for the answer.
    func failUpstream(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.fetch != nil {
            finishFetch(exchange, .failed(exchange.pointee.failure))
            return .finish
        }
        let failure = exchange.pointee.failure
        if let call = exchange.pointee.call {
            call.end(self, status: 0, failure)
            return .finish
        }
        return fail(exchange, failure, retryAfterSeconds: failure.answer?.status == 503 ? 1 : 0)
    }

    /// A write went to the upstream, so what is stored for its project may be old, whatever the answer says.
    func writeWasForwarded(_ exchange: ExchangePointer) {
        guard let operation = operation(of: exchange), operation.isWrite,
            let identity = exchange.pointee.identity
        else { return }
        identity._withUnsafeGuaranteedRef { identity in
            shared.generations.advance(identity.projectHash)
            switch operation.cacheScope {
            case .project: break
            case .user: shared.generations.advance(identity.userHash)
            case .cloud: shared.generations.advance(shared.generations.cloud)
            }
        }
    }

    /// Collects the content of an error, or of limits, at most 64 KiB, and answers with it in Nova's form.
    private func collectError(_ exchange: ExchangePointer, _ connection: UpstreamPointer) -> Verdict {
        while true {
            let piece = connection.pointee.content.next(connection.pointee.input.readable, limit: Int.max)
            switch piece {
            case .bytes(let bytes, _):
                let count = exchange.pointee.errorContent.count + bytes.count
                if count > Self.maxErrorByteCount {
                    // Longer than any fault: it is no fault of Nova's, and only its status is of use.
                    abandonUpstream(exchange)
                    exchange.pointee.errorContent.removeAll()
                    return replyWithError(exchange, connection)
                }
                if exchange.pointee.errorContent.room < bytes.count {
                    exchange.pointee.errorContent.enlarge(to: max(4_096, count * 2))
                }
                exchange.pointee.errorContent.append(bytes)
            case .ended:
                connection.pointee.input.consume(connection.pointee.content.consume(piece))
                return replyWithError(exchange, connection)
            case .refused:
                abandonUpstream(exchange)
                exchange.pointee.errorContent.removeAll()
                return replyWithError(exchange, connection)
            case .needMore:
                if connection.pointee.peerEnded {
                    if !connection.pointee.endsWithPeer {
                        exchange.pointee.errorContent.removeAll()
                    }
                    connection.pointee.content.isEnded = true
                    return replyWithError(exchange, connection)
                }
                return .wait(.responseContent)
            case .skipped: break
            }
            connection.pointee.input.consume(connection.pointee.content.consume(piece))
        }
    }

    static var maxErrorByteCount: Int { 65_536 }
}
