import Bytes
import COpenSSL

/// A running SHA-256 or MD5 over bytes that pass by.
final class Digest {
    enum Algorithm { case sha256, md5 }

    private let state: OpaquePointer?

    init(_ algorithm: Algorithm) {
        state = EVP_MD_CTX_new()
        EVP_DigestInit_ex(state, algorithm == .sha256 ? EVP_sha256() : EVP_md5(), nil)
    }

    deinit { EVP_MD_CTX_free(state) }

    func add(_ bytes: ByteView) { EVP_DigestUpdate(state, bytes.baseAddress, bytes.count) }

    /// The digest in hexadecimal digits; the object is spent after it.
    func finish() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        EVP_DigestFinal_ex(state, &bytes, &count)
        return Array(bytes.prefix(Int(count)))
    }

    static func of(_ bytes: [UInt8], _ algorithm: Algorithm) -> [UInt8] {
        let digest = Digest(algorithm)
        bytes.withUnsafeBufferPointer { digest.add($0) }
        return digest.finish()
    }
}
