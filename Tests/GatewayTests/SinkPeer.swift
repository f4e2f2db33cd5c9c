import Bytes
import COpenSSL
import Foundation
import Loop
import Testing

@testable import Gateway

/// A receiver that a test plays itself, on a port of its own; its calls wait, at most half a minute.
final class SinkPeer: Sendable {
    private let kept = Guarded<Int32>(-1)
    let address: SocketAddress

    init(backlog: Int32 = 16) throws {
        let listener: Int32
        (listener, address) = try Socket.listen(.loopback(port: 0), backlog: backlog, reusePort: false)
        kept.withLock { $0 = listener }
    }

    deinit { if listener >= 0 { Socket.close(listener) } }

    private var listener: Int32 { kept.withLock { $0 } }

    /// The listener, which is the caller's from here on.
    func giveUp() -> Int32 {
        kept.withLock { listener in
            defer { listener = -1 }
            return listener
        }
    }

    var place: NetworkAddress { NetworkAddress(host: "127.0.0.1", port: address.port) }

    /// Takes the next connection.
    func accept() throws -> SinkPeerConnection {
        var from = SocketAddress.none
        while true {
            let descriptor = Socket.accept(listener, from: &from)
            if descriptor >= 0 { return SinkPeerConnection(descriptor) }
            try #require(descriptor == -EAGAIN)
            try #require(SinkPeer.isReady(listener, POLLIN))
        }
    }

    /// Waits for events of poll(2); false when they do not come.
    static func isReady(_ descriptor: Int32, _ events: Int32, milliseconds: Int32 = 30_000) -> Bool {
        var place = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&place, 1, milliseconds) > 0
    }

    /// Runs `body` with the next connection, on a thread of its own.
    func serve<Value: Sendable>(_ body: @escaping @Sendable (SinkPeerConnection) throws -> Value) -> Played<
        Value
    > {
        Played { [self] in try body(try accept()) }
    }
}

/// What a thread of a test comes to.
final class Played<Value: Sendable>: Sendable {
    private let outcome = Guarded<Result<Value, any Error>?>(nil)
    private let isOver = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () throws -> Value) {
        Thread.detachNewThread { [self] in
            // OpenSSL writes to sockets whose other end may be gone by then; the signal would be this thread's.
            var signals = sigset_t()
            sigemptyset(&signals)
            sigaddset(&signals, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &signals, nil)
            let result = Result { try body() }
            outcome.withLock { $0 = result }
            isOver.signal()
        }
    }

    func value() throws -> Value {
        try #require(isOver.wait(timeout: .now() + 60) == .success, "the peer does not come to an end")
        return try outcome.withLock { $0 }!.get()
    }
}

/// One connection of a `SinkPeer`, plain or with TLS by OpenSSL alone.
final class SinkPeerConnection: @unchecked Sendable {
    // Unchecked: one thread at a time has it.
    private var descriptor: Int32
    private var ssl: OpaquePointer?

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        // Its calls wait, unlike those of the sockets of `Loop`.
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        if let ssl { SSL_free(ssl) }
        close()
    }

    /// Makes the handshake as the server of a fixture's name; false when it fails.
    func secure(_ server: SinkPeerTLS = SinkPeerTLS()) -> Bool {
        ssl = SSL_new(server.context)
        SSL_set_fd(ssl, descriptor)
        return SSL_accept(ssl) == 1
    }

    /// Whether the handshake resumed a session.
    var isResumed: Bool { ssl.map { SSL_session_reused($0) == 1 } ?? false }

    static func path(_ name: String) -> String {
        String(#filePath.dropLast("GatewayTests/SinkPeer.swift".count)) + "Certificates/" + name
    }

    /// Some bytes, none at the end, nil after an error.
    func readSome(atMost capacity: Int = 65_536) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: capacity)
        let count =
            if let ssl { Int(SSL_read(ssl, &room, Int32(room.count))) } else {
                recv(descriptor, &room, room.count, 0)
            }
        if count > 0 { return Array(room[..<count]) }
        if let ssl { return SSL_get_error(ssl, Int32(count)) == SSL_ERROR_ZERO_RETURN ? [] : nil }
        return count == 0 ? [] : nil
    }

    /// Everything until the end.
    func readToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let piece = try #require(readSome(), "the connection ended with an error")
            if piece.isEmpty { return bytes }
            bytes += piece
        }
    }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        if let ssl {
            SSL_write(ssl, bytes, Int32(bytes.count))
        } else {
            Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
    }

    /// Waits until there is something to read.
    func waitForBytes() -> Bool { SinkPeer.isReady(descriptor, POLLIN) }

    func closeNotify() { if let ssl { SSL_shutdown(ssl) } }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }
}

/// What connections of a peer share, which is what sessions are resumed by.
final class SinkPeerTLS: @unchecked Sendable {
    // Unchecked: OpenSSL locks what it changes in it.
    let context: OpaquePointer?

    init(asksForCertificate: Bool = false) {
        context = SSL_CTX_new(TLS_server_method())
        SSL_CTX_use_certificate_chain_file(context, SinkPeerConnection.path("localhost-ecdsa.crt"))
        SSL_CTX_use_PrivateKey_file(
            context, SinkPeerConnection.path("localhost-ecdsa.key"), SSL_FILETYPE_PEM)
        if asksForCertificate {
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
    }

    deinit { SSL_CTX_free(context) }
}

/// Something that ends a wait, a sink's by its deadline or a test's own, in another thread.
final class StopSignal: Sendable {
    let ends: (read: Int32, write: Int32)

    init() {
        var pair: [Int32] = [-1, -1]
        let made = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair)
        precondition(made == 0, "a pair of sockets can be made")
        ends = (pair[0], pair[1])
    }

    deinit {
        Glibc.close(ends.read)
        Glibc.close(ends.write)
    }

    func send() {
        var byte: UInt8 = 1
        Glibc.write(ends.write, &byte, 1)
    }

    /// Waits for one `send` and takes it back; false when it does not come.
    func wait() -> Bool {
        var byte: UInt8 = 0
        return SinkPeer.isReady(ends.read, POLLIN) && Glibc.read(ends.read, &byte, 1) == 1
    }

    /// A deadline that this ends before its time.
    func deadline(_ duration: Duration = .seconds(30)) -> SinkDeadline {
        SinkDeadline(duration, stopDescriptor: ends.read)
    }
}
