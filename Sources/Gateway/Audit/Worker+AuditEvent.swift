internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

extension Worker {
    /// The most that an event takes, without and with a request's content.
    static var maxAuditEventByteCount: Int { 8_192 }
    static var maxAuditContentEventByteCount: Int { 65_536 }

    /// Where the 36 bytes of its id stand in an event, and the 32 of its time.
    static var auditEventIDOffset: Int { 88 }
    static var auditEventTimeOffset: Int { 139 }

    /// Appends the event of an exchange whose status stands in it, or whose client left before it had one; called again, the
    /// answer broke behind its head.
    func appendAuditEvent(_ exchange: ExchangePointer, to buffer: inout Buffer) {
        let isBroken = !exchange.pointee.auditNotes.eventID.isEmpty && !exchange.pointee.auditNotes.isAttempt
        var outcome = isBroken ? AuditOutcome.failure : AuditOutcome(status: exchange.pointee.status)
        // What became of it is the upstream's to know.
        if exchange.pointee.failure == .clientGone || exchange.pointee.failure == .writeTimeout {
            outcome = .unknown
        }
        appendAuditEvent(exchange, status: exchange.pointee.status, outcome: outcome, to: &buffer)
    }

    /// Appends the CADF event of an exchange, one JSON object without a line's end.
    ///
    /// - Shape: members in a fixed order, `gatehouse` the last and never empty, so that a fold appends its own before the
    ///   last two braces. Of an exchange's events each after the first names the one before it: as `attempt` where that was
    ///   `pending`, else as `amends`.
    /// - Limits: `maxAuditEventByteCount`, with content `maxAuditContentEventByteCount`; what is cut stands in
    ///   `gatehouse.cut`. An event is valid JSON whatever the client sent; too little room shows in `hasOverflowed`.
    /// - Parameter status: of the answer; 0 while there is none.
    /// - Source: DSP0262 (CADF 1.0.0), names as pycadf has them; facts §1.8.
    func appendAuditEvent(
        _ exchange: ExchangePointer, status: Int, outcome: AuditOutcome, to buffer: inout Buffer
    ) {
        let house = configuration(of: exchange)
        guard let table = house.auditTable, let rule = auditRule(of: exchange) else { return }
        var cuts: AuditCuts = []
        buffer.append("{\"typeURI\":\"http://schemas.dmtf.org/cloud/audit/1.0/event\"")
        buffer.append(",\"eventType\":\"activity\",\"id\":\"")
        let idStart = buffer.end
        UUIDForm.append(&random, to: &buffer)
        buffer.append("\",\"eventTime\":\"")
        appendAuditTime(to: &buffer)
        buffer.append("\",\"action\":\"")
        buffer.append(table.text(rule.action))
        buffer.append("\",\"outcome\":\"")
        buffer.append(outcome.name)
        buffer.append("\"")
        if status > 0 {
            buffer.append(",\"reason\":{\"reasonType\":\"HTTP\",\"reasonCode\":\"")
            buffer.appendDecimal(status)
            buffer.append("\"}")
        }
        appendAuditInitiator(exchange, &cuts, to: &buffer)
        appendAuditTarget(exchange, table, rule, &cuts, to: &buffer)
        buffer.append(",\"observer\":{\"typeURI\":\"service/compute/gateway\",\"id\":\"")
        _ = buffer.appendAuditText(house.via.bytes, atMost: AuditBound.id)
        buffer.append("\",\"name\":\"gatehouse\"}")
        if exchange.pointee.head.byteCount > 0 { appendAuditPath(exchange, &cuts, to: &buffer) }
        let redacted = rule.recordsContent ? appendAuditContent(exchange, table, rule, to: &buffer) : nil
        appendAuditFacts(exchange, table, rule, status, redacted, cuts, to: &buffer)
        guard !buffer.hasOverflowed else { return }
        exchange.pointee.auditNotes.eventID.take(buffer.all.view(idStart, 36))
        exchange.pointee.auditNotes.isAttempt = outcome == .pending
    }

    /// Appends this turn's time as `2026-09-01T10:00:00.123456+00:00`.
    func appendAuditTime(to buffer: inout Buffer) {
        buffer.append(timeText.readable)
        var rest = Int(wallNanoseconds) / 1_000
        var unit = 100_000
        while unit > 0 {
            buffer.append(UInt8(0x30 + rest / unit))
            rest %= unit
            unit /= 10
        }
        buffer.append("+00:00")
    }

    // MARK: - The house's own

    /// What CADF has no word for.
    private func appendAuditFacts(
        _ exchange: ExchangePointer, _ table: AuditTable, _ rule: AuditRule, _ status: Int, _ redacted: Int?,
        _ cuts: AuditCuts, to buffer: inout Buffer
    ) {
        var cuts = cuts
        buffer.append(",\"gatehouse\":{\"microseconds\":")
        // A second reading of the clock in this turn, as in Record: an answer made here lasts less than a turn.
        let ended = MonotonicClock.now()
        buffer.appendDecimal((ended &- min(ended, exchange.pointee.startedAt)) / 1_000)
        if exchange.pointee.head.byteCount > 0 {
            let method = exchange.pointee.headBytes.view(exchange.pointee.head.methodName)
            buffer.appendAuditMember(",\"method\":\"", method, atMost: 32, .ids, &cuts)
        }
        if !rule.operation.isEmpty {
            buffer.append(",\"operation\":\"")
            buffer.append(table.text(rule.operation))
            buffer.append("\"")
        }
        if status > 0 {
            buffer.append(",\"status\":")
            buffer.appendDecimal(status)
        }
        if exchange.pointee.cacheVerdict != .none {
            buffer.append(",\"cache\":\"")
            buffer.append(exchange.pointee.cacheVerdict.name)
            buffer.append(exchange.pointee.isCollapsed ? "\",\"collapsed\":true" : "\"")
        }
        appendAuditError(exchange, status, to: &buffer)
        if let endpoint = exchange.pointee.endpoint {
            endpoint._withUnsafeGuaranteedRef {
                buffer.appendAuditMember(
                    ",\"upstream\":\"", $0.url.bytes, atMost: AuditBound.name, .names, &cuts)
            }
        }
        if !rule.createdTypeURI.isEmpty, !exchange.pointee.auditNotes.targetID.isEmpty {
            buffer.append(",\"created\":{\"typeURI\":\"")
            buffer.append(table.text(rule.createdTypeURI))
            buffer.append("\"")
            exchange.pointee.auditNotes.targetID.withView {
                buffer.appendAuditMember(",\"id\":\"", $0, atMost: AuditBound.id, .ids, &cuts)
            }
            buffer.append("}")
        }
        exchange.pointee.auditNotes.requestID.withView {
            buffer.appendAuditMember(
                ",\"upstream_request_id\":\"", $0, atMost: AuditBound.id, .ids, &cuts)
        }
        exchange.pointee.auditNotes.eventID.withView {
            buffer.appendAuditMember(
                exchange.pointee.auditNotes.isAttempt ? ",\"attempt\":\"" : ",\"amends\":\"", $0,
                atMost: AuditBound.id, .ids, &cuts)
        }
        if let redacted {
            buffer.append(",\"redacted\":")
            buffer.appendDecimal(redacted)
        }
        if !cuts.isEmpty {
            buffer.append(",\"cut\":[")
            var isFirst = true
            for (cut, word) in AuditCuts.words where cuts.contains(cut) {
                buffer.append(isFirst ? "\"" : ",\"")
                buffer.append(word)
                buffer.append("\"")
                isFirst = false
            }
            buffer.append("]")
        }
        buffer.append("}}")
    }

    /// Why it went wrong, and who says so.
    private func appendAuditError(_ exchange: ExchangePointer, _ status: Int, to buffer: inout Buffer) {
        let failure = exchange.pointee.failure
        if failure != .none {
            buffer.append(",\"error\":\"")
            buffer.append(failure.error)
            buffer.append("\"")
        }
        if status >= 400, failure != .clientGone {
            // Only an answer made here is a fault of the exchange's reply; others came as they are, or from the store.
            let isOurs = exchange.pointee.reply.kind == .fault && exchange.pointee.reply.status > 0
            buffer.append(isOurs ? ",\"error_by\":\"gateway\"" : ",\"error_by\":\"upstream\"")
        } else if failure == .responseIncomplete || failure == .upstreamClosed
            || failure == .responseProgressTimeout
        {
            // Its head had gone out already.
            buffer.append(",\"error_by\":\"upstream\"")
        }
    }
}
