import Bytes
import COpenSSL
import TLS
import Testing

/// Session tickets and resumption, both sides.
@Suite struct TLSTicketTests {
    /// Connects to `context` with `session`, and tells whether it was resumed and the session to use next.
    private func connect(
        _ context: TLSContext, _ version: Int32, _ session: OpaquePointer? = nil, certificate: String? = nil
    ) throws -> (isResumed: Bool, next: OpaquePointer?, subject: String) {
        let server = try End.server(context)
        let peer = RawPeer {
            RawPeer.setVersions($0, version, version)
            if let certificate { RawPeer.use($0, client: certificate) }
        }
        if let session { SSL_set_session(peer.ssl, session) }
        peer.run(with: server)
        guard server.isEstablished, peer.isEstablished else {
            throw TLSFault("no handshake: \(server.failure.word)")
        }
        #expect(server.isResumed == (SSL_session_reused(peer.ssl) == 1))
        let next = SSL_get1_session(peer.ssl)
        SSL_set_shutdown(peer.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        return (server.isResumed, next, server.peerSubject)
    }

    @Test(arguments: TLSConnectionTests.versions)
    func `a ticket resumes with every context that shares the keys`(version: Int32) throws {
        let keys = TLSTicketKeys(lifetimeSeconds: 3_600, nowSeconds: 0)
        let first = try connect(Fixture.server(tickets: keys), version)
        #expect(!first.isResumed)
        defer { SSL_SESSION_free(first.next) }
        #expect(SSL_SESSION_has_ticket(first.next) == 1)
        // Another context, as after a reload or on another listener.
        let second = try connect(Fixture.server(["localhost-rsa"], tickets: keys), version, first.next)
        defer { SSL_SESSION_free(second.next) }
        #expect(second.isResumed)
        let stranger = TLSTicketKeys(lifetimeSeconds: 3_600, nowSeconds: 0)
        let third = try connect(Fixture.server(tickets: stranger), version, first.next)
        defer { SSL_SESSION_free(third.next) }
        #expect(!third.isResumed)
    }

    @Test(arguments: TLSConnectionTests.versions)
    func `a ticket of the key before is good, is renewed, and the key before that is forgotten`(
        version: Int32
    ) throws {
        let keys = TLSTicketKeys(lifetimeSeconds: 100, nowSeconds: 1_000)
        let context = try Fixture.server(tickets: keys)
        let first = try connect(context, version)
        defer { SSL_SESSION_free(first.next) }
        keys.rotate(nowSeconds: 1_099)
        let early = try connect(context, version, first.next)
        defer { SSL_SESSION_free(early.next) }
        #expect(early.isResumed)
        keys.rotate(nowSeconds: 1_100)
        let late = try connect(context, version, first.next)
        defer { SSL_SESSION_free(late.next) }
        #expect(late.isResumed)
        keys.rotate(nowSeconds: 1_200)
        let old = try connect(context, version, first.next)
        defer { SSL_SESSION_free(old.next) }
        #expect(!old.isResumed)
        // What the second connection got in exchange is of the second key.
        let renewed = try connect(context, version, late.next)
        defer { SSL_SESSION_free(renewed.next) }
        #expect(renewed.isResumed)
        // After a pause of two lifetimes no key is left.
        keys.rotate(nowSeconds: 1_400)
        let rested = try connect(context, version, renewed.next)
        defer { SSL_SESSION_free(rested.next) }
        #expect(!rested.isResumed)
    }

    @Test(arguments: TLSConnectionTests.versions)
    func `each connection that resumes has what the next needs`(version: Int32) throws {
        let context = try Fixture.server(tickets: TLSTicketKeys(lifetimeSeconds: 3_600, nowSeconds: 0))
        var session = try connect(context, version).next
        for _ in 0..<5 {
            let before = ticket(session)
            let (isResumed, next, _) = try connect(context, version, session)
            #expect(isResumed)
            #expect(!before.isEmpty)
            // Another ticket each time, so that nobody can tell the connections for one client's (RFC 8446 §C.4).
            #expect((ticket(next) != before) == (version == TLS1_3_VERSION))
            SSL_SESSION_free(session)
            session = next
        }
        SSL_SESSION_free(session)
    }

    private func ticket(_ session: OpaquePointer?) -> [UInt8] {
        var place: UnsafePointer<UInt8>?
        var count = 0
        SSL_SESSION_get0_ticket(session, &place, &count)
        return Array(ByteView(start: place, count: count))
    }

    @Test func `a shorter lifetime counts from the next rotation`() throws {
        let keys = TLSTicketKeys(lifetimeSeconds: 0, nowSeconds: 10)
        #expect(keys.lifetimeSeconds == 1)
        keys.lifetimeSeconds = 50
        let context = try Fixture.server(tickets: keys)
        let first = try connect(context, TLS1_3_VERSION)
        defer { SSL_SESSION_free(first.next) }
        // A clock that goes back rotates nothing.
        keys.rotate(nowSeconds: 0)
        keys.rotate(nowSeconds: 59)
        let second = try connect(context, TLS1_3_VERSION, first.next)
        defer { SSL_SESSION_free(second.next) }
        #expect(second.isResumed)
    }

    @Test(arguments: TLSConnectionTests.versions)
    func `without keys nothing is resumed and no ticket is sent`(version: Int32) throws {
        let context = try Fixture.server(tickets: nil)
        let first = try connect(context, version)
        defer { SSL_SESSION_free(first.next) }
        #expect(SSL_SESSION_has_ticket(first.next) == 0)
        let second = try connect(context, version, first.next)
        defer { SSL_SESSION_free(second.next) }
        #expect(!second.isResumed)
    }

    @Test(arguments: TLSConnectionTests.versions)
    func `a ticket keeps the client's certificate, and is no way around showing one`(version: Int32) throws {
        let keys = TLSTicketKeys(lifetimeSeconds: 3_600, nowSeconds: 0)
        let open = try Fixture.server(tickets: keys)
        let strict = try Fixture.server(clientCA: "ca.crt", requires: true, tickets: keys)
        let stricter = try Fixture.server(clientCA: "other-ca.crt", requires: true, tickets: keys)
        let shown = try connect(strict, version, certificate: "client")
        defer { SSL_SESSION_free(shown.next) }
        #expect(shown.subject == "CN=alice,O=Gatehouse tests")
        let again = try connect(strict, version, shown.next)
        defer { SSL_SESSION_free(again.next) }
        #expect(again.isResumed)
        #expect(again.subject == "CN=alice,O=Gatehouse tests")
        let unshown = try connect(open, version)
        defer { SSL_SESSION_free(unshown.next) }
        #expect(throws: TLSFault.self) { try connect(strict, version, unshown.next) }
        #expect(throws: TLSFault.self) { try connect(stricter, version, again.next) }
    }

    @Test func `each handshake of TLS 1.3 brings one ticket, good for 7 days at most`() throws {
        let keys = TLSTicketKeys(lifetimeSeconds: 30 * 86_400, nowSeconds: 0)
        let first = try connect(Fixture.server(tickets: keys), TLS1_3_VERSION)
        defer { SSL_SESSION_free(first.next) }
        #expect(SSL_SESSION_get_ticket_lifetime_hint(first.next) == 7 * 86_400)
    }

    // MARK: - As a client

    @Test(arguments: TLSConnectionTests.versions)
    func `a client resumes with the endpoint it was connected to, and with no other`(version: Int32) throws {
        let context = try Fixture.client()
        // One server's context makes tickets with a key of its own, which its connections share.
        let origin = RawPeer(server: "localhost-ecdsa") { RawPeer.setVersions($0, version, version) }
        func connect(_ key: UInt64) throws -> Bool {
            let peer = RawPeer(sharing: origin)
            let client = try End.client(context, session: key)
            peer.run(with: client)
            try #require(client.isEstablished)
            return client.isResumed
        }
        #expect(try !connect(1))
        #expect(try connect(1))
        #expect(try connect(1))
        #expect(try !connect(2))
        #expect(try connect(1))
    }

    @Test func `a session of TLS 1.3 is used once`() throws {
        let context = try Fixture.client()
        let origin = RawPeer(server: "localhost-ecdsa") { SSL_CTX_set_num_tickets($0, 1) }
        let first = try End.client(context)
        RawPeer(sharing: origin).run(with: first)
        #expect(first.isEstablished && !first.isResumed)
        // Two connections begin before either has a ticket of its own: only one has something to resume.
        let second = try End.client(context)
        let third = try End.client(context)
        RawPeer(sharing: origin).run(with: second)
        RawPeer(sharing: origin).run(with: third)
        #expect(second.isResumed)
        #expect(!third.isResumed)
    }

    @Test func `a session of a certificate that was good is not used for another name`() throws {
        let context = try Fixture.client()
        let origin = RawPeer(server: "localhost-ecdsa")
        let first = try End.client(context, name: "localhost", session: 1)
        RawPeer(sharing: origin).run(with: first)
        #expect(first.isEstablished)
        let second = try End.client(context, name: "nova.internal", session: 2)
        RawPeer(sharing: origin).run(with: second)
        #expect(second.failure == .certificateMismatch)
    }
}
