internal import Bytes
internal import COpenSSL

/// The key that signs heads of chains.
///
/// - Ownership: made once and shared by all loops.
final class AuditKey: Sendable {
    private let digester: TokenDigester
    /// The first half of the first half of the key's SHA-256, by which a signature says whose it is; 16 hexadecimal digits.
    let name: Content

    /// - Parameter bytes: all of the key file.
    init(_ bytes: [UInt8]) {
        digester = TokenDigester(key: bytes)
        var digest = [UInt8](repeating: 0, count: 32)
        COpenSSL_sha256_plain(bytes, bytes.count, &digest)
        var text = Buffer(capacity: 16)
        digest.prefix(8).withUnsafeBytes { text.appendHexadecimal($0) }
        name = Content(text.readable)
    }

    /// Appends the signature of `bytes` in 64 hexadecimal digits.
    func appendSignature(of bytes: ByteView, to buffer: inout Buffer) {
        withUnsafeBytes(of: digester.digest(bytes).words) { buffer.appendHexadecimal($0) }
    }
}
