public import Bytes
internal import HTTP

extension OperationTable {
    /// Tells whether the operation, and the action where there is one, exists at a microversion.
    ///
    /// - Shape: `/v2` is always 2.1.
    /// - Errors: 404 in the words of a missing resource, which is what Nova says of both.
    /// - Source: Nova asks this after the path's project and before its schemas.
    public func validateExistence(
        operation: Int, action: Int?, version: APIVersion, microversion: Microversion, message: inout Buffer
    ) -> RuleVerdict {
        guard version != .none else { return .valid }
        let effective = version == .v2 ? Microversion.base : microversion
        var exists = lend(operation).pointee.covers(effective)
        if let action {
            let facts = actions + action
            exists =
                exists && effective >= facts.pointee.minimum && effective <= facts.pointee.maximum
        }
        if exists { return .valid }
        message.append(Messages.notFound)
        return .refused(status: 404)
    }

    /// Refuses what newer releases of Nova no longer have, in the status and words of the definition.
    ///
    /// - Source: such methods of Nova's look at nothing but their schemas.
    public func validateNotEnded(operation: Int, action: Int?, message: inout Buffer) -> RuleVerdict {
        guard let ended = action.flatMap({ (actions + $0).pointee.ended }) ?? lend(operation).pointee.ended
        else { return .valid }
        if ended.message.isEmpty {
            message.append(Messages.standard(forStatus: ended.status))
        } else {
            message.append(view(ended.message))
        }
        return .refused(status: ended.status)
    }

    /// Tells whether a Content-Type is one that the API reads; a field that is absent or empty passes.
    ///
    /// - Source: Nova asks this of every method, GET too, and looks at the part before the first semicolon only.
    public func accepts(mediaType: ByteView?) -> Bool {
        guard let mediaType else { return true }
        var end = 0
        while end < mediaType.count, mediaType[end] != 0x3B { end += 1 }
        let essence = mediaType.view(0, end).trimmed()
        if essence.isEmpty { return true }
        for index in 0..<mediaTypeCount where essence.equalsIgnoringCase(view(mediaTypes[index])) {
            return true
        }
        return false
    }

    /// Checks collected content: media type, JSON syntax, and which action it names.
    ///
    /// - Shape: `content` is the whole content, empty for none. Only POST and PUT have content that Nova reads.
    /// - Limits: content too deep for `JSONTape` passes, for Nova to answer. `scratch` needs room for the longest key.
    /// - Errors: 415; 400 for what is no JSON, for an action body without exactly one key and for an unknown action;
    ///   404 for an action body that is no object but counts one, as Nova has it.
    /// - Source: Nova's `Resource` and `action_peek`; facts §2.1, §3.1 (action-*, post-*).
    public func validateContent(
        operation: Int, mediaType: ByteView?, content: ByteView, tape: inout JSONTape, scratch: inout Buffer,
        message: inout Buffer
    ) -> ContentVerdict {
        guard accepts(mediaType: mediaType) else {
            message.append(Messages.unsupportedContentType)
            return .refused(status: 415)
        }
        let facts = lend(operation)
        guard facts.pointee.method == .post || facts.pointee.method == .put else {
            return .valid(actionKey: nil, action: nil)
        }
        if content.isEmpty, !facts.pointee.hasActions { return .valid(actionKey: nil, action: nil) }
        switch tape.read(content) {
        case .malformed: return malformed(&message)
        case .tooDeep: return .valid(actionKey: nil, action: nil)
        case .whole: break
        }
        guard facts.pointee.hasActions else { return .valid(actionKey: nil, action: nil) }
        let top = tape.nodes[0]
        switch top.kind {
        case .integer, .float, .yes, .no, .null, .key: return noSuchResource(&message)
        case .string:
            scratch.removeAll()
            JSONScanner.appendUnescaped(content.view(top.range), to: &scratch)
            return Self.scalarCount(scratch.readable) == 1 ? noSuchResource(&message) : malformed(&message)
        case .array: return top.childCount == 1 ? noSuchResource(&message) : malformed(&message)
        case .object: return action(of: facts, content, tape, &scratch, &message)
        }
    }

    /// The action that the only key of an object names; equal keys count once, since they are one in Nova's dictionary.
    private func action(
        of operation: UnsafePointer<OperationFacts>, _ content: ByteView, _ tape: borrowing JSONTape,
        _ scratch: inout Buffer,
        _ message: inout Buffer
    ) -> ContentVerdict {
        let top = tape.nodes[0]
        guard top.childCount > 0 else { return malformed(&message) }
        let first = tape.nodes[1].range
        var key = 1
        while key < Int(top.next) {
            guard content.view(tape.nodes[key].range).equals(content.view(first)) else {
                return malformed(&message)
            }
            key = Int(tape.nodes[key + 1].next)
        }
        scratch.removeAll()
        JSONScanner.appendUnescaped(content.view(first), to: &scratch)
        let name = scratch.readable
        let places = operation.pointee.firstAction
        for index in places..<places + operation.pointee.actionCount
        where actions[index].key.equals(name) {
            return .valid(actionKey: first, action: index)
        }
        Messages.appendUnknownAction(name, to: &message)
        return .refused(status: 400)
    }

    /// Checks content against the schema of its operation or action at a microversion.
    ///
    /// - Shape: `content` passed `validateContent`; empty content is nothing, which Nova's schemas see as `None`. Under
    ///   `/v2` the schemas of version 2.0 count, and further properties are dropped.
    /// - Limits: what takes too long to check, and a message over 16 KiB, are left to Nova.
    /// - Errors: 400 in the words of Nova's validator.
    /// - Source: `nova.api.validation`; facts §3.1.
    public func validateSchema(
        operation: Int, action: Int?, version: APIVersion, microversion: Microversion, content: ByteView,
        tape: inout JSONTape, scratch: inout Buffer, message: inout Buffer
    ) -> RuleVerdict {
        let root = action.map { (actions + $0).pointee.schema } ?? lend(operation).pointee.schema
        guard root >= 0 else { return .valid }
        if content.isEmpty {
            tape.readNothing()
        } else if tape.read(content) != .whole {
            return .valid
        }
        let effective = version == .v2 ? Microversion(major: 2, minor: 0) : microversion
        var check = SchemaCheck(
            schemas, content: content, nodes: tape.nodes, version: effective, isSoft: version == .v2)
        let schema = check.resolve(root)
        guard schema >= 0, !check.check(schema, 0, .root, &scratch) else { return .valid }
        guard check.appendWords(&scratch, to: &message) else {
            message.removeAll()
            return .valid
        }
        return .refused(status: 400)
    }

    @inline(never) private func malformed(_ message: inout Buffer) -> ContentVerdict {
        message.append(Messages.malformedContent)
        return .refused(status: 400)
    }

    @inline(never) private func noSuchResource(_ message: inout Buffer) -> ContentVerdict {
        message.append(Messages.notFound)
        return .refused(status: 404)
    }

    private static func scalarCount(_ text: ByteView) -> Int {
        var count = 0
        for byte in text where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }
}
