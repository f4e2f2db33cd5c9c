internal import Bytes
internal import COpenSSL

/// A SHA-256, or a signature by one.
///
/// - Shape: 32 bytes as four numbers in the order of the text; written in 64 lower-case hexadecimal digits.
public struct TrailDigest: Hashable, Sendable {
    var words: SIMD4<UInt64> = .zero

    /// What the first line of a new trail has in place of the line before it.
    static let none = TrailDigest()

    init() {}

    /// Reads all of `text`; nil unless it is 64 lower-case hexadecimal digits.
    init?(_ text: ByteView) {
        guard text.count == 64 else { return nil }
        for index in 0..<4 {
            guard let word = TrailHexadecimal.read(text.view(index * 16, 16)) else { return nil }
            words[index] = word
        }
    }

    /// The 64 digits.
    public var text: String { (0..<4).map { TrailHexadecimal.text(words[$0]) }.joined() }
}

/// Numbers in 16 lower-case hexadecimal digits, as the trail names writers and keys.
enum TrailHexadecimal {
    /// Reads all of `text`; nil for another length, an upper-case digit, or no digit.
    static func read(_ text: ByteView) -> UInt64? {
        guard text.count == 16 else { return nil }
        var value: UInt64 = 0
        for byte in text {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return value
    }

    static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// Makes SHA-256 digests one after the other, without looking the algorithm up each time.
struct TrailHash: ~Copyable {
    private let state: OpaquePointer?
    private let algorithm: OpaquePointer?

    init() {
        state = EVP_MD_CTX_new()
        algorithm = EVP_MD_fetch(nil, "SHA256", nil)
    }

    deinit {
        EVP_MD_CTX_free(state)
        EVP_MD_free(algorithm)
    }

    func digest(_ bytes: ByteView) -> TrailDigest {
        var digest = TrailDigest()
        var count: UInt32 = 0
        var made: Int32 = 0
        withUnsafeMutableBytes(of: &digest.words) { place in
            guard EVP_DigestInit_ex(state, algorithm, nil) == 1,
                EVP_DigestUpdate(state, bytes.baseAddress, bytes.count) == 1
            else { return }
            made = EVP_DigestFinal_ex(state, place.bindMemory(to: UInt8.self).baseAddress, &count)
        }
        // It fails only where the library cannot be used at all; to go on would call every line changed.
        precondition(made == 1 && count == 32, "no SHA-256")
        return digest.inTextOrder
    }
}

extension TrailDigest {
    /// The same after its bytes were put in as they came.
    var inTextOrder: TrailDigest {
        var other = self
        for index in 0..<4 { other.words[index] = UInt64(bigEndian: words[index]) }
        return other
    }
}

/// A key that signs the trail.
///
/// - Shape: all bytes of its file count, a line feed at its end too; the name is the first half of the first half of
///   their SHA-256.
public final class TrailKey: Sendable {
    private let digester: TokenDigester
    let name: UInt64

    /// - Parameter bytes: 32 to 4,096; nil for fewer or more.
    public init?(_ bytes: [UInt8]) {
        guard (32...4_096).contains(bytes.count) else { return nil }
        let digest = bytes.withUnsafeBufferPointer { TrailHash().digest($0) }
        name = digest.words[0]
        digester = TokenDigester(key: bytes)
    }

    /// The name in 16 digits, as heads have it.
    public var text: String { TrailHexadecimal.text(name) }

    func signature(of bytes: ByteView) -> TrailDigest {
        let made = digester.digest(bytes).words
        var digest = TrailDigest()
        for index in 0..<4 { digest.words[index] = made[index] }
        return digest.inTextOrder
    }
}
