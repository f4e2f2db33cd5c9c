internal import Bytes
internal import COpenSSL

/// The oldest version of TLS that a server speaks.
public enum TLSVersion: Sendable, Equatable {
    case tls12, tls13

    var number: Int32 { self == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION }
}

/// What both sides agreed to speak over the connection (RFC 7301).
public enum TLSProtocol: UInt8, Sendable, Equatable {
    /// The other side did not negotiate.
    case none
    case http11
    case http2
}

/// Certificates, trust and rules of connections on one side; made once, a reload makes another.
///
/// - Shape: immutable but for the sessions that a client keeps, so shared by all loops; each connection holds on to it.
///   A server has one SSL_CTX for each set of certificates that some name has, the first for names it does not know.
/// - Source: Mozilla's «intermediate» profile: TLS 1.2 and 1.3, ECDHE and AEAD suites alone, X25519, P-256 and P-384.
public final class TLSContext: @unchecked Sendable {
    // Unchecked: OpenSSL locks what it changes inside an SSL_CTX; `sessions` has a lock of its own.

    /// Which certificates and offers a context has.
    let contexts: [OpaquePointer]
    let certificates: [LoadedCertificate]
    private let indexByName: [String: Int]
    let tickets: TLSTicketKeys?
    let offersHTTP2: Bool
    let isServer: Bool
    let sessions: SessionStore?

    /// What is wrong but does not keep it from being used, for the log: sentences without their full stop.
    public let warnings: [String]

    init(
        contexts: [OpaquePointer], certificates: [LoadedCertificate] = [], indexByName: [String: Int] = [:],
        tickets: TLSTicketKeys?, offersHTTP2: Bool, sessions: SessionStore?, warnings: [String] = []
    ) {
        self.contexts = contexts
        self.certificates = certificates
        self.indexByName = indexByName
        self.tickets = tickets
        self.offersHTTP2 = offersHTTP2
        isServer = sessions == nil
        self.sessions = sessions
        self.warnings = warnings
        let argument = Unmanaged.passUnretained(self).toOpaque()
        for context in contexts { COpenSSL_set_context_argument(context, argument) }
    }

    deinit { for context in contexts { SSL_CTX_free(context) } }

    /// The context whose certificates are for `name`: that very name, else a wildcard for it, else the first.
    func context(serverName: UnsafePointer<CChar>) -> OpaquePointer {
        let name = String(cString: serverName).lowercased()
        if let index = indexByName[name] { return contexts[index] }
        if let dot = name.firstIndex(of: "."), let index = indexByName["*" + name[dot...]] {
            return contexts[index]
        }
        return contexts[0]
    }

    /// The context that OpenSSL calls back about; alive as long as the connection is.
    static func of(_ argument: UnsafeMutableRawPointer?) -> TLSContext? {
        argument.map { Unmanaged<TLSContext>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Makes an SSL_CTX with all that both sides share.
    static func makeContext(
        isServer: Bool, minimumVersion: TLSVersion
    ) throws(TLSFault) -> OpaquePointer {
        ERR_clear_error()
        guard let context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            throw .memory
        }
        // Compression leaks secrets (CRIME), and renegotiation is work that a client can ask for without end.
        SSL_CTX_set_options(context, COpenSSL_option_no_compression | COpenSSL_option_no_renegotiation)
        // AES-128 first: it is no weaker in practice and a quarter cheaper than AES-256.
        let suites = [
            "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        ].joined(separator: ":")
        let signatures = [
            "ecdsa_secp256r1_sha256", "ed25519", "rsa_pss_rsae_sha256", "rsa_pkcs1_sha256",
            "ecdsa_secp384r1_sha384",
            "rsa_pss_rsae_sha384", "rsa_pkcs1_sha384", "rsa_pss_rsae_sha512", "rsa_pkcs1_sha512",
            "rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512", "ecdsa_secp521r1_sha512",
        ].joined(separator: ":")
        guard COpenSSL_set_versions(context, minimumVersion.number) == 1,
            SSL_CTX_set_cipher_list(context, suites) == 1,
            SSL_CTX_set_ciphersuites(
                context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1,
            COpenSSL_set_groups(context, "X25519:P-256:P-384") == 1,
            COpenSSL_set_signature_algorithms(context, signatures) == 1
        else {
            let fault = TLSFault.openSSL("OpenSSL does not know a suite, group or signature that is needed")
            SSL_CTX_free(context)
            throw fault
        }
        // Released buffers save 34 KiB of each idle connection; partial writes never happen, since room is checked before.
        COpenSSL_set_mode(context, COpenSSL_mode_connection)
        COpenSSL_wire_watch(context)
        return context
    }
}
