internal import Bytes
internal import TLS

/// Whose certificate a client showed and proved to have; for the access line, limits and audit.
///
/// - Shape: `subject` as RFC 2253 writes it; `fingerprint` the SHA-256 of the certificate in 64 hexadecimal digits.
final class ClientCertificate {
    let subject: Content
    let fingerprint: Content

    /// Reads the certificate of an established connection; nil when the client showed none.
    init?(_ tls: borrowing TLSConnection) {
        var digest: InlineArray<32, UInt8> = .init(repeating: 0)
        let hasCertificate = withUnsafeMutableBytes(of: &digest) {
            tls.peerFingerprint(into: $0.bindMemory(to: UInt8.self))
        }
        guard hasCertificate else { return nil }
        var text = Buffer(capacity: 2_048)
        tls.appendPeerSubject(to: &text)
        subject = Content(text.readable)
        text.removeAll()
        for index in 0..<32 { text.appendHexadecimal(UInt64(digest[index]), width: 2) }
        fingerprint = Content(text.readable)
    }
}
