import Bytes
import Testing

/// Feeds one input to a reader in every way it can come in: whole, byte by byte, and cut at each position.
enum SplitFeeding {
    /// The lengths of the growing prefixes shown to a reader, one list a way of feeding.
    static func feedings(_ byteCount: Int) -> [[Int]] {
        guard byteCount > 1 else { return [[byteCount]] }
        return [[byteCount], Array(1...byteCount)] + (1..<byteCount).map { [$0, byteCount] }
    }

    /// Runs `read` with each feeding, demands the same answer every time, and gives it back.
    ///
    /// `read` gets the prefixes in order, each in a block of exactly its size so that a sanitizer sees reads
    /// past it.
    static func check<Answer: Equatable>(
        _ input: [UInt8], sourceLocation: SourceLocation = #_sourceLocation, _ read: ([[UInt8]]) -> Answer
    ) -> Answer {
        let whole = read([input])
        for lengths in feedings(input.count).dropFirst() {
            let answer = read(lengths.map { Array(input[0..<$0]) })
            if answer != whole {
                let way = lengths.count > 2 ? "byte by byte" : "cut at \(lengths[0])"
                Issue.record(
                    "\(way): \(answer), but whole: \(whole), for \(text(input))",
                    sourceLocation: sourceLocation)
                break
            }
        }
        return whole
    }

    static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.prefix(2_000), as: UTF8.self).debugDescription
    }
}

/// Lends the bytes of `text` to `body`, one byte a scalar below U+0100, so that every byte can be written.
func withBytes<Answer>(_ text: String, _ body: (ByteView) throws -> Answer) rethrows -> Answer {
    try text.latin1.withUnsafeBufferPointer(body)
}

extension String {
    var latin1: [UInt8] { unicodeScalars.map { UInt8($0.value) } }
}

extension UnsafeBufferPointer where Element == UInt8 {
    var latin1: String {
        var text = ""
        for byte in self { text.unicodeScalars.append(UnicodeScalar(byte)) }
        return text
    }
}
