internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

extension Worker {
    /// Appends one JSON line for an exchange; a full buffer drops the line and counts it.
    ///
    /// - Shape: members in a fixed order, durations in microseconds, the token never among them; the target is cut at
    ///   2 KiB, secrets in it are `***`, roles are cut at 512 bytes. Bytes outside printable ASCII are escaped one by one, so
    ///   that the line is always valid JSON.
    ///   `time` less `total` is when it began, to the millisecond: `limits simulate` goes by that.
    func writeAccessLine(_ exchange: ExchangePointer, endedAt: UInt64, microseconds: UInt64) {
        guard let accessLog else { return }
        let bytes = exchange.pointee.headBytes
        line.removeAll()
        line.append("{\"time\":\"")
        line.append(timeText.readable)
        // The text is of the turn's second, so what ends in the next one is written as the last of this.
        let milliseconds = min(999, (UInt64(wallNanoseconds) + (endedAt - min(endedAt, now))) / 1_000_000)
        line.append(UInt8(0x30 + milliseconds / 100))
        line.append(UInt8(0x30 + milliseconds / 10 % 10))
        line.append(UInt8(0x30 + milliseconds % 10))
        line.append("Z\",\"request_id\":\"")
        exchange.pointee.requestID.append(to: &line)
        // Of a head that was refused or cut short there are fields, but no bytes that may be looked at.
        if exchange.pointee.head.byteCount > 0,
            let range = exchange.pointee.head.fields.find(.xOpenStackRequestID),
            RequestID.isValid(bytes.view(range))
        {
            line.append("\",\"global_request_id\":\"")
            line.append(bytes.view(range))
        }
        line.append("\",\"client\":\"")
        exchange.pointee.client.append(to: &line)
        line.append("\"")
        if let certificate = downstreams.find(exchange.pointee.downstream)?.pointee.certificate {
            line.append(",\"client_certificate\":{\"subject\":\"")
            appendEscaped(certificate.subject.bytes)
            line.append("\",\"sha256\":\"")
            line.append(certificate.fingerprint.bytes)
            line.append("\"}")
        }
        if let identity = exchange.pointee.identity {
            identity._withUnsafeGuaranteedRef { identity in
                line.append(",\"project\":\"")
                identity.withProjectID { appendEscaped($0) }
                line.append("\",\"user\":\"")
                identity.withUserID { appendEscaped($0) }
                line.append("\",\"roles\":\"")
                identity.withRolesKey { appendEscaped(Self.whole($0, within: 512)) }
                line.append("\"")
            }
        }
        if let operation = operation(of: exchange) {
            line.append(",\"operation\":\"")
            line.append(operation.idBytes)
            line.append("\"")
            if let action = action(of: exchange) {
                line.append(",\"action\":\"")
                appendEscaped(action.key)
                line.append("\"")
            }
        }
        if exchange.pointee.head.byteCount > 0 {
            line.append(",\"method\":\"")
            appendEscaped(bytes.view(exchange.pointee.head.methodName))
            line.append("\",\"target\":\"")
            appendTarget(exchange)
            line.append("\"")
        }
        if exchange.pointee.head.version == .http2 { line.append(",\"protocol\":\"HTTP/2\"") }
        line.append(",\"status\":")
        line.appendDecimal(exchange.pointee.status)
        line.append(",\"request_bytes\":")
        line.appendDecimal(exchange.pointee.requestContentByteCount)
        line.append(",\"response_bytes\":")
        line.appendDecimal(exchange.pointee.responseByteCount)
        if exchange.pointee.cacheVerdict != .none {
            line.append(",\"cache\":\"")
            line.append(exchange.pointee.cacheVerdict.name)
            line.append(exchange.pointee.isCollapsed ? "\",\"collapsed\":true" : "\"")
        }
        if isTranslated(exchange) { line.append(",\"translated\":true") }
        if exchange.pointee.failure != .none {
            line.append(",\"error\":\"")
            line.append(exchange.pointee.failure.error)
            line.append("\"")
        }
        if exchange.pointee.charges.count > 0 { appendLimits(exchange, to: &line) }
        if exchange.pointee.reportedStatus > 0 {
            line.append(",\"would_refuse\":")
            line.appendDecimal(Int(exchange.pointee.reportedStatus))
        }
        if let endpoint = exchange.pointee.endpoint {
            line.append(",\"upstream\":\"")
            endpoint._withUnsafeGuaranteedRef { appendEscaped($0.url.bytes) }
            line.append("\"")
        }
        line.append(",\"microseconds\":{\"total\":")
        line.appendDecimal(microseconds)
        if exchange.pointee.forwardedAt > 0 {
            line.append(",\"before_forward\":")
            line.appendDecimal((exchange.pointee.forwardedAt &- exchange.pointee.startedAt) / 1_000)
            if exchange.pointee.responseHeadAt > 0 {
                line.append(",\"upstream_head\":")
                line.appendDecimal((exchange.pointee.responseHeadAt &- exchange.pointee.forwardedAt) / 1_000)
                line.append(",\"deliver\":")
                line.appendDecimal((now &- exchange.pointee.responseHeadAt) / 1_000)
            }
        }
        line.append("}}\n")
        if flushesAt == 0 { flushesAt = now + 100_000_000 }
        if line.hasOverflowed || !accessLog.append(line.readable) { counters.accessLinesDropped += 1 }
    }

    /// The target within its limit, with secrets hidden as the trail hides them.
    private func appendTarget(_ exchange: ExchangePointer) {
        // A line may be written while an answer is, parts of which stand in `key`.
        swap(&key, &auditKey)
        defer { swap(&key, &auditKey) }
        var room = 2_048
        func append(_ run: ByteView) {
            let count = min(room, run.count)
            appendEscaped(run.view(0, count))
            room -= count
        }
        let target = exchange.pointee.head.target
        if target.form == .absolute {
            append(
                exchange.pointee.headBytes.view(target.whole.lower, target.path.lower - target.whole.lower))
        }
        forEachRun(ofTargetOf: exchange, append)
    }

    /// The action in the content, where that was read so far and the operation has one of that name.
    private func action(of exchange: ExchangePointer) -> ActionFacts? {
        guard exchange.pointee.action >= 0, let table = table(of: exchange) else { return nil }
        return table.action(exchange.pointee.action)
    }

    /// As many of the roles, which are joined by commas, as have room in `byteCount`.
    private static func whole(_ roles: ByteView, within byteCount: Int) -> ByteView {
        guard roles.count > byteCount else { return roles }
        var end = byteCount
        while end > 0, roles[end] != 0x2C { end -= 1 }
        return roles.view(0, end)
    }

    private func appendEscaped(_ bytes: ByteView) {
        // Runs of plain bytes are copied whole; almost every value is one run.
        var start = 0
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if byte >= 0x20, byte < 0x7F, byte != 0x22, byte != 0x5C { continue }
            line.append(bytes.view(start, index - start))
            line.append("\\u00")
            line.appendHexadecimal(UInt64(byte), width: 2)
            start = index + 1
        }
        line.append(bytes.view(start, bytes.count - start))
    }
}
