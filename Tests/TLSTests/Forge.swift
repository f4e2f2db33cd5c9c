import Bytes
import COpenSSL

/// A client of TLS 1.3 that seals whatever it is told to, with the keys of a handshake that OpenSSL made.
///
/// The keys are derived here from the secret that OpenSSL logs (RFC 8446 §7.1, §7.3), so after the first record of its
/// own OpenSSL's side must not send.
final class Forge {
    let peer: RawPeer
    private var sequence: UInt64 = 0

    init() {
        peer = RawPeer { context in
            RawPeer.setVersions(context, TLS1_3_VERSION, TLS1_3_VERSION)
            SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256")
            SSL_CTX_set_keylog_callback(context) { ssl, line in
                guard let line, let place = COpenSSL_argument(ssl) else { return }
                let words = String(cString: line).split(separator: " ")
                guard words.count == 3, words[0] == "CLIENT_TRAFFIC_SECRET_0" else { return }
                let digits = Array(words[2].utf8)
                let secret = stride(from: 0, to: digits.count, by: 2).compactMap { index -> UInt8? in
                    guard let high = ASCII.hexValue(digits[index]),
                        let low = ASCII.hexValue(digits[index + 1])
                    else { return nil }
                    return high << 4 | low
                }
                Unmanaged<Secret>.fromOpaque(place).takeUnretainedValue().bytes = secret
            }
        }
        COpenSSL_set_argument(peer.ssl, Unmanaged.passUnretained(secret).toOpaque())
    }

    /// What OpenSSL logged.
    private final class Secret { var bytes: [UInt8] = [] }
    private let secret = Secret()

    /// HKDF-Expand-Label without context, of at most 32 bytes.
    private func expand(_ label: String, _ count: Int) -> [UInt8] {
        let full = bytes("tls13 " + label)
        let information = [0, UInt8(count), UInt8(full.count)] + full + [0, 1]
        var state = COpenSSL_hmac()
        COpenSSL_hmac_prepare(&state, secret.bytes, secret.bytes.count)
        var digest = [UInt8](repeating: 0, count: 32)
        COpenSSL_hmac_digest(&state, information, information.count, &digest)
        return Array(digest.prefix(count))
    }

    /// A record of any inner type with any content.
    func record(type: UInt8, _ content: [UInt8], paddedBy padding: Int = 0) -> [UInt8] {
        let key = expand("key", 16)
        var nonce = expand("iv", 12)
        for index in 0..<8 {
            nonce[4 + index] ^= UInt8(truncatingIfNeeded: sequence >> UInt64(56 - 8 * index))
        }
        sequence += 1
        let inner = content + [type] + [UInt8](repeating: 0, count: padding)
        let count = inner.count + 16
        let head: [UInt8] = [23, 3, 3, UInt8(count >> 8), UInt8(count & 255)]
        var sealed = [UInt8](repeating: 0, count: inner.count)
        var tag = [UInt8](repeating: 0, count: 16)
        var length: Int32 = 0
        let cipher = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(cipher) }
        EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), nil, key, nonce)
        EVP_EncryptUpdate(cipher, nil, &length, head, 5)
        EVP_EncryptUpdate(cipher, &sealed, &length, inner, Int32(inner.count))
        EVP_EncryptFinal_ex(cipher, nil, &length)
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, &tag)
        return head + sealed + tag
    }
}
