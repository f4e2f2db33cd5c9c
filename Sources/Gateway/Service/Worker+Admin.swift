internal import Bytes
internal import HTTP

/// What the admin listener answers.
enum AdminReport: Sendable {
    case healthcheck, metrics, exchanges

    static func find(_ path: ByteView) -> AdminReport? {
        if path.equals("/healthcheck") { return .healthcheck }
        if path.equals("/metrics") { return .metrics }
        if path.equals("/exchanges") { return .exchanges }
        return nil
    }
}

/// One report being gathered from all workers, by mail; complete when each has given its part.
final class AdminGathering: Sendable {
    let report: AdminReport
    let origin: Int
    let exchange: Handle
    private let parts: Guarded<[WorkerReport?]>

    init(_ report: AdminReport, origin: Int, exchange: Handle, workerCount: Int) {
        self.report = report
        self.origin = origin
        self.exchange = exchange
        parts = Guarded(Array(repeating: nil, count: workerCount))
    }

    /// Takes a worker's part; gives all of them to whoever brings the last one.
    func add(_ part: WorkerReport, of worker: Int) -> [WorkerReport]? {
        parts.withLock { parts in
            parts[worker] = part
            let whole = parts.compactMap { $0 }
            return whole.count == parts.count ? whole : nil
        }
    }
}

extension Worker {
    /// Answers on the admin listener; a report comes from all workers, so the exchange waits for their mail.
    func answerAdmin(_ exchange: ExchangePointer) {
        exchange.pointee.requestID.renew(&random)
        exchange.pointee.stage = .record
        let head = exchange.pointee.headBytes
        let method = exchange.pointee.head.method
        guard method == .get || method == .head else { return refuseAdmin(exchange, .methodNotAllowed) }
        guard let report = AdminReport.find(head.view(exchange.pointee.head.target.path)) else {
            return refuseAdmin(exchange, .routeUnknown)
        }
        exchange.pointee.wait = .admin
        exchange.pointee.waitingSince = now
        let gathering = AdminGathering(
            report, origin: index, exchange: exchange.pointee.handle, workerCount: shared.workers.count)
        for worker in shared.workers {
            worker.mail { worker in
                let part = worker.report(report)
                guard let parts = gathering.add(part, of: worker.index) else { return }
                worker.shared.workers[gathering.origin].mail { $0.finishAdmin(gathering, parts) }
            }
        }
    }

    private func refuseAdmin(_ exchange: ExchangePointer, _ failure: Failure) {
        _ = fail(exchange, failure)
        writeReply(exchange)
        advance(exchange)
    }

    private func finishAdmin(_ gathering: AdminGathering, _ parts: [WorkerReport]) {
        guard let exchange = exchanges.find(gathering.exchange), exchange.pointee.wait == .admin,
            let connection = downstreams.find(exchange.pointee.downstream)
        else { return }
        var whole = parts[0]
        for part in parts.dropFirst() { whole.add(part) }
        let (status, type, text) = AdminText.render(
            gathering.report, whole, cache: shared.cache?.totals(), sinks: shared.auditSinks?.states ?? [])
        let content = Content(text: text)
        exchange.pointee.status = status
        blocks.attach(to: &connection.pointee.output)
        connection.pointee.output.appendStatusLine(status)
        connection.pointee.output.append("Content-Type: ")
        connection.pointee.output.append(type)
        connection.pointee.output.append("\r\nCache-Control: no-store\r\n")
        connection.pointee.output.appendContentLength(UInt64(content.count))
        connection.pointee.output.append(dateLine.readable)
        if exchange.pointee.closesDownstream { connection.pointee.output.append("Connection: close\r\n") }
        connection.pointee.output.append("\r\n")
        exchange.pointee.responseHeadSent = true
        if exchange.pointee.head.method == .get {
            connection.pointee.pending = content
            connection.pointee.pendingOffset = 0
        }
        exchange.pointee.wait = .nothing
        advance(exchange)
    }
}
