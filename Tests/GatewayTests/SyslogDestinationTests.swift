import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// What a sink for syslog takes for an acknowledgement.
struct SyslogDestinationTests {
    private let stop = StopSignal()

    private func destination(_ transport: Settings.Syslog.Transport, _ port: UInt16) throws
        -> SyslogDestination
    {
        var settings = Settings.Syslog(
            transport: transport, address: NetworkAddress(host: "127.0.0.1", port: port))
        settings.hostname = "gate"
        if transport == .tls {
            settings.tls = Settings.ClientTLS()
            settings.tls?.ca = SinkPeerConnection.path("ca.crt")
            settings.tls?.serverName = "localhost"
        }
        return try SyslogDestination(settings)
    }

    private func send(_ numbers: ClosedRange<Int>, to destination: SyslogDestination) throws {
        try withBytes("0123456789abcdef") { writer in
            for number in numbers {
                try withBytes(MadeEvent(id: number).text) { content in
                    try destination.send(
                        [SinkEvent(writer: writer, sequence: UInt64(number), content: content)],
                        stop.deadline())
                }
            }
        }
    }

    /// The sequence numbers in frames of RFC 6587 §3.4.1; nil when they are none.
    private func numbers(_ bytes: [UInt8]) -> [Int]? {
        var found: [Int] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let space = rest.firstIndex(of: 0x20),
                let count = Int(String(decoding: rest[..<space], as: UTF8.self)),
                rest.count > space - rest.startIndex + count
            else { return nil }
            let message = String(decoding: rest[(space + 1)..<(space + 1 + count)], as: UTF8.self)
            rest = rest[(space + 1 + count)...]
            guard message.hasPrefix("<110>1 "), message.hasSuffix("}"),
                let place = message.range(of: "sequenceId=\""),
                let number = Int(message[place.upperBound...].prefix { $0.isNumber })
            else { return nil }
            found.append(number)
        }
        return found
    }

    @Test func `over TCP a second connection says that the receiver lives`() throws {
        let peer = try SinkPeer()
        let played = Played {
            [try peer.accept().readToEnd(), try peer.accept().readToEnd(), try peer.accept().readToEnd()]
        }
        let destination = try destination(.tcp, peer.address.port)
        try send(1...300, to: destination)
        try destination.settle(stop.deadline())
        // With nothing sent there is nothing to settle.
        try destination.settle(stop.deadline())
        try send(301...301, to: destination)
        destination.close()
        let connections = try played.value()
        #expect(numbers(connections[0]) == Array(1...300))
        #expect(connections[1].isEmpty)
        #expect(numbers(connections[2]) == [301])
    }

    @Test func `a receiver that died with what it had read has nothing`() throws {
        let peer = try SinkPeer()
        let played = Played {
            let connection = try peer.accept()
            let bytes = try connection.readToEnd()
            // As the kernel does for a program that was killed: the connections end, then nobody listens.
            connection.close()
            Socket.close(peer.giveUp())
            return bytes
        }
        let destination = try destination(.tcp, peer.address.port)
        try send(1...3, to: destination)
        #expect(throws: SinkFailure.self) { try destination.settle(stop.deadline()) }
        #expect(numbers(try played.value()) == [1, 2, 3])
    }

    @Test func `over TLS close_notify is enough, and its lack asks for a second connection`() throws {
        let peer = try SinkPeer()
        let played = Played {
            var heard: [[UInt8]] = []
            for saysGoodbye in [true, false, true] {
                let connection = try peer.accept()
                try #require(connection.secure())
                heard.append(try connection.readToEnd())
                if saysGoodbye { connection.closeNotify() }
            }
            return heard
        }
        let destination = try destination(.tls, peer.address.port)
        try send(1...2, to: destination)
        try destination.settle(stop.deadline())
        try send(3...4, to: destination)
        try destination.settle(stop.deadline())
        let heard = try played.value()
        #expect(heard.map { numbers($0) } == [[1, 2], [3, 4], []])
    }

    @Test func `over UDP each event is a datagram, and a refusal is heard`() throws {
        let receiver = try DatagramPeer()
        let destination = try destination(.udp, receiver.port)
        try send(1...50, to: destination)
        try destination.settle(stop.deadline())
        for number in 1...50 {
            let message = try #require(receiver.read())
            #expect(message.contains("[meta sequenceId=\"\(number)\"] {"))
        }
        receiver.close()
        try send(51...51, to: destination)
        let failure = #expect(throws: SinkFailure.self) { try destination.settle(stop.deadline()) }
        #expect(
            failure?.description
                == "datagrams to 127.0.0.1:\(receiver.port): Connection refused (ECONNREFUSED)")
        // A failure is followed by an end, and by another beginning.
        destination.close()
        try send(52...52, to: destination)
        destination.close()
    }
}

/// A port that datagrams come to.
private final class DatagramPeer {
    private(set) var descriptor: Int32
    let port: UInt16

    init() throws {
        let made = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(made, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        descriptor = made
        port = Socket.localAddress(made)?.port ?? 0
        try #require(bound == 0 && port != 0)
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    func read() -> String? {
        guard SinkPeer.isReady(descriptor, POLLIN) else { return nil }
        var room = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &room, room.count, 0)
        return count > 0 ? String(decoding: room[..<count], as: UTF8.self) : nil
    }
}
