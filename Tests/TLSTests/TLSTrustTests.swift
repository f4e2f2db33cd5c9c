import Bytes
import COpenSSL
import TLS
import Testing

/// Who shows which certificate, and who believes it.
@Suite struct TLSTrustTests {
    // MARK: - Clients' certificates

    /// Connects a client with `certificate` to a server that asks.
    private func show(
        _ certificate: String?, to server: TLSContext
    ) throws -> (server: End, client: End) {
        let link = try Link(Fixture.client(certificate: certificate), server)
        link.run()
        return (link.server, link.client)
    }

    @Test(arguments: [
        (nil, TLSFailure.certificateMissing), ("client-other-ca", .certificateUntrusted),
        ("localhost-ecdsa", .certificateInvalid),
    ])
    func `a client without a good certificate is refused where one is required`(
        certificate: String?, failure: TLSFailure
    ) throws {
        let (server, client) = try show(certificate, to: Fixture.server(clientCA: "ca.crt", requires: true))
        #expect(server.failure == failure)
        #expect(!server.isEstablished)
        #expect(client.failure == .refusedByPeer)
        #expect(client.alert == (certificate == nil ? 116 : certificate == "client-other-ca" ? 48 : 43))
    }

    @Test func `an expired certificate of a client is refused as such`() throws {
        // Our own client does not load one, so the other side is plain OpenSSL.
        let server = try End.server(Fixture.server(clientCA: "ca.crt", requires: true))
        RawPeer { RawPeer.use($0, client: "client-expired") }.run(with: server)
        #expect(server.failure == .certificateExpired)
    }

    @Test(arguments: ["client", "client-rsa"])
    func `a good certificate is known by subject and fingerprint`(name: String) throws {
        for requires in [true, false] {
            let (server, client) = try show(name, to: Fixture.server(clientCA: "ca.crt", requires: requires))
            #expect(server.isEstablished && client.isEstablished)
            #expect(
                server.peerSubject == (name == "client" ? "CN=alice" : "CN=robert") + ",O=Gatehouse tests")
            var digest = [UInt8](repeating: 0, count: 32)
            #expect(digest.withUnsafeMutableBufferPointer { server.connection.peerFingerprint(into: $0) })
            #expect(digest == (try fingerprint(name)))
        }
    }

    /// The digest of a fixture, computed from its file.
    private func fingerprint(_ name: String) throws -> [UInt8] {
        let bio = try #require(BIO_new_file(Fixture.path(name + ".crt"), "r"))
        defer { BIO_free(bio) }
        let certificate = try #require(PEM_read_bio_X509(bio, nil, nil, nil))
        defer { X509_free(certificate) }
        var place: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(certificate, &place)
        defer { COpenSSL_free(place) }
        var digest = [UInt8](repeating: 0, count: 32)
        #expect(COpenSSL_sha256(place, Int(count), &digest) == 1)
        return digest
    }

    @Test func `where a certificate is optional none is fine but a bad one is not`() throws {
        let context = try Fixture.server(clientCA: "ca.crt")
        let (server, _) = try show(nil, to: context)
        #expect(server.isEstablished)
        #expect(server.peerSubject.isEmpty)
        var digest = [UInt8](repeating: 0, count: 32)
        #expect(!digest.withUnsafeMutableBufferPointer { server.connection.peerFingerprint(into: $0) })
        #expect(try show("client-other-ca", to: context).server.failure == .certificateUntrusted)
    }

    @Test func `where no certificate is asked for none is shown`() throws {
        let (server, _) = try show("client", to: Fixture.server())
        #expect(server.isEstablished)
        #expect(server.peerSubject.isEmpty)
    }

    // MARK: - Servers' certificates

    @Test(arguments: [
        ("localhost", TLSFailure.none), ("LOCALHOST", .none), ("localhost.", .none), ("127.0.0.1", .none),
        ("::1", .none), ("[::1]", .none), ("127.0.0.2", .certificateMismatch), ("::2", .certificateMismatch),
        ("nova.internal", .certificateMismatch), ("ocalhost", .certificateMismatch),
        ("127.0.0.1.", .none),
    ])
    func `the certificate is for the host that is meant`(name: String, failure: TLSFailure) throws {
        let link = try Link(Fixture.client(), Fixture.server(), name: name)
        link.run()
        #expect(link.client.failure == failure)
        #expect(link.client.isEstablished == (failure == .none))
        if failure != .none { #expect(link.server.failure == .refusedByPeer) }
    }

    @Test(arguments: [
        ("api.nova.internal", TLSFailure.none), ("a.b.nova.internal", .certificateMismatch),
    ])
    func `a wildcard stands for one label`(name: String, failure: TLSFailure) throws {
        let link = try Link(Fixture.client(), Fixture.server(["nova"]), name: name)
        link.run()
        #expect(link.client.failure == failure)
    }

    @Test func `an address is not sent as a server's name`() throws {
        for (name, isSent) in [("127.0.0.1", false), ("::1", false), ("localhost", true)] {
            let client = try End.client(Fixture.client(), name: name)
            let hello = client.takeOutgoing()
            #expect(hello.withUnsafeBufferPointer { $0.contains("localhost") } == isSent)
            #expect(!hello.withUnsafeBufferPointer { $0.contains("127.0.0.1") })
        }
    }

    @Test func `a name that is none makes no connection`() throws {
        let context = try Fixture.client()
        for name in ["", ".", "[]", ".nova.internal", String(repeating: "a", count: 300)] {
            #expect(throws: TLSFault.self) { try End.client(context, name: name) }
        }
    }

    @Test func `a certificate of an unknown CA is refused, unless nothing is verified`() throws {
        let server = try Fixture.server(["nova-other-ca"])
        let strict = try Link(Fixture.client(), server, name: "nova.internal")
        strict.run()
        #expect(strict.client.failure == .certificateUntrusted)
        let insecure = try Link(Fixture.client(verifies: false), server, name: "anything.example")
        insecure.run()
        #expect(insecure.isEstablished)
        let other = try Link(Fixture.client(ca: "other-ca.crt"), server, name: "nova.internal")
        other.run()
        #expect(other.isEstablished)
    }

    @Test func `the system's store does not know the CA of these tests`() throws {
        let link = try Link(Fixture.client(ca: nil), Fixture.server())
        link.run()
        #expect(link.client.failure == .certificateUntrusted)
    }

    @Test func `an expired certificate of a server is refused`() throws {
        let client = try End.client(Fixture.client())
        RawPeer(server: "localhost-expired").run(with: client)
        #expect(client.failure == .certificateExpired)
    }

    @Test func `a server that does not speak TLS 1.2 is refused`() throws {
        let client = try End.client(Fixture.client())
        RawPeer(server: "localhost-ecdsa") {
            SSL_CTX_set_security_level($0, 0)
            RawPeer.setVersions($0, TLS1_VERSION, TLS1_1_VERSION)
        }.run(with: client)
        #expect([.refusedByPeer, .protocolVersion].contains(client.failure))
    }

    // MARK: - OCSP

    @Test func `a staple is sent to those who ask`() throws {
        let context = try TLSContext.server(
            certificates: [
                Fixture.certificate("localhost-ecdsa", staple: "localhost-ecdsa.ocsp"),
                Fixture.certificate("localhost-rsa"), Fixture.certificate("nova", staple: "nova.ocsp"),
            ], tickets: nil)
        #expect(context.warnings.isEmpty)
        let rows: [(name: String, algorithms: String, staple: String?)] = [
            ("localhost", "ECDSA+SHA256", "localhost-ecdsa.ocsp"),
            ("localhost", "rsa_pss_rsae_sha256:RSA+SHA256", nil),
            ("nova.internal", "ECDSA+SHA256", "nova.ocsp"),
        ]
        for version in TLSConnectionTests.versions {
            for row in rows {
                let server = try End.server(context)
                let peer = RawPeer {
                    RawPeer.setVersions($0, version, version)
                    #expect(COpenSSL_set_signature_algorithms($0, row.algorithms) == 1)
                }
                peer.name(row.name)
                SSL_ctrl(peer.ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, Int(TLSEXT_STATUSTYPE_ocsp), nil)
                peer.run(with: server)
                #expect(server.isEstablished)
                var place: UnsafePointer<UInt8>?
                let count = withUnsafeMutablePointer(to: &place) {
                    SSL_ctrl(peer.ssl, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, $0)
                }
                let received = Array(ByteView(start: place, count: max(0, count)))
                #expect(received == (try row.staple.map { try file($0) } ?? []))
            }
        }
    }

    /// All bytes of a fixture.
    private func file(_ name: String) throws -> [UInt8] {
        let bio = try #require(BIO_new_file(Fixture.path(name), "r"))
        defer { BIO_free(bio) }
        var bytes = [UInt8](repeating: 0, count: 1 << 14)
        let count = BIO_read(bio, &bytes, Int32(bytes.count))
        return Array(bytes.prefix(Int(count)))
    }
}
