internal import Bytes
internal import COpenSSL

/// What a token is known by here: its HMAC-SHA-256 under a key of this process, never the token itself.
struct TokenDigest: Hashable, Sendable {
    var words: InlineArray<4, UInt64>

    static func == (a: TokenDigest, b: TokenDigest) -> Bool {
        // All words, so that how far two agree cannot be timed; the key is secret in any case.
        (a.words[0] ^ b.words[0]) | (a.words[1] ^ b.words[1]) | (a.words[2] ^ b.words[2])
            | (a.words[3] ^ b.words[3]) == 0
    }

    func hash(into hasher: inout Hasher) { hasher.combine(words[0]) }

    /// The same token asked about under other conditions, such as `allow_expired`, which is another question.
    func variant(_ number: UInt64) -> TokenDigest {
        var other = self
        other.words[3] ^= number &* 0x9E37_79B9_7F4A_7C15
        return other
    }
}

/// Makes digests by HMAC-SHA-256 under one key; made once and shared by all loops.
final class TokenDigester: @unchecked Sendable {
    // Unchecked: written in `init` alone.
    private let state: UnsafeMutablePointer<COpenSSL_hmac>

    /// Takes a random key.
    convenience init() {
        var source = SystemRandomNumberGenerator()
        self.init(key: (0..<32).map { _ in UInt8.random(in: 0...255, using: &source) })
    }

    /// Takes a key of any length; one longer than a block of 64 bytes counts as its SHA-256 (RFC 2104 §2).
    init(key: [UInt8]) {
        var key = key
        if key.count > 64 {
            var digest = [UInt8](repeating: 0, count: 32)
            COpenSSL_sha256_plain(key, key.count, &digest)
            key = digest
        }
        state = .allocate(capacity: 1)
        state.initialize(to: COpenSSL_hmac())
        key.withUnsafeBytes { COpenSSL_hmac_prepare(state, $0.baseAddress, $0.count) }
    }

    deinit { state.deallocate() }

    func digest(_ bytes: ByteView) -> TokenDigest {
        var digest = TokenDigest(words: .init(repeating: 0))
        withUnsafeMutableBytes(of: &digest.words) {
            COpenSSL_hmac_digest(
                state, bytes.baseAddress, bytes.count, $0.bindMemory(to: UInt8.self).baseAddress)
        }
        return digest
    }
}
