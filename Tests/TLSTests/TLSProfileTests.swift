import Bytes
import COpenSSL
import TLS
import Testing

/// What a server takes of what clients may offer: Mozilla's intermediate profile.
@Suite struct TLSProfileTests {
    static let both = ["localhost-rsa", "localhost-ecdsa"]

    /// A client that may offer anything, however weak, meets a server.
    private func meet(
        _ context: TLSContext, _ prepare: (OpaquePointer) -> Void
    ) throws -> (server: End, peer: RawPeer) {
        let server = try End.server(context)
        let peer = RawPeer {
            SSL_CTX_set_security_level($0, 0)
            prepare($0)
        }
        peer.run(with: server)
        return (server, peer)
    }

    @Test(arguments: [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    ])
    func `this suite of TLS 1.2 is taken, with the certificate it needs`(suite: String) throws {
        let (server, peer) = try meet(Fixture.server(Self.both)) {
            RawPeer.setVersions($0, TLS1_2_VERSION, TLS1_2_VERSION)
            SSL_CTX_set_cipher_list($0, suite)
        }
        #expect(server.isEstablished && peer.isEstablished)
        #expect(server.cipherSuite == suite)
        #expect(server.version == "TLSv1.2")
    }

    @Test(arguments: [
        "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256",
        "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-RSA-CAMELLIA128-SHA256", "ECDHE-RSA-NULL-SHA", "AECDH-AES128-SHA", "PSK-AES128-GCM-SHA256",
    ])
    func `this suite of TLS 1.2 is refused`(suite: String) throws {
        let (server, peer) = try meet(Fixture.server(Self.both)) {
            RawPeer.setVersions($0, TLS1_2_VERSION, TLS1_2_VERSION)
            #expect(SSL_CTX_set_cipher_list($0, suite) == 1)
        }
        #expect(!server.isEstablished && !peer.isEstablished)
        // A client without PSK has no suite left to offer.
        if suite.hasPrefix("PSK") { return }
        #expect(server.failure == .noSharedSuite)
    }

    @Test(arguments: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
    func `this suite of TLS 1.3 is taken`(suite: String) throws {
        let (server, _) = try meet(Fixture.server(Self.both)) { SSL_CTX_set_ciphersuites($0, suite) }
        #expect(server.isEstablished)
        #expect(server.cipherSuite == suite)
    }

    @Test func `TLS_AES_128_CCM_SHA256 is refused`() throws {
        let (server, _) = try meet(Fixture.server(Self.both)) {
            SSL_CTX_set_ciphersuites($0, "TLS_AES_128_CCM_SHA256")
            RawPeer.setVersions($0, TLS1_3_VERSION, TLS1_3_VERSION)
        }
        #expect(server.failure == .noSharedSuite)
    }

    @Test func `the server's order counts but ChaCha20 is for those who put it first`() throws {
        let context = try Fixture.server()
        let rows: [(offer: String, taken: String)] = [
            (
                "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
                "TLS_AES_128_GCM_SHA256"
            ),
            (
                "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
                "TLS_CHACHA20_POLY1305_SHA256"
            ),
        ]
        for row in rows {
            let (server, _) = try meet(context) { SSL_CTX_set_ciphersuites($0, row.offer) }
            #expect(server.cipherSuite == row.taken)
        }
    }

    @Test(arguments: TLSConnectionTests.versions, ["X25519", "P-256", "P-384"])
    func `this group is taken`(version: Int32, group: String) throws {
        let (server, peer) = try meet(Fixture.server(Self.both)) {
            RawPeer.setVersions($0, version, version)
            #expect(COpenSSL_set_groups($0, group) == 1)
        }
        #expect(server.isEstablished && peer.isEstablished)
    }

    @Test(arguments: TLSConnectionTests.versions, ["P-521", "X448", "secp256k1", "ffdhe2048"])
    func `this group is refused`(version: Int32, group: String) throws {
        // Neither a curve that TLS 1.3 does not know nor finite fields can be offered by the other version.
        if group == "secp256k1", version == TLS1_3_VERSION { return }
        if group == "ffdhe2048", version == TLS1_2_VERSION { return }
        // Of an ECDSA certificate too the curve must be one of the client's: RSA leaves the group alone to be judged.
        let (server, _) = try meet(Fixture.server(["localhost-rsa"])) {
            RawPeer.setVersions($0, version, version)
            #expect(COpenSSL_set_groups($0, group) == 1)
        }
        #expect(!server.isEstablished)
        #expect(server.failure == .noSharedSuite)
    }

    @Test func `versions before 1.2 are refused, and 1.2 where 1.3 is the least`() throws {
        for version in [TLS1_VERSION, TLS1_1_VERSION] {
            let (server, peer) = try meet(Fixture.server()) {
                RawPeer.setVersions($0, version, version)
                SSL_CTX_set_cipher_list($0, "ALL:@SECLEVEL=0")
            }
            #expect(server.failure == .protocolVersion)
            #expect(!peer.isEstablished)
        }
        let strict = try Fixture.server(version: .tls13)
        #expect(
            try meet(strict) { RawPeer.setVersions($0, TLS1_2_VERSION, TLS1_2_VERSION) }.server.failure
                == .protocolVersion)
        #expect(try meet(strict) { _ in }.server.isEstablished)
    }

    @Test func `signatures with SHA-1 are refused`() throws {
        let (server, _) = try meet(Fixture.server(Self.both)) {
            RawPeer.setVersions($0, TLS1_2_VERSION, TLS1_2_VERSION)
            #expect(COpenSSL_set_signature_algorithms($0, "ECDSA+SHA1:RSA+SHA1") == 1)
        }
        #expect(!server.isEstablished)
        #expect(server.failure == .noSharedSuite)
    }

    @Test func `of both kinds of certificate for a name each client gets the one it can use`() throws {
        let context = try Fixture.server(Self.both)
        let rows = [("ECDSA+SHA256", EVP_PKEY_EC), ("rsa_pss_rsae_sha256", EVP_PKEY_RSA)]
        for (algorithms, kind) in rows {
            let (_, peer) = try meet(context) {
                #expect(COpenSSL_set_signature_algorithms($0, algorithms) == 1)
            }
            let certificate = try #require(SSL_get0_peer_certificate(peer.ssl))
            #expect(EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) == kind)
        }
    }

    @Test(arguments: TLSConnectionTests.versions) func `a client that would negotiate again is refused`(
        version: Int32
    )
        throws
    {
        let (server, peer) = try meet(Fixture.server()) { RawPeer.setVersions($0, version, version) }
        if version == TLS1_3_VERSION {
            #expect(SSL_renegotiate(peer.ssl) == 0)
            return
        }
        #expect(SSL_renegotiate(peer.ssl) == 1)
        SSL_do_handshake(peer.ssl)
        let again = peer.drain()
        #expect(!again.isEmpty)
        Link.feed(again, to: server)
        // A warning alert is the answer (RFC 5246 §7.2.2), and the connection goes on without.
        #expect(server.outgoingByteCount > 0)
        #expect(server.outgoingByteCount < 100)
        peer.feed(server.takeOutgoing())
        #expect(peer.hasFailed)
    }

    @Test func `nothing is compressed`() throws {
        let (_, peer) = try meet(Fixture.server()) {
            SSL_CTX_clear_options($0, COpenSSL_option_no_compression)
            RawPeer.setVersions($0, TLS1_2_VERSION, TLS1_2_VERSION)
        }
        #expect(peer.isEstablished)
        #expect(SSL_get_current_compression(peer.ssl) == nil)
    }

    // MARK: - RFC 7301

    @Test(arguments: [
        (["h2", "http/1.1"], true, TLSProtocol.http2), (["http/1.1", "h2"], true, .http2),
        (["http/1.1"], true, .http11), (["h2", "http/1.1"], false, .http11),
        (["spdy/3", "h2"], true, .http2),
        ([], true, .none), ([], false, .none),
    ])
    func `the protocol is h2 if it may be`(offer: [String], offersHTTP2: Bool, agreed: TLSProtocol) throws {
        let (server, _) = try meet(Fixture.server(offersHTTP2: offersHTTP2)) {
            if !offer.isEmpty { RawPeer.offer($0, offer) }
        }
        #expect(server.isEstablished)
        #expect(server.agreed == agreed)
    }

    @Test(arguments: [(["spdy/3"], true), (["h2"], false), (["h2c", "http/1.0"], true)])
    func `no protocol in common is no_application_protocol`(offer: [String], offersHTTP2: Bool) throws {
        let server = try End.server(Fixture.server(offersHTTP2: offersHTTP2))
        let peer = RawPeer { RawPeer.offer($0, offer) }
        Link.feed(peer.feed([]), to: server)
        #expect(server.failure == .noSharedProtocol)
        #expect(server.takeOutgoing() == [21, 3, 3, 0, 2, 2, 120])
    }

    @Test func `a client agrees to what the server chose`() throws {
        let link = try Link(Fixture.client(offersHTTP2: false), Fixture.server())
        link.run()
        #expect(link.client.agreed == .http11)
        let refused = try Link(Fixture.client(offersHTTP2: true), Fixture.server(offersHTTP2: false))
        refused.run()
        #expect(refused.client.agreed == .http11)
    }

    // MARK: - RFC 6066 §3

    @Test func `the certificate is the one for the name the client asks for`() throws {
        let context = try Fixture.server(["localhost-rsa", "nova", "localhost-ecdsa"])
        let rows: [(name: String?, subject: String)] = [
            ("localhost", "localhost"), ("nova.internal", "nova.internal"),
            ("NOVA.Internal", "nova.internal"),
            ("api.nova.internal", "nova.internal"), ("a.b.nova.internal", "localhost"),
            ("other.example", "localhost"),
            ("internal", "localhost"), (nil, "localhost"),
        ]
        for row in rows {
            let server = try End.server(context)
            let peer = RawPeer()
            if let name = row.name { peer.name(name) }
            peer.run(with: server)
            #expect(server.isEstablished)
            let certificate = try #require(SSL_get0_peer_certificate(peer.ssl))
            var name = [CChar](repeating: 0, count: 100)
            let count = X509_NAME_get_text_by_NID(
                X509_get_subject_name(certificate), NID_commonName, &name, 100)
            let text = String(decoding: name.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(text == row.subject, "for \(row.name ?? "no name")")
        }
    }

    @Test func `the chain behind a certificate is sent`() throws {
        let (_, peer) = try meet(Fixture.server(["localhost-rsa"])) { _ in }
        let chain = try #require(SSL_get_peer_cert_chain(peer.ssl))
        #expect(OPENSSL_sk_num(chain) == 2)
    }
}
