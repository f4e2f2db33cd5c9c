import Bytes
import HTTP
import Testing

struct ChunkedReaderTests {
    struct Outcome: Equatable {
        var content = ""
        var trailers: [String] = []
        var hasEnded = false
        var refusal: Refusal?
        var left = ""
    }

    /// Reads as a connection would: what is not consumed is shown again with what came behind it.
    static func read(_ prefixes: [[UInt8]]) -> Outcome {
        var reader = ChunkedReader()
        var outcome = Outcome()
        var start = 0
        for prefix in prefixes {
            loop: while true {
                let pending = Array(prefix[start...])
                let (step, consumed) = pending.withUnsafeBufferPointer { bytes in
                    let (step, consumed) = reader.next(bytes)
                    switch step {
                    case .content(let range): outcome.content += bytes.view(range).latin1
                    case .trailer(let name, let value):
                        outcome.trailers.append(bytes.view(name).latin1 + ":" + bytes.view(value).latin1)
                    default: break
                    }
                    return (step, consumed)
                }
                start += consumed
                switch step {
                case .needMore: break loop
                case .end:
                    outcome.hasEnded = true
                    outcome.left = String(decoding: prefixes[prefixes.count - 1][start...], as: UTF8.self)
                    return outcome
                case .refused(let refusal):
                    outcome.refusal = refusal
                    return outcome
                default: break
                }
            }
        }
        return outcome
    }

    static func feed(_ text: String) -> Outcome { SplitFeeding.check(text.latin1, read) }

    @Test func `chunks become content and what follows the message is left`() {
        let outcome = Self.feed("4\r\nWiki\r\n00A\r\npedia in \r\r\n0\r\n\r\nGET /")
        #expect(outcome == Outcome(content: "Wikipedia in \r", hasEnded: true, left: "GET /"))
    }

    @Test(arguments: ["0\r\n\r\n", "000\r\n\r\n", "0000000000000000\r\n\r\n"])
    func `a zero size of up to 16 digits ends the message`(text: String) {
        #expect(Self.feed(text) == Outcome(hasEnded: true))
    }

    @Test func `hexadecimal digits of both cases are sizes`() {
        let content = String(repeating: "x", count: 0xAB)
        #expect(Self.feed("aB\r\n\(content)\r\n0\r\n\r\n").content == content)
    }

    @Test func `trailer lines are given without white space around their values`() {
        let outcome = Self.feed("0\r\nX-Sum: \t1 2 \r\nETag:\"a\"\r\nEmpty:\r\n\r\n")
        #expect(outcome == Outcome(trailers: ["X-Sum:1 2", "ETag:\"a\"", "Empty:"], hasEnded: true))
    }

    // RFC 9112 §7.1 and §11.2; each row ends with the byte that decides, as no row may depend on what
    // follows.
    @Test(arguments: [
        ("\r", Refusal.chunkedCodingInvalid), ("g", .chunkedCodingInvalid), ("-", .chunkedCodingInvalid),
        ("+", .chunkedCodingInvalid), (" ", .chunkedCodingInvalid), ("1 ", .chunkedCodingInvalid),
        ("0x", .chunkedCodingInvalid), ("1;", .chunkedCodingInvalid), ("1\n", .chunkedCodingInvalid),
        ("1\rX", .chunkedCodingInvalid), ("1\r\nab", .chunkedCodingInvalid),
        ("1\r\na\n", .chunkedCodingInvalid),
        ("1\r\na\rX", .chunkedCodingInvalid), ("1\r\na\r\n\r", .chunkedCodingInvalid),
        ("00000000000000000", .chunkedCodingInvalid), ("8000000000000000", .chunkedCodingInvalid),
        ("ffffffffffffffff", .chunkedCodingInvalid), ("0\r\n\rX", .controlByte), ("0\r\n\n", .bareLineFeed),
        ("0\r\nA: b\n", .bareLineFeed), ("0\r\nA: b\rc\n", .controlByte), ("0\r\nA: \0\r\n", .controlByte),
        ("0\r\n A: b\r\n", .obsoleteFold), ("0\r\nA : b\r\n", .badFieldLine), ("0\r\n: b\r\n", .badFieldLine),
        ("0\r\nAb\r\n", .badFieldLine), ("0\r\nContent-Length: 1\r\n", .trailerFieldRefused),
        ("0\r\ntransfer-encoding: chunked\r\n", .trailerFieldRefused),
        ("0\r\nHost: a\r\n", .trailerFieldRefused),
        ("0\r\nX-Roles: admin\r\n", .trailerFieldRefused), ("0\r\nX-Auth-Token: a\r\n", .trailerFieldRefused),
        ("0\r\nX_Roles: admin\r\n", .trailerFieldRefused), ("0\r\nConnection: a\r\n", .trailerFieldRefused),
    ])
    func `odd chunk sizes, ends and trailers are refused`(text: String, refusal: Refusal) {
        #expect(Self.feed(text).refusal == refusal)
        let before = Self.feed(String(text.unicodeScalars.dropLast()))
        #expect(before.refusal == nil && !before.hasEnded, "decided before its last byte: \(before)")
    }

    @Test func `a trailer section of more than 8 KiB is refused, one as long as that is not`() {
        let line = "A: " + String(repeating: "v", count: 4_096 - 5) + "\r\n"
        #expect(Self.read([("0\r\n" + line + line + "\r\n").latin1]).trailers.count == 2)
        #expect(Self.read([("0\r\n" + line + line + "B").latin1]).refusal == .trailerTooLarge)
        #expect(
            Self.read([("0\r\n" + String(repeating: "A", count: 8_192)).latin1]).refusal == .trailerTooLarge)
    }

    @Test func `the end is told again and again until the reader is reset`() {
        var reader = ChunkedReader()
        withBytes("0\r\n\r\n") { bytes in
            #expect(reader.next(bytes) == (.end, 5))
            #expect(reader.next(ByteView(start: nil, count: 0)) == (.end, 0))
            reader.reset()
            #expect(reader.next(bytes) == (.end, 5))
        }
    }
}
