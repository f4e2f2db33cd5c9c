import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// A Redis that says what a test wants, on a port of its own, driven by the test's own loop.
final class RedisPeer {
    /// Answers a command, given as its arguments; nil says nothing.
    var answer: ([String]) -> String? = { _ in "+OK\r\n" }
    /// Whole commands in the order in which they came.
    private(set) var commands: [[String]] = []
    private(set) var connectionCount = 0
    let address: SocketAddress
    private var listener: Int32
    private var connections: [(descriptor: Int32, bytes: [UInt8])] = []

    /// Keeps the port from others while nobody listens, or a client that tries again would meet them.
    private let reserved: Int32

    init() throws {
        (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: true)
        reserved = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(reserved, SOL_SOCKET, SO_REUSEPORT, &yes, socklen_t(MemoryLayout<Int32>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = address.port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(reserved, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(bound == 0, "the port is ours")
    }

    deinit {
        close()
        Socket.close(reserved)
    }

    /// Ends everything, so that nobody is there any more.
    func close() {
        hangUp()
        guard listener >= 0 else { return }
        Socket.close(listener)
        listener = -1
    }

    func hangUp() {
        for connection in connections { Socket.close(connection.descriptor) }
        connections = []
    }

    /// Ends all connections once the command that is answered was.
    func hangUpSoon() { isHangingUp = true }

    private var isHangingUp = false

    /// Says something on the last connection.
    func send(_ text: String) {
        guard let connection = connections.last else { return }
        _ = withBytes(text) { Socket.send(connection.descriptor, $0) }
    }

    var port: UInt16 { address.port }

    /// Takes what came and answers it.
    func step() {
        guard listener >= 0 else { return }
        var peer = SocketAddress.none
        while case let descriptor = Socket.accept(listener, from: &peer), descriptor >= 0 {
            connections.append((descriptor, []))
            connectionCount += 1
        }
        for place in connections.indices.reversed() {
            var room = [UInt8](repeating: 0, count: 65_536)
            let count = room.withUnsafeMutableBufferPointer {
                Socket.receive(connections[place].descriptor, into: $0)
            }
            if count > 0 { connections[place].bytes += room[..<count] }
            while let (arguments, rest) = Self.command(connections[place].bytes) {
                connections[place].bytes = rest
                commands.append(arguments)
                guard let text = answer(arguments) else { continue }
                let sent = withBytes(text) { Socket.send(connections[place].descriptor, $0) }
                if sent < 0 { break }
            }
            if isHangingUp {
                isHangingUp = false
                return hangUp()
            }
            if count == 0 {
                Socket.close(connections[place].descriptor)
                connections.remove(at: place)
            }
        }
    }

    /// The first whole command and what follows it.
    private static func command(_ bytes: [UInt8]) -> ([String], [UInt8])? {
        var place = 0
        func number(_ sign: Character) -> Int? {
            guard let end = bytes[place...].firstIndex(of: 13), end + 1 < bytes.count,
                bytes[place] == sign.asciiValue
            else { return nil }
            defer { place = end + 2 }
            return Int(String(decoding: bytes[(place + 1)..<end], as: UTF8.self))
        }
        guard !bytes.isEmpty, let count = number("*") else { return nil }
        var arguments: [String] = []
        for _ in 0..<count {
            guard place < bytes.count, let length = number("$"), place + length + 2 <= bytes.count else {
                return nil
            }
            arguments.append(String(decoding: bytes[place..<(place + length)], as: UTF8.self))
            place += length + 2
        }
        return (arguments, Array(bytes[place...]))
    }
}

// MARK: - Peers that answer as a Redis does

extension RedisPeer {
    /// What a Redis says that is no cluster and takes everything: every bucket allows, and its debt is paid in a millisecond.
    static func allow(_ arguments: [String]) -> String {
        switch arguments[0] {
        case "EVAL", "EVALSHA":
            let count = Int(arguments[2]) ?? 0
            return "*\(1 + 2 * count)\r\n:1000000\r\n" + String(repeating: ":0\r\n:1000\r\n", count: count)
        case "SCRIPT": return "$1\r\nx\r\n"
        case "XADD": return "$15\r\n1795357770499-0\r\n"
        case "CLUSTER": return "-ERR This instance has cluster support disabled\r\n"
        case "ROLE": return "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
        default: return "+OK\r\n"
        }
    }

    static func allowing() throws -> RedisPeer {
        let peer = try RedisPeer()
        peer.answer = allow
        return peer
    }

    /// A Sentinel that names what `port` says.
    static func sentinel(_ port: @escaping () -> UInt16) throws -> RedisPeer {
        let peer = try RedisPeer()
        peer.answer = { arguments in
            guard arguments[0] == "SENTINEL" else { return "-ERR unknown command\r\n" }
            let digits = "\(port())"
            return "*2\r\n$9\r\n127.0.0.1\r\n$\(digits.utf8.count)\r\n\(digits)\r\n"
        }
        return peer
    }

    /// Whether a command asks about buckets for a request.
    static func isCall(_ arguments: [String]) -> Bool {
        arguments[0].hasPrefix("EVAL") && !arguments[3].hasSuffix(":probe")
    }

    var calls: [[String]] { commands.filter(Self.isCall) }
}

extension Settings.Redis {
    /// A Redis at `port` of this machine, with more time than a busy machine takes.
    init(port: UInt16, deadline: Duration = .milliseconds(500)) {
        let address = NetworkAddress(host: "127.0.0.1", port: port)
        self.init(endpoints: [Settings.Endpoint(address: address, url: "redis://\(address)")])
        self.deadline = deadline
    }
}
