internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    // MARK: - Answers of the upstream

    /// Writes the head of an upstream's response, rewritten for the client, with the framing that fits both.
    func writeForwardedHead(_ exchange: ExchangePointer, _ upstream: UpstreamPointer) {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return }
        blocks.attach(to: &connection.pointee.output)
        let bytes = upstream.pointee.input.readable
        let status = upstream.pointee.head.status
        connection.pointee.output.appendStatusLine(status)
        copyFields(exchange, upstream, bytes, to: &connection.pointee.output, keepsContentType: true)
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
                } else {
                    connection.pointee.output.append("Transfer-Encoding: chunked\r\n")
                    exchange.pointee.responseIsChunked = true
                }
            }
        }
        finishHead(exchange, connection)
    }

    /// Copies the end-to-end fields of an upstream's response, and adds those that every answer carries.
    private func copyFields(
        _ exchange: ExchangePointer, _ upstream: UpstreamPointer, _ bytes: ByteView, to output: inout Buffer,
        keepsContentType: Bool
    ) {
        var hasDate = false
        var hasComputeID = false
        var hasOpenStackID = false
        let nominates = upstream.pointee.head.fields.count(of: .connection) > 0
        for index in 0..<upstream.pointee.head.fields.count {
            let line = upstream.pointee.head.fields[index]
            if line.known.isHopByHop || line.known == .contentLength || line.known == .xGatehouseRequestID { continue }
            switch line.known {
            case .date:
                // Some proxies send two (the virtual-interfaces document shows it); the first is the origin's.
                if hasDate { continue }
                hasDate = true
            case .xComputeRequestID: hasComputeID = true
            case .xOpenStackRequestID: hasOpenStackID = true
            case .contentType, .contentEncoding, .contentLanguage, .contentRange, .acceptRanges, .etag, .lastModified:
                // They speak of the content, which may be one worded here.
                if !keepsContentType { continue }
            default: break
            }
            let name = bytes.view(line.name)
            if nominates, line.known == .other, upstream.pointee.head.fields.nominates(name, in: bytes) { continue }
            output.appendField(name, bytes.view(line.value))
        }
        if !hasDate { output.append(dateLine.readable) }
        appendRequestIDs(exchange, to: &output, compute: !hasComputeID, openStack: !hasOpenStackID)
        appendForwardStatus(exchange, to: &output)
    }

    /// How the cache stood to a list that was forwarded (RFC 9211).
    private func appendForwardStatus(_ exchange: ExchangePointer, to output: inout Buffer) {
        let reason: StaticString
        switch exchange.pointee.cacheVerdict {
        case .request: reason = "request"
        case .bypass: reason = "bypass"
        case .uriMiss: reason = "uri-miss"
        case .forwardedStale: reason = "stale"
        case .none, .hit, .stale, .collapsed, .method: return
        }
        output.append("Cache-Status: ")
        output.append(configuration.via.bytes)
        output.append("; fwd=")
        output.append(reason)
        output.append("\r\n")
    }

    /// Answers with an upstream's error in Nova's form; its own content where it has that form already.
    func replyWithError(_ exchange: ExchangePointer, _ upstream: UpstreamPointer) -> Verdict {
        guard let connection = downstreams.find(exchange.pointee.downstream), let head = exchange.pointee.errorHead else {
            return .finish
        }
        let bytes = head.bytes
        let status = upstream.pointee.head.status
        scratch.removeAll()
        let outcome = normalizeError(exchange, upstream, bytes, into: &scratch)
        blocks.attach(to: &connection.pointee.output)
        connection.pointee.output.appendStatusLine(status)
        copyFields(exchange, upstream, bytes, to: &connection.pointee.output, keepsContentType: outcome == .unchanged)
        if outcome == .replaced {
            connection.pointee.output.append("Content-Type: application/json; charset=UTF-8\r\n")
        }
        let count = outcome == .unchanged ? exchange.pointee.errorContent.count : scratch.count
        connection.pointee.output.appendContentLength(UInt64(count))
        finishHead(exchange, connection)
        appendContent(
            exchange, connection, outcome == .unchanged ? exchange.pointee.errorContent.readable : scratch.readable)
        releaseUpstream(exchange)
        return .finish
    }

    /// Brings an upstream's error content into Nova's form.
    func normalizeError(
        _ exchange: ExchangePointer, _ upstream: UpstreamPointer, _ bytes: ByteView, into output: inout Buffer
    ) -> FaultNormalizer.Outcome {
        let type = upstream.pointee.head.fields.find(.contentType).map { bytes.view($0) } ?? ByteView(start: nil, count: 0)
        let hasID = upstream.pointee.head.fields.find(.xComputeRequestID) != nil
        let retryAfter = upstream.pointee.head.fields.find(.retryAfter)
            .flatMap { Decimal.read(bytes.view($0)) }.flatMap { $0 <= 86_400 * 365 ? Int($0) : nil }
        let isCoded = decodeError(exchange, upstream, bytes)
        let outcome = FaultNormalizer.normalize(
            status: upstream.pointee.head.status, contentType: type, hasRequestID: hasID,
            content: exchange.pointee.errorContent.readable, retryAfterSeconds: retryAfter, into: &output)
        guard isCoded, outcome == .unchanged else { return outcome }
        // A fault of Nova's that was compressed on the way is passed on plain, so its fields change too.
        output.append(exchange.pointee.errorContent.readable)
        return .replaced
    }

    /// Takes the coding off an error's content; what cannot be read counts as none. False when there was no coding.
    private func decodeError(_ exchange: ExchangePointer, _ upstream: UpstreamPointer, _ bytes: ByteView) -> Bool {
        guard let range = upstream.pointee.head.fields.find(.contentEncoding) else { return false }
        let plain = ContentCoding.find(bytes.view(range)).flatMap {
            try? ContentCoder.decode(exchange.pointee.errorContent.readable, as: $0, atMost: Self.maxErrorByteCount)
        }
        exchange.pointee.errorContent = Buffer(capacity: max(1, plain?.count ?? 0))
        plain?.withUnsafeBufferPointer { exchange.pointee.errorContent.append($0) }
        return true
    }

    // MARK: - Answers made here

    /// Writes the whole answer that the exchange's `reply` describes.
    func writeReply(_ exchange: ExchangePointer) {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return }
        blocks.attach(to: &connection.pointee.output)
        switch exchange.pointee.reply.kind {
        case .fault: writeFault(exchange, connection)
        case .stored: writeStored(exchange, connection)
        case .empty: writeEmpty(exchange, connection)
        }
    }

    /// An answer without content: 204 to `OPTIONS *`, which asks of the proxy itself (RFC 9110 §9.3.7).
    private func writeEmpty(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        exchange.pointee.status = exchange.pointee.reply.status
        connection.pointee.output.appendStatusLine(exchange.pointee.reply.status)
        connection.pointee.output.append(dateLine.readable)
        appendRequestIDs(exchange, to: &connection.pointee.output, compute: true, openStack: true)
        finishHead(exchange, connection)
    }

    private func writeFault(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        let status = exchange.pointee.reply.status
        let retryAfter = exchange.pointee.reply.retryAfterSeconds
        exchange.pointee.status = status
        faultContent.removeAll()
        Fault.append(
            status: status, message: message.readable, retryAfterSeconds: retryAfter > 0 ? retryAfter : nil,
            to: &faultContent)
        if faultContent.hasOverflowed || faultContent.count > DownstreamConnection.headRoom - 4_096 {
            // What the client sent does not fit into one answer when escaped; the fault's name tells enough.
            faultContent.removeAll()
            message.removeAll()
            message.append("Invalid input.")
            Fault.append(status: status, message: message.readable, retryAfterSeconds: nil, to: &faultContent)
        }
        connection.pointee.output.appendStatusLine(status)
        connection.pointee.output.append("Content-Type: application/json; charset=UTF-8\r\n")
        connection.pointee.output.appendContentLength(UInt64(faultContent.count))
        if exchange.pointee.versionIsKnown { appendVersionFields(exchange, to: &connection.pointee.output) }
        if status == 401 {
            // The house itself judges tokens, so it is what the client is sent to; never an address behind it.
            connection.pointee.output.append("WWW-Authenticate: Keystone uri=\"")
            connection.pointee.output.append(publicScheme(exchange))
            connection.pointee.output.append("://")
            connection.pointee.output.append(publicHost(exchange))
            connection.pointee.output.append("\"\r\n")
        }
        if exchange.pointee.reply.allowIndex >= 0, let table = table(of: exchange) {
            connection.pointee.output.append("Allow: ")
            connection.pointee.output.append(table.allowValue(exchange.pointee.reply.allowIndex))
            connection.pointee.output.append("\r\n")
        }
        if retryAfter > 0 {
            connection.pointee.output.append("Retry-After: ")
            connection.pointee.output.appendDecimal(retryAfter)
            connection.pointee.output.append("\r\n")
        }
        connection.pointee.output.append(dateLine.readable)
        appendRequestIDs(exchange, to: &connection.pointee.output, compute: true, openStack: true)
        finishHead(exchange, connection)
        if exchange.pointee.head.method != .head { appendContent(exchange, connection, faultContent.readable) }
    }

    /// The microversion that an answer of ours was judged by, as Nova tells it (facts §3.1).
    private func appendVersionFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        guard exchange.pointee.route.version == .v21 else { return }
        let bytes = exchange.pointee.headBytes
        output.append("OpenStack-API-Version: compute ")
        appendVersion(exchange.pointee.microversion, bytes, to: &output)
        output.append("\r\nX-OpenStack-Nova-API-Version: ")
        appendVersion(exchange.pointee.microversion, bytes, to: &output)
        output.append("\r\nVary: OpenStack-API-Version\r\nVary: X-OpenStack-Nova-API-Version\r\n")
    }

    private func appendVersion(_ request: MicroversionRequest, _ bytes: ByteView, to output: inout Buffer) {
        switch request {
        case .absent, .malformed: Microversion.base.append(to: &output)
        case .version(let version): version.append(to: &output)
        // What `latest` means is the upstream's to say; an answer of ours names the definition's highest.
        case .latest: configuration.apis[0].table.maximum.append(to: &output)
        case .outOfRange(let range): output.append(bytes.view(range))
        }
    }

    private func writeStored(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        guard let stored = exchange.pointee.reply.stored else { return }
        let representation = stored.representation
        // What may not be kept passes as it came: it has no validator of ours, no coding and no age.
        let isCodable = stored.isStorable || stored.isPartial
        let coding = isCodable ? exchange.pointee.acceptedCoding : .identity
        let coded = coding == .identity ? nil : representation.form(coding)
        let content = coded ?? representation.content
        let tag = representation.tag.bytes
        let isUnchanged = isCodable && isNotModified(exchange, tag)
        let status = isUnchanged ? 304 : stored.status
        exchange.pointee.status = status
        connection.pointee.output.appendStatusLine(status)
        connection.pointee.output.append(stored.fields.bytes)
        if isCodable {
            connection.pointee.output.append("ETag: ")
            if coded != nil {
                connection.pointee.output.append(tag.view(0, tag.count - 1))
                connection.pointee.output.append(coding == .gzip ? "-gzip\"" : "-deflate\"")
            } else {
                connection.pointee.output.append(tag)
            }
            connection.pointee.output.append("\r\nVary: Accept-Encoding\r\n")
        }
        if coded != nil, !isUnchanged {
            connection.pointee.output.append(
                coding == .gzip ? "Content-Encoding: gzip\r\n" : "Content-Encoding: deflate\r\n")
        }
        if !isUnchanged { connection.pointee.output.appendContentLength(UInt64(content.count)) }
        appendCacheStatus(exchange, stored, to: &connection.pointee.output)
        connection.pointee.output.append(dateLine.readable)
        appendRequestIDs(exchange, to: &connection.pointee.output, compute: true, openStack: true)
        finishHead(exchange, connection)
        guard !isUnchanged, exchange.pointee.head.method != .head else { return }
        if content.count <= 4_096, content.count <= connection.pointee.output.room {
            appendContent(exchange, connection, content.bytes)
        } else {
            // Large contents go out of the store itself, without a copy.
            connection.pointee.pending = content
            connection.pointee.pendingOffset = 0
            exchange.pointee.responseByteCount += UInt64(content.count)
        }
    }

    private func isNotModified(_ exchange: ExchangePointer, _ tag: ByteView) -> Bool {
        guard exchange.pointee.head.fields.find(.ifNoneMatch) != nil else { return false }
        // The identity tag and those of its coded forms name the same list, so any of them is enough for a 304.
        let bytes = exchange.pointee.headBytes
        let fields = exchange.pointee.head.fields.count
        for index in 0..<fields {
            let line = exchange.pointee.head.fields[index]
            guard line.known == .ifNoneMatch else { continue }
            let value = bytes.view(line.value)
            if EntityTag.contains(tag, in: value) { return true }
            for suffix: StaticString in ["-gzip\"", "-deflate\""] {
                scratch.removeAll()
                scratch.append(tag.view(0, tag.count - 1))
                scratch.append(suffix)
                if EntityTag.contains(scratch.readable, in: value) { return true }
            }
        }
        return false
    }

    /// `Age` and `Cache-Status` of an answer from the store (RFC 9111 §5.1, RFC 9211).
    private func appendCacheStatus(_ exchange: ExchangePointer, _ stored: StoredResponse, to output: inout Buffer) {
        let verdict = exchange.pointee.cacheVerdict
        output.append("Cache-Status: ")
        output.append(configuration.via.bytes)
        switch verdict {
        case .hit, .stale:
            output.append("; hit; ttl=")
            // Wall seconds left; below zero once it is stale.
            let left = Int64(bitPattern: stored.freshUntil &- now)
            output.appendDecimal(Int(left >= 0 ? left / 1_000_000_000 : (left - 999_999_999) / 1_000_000_000))
        default:
            output.append(verdict == .forwardedStale ? "; fwd=stale" : verdict == .request ? "; fwd=request" : "; fwd=uri-miss")
            output.append("; fwd-status=")
            output.appendDecimal(stored.status)
            if exchange.pointee.isCollapsed { output.append("; collapsed") }
            if stored.isStorable { output.append("; stored") }
            if stored.isPartial { output.append("; detail=partial") }
        }
        output.append("\r\n")
        guard stored.isStorable else { return }
        output.append("Age: ")
        output.appendDecimal((now &- min(now, stored.requestedAt)) / 1_000_000_000)
        output.append("\r\n")
    }

    // MARK: - What every answer carries

    private func appendContent(_ exchange: ExchangePointer, _ connection: DownstreamPointer, _ content: ByteView) {
        exchange.pointee.responseByteCount += UInt64(content.count)
        if content.count <= connection.pointee.output.room {
            connection.pointee.output.append(content)
        } else {
            connection.pointee.pending = Content(content)
            connection.pointee.pendingOffset = 0
        }
    }

    private func appendRequestIDs(_ exchange: ExchangePointer, to output: inout Buffer, compute: Bool, openStack: Bool) {
        output.append("X-Gatehouse-Request-Id: ")
        exchange.pointee.requestID.append(to: &output)
        if compute {
            output.append("\r\nX-Compute-Request-Id: ")
            exchange.pointee.requestID.append(to: &output)
        }
        if openStack {
            output.append("\r\nX-OpenStack-Request-Id: ")
            exchange.pointee.requestID.append(to: &output)
        }
        output.append("\r\n")
    }

    private func finishHead(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        connection.pointee.output.append(configuration.viaLine.bytes)
        if isDraining { exchange.pointee.closesDownstream = true }
        // Content that nobody will read, beyond what is dropped quietly, ends the connection.
        if connection.pointee.continueOwed, !connection.pointee.content.isEnded {
            exchange.pointee.closesDownstream = true
        }
        if exchange.pointee.closesDownstream {
            connection.pointee.output.append("Connection: close\r\n")
        } else if exchange.pointee.head.version == .http10 {
            connection.pointee.output.append("Connection: keep-alive\r\n")
        }
        connection.pointee.output.append("\r\n")
        exchange.pointee.responseHeadSent = true
    }
}
