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
        appendOwnLines(exchange, to: &connection.pointee.output)
        finishHead(exchange, connection)
    }

    /// A list made of what the upstream said otherwise.
    private func writeMade(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        guard let content = exchange.pointee.reply.made else { return }
        exchange.pointee.status = exchange.pointee.reply.status
        connection.pointee.output.appendStatusLine(exchange.pointee.reply.status)
        appendTranslationFields(exchange, to: &connection.pointee.output)
        connection.pointee.output.appendContentLength(UInt64(content.count))
        appendOwnLines(exchange, to: &connection.pointee.output)
        appendForwardStatus(exchange, to: &connection.pointee.output)
        finishHead(exchange, connection)
        appendContent(exchange, connection, content.bytes)
    }

    private func writeFault(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        let status = exchange.pointee.reply.status
        exchange.pointee.status = status
        writeFaultContent(exchange)
        connection.pointee.output.appendStatusLine(status)
        connection.pointee.output.append("Content-Type: application/json; charset=UTF-8\r\nContent-Length: ")
        connection.pointee.output.appendDecimal(faultContent.count)
        connection.pointee.output.append("\r\n")
        if exchange.pointee.versionIsKnown { appendVersionFields(exchange, to: &connection.pointee.output) }
        appendRefusalFields(exchange, to: &connection.pointee.output)
        appendOwnLines(exchange, to: &connection.pointee.output)
        finishHead(exchange, connection)
        if exchange.pointee.head.method != .head {
            appendContent(exchange, connection, faultContent.readable)
        }
    }

    /// Makes the content of the fault that `reply` and `message` describe.
    private func writeFaultContent(_ exchange: ExchangePointer) {
        let status = exchange.pointee.reply.status
        let retryAfter = exchange.pointee.reply.retryAfterSeconds
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
    }

    /// What some refusals say besides: where tokens are to be had, which methods there are, when to come again.
    private func appendRefusalFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        let retryAfter = exchange.pointee.reply.retryAfterSeconds
        if exchange.pointee.reply.status == 401 {
            output.append("WWW-Authenticate: Keystone uri=\"")
            if let client = configuration(of: exchange).keystone {
                output.append(client.shared.publicURL.bytes)
            } else {
                // The house itself judges tokens, so it is what the client is sent to; never an address behind it.
                output.append(publicScheme(exchange))
                output.append("://")
                output.append(publicHost(exchange))
            }
            output.append("\"\r\n")
        }
        if exchange.pointee.reply.allowIndex >= 0, let table = table(of: exchange) {
            output.append("Allow: ")
            output.append(table.allowValue(exchange.pointee.reply.allowIndex))
            output.append("\r\n")
        }
        if retryAfter > 0 {
            output.append("Retry-After: ")
            output.appendDecimal(retryAfter)
            output.append("\r\n")
        }
    }

    /// The microversion that an answer of ours was judged by, as Nova tells it (facts §3.1).
    func appendVersionFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        guard exchange.pointee.route.version == .v21 else { return }
        output.append("OpenStack-API-Version: compute ")
        let start = output.count
        appendVersion(exchange, to: &output)
        let version = output.readable.view(start, output.count - start)
        output.append("\r\nX-OpenStack-Nova-API-Version: ")
        output.append(version)
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

    /// Up to this a copy behind the head costs less than the second piece of a `sendmsg`: at 5,849 bytes 30 ns of 7.4 µs
    /// and two references that need not be counted; they are even at 8,000.
    private static var maxCopiedByteCount: Int { 6_144 }

    private func writeStored(_ exchange: ExchangePointer, _ connection: DownstreamPointer) {
        guard let stored = exchange.pointee.reply.stored.map({ Unmanaged.passUnretained($0) }) else { return }
        // The exchange holds it until it is over.
        stored._withUnsafeGuaranteedRef { writeStored($0, exchange, connection) }
    }

    private func writeStored(
        _ stored: StoredResponse, _ exchange: ExchangePointer, _ connection: DownstreamPointer
    ) {
        // What may not be kept passes as it came: it has no validator of ours, no coding and no age.
        let coding = stored.isCodable ? exchange.pointee.acceptedCoding : .identity
        let coded = coding == .identity ? nil : stored.representation.form(coding)
        let isUnchanged =
            stored.isCodable && exchange.pointee.head.fields.has(.ifNoneMatch)
            && isNotModified(exchange, stored.tag.bytes)
        exchange.pointee.status = isUnchanged ? 304 : stored.status
        if isUnchanged { connection.pointee.output.appendStatusLine(304) }
        if let coded {
            appendCodedHead(
                stored, coding, isUnchanged ? nil : coded.count, to: &connection.pointee.output)
        } else {
            connection.pointee.output.append(isUnchanged ? stored.head.unchanged : stored.head.whole)
        }
        appendCacheStatus(exchange, stored, to: &connection.pointee.output)
        appendOwnLines(exchange, to: &connection.pointee.output)
        finishHead(exchange, connection)
        guard !isUnchanged, exchange.pointee.head.method != .head else { return }
        let bytes = coded.map { $0.bytes } ?? stored.content.bytes
        if bytes.count <= Self.maxCopiedByteCount, bytes.count <= connection.pointee.output.room,
            !connection.pointee.isStream
        {
            appendContent(exchange, connection, bytes)
        } else {
            // Large contents go out of the store itself, without a copy.
            connection.pointee.pending = coded ?? stored.content
            connection.pointee.pendingOffset = 0
            exchange.pointee.responseByteCount += UInt64(bytes.count)
        }
    }

    /// The lines of a coded form; without a length those of a 304, whose status line is there already.
    private func appendCodedHead(
        _ stored: StoredResponse, _ coding: ContentCoding, _ byteCount: Int?, to output: inout Buffer
    ) {
        output.append(byteCount == nil ? stored.head.fields : stored.head.coded)
        let tag = stored.tag.bytes
        output.append("ETag: ")
        output.append(tag.view(0, tag.count - 1))
        output.append(coding == .gzip ? "-gzip\"" : "-deflate\"")
        output.append("\r\nVary: Accept-Encoding\r\n")
        guard let byteCount else { return }
        output.append(coding == .gzip ? "Content-Encoding: gzip\r\n" : "Content-Encoding: deflate\r\n")
        output.appendContentLength(UInt64(byteCount))
    }

    private func isNotModified(_ exchange: ExchangePointer, _ tag: ByteView) -> Bool {
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
        appendCacheName(to: &output)
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
