import Foundation
import Glibc

/// A TCP socket that is read and written byte by byte as a scenario says, with TLS over it or without; every wait has a
/// deadline.
final class PlainSocket: Wire, @unchecked Sendable {
    // Unchecked: each socket is used by the one thread of its role, or of its HTTP/2 connection.
    let descriptor: Int32
    let tls: TLSLayer?
    override var failure: String? { tls?.failure }

    /// - Parameter tls: what is said in TLS; its handshake happens as part of the first reading and writing.
    init(descriptor: Int32, tls: TLSSettings? = nil) throws {
        self.descriptor = descriptor
        self.tls = try tls.map { try TLSLayer($0, descriptor) }
        super.init()
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close() }

    /// OpenSSL knows no flag to a single call.
    private func stopBlocking() {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    static func connect(port: UInt16, receiveBuffer: Int32? = nil, tls: TLSSettings? = nil) throws
        -> PlainSocket
    {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure("socket: \(errno)") }
        let made = try PlainSocket(descriptor: descriptor, tls: tls)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = loopback(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            throw SocketFailure("connect to \(port): \(String(cString: strerror(errno)))")
        }
        made.stopBlocking()
        return made
    }

    /// A bound socket on a port that the kernel chose; refuses connections until it listens.
    static func bind() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard result == 0 else { throw SocketFailure("bind: \(errno)") }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    static func accept(
        _ listener: Int32, patience: TimeInterval = Wire.patience, tls: TLSSettings? = nil
    ) throws -> PlainSocket? {
        guard wait(listener, Int16(POLLIN), patience) else { return nil }
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { throw SocketFailure("accept: \(errno)") }
        // No gateway may inherit it, or the connection would not end when we close it.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        let made = try PlainSocket(descriptor: descriptor, tls: tls)
        made.stopBlocking()
        return made
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    static func wait(_ descriptor: Int32, _ events: Int16, _ patience: TimeInterval) -> Bool {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        let end = Date(timeIntervalSinceNow: patience)
        while true {
            let left = Int32(max(0, end.timeIntervalSinceNow) * 1_000)
            let result = poll(&entry, 1, left)
            if result > 0 { return true }
            if result == 0 { return false }
            guard errno == EINTR else { return false }
        }
    }

    /// What one attempt at reading or writing came to.
    enum Progress { case bytes(Int), wait(Int16), ended, failed }

    /// Reads what is there, without waiting.
    func readSome(_ block: inout [UInt8]) -> Progress {
        if let tls { return tls.read(&block) }
        let count = recv(descriptor, &block, block.count, Int32(MSG_DONTWAIT))
        if count > 0 { return .bytes(count) }
        if count == 0 { return .ended }
        return errno == EAGAIN || errno == EINTR ? .wait(Int16(POLLIN)) : .failed
    }

    /// Writes what the kernel takes, without waiting.
    func writeSome(_ bytes: ArraySlice<UInt8>) -> Progress {
        let piece = bytes.prefix(65_536)
        if let tls { return tls.write(piece) }
        let count = piece.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
        if count >= 0 { return .bytes(count) }
        return errno == EAGAIN || errno == EINTR ? .wait(Int16(POLLOUT)) : .failed
    }

    override func send(_ bytes: [UInt8]) throws {
        // The number of a closed descriptor may be another scenario's by now.
        guard !isClosed else { throw SocketFailure("this side has closed the connection") }
        var sent = 0
        while sent < bytes.count {
            switch writeSome(bytes[sent...]) {
            case .bytes(let count): sent += count
            case .wait(let events):
                guard Self.wait(descriptor, events, Self.patience) else {
                    throw SocketFailure(
                        "the peer takes no more bytes (\(sent) of \(bytes.count) were sent)")
                }
            case .ended, .failed:
                throw SocketFailure("send: \(tls?.failure ?? String(cString: strerror(errno)))")
            }
        }
    }

    @discardableResult
    override func receive(patience: TimeInterval = Wire.patience) -> Bool {
        if isEnded || isClosed { return false }
        let end = Date(timeIntervalSinceNow: patience)
        var block = [UInt8](repeating: 0, count: 65_536)
        while true {
            switch readSome(&block) {
            case .bytes(let count):
                unread += block[..<count]
                return true
            case .wait(let events):
                guard Self.wait(descriptor, events, end.timeIntervalSinceNow) else { return false }
            case .ended:
                isEnded = true
                return false
            case .failed:
                // An end without TLS's own alert is a failure too: it may have been cut by anybody.
                isEnded = true
                isReset = true
                return false
            }
        }
    }

    override func awaitPeerSubject() -> String? {
        guard let tls else { return nil }
        let end = Date(timeIntervalSinceNow: Self.patience)
        while !tls.isEstablished {
            guard case .wait(let events) = tls.shakeHands(),
                Self.wait(descriptor, events, end.timeIntervalSinceNow)
            else { break }
        }
        return tls.peerSubject
    }

    override func shutdownWrite() {
        guard !isClosed else { return }
        tls?.sayEnd()
        Glibc.shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Says that no more comes; `close` follows once the peer has taken what was said.
    func beginEnd() { shutdownWrite() }

    /// Waits a moment for the peer to end too, since a reset for what is not read would overtake what was said last.
    func awaitPeersEnd() {
        guard !isClosed else { return }
        var block = [UInt8](repeating: 0, count: 65_536)
        let end = Date(timeIntervalSinceNow: 1)
        while Self.wait(descriptor, Int16(POLLIN), end.timeIntervalSinceNow),
            recv(descriptor, &block, block.count, Int32(MSG_DONTWAIT)) > 0
        {}
    }

    override func reset() {
        guard !isClosed else { return }
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        end()
    }

    override func close() {
        guard !isClosed else { return }
        tls?.sayEnd()
        end()
    }

    private func end() {
        super.close()
        Glibc.close(descriptor)
    }
}
