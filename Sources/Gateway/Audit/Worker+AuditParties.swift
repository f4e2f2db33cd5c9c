internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

extension Worker {
    /// Appends who asks: the user that the token stands for, from where, and by what right.
    func appendAuditInitiator(_ exchange: ExchangePointer, _ cuts: inout AuditCuts, to buffer: inout Buffer) {
        buffer.append(",\"initiator\":{\"typeURI\":\"service/security/account/user\",\"id\":\"")
        if let identity = exchange.pointee.identity {
            identity._withUnsafeGuaranteedRef { append($0, &cuts, to: &buffer) }
        } else {
            buffer.append("unknown\"")
        }
        buffer.append(",\"host\":{\"address\":\"")
        exchange.pointee.client.append(to: &buffer)
        buffer.append("\"")
        let bytes = exchange.pointee.headBytes
        let hasHead = exchange.pointee.head.byteCount > 0
        if hasHead, let agent = exchange.pointee.head.fields.find(.userAgent) {
            buffer.appendAuditMember(
                ",\"agent\":\"", bytes.view(agent), atMost: AuditBound.agent, .agent, &cuts)
        }
        buffer.append("},\"request_id\":\"")
        exchange.pointee.requestID.append(to: &buffer)
        buffer.append("\"")
        if hasHead, let range = exchange.pointee.head.fields.find(.xOpenStackRequestID),
            RequestID.isValid(bytes.view(range))
        {
            buffer.append(",\"global_request_id\":\"")
            buffer.append(bytes.view(range))
            buffer.append("\"")
        }
        if hasHead { appendAuditCredential(exchange, &cuts, to: &buffer) }
        if let service = exchange.pointee.service {
            service._withUnsafeGuaranteedRef { service in
                buffer.append(",\"service\":{\"id\":\"")
                append(service.userIDBytes, AuditBound.id, .ids, &cuts, to: &buffer)
                buffer.append("\"")
                buffer.appendAuditMember(
                    ",\"name\":\"", service.userName, atMost: AuditBound.name, .names, &cuts)
                buffer.append("}")
            }
        }
        if let certificate = downstreams.find(exchange.pointee.downstream)?.pointee.certificate {
            buffer.append(",\"certificate\":{\"subject\":\"")
            append(certificate.subject.bytes, AuditBound.certificate, .certificate, &cuts, to: &buffer)
            buffer.append("\",\"sha256\":\"")
            buffer.append(certificate.fingerprint.bytes)
            buffer.append("\"}")
        }
        buffer.append("}")
    }

    private func append(
        _ text: ByteView, _ limit: Int, _ kind: AuditCuts, _ cuts: inout AuditCuts, to buffer: inout Buffer
    ) {
        if !buffer.appendAuditText(text, atMost: limit) { cuts.insert(kind) }
    }

    /// Appends the id of a party; CADF keeps two words for itself, which are written as references then.
    private func appendID(_ text: ByteView, _ cuts: inout AuditCuts, to buffer: inout Buffer) {
        if text.equals("target") || text.equals("initiator") { buffer.append("./") }
        append(text, AuditBound.id, .ids, &cuts, to: &buffer)
    }

    /// Appends a user's id with the quote that ends it, and the members that say more.
    private func append(_ identity: Identity, _ cuts: inout AuditCuts, to buffer: inout Buffer) {
        appendID(identity.userIDBytes, &cuts, to: &buffer)
        buffer.append("\"")
        buffer.appendAuditMember(",\"name\":\"", identity.userName, atMost: AuditBound.name, .names, &cuts)
        buffer.appendAuditMember(
            ",\"domain\":\"", identity.userDomainName, atMost: AuditBound.name, .names, &cuts)
        buffer.appendAuditMember(
            ",\"domain_id\":\"", identity.userDomainID, atMost: AuditBound.id, .ids, &cuts)
        buffer.appendAuditMember(
            ",\"project_id\":\"", identity.projectID, atMost: AuditBound.id, .ids, &cuts)
        // The scope of a token that is of no project.
        buffer.appendAuditMember(
            ",\"scope_domain_id\":\"", identity.domainID, atMost: AuditBound.id, .ids, &cuts)
        if identity.isOfSystem { buffer.append(",\"system_scope\":\"all\"") }
        identity.rolesText.withUnsafeBufferPointer { appendAuditRoles($0, &cuts, to: &buffer) }
    }

    /// Appends the roles, which come joined by commas, as many whole ones as have room.
    private func appendAuditRoles(_ roles: ByteView, _ cuts: inout AuditCuts, to buffer: inout Buffer) {
        guard !roles.isEmpty else { return }
        buffer.append(",\"roles\":[")
        let began = buffer.end
        var start = 0
        while start < roles.count {
            var end = start
            while end < roles.count, roles[end] != 0x2C { end += 1 }
            let before = buffer.end
            buffer.append(before > began ? ",\"" : "\"")
            let isWhole = buffer.appendAuditText(roles.view(start, end - start), atMost: AuditBound.name)
            buffer.append("\"")
            if buffer.end - began > AuditBound.roles || !isWhole {
                buffer.end = before
                cuts.insert(.roles)
                if isWhole { break }
            }
            start = end + 1
        }
        buffer.append("]")
    }

    /// Appends by what the initiator proved who he is; the token is only named.
    private func appendAuditCredential(
        _ exchange: ExchangePointer, _ cuts: inout AuditCuts, to buffer: inout Buffer
    ) {
        guard let digester = auditDigester, let token = userToken(exchange) else { return }
        buffer.append(",\"credential\":{\"type\":\"token\",\"token\":\"")
        digester.append(token, digitCount: 32, to: &buffer)
        buffer.append("\"")
        if let identity = exchange.pointee.identity {
            identity._withUnsafeGuaranteedRef { identity in
                buffer.append(",\"identity_status\":\"Confirmed\"")
                if let origin = identity.origin { append(origin, &cuts, to: &buffer) }
            }
        }
        buffer.append("}")
    }

    private func append(_ origin: TokenOrigin, _ cuts: inout AuditCuts, to buffer: inout Buffer) {
        buffer.appendAuditMember(
            ",\"methods\":\"", origin.methods, atMost: AuditBound.id, .ids, &cuts)
        buffer.appendAuditMember(
            ",\"audit_id\":\"", origin.auditID, atMost: AuditBound.id, .ids, &cuts)
        if !origin.applicationCredentialID.isEmpty {
            buffer.append(",\"application_credential\":{\"id\":\"")
            origin.applicationCredentialID.withUnsafeBufferPointer {
                append($0, AuditBound.id, .ids, &cuts, to: &buffer)
            }
            buffer.append("\"")
            buffer.appendAuditMember(
                ",\"name\":\"", origin.applicationCredentialName, atMost: AuditBound.name, .names, &cuts)
            buffer.append("}")
        }
        if !origin.trustID.isEmpty {
            buffer.append(",\"trust\":{\"id\":\"")
            origin.trustID.withUnsafeBufferPointer { append($0, AuditBound.id, .ids, &cuts, to: &buffer) }
            buffer.append("\"")
            buffer.appendAuditMember(
                ",\"trustee_id\":\"", origin.trusteeUserID, atMost: AuditBound.id, .ids, &cuts)
            buffer.append("}")
        }
        buffer.appendAuditMember(
            ",\"identity_provider\":\"", origin.identityProvider, atMost: AuditBound.id, .ids, &cuts)
    }

    // MARK: - The target

    /// Appends what it is about.
    ///
    /// - Shape: `id` is the most that is known: what the path names, what the answer says was made, else what holds it, else
    ///   `unknown`. `parent_id` is that of the server, flavor or image that the target is part of. `project_id` is the path's
    ///   project, else the token's.
    func appendAuditTarget(
        _ exchange: ExchangePointer, _ table: AuditTable, _ rule: AuditRule, _ cuts: inout AuditCuts,
        to buffer: inout Buffer
    ) {
        buffer.append(",\"target\":{\"typeURI\":\"")
        buffer.append(table.text(rule.typeURI))
        buffer.append("\",\"id\":\"")
        let parent = Int(rule.parentParameter)
        if rule.targetParameter >= 0 {
            appendAuditParameter(exchange, Int(rule.targetParameter), rule, &cuts, to: &buffer)
        } else if !exchange.pointee.auditNotes.targetID.isEmpty {
            exchange.pointee.auditNotes.targetID.withView { appendID($0, &cuts, to: &buffer) }
        } else if parent >= 0 {
            appendAuditParameter(exchange, parent, rule, &cuts, to: &buffer)
        } else {
            buffer.append("unknown")
        }
        buffer.append("\"")
        if parent >= 0 {
            buffer.append(",\"parent_id\":\"")
            appendAuditParameter(exchange, parent, rule, &cuts, to: &buffer)
            buffer.append("\"")
        }
        if let range = exchange.pointee.route.project {
            buffer.append(",\"project_id\":\"")
            appendAuditSegment(exchange, range, &cuts, to: &buffer)
            buffer.append("\"")
        } else if let identity = exchange.pointee.identity {
            identity._withUnsafeGuaranteedRef {
                buffer.appendAuditMember(
                    ",\"project_id\":\"", $0.projectID, atMost: AuditBound.id, .ids, &cuts)
            }
        }
        buffer.append("}")
    }

    private func appendAuditParameter(
        _ exchange: ExchangePointer, _ place: Int, _ rule: AuditRule, _ cuts: inout AuditCuts,
        to buffer: inout Buffer
    ) {
        guard rule.secretParameters & 1 << UInt8(place) == 0 else { return buffer.append("***") }
        guard place < exchange.pointee.route.parameterCount else { return buffer.append("unknown") }
        appendAuditSegment(exchange, exchange.pointee.route.parameters[place], &cuts, to: &buffer)
    }

    /// Appends a segment of the path, decoded; `range` counts from the path's first byte.
    private func appendAuditSegment(
        _ exchange: ExchangePointer, _ range: ByteRange, _ cuts: inout AuditCuts, to buffer: inout Buffer
    ) {
        scratch.removeAll()
        let path = exchange.pointee.headBytes.view(exchange.pointee.head.target.path)
        PercentCoding.decode(path.view(range), plusIsSpace: false, into: &scratch)
        appendID(scratch.readable, &cuts, to: &buffer)
    }
}
