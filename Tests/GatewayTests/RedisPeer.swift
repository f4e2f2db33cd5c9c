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

    init() throws {
        (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: false)
    }

    /// Keeps the port from others while nobody listens, or a client that tries again would meet them.
    private var reserved: Int32 = -1

    deinit {
        close()
        if reserved >= 0 { Socket.close(reserved) }
    }

    /// Ends everything, so that nobody is there any more.
    func close() {
        hangUp()
        guard listener >= 0 else { return }
        Socket.close(listener)
        listener = -1
        reserved = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(reserved, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = address.port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(reserved, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(bound == 0, "the port was ours a moment ago")
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

/// A client of a store with a loop of its own, which the test turns.
final class StoreLoop {
    let client: LimitStoreClient
    let poller: Poller
    private(set) var answers: [(handle: Handle, answers: StoreAnswers?)] = []
    private let events = UnsafeMutableBufferPointer<Readiness>.allocate(capacity: 64)
    var peers: [RedisPeer]

    init(_ settings: Settings.Redis, peers: [RedisPeer]) throws {
        events.initialize(repeating: Readiness())
        self.peers = peers
        poller = try Poller()
        client = try LimitStoreClient(
            LimitStore(settings), tls: try settings.tls?.makeContext(offersHTTP2: false), slot: 1,
            now: MonotonicClock.now())
        #expect(poller.add(client.alarm.descriptor, .read, tag: client.tag(0)) == 0)
    }

    deinit { events.deallocate() }

    /// One round: what the peers have to say, then what the kernel has to tell, then what is to be sent.
    func turn(waiting milliseconds: Int32 = 1) {
        for peer in peers { peer.step() }
        let count = poller.collect(into: events, waiting: milliseconds)
        let now = MonotonicClock.now()
        for event in events[..<count] {
            client.ready(Tag.read(event.tag).handle.generation, event, poller, now: now)
        }
        client.flush(poller, now: now)
        answers += client.answered
        client.answered.removeAll()
        if let place = client.nameToResolve {
            client.nameToResolve = nil
            client.resolved(
                place, try? Resolver.resolve(host: place.host, port: place.port), poller, now: now)
        }
    }

    /// Turns until `isDone`; false when that takes more than five seconds.
    func run(until isDone: (StoreLoop) -> Bool) -> Bool {
        let end = MonotonicClock.now() + 5_000_000_000
        while !isDone(self) {
            guard MonotonicClock.now() < end else { return false }
            turn()
        }
        return true
    }

    /// Asks about buckets of one microsecond a request and a burst of `burst`.
    func ask(
        _ number: UInt32, keys: [String] = ["create:project=p"], cost: UInt64 = 1_000,
        tolerance: UInt64 = 10_000
    )
        -> Bool
    {
        var demand = StoreDemand()
        for key in keys {
            demand.keys.append(key)
            _ = demand.add(StoreDemand.Bucket(cost: cost, tolerance: tolerance))
        }
        return client.ask(Handle(index: number, generation: 1), demand, now: MonotonicClock.now())
    }
}

extension Settings.Redis {
    /// A Redis at `port` of this machine, with more time than a busy machine takes.
    init(port: UInt16, deadline: Duration = .milliseconds(500)) {
        let address = NetworkAddress(host: "127.0.0.1", port: port)
        self.init(endpoints: [Settings.Endpoint(address: address, url: "redis://\(address)")])
        self.deadline = deadline
    }
}
