internal import Bytes
internal import COpenSSL

/// Names tokens, and contents that are not recorded, in events: by their HMAC-SHA-256, never by a plain digest, which would
/// let a reader of the trail try passwords out.
///
/// - Shape: the key is the HMAC of the word `names` under the audit key, so that no name says anything of the signatures
///   under that key itself. Without an audit key it is random, and names hold within one process.
/// - Ownership: made once and shared by all loops.
final class AuditDigester: Sendable {
    private let digester: TokenDigester

    /// - Parameter key: all of the key file.
    init(key: [UInt8]?) {
        guard let key else {
            digester = TokenDigester()
            return
        }
        // RFC 2104: a key longer than a block is its digest.
        var short = [UInt8](repeating: 0, count: 32)
        let isLong = key.count > 64
        if isLong { _ = COpenSSL_sha256(key, key.count, &short) }
        let word: StaticString = "names"
        let purpose = ByteView(start: word.utf8Start, count: word.utf8CodeUnitCount)
        digester = TokenDigester(key: Self.bytes(TokenDigester(key: isLong ? short : key).digest(purpose)))
    }

    /// Appends `hmac-sha256:` and the first `digitCount` hexadecimal digits; at most 64.
    func append(_ bytes: ByteView, digitCount: Int, to output: inout Buffer) {
        output.append("hmac-sha256:")
        let digest = digester.digest(bytes)
        for digit in 0..<digitCount {
            // Digests are bytes in the order in which they were written.
            let word = digest.words[digit / 16].littleEndian
            let byte = UInt8(truncatingIfNeeded: word >> UInt64(digit % 16 / 2 * 8))
            output.appendHexadecimal(UInt64(digit % 2 == 0 ? byte >> 4 : byte & 15))
        }
    }

    private static func bytes(_ digest: TokenDigest) -> [UInt8] {
        withUnsafeBytes(of: digest.words) { Array($0) }
    }
}
