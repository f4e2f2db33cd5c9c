internal import Bytes
internal import COpenSSL

/// The lines of one writer, each of which names the one before by its SHA-256.
///
/// - Shape: `{"writer":"<16 hex>","sequence":<n>,"previous":"<64 hex>",` and one member more, closed by `}` and a line feed
///   that the digest does not cover. A line that is no event is signed where there is a key.
struct AuditChain {
    /// The writer's name, random, 16 hexadecimal digits.
    let writer: InlineArray<16, UInt8>
    private(set) var sequence: UInt64 = 0
    private(set) var previous: InlineArray<32, UInt8>
    private var lineStart = 0

    /// - Parameter previous: the digest of what stands before the writer's first line; zeros in a new trail.
    init(_ random: inout RandomSource, previous: InlineArray<32, UInt8> = .init(repeating: 0)) {
        var name = Buffer(capacity: 32)
        name.appendHexadecimal(random.next(), width: 16)
        var writer: InlineArray<16, UInt8> = .init(repeating: 0)
        for index in 0..<16 { writer[index] = name.readable[index] }
        self.writer = writer
        self.previous = previous
    }

    /// Begins a line; the caller appends its member.
    mutating func begin(_ buffer: inout Buffer) {
        lineStart = buffer.count
        buffer.append("{\"writer\":\"")
        appendWriter(to: &buffer)
        buffer.append("\",\"sequence\":")
        buffer.appendDecimal(sequence)
        buffer.append(",\"previous\":\"")
        appendPrevious(to: &buffer)
        buffer.append("\",")
    }

    /// Signs the line as far as it is made: the member's object is still open, and has a member already.
    func sign(_ buffer: inout Buffer, _ key: AuditKey) {
        buffer.append(",\"key\":\"")
        buffer.append(key.name.bytes)
        buffer.append("\"")
        guard !buffer.hasOverflowed else { return }
        // The line may not grow while its bytes are borrowed, so the signature is made beside it.
        var signature = Buffer(capacity: 64)
        key.appendSignature(of: buffer.readable.view(lineStart, buffer.count - lineStart), to: &signature)
        buffer.append(",\"signature\":\"")
        buffer.append(signature.readable)
        buffer.append("\"")
    }

    /// Ends the line; false when it found no room.
    mutating func end(_ buffer: inout Buffer) -> Bool {
        buffer.append("}")
        guard !buffer.hasOverflowed, buffer.room > 0 else { return false }
        let line = buffer.readable.view(lineStart, buffer.count - lineStart)
        withUnsafeMutableBytes(of: &previous) {
            COpenSSL_sha256_plain(
                line.baseAddress, line.count, $0.bindMemory(to: UInt8.self).baseAddress)
        }
        buffer.append("\n")
        sequence += 1
        return true
    }

    /// The same writer before its first line, after a line with that digest.
    func following(_ digest: InlineArray<32, UInt8>) -> AuditChain {
        var other = self
        other.previous = digest
        return other
    }

    func appendWriter(to buffer: inout Buffer) {
        withUnsafeBytes(of: writer) { buffer.append($0.bindMemory(to: UInt8.self)) }
    }

    func appendPrevious(to buffer: inout Buffer) {
        withUnsafeBytes(of: previous) { buffer.appendHexadecimal($0) }
    }
}
