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
        lentAccessLog?._withUnsafeGuaranteedRef { log in
            if flushesAt == 0 { flushesAt = now + 100_000_000 }
            let room = log.lend(atMost: Self.maxAccessLineByteCount)
            var pen = LinePen(room)
            appendBeginning(exchange, endedAt, &pen)
            appendParties(exchange, &pen)
            appendRequest(exchange, &pen)
            appendAnswer(exchange, &pen)
            appendDurations(exchange, microseconds, &pen)
            pen.append("}}\n")
            guard !pen.hasOverflowed else {
                log.drop()
                return counters.accessLinesDropped += 1
            }
            log.take(room.baseAddress!.distance(to: pen.place))
        }
    }

    private static var maxAccessLineByteCount: Int { 16_384 }

    @inline(__always)
    private func appendBeginning(_ exchange: ExchangePointer, _ endedAt: UInt64, _ pen: inout LinePen) {
        pen.append("{\"time\":\"")
        pen.append(plain: timeText.readable)
        // The text is of the turn's second, so what ends in the next one is written as the last of this.
        let milliseconds = min(999, (UInt64(wallNanoseconds) + (endedAt - min(endedAt, now))) / 1_000_000)
        pen.append(threeDigitsOf: milliseconds)
        pen.append("Z\",\"request_id\":\"")
        pen.append(bytesOf: exchange.pointee.requestID.bytes)
        // Of a head that was refused or cut short there are fields, but no bytes that may be looked at.
        if exchange.pointee.head.byteCount > 0,
            let range = exchange.pointee.head.fields.find(.xOpenStackRequestID),
            RequestID.isValid(exchange.pointee.headBytes.view(range))
        {
            pen.append("\",\"global_request_id\":\"")
            pen.append(plain: exchange.pointee.headBytes.view(range))
        }
    }

    @inline(__always) private func appendParties(_ exchange: ExchangePointer, _ pen: inout LinePen) {
        pen.append("\",\"client\":\"")
        pen.append(exchange.pointee.client)
        pen.append("\"")
        if let certificate = downstreams.find(exchange.pointee.downstream)?.pointee.certificate {
            pen.append(",\"client_certificate\":{\"subject\":\"")
            pen.append(escaped: certificate.subject.bytes)
            pen.append("\",\"sha256\":\"")
            pen.append(plain: certificate.fingerprint.bytes)
            pen.append("\"}")
        }
        exchange.pointee.identity?._withUnsafeGuaranteedRef { pen.append(plain: $0.accessMemberBytes) }
    }

    @inline(__always) private func appendRequest(_ exchange: ExchangePointer, _ pen: inout LinePen) {
        if let operation = exchange.pointee.facts {
            pen.append(",\"operation\":\"")
            pen.append(plain: operation.pointee.idBytes)
            pen.append("\"")
            if exchange.pointee.action >= 0, let action = action(of: exchange) {
                pen.append(",\"action\":\"")
                pen.append(escaped: action.key)
                pen.append("\"")
            }
        }
        if exchange.pointee.head.byteCount > 0 {
            pen.append(",\"method\":\"")
            pen.append(escaped: exchange.pointee.headBytes.view(exchange.pointee.head.methodName))
            pen.append("\",\"target\":\"")
            appendTarget(exchange, &pen)
            pen.append("\"")
        }
        if exchange.pointee.head.version == .http2 { pen.append(",\"protocol\":\"HTTP/2\"") }
    }

    @inline(__always) private func appendAnswer(_ exchange: ExchangePointer, _ pen: inout LinePen) {
        pen.append(",\"status\":")
        pen.append(UInt64(exchange.pointee.status))
        pen.append(",\"request_bytes\":")
        pen.append(exchange.pointee.requestContentByteCount)
        pen.append(",\"response_bytes\":")
        pen.append(exchange.pointee.responseByteCount)
        if exchange.pointee.cacheVerdict != .none {
            pen.append(",\"cache\":\"")
            pen.append(oneOf: exchange.pointee.cacheVerdict.name)
            pen.append("\"")
            if exchange.pointee.isCollapsed { pen.append(",\"collapsed\":true") }
        }
        if isTranslated(exchange) { pen.append(",\"translated\":true") }
        if exchange.pointee.failure != .none {
            pen.append(",\"error\":\"")
            pen.append(oneOf: exchange.pointee.failure.error)
            pen.append("\"")
        }
        if exchange.pointee.charges.count > 0 { appendLimits(exchange, &pen) }
        if exchange.pointee.reportedStatus > 0 {
            pen.append(",\"would_refuse\":")
            pen.append(UInt64(exchange.pointee.reportedStatus))
        }
        if let endpoint = exchange.pointee.endpoint {
            pen.append(",\"upstream\":\"")
            endpoint._withUnsafeGuaranteedRef { pen.append(escaped: $0.url.bytes) }
            pen.append("\"")
        }
    }

    /// What the limits say of themselves; where none refused, which is nearly always, that is nothing.
    @inline(__always) private func appendLimits(_ exchange: ExchangePointer, _ pen: inout LinePen) {
        var hasRefused = exchange.pointee.limitedBy >= 0
        for index in 0..<exchange.pointee.charges.count
        where exchange.pointee.charges[index].state == .refused {
            hasRefused = true
        }
        guard hasRefused else { return }
        line.removeAll()
        appendLimits(exchange, to: &line)
        pen.append(plain: line.readable)
    }

    @inline(__always)
    private func appendDurations(_ exchange: ExchangePointer, _ total: UInt64, _ pen: inout LinePen) {
        pen.append(",\"microseconds\":{\"total\":")
        pen.append(total)
        let (forwardedAt, answeredAt) = (exchange.pointee.forwardedAt, exchange.pointee.responseHeadAt)
        guard forwardedAt > 0 else { return }
        pen.append(",\"before_forward\":")
        pen.append((forwardedAt &- exchange.pointee.startedAt) / 1_000)
        guard answeredAt > 0 else { return }
        pen.append(",\"upstream_head\":")
        pen.append((answeredAt &- forwardedAt) / 1_000)
        pen.append(",\"deliver\":")
        pen.append((now &- answeredAt) / 1_000)
    }

    /// The target within its limit, with secrets hidden as the trail hides them.
    private func appendTarget(_ exchange: ExchangePointer, _ pen: inout LinePen) {
        guard mayHoldSecrets(exchange) else {
            let whole = exchange.pointee.headBytes.view(exchange.pointee.head.target.whole)
            return pen.append(escaped: whole.view(0, min(Self.maxTargetByteCount, whole.count)))
        }
        // A line may be written while an answer is, parts of which stand in `key`.
        swap(&key, &auditKey)
        defer { swap(&key, &auditKey) }
        var room = Self.maxTargetByteCount
        func append(_ run: ByteView) {
            let count = min(room, run.count)
            pen.append(escaped: run.view(0, count))
            room -= count
        }
        let target = exchange.pointee.head.target
        if target.form == .absolute {
            append(
                exchange.pointee.headBytes.view(target.whole.lower, target.path.lower - target.whole.lower))
        }
        forEachRun(ofTargetOf: exchange, append)
    }

    private static var maxTargetByteCount: Int { 2_048 }

    /// Whether a secret may stand in the target; for nearly all of them one look tells that there is none.
    @inline(__always) private func mayHoldSecrets(_ exchange: ExchangePointer) -> Bool {
        let target = exchange.pointee.head.target.whole
        return exchange.pointee.facts.map { $0.pointee.secretParameters != 0 } ?? false
            || SecretNames.mayOccur(inTarget: exchange.pointee.headBytes.view(target))
    }

    /// The action in the content, where that was read so far and the operation has one of that name.
    private func action(of exchange: ExchangePointer) -> ActionFacts? {
        guard exchange.pointee.action >= 0, let table = table(of: exchange) else { return nil }
        return table.action(exchange.pointee.action)
    }
}
