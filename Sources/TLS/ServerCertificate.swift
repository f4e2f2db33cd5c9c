internal import COpenSSL
internal import Glibc

/// The files of one certificate that a server proves itself with.
public struct ServerCertificate: Sendable {
    /// Path of the certificate in PEM form, its chain behind it.
    public var certificate: String
    /// Path of its private key in PEM form, not encrypted.
    public var privateKey: String
    /// Path of its OCSP response in DER form, to be stapled; nil for none.
    public var ocspResponse: String?

    public init(certificate: String, privateKey: String, ocspResponse: String? = nil) {
        self.certificate = certificate
        self.privateKey = privateKey
        self.ocspResponse = ocspResponse
    }
}

/// A certificate with its chain, key and OCSP response in memory; immutable.
final class LoadedCertificate {
    let leaf: OpaquePointer
    let chain: OpaquePointer
    let key: OpaquePointer
    private(set) var staple: [UInt8] = []
    /// Seconds since 1970 after which the response is not stapled any more; 0 for never.
    private(set) var stapleExpiresAt: Int64 = 0

    /// Reads certificate and key and sees that they belong together and are good now.
    ///
    /// - Errors: a file cannot be read or holds nothing of the kind, the key is encrypted or belongs to another
    ///   certificate, the certificate has expired or is not valid yet.
    init(certificate: String, privateKey: String) throws(TLSFault) {
        (leaf, chain) = try Self.readCertificates(certificate)
        do throws(TLSFault) {
            key = try Self.readKey(privateKey)
        } catch {
            X509_free(leaf)
            COpenSSL_free_chain(chain)
            throw error
        }
        // From here on the object is whole: a throw frees all three.
        guard X509_check_private_key(leaf, key) == 1 else {
            ERR_clear_error()
            throw TLSFault("\(privateKey) is not the key of \(certificate)")
        }
        if let end = X509_get0_notAfter(leaf), X509_cmp_current_time(end) < 0 {
            throw TLSFault("\(certificate) expired on \(Self.date(end))")
        }
        if let start = X509_get0_notBefore(leaf), X509_cmp_current_time(start) > 0 {
            throw TLSFault("\(certificate) is not valid before \(Self.date(start))")
        }
    }

    deinit {
        X509_free(leaf)
        COpenSSL_free_chain(chain)
        EVP_PKEY_free(key)
    }

    /// Reads the OCSP response at `path`; answers a warning when it is a good one but too old to be stapled.
    ///
    /// - Errors: the file cannot be read, is no OCSP response, is about another certificate or says other than good.
    func readStaple(_ path: String, certificate: String) throws(TLSFault) -> String? {
        let bytes = try SmallFile.read(path)
        var expiresAt: Int64 = 0
        let answer = COpenSSL_read_ocsp(bytes, bytes.count, leaf, &expiresAt)
        ERR_clear_error()
        switch answer {
        case 0: break
        case 2: throw TLSFault("\(path) is no answer: its responder reports an error")
        case 3: throw TLSFault("\(path) is not about \(certificate)")
        case 4: throw TLSFault("\(path) does not say that \(certificate) is good")
        default: throw TLSFault("\(path) is not an OCSP response in DER form")
        }
        if expiresAt != 0, expiresAt <= Int64(time(nil)) {
            return "\(path) has expired and is not stapled"
        }
        (staple, stapleExpiresAt) = (bytes, expiresAt)
        return nil
    }

    /// The DNS names it is for, in lower case.
    var names: [String] {
        var names: [String] = []
        withUnsafeMutablePointer(to: &names) {
            COpenSSL_each_name(leaf, $0) { names, name, count in
                guard let names, let name else { return }
                let bytes = UnsafeRawBufferPointer(start: name, count: Int(count))
                names.assumingMemoryBound(to: [String].self).pointee.append(
                    String(decoding: bytes, as: UTF8.self).lowercased())
            }
        }
        return names
    }

    /// What kind of key it has: a context holds one certificate of each.
    var keyKind: Int32 { EVP_PKEY_get_base_id(key) }

    private static func date(_ time: UnsafePointer<ASN1_TIME>) -> String {
        var text = [UInt8](repeating: 0, count: 11)
        return COpenSSL_date(time, &text) == 1
            ? String(decoding: text.dropLast(), as: UTF8.self) : "an unknown date"
    }

    /// The first certificate of the file and those behind it.
    private static func readCertificates(
        _ path: String
    ) throws(TLSFault) -> (leaf: OpaquePointer, chain: OpaquePointer) {
        let bytes = try SmallFile.read(path)
        return try SmallFile.withBIO(bytes) { (bio) throws(TLSFault) in
            guard let leaf = PEM_read_bio_X509_AUX(bio, nil, nil, nil) else {
                ERR_clear_error()
                throw TLSFault("\(path) has no certificate in PEM form")
            }
            guard let chain = COpenSSL_new_chain() else {
                X509_free(leaf)
                throw .memory
            }
            while let next = PEM_read_bio_X509(bio, nil, nil, nil) {
                if COpenSSL_push(chain, next) == 0 { X509_free(next) }
            }
            // The end of the file ends the chain; anything else is a damaged certificate.
            let isEnd = COpenSSL_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE
            ERR_clear_error()
            guard isEnd else {
                X509_free(leaf)
                COpenSSL_free_chain(chain)
                throw TLSFault("\(path) has a damaged certificate in its chain")
            }
            return (leaf, chain)
        }
    }

    private static func readKey(_ path: String) throws(TLSFault) -> OpaquePointer {
        var bytes = try SmallFile.read(path)
        defer { bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        return try SmallFile.withBIO(bytes) { (bio) throws(TLSFault) in
            // Asked for a passphrase: there is none, but the asking tells what is wrong.
            var isEncrypted = false
            let key = withUnsafeMutablePointer(to: &isEncrypted) {
                PEM_read_bio_PrivateKey(
                    bio, nil,
                    { _, _, _, asked in
                        asked?.assumingMemoryBound(to: Bool.self).pointee = true
                        return -1
                    }, $0)
            }
            ERR_clear_error()
            if let key { return key }
            throw TLSFault(
                isEncrypted
                    ? "\(path) is encrypted: the key is needed without a passphrase"
                    : "\(path) has no private key in PEM form")
        }
    }
}
