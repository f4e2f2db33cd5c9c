internal import Bytes
internal import HTTP
internal import OpenStack

/// The entries of a `rate` list, as Nova had them until 2016: which rules, of which operations, in which groups.
///
/// - Shape: made once with the table; equal places stand together. What counts at once has no place in it, nor have rules
///   that only look on.
/// - Limits: 256 entries.
/// - Source: compute API, `GET /limits`; facts §1.3.
struct LimitDocument {
    struct Entry {
        var rule: Int
        /// The operation that has a bucket of its own; -1 for the rule's only one.
        var operation: Int
        /// The JSON of the place: `"uri": …, "regex": …`; equal for entries of one group.
        var place: Content
        var methods: [Content]
    }

    static let maxEntryCount = 256
    /// By API.
    let entries: [[Entry]]

    /// - Parameter operations: of each API, the paths and methods of its operations.
    init(_ rules: [LimitTable.Rule], operations: [[(path: String, method: String)]]) {
        entries = operations.indices.map { api in
            var found: [Entry] = []
            for (index, rule) in rules.enumerated() where !rule.isShadow && !rule.isAtOnce {
                guard rule.per.contains(.operation) else {
                    found.append(
                        Entry(
                            rule: index, operation: -1, place: Self.place(rule.uri, rule.regex),
                            methods: rule.methods.map { Content(text: $0) }))
                    continue
                }
                for operation in rule.operations[api] {
                    let (path, method) = operations[api][operation]
                    let (uri, regex) = OperationScope.place(of: path)
                    found.append(
                        Entry(
                            rule: index, operation: operation, place: Self.place(uri, regex),
                            methods: [Content(text: method)]))
                }
            }
            return Self.grouped(Array(found.prefix(Self.maxEntryCount)))
        }
    }

    private static func place(_ uri: String, _ regex: String) -> Content {
        var text = Buffer(capacity: 64 + 6 * (uri.utf8.count + regex.utf8.count))
        for (name, value) in [("{\"uri\": \"", uri), ("\", \"regex\": \"", regex)] {
            var (name, value) = (name, value)
            name.withUTF8 { text.append($0) }
            value.withUTF8 { text.appendJSONEscaped($0) }
        }
        text.append("\", \"limit\": [")
        return Content(text.readable)
    }

    /// Brings entries of one place together, in the order of the first of each.
    private static func grouped(_ entries: [Entry]) -> [Entry] {
        var order: [[UInt8]] = []
        var groups: [[UInt8]: [Entry]] = [:]
        for entry in entries {
            let name = Array(entry.place.bytes)
            if groups[name] == nil { order.append(name) }
            groups[name, default: []].append(entry)
        }
        return order.flatMap { groups[$0] ?? [] }
    }
}

extension Worker {
    /// Whether a request asks for the limits, whose list of rates is filled in here.
    func isRatesRequest(_ exchange: ExchangePointer) -> Bool {
        guard exchange.pointee.operation >= 0, exchange.pointee.head.method == .get else { return false }
        return withHouse(of: exchange) { house in
            house.limitTable != nil && exchange.pointee.identity != nil
                && house.limitsOperations[exchange.pointee.api] == exchange.pointee.operation
        }
    }

    /// Answers with an upstream's success that was collected: limits get the rates of the caller's buckets.
    ///
    /// What does not look like limits passes as it came.
    func writeCollected(_ exchange: ExchangePointer, _ head: borrowing ResponseHead) {
        guard let connection = downstreams.find(exchange.pointee.downstream),
            let errorHead = exchange.pointee.errorHead
        else { return }
        let bytes = errorHead.bytes
        if audit != nil {
            noteAnswerContent(exchange, exchange.pointee.errorContent.readable, head, bytes)
        }
        let isFilled = isRatesRequest(exchange) && fillCollected(exchange, head, bytes)
        blocks.attach(to: &connection.pointee.output)
        connection.pointee.output.appendStatusLine(head.status)
        copyFields(
            exchange, head, bytes, to: &connection.pointee.output, keepsContentType: !isFilled)
        if isFilled { connection.pointee.output.append("Content-Type: application/json\r\n") }
        let content = isFilled ? faultContent.readable : exchange.pointee.errorContent.readable
        connection.pointee.output.appendContentLength(UInt64(content.count))
        finishHead(exchange, connection)
        appendContent(exchange, connection, content)
    }

    private func fillCollected(
        _ exchange: ExchangePointer, _ head: borrowing ResponseHead, _ bytes: ByteView
    ) -> Bool {
        faultContent.removeAll()
        // Coded content is only read to see what it is: answers with rates are plain.
        guard let field = head.fields.find(.contentEncoding) else {
            return fill(exchange.pointee.errorContent.readable, exchange)
        }
        guard let coding = ContentCoding.find(bytes.view(field)),
            let plain = try? ContentCoder.decode(
                exchange.pointee.errorContent.readable, as: coding, atMost: Self.maxErrorByteCount)
        else { return false }
        return plain.withUnsafeBufferPointer { fill($0, exchange) }
    }

    /// Appends `content` to the fault's buffer with the rates in it; false when it has no place for them.
    private func fill(_ content: ByteView, _ exchange: ExchangePointer) -> Bool {
        guard let table = configuration(of: exchange).limitTable, JSONScanner.scan(content) != nil,
            let limits = JSONScanner.member("limits", of: content)
        else { return false }
        let inside = content.view(limits)
        guard inside.first == 0x7B, let rate = JSONScanner.member("rate", of: inside),
            inside.view(rate).first == 0x5B
        else { return false }
        let start = limits.lower + rate.lower
        faultContent.append(content.view(0, start))
        appendRates(exchange, table)
        let end = start + Int(rate.count)
        faultContent.append(content.view(end, content.count - end))
        return !faultContent.hasOverflowed
    }

    private func appendRates(_ exchange: ExchangePointer, _ table: LimitTable) {
        let entries = table.document.entries[exchange.pointee.api]
        var place: Content?
        faultContent.append("[")
        var subject = limitSubject(exchange, table)
        var names = LimitTable.SubjectNames()
        subject.action = -1
        for entry in entries {
            subject.operation = entry.operation
            guard let charge = table.charge(entry.rule, subject, &names) else { continue }
            if place == nil || !place!.bytes.equals(entry.place.bytes) {
                faultContent.append(place == nil ? "" : "]}, ")
                faultContent.append(entry.place.bytes)
            } else {
                faultContent.append(", ")
            }
            place = entry.place
            appendEntry(entry, table.quota(charge.quota), charge)
        }
        faultContent.append(place == nil ? "]" : "]}]")
    }

    private func appendEntry(
        _ entry: LimitDocument.Entry, _ quota: LimitQuotaFacts, _ charge: LimitCharges.Charge
    ) {
        let paidAt = max(shared.buckets.paidAt(charge.key), now)
        let due = paidAt + quota.interval
        let wait = due - min(due, now + quota.tolerance)
        for (index, method) in entry.methods.enumerated() {
            faultContent.append(index == 0 ? "{\"verb\": \"" : ", {\"verb\": \"")
            faultContent.append(method.bytes)
            faultContent.append("\", \"value\": ")
            faultContent.appendDecimal(quota.count)
            faultContent.append(", \"remaining\": ")
            faultContent.appendDecimal(quota.remaining(paidAt: paidAt, now: now))
            faultContent.append(", \"unit\": \"")
            faultContent.append(quota.unitWord)
            faultContent.append("\", \"next-available\": \"")
            // Whole seconds, not too early.
            let seconds = (wait + UInt64(wallNanoseconds) + 999_999_999) / 1_000_000_000
            Self.appendTime(wallSeconds + (wait == 0 ? 0 : Int64(seconds)), to: &faultContent)
            faultContent.append("Z\"}")
        }
    }
}

extension LimitQuotaFacts {
    /// Nova's word for the unit of the rate.
    var unitWord: StaticString {
        switch unitSeconds {
        case 1: "SECOND"
        case 60: "MINUTE"
        case 3_600: "HOUR"
        default: "DAY"
        }
    }
}
