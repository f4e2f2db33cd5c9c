internal import Bytes
internal import COpenSSL

extension TLSContext {
    /// Makes the context of connections to one upstream.
    ///
    /// - Shape: trusts the certificates of `caFile` alone, or the system's store without one; `certificate` is ours, as the
    ///   paths of the chain and its key. Without `verifies` any certificate of any name is taken.
    /// - Errors: as for a server; the system has no store.
    public static func client(
        caFile: String? = nil, certificate: (String, String)? = nil, verifies: Bool = true,
        offersHTTP2: Bool = true
    ) throws(TLSFault) -> TLSContext {
        let context = try makeContext(isServer: false, minimumVersion: .tls12)
        var loaded: [LoadedCertificate] = []
        do throws(TLSFault) {
            if let caFile {
                try trust(context, caFile, try SmallFile.read(caFile), announces: false)
            } else if verifies, SSL_CTX_set_default_verify_paths(context) != 1 {
                throw TLSFault.openSSL("cannot read the system's certificates")
            }
            if let (path, keyPath) = certificate {
                let own = try LoadedCertificate(certificate: path, privateKey: keyPath)
                guard COpenSSL_use_certificate(context, own.leaf, own.key, own.chain) == 1 else {
                    throw TLSFault.openSSL("cannot use \(path)")
                }
                loaded.append(own)
            }
            let offer: [UInt8] = offersHTTP2 ? [2] + "h2".utf8 + [8] + "http/1.1".utf8 : [8] + "http/1.1".utf8
            // Answers 0 when it went well, unlike the rest of the library.
            guard SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) == 0 else { throw .memory }
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        SSL_CTX_set_verify_depth(context, 8)
        COpenSSL_set_cache_mode(context, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
        SSL_CTX_sess_set_new_cb(context, keepSession)
        return TLSContext(
            contexts: [context], certificates: loaded, tickets: nil, offersHTTP2: offersHTTP2,
            sessions: SessionStore())
    }

    /// Takes a session that the server offered; answering 1 keeps the reference.
    private static let keepSession: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = {
        ssl, session in
        guard let sessions = TLSContext.of(COpenSSL_context_argument(ssl))?.sessions, let session,
            let state = COpenSSL_argument(ssl)
        else { return 0 }
        sessions.keep(
            KeptSession(pointer: session),
            key: state.assumingMemoryBound(to: ConnectionState.self).pointee.sessionKey)
        return 1
    }
}

/// The sessions that a client may resume, one for each endpoint.
///
/// - Shape: holds a reference to each. A session of TLS 1.3 is given out once (RFC 8446 §C.4); one of TLS 1.2 stays until
///   the server sends another.
/// - Limits: at most 1,024 endpoints; sessions of more are not kept.
final class SessionStore: Sendable {
    private let sessions = Guarded<[UInt64: KeptSession]>([:])

    func keep(_ session: KeptSession, key: UInt64) {
        let old = sessions.withLock { sessions -> KeptSession? in
            if sessions[key] == nil, sessions.count >= 1_024 { return session }
            return sessions.updateValue(session, forKey: key)
        }
        old?.free()
    }

    /// A session to resume, with a reference for the caller.
    func take(key: UInt64) -> KeptSession? {
        sessions.withLock { sessions in
            guard let session = sessions[key] else { return nil }
            if SSL_SESSION_get_protocol_version(session.pointer) >= TLS1_3_VERSION {
                sessions[key] = nil
            } else {
                SSL_SESSION_up_ref(session.pointer)
            }
            return session
        }
    }

    deinit { sessions.withLock { for session in $0.values { session.free() } } }
}

/// One reference to an SSL_SESSION.
struct KeptSession: @unchecked Sendable {
    // Unchecked: OpenSSL counts references atomically and changes no session that more than one connection holds.
    let pointer: OpaquePointer

    func free() { SSL_SESSION_free(pointer) }
}
