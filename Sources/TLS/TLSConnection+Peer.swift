public import Bytes
internal import COpenSSL
internal import Glibc

/// What was agreed with the peer, and who it is; to be asked after the handshake.
extension TLSConnection {
    /// What was agreed to be spoken over the connection.
    public var negotiatedProtocol: TLSProtocol {
        guard let state else { return .none }
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(state.pointee.ssl, &name, &count)
        let view = ByteView(start: name, count: Int(count))
        if view.equals("h2") { return .http2 }
        return view.equals("http/1.1") ? .http11 : .none
    }

    /// Tells whether an earlier session was resumed.
    public var isResumed: Bool { state.map { SSL_session_reused($0.pointee.ssl) == 1 } ?? false }

    /// The version as OpenSSL writes it, such as `TLSv1.3`; bytes that live for ever.
    public var version: ByteView {
        guard let state, let name = SSL_get_version(state.pointee.ssl) else {
            return ByteView(start: nil, count: 0)
        }
        return Self.view(name)
    }

    /// The cipher suite as OpenSSL writes it, such as `TLS_AES_128_GCM_SHA256`; bytes that live for ever, none before the
    /// handshake.
    public var cipherSuite: ByteView {
        guard let state, let suite = SSL_get_current_cipher(state.pointee.ssl),
            let name = SSL_CIPHER_get_name(suite)
        else { return ByteView(start: nil, count: 0) }
        return Self.view(name)
    }

    private static func view(_ text: UnsafePointer<CChar>) -> ByteView {
        ByteView(start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: strlen(text))
    }

    /// Tells whether the peer showed a certificate.
    public var hasPeerCertificate: Bool {
        state.map { SSL_get0_peer_certificate($0.pointee.ssl) != nil } ?? false
    }

    /// Appends the subject of the peer's certificate in the form of RFC 2253, such as `CN=alice,O=Example`; nothing when
    /// there is none, nothing but `hasOverflowed` when it does not fit.
    public func appendPeerSubject(to output: inout Buffer) {
        guard let state, let certificate = SSL_get0_peer_certificate(state.pointee.ssl),
            let bio = BIO_new(BIO_s_mem())
        else { return }
        defer { BIO_free(bio) }
        guard X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, COpenSSL_name_form) >= 0 else {
            return ERR_clear_error()
        }
        var text: UnsafePointer<UInt8>?
        let count = COpenSSL_memory(bio, &text)
        output.append(ByteView(start: text, count: count))
    }

    /// Writes the SHA-256 digest of the peer's certificate, 32 bytes; false when there is none.
    public func peerFingerprint(into digest: UnsafeMutableBufferPointer<UInt8>) -> Bool {
        precondition(digest.count >= 32)
        guard let state, let certificate = SSL_get0_peer_certificate(state.pointee.ssl) else { return false }
        var count: UInt32 = 0
        return X509_digest(certificate, EVP_sha256(), digest.baseAddress, &count) == 1 && count == 32
    }
}
