import Bytes
import Foundation
import Glibc
import Loop

@testable import Gateway

/// A broker that says what a test wants, on a port and a thread of its own; its bytes are made and read here by hand.
final class RabbitPeer: @unchecked Sendable {
    let address: SocketAddress
    private let listener: Int32
    private let thread: Thread

    /// Runs `script` for each connection, one after the other; it throws when the peer is gone.
    init(_ script: @escaping @Sendable (Talk, _ number: Int) throws -> Void) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 8) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        precondition(bound)
        address = SocketAddress(ip: IPAddress(parsing: "127.0.0.1")!, port: UInt16(bigEndian: name.sin_port))
        self.listener = listener
        thread = Thread {
            var number = 0
            while case let descriptor = accept(listener, nil, nil), descriptor >= 0 {
                try? script(Talk(descriptor), number)
                Glibc.close(descriptor)
                number += 1
            }
            Glibc.close(listener)
        }
        thread.start()
    }

    /// Accepts nothing more; the thread ends with its script.
    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    struct Gone: Error {}

    /// One connection of it.
    final class Talk {
        let descriptor: Int32

        init(_ descriptor: Int32) {
            self.descriptor = descriptor
            // Nobody waits longer than a test may take.
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }

        func read(_ count: Int) throws -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            var done = 0
            while done < count {
                let more = bytes.withUnsafeMutableBytes {
                    recv(descriptor, $0.baseAddress! + done, count - done, 0)
                }
                guard more > 0 else { throw Gone() }
                done += more
            }
            return bytes
        }

        func write(_ bytes: [UInt8]) throws {
            guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
                throw Gone()
            }
        }

        /// The next frame: its kind, its channel and its payload.
        func frame() throws -> (kind: UInt8, channel: Int, payload: [UInt8]) {
            let head = try read(7)
            let size = head[3...6].reduce(0) { $0 << 8 | Int($1) }
            let payload = try read(size)
            guard try read(1) == [0xCE] else { throw Gone() }
            return (head[0], Int(head[1]) << 8 | Int(head[2]), payload)
        }

        /// The arguments of the next method, which has to be this one.
        func method(_ number: UInt32) throws -> [UInt8] {
            let found = try frame()
            guard found.kind == 1, found.payload.prefix(4).elementsEqual(Self.number(number, 4)) else {
                throw Gone()
            }
            return Array(found.payload.dropFirst(4))
        }

        func send(_ number: UInt32, _ arguments: [UInt8] = [], channel: UInt8 = 1) throws {
            let payload = Self.number(number, 4) + arguments
            try write(Self.joined([1, 0, channel], Self.number(UInt32(payload.count), 4), payload, [0xCE]))
        }

        static func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

        static func number(_ value: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }

        static func short(_ text: String) -> [UInt8] { joined([UInt8(text.utf8.count)], Array(text.utf8)) }
        static func long(_ text: String) -> [UInt8] {
            joined(number(UInt32(text.utf8.count), 4), Array(text.utf8))
        }
        static func refusal(_ code: UInt32, _ text: String) -> [UInt8] {
            joined(number(code, 2), short(text), [0, 0, 0, 0])
        }

        /// Takes the login; the arguments of start-ok, tune-ok and open.
        @discardableResult
        func logIn(frameLimit: UInt32 = 131_072) throws -> [[UInt8]] {
            guard try read(8) == [0x41, 0x4D, 0x51, 0x50, 0, 0, 9, 1] else { throw Gone() }
            try send(
                0x000A_000A,
                Self.joined([0, 9, 0, 0, 0, 0], Self.long("AMQPLAIN PLAIN"), Self.long("en_US")), channel: 0
            )
            let start = try method(0x000A_000B)
            try send(0x000A_001E, Self.joined([7, 0xFF], Self.number(frameLimit, 4), [0, 60]), channel: 0)
            let tune = try method(0x000A_001F)
            let open = try method(0x000A_0028)
            try send(0x000A_0029, Self.short(""), channel: 0)
            return [start, tune, open]
        }

        /// Takes the channel with what is declared on it; the arguments of the declarations and the binding.
        @discardableResult
        func open() throws -> [[UInt8]] {
            _ = try method(0x0014_000A)
            try send(0x0014_000B, Self.long(""))
            let exchange = try method(0x0028_000A)
            try send(0x0028_000B)
            let queue = try method(0x0032_000A)
            try send(0x0032_000B, Self.joined(Self.short("notifications.info"), [0, 0, 0, 0, 0, 0, 0, 0]))
            let binding = try method(0x0032_0014)
            try send(0x0032_0015)
            try select()
            return [exchange, queue, binding]
        }

        func select() throws {
            _ = try method(0x0055_000A)
            try send(0x0055_000B)
        }

        /// The next message: the arguments of basic.publish, the header's payload, the content and its frames' sizes.
        func message() throws -> (publish: [UInt8], header: [UInt8], content: [UInt8], sizes: [Int]) {
            let publish = try method(0x003C_0028)
            let header = try frame()
            guard header.kind == 2 else { throw Gone() }
            let size = header.payload[4..<12].reduce(0) { $0 << 8 | Int($1) }
            var content: [UInt8] = []
            var sizes: [Int] = []
            while content.count < size {
                let body = try frame()
                guard body.kind == 3 else { throw Gone() }
                content += body.payload
                sizes.append(body.payload.count + 8)
            }
            return (publish, header.payload, content, sizes)
        }

        /// Ends our half, and returns once the other side's kernel has all of it.
        func end() throws {
            shutdown(descriptor, Int32(SHUT_WR))
            let deadline = MonotonicClock.now() + 20_000_000_000
            while MonotonicClock.now() < deadline {
                // The state is the first byte of `struct tcp_info`; 5 is FIN_WAIT2.
                var state: UInt64 = 0
                var byteCount = socklen_t(MemoryLayout<UInt64>.size)
                let answer = getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &state, &byteCount)
                if answer == 0, withUnsafeBytes(of: state, { $0[0] }) == 5 { return }
                usleep(1_000)
            }
            throw Gone()
        }

        func confirm(_ number: UInt32, isMultiple: Bool = false) throws {
            try send(0x003C_0050, Self.joined([0, 0, 0, 0], Self.number(number, 4), [isMultiple ? 1 : 0]))
        }
    }
}
