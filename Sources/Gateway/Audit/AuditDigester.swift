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
        let word: StaticString = "names"
        let purpose = ByteView(start: word.utf8Start, count: word.utf8CodeUnitCount)
        let own = TokenDigester(key: key).digest(purpose)
        digester = TokenDigester(key: withUnsafeBytes(of: own.words) { Array($0) })
    }

    /// Appends `hmac-sha256:` and the first `digitCount` hexadecimal digits, an even number of at most 64.
    func append(_ bytes: ByteView, digitCount: Int, to output: inout Buffer) {
        output.append("hmac-sha256:")
        withUnsafeBytes(of: digester.digest(bytes).words) {
            output.appendHexadecimal(UnsafeRawBufferPointer(rebasing: $0.prefix(digitCount / 2)))
        }
    }
}
