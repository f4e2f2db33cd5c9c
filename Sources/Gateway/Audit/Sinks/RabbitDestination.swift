internal import Bytes
internal import TLS

/// Gives events to a RabbitMQ as OpenStack's notifications.
///
/// - Shape: persistent messages to a topic exchange, confirmed by the broker, which answers for a durable queue once they are
///   on its disk. They are `mandatory`: one that no queue takes is a failure.
/// - Errors: besides those of the connection: what the broker answers, with its code and text.
final class RabbitDestination: SinkDestination {
    private let link: RabbitLink
    private let notification: RabbitNotification
    private let exchange: RabbitName
    private let key: RabbitName
    private var content = Buffer()
    /// Whether the broker has taken a message on this connection.
    private var isProven = false

    /// So much is appended before it is sent.
    private static let pieceByteCount = 65_536

    init(_ settings: Settings.RabbitMQ) throws(TLSFault) {
        link = try RabbitLink(settings)
        notification = RabbitNotification(
            eventType: settings.eventType,
            publisherID: settings.publisherID ?? "gatehouse.\(SinkMachine.name ?? "localhost")"
        )
        exchange = RabbitName(settings.exchange)
        key = RabbitName(settings.queue)
    }

    func send(_ events: [SinkEvent], _ deadline: SinkDeadline) throws(SinkFailure) {
        if link.isOpen { try lookAround(deadline) }
        if !link.isOpen {
            isProven = false
            try link.open(deadline)
        }
        for event in events {
            let marks = notification.write(event, to: &content)
            try link.publish(content.readable, marks, exchange: exchange, key: key)
            if !isProven {
                // One that is low on memory or disk says so after the first message only; so not more than that one is
                // sent to it again with every attempt.
                try settle(deadline)
                isProven = true
            } else if link.outputByteCount >= Self.pieceByteCount {
                try link.flush(deadline)
                try link.listen(deadline)
            }
        }
        try link.flush(deadline)
        if !link.confirms.isComplete { try link.listen(deadline) }
    }

    /// Takes in what came meanwhile; a connection that ended while it had nothing to do is no failure.
    private func lookAround(_ deadline: SinkDeadline) throws(SinkFailure) {
        do throws(SinkFailure) {
            try link.listen(deadline)
        } catch {
            guard link.confirms.isComplete, !deadline.isOver else { throw error }
            link.close()
        }
    }

    func settle(_ deadline: SinkDeadline) throws(SinkFailure) {
        guard link.isOpen else {
            // What the broker had not confirmed when it went is a failure of the call before.
            guard link.confirms.isComplete else { throw SinkFailure("the connection is closed") }
            return
        }
        try link.flush(deadline)
        try link.settle(deadline)
    }

    func close() { link.close() }
}
