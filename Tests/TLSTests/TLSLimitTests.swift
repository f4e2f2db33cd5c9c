import Bytes
import COpenSSL
import TLS
import Testing

/// Sizes of records, and what a peer may make us do.
@Suite struct TLSLimitTests {
    /// The content lengths of the records in `ciphertext`, of TLS 1.3: less the type byte and the tag.
    private func recordSizes(_ ciphertext: [UInt8]) -> [Int] {
        var sizes: [Int] = []
        var place = 0
        while place + 5 <= ciphertext.count {
            let count = Int(ciphertext[place + 3]) << 8 | Int(ciphertext[place + 4])
            sizes.append(count - 17)
            place += 5 + count
        }
        #expect(place == ciphertext.count)
        return sizes
    }

    private func send(_ end: End, byteCount: Int, now: UInt64) -> [Int] {
        end.send([UInt8](repeating: 7, count: byteCount), now: now)
        return recordSizes(end.takeOutgoing())
    }

    @Test func `records are small first, then full, and small again after a second`() throws {
        let link = try Link(Fixture.client(), Fixture.server())
        link.run()
        let second: UInt64 = 1_000_000_000
        let first = send(link.server, byteCount: 40_000, now: 10 * second)
        // 13 of 1,300 bytes pass 16 KiB; the rest is one full record and what is left.
        #expect(first == [Int](repeating: 1_300, count: 13) + [16_384, 40_000 - 13 * 1_300 - 16_384])
        #expect(send(link.server, byteCount: 20_000, now: 11 * second) == [16_384, 3_616])
        #expect(send(link.server, byteCount: 2_000, now: 12 * second + 1) == [1_300, 700])
        #expect(send(link.server, byteCount: 100, now: 12 * second + 2) == [100])
    }

    @Test func `a record is made to fit the room, but not without end`() throws {
        let link = try Link(Fixture.client(), Fixture.server())
        link.run()
        let content = [UInt8](repeating: 7, count: 40_000)
        func sent(room: Int, now: UInt64 = 5) -> Int {
            var output = Buffer(capacity: room)
            let count = content.withUnsafeBufferPointer {
                link.server.connection.send($0, into: &output, now: now)
            }
            #expect(output.count <= room)
            let bytes = Array(output.readable)
            link.client.plaintext.removeAll()
            Link.feed(bytes, to: link.client)
            #expect(link.client.plaintextByteCount == count)
            return count
        }
        #expect(sent(room: 1_363) == 0)
        #expect(sent(room: 1_364) == 1_300)
        for _ in 0..<12 { #expect(sent(room: 2_000) == 1_300) }
        #expect(sent(room: 16_384) == 16_320)
        #expect(sent(room: 16_448) == 16_384)
        #expect(sent(room: 4_160) == 4_096)
        #expect(sent(room: 4_159) == 0)
        #expect(sent(room: 0) == 0)
    }

    @Test(arguments: TLSConnectionTests.versions) func `a client that asks for small records gets them`(
        version: Int32
    )
        throws
    {
        let server = try End.server(Fixture.server())
        let peer = RawPeer {
            RawPeer.setVersions($0, version, version)
            #expect(SSL_CTX_set_tlsext_max_fragment_length($0, UInt8(TLSEXT_max_fragment_length_512)) == 1)
        }
        peer.run(with: server)
        let message = (0..<3_000).map { UInt8(truncatingIfNeeded: $0) }
        server.send(message)
        let ciphertext = server.takeOutgoing()
        #expect(ciphertext.count > 3_000 + 5 * 22)
        peer.feed(ciphertext)
        #expect(peer.takeContent() == message)
    }

    @Test func `key updates are answered, and too many end the connection`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        peer.run(with: server)
        var count = 0
        while server.failure == .none, count < 100 {
            #expect(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
            SSL_do_handshake(peer.ssl)
            Link.feed(peer.drain(), to: server)
            count += 1
            if count == 20 {
                // The new keys work, both ways, and no answer is longer than its request.
                Link.feed(peer.send(bytes("with new keys")), to: server)
                #expect(server.take() == bytes("with new keys"))
                server.send(bytes("answer"))
                #expect(server.outgoingByteCount <= 20 * 27 + 64)
                peer.feed(server.takeOutgoing())
                #expect(peer.takeContent() == bytes("answer"))
            }
        }
        #expect(server.failure == .excess)
        #expect(count == 33)
    }

    @Test func `key updates in one piece are too many as well`() throws {
        let server = try End.server(Fixture.server())
        let peer = RawPeer()
        peer.run(with: server)
        var flood: [UInt8] = []
        for _ in 0..<1_000 {
            SSL_key_update(peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
            SSL_do_handshake(peer.ssl)
            flood += peer.drain()
        }
        Link.feed(flood, to: server)
        #expect(server.failure == .excess)
    }

    @Test func `a client takes tickets without end no more than key updates`() throws {
        let client = try End.client(Fixture.client())
        let peer = RawPeer(server: "localhost-ecdsa")
        peer.run(with: client)
        #expect(client.isEstablished)
        for _ in 0..<100 where client.failure == .none {
            #expect(SSL_new_session_ticket(peer.ssl) == 1)
            SSL_do_handshake(peer.ssl)
            Link.feed(peer.drain(), to: client)
        }
        #expect(client.failure == .excess)
    }

    @Test func `a hello byte by byte costs a call for each byte and nothing more`() throws {
        let server = try End.server(Fixture.server())
        let hello = RawPeer().feed([])
        for byte in hello.dropLast() { Link.feed([byte], to: server) }
        #expect(server.steps == [.incomplete])
        #expect(server.outgoingByteCount == 0)
        Link.feed([hello[hello.count - 1]], to: server)
        #expect(server.outgoingByteCount > 0)
    }

    @Test func `a hello in a thousand records of one byte is bounded too`() throws {
        let server = try End.server(Fixture.server())
        // A hello that claims 100,000 bytes; OpenSSL takes 131,396 at most, by default.
        let body: [UInt8] = [1, 0x01, 0x86, 0xA0]
        var flood: [UInt8] = []
        for index in 0..<2_000 { flood += [22, 3, 1, 0, 1, index < 4 ? body[index] : 3] }
        Link.feed(flood, to: server)
        #expect(!server.isEstablished)
        #expect(server.outgoingByteCount < 64)
    }

    @Test func `a hello larger than any is refused at its length`() throws {
        let server = try End.server(Fixture.server())
        Link.feed([22, 3, 1, 0, 4, 1, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 100), to: server)
        #expect(server.failure == .malformed)
    }

    @Test func `empty records end the connection`() throws {
        let server = try End.server(Fixture.server())
        let forge = Forge()
        forge.peer.run(with: server)
        Link.feed(forge.record(type: 23, bytes("before")), to: server)
        #expect(server.take() == bytes("before"))
        var count = 0
        while server.failure == .none, count < 1_000 {
            // Padded or not, an empty record is empty (RFC 8446 §5.4).
            Link.feed(forge.record(type: 23, [], paddedBy: count % 3 * 100), to: server)
            count += 1
        }
        #expect(server.failure == .malformed)
        #expect(count == 33)
        #expect(server.plaintextByteCount == 0)
    }

    @Test func `warnings end the connection`() throws {
        let server = try End.server(Fixture.server())
        let forge = Forge()
        forge.peer.run(with: server)
        var count = 0
        // user_canceled, the one alert that TLS 1.3 takes as a warning (RFC 8446 §6.1).
        while server.failure == .none, count < 1_000 {
            Link.feed(forge.record(type: 21, [1, 90]), to: server)
            count += 1
        }
        #expect(server.failure != .none)
        #expect(count <= 6)
    }

    static let strays: [(type: UInt8, message: [UInt8])] = [
        (22, []), (22, [24, 0, 0, 1, 7]), (22, [1, 0, 0, 1, 0]), (22, [20, 0, 0, 1, 0]), (24, [1]), (21, [2]),
        (20, [1]),
        (21, [2, 40]),
    ]

    @Test(arguments: strays)
    func `this message after the handshake ends the connection`(type: UInt8, message: [UInt8]) throws {
        let server = try End.server(Fixture.server())
        let forge = Forge()
        forge.peer.run(with: server)
        Link.feed(forge.record(type: type, message), to: server)
        #expect(server.failure != .none)
        #expect(server.plaintextByteCount == 0)
    }

    @Test func `a record of more than 16 KiB ends the connection`() throws {
        let server = try End.server(Fixture.server())
        let forge = Forge()
        forge.peer.run(with: server)
        Link.feed(forge.record(type: 23, [UInt8](repeating: 1, count: 16_384)), to: server)
        #expect(server.take().count == 16_384)
        Link.feed(forge.record(type: 23, [UInt8](repeating: 1, count: 16_385)), to: server)
        #expect(server.failure == .malformed)
        #expect(server.plaintextByteCount == 0)
    }
}
