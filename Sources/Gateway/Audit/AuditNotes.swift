internal import Bytes
internal import HTTP
internal import OpenStack

/// What an exchange's events are made of besides the exchange itself: what its answer told, kept since the answer's own
/// bytes may be gone by then, and the event before.
struct AuditNotes {
    /// Nova's request id.
    var requestID = ShortText()
    /// What a creation made, or an action out of its target.
    var targetID = ShortText()
    /// The id of the event that was written of it, and whether that only said that it had begun.
    var eventID = ShortText()
    var isAttempt = false

    mutating func removeAll() {
        requestID.removeAll()
        targetID.removeAll()
        eventID.removeAll()
        isAttempt = false
    }
}

/// At most 128 bytes in place; a longer text is none, since half an id is another id.
struct ShortText {
    private var bytes: InlineArray<128, UInt8> = .init(repeating: 0)
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func removeAll() { count = 0 }

    mutating func take(_ text: ByteView) {
        guard text.count <= 128 else { return }
        for index in 0..<text.count { bytes[index] = text[index] }
        count = text.count
    }

    func withView<Result>(_ body: (ByteView) -> Result) -> Result {
        withUnsafeBytes(of: bytes) { body($0.bindMemory(to: UInt8.self).view(0, count)) }
    }
}

extension Worker {
    /// The most of an answer that is collected to find what it made.
    static var maxAuditAnswerByteCount: Int { 16_384 }

    /// What the trail keeps of an exchange; nil where there is no trail.
    func auditRule(of exchange: ExchangePointer) -> AuditRule? { lendAuditRule(of: exchange)?.pointee }

    /// Lends the same without a copy; valid as long as the exchange is.
    @inline(__always)
    func lendAuditRule(of exchange: ExchangePointer) -> UnsafePointer<AuditRule>? {
        withHouse(of: exchange) {
            $0.auditTable?.lend(
                api: exchange.pointee.api, operation: exchange.pointee.operation,
                action: exchange.pointee.action, method: exchange.pointee.head.method)
        }
    }

    /// Keeps what the head of an upstream's answer tells an event: Nova's request id and, of a creation, `Location`.
    func noteAnswerHead(_ exchange: ExchangePointer, _ head: borrowing ResponseHead, _ bytes: ByteView) {
        guard let rule = auditRule(of: exchange) else { return }
        exchange.pointee.auditNotes.requestID.removeAll()
        exchange.pointee.auditNotes.targetID.removeAll()
        if let range = head.fields.find(.xComputeRequestID) ?? head.fields.find(.xOpenStackRequestID) {
            exchange.pointee.auditNotes.requestID.take(bytes.view(range))
        }
        if rule.isCreation, 200..<300 ~= head.status, let range = head.fields.find(.location) {
            exchange.pointee.auditNotes.targetID.take(Self.lastSegment(bytes.view(range)))
        }
    }

    /// Tells whether the content of an answer names what was made, and its head does not: then it is collected, up to
    /// `maxAuditAnswerByteCount`, and given to `noteAnswerContent` before the event is written.
    func needsAnswerContent(_ exchange: ExchangePointer, _ head: borrowing ResponseHead) -> Bool {
        guard 200..<300 ~= head.status, exchange.pointee.auditNotes.targetID.isEmpty,
            let rule = auditRule(of: exchange), rule.isCreation, rule.record != .off
        else { return false }
        switch head.framing {
        case .none: return false
        case .length(let length): return length > 0 && length <= UInt64(Self.maxAuditAnswerByteCount)
        case .chunked, .untilClose: return true
        }
    }

    /// Keeps what a creation's answer names as made; `head` and `bytes` are the answer's.
    ///
    /// - Source: compute API: one object within the top one, whose member `AuditRule.idName` is a text or a number; or, of
    ///   what an action makes out of its target, the top one.
    func noteAnswerContent(
        _ exchange: ExchangePointer, _ content: ByteView, _ head: borrowing ResponseHead, _ bytes: ByteView
    ) {
        guard let rule = auditRule(of: exchange), rule.isCreation, 200..<300 ~= head.status,
            let table = configuration(of: exchange).auditTable
        else { return }
        let name = table.text(rule.idName)
        let isAtTop = !rule.createdTypeURI.isEmpty
        guard let field = head.fields.find(.contentEncoding), bytes.view(field).count > 0 else {
            return noteAnswerContent(exchange, content, name, isAtTop)
        }
        guard let coding = ContentCoding.find(bytes.view(field)),
            let plain = try? ContentCoder.decode(content, as: coding, atMost: Self.maxErrorByteCount)
        else { return }
        plain.withUnsafeBufferPointer { noteAnswerContent(exchange, $0, name, isAtTop) }
    }

    private func noteAnswerContent(
        _ exchange: ExchangePointer, _ content: ByteView, _ name: ByteView, _ isAtTop: Bool
    ) {
        guard tape.read(content) == .whole, tape.nodes[0].kind == .object else { return }
        guard !isAtTop else {
            _ = take(0, content, name, exchange)
            return
        }
        var index = 1
        while index < Int(tape.nodes[0].next) {
            let value = index + 1
            if tape.nodes[value].kind == .object, take(value, content, name, exchange) { return }
            index = Int(tape.nodes[value].next)
        }
    }

    /// Takes the member `name` of the object at a node.
    private func take(_ object: Int, _ content: ByteView, _ name: ByteView, _ exchange: ExchangePointer)
        -> Bool
    {
        var index = object + 1
        while index < Int(tape.nodes[object].next) {
            let value = tape.nodes[index + 1]
            if content.view(tape.nodes[index].range).equals(name) {
                switch value.kind {
                case .integer: exchange.pointee.auditNotes.targetID.take(content.view(value.range))
                case .string:
                    scratch.removeAll()
                    JSONScanner.appendUnescaped(content.view(value.range), to: &scratch)
                    exchange.pointee.auditNotes.targetID.take(scratch.readable)
                default: break
                }
                return true
            }
            index = Int(value.next)
        }
        return false
    }

    /// What stands behind the last slash of a reference's path.
    private static func lastSegment(_ reference: ByteView) -> ByteView {
        var end = 0
        while end < reference.count, reference[end] != 0x3F, reference[end] != 0x23 { end += 1 }
        var start = end
        while start > 0, reference[start - 1] != 0x2F { start -= 1 }
        return reference.view(start, end - start)
    }
}
