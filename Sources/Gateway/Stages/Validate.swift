internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Validate: everything Nova would refuse from the request alone, in Nova's order (facts §3.1).
    ///
    /// Route, method, microversion, content type, content, the path's project, ids, query. It may wait once, for content.
    func validate(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.validationStep == 0 {
            if let verdict = validateRoute(exchange) { return verdict }
            exchange.pointee.validationStep = 1
        }
        guard let operation = operation(of: exchange), let table = table(of: exchange) else {
            return fail(exchange, .routeUnknown)
        }
        if !exchange.pointee.contentComplete, operation.content != .streamed {
            exchange.pointee.isCollected = true
            let limit = operation.maxContentByteCount
            if let verdict = collectContent(exchange, limit: limit) { return verdict }
        }
        if exchange.pointee.validationStep == 1 {
            exchange.pointee.validationStep = 2
            if let verdict = validateContent(exchange, table) { return verdict }
        }
        if let verdict = validateProject(exchange) { return verdict }
        return validateParameters(exchange, table)
    }

    private func validateRoute(_ exchange: ExchangePointer) -> Verdict? {
        switch exchange.pointee.route.outcome {
        case .operation: break
        case .methodNotAllowed(let allow):
            exchange.pointee.reply.allowIndex = allow
            return fail(exchange, .methodNotAllowed)
        case .unknown: return fail(exchange, .routeUnknown)
        }
        if exchange.pointee.head.target.hasQuery {
            let query = exchange.pointee.headBytes.view(exchange.pointee.head.target.query)
            // Nova decodes the query before it looks at anything else of a routed request.
            guard OperationTable.isUTF8(query, scratch: &scratch) else {
                exchange.pointee.failure = .parameterInvalid
                message.removeAll()
                message.append(Messages.queryNotUTF8)
                return refuse(exchange, status: 400)
            }
        }
        guard exchange.pointee.route.version == .v21 else { return nil }
        guard let table = table(of: exchange) else { return fail(exchange, .internalError) }
        let bytes = exchange.pointee.headBytes
        exchange.pointee.microversion = MicroversionRequest.read(
            exchange.pointee.head.fields, in: bytes, minimum: table.minimum, maximum: table.maximum)
        message.removeAll()
        switch exchange.pointee.microversion {
        case .absent, .version, .latest: break
        case .malformed(let range):
            exchange.pointee.failure = .microversionInvalid
            Messages.appendMalformedVersion(bytes.view(range), to: &message)
            return refuse(exchange, status: 400)
        case .outOfRange(let range):
            exchange.pointee.failure = .microversionInvalid
            Messages.appendVersionOutOfRange(
                bytes.view(range), minimum: table.minimum, maximum: table.maximum, to: &message)
            // Nova repeats the asked version in this one answer.
            exchange.pointee.versionIsKnown = true
            return refuse(exchange, status: 406)
        }
        exchange.pointee.versionIsKnown = true
        return nil
    }

    private func validateContent(_ exchange: ExchangePointer, _ table: OperationTable) -> Verdict? {
        let bytes = exchange.pointee.headBytes
        let type = exchange.pointee.head.fields.find(.contentType).map { bytes.view($0) }
        message.removeAll()
        let verdict = table.validateContent(
            operation: exchange.pointee.operation, mediaType: type,
            content: exchange.pointee.content.readable,
            scratch: &scratch, message: &message)
        guard case .refused(let status) = verdict else { return nil }
        exchange.pointee.failure = status == 415 ? .mediaTypeUnsupported : .contentMalformed
        return refuse(exchange, status: status)
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
            identity.withProjectID { scratch.readable.equals($0) }
        }
        guard !isOwn else { return nil }
        let found = lookUpProject(scratch.readable, exchange)
        if let verdict = found.wait { return verdict }
        exchange.pointee.failure = .projectMismatch
        // The document tells a project that does not exist from one that is another's; Nova does not.
        if found.exists == false { return fail(exchange, .projectUnknown) }
        message.removeAll()
        identity._withUnsafeGuaranteedRef { identity in
            identity.withProjectID {
                Messages.appendProjectMismatch(path: scratch.readable, token: $0, to: &message)
            }
        }
        return refuse(exchange, status: 400)
    }

    private func validateParameters(_ exchange: ExchangePointer, _ table: OperationTable) -> Verdict {
        let bytes = exchange.pointee.headBytes
        message.removeAll()
        let path = table.validatePath(
            bytes.view(exchange.pointee.head.target.path), match: exchange.pointee.route, scratch: &scratch,
            message: &message)
        if case .refused(let status) = path {
            exchange.pointee.failure = .parameterInvalid
            return refuse(exchange, status: status)
        }
        guard exchange.pointee.head.target.hasQuery else { return .next }
        // Without an identity the upstream knows who asks; only what no role may ask is refused here.
        let isAdmin = exchange.pointee.identity.map { $0._withUnsafeGuaranteedRef { $0.isAdmin } } ?? true
        let verdict = table.validateQuery(
            bytes.view(exchange.pointee.head.target.query), operation: exchange.pointee.operation,
            version: exchange.pointee.route.version, microversion: judgedVersion(exchange, table),
            isAdmin: isAdmin,
            scratch: &scratch, message: &message)
        switch verdict {
        case .valid(let facts):
            exchange.pointee.queryFacts = facts
            return .next
        case .refused(let status):
            exchange.pointee.failure = .parameterInvalid
            return refuse(exchange, status: status)
        }
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
