import Bytes
import COpenSSL
import TLS
import Testing

@Suite struct TLSConnectionTests {
    static let versions = [TLS1_2_VERSION, TLS1_3_VERSION]

    @Test func `two ends agree, say what they agreed on, and pass content both ways`() throws {
        let link = try Link(Fixture.client(), Fixture.server())
        link.run()
        #expect(link.isEstablished)
        #expect(link.client.agreed == .http2)
        #expect(link.server.agreed == .http2)
        #expect(link.server.version == "TLSv1.3")
        #expect(link.server.cipherSuite == "TLS_AES_128_GCM_SHA256")
        link.client.send(bytes("GET / HTTP/1.1\r\n\r\n"))
        link.run()
        #expect(link.server.take() == bytes("GET / HTTP/1.1\r\n\r\n"))
        link.server.send(bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        link.run()
        #expect(link.client.take() == bytes("HTTP/1.1 204 No Content\r\n\r\n"))
    }

    @Test func `no connection is no cost and no crash`() {
        let none = End(TLSConnection())
        var input = Buffer()
        #expect(!none.isActive)
        #expect(!none.isEstablished)
        #expect(none.receive(&input) == .failed)
        #expect(none.version.isEmpty)
        #expect(none.peerSubject.isEmpty)
        #expect(none.agreed == .none)
        none.close()
        #expect(none.outgoingByteCount == 0)
    }

    @Test(arguments: versions, [1, 2, 3, 7, 64, 1_000])
    func `a handshake and content come in pieces of any size`(version: Int32, pieceByteCount: Int) throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer { RawPeer.setVersions($0, version, version) }
        while !peer.isEstablished || !server.isEstablished {
            Link.feed(peer.feed([]), to: server, pieceByteCount)
            Link.feed(peer.feed(server.takeOutgoing()), to: server, pieceByteCount)
            try #require(server.failure == .none)
        }
        let message = (0..<5_000).map { UInt8(truncatingIfNeeded: $0) }
        Link.feed(peer.send(message), to: server, pieceByteCount)
        #expect(server.take() == message)
    }

    @Test(arguments: versions) func `a first flight cut anywhere leads to the same handshake`(version: Int32)
        throws
    {
        let context = try Fixture.server()
        var position = 1
        var flightByteCount = 2
        while position < flightByteCount {
            let server = try End.server(context)
            let peer = RawPeer { RawPeer.setVersions($0, version, version) }
            let flight = peer.feed([])
            flightByteCount = flight.count
            Link.feed(Array(flight[..<position]), to: server)
            #expect(server.steps == [.incomplete])
            #expect(server.outgoingByteCount == 0)
            Link.feed(Array(flight[position...]), to: server)
            #expect(server.outgoingByteCount > 0)
            peer.run(with: server)
            #expect(server.isEstablished && peer.isEstablished)
            position += 1
        }
        #expect(position > 100)
    }

    @Test(arguments: versions) func `content cut anywhere is the same content`(version: Int32) throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer { RawPeer.setVersions($0, version, version) }
        peer.run(with: server)
        for position in 0...64 {
            let records = peer.send(bytes("one record and ")) + peer.send(bytes("another"))
            let cut = min(position, records.count)
            Link.feed(Array(records[..<cut]), to: server)
            Link.feed(Array(records[cut...]), to: server)
            #expect(server.take() == bytes("one record and another"), "cut at \(position)")
        }
    }

    @Test func `plaintext without room waits and loses nothing`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        peer.run(with: server)
        let message = (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var input = Buffer(capacity: 1 << 14)
        let ciphertext = peer.send(message) + peer.send(message)
        ciphertext.withUnsafeBufferPointer { input.append($0) }
        var received: [UInt8] = []
        var fullCount = 0
        var none = Buffer()
        let first = server.connection.receive(&input, into: &none, reply: &server.outgoing)
        #expect(first == .full)
        while true {
            var small = Buffer(capacity: 100)
            let step = server.connection.receive(&input, into: &small, reply: &server.outgoing)
            received += Array(small.readable)
            guard step == .full else {
                #expect(step == .incomplete)
                break
            }
            #expect(server.hasMore || !input.isEmpty)
            fullCount += 1
        }
        #expect(received == message + message)
        #expect(fullCount == 59)
        #expect(!server.hasMore)
        #expect(input.readable.isEmpty)
    }

    @Test func `a reply without room waits and loses nothing`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        var input = Buffer(capacity: 1 << 14)
        peer.feed([]).withUnsafeBufferPointer { input.append($0) }
        var fullCount = 0
        while !server.isEstablished {
            var small = Buffer(capacity: 50)
            let step = server.connection.receive(&input, into: &server.plaintext, reply: &small)
            try #require(step != .failed)
            if step == .full { fullCount += 1 }
            peer.feed(Array(small.readable)).withUnsafeBufferPointer { input.append($0) }
        }
        #expect(fullCount > 10)
        #expect(peer.isEstablished)
    }

    @Test func `letters instead of a record are plain HTTP`() throws {
        for text in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "o", "z"] {
            let server = try End.server(Fixture.server())
            var input = Buffer(capacity: 100)
            input.append(text)
            #expect(server.receive(&input) == .plainHTTP)
            #expect(input.readable.string == text)
            #expect(server.outgoingByteCount == 0)
        }
    }

    @Test(
        arguments: [
            [0x80, 0x2E, 1, 3, 1, 0], [0, 0, 0, 0, 0, 0], [22, 3, 1, 0xFF, 0xFF, 1], [23, 3, 3, 0, 1, 0],
            [22, 3, 1, 0, 4, 2, 0, 0, 0], [21, 3, 1, 0, 2, 2, 40],
        ] as [[UInt8]])
    func `other bytes fail at once`(start: [UInt8]) throws {
        let server = try End.server(Fixture.server())
        Link.feed(start + [UInt8](repeating: 0, count: 32), to: server)
        #expect(server.steps.last == .failed)
        #expect(server.failure != .none)
        var more = Buffer(capacity: 10)
        more.append("again")
        #expect(server.receive(&more) == .failed)
        #expect(!server.isEstablished)
    }

    @Test func `a record that was changed on the way ends the connection with an alert`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        peer.run(with: server)
        var record = peer.send(bytes("some content"))
        record[record.count - 1] ^= 1
        Link.feed(record, to: server)
        #expect(server.failure == .recordInvalid)
        #expect(server.plaintextByteCount == 0)
        peer.feed(server.takeOutgoing())
        #expect(peer.hasFailed)
    }

    @Test(arguments: versions) func `close_notify ends both ways, each once`(version: Int32) throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer { RawPeer.setVersions($0, version, version) }
        peer.run(with: server)
        server.send(bytes("the last words"))
        server.close()
        let byteCount = server.outgoingByteCount
        server.close()
        #expect(server.outgoingByteCount == byteCount)
        server.send(bytes("more"))
        #expect(server.outgoingByteCount == byteCount)
        peer.feed(server.takeOutgoing())
        #expect(peer.takeContent() == bytes("the last words"))
        #expect(peer.hasEnded)
        #expect(!server.hasEnded)
        // TLS 1.3 closes each direction by itself (RFC 8446 §6.1).
        if version == TLS1_3_VERSION {
            Link.feed(peer.send(bytes("still here")), to: server)
            #expect(server.take() == bytes("still here"))
        }
        SSL_shutdown(peer.ssl)
        Link.feed(peer.drain() + bytes("what follows is ignored"), to: server)
        #expect(server.hasEnded)
        #expect(server.steps.last == .ended)
        #expect(server.plaintextByteCount == 0)
        #expect(server.failure == .none)
    }

    @Test func `content before a close_notify in the same piece is given first`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        peer.run(with: server)
        let content = peer.send(bytes("last"))
        SSL_shutdown(peer.ssl)
        Link.feed(content + peer.drain(), to: server)
        #expect(server.take() == bytes("last"))
        #expect(server.hasEnded)
        server.send(bytes("answer"))
        peer.feed(server.takeOutgoing())
        #expect(peer.takeContent() == bytes("answer"))
    }

    @Test func `without a close_notify the end is a truncation`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        peer.run(with: server)
        Link.feed(peer.send(bytes("half")), to: server)
        #expect(server.take() == bytes("half"))
        #expect(!server.hasEnded)
    }

    @Test func `nothing is sent before the handshake's end`() throws {
        let client = try End.client(Fixture.client())
        let before = client.outgoingByteCount
        client.send(bytes("early"))
        client.close()
        #expect(client.outgoingByteCount == before)
    }
}
