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
    private var input = Buffer()

    /// - Parameter serverName: what the certificate must be for, unless it is the host's name.
    init(_ address: NetworkAddress, tls: TLSContext?, serverName: String?) {
        self.address = address
        stream = SinkStream(address, tls: tls, serverName: serverName ?? address.host)
    }

    deinit { stream.close() }

    var isOpen: Bool { stream.isOpen }

    /// Whether it can be used, as far as that is seen without a wait: a server may close what is idle for long.
    ///
    /// Called when every reply was read: what comes then is no reply.
    func isQuiet(_ deadline: SinkDeadline) -> Bool {
        input.removeAll()
        guard stream.isOpen, (try? stream.receiveArrived(into: &input, deadline)) == true else {
            return false
        }
        return input.isEmpty && reader.isEmpty
    }

    func open(_ deadline: SinkDeadline) throws(SinkFailure) {
        do throws(SinkFailure) { try stream.open(deadline) } catch { throw described(error) }
        // Of the connection before there may be half a reply.
        reader = RedisReader()
        if !input.hasBlock { input = Buffer(capacity: 16_384) }
    }

    func close() {
        stream.close()
        input.free()
    }

    func send(_ bytes: ByteView, _ deadline: SinkDeadline) throws(SinkFailure) {
        do throws(SinkFailure) { try stream.send(bytes, deadline) } catch { throw described(error) }
    }

    func send(_ bytes: [UInt8], _ deadline: SinkDeadline) throws(SinkFailure) {
        let answer = bytes.withUnsafeBufferPointer { bytes -> Result<Void, SinkFailure> in
            Result { () throws(SinkFailure) in try send(bytes, deadline) }
        }
        try answer.get()
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
            input.removeAll()
            let isOpen: Bool
            do throws(SinkFailure) { isOpen = try stream.receive(into: &input, deadline) } catch {
                throw described(error)
            }
            guard reader.feed(input.readable) else { throw described(SinkFailure("no memory for a reply")) }
            guard isOpen else { throw described(SinkFailure("the connection was closed")) }
        }
    }

    /// The failure with the server's address, if it does not say that itself.
    func described(_ failure: SinkFailure) -> SinkFailure {
        failure.description.contains(address.description) ? failure : SinkFailure("\(address): \(failure)")
    }

    /// What an error reply says, as a failure.
    func failure(of reply: borrowing RedisReply) -> SinkFailure {
        described(SinkFailure(RedisError.words(reply.text())))
    }
}

extension SinkDeadline {
    /// This one, or in `duration` if that is sooner.
    func atMost(_ duration: Duration) -> SinkDeadline {
        let sooner = SinkDeadline(duration, stopDescriptor: stopDescriptor)
        return sooner.at < at ? sooner : self
    }
}
