internal import Bytes
internal import CRabbitMQ
internal import TLS

/// A connection to a RabbitMQ with a channel on it, where messages are published and confirmed.
///
/// - Shape: AMQP 0-9-1 in the form of librabbitmq, over a connection of ours, so that nothing waits longer than its
///   deadline.
/// - Limits: frames of at most `maxFrameByteCount`. There are no heartbeats, since nobody would send them between two
///   events; the kernel watches the connection, and the deadlines watch the broker.
final class RabbitLink {
    static let maxFrameByteCount = 131_072
    static let channel: UInt16 = 1

    /// Why the broker closed the channel.
    struct Refusal {
        let code: UInt16
        let text: String
    }

    let settings: Settings.RabbitMQ
    private let stream: SinkStream
    private let arguments = RabbitArguments()
    private var input = Buffer(capacity: 16_384)
    private var output = Buffer(capacity: 65_536)
    private var frameLimit = RabbitFrame.minimumLimit
    private(set) var confirms = RabbitConfirms()
    /// Why the broker takes no messages now; nil when it does.
    private var blocked: String?
    private var isUsable = false

    init(_ settings: Settings.RabbitMQ) throws(TLSFault) {
        self.settings = settings
        stream = SinkStream(
            settings.address, tls: try settings.tls?.makeContext(offersHTTP2: false),
            serverName: settings.tls?.serverName ?? settings.address.host)
    }

    var isOpen: Bool { isUsable && stream.isOpen }
    var outputByteCount: Int { output.count }

    /// Says goodbye where that goes at once, and ends the connection.
    func close() {
        if isOpen {
            output.removeAll()
            let now = SinkDeadline(.zero, stopDescriptor: -1)
            do throws(SinkFailure) {
                try output.appendRabbitMethod(
                    .connectionClose, channel: 0,
                    amqp_connection_close_t(
                        reply_code: 200, reply_text: amqp_empty_bytes, class_id: 0, method_id: 0))
                try stream.send(output.readable, now)
            } catch {}
        }
        isUsable = false
        confirms = RabbitConfirms()
        stream.close()
    }

    // MARK: - Opening

    /// Connects, logs in and opens the channel, with all that the messages need behind it.
    func open(_ deadline: SinkDeadline) throws(SinkFailure) {
        close()
        input.removeAll()
        output.removeAll()
        frameLimit = RabbitFrame.minimumLimit
        blocked = nil
        try stream.open(deadline)
        output.append(RabbitFrame.protocolHeader)
        try flush(deadline)
        try logIn(deadline)
        try openChannel(deadline)
        try declare(deadline)
        try require(
            call(
                .confirmSelect, amqp_confirm_select_t(nowait: 0), .confirmSelectOK, deadline),
            "confirm.select")
        isUsable = true
    }

    private func logIn(_ deadline: SinkDeadline) throws(SinkFailure) {
        let start = try arguments.read(
            try expect(.connectionStart, deadline), as: amqp_connection_start_t.self)
        let mechanisms = start.mechanisms.string
        guard mechanisms.split(separator: " ").contains("PLAIN") else {
            throw SinkFailure("the broker does not take passwords: it offers \(mechanisms)")
        }
        let response = RabbitName([0] + Array(settings.username.utf8) + [0] + Array(settings.password.utf8))
        try output.appendRabbitMethod(.connectionStartOK, channel: 0) { room in
            CRabbitMQ_encodeStartOK(Version.text, response.bytes, room)
        }
        try flush(deadline)
        let tune = try arguments.read(
            try expect(.connectionTune, deadline), as: amqp_connection_tune_t.self)
        // 0 is no limit.
        let offered = tune.frame_max == 0 ? Self.maxFrameByteCount : Int(tune.frame_max)
        guard offered >= RabbitFrame.minimumLimit else {
            throw SinkFailure("the broker takes frames of \(offered) bytes only")
        }
        frameLimit = min(offered, Self.maxFrameByteCount)
        try output.appendRabbitMethod(
            .connectionTuneOK, channel: 0,
            amqp_connection_tune_ok_t(channel_max: Self.channel, frame_max: UInt32(frameLimit), heartbeat: 0))
        let host = RabbitName(settings.virtualHost)
        try output.appendRabbitMethod(
            .connectionOpen, channel: 0,
            amqp_connection_open_t(
                virtual_host: host.bytes, capabilities: amqp_empty_bytes, insist: 0))
        try flush(deadline)
        _ = try expect(.connectionOpenOK, deadline)
    }

    private func openChannel(_ deadline: SinkDeadline) throws(SinkFailure) {
        try require(
            call(.channelOpen, amqp_channel_open_t(out_of_band: amqp_empty_bytes), .channelOpenOK, deadline),
            "channel.open")
    }

    /// Declares the exchange, and the queue under whose name the messages are routed, as oslo.messaging's notifier does.
    private func declare(_ deadline: SinkDeadline) throws(SinkFailure) {
        let (exchange, kind) = (RabbitName(settings.exchange), RabbitName("topic"))
        let queue = RabbitName(settings.queue)
        let isDurable: Int32 = settings.isDurable ? 1 : 0
        try require(
            call(
                .exchangeDeclare,
                amqp_exchange_declare_t(
                    ticket: 0, exchange: exchange.bytes, type: kind.bytes, passive: 0, durable: isDurable,
                    auto_delete: 0, internal: 0, nowait: 0, arguments: amqp_empty_table),
                .exchangeDeclareOK, deadline), "exchange.declare")
        let refusal = try call(
            .queueDeclare,
            amqp_queue_declare_t(
                ticket: 0, queue: queue.bytes, passive: 0, durable: isDurable, exclusive: 0, auto_delete: 0,
                nowait: 0, arguments: amqp_empty_table), .queueDeclareOK, deadline)
        if let refusal {
            // Consumers may have made it with arguments of their own, as a quorum queue or with limits; the rest of it is
            // compared before those.
            guard refusal.code == 406, refusal.text.contains("inequivalent arg 'x-") else {
                return try require(refusal, "queue.declare")
            }
            try openChannel(deadline)
        }
        try require(
            call(
                .queueBind,
                amqp_queue_bind_t(
                    ticket: 0, queue: queue.bytes, exchange: exchange.bytes, routing_key: queue.bytes,
                    nowait: 0,
                    arguments: amqp_empty_table), .queueBindOK, deadline), "queue.bind")
    }

    private func require(_ refusal: Refusal?, _ what: String) throws(SinkFailure) {
        if let refusal { throw SinkFailure("\(what): \(refusal.code) \(refusal.text)") }
    }

    /// Calls a method of the channel and waits for its answer.
    private func call<Arguments: BitwiseCopyable>(
        _ method: RabbitMethod, _ given: Arguments, _ answer: RabbitMethod, _ deadline: SinkDeadline
    ) throws(SinkFailure) -> Refusal? {
        try output.appendRabbitMethod(method, channel: Self.channel, given)
        try flush(deadline)
        while true {
            let frame = try next(deadline)
            if frame.method == answer { return nil }
            guard frame.method == .channelClose else {
                try take(frame)
                continue
            }
            let close = try arguments.read(frame, as: amqp_channel_close_t.self)
            let refusal = Refusal(code: close.reply_code, text: close.reply_text.string)
            try output.appendRabbitMethod(
                .channelCloseOK, channel: Self.channel, amqp_channel_close_ok_t(dummy: 0))
            try flush(deadline)
            return refusal
        }
    }

    private func expect(_ method: RabbitMethod, _ deadline: SinkDeadline) throws(SinkFailure) -> RabbitFrame {
        while true {
            let frame = try next(deadline)
            if frame.method == method { return frame }
            try take(frame)
        }
    }

    // MARK: - Publishing

    /// Appends a message to what `flush` sends.
    func publish(
        _ content: ByteView, _ marks: RabbitNotification.Marks, exchange: RabbitName, key: RabbitName
    ) throws(SinkFailure) {
        try output.appendRabbitMethod(
            .basicPublish, channel: Self.channel,
            amqp_basic_publish_t(
                ticket: 0, exchange: exchange.bytes, routing_key: key.bytes, mandatory: 1, immediate: 0))
        let (id, limit) = (marks.id, frameLimit)
        try id.withUnsafeBufferPointer { id throws(SinkFailure) in
            try output.appendRabbitContent(
                content, id: id, seconds: marks.seconds, channel: Self.channel, limit: limit)
        }
        confirms.publish()
    }

    /// Sends what was appended.
    func flush(_ deadline: SinkDeadline) throws(SinkFailure) {
        try stream.send(output.readable, deadline)
        output.removeAll()
    }

    /// Waits until every message is confirmed.
    func settle(_ deadline: SinkDeadline) throws(SinkFailure) {
        while !confirms.isComplete { try take(try next(deadline)) }
    }

    /// Takes in what has come; and while the broker wants no messages, waits.
    func listen(_ deadline: SinkDeadline) throws(SinkFailure) {
        while true {
            while let frame = try frame() { try take(frame) }
            if blocked != nil {
                try receive(deadline)
            } else {
                let before = input.count
                makeRoom()
                guard try stream.receiveArrived(into: &input, deadline) else { throw Self.ended }
                if input.count == before { return }
            }
        }
    }

    // MARK: - Receiving

    private static let ended = SinkFailure("the broker ended the connection")

    /// The next frame that is no heartbeat; good until the next call.
    private func next(_ deadline: SinkDeadline) throws(SinkFailure) -> RabbitFrame {
        while true {
            if let frame = try frame() { return frame }
            try receive(deadline)
        }
    }

    /// Waits for bytes.
    private func receive(_ deadline: SinkDeadline) throws(SinkFailure) {
        makeRoom()
        do throws(SinkFailure) {
            guard try stream.receive(into: &input, deadline) else { throw Self.ended }
        } catch {
            guard let blocked else { throw error }
            throw SinkFailure("the broker takes no messages (\(blocked)): \(error)")
        }
    }

    private func makeRoom() {
        input.compact()
        if input.room < 4_096 { input.enlarge(to: min(2 * input.capacity, Self.maxFrameByteCount + 4_096)) }
    }

    private func frame() throws(SinkFailure) -> RabbitFrame? {
        while let frame = try RabbitFrame(input.readable, limit: frameLimit) {
            // The bytes stay where they are until more are received.
            input.consume(frame.byteCount)
            if frame.kind != .heartbeat { return frame }
        }
        return nil
    }

    /// Acts on what the broker says unasked.
    private func take(_ frame: RabbitFrame) throws(SinkFailure) {
        switch frame.method {
        case .basicAck:
            let confirm = try arguments.readConfirm(frame)
            guard confirms.confirm(confirm.number, isMultiple: confirm.isMultiple) else {
                throw SinkFailure("the broker confirmed a message that was not sent")
            }
        case .basicNack:
            throw SinkFailure("the broker could not take a message (basic.nack)")
        case .basicReturn:
            let given = try arguments.read(frame, as: amqp_basic_return_t.self)
            throw SinkFailure("basic.return: \(given.reply_code) \(given.reply_text.string)")
        case .connectionBlocked:
            blocked = try arguments.read(frame, as: amqp_connection_blocked_t.self).reason.string
        case .connectionUnblocked:
            blocked = nil
        case .connectionClose:
            let close = try arguments.read(frame, as: amqp_connection_close_t.self)
            let failure = SinkFailure("connection.close: \(close.reply_code) \(close.reply_text.string)")
            isUsable = false
            output.removeAll()
            try output.appendRabbitMethod(
                .connectionCloseOK, channel: 0, amqp_connection_close_ok_t(dummy: 0))
            do throws(SinkFailure) { try flush(SinkDeadline(.zero, stopDescriptor: -1)) } catch {}
            throw failure
        case .channelClose:
            let close = try arguments.read(frame, as: amqp_channel_close_t.self)
            throw SinkFailure("channel.close: \(close.reply_code) \(close.reply_text.string)")
        default:
            throw SinkFailure("the broker sent what was not asked for")
        }
    }
}

extension Settings.RabbitMQ {
    /// The queue that is bound to the exchange, and the routing key of every message.
    var queue: String { "\(topic).info" }
}
