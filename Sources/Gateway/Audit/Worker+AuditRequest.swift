internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Appends the path and the query as the client sent them, secrets in them hidden.
    ///
    /// An authority that stands before them is left out, as it may hold a password.
    func appendAuditPath(
        _ exchange: ExchangePointer, _ rule: AuditRule, _ cuts: inout AuditCuts, to buffer: inout Buffer
    ) {
        buffer.append(",\"requestPath\":\"")
        let bytes = exchange.pointee.headBytes
        let target = exchange.pointee.head.target
        let path = target.form == .asterisk ? bytes.view(target.whole) : bytes.view(target.path)
        scratch.removeAll()
        if path.isEmpty { scratch.append("/") }
        appendAuditSegments(exchange, path, rule, to: &scratch)
        if target.hasQuery {
            scratch.append("?")
            appendAuditQuery(bytes.view(target.query), to: &scratch)
        }
        if !buffer.appendAuditText(scratch.readable, atMost: AuditBound.requestPath) {
            cuts.insert(.requestPath)
        }
        buffer.append("\"")
    }

    /// Appends a path with those segments hidden that are secrets: parameters of the operation that it names, and whatever
    /// stands behind a word for secrets, where it names none.
    private func appendAuditSegments(
        _ exchange: ExchangePointer, _ path: ByteView, _ rule: AuditRule, to output: inout Buffer
    ) {
        var isSecret = false
        var index = 0
        while index < path.count {
            if path[index] == 0x2F {
                output.append(0x2F)
                index += 1
                continue
            }
            let start = index
            while index < path.count, path[index] != 0x2F { index += 1 }
            let segment = path.view(start, index - start)
            for place in 0..<exchange.pointee.route.parameterCount
            where rule.secretParameters & 1 << UInt8(place) != 0
                && exchange.pointee.route.parameters[place].lower == start
            {
                isSecret = true
            }
            if isSecret { output.append("***") } else { output.append(segment) }
            key.removeAll()
            PercentCoding.decode(segment, plusIsSpace: false, into: &key)
            isSecret = !isSecret && SecretNames.contains(key.readable)
        }
    }

    /// Appends a query with the values of those parameters hidden whose names say that they are secrets.
    private func appendAuditQuery(_ query: ByteView, to output: inout Buffer) {
        var reader = QueryReader(query)
        var start = 0
        while let pair = reader.next() {
            key.removeAll()
            PercentCoding.decode(query.view(pair.name), plusIsSpace: true, into: &key)
            guard pair.value.count > 0, SecretNames.contains(key.readable) else { continue }
            output.append(query.view(start, pair.value.lower - start))
            output.append("***")
            start = pair.value.upper
        }
        output.append(query.view(start, query.count - start))
    }

    /// Appends the request's content as an attachment, its secrets hidden; or, where it cannot be copied so, its size and a
    /// digest of it. Answers how many secrets were hidden; nil where there was none to hide, or no content.
    ///
    /// - Shape: `content` is the JSON value itself. A content that was not read whole, or is streamed, has no attachment.
    func appendAuditContent(
        _ exchange: ExchangePointer, _ table: AuditTable, _ rule: AuditRule, to buffer: inout Buffer
    ) -> Int? {
        guard exchange.pointee.contentComplete, !exchange.pointee.content.isEmpty else { return nil }
        let content = exchange.pointee.content.all
        let opening: StaticString =
            ",\"attachments\":[{\"typeURI\":\"mime:application/json\",\"name\":\"request\",\"content\":"
        let start = buffer.end
        buffer.append(opening)
        let outcome = AuditRedaction.copy(
            content, hiding: table.secrets(of: rule), tape: &tape, scratch: &scratch, to: &buffer)
        if case .copied(let count) = outcome {
            buffer.append("}]")
            return count > 0 ? count : nil
        }
        buffer.end = start
        buffer.append(",\"attachments\":[{\"typeURI\":\"mime:application/json\",\"name\":\"request-digest\"")
        buffer.append(",\"content\":{\"byteCount\":")
        buffer.appendDecimal(content.count)
        if let digester = auditDigester {
            buffer.append(",\"digest\":\"")
            digester.append(content, digitCount: 64, to: &buffer)
            buffer.append("\"")
        }
        buffer.append(",\"reason\":\"")
        buffer.append(outcome.reason)
        buffer.append("\"}}]")
        return nil
    }
}

extension AuditRedaction.Outcome {
    /// Why a content is not recorded.
    var reason: StaticString {
        switch self {
        case .copied: ""
        case .malformed: "not_json"
        case .tooDeep: "too_deep"
        case .tooLong: "too_long"
        }
    }
}
