import Bytes
import HTTP
import Loop

// Answers out: what each listener says, and how it is sent.

extension Service {
    /// The answer to the request that the connection has read, spoiled if a rule says so.
    func answer(_ connection: Connection) -> Delivery {
        let entry = connection.entry
        let request = Request(entry.method, entry.target, entry.fields, content: connection.content)
        let facts = Delivery.ExchangeFacts(
            method: entry.method, accept: request.value("accept"), keepsAlive: connection.keepsAlive,
            requestID: connection.rule == nil ? "" : cloud.ids.requestID(),
            isIdentity: connection.listener == .identity)
        if let rule = connection.rule, rule.replacesAnswer {
            return Delivery(Response(rule.status), facts, spoiledBy: rule, identityURL: nova.identityURL)
        }
        let now = Self.now()
        let response: Response
        switch connection.listener {
        case .control: return Delivery(control(request, now: now), facts)
        case .identity: response = keystone.answer(request, now: now)
        case .nova:
            if let stream = StreamRequest(request) {
                return stream.delivery(entry, facts, connection.rule, nova.identityURL)
            }
            response = nova.answer(request, now: now)
        }
        guard let rule = connection.rule else { return Delivery(response, facts) }
        return Delivery(response, facts, spoiledBy: rule, identityURL: nova.identityURL)
    }

    /// Sends `delivery` when its time has come.
    func deliver(_ connection: Connection, _ delivery: Delivery) {
        connection.delivery = delivery
        connection.content = []
        connection.dueAt = nil
        if delivery.delay > 0 {
            connection.stage = .delayed
            setDeadline(connection, seconds: Double(delivery.delay) / 1000)
            return updateInterest(connection)
        }
        beginSending(connection)
    }

    func beginSending(_ connection: Connection) {
        guard let delivery = connection.delivery else { return close(connection) }
        connection.stage = .sending
        connection.output = delivery.bytes
        connection.sentCount = 0
        connection.allowedCount = delivery.pace?.bytes ?? .max
        send(connection)
    }

    /// Sends what the kernel takes; goes on with a stream or the next request when all is out.
    func send(_ connection: Connection) {
        // Bounded per turn: a fast reader of an endless stream must not keep the loop from the others.
        for _ in 0..<32 {
            let end = min(connection.output.count, connection.allowedCount)
            if connection.sentCount < end {
                let sent = connection.output.withUnsafeBufferPointer { bytes in
                    Socket.send(
                        connection.descriptor, bytes.view(connection.sentCount, end - connection.sentCount))
                }
                // -EAGAIN: the send buffer is full.
                if sent == -11 { break }
                guard sent >= 0 else { return close(connection) }
                connection.sentCount += sent
                continue
            }
            if connection.sentCount < connection.output.count {
                setDeadline(connection, seconds: Double(connection.delivery?.pace?.milliseconds ?? 10) / 1000)
                return updateInterest(connection)
            }
            guard let piece = connection.delivery?.stream?.next() else { return conclude(connection) }
            connection.output = piece
            connection.sentCount = 0
        }
        // Nothing is due while the kernel's buffer is full, but a peer that never reads goes in the end.
        if connection.delivery?.pace == nil { setDeadline(connection, seconds: settings.idleSeconds) }
        updateInterest(connection)
        if connection.interest.isEmpty, connection.delivery?.pace == nil {
            connection.interest = .write
            _ = poller.change(connection.descriptor, .write, tag: connection.handle.bits)
        }
    }

    private func conclude(_ connection: Connection) {
        let delivery = connection.delivery
        if connection.listener != .control, let status = delivery?.status, delivery?.bytes.isEmpty == false {
            log.answer(connection.entry.number, status: status)
        }
        switch delivery?.end ?? .close {
        case .close: closeOrderly(connection)
        case .reset: close(connection, withReset: true)
        case .hang:
            connection.stage = .silent
            connection.dueAt = nil
            updateInterest(connection)
        case .closeAfter(let milliseconds):
            guard milliseconds > 0 else { return closeOrderly(connection) }
            connection.stage = .closing
            setDeadline(connection, seconds: Double(milliseconds) / 1000)
            updateInterest(connection)
        case .keep:
            if connection.hasPeerEnded, connection.input.isEmpty { return close(connection) }
            connection.prepareForNext()
            setDeadline(connection, seconds: settings.idleSeconds)
            updateInterest(connection)
            advance(connection)
        }
    }

    /// Ends the sending side first, so that unread input does not turn the end into a reset.
    private func closeOrderly(_ connection: Connection) {
        guard !connection.input.isEmpty || connection.contentLeft > 0 else { return close(connection) }
        _ = Socket.shutdownWrite(connection.descriptor)
        connection.stage = .closing
        setDeadline(connection, seconds: 0.1)
        connection.interest = []
        _ = poller.change(connection.descriptor, [], tag: connection.handle.bits)
    }
}

/// A request for content of any size, or with it: `…/stream/{byte count}` and `…/stream/upload`.
///
/// - Source: ours; no real compute API has it. It needs no token, so that nothing but bytes is measured.
struct StreamRequest {
    private enum Kind {
        case download(UInt64)
        case upload
    }

    private let kind: Kind
    private let isChunked: Bool

    init?(_ request: Request) {
        let segments = request.path.split(separator: "/")
        guard segments.count >= 3, segments[segments.count - 2] == "stream", let last = segments.last else {
            return nil
        }
        if last == "upload", request.method == "PUT" || request.method == "POST" {
            kind = .upload
        } else if let count = UInt64(last), request.method == "GET" || request.method == "HEAD" {
            kind = .download(count)
        } else {
            return nil
        }
        isChunked = (Text.queryPairs(request.query) ?? []).contains {
            $0.name == "chunked" && $0.value == "1"
        }
    }

    func delivery(
        _ entry: RequestLog.Entry, _ facts: Delivery.ExchangeFacts, _ rule: FaultRule?, _ identityURL: String
    ) -> Delivery {
        var response: Response
        var stream: PatternStream?
        switch kind {
        case .upload:
            response = .json { writer in
                writer.member("bytes", .number(String(entry.contentCount)))
                writer.member("sha256", entry.digest)
                writer.member("framing", entry.framing)
                writer.member("trailers", pairs: entry.trailers.map { ($0.name, $0.value) })
            }
            response.fields = [
                ("Content-Type", "application/json"), ("Content-Length", String(response.content.count)),
            ]
        case .download(let count):
            response = Response(200, [("Content-Type", "application/octet-stream")])
            if isChunked, entry.version == "HTTP/1.1" {
                response.fields += [("Transfer-Encoding", "chunked"), ("Trailer", "X-Simulator-Bytes")]
            } else {
                response.fields.append(("Content-Length", String(count)))
            }
            if facts.method != "HEAD" {
                stream = PatternStream(byteCount: count, isChunked: isChunked && entry.version == "HTTP/1.1")
            }
        }
        guard let rule else {
            var delivery = Delivery(response, facts)
            delivery.stream = stream
            return delivery
        }
        // A cut or a pace counts over head and content alike, so as much of the content as it needs is made
        // now.
        if rule.action == .cutAt || rule.action == .reset, var piece = stream {
            while response.content.count < rule.at, let more = piece.next() { response.content += more }
        }
        var delivery = Delivery(response, facts, spoiledBy: rule, identityURL: identityURL)
        if rule.action == .delay || rule.action == .closeIdle { delivery.stream = stream }
        return delivery
    }
}
