internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Writes the head of an upstream's response, rewritten for the client, with the framing that fits both.
    func writeForwardedHead(_ exchange: ExchangePointer, _ upstream: UpstreamPointer) {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return }
        blocks.attach(to: &connection.pointee.output)
        let bytes = upstream.pointee.input.readable
        let status = upstream.pointee.head.status
        connection.pointee.output.appendStatusLine(status)
        copyFields(
            exchange, upstream.pointee.head, bytes, to: &connection.pointee.output, keepsContentType: true)
        let hasNoContent = status == 204 || status == 304 || exchange.pointee.head.method == .head
        if hasNoContent {
            // A HEAD or 304 answer keeps the length it would have had; a 204 must have none (RFC 9110 §8.6).
            if status != 204, let length = upstream.pointee.head.fields.find(.contentLength) {
                connection.pointee.output.appendField(.contentLength, bytes.view(length))
            }
        } else {
            switch upstream.pointee.head.framing {
            case .none: connection.pointee.output.appendContentLength(0)
            case .length(let length): connection.pointee.output.appendContentLength(length)
            case .chunked, .untilClose:
                if exchange.pointee.head.version == .http10 {
                    exchange.pointee.closesDownstream = true
                } else if !connection.pointee.isStream {
                    connection.pointee.output.append("Transfer-Encoding: chunked\r\n")
                    exchange.pointee.responseIsChunked = true
                }
            }
        }
        finishHead(exchange, connection)
    }

    /// Copies the end-to-end fields of an upstream's response, and adds those that every answer carries.
    func copyFields(
        _ exchange: ExchangePointer, _ head: borrowing ResponseHead, _ bytes: ByteView,
        to output: inout Buffer, keepsContentType: Bool
    ) {
        var hasDate = false
        var hasComputeID = false
        var hasOpenStackID = false
        var run = FieldRun()
        let nominates = head.fields.count(of: .connection) > 0
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            if line.known.isHopByHop || line.known == .contentLength || line.known == .xGatehouseRequestID {
                continue
            }
            switch line.known {
            case .date:
                // Some proxies send two (the virtual-interfaces document shows it); the first is the origin's.
                if hasDate { continue }
                hasDate = true
            case .xComputeRequestID: hasComputeID = true
            case .xOpenStackRequestID: hasOpenStackID = true
            case .contentType, .contentEncoding, .contentLanguage, .contentRange, .acceptRanges, .etag,
                .lastModified:
                // They speak of the content, which may be one worded here.
                if !keepsContentType { continue }
            case .openStackAPIVersion, .xOpenStackNovaAPIVersion:
                run.end(bytes, to: &output)
                if appendAskedVersion(line.known, exchange, to: &output) { continue }
            default: break
            }
            if nominates, line.known == .other, head.fields.nominates(bytes.view(line.name), in: bytes) {
                continue
            }
            run.append(line, bytes, to: &output)
        }
        run.end(bytes, to: &output)
        if !hasDate { output.append(dateLine.readable) }
        appendRequestIDs(exchange, to: &output, compute: !hasComputeID, openStack: !hasOpenStackID)
        appendForwardStatus(exchange, to: &output)
    }

    /// How the cache stood to a list that was forwarded (RFC 9211).
    func appendForwardStatus(_ exchange: ExchangePointer, to output: inout Buffer) {
        let reason: StaticString
        switch exchange.pointee.cacheVerdict {
        case .request: reason = "request"
        case .bypass: reason = "bypass"
        case .uriMiss: reason = "uri-miss"
        case .forwardedStale: reason = "stale"
        case .none, .hit, .stale, .collapsed, .method: return
        }
        appendCacheName(to: &output)
        output.append("; fwd=")
        output.append(reason)
        output.append("\r\n")
    }

    /// Answers with an upstream's error in Nova's form, its own content where it has that form already; or with what
    /// else was collected.
    func replyWithError(_ exchange: ExchangePointer, _ upstream: UpstreamPointer) -> Verdict {
        if exchange.pointee.status < 400 {
            guard !exchange.pointee.errorContent.isEmpty else {
                abandonUpstream(exchange)
                exchange.pointee.failure = .responseInvalid
                return failUpstream(exchange)
            }
            writeCollected(exchange, upstream.pointee.head)
        } else {
            writeError(exchange, upstream.pointee.head)
        }
        releaseUpstream(exchange)
        return .finish
    }

    /// Writes an upstream's error; the exchange holds the bytes of its head and its content.
    func writeError(_ exchange: ExchangePointer, _ head: borrowing ResponseHead) {
        guard let connection = downstreams.find(exchange.pointee.downstream),
            let errorHead = exchange.pointee.errorHead
        else { return }
        let bytes = errorHead.bytes
        let status = head.status
        scratch.removeAll()
        let outcome = normalizeError(exchange, head, bytes, into: &scratch)
        blocks.attach(to: &connection.pointee.output)
        connection.pointee.output.appendStatusLine(status)
        copyFields(
            exchange, head, bytes, to: &connection.pointee.output, keepsContentType: outcome == .unchanged)
        if outcome == .replaced {
            connection.pointee.output.append("Content-Type: application/json; charset=UTF-8\r\n")
        }
        let count = outcome == .unchanged ? exchange.pointee.errorContent.count : scratch.count
        connection.pointee.output.appendContentLength(UInt64(count))
        finishHead(exchange, connection)
        appendContent(
            exchange, connection,
            outcome == .unchanged ? exchange.pointee.errorContent.readable : scratch.readable)
    }

    /// Brings an upstream's error content into Nova's form.
    func normalizeError(
        _ exchange: ExchangePointer, _ head: borrowing ResponseHead, _ bytes: ByteView,
        into output: inout Buffer
    ) -> FaultNormalizer.Outcome {
        let type =
            head.fields.find(.contentType).map { bytes.view($0) } ?? ByteView(start: nil, count: 0)
        let hasID = head.fields.find(.xComputeRequestID) != nil
        let retryAfter = head.fields.find(.retryAfter)
            .flatMap { Decimal.read(bytes.view($0)) }.flatMap { $0 <= 86_400 * 365 ? Int($0) : nil }
        let isCoded = decodeError(exchange, head, bytes)
        let outcome = FaultNormalizer.normalize(
            status: head.status, contentType: type, hasRequestID: hasID,
            content: exchange.pointee.errorContent.readable, retryAfterSeconds: retryAfter, into: &output)
        guard isCoded, outcome == .unchanged else { return outcome }
        // A fault of Nova's that was compressed on the way is passed on plain, so its fields change too.
        output.append(exchange.pointee.errorContent.readable)
        return .replaced
    }

    /// Takes the coding off an error's content; what cannot be read counts as none. False when there was no coding.
    private func decodeError(
        _ exchange: ExchangePointer, _ head: borrowing ResponseHead, _ bytes: ByteView
    ) -> Bool {
        guard let range = head.fields.find(.contentEncoding) else { return false }
        let plain = ContentCoding.find(bytes.view(range)).flatMap {
            try? ContentCoder.decode(
                exchange.pointee.errorContent.readable, as: $0, atMost: Self.maxErrorByteCount)
        }
        exchange.pointee.errorContent = Buffer(capacity: max(1, plain?.count ?? 0))
        plain?.withUnsafeBufferPointer { exchange.pointee.errorContent.append($0) }
        return true
    }

    func appendContent(
        _ exchange: ExchangePointer, _ connection: DownstreamPointer, _ content: ByteView
    ) {
        exchange.pointee.responseByteCount += UInt64(content.count)
        if content.count <= connection.pointee.output.room {
            connection.pointee.output.append(content)
        } else {
            connection.pointee.pending = Content(content)
            connection.pointee.pendingOffset = 0
        }
    }

    /// Appends `Cache-Status: ` and the name that this house has there.
    func appendCacheName(to output: inout Buffer) {
        Unmanaged.passUnretained(configuration)._withUnsafeGuaranteedRef { house in
            output.append(house.cacheStatusStart.bytes)
        }
    }

    /// Appends `Via`; with the empty line behind it, if the head ends there.
    private func appendVia(_ exchange: ExchangePointer, endsHead: Bool, to output: inout Buffer) {
        // The protocol is that by which the answer came here (RFC 9110 §7.6.3).
        let cameOnStream = upstreams.find(exchange.pointee.upstream)?.pointee.isStream == true
        Unmanaged.passUnretained(configuration)._withUnsafeGuaranteedRef { house in
            let end = cameOnStream ? house.http2ViaEnd.bytes : house.viaEnd.bytes
            output.append(endsHead ? end : end.view(0, end.count - 2))
        }
    }

    func finishHead(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        if audit != nil { auditAnswer(exchange, connection) }
        if exchange.pointee.charges.count > 0 { appendLimitFields(exchange, to: &connection.pointee.output) }
        if connection.pointee.isStream {
            appendVia(exchange, endsHead: false, to: &connection.pointee.output)
            return finishStreamHead(exchange, connection)
        }
        if isDraining { exchange.pointee.closesDownstream = true }
        // Content that nobody will read, beyond what is dropped quietly, ends the connection.
        if connection.pointee.continueOwed, !connection.pointee.content.isEnded {
            exchange.pointee.closesDownstream = true
        }
        let saysConnection = exchange.pointee.closesDownstream || exchange.pointee.head.version == .http10
        appendVia(exchange, endsHead: !saysConnection, to: &connection.pointee.output)
        if saysConnection {
            connection.pointee.output.append(
                exchange.pointee.closesDownstream
                    ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n")
        }
        exchange.pointee.responseHeadSent = true
    }
}
