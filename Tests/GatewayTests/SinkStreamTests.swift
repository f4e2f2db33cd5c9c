import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// What a sink's connection says of a receiver that does as a test says.
struct SinkStreamTests {
    private let stop = StopSignal()

    private func stream(_ peer: SinkPeer) -> SinkStream {
        SinkStream(peer.place, tls: nil, serverName: "localhost")
    }

    private func secured(_ peer: SinkPeer, ca: String = "ca.crt", name: String = "localhost") throws
        -> SinkStream
    {
        var settings = Settings.ClientTLS()
        settings.ca = SinkPeerConnection.path(ca)
        return SinkStream(peer.place, tls: try settings.makeContext(offersHTTP2: false), serverName: name)
    }

    /// The reason for which `body` failed.
    private func reason(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return "\(error)" }
        return nil
    }

    private func send(_ text: String, on stream: SinkStream) throws {
        try withBytes(text) { try stream.send($0, stop.deadline()) }
    }

    /// An address where nobody listens and, as long as `socket` is open, nobody else can.
    private func deaf() throws -> (descriptor: Int32, address: SocketAddress) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(bound == 0)
        return (descriptor, try #require(Socket.localAddress(descriptor)))
    }

    // MARK: - Opening

    @Test func `a refused connection is told with its address`() throws {
        let (descriptor, address) = try deaf()
        defer { Glibc.close(descriptor) }
        let stream = SinkStream(
            NetworkAddress(host: "127.0.0.1", port: address.port), tls: nil, serverName: "localhost")
        #expect(
            reason { try stream.open(stop.deadline()) }
                == "connect to \(address): Connection refused (ECONNREFUSED)")
        #expect(!stream.isOpen)
    }

    @Test func `the next address is tried after one that refuses and one that does not answer`() throws {
        let (descriptor, refusing) = try deaf()
        defer { Glibc.close(descriptor) }
        // A queue for one connection, which is full: the kernel leaves all others without an answer.
        let full = try SinkPeer(backlog: 0)
        let queued = (0..<3).map { _ in Socket.connect(full.address).descriptor }
        defer { for connection in queued { Socket.close(connection) } }
        let peer = try SinkPeer()
        let stream = stream(peer)
        try stream.open(at: [refusing, full.address, peer.address], stop.deadline(.seconds(6)))
        #expect(stream.isOpen)
        #expect(stream.peer == peer.address)
    }

    @Test func `a name is looked up, and one that cannot be is told`() throws {
        let peer = try SinkPeer()
        let stream = SinkStream(
            NetworkAddress(host: "localhost", port: peer.address.port), tls: nil, serverName: "localhost")
        try stream.open(stop.deadline())
        #expect(stream.peer == peer.address)
        let nobody = SinkStream(NetworkAddress(host: "a..b", port: 1), tls: nil, serverName: "localhost")
        let said = try #require(reason { try nobody.open(stop.deadline()) })
        #expect(said.hasPrefix("cannot resolve a..b: "))
    }

    // MARK: - Waiting

    @Test func `a receiver that says nothing is late`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        try stream.open(stop.deadline())
        var buffer = Buffer(capacity: 16)
        #expect(
            reason {
                _ = try stream.receive(into: &buffer, stop.deadline(.milliseconds(50)))
            } == "no answer in time")
        #expect(!stream.isOpen)
    }

    @Test func `a receiver that takes nothing is late`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        try stream.open(stop.deadline())
        let bytes = [UInt8](repeating: 0x78, count: 64 << 20)
        #expect(
            reason {
                try bytes.withUnsafeBufferPointer {
                    try stream.send($0, stop.deadline(.milliseconds(300)))
                }
            } == "no answer in time")
        #expect(!stream.isOpen)
    }

    @Test func `the end of the sink ends a wait`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        let stop = stop
        let served = peer.serve { connection in
            _ = connection.waitForBytes()
            stop.send()
            return connection
        }
        try stream.open(stop.deadline())
        try send("x", on: stream)
        var buffer = Buffer(capacity: 16)
        #expect(
            reason {
                _ = try stream.receive(into: &buffer, stop.deadline(.seconds(600)))
            } == "Gatehouse stops")
        #expect(!stream.isOpen)
        _ = try served.value()
    }

    // MARK: - Content

    @Test func `a slow receiver gets every byte`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        let served = peer.serve { connection in
            var bytes: [UInt8] = []
            while true {
                // Pieces that are no parts of what was sent, so that the kernel has room for odd pieces too.
                let piece = try #require(connection.readSome(atMost: 9_973))
                if piece.isEmpty { return bytes }
                bytes += piece
            }
        }
        try stream.open(stop.deadline())
        var random = SeededNumbers(seed: 7)
        let bytes = (0..<8 << 20).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try bytes.withUnsafeBufferPointer { try stream.send($0, stop.deadline()) }
        #expect(try stream.end(stop.deadline()) == false)
        #expect(try served.value() == bytes)
    }

    @Test(arguments: [false, true]) func `words go both ways`(isSecured: Bool) throws {
        let peer = try SinkPeer()
        let stream = isSecured ? try secured(peer) : stream(peer)
        let served = peer.serve { connection in
            if isSecured { try #require(connection.secure()) }
            connection.write("first")
            let heard = connection.readSome()
            connection.write("second")
            connection.closeNotify()
            return heard
        }
        try stream.open(stop.deadline())
        try send("hello", on: stream)
        var buffer = Buffer(capacity: 7)
        var said = ""
        while try stream.receive(into: &buffer, stop.deadline()) {
            said += buffer.readable.string
            buffer.removeAll()
        }
        #expect(said == "firstsecond")
        #expect(try served.value() == Array("hello".utf8))
    }

    @Test(arguments: [false, true]) func `a look at what has come does not wait`(isSecured: Bool) throws {
        let peer = try SinkPeer()
        let stream = isSecured ? try secured(peer) : stream(peer)
        let speaks = StopSignal()
        let served = peer.serve { connection in
            if isSecured { try #require(connection.secure()) }
            _ = speaks.wait()
            connection.write("word")
            _ = speaks.wait()
            connection.closeNotify()
        }
        try stream.open(stop.deadline())
        var buffer = Buffer(capacity: 16)
        #expect(try stream.receiveArrived(into: &buffer, stop.deadline()))
        #expect(buffer.readable.isEmpty)
        speaks.send()
        let end = MonotonicClock.now() + 30_000_000_000
        while buffer.count < 4, MonotonicClock.now() < end {
            try #require(try stream.receiveArrived(into: &buffer, stop.deadline()))
        }
        #expect(buffer.readable.string == "word")
        speaks.send()
        while try stream.receiveArrived(into: &buffer, stop.deadline()), MonotonicClock.now() < end {}
        #expect(buffer.count == 4 && MonotonicClock.now() < end)
        try served.value()
    }

    // MARK: - Ending

    @Test(arguments: [false, true]) func `the end is over when the receiver has read everything and ended`(
        isSecured: Bool
    ) throws {
        let peer = try SinkPeer()
        let stream = isSecured ? try secured(peer) : stream(peer)
        let hasEnded = Guarded(false)
        let served = peer.serve { connection in
            if isSecured { try #require(connection.secure()) }
            connection.write("what nobody asked for")
            let bytes = try connection.readToEnd()
            hasEnded.withLock { $0 = true }
            connection.closeNotify()
            return bytes
        }
        try stream.open(stop.deadline())
        try send("all of it", on: stream)
        #expect(try stream.end(stop.deadline()) == isSecured)
        #expect(hasEnded.withLock { $0 })
        #expect(!stream.isOpen)
        #expect(try served.value() == Array("all of it".utf8))
        // And it is of use again.
        let again = peer.serve { connection in
            if isSecured { try #require(connection.secure()) }
            let bytes = try connection.readToEnd()
            connection.closeNotify()
            return bytes
        }
        try stream.open(stop.deadline())
        try send("more", on: stream)
        try stream.end(stop.deadline())
        #expect(try again.value() == Array("more".utf8))
    }

    @Test func `a receiver that does not end is late`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        try stream.open(stop.deadline())
        try send("x", on: stream)
        #expect(
            reason { try stream.end(stop.deadline(.milliseconds(50))) }
                == "no answer in time")
    }

    @Test func `a receiver that ends with unread bytes has not got them`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        try stream.open(stop.deadline())
        try send("x", on: stream)
        let connection = try peer.accept()
        #expect(connection.waitForBytes())
        connection.close()
        #expect(reason { try stream.end(stop.deadline()) } != nil)
    }

    @Test func `a receiver that ended before the last bytes has not got them`() throws {
        let peer = try SinkPeer()
        let stream = stream(peer)
        try stream.open(stop.deadline())
        try send("x", on: stream)
        let connection = try peer.accept()
        #expect(connection.readSome() == [0x78])
        connection.close()
        #expect(
            reason {
                try withBytes("y") { try stream.send($0, stop.deadline()) }
                try stream.end(stop.deadline())
            } != nil)
        #expect(!stream.isOpen)
    }

    // MARK: - TLS

    @Test func `an end without close_notify is the kernel's word alone, and cuts what is received`() throws {
        let peer = try SinkPeer()
        let stream = try secured(peer)
        let body: @Sendable (SinkPeerConnection) throws -> [UInt8] = { connection in
            try #require(connection.secure())
            let bytes = try connection.readToEnd()
            connection.close()
            return bytes
        }
        var served = peer.serve(body)
        try stream.open(stop.deadline())
        try send("x", on: stream)
        #expect(try stream.end(stop.deadline()) == false)
        #expect(try served.value() == [0x78])

        served = peer.serve { connection in
            try #require(connection.secure())
            connection.close()
            return []
        }
        try stream.open(stop.deadline())
        var buffer = Buffer(capacity: 16)
        #expect(
            reason { _ = try stream.receive(into: &buffer, stop.deadline()) }
                == "the peer ended the connection without close_notify")
        _ = try served.value()
    }

    @Test func `the next connection resumes the session`() throws {
        let peer = try SinkPeer()
        let stream = try secured(peer)
        let server = SinkPeerTLS()
        for isSecond in [false, true] {
            let served = peer.serve { connection in
                try #require(connection.secure(server))
                _ = try connection.readToEnd()
                connection.closeNotify()
                return connection.isResumed
            }
            try stream.open(stop.deadline())
            try send("x", on: stream)
            #expect(try stream.end(stop.deadline()))
            #expect(try served.value() == isSecond)
        }
    }

    @Test func `closing says close_notify`() throws {
        let peer = try SinkPeer()
        let stream = try secured(peer)
        let served = peer.serve { connection in
            try #require(connection.secure())
            return try connection.readToEnd()
        }
        try stream.open(stop.deadline())
        try send("x", on: stream)
        stream.close()
        #expect(try served.value() == [0x78])
    }

    @Test(arguments: [
        ("other-ca.crt", "localhost", "TLS: certificate_untrusted"),
        ("ca.crt", "elsewhere.example.org", "TLS: certificate_mismatch"),
    ])
    func `a receiver's certificate must be trusted and for its name`(ca: String, name: String, said: String)
        throws
    {
        let peer = try SinkPeer()
        let stream = try secured(peer, ca: ca, name: name)
        let served = peer.serve { connection in connection.secure() }
        #expect(reason { try stream.open(stop.deadline()) } == said)
        #expect(try served.value() == false)
        #expect(!stream.isOpen)
    }

    @Test func `the receiver's alert is the reason`() throws {
        let peer = try SinkPeer()
        let stream = try secured(peer)
        let served = peer.serve { connection in connection.secure(SinkPeerTLS(asksForCertificate: true)) }
        // A client of TLS 1.3 hears what its certificate is thought of only after the handshake.
        let said = reason {
            try stream.open(stop.deadline())
            try stream.end(stop.deadline())
        }
        #expect(said == "TLS: refused_by_peer, alert 116")
        #expect(try served.value() == false)
    }

    @Test func `an end in the handshake is told`() throws {
        let peer = try SinkPeer()
        let stream = try secured(peer)
        let served = peer.serve { connection in _ = connection.readSome() }
        #expect(
            reason { try stream.open(stop.deadline()) }
                == "the peer ended the connection in the handshake")
        try served.value()
    }
}
