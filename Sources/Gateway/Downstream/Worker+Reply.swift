internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Writes the whole answer that the exchange's `reply` describes.
    func writeReply(_ exchange: ExchangePointer) {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return }
        blocks.attach(to: &connection.pointee.output)
        switch exchange.pointee.reply.kind {
        case .fault: writeFault(exchange, connection)
        case .stored: writeStored(exchange, connection)
        case .made: writeMade(exchange, connection)
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

    /// A list made of what the upstream said otherwise.
    private func writeMade(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        guard let content = exchange.pointee.reply.made else { return }
        exchange.pointee.status = exchange.pointee.reply.status
        connection.pointee.output.appendStatusLine(exchange.pointee.reply.status)
        appendTranslationFields(exchange, to: &connection.pointee.output)
        connection.pointee.output.appendContentLength(UInt64(content.count))
        connection.pointee.output.append(dateLine.readable)
        appendRequestIDs(exchange, to: &connection.pointee.output, compute: true, openStack: true)
        appendForwardStatus(exchange, to: &connection.pointee.output)
        finishHead(exchange, connection)
        appendContent(exchange, connection, content.bytes)
    }

    private func writeFault(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        let status = exchange.pointee.reply.status
        let retryAfter = exchange.pointee.reply.retryAfterSeconds
        exchange.pointee.status = status
        faultContent.removeAll()
        key.removeAll()
        if exchange.pointee.limitedBy >= 0 { appendLimitDetails(exchange, to: &key) }
        Fault.append(
            status: status, message: message.readable, details: key.readable,
            retryAfterSeconds: retryAfter > 0 ? retryAfter : nil, to: &faultContent)
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
            connection.pointee.output.append("WWW-Authenticate: Keystone uri=\"")
            if let client = configuration(of: exchange).keystone {
                connection.pointee.output.append(client.shared.publicURL.bytes)
            } else {
                // The house itself judges tokens, so it is what the client is sent to; never an address behind it.
                connection.pointee.output.append(publicScheme(exchange))
                connection.pointee.output.append("://")
                connection.pointee.output.append(publicHost(exchange))
            }
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
        if exchange.pointee.head.method != .head {
            appendContent(exchange, connection, faultContent.readable)
        }
    }

    /// The microversion that an answer of ours was judged by, as Nova tells it (facts §3.1).
    func appendVersionFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        guard exchange.pointee.route.version == .v21 else { return }
        output.append("OpenStack-API-Version: compute ")
        appendVersion(exchange, to: &output)
        output.append("\r\nX-OpenStack-Nova-API-Version: ")
        appendVersion(exchange, to: &output)
        output.append("\r\nVary: OpenStack-API-Version\r\nVary: X-OpenStack-Nova-API-Version\r\n")
    }

    /// The version that the exchange was judged by.
    func appendVersion(_ exchange: ExchangePointer, to output: inout Buffer) {
        switch exchange.pointee.microversion {
        case .absent, .malformed: Microversion.base.append(to: &output)
        case .version(let version): version.append(to: &output)
        // What `latest` means is the upstream's to say; an answer of ours names the definition's highest.
        case .latest: table(of: exchange)?.maximum.append(to: &output)
        case .outOfRange(let range): output.append(exchange.pointee.headBytes.view(range))
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
        if content.count <= 4_096, content.count <= connection.pointee.output.room,
            !connection.pointee.isStream
        {
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
    private func appendCacheStatus(
        _ exchange: ExchangePointer, _ stored: StoredResponse, to output: inout Buffer
    ) {
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
            output.append(
                verdict == .forwardedStale
                    ? "; fwd=stale" : verdict == .request ? "; fwd=request" : "; fwd=uri-miss")
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
}
