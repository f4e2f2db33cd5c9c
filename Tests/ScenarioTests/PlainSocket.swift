import Foundation
import Glibc

/// A TCP socket that is read and written byte by byte as a scenario says; every wait has a deadline.
final class PlainSocket: @unchecked Sendable {
    // Unchecked: each socket is used by the one thread of its role; only `shut` comes from elsewhere.
    let descriptor: Int32
    private(set) var unread: [UInt8] = []
    private(set) var isEnded = false
    private(set) var isReset = false
    private(set) var isClosed = false

    /// How long a peer may take; long, because a busy machine with sanitizers is slow, and only failures wait for it.
    static let patience: TimeInterval =
        ProcessInfo.processInfo.environment["SCENARIO_PATIENCE"].flatMap(TimeInterval.init) ?? 20

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close() }

    static func connect(port: UInt16, receiveBuffer: Int32? = nil) throws -> PlainSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure("socket: \(errno)") }
        let made = PlainSocket(descriptor: descriptor)
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

    static func accept(_ listener: Int32, patience: TimeInterval = PlainSocket.patience) throws
        -> PlainSocket?
    {
        guard wait(listener, Int16(POLLIN), patience) else { return nil }
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { throw SocketFailure("accept: \(errno)") }
        // No gateway may inherit it, or the connection would not end when we close it.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return PlainSocket(descriptor: descriptor)
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func wait(_ descriptor: Int32, _ events: Int16, _ patience: TimeInterval) -> Bool {
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

    func send(_ bytes: [UInt8]) throws {
        // The number of a closed descriptor may be another scenario's by now.
        guard !isClosed else { throw SocketFailure("this side has closed the connection") }
        var sent = 0
        while sent < bytes.count {
            guard Self.wait(descriptor, Int16(POLLOUT), Self.patience) else {
                throw SocketFailure("the peer takes no more bytes (\(sent) of \(bytes.count) were sent)")
            }
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress, min($0.count, 65_536),
                    Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count < 0 {
                if errno == EAGAIN || errno == EINTR { continue }
                throw SocketFailure("send: \(String(cString: strerror(errno)))")
            }
            sent += count
        }
    }

    /// Receives what comes next; false at the end, after a reset, or when nothing came in time.
    @discardableResult
    func receive(patience: TimeInterval = PlainSocket.patience) -> Bool {
        if isEnded || isClosed { return false }
        guard Self.wait(descriptor, Int16(POLLIN), patience) else { return false }
        var block = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &block, block.count, 0)
        if count > 0 {
            unread += block[..<count]
            return true
        }
        isEnded = true
        isReset = count < 0
        return false
    }

    func take(_ count: Int) -> [UInt8] {
        let taken = Array(unread.prefix(count))
        unread.removeFirst(taken.count)
        return taken
    }

    /// Something to read is there already, or the end.
    func hasInput() -> Bool {
        !unread.isEmpty || !isClosed && Self.wait(descriptor, Int16(POLLIN), 0) && receive(patience: 0)
    }

    func shutdownWrite() { if !isClosed { Glibc.shutdown(descriptor, Int32(SHUT_WR)) } }

    /// Closes so that the peer sees a reset.
    func reset() {
        guard !isClosed else { return }
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        Glibc.close(descriptor)
    }
}

struct SocketFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
