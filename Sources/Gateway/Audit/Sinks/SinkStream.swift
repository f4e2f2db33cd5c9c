internal import Bytes
internal import Glibc
internal import Loop
internal import TLS

/// A TCP or TLS connection whose calls wait; for a sink's own thread.
///
/// - Shape: with TLS `sealedInput` and `sealedOutput` are what the socket carries.
/// - Limits: a call waits as its deadline says, and returns soon after the sink is to stop. While it sends it reads nothing,
///   so a peer has to keep its answers until they are asked for.
/// - Errors: after any of them it is closed, and `open` begins anew.
/// - Ownership: of one thread; the descriptor is closed by `close` or with it.
final class SinkStream {
    /// As the settings name it.
    let address: NetworkAddress
    /// Where it is connected, or was last.
    private(set) var peer = SocketAddress.none
    private let tls: TLSContext?
    private let serverName: String
    private let lookup = SinkLookup()
    private var descriptor: Int32 = -1
    private var connection = TLSConnection()
    private var sealedInput = Buffer()
    private var sealedOutput = Buffer()

    /// Connects to nothing yet; `serverName` is the name that the peer's certificate must have.
    init(_ address: NetworkAddress, tls: TLSContext?, serverName: String) {
        self.address = address
        self.tls = tls
        self.serverName = serverName
    }

    deinit { close() }

    /// Whether it was opened, and no call of it has failed since.
    ///
    /// A peer that is gone is seen by the next call only.
    var isOpen: Bool { descriptor >= 0 }

    /// Closes it at once, with close_notify where that goes without a wait.
    func close() {
        guard descriptor >= 0 else { return }
        if connection.isEstablished {
            sealedOutput.compact()
            connection.close(reply: &sealedOutput)
            if !sealedOutput.isEmpty { _ = Socket.send(descriptor, sealedOutput.readable) }
        }
        Socket.close(descriptor)
        descriptor = -1
        connection = TLSConnection()
        sealedInput.removeAll()
        sealedOutput.removeAll()
    }

    // MARK: - Opening

    /// Connects to the first address of the host that takes it, and makes the handshake of TLS there.
    ///
    /// - Limits: each address has an equal part of the time that is left.
    /// - Errors: that of the last address.
    func open(_ deadline: SinkDeadline) throws(SinkFailure) {
        close()
        try open(at: try lookup.resolve(address, deadline), deadline)
    }

    /// The same where the addresses are known; at least one.
    func open(at addresses: [SocketAddress], _ deadline: SinkDeadline) throws(SinkFailure) {
        for (place, candidate) in addresses.enumerated() {
            let isLast = place == addresses.count - 1
            do throws(SinkFailure) {
                return try open(candidate, isLast ? deadline : deadline.part(of: addresses.count - place))
            } catch {
                close()
                // A sink that stops tries no further.
                if isLast || deadline.isOver { throw error }
            }
        }
    }

    private func open(_ candidate: SocketAddress, _ deadline: SinkDeadline) throws(SinkFailure) {
        peer = candidate
        let (made, isInProgress) = Socket.connect(candidate)
        guard made >= 0 else { throw SinkFailure("connect to \(candidate)", code: -made) }
        descriptor = made
        if isInProgress {
            _ = try deadline.wait(made, Int16(POLLOUT))
            let error = Socket.connectError(made)
            guard error == 0 else { throw SinkFailure("connect to \(candidate)", code: -error) }
        }
        SinkSocket.watch(made)
        guard let tls else { return }
        // Which endpoint a session is of: a name has one context, so its address tells enough.
        guard
            let secured = TLSConnection(
                client: tls, serverName: serverName, session: UInt64(bitPattern: Int64(candidate.hashValue)))
        else { throw SinkFailure("TLS: \(TLSFailure.memory.word)") }
        connection = secured
        sealedInput.enlarge(to: 32_768)
        sealedOutput.enlarge(to: 32_768)
        // Without room, so that a word of the peer right after the handshake stays for `receive`.
        var nothing = Buffer()
        guard connection.start(reply: &sealedOutput) != .failed else { throw tlsFailure() }
        try push(deadline)
        while !connection.isEstablished {
            guard try take(deadline) else {
                throw SinkFailure("the peer ended the connection in the handshake")
            }
            _ = try unseal(into: &nothing, deadline)
        }
    }

    // MARK: - Sending

    /// Sends all of `bytes`; they may be on their way when it returns.
    func send(_ bytes: ByteView, _ deadline: SinkDeadline) throws(SinkFailure) {
        guard isOpen else { throw SinkFailure("the connection is closed") }
        var rest = bytes
        do throws(SinkFailure) {
            while !rest.isEmpty {
                let count: Int
                if connection.isActive {
                    count = connection.send(rest, into: &sealedOutput, now: MonotonicClock.now())
                    guard count > 0 else { throw tlsFailure() }
                    try push(deadline)
                } else {
                    count = try sent(rest, deadline)
                }
                rest = rest.view(count, rest.count - count)
            }
        } catch {
            close()
            throw error
        }
    }

    /// Sends what is sealed.
    private func push(_ deadline: SinkDeadline) throws(SinkFailure) {
        while !sealedOutput.isEmpty { sealedOutput.consume(try sent(sealedOutput.readable, deadline)) }
        sealedOutput.removeAll()
    }

    /// Sends at least one byte of `bytes`, and answers how many it were.
    private func sent(_ bytes: ByteView, _ deadline: SinkDeadline) throws(SinkFailure) -> Int {
        while true {
            let count = Socket.send(descriptor, bytes)
            if count > 0 { return count }
            guard count == -Int(EAGAIN) else { throw lost(Int32(-count)) }
            _ = try deadline.wait(descriptor, Int16(POLLOUT))
        }
    }

    /// Why sending ended: the alert of TLS that the peer left says more than the kernel does.
    private func lost(_ code: Int32) -> SinkFailure {
        if connection.isActive, connection.failure == .none {
            var plaintext = Buffer(capacity: 16_384)
            while case let count = Socket.receive(descriptor, into: sealedInput.writable), count > 0 {
                sealedInput.grow(by: count)
                plaintext.removeAll()
                let step = connection.receive(&sealedInput, into: &plaintext, reply: &sealedOutput)
                sealedInput.compact()
                guard step == .incomplete, sealedInput.room > 0 else { break }
            }
            if connection.failure != .none { return tlsFailure() }
        }
        return SinkFailure("the connection to \(peer)", code: code)
    }

    private func tlsFailure() -> SinkFailure {
        let failure = connection.failure
        return SinkFailure(
            failure == .refusedByPeer
                ? "TLS: \(failure.word), alert \(connection.alert)" : "TLS: \(failure.word)")
    }

    // MARK: - Receiving

    /// Waits for bytes and appends them to `buffer`, which must have room; false when the peer has ended.
    ///
    /// - Errors: besides those of the connection: TLS that ends without close_notify (RFC 8446 §6.1).
    func receive(into buffer: inout Buffer, _ deadline: SinkDeadline) throws(SinkFailure) -> Bool {
        let before = buffer.count
        while try receiveArrived(into: &buffer, deadline) {
            if buffer.count > before { return true }
            do throws(SinkFailure) { _ = try deadline.wait(descriptor, Int16(POLLIN)) } catch {
                close()
                throw error
            }
        }
        return false
    }

    /// Appends what has come to `buffer`, which must have room, without a wait for more; false when the peer has ended.
    ///
    /// - Shape: true with nothing appended when nothing has come. The deadline is for what TLS has to say in return.
    /// - Errors: as of `receive`.
    func receiveArrived(into buffer: inout Buffer, _ deadline: SinkDeadline) throws(SinkFailure) -> Bool {
        precondition(buffer.room > 0)
        guard isOpen else { throw SinkFailure("the connection is closed") }
        do throws(SinkFailure) {
            guard connection.isActive else {
                guard let count = try arrived(into: buffer.writable) else { return true }
                buffer.grow(by: count)
                return count > 0
            }
            let before = buffer.count
            while true {
                // What OpenSSL holds comes first, then what the socket has.
                let hasEnded = try unseal(into: &buffer, deadline)
                if buffer.count > before { return true }
                if hasEnded { return false }
                sealedInput.compact()
                guard let count = try arrived(into: sealedInput.writable) else { return true }
                guard count > 0 else {
                    throw SinkFailure("the peer ended the connection without close_notify")
                }
                sealedInput.grow(by: count)
            }
        } catch {
            close()
            throw error
        }
    }

    /// Waits for ciphertext; false when the peer has ended the socket.
    private func take(_ deadline: SinkDeadline) throws(SinkFailure) -> Bool {
        sealedInput.compact()
        let count = try received(into: sealedInput.writable, deadline)
        sealedInput.grow(by: count)
        return count > 0
    }

    /// Opens what came as far as `buffer` has room, and sends what TLS has to say to it; whether close_notify came.
    private func unseal(into buffer: inout Buffer, _ deadline: SinkDeadline) throws(SinkFailure) -> Bool {
        while true {
            let step = connection.receive(&sealedInput, into: &buffer, reply: &sealedOutput)
            if step == .failed || step == .plainHTTP {
                // The peer's log is to say why, too.
                if !sealedOutput.isEmpty { _ = Socket.send(descriptor, sealedOutput.readable) }
                throw tlsFailure()
            }
            let hadReply = !sealedOutput.isEmpty
            try push(deadline)
            switch step {
            case .ended: return true
            // Only the reply's room can be made here; the buffer's is the caller's.
            case .full where hadReply: continue
            default: return false
            }
        }
    }

    /// Reads at least one byte, or 0 at the peer's end.
    private func received(
        into room: UnsafeMutableBufferPointer<UInt8>, _ deadline: SinkDeadline
    ) throws(SinkFailure) -> Int {
        while true {
            if let count = try arrived(into: room) { return count }
            _ = try deadline.wait(descriptor, Int16(POLLIN))
        }
    }

    /// Reads what has come, 0 at the peer's end, nil when nothing has.
    private func arrived(into room: UnsafeMutableBufferPointer<UInt8>) throws(SinkFailure) -> Int? {
        let count = Socket.receive(descriptor, into: room)
        if count >= 0 { return count }
        guard count == -Int(EAGAIN) else {
            throw SinkFailure("the connection to \(peer)", code: Int32(-count))
        }
        return nil
    }

    // MARK: - Ending

    /// Ends our half, with close_notify where there is TLS, and waits until the peer has ended its own; then it is closed.
    ///
    /// A peer that ends after us, without a reset, has read all that was sent: a kernel that closes a socket with unread
    /// bytes, or gets bytes for a closed one, resets the connection. Whether the program has *kept* what it read does not
    /// follow: the kernel ends the sockets of a program that died just as well.
    ///
    /// - Shape: true when the peer said close_notify, which a kernel cannot say for a dead program. Bytes that come are
    ///   dropped.
    /// - Errors: a reset; an end that came before everything had reached the peer.
    @discardableResult
    func end(_ deadline: SinkDeadline) throws(SinkFailure) -> Bool {
        guard isOpen else { throw SinkFailure("the connection is closed") }
        defer { close() }
        let isSecured = connection.isActive
        if isSecured {
            connection.close(reply: &sealedOutput)
            try push(deadline)
        }
        let answer = Socket.shutdownWrite(descriptor)
        guard answer == 0 else { throw lost(-answer) }
        var dropped = Buffer(capacity: 16_384)
        var isTold = false
        if isSecured {
            while try take(deadline) {
                repeat {
                    dropped.removeAll()
                    isTold = try unsealLast(into: &dropped) || isTold
                } while !dropped.isEmpty
            }
        } else {
            while try received(into: dropped.writable, deadline) > 0 {}
        }
        guard SinkSocket.isOver(descriptor) else {
            throw SinkFailure("the peer ended the connection before it had everything")
        }
        return isTold
    }

    /// Opens what came after our close_notify, when there is nothing to be said any more.
    private func unsealLast(into buffer: inout Buffer) throws(SinkFailure) -> Bool {
        let step = connection.receive(&sealedInput, into: &buffer, reply: &sealedOutput)
        sealedOutput.removeAll()
        guard step != .failed, step != .plainHTTP else { throw tlsFailure() }
        return step == .ended
    }
}
