internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Appends the path and the query as the client sent them, secrets in them hidden.
    ///
    /// An authority that stands before them is left out: CADF has a place for a path.
    func appendAuditPath(_ exchange: ExchangePointer, _ cuts: inout AuditCuts, to buffer: inout Buffer) {
        buffer.append(",\"requestPath\":\"")
        let target = exchange.pointee.head.target
        scratch.removeAll()
        if target.form != .asterisk, target.path.isEmpty { scratch.append("/") }
        forEachRun(ofTargetOf: exchange) { scratch.append($0) }
        if !buffer.appendAuditText(scratch.readable, atMost: AuditBound.requestPath) {
            cuts.insert(.requestPath)
        }
        buffer.append("\"")
    }

    /// Lends the path and the query as the client sent them, in runs of bytes; a secret in them is a run `***` of its own.
    ///
    /// - Shape: secret are parameters of the path that the definition calls so, the segment behind one that has the name of
    ///   a secret (`os-console-auth-tokens`), and the values of parameters of the query with such names. Uses `key`.
    func forEachRun(ofTargetOf exchange: ExchangePointer, _ body: (ByteView) -> Void) {
        let bytes = exchange.pointee.headBytes
        let target = exchange.pointee.head.target
        lendPath(
            exchange, target.form == .asterisk ? bytes.view(target.whole) : bytes.view(target.path), body)
        guard target.hasQuery else { return }
        body(Self.view("?"))
        lendQuery(bytes.view(target.query), body)
    }

    private func lendPath(_ exchange: ExchangePointer, _ path: ByteView, _ body: (ByteView) -> Void) {
        let secrets = operation(of: exchange)?.secretParameters ?? 0
        var isSecret = false
        var lent = 0
        var index = 0
        while index < path.count {
            guard path[index] != 0x2F else {
                index += 1
                continue
            }
            let start = index
            while index < path.count, path[index] != 0x2F { index += 1 }
            for place in 0..<exchange.pointee.route.parameterCount
            where secrets & 1 << UInt8(place) != 0 && exchange.pointee.route.parameters[place].lower == start
            {
                isSecret = true
            }
            if isSecret {
                body(path.view(lent, start - lent))
                body(Self.view("***"))
                lent = index
            }
            isSecret = !isSecret && isSecretName(path.view(start, index - start))
        }
        body(path.view(lent, path.count - lent))
    }

    private func lendQuery(_ query: ByteView, _ body: (ByteView) -> Void) {
        var reader = QueryReader(query)
        var lent = 0
        while let pair = reader.next() {
            guard pair.value.count > 0, isSecretName(query.view(pair.name)) else { continue }
            body(query.view(lent, pair.value.lower - lent))
            body(Self.view("***"))
            lent = pair.value.upper
        }
        body(query.view(lent, query.count - lent))
    }

    /// Whether a name, percent-encoded perhaps, is one of a secret; what separates words in it does not matter.
    private func isSecretName(_ name: ByteView) -> Bool {
        guard name.contains(0x25) else { return SecretNames.contains(name) }
        key.removeAll()
        PercentCoding.decode(name, plusIsSpace: false, into: &key)
        return SecretNames.contains(key.readable)
    }

    private static func view(_ text: StaticString) -> ByteView {
        ByteView(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// Appends the request's content as an attachment, its secrets hidden; or, where it cannot be copied so, its size and a
    /// digest of it; or, where it is passed on as it comes, that it is. Answers how many secrets were hidden; nil where there
    /// was none to hide, or no content.
    ///
    /// - Shape: `content` is the JSON value itself. A content that was not read, or not whole, has no attachment.
    func appendAuditContent(
        _ exchange: ExchangePointer, _ table: AuditTable, _ rule: AuditRule, to buffer: inout Buffer
    ) -> Int? {
        if exchange.pointee.isStreamed {
            // What was sent on so far, which an attempt does not know yet.
            let count = exchange.pointee.requestContentByteCount
            appendAuditDigest(nil, count > 0 ? Int(count) : nil, "streamed", to: &buffer)
            return nil
        }
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
        appendAuditDigest(content, content.count, outcome.reason, to: &buffer)
        return nil
    }

    /// Appends what stands in place of a content: its size and a keyed digest, as far as they are known, and why.
    private func appendAuditDigest(
        _ content: ByteView?, _ byteCount: Int?, _ reason: StaticString, to buffer: inout Buffer
    ) {
        buffer.append(",\"attachments\":[{\"typeURI\":\"mime:application/json\",\"name\":\"request-digest\"")
        buffer.append(",\"content\":{")
        if let byteCount {
            buffer.append("\"byteCount\":")
            buffer.appendDecimal(byteCount)
            buffer.append(",")
        }
        if let content, let digester = auditDigester {
            buffer.append("\"digest\":\"")
            digester.append(content, digitCount: 64, to: &buffer)
            buffer.append("\",")
        }
        buffer.append("\"reason\":\"")
        buffer.append(reason)
        buffer.append("\"}}]")
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

extension Exchange {
    /// Whether the request has content that is, or was, passed on as it comes: it never was here as a whole.
    fileprivate var isStreamed: Bool {
        forwardedAt > 0 && !isCollected && (requestContentByteCount > 0 || !contentComplete)
    }
}
