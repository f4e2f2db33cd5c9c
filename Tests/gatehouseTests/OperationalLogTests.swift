import Glibc
import Logging
import Testing

@testable import gatehouse

struct OperationalLogTests {
    /// 2030-01-31T12:00:00.045Z
    private static let moment = timespec(tv_sec: 1_896_091_200, tv_nsec: 45_999_999)

    private static func line(_ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        String(decoding: OperationalLog.line(moment, .notice, message, metadata), as: UTF8.self)
    }

    @Test func `a record is time, level, message and sorted pairs`() {
        let line = Self.line("listening", ["workers": "2", "address": "127.0.0.1:8774"])
        #expect(line == "2030-01-31T12:00:00.045Z notice listening address=127.0.0.1:8774 workers=2\n")
    }

    @Test(arguments: [
        ("two words", #"key="two words""#),
        ("", #"key="""#),
        ("a=b", #"key="a=b""#),
        (#"say "yes""#, #"key="say \"yes\"""#),
        ("a\nb", #"key=a\nb"#),
        ("a\\b", #"key="a\\b""#),
        ("\u{1B}[31m\u{85}", #"key=\u{1b}[31m\u{85}"#),
        ("größe", "key=größe"),
    ])
    func `a value cannot look like another pair or another line`(_ value: String, _ expected: String) {
        #expect(Self.line("m", ["key": "\(value)"]) == "2030-01-31T12:00:00.045Z notice m \(expected)\n")
    }

    @Test func `a message of several lines stays one line`() {
        #expect(Self.line("a\r\nb").hasSuffix(" a\\u{d}\\nb\n"))
    }

    @Test(arguments: 0..<4)
    func `a long line is cut between characters`(_ shift: Int) throws {
        let message = String(repeating: "x", count: shift) + String(repeating: "𐍈", count: 5_000)
        let bytes = OperationalLog.line(Self.moment, .notice, message, [:])
        let text = try #require(String(validating: bytes, as: UTF8.self))
        #expect(text.hasSuffix("𐍈…\n"))
        #expect((8_189...8_196).contains(bytes.count))
    }

    @Test func `a logger's own metadata is kept by key`() {
        var log = OperationalLog(logLevel: .info)
        log[metadataKey: "worker"] = "1"
        #expect(log[metadataKey: "worker"] == "1")
        #expect(log.metadata.count == 1)
    }
}
