import Bytes
import HTTP
import Loop

// Bytes in: heads, content, and what they mean for the connection.

extension Service {
    private static let limits = HeadLimits(headByteCount: 65_536, targetByteCount: 32_768, fieldCount: 200)

    func receive(_ connection: Connection) {
        for _ in 0..<16 {
            guard connection.makeRoom() else { break }
            let count = Socket.receive(connection.descriptor, into: connection.input.writable)
            if count == 0 || (count < 0 && count != -11) {
                connection.hasPeerEnded = true
                return count == 0 && connection.stage == .content ? close(connection) : close(connection)
            }
            // -EAGAIN: all that came was read.
            guard count > 0 else { break }
            connection.input.grow(by: count)
            advance(connection)
            guard connection.stage == .head || connection.stage == .content, !connection.handle.isNone else {
                return
            }
        }
        if !connection.handle.isNone { updateInterest(connection) }
    }

    /// Goes on with what lies in the input, until more is needed or an answer is under way.
    func advance(_ connection: Connection) {
        while !connection.handle.isNone {
            switch connection.stage {
            case .head: guard readHead(connection) else { return }
            case .content: guard readContent(connection) else { return }
            default: return
            }
        }
    }

    /// Reads a head if it is complete; false when the loop of `advance` shall stop.
    private func readHead(_ connection: Connection) -> Bool {
        guard !connection.input.isEmpty else { return false }
        switch connection.reader.read(connection.input.readable, into: &connection.head, limits: Self.limits)
        {
        case .incomplete: return false
        case .refused(let refusal):
            refuse(connection, refusal)
            return false
        case .complete: break
        }
        let head = connection.input.readable
        connection.requestCount += 1
        connection.keepsAlive = connection.head.keepsAlive
        connection.entry.listener = connection.listener.name
        connection.entry.connection = connection.serial
        connection.entry.place = connection.requestCount
        connection.entry.method = Text.latin1(head.view(connection.head.methodName))
        connection.entry.target = Text.latin1(head.view(connection.head.target.whole))
        connection.entry.version = connection.head.version == .http10 ? "HTTP/1.0" : "HTTP/1.1"
        connection.entry.time = Self.now()
        connection.entry.fields = (0..<connection.head.fields.count).map { index in
            let line = connection.head.fields[index]
            return (Text.latin1(head.view(line.name)), Text.latin1(head.view(line.value)))
        }
        connection.input.consume(connection.head.byteCount)
        if connection.listener != .control {
            connection.rule = plan.take(for: connection.entry)
            connection.entry.fault = connection.rule?.action.rawValue
        }
        if connection.rule?.action == .stallReading {
            connection.entry.number = log.add(connection.entry)
            connection.stage = .silent
            connection.dueAt = nil
            updateInterest(connection)
            return false
        }
        return beginContent(connection)
    }

    private func beginContent(_ connection: Connection) -> Bool {
        switch connection.head.framing {
        case .none, .untilClose, .length(0):
            if connection.head.framing == .length(0) { connection.entry.framing = "length" }
            connection.entry.digest = ""
            finish(connection)
            return connection.stage == .head
        case .length(let count):
            connection.contentLeft = count
            connection.entry.framing = "length"
        case .chunked: connection.entry.framing = "chunked"
        }
        connection.digest = Digest(.sha256)
        connection.stage = .content
        if connection.head.expectsContinue, connection.input.isEmpty {
            // Small enough for any send buffer, since nothing else is under way on the connection.
            let line: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"
            _ = Socket.send(
                connection.descriptor, ByteView(start: line.utf8Start, count: line.utf8CodeUnitCount))
        }
        return true
    }

    /// Takes content out of the input; false when more is needed or the answer is under way.
    private func readContent(_ connection: Connection) -> Bool {
        if case .length = connection.head.framing {
            let count = Int(min(connection.contentLeft, UInt64(connection.input.count)))
            take(connection, connection.input.readable.view(0, count))
            connection.input.consume(count)
            connection.contentLeft -= UInt64(count)
            guard connection.contentLeft == 0 else {
                setDeadline(connection, seconds: settings.idleSeconds)
                return false
            }
            finish(connection)
            return connection.stage == .head
        }
        while true {
            let bytes = connection.input.readable
            let (step, consumed) = connection.chunks.next(bytes)
            switch step {
            case .content(let range): take(connection, bytes.view(range))
            case .trailer(let name, let value):
                connection.entry.trailers.append(
                    (Text.latin1(bytes.view(name)), Text.latin1(bytes.view(value))))
            case .needMore:
                connection.input.consume(consumed)
                setDeadline(connection, seconds: settings.idleSeconds)
                return false
            case .refused(let refusal):
                refuse(connection, refusal)
                return false
            case .end:
                connection.input.consume(consumed)
                finish(connection)
                return connection.stage == .head
            }
            connection.input.consume(consumed)
        }
    }

    private func take(_ connection: Connection, _ bytes: ByteView) {
        connection.entry.contentCount += UInt64(bytes.count)
        connection.digest?.add(bytes)
        let room = Connection.contentLimit - connection.content.count
        if room > 0 { connection.content.append(contentsOf: bytes.prefix(room)) }
    }

    /// The request is complete: logs it and gives its answer.
    private func finish(_ connection: Connection) {
        if let digest = connection.digest { connection.entry.digest = Text.hexadecimal(digest.finish()) }
        connection.digest = nil
        if connection.listener != .control { connection.entry.number = log.add(connection.entry) }
        let delivery = answer(connection)
        deliver(connection, delivery)
    }

    private func refuse(_ connection: Connection, _ refusal: Refusal) {
        connection.entry.listener = connection.listener.name
        connection.entry.connection = connection.serial
        connection.entry.place = connection.requestCount + 1
        connection.entry.refusal = "\(refusal)"
        connection.entry.time = Self.now()
        if connection.entry.target.isEmpty {
            connection.entry.target = Text.latin1(connection.input.readable.prefix(200))
        }
        connection.entry.number = log.add(connection.entry)
        connection.keepsAlive = false
        let content = Array("\(refusal.phrase)\n".utf8)
        let response = Response(
            refusal.status, [("Content-Type", "text/plain"), ("Content-Length", String(content.count))],
            content: content)
        deliver(
            connection,
            Delivery(response, Delivery.ExchangeFacts(method: "GET", accept: nil, keepsAlive: false)))
    }
}
