internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Validate: everything Nova would refuse from the request alone, in Nova's order (facts §3.1).
    ///
    /// Route, method, microversion, content type, content, the path's project, existence at the microversion, content and
    /// query by their schemas, what has ended, ids. It may wait once, for content. The route and the project are looked
    /// at in every mode of validation, the rest is as the mode says.
    func validate(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.validationStep == 0 {
            if let verdict = validateRoute(exchange) { return verdict }
            exchange.pointee.validationStep = 1
        }
        guard let operation = exchange.pointee.facts, let site = exchange.pointee.site else {
            return fail(exchange, .routeUnknown)
        }
        if !exchange.pointee.contentComplete, operation.pointee.content != .streamed {
            exchange.pointee.isCollected = true
            let limit = operation.pointee.maxContentByteCount
            if let verdict = collectContent(exchange, limit: limit) { return verdict }
        }
        // The exchange holds its configuration, and with that the table: no reference is counted here.
        return site._withUnsafeGuaranteedRef { site in
            if exchange.pointee.validationStep == 1 {
                exchange.pointee.validationStep = 2
                if let verdict = validateContent(exchange, site.table) { return verdict }
            }
            if let verdict = validateProject(exchange) { return verdict }
            return validateRules(exchange, site.table) ?? .next
        }
    }

    private func validateRoute(_ exchange: ExchangePointer) -> Verdict? {
        switch exchange.pointee.route.outcome {
        case .operation: break
        case .methodNotAllowed(let allow):
            exchange.pointee.reply.allowIndex = allow
            return fail(exchange, .methodNotAllowed)
        case .unknown: return fail(exchange, .routeUnknown)
        }
        return validateVersion(exchange)
    }

    private func validateVersion(_ exchange: ExchangePointer) -> Verdict? {
        guard exchange.pointee.route.version == .v21 else { return nil }
        guard let site = exchange.pointee.site else { return fail(exchange, .internalError) }
        return site._withUnsafeGuaranteedRef { validateVersion(exchange, $0.table) }
    }

    private func validateVersion(_ exchange: ExchangePointer, _ table: OperationTable) -> Verdict? {
        let bytes = exchange.pointee.headBytes
        exchange.pointee.microversion = MicroversionRequest.read(
            exchange.pointee.head.fields, in: bytes, minimum: table.minimum, maximum: table.maximum)
        message.removeAll()
        switch exchange.pointee.microversion {
        case .absent, .version, .latest:
            exchange.pointee.versionIsKnown = true
            return nil
        case .malformed(let range):
            guard rulesCount(exchange) else { return nil }
            Messages.appendMalformedVersion(bytes.view(range), to: &message)
            return refuseByRule(exchange, .microversionInvalid, status: 400)
        case .outOfRange(let range):
            // Nova repeats the asked version in this one answer.
            exchange.pointee.versionIsKnown = true
            guard rulesCount(exchange) else { return nil }
            Messages.appendVersionOutOfRange(
                bytes.view(range), minimum: table.minimum, maximum: table.maximum, to: &message)
            return refuseByRule(exchange, .microversionInvalid, status: 406)
        }
    }

    private func validateContent(_ exchange: ExchangePointer, _ table: OperationTable) -> Verdict? {
        guard rulesCount(exchange) else {
            // Records name it all the same.
            if audit != nil || accessLog != nil { readAction(exchange, table) }
            return nil
        }
        let bytes = exchange.pointee.headBytes
        let type = exchange.pointee.head.fields.find(.contentType).map { bytes.view($0) }
        message.removeAll()
        let verdict = table.validateContent(
            operation: exchange.pointee.operation, mediaType: type,
            content: exchange.pointee.content.readable, tape: &tape, scratch: &scratch, message: &message)
        switch verdict {
        case .valid(_, let action):
            exchange.pointee.action = action ?? -1
            return nil
        case .refused(let status):
            let failure = status == 415 ? Failure.mediaTypeUnsupported : .contentMalformed
            return refuseByRule(exchange, failure, status: status)
        }
    }

    /// Keeps the action that collected content names, whatever else may be wrong with the content.
    func readAction(_ exchange: ExchangePointer, _ table: OperationTable) {
        guard exchange.pointee.action < 0, exchange.pointee.contentComplete,
            table[exchange.pointee.operation].hasActions
        else { return }
        message.removeAll()
        if case .valid(_, let action?) = table.validateContent(
            operation: exchange.pointee.operation, mediaType: nil, content: exchange.pointee.content.readable,
            tape: &tape, scratch: &scratch, message: &message)
        {
            exchange.pointee.action = action
        }
    }

    /// The path's project against the token's; without an identity the upstream compares them itself.
    private func validateProject(_ exchange: ExchangePointer) -> Verdict? {
        // The route's ranges count from the path's first byte.
        guard let range = exchange.pointee.route.project, let identity = exchange.pointee.identity else {
            return nil
        }
        scratch.removeAll()
        // Nova compares after percent-decoding.
        _ = PercentCoding.decode(
            exchange.pointee.headBytes.view(exchange.pointee.head.target.path).view(range),
            plusIsSpace: false, into: &scratch)
        let isOwn = identity._withUnsafeGuaranteedRef { identity in
            scratch.readable.equals(identity.projectIDBytes)
        }
        guard !isOwn else { return nil }
        let found = lookUpProject(scratch.readable, exchange)
        if let verdict = found.wait { return verdict }
        exchange.pointee.failure = .projectMismatch
        // The document tells a project that does not exist from one that is another's; Nova does not.
        if found.exists == false { return fail(exchange, .projectUnknown) }
        message.removeAll()
        identity._withUnsafeGuaranteedRef { identity in
            Messages.appendProjectMismatch(
                path: scratch.readable, token: identity.projectIDBytes, to: &message)
        }
        return refuse(exchange, status: 400)
    }

    /// Everything that the definition's rules say, in Nova's order; nil when nothing is refused.
    private func validateRules(_ exchange: ExchangePointer, _ table: OperationTable) -> Verdict? {
        guard rulesCount(exchange) else { return nil }
        let action = exchange.pointee.action >= 0 ? exchange.pointee.action : nil
        message.removeAll()
        if case .refused(let status) = table.validateExistence(
            operation: exchange.pointee.operation, action: action, version: exchange.pointee.route.version,
            microversion: judgedVersion(exchange, table), message: &message)
        {
            return refuseByRule(exchange, .routeUnknown, status: status)
        }
        // What is passed on as it comes is nobody's to look at here.
        if exchange.pointee.contentComplete,
            case .refused(let status) = table.validateSchema(
                operation: exchange.pointee.operation, action: action,
                version: exchange.pointee.route.version,
                microversion: judgedVersion(exchange, table), content: exchange.pointee.content.readable,
                tape: &tape,
                scratch: &scratch, message: &message)
        {
            return refuseByRule(exchange, .contentInvalid, status: status)
        }
        if let status = refusedQuery(exchange, table) {
            return refuseByRule(exchange, .parameterInvalid, status: status)
        }
        // What is translated has not ended for the clients of this house.
        if !translates(exchange),
            case .refused(let status) = table.validateNotEnded(
                operation: exchange.pointee.operation, action: action, message: &message)
        {
            return refuseByRule(exchange, .ended, status: status)
        }
        if case .refused(let status) = table.validatePath(
            exchange.pointee.headBytes.view(exchange.pointee.head.target.path), match: exchange.pointee.route,
            action: action, scratch: &scratch, message: &message)
        {
            return refuseByRule(exchange, .parameterInvalid, status: status)
        }
        return nil
    }

    /// The status that the query is refused with; nil, and what it asks for is kept, when it is valid.
    private func refusedQuery(_ exchange: ExchangePointer, _ table: OperationTable) -> Int? {
        guard exchange.pointee.head.target.hasQuery else { return nil }
        let verdict = table.validateQuery(
            exchange.pointee.headBytes.view(exchange.pointee.head.target.query),
            operation: exchange.pointee.operation, version: exchange.pointee.route.version,
            microversion: judgedVersion(exchange, table), caller: caller(exchange), scratch: &scratch,
            message: &message)
        switch verdict {
        case .valid(let facts):
            exchange.pointee.queryFacts = facts
            return nil
        case .refused(let status): return status
        }
    }

    private func caller(_ exchange: ExchangePointer) -> Caller {
        guard let identity = exchange.pointee.identity else { return .unknown }
        return identity._withUnsafeGuaranteedRef { $0.isAdmin } ? .administrator : .member
    }

    /// The microversion whose rules count; `latest` is the highest that the definition has.
    func judgedVersion(_ exchange: ExchangePointer, _ table: OperationTable) -> Microversion {
        switch exchange.pointee.microversion {
        case .version(let version): version
        case .latest: table.maximum
        case .absent, .malformed, .outOfRange: .base
        }
    }
}
