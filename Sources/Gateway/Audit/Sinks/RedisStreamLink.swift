internal import Bytes
internal import TLS

/// One connection of a sink to a Redis or a Sentinel, whose answers are waited for.
///
/// - Limits: a reply as `RedisReader` has it.
/// - Ownership: of the sink's thread; closed with the object.
final class RedisStreamLink {
    let address: NetworkAddress
    private let stream: SinkStream
    private var reader = RedisReader()
    private var input = Buffer(capacity: 16_384)

    /// - Parameter serverName: what the certificate must be for, unless it is the host's name.
    init(_ address: NetworkAddress, tls: TLSContext?, serverName: String?) {
        self.address = address
        stream = SinkStream(address, tls: tls, serverName: serverName ?? address.host)
    }

    deinit { stream.close() }

    func open(_ deadline: SinkDeadline) throws(SinkFailure) {
        do { try stream.open(deadline) } catch { throw described(error) }
    }

    func close() { stream.close() }

    func send(_ bytes: ByteView, _ deadline: SinkDeadline) throws(SinkFailure) {
        do { try stream.send(bytes, deadline) } catch {
            // A server that ends a connection says why, if it can: that there are too many of them, for example.
            let rest = deadline.atMost(.milliseconds(50))
            while let reply = try? next(rest) {
                guard reply.pointee.kind == .error else { continue }
                throw described(SinkFailure(RedisError.words(reply.pointee.text())))
            }
            throw described(error)
        }
    }

    func send(_ bytes: [UInt8], _ deadline: SinkDeadline) throws(SinkFailure) {
        let bytes = bytes.withUnsafeBufferPointer { view in
            var copy = Buffer(capacity: max(view.count, 1))
            copy.append(view)
            return copy
        }
        try send(bytes.readable, deadline)
    }

    /// The next reply, lent until the next call.
    ///
    /// - Errors: the connection ended, or what came is no reply.
    func next(_ deadline: SinkDeadline) throws(SinkFailure) -> UnsafePointer<RedisReply> {
        while true {
            switch reader.next() {
            case .reply: return reader.reply
            case .malformed: throw described(SinkFailure("the reply is malformed or over 1 MiB"))
            case .incomplete: break
            }
            let isOpen: Bool
            do { isOpen = try stream.receive(into: &input, deadline) } catch { throw described(error) }
            guard reader.feed(input.readable) else { throw described(SinkFailure("no memory for a reply")) }
            input.removeAll()
            guard isOpen else { throw described(SinkFailure("the connection was closed")) }
        }
    }

    /// The failure with the server's address before it.
    func described(_ failure: SinkFailure) -> SinkFailure { SinkFailure("\(address): \(failure)") }
}

extension SinkDeadline {
    /// This one, or in `duration` if that is sooner.
    func atMost(_ duration: Duration) -> SinkDeadline {
        let sooner = SinkDeadline(duration, stopDescriptor: stopDescriptor)
        return sooner.at < at ? sooner : self
    }
}
