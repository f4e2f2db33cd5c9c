internal import Bytes
internal import COpenSSL
internal import Glibc

extension TLSContext {
    /// Makes the context of a listener.
    ///
    /// - Shape: the first certificate also serves clients that name no server, or one that no certificate is for.
    ///   Certificates for the same name with keys of different kinds (RSA, ECDSA) are both kept for it, and each client
    ///   gets the one it can use; of the same kind, the one named first counts. Without `tickets` nothing is resumed.
    ///   With `clientCA` clients are asked for a certificate of that CA, and refused without a good one if
    ///   `requiresClientCertificate`; a bad one is refused always.
    /// - Errors: a file is missing or damaged, a key does not fit or is encrypted, a certificate has expired.
    public static func server(
        certificates files: [ServerCertificate], clientCA: String? = nil,
        requiresClientCertificate: Bool = false,
        minimumVersion: TLSVersion = .tls12, tickets: TLSTicketKeys?, offersHTTP2: Bool = true
    ) throws(TLSFault) -> TLSContext {
        guard !files.isEmpty else { throw TLSFault("a server needs a certificate") }
        var certificates: [LoadedCertificate] = []
        var warnings: [String] = []
        for file in files {
            let loaded = try LoadedCertificate(certificate: file.certificate, privateKey: file.privateKey)
            if let path = file.ocspResponse,
                let warning = try loaded.readStaple(path, certificate: file.certificate)
            {
                warnings.append(warning)
            }
            certificates.append(loaded)
        }
        let (sets, indexByName) = sets(of: certificates)
        let clientTrust = try clientCA.map { (path) throws(TLSFault) in (path, try SmallFile.read(path)) }

        var contexts: [OpaquePointer] = []
        do throws(TLSFault) {
            for set in sets {
                let context = try makeContext(isServer: true, minimumVersion: minimumVersion)
                contexts.append(context)
                for index in set {
                    let loaded = certificates[index]
                    guard
                        COpenSSL_use_certificate(context, loaded.leaf, loaded.key, loaded.chain) == 1
                    else { throw TLSFault.openSSL("cannot use \(files[index].certificate)") }
                }
                try prepare(
                    context, clientTrust: clientTrust, requiresClientCertificate: requiresClientCertificate,
                    ticketLifetimeSeconds: tickets?.lifetimeSeconds)
            }
        } catch {
            for context in contexts { SSL_CTX_free(context) }
            throw error
        }
        let made = TLSContext(
            contexts: contexts, certificates: certificates, indexByName: indexByName, tickets: tickets,
            offersHTTP2: offersHTTP2, sessions: nil, warnings: warnings)
        let argument = Unmanaged.passUnretained(made).toOpaque()
        for context in contexts {
            SSL_CTX_set_alpn_select_cb(context, selectProtocol, argument)
            if made.certificates.contains(where: { !$0.staple.isEmpty }) {
                COpenSSL_set_status_callback(context, staple, argument)
            }
        }
        if contexts.count > 1 { COpenSSL_set_server_name_callback(contexts[0], selectCertificate, argument) }
        return made
    }

    /// Which certificates go together into a context, and which context is for which name.
    private static func sets(of certificates: [LoadedCertificate]) -> ([[Int]], [String: Int]) {
        var setByName: [String: [Int]] = [:]
        var names: [String] = []
        for (index, certificate) in certificates.enumerated() {
            for name in certificate.names {
                var set = setByName[name] ?? []
                if set.isEmpty { names.append(name) }
                guard !set.contains(where: { certificates[$0].keyKind == certificate.keyKind }) else {
                    continue
                }
                set.append(index)
                setByName[name] = set
            }
        }
        // The first set is for clients that name nothing known: the first certificate and those beside it.
        var sets = [certificates[0].names.first.flatMap { setByName[$0] } ?? [0]]
        if !sets[0].contains(0) { sets[0] = [0] }
        var indexByName: [String: Int] = [:]
        for name in names {
            guard let set = setByName[name] else { continue }
            if let index = sets.firstIndex(of: set) {
                indexByName[name] = index
            } else {
                indexByName[name] = sets.count
                sets.append(set)
            }
        }
        return (sets, indexByName)
    }

    /// Sets what only servers have: order of suites, tickets, trust in clients' certificates.
    private static func prepare(
        _ context: OpaquePointer, clientTrust: (path: String, bytes: [UInt8])?,
        requiresClientCertificate: Bool,
        ticketLifetimeSeconds: UInt64?
    ) throws(TLSFault) {
        SSL_CTX_set_options(context, COpenSSL_option_order)
        COpenSSL_set_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        if let lifetime = ticketLifetimeSeconds {
            // A ticket lives as long as its key may: one lifetime as the current, one as the previous (RFC 8446 §4.6.1:
            // at most 7 days). One ticket and not two: a client that resumes gets a new one each time.
            SSL_CTX_set_timeout(context, Int(min(2 * min(lifetime, 604_800), 604_800)))
            SSL_CTX_set_num_tickets(context, 1)
            COpenSSL_set_ticket_callback(context, useTicketKey)
        } else {
            SSL_CTX_set_options(context, COpenSSL_option_no_ticket)
            SSL_CTX_set_num_tickets(context, 0)
        }
        // Sessions resume only where the same is asked of clients' certificates: OpenSSL compares this identifier.
        var identifier = [UInt8](repeating: 0, count: 32)
        let asked = [requiresClientCertificate ? 1 : 0] + (clientTrust?.bytes ?? [])
        guard COpenSSL_sha256(asked, asked.count, &identifier) == 1,
            SSL_CTX_set_session_id_context(context, identifier, UInt32(identifier.count)) == 1
        else { throw .memory }
        guard let clientTrust else { return }
        try trust(context, clientTrust.path, clientTrust.bytes, announces: true)
        SSL_CTX_set_verify(
            context, SSL_VERIFY_PEER | (requiresClientCertificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nil)
        SSL_CTX_set_verify_depth(context, 5)
    }

    /// Trusts the certificates of `bytes`; `announces` also names them to clients, who choose theirs by it.
    static func trust(
        _ context: OpaquePointer, _ path: String, _ bytes: [UInt8], announces: Bool
    ) throws(TLSFault) {
        let store = SSL_CTX_get_cert_store(context)
        let count = try SmallFile.withBIO(bytes) { (bio) throws(TLSFault) in
            var count = 0
            while let certificate = PEM_read_bio_X509_AUX(bio, nil, nil, nil) {
                defer { X509_free(certificate) }
                guard X509_STORE_add_cert(store, certificate) == 1,
                    !announces || SSL_CTX_add_client_CA(context, certificate) == 1
                else { throw TLSFault.openSSL("cannot use \(path)") }
                count += 1
            }
            let isEnd = COpenSSL_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE
            ERR_clear_error()
            guard isEnd || count == 0 else { throw TLSFault("\(path) has a damaged certificate") }
            return count
        }
        guard count > 0 else { throw TLSFault("\(path) has no certificate in PEM form") }
    }

    // MARK: - What OpenSSL asks during a handshake

    /// Chooses h2 before http/1.1, or refuses with no_application_protocol (RFC 7301 §3.2).
    private static let selectProtocol:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?,
            UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
        ) -> Int32 = { _, chosen, chosenCount, offer, offerCount, argument in
            guard let context = TLSContext.of(argument), let chosen, let chosenCount else {
                return SSL_TLSEXT_ERR_ALERT_FATAL
            }
            let offers = ByteView(start: offer, count: Int(offerCount))
            var http11: UnsafePointer<UInt8>?
            var place = 0
            while place < offers.count {
                let count = Int(offers[place])
                guard count > 0, place + 1 + count <= offers.count else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                let name = offers.view(place + 1, count)
                if context.offersHTTP2, name.equals("h2") {
                    chosen.pointee = name.baseAddress
                    chosenCount.pointee = 2
                    return SSL_TLSEXT_ERR_OK
                }
                if name.equals("http/1.1") { http11 = name.baseAddress }
                place += 1 + count
            }
            guard let http11 else { return SSL_TLSEXT_ERR_ALERT_FATAL }
            chosen.pointee = http11
            chosenCount.pointee = 8
            return SSL_TLSEXT_ERR_OK
        }

    private static let selectCertificate:
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?, UnsafeMutableRawPointer?) -> Int32 = {
            ssl, _, argument in
            guard let context = TLSContext.of(argument),
                let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
            else { return SSL_TLSEXT_ERR_NOACK }
            let chosen = context.context(serverName: name)
            if chosen != context.contexts[0], SSL_set_SSL_CTX(ssl, chosen) == nil {
                return SSL_TLSEXT_ERR_ALERT_FATAL
            }
            return SSL_TLSEXT_ERR_OK
        }

    private static let staple: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = {
        ssl, argument in
        guard let context = TLSContext.of(argument), let leaf = SSL_get_certificate(ssl),
            let certificate = context.certificates.first(where: { $0.leaf == leaf }),
            !certificate.staple.isEmpty,
            certificate.stapleExpiresAt == 0 || Int64(time(nil)) < certificate.stapleExpiresAt,
            COpenSSL_staple(ssl, certificate.staple, certificate.staple.count) == 1
        else { return SSL_TLSEXT_ERR_NOACK }
        return SSL_TLSEXT_ERR_OK
    }

    private static let useTicketKey:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, OpaquePointer?,
            OpaquePointer?, Int32
        ) -> Int32 = { ssl, name, vector, cipher, authentication, seals in
            guard let keys = TLSContext.of(COpenSSL_context_argument(ssl))?.tickets, let name, let vector,
                let cipher, let authentication
            else { return -1 }
            return keys.prepare(
                name: name, vector: vector, cipher: cipher, authentication: authentication, seals: seals == 1,
                // A ticket of TLS 1.3 is good for one connection (RFC 8446 §C.4): each that resumes needs the next.
                renews: SSL_version(ssl) >= TLS1_3_VERSION)
        }
}
