internal import Bytes
internal import TLS

/// A receiver of syslog messages.
///
/// Plain syslog has no acknowledgement but one: a receiver ends its half of a connection after ours when it has read all that
/// came before. So what was sent is settled by ending the connection; the next events open another. If the end came
/// without close_notify, as it always does over plain TCP, it may be the kernel's word for a program that was killed with
/// what it had read in its hands: then a second connection, which carries nothing, has to be opened and ended likewise.
///
/// - Limits: over UDP nothing is ever known to have arrived. What a receiver that has read events does with them is not
///   known either: one that queues them in memory loses them when it is killed.
/// - Source: RFC 5424; RFC 5425 (TLS), RFC 5426 (UDP), RFC 6587 §3.4.1 (octet counting, over TCP).
final class SyslogDestination: SinkDestination {
    private enum Transport {
        case stream(SinkStream)
        case datagrams(SyslogDatagrams)
    }

    /// What a connection is given at a time; one message may be more.
    private static let pieceByteCount = 65_536

    private let transport: Transport
    private let form: SyslogMessage
    private var message = Buffer(capacity: 16_384)
    private var output = Buffer(capacity: pieceByteCount + 16_384)
    private var hasSent = false

    /// - Errors: the certificates that settings name cannot be loaded.
    init(_ settings: Settings.Syslog) throws(TLSFault) {
        form = SyslogMessage(settings)
        switch settings.transport {
        case .udp: transport = .datagrams(SyslogDatagrams(settings.address))
        case .tcp, .tls:
            let tls = try settings.tls?.makeContext(offersHTTP2: false)
            transport = .stream(
                SinkStream(
                    settings.address, tls: tls, serverName: settings.tls?.serverName ?? settings.address.host)
            )
        }
    }

    func send(_ events: [SinkEvent], _ deadline: SinkDeadline) throws(SinkFailure) {
        switch transport {
        case .datagrams(let datagrams):
            for event in events {
                hasSent = true
                write(event)
                try datagrams.send(message.readable, deadline)
            }
        case .stream(let stream):
            if !stream.isOpen { try stream.open(deadline) }
            hasSent = true
            output.removeAll()
            for event in events {
                write(event)
                // The count has seven digits at most: `max_message` is at most 1 MiB.
                output.compact()
                output.enlarge(to: output.count + message.count + 16)
                output.appendDecimal(message.count)
                output.append(" ")
                output.append(message.readable)
                guard output.count >= Self.pieceByteCount else { continue }
                try stream.send(output.readable, deadline)
                output.removeAll()
            }
            if !output.isEmpty { try stream.send(output.readable, deadline) }
        }
    }

    /// Makes `message` of an event.
    private func write(_ event: SinkEvent) {
        message.removeAll()
        message.enlarge(to: form.maxByteCount(of: event))
        form.append(event, to: &message)
    }

    func settle(_ deadline: SinkDeadline) throws(SinkFailure) {
        guard hasSent else { return }
        switch transport {
        case .datagrams(let datagrams): try datagrams.settle(deadline)
        case .stream(let stream):
            if try !stream.end(deadline) {
                try stream.open(deadline)
                try stream.end(deadline)
            }
        }
        hasSent = false
    }

    func close() {
        hasSent = false
        switch transport {
        case .datagrams(let datagrams): datagrams.close()
        case .stream(let stream): stream.close()
        }
    }
}
