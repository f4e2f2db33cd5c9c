import Bytes
import Foundation
import Testing

@testable import Gateway

/// How events look as syslog messages.
struct SyslogMessageTests {
    private static let writer = "0123456789abcdef"

    private static func settings(_ change: (inout Settings.Syslog) -> Void = { _ in }) -> Settings.Syslog {
        var settings = Settings.Syslog(transport: .tcp, address: NetworkAddress(host: "127.0.0.1", port: 601))
        settings.hostname = "gate.example.org"
        change(&settings)
        return settings
    }

    private static func write(
        _ content: String, sequence: UInt64 = 7, _ form: SyslogMessage = SyslogMessage(settings())
    ) -> String {
        withBytes(writer) { writer in
            withBytes(content) { content in
                let event = SinkEvent(writer: writer, sequence: sequence, content: content)
                var buffer = Buffer(capacity: form.maxByteCount(of: event))
                form.append(event, to: &buffer)
                let hasOverflowed = buffer.hasOverflowed
                #expect(!hasOverflowed)
                return buffer.readable.string
            }
        }
    }

    /// The JSON behind the header.
    private static func content(_ message: String) -> String {
        message.range(of: "\"] {").map { "{" + message[$0.upperBound...] } ?? ""
    }

    private static func object(_ text: String) throws -> NSDictionary {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSDictionary)
    }

    @Test func `a message has every part of RFC 5424 and then the event`() {
        let event = MadeEvent(id: 5, microseconds: 1_788_256_800_123_456).text
        #expect(
            Self.write(event)
                == "<110>1 2026-09-01T10:00:00.123456+00:00 gate.example.org gatehouse 0123456789abcdef audit "
                + "[origin software=\"gatehouse\" swVersion=\"\(Version.text)\"][meta sequenceId=\"7\"] \(event)"
        )
    }

    @Test(arguments: [("success", 13, 110), ("failure", 13, 109), ("unknown", 13, 110), ("failure", 23, 189)])
    func `the priority is of the facility and the outcome`(outcome: String, facility: Int, priority: Int) {
        let form = SyslogMessage(Self.settings { $0.facility = UInt8(facility) })
        #expect(Self.write(MadeEvent(outcome: outcome).text, form).hasPrefix("<\(priority)>1 "))
    }

    @Test(arguments: [
        ("2026-09-01T10:00:00.123456+02:00", "2026-09-01T10:00:00.123456+02:00"),
        ("2026-09-01T10:00:00.123456789+02:00", "2026-09-01T08:00:00.123456+00:00"),
        ("2026-09-01t10:00:00.123456+00:00", "2026-09-01T10:00:00.123456+00:00"),
        ("2026-09-01T10:00:00Z", "2026-09-01T10:00:00.000000+00:00"),
        ("2026-09-31T10:00:00.123456+00:00", "-"), ("yesterday", "-"), ("", "-"),
    ])
    func `the time is the event's, as RFC 5424 writes it`(text: String, written: String) {
        #expect(Self.write("{\"eventTime\":\"\(text)\",\"id\":\"x\"}").split(separator: " ")[1] == written)
    }

    @Test func `an event without its members is a message too`() {
        #expect(Self.write("{}").hasPrefix("<110>1 - gate.example.org gatehouse 0123456789abcdef audit ["))
        #expect(Self.write("{\"eventTime\":3,\"outcome\":[]}").hasPrefix("<110>1 - gate"))
    }

    @Test func `names are of visible ASCII and no longer than RFC 5424 has room for`() {
        let form = SyslogMessage(
            Self.settings {
                $0.hostname = "a b\u{e9}" + String(repeating: "h", count: 300)
                $0.appName = String(repeating: "n", count: 60)
            }, version: "1\"]\\ " + String(repeating: "9", count: 40))
        let parts = Self.write("{}", form).split(separator: " ", maxSplits: 5)
        #expect(parts[2] == "a?b??" + String(repeating: "h", count: 250))
        #expect(parts[3] == String(repeating: "n", count: 48))
        let version = "1????" + String(repeating: "9", count: 27)
        #expect(parts[5].hasPrefix("audit [origin software=\"gatehouse\" swVersion=\"\(version)\"][meta "))
        let nameless = SyslogMessage(Self.settings { $0.hostname = nil }, hostname: "")
        #expect(Self.write("{}", nameless).hasPrefix("<110>1 - - gatehouse "))
        #expect(SinkMachine.name?.isEmpty == false)
    }

    @Test(
        arguments: [
            (1, 1), (2, 2), (2_147_483_647, 2_147_483_647), (2_147_483_648, 1), (4_294_967_295, 1),
            (UInt64.max, 1 + (UInt64.max - 1) % 2_147_483_647), (0, 1),
        ] as [(UInt64, UInt64)])
    func `the sequence number stays within RFC 5424's`(sequence: UInt64, number: UInt64) {
        #expect((1...2_147_483_647).contains(number))
        #expect(Self.write("{}", sequence: sequence).contains("[meta sequenceId=\"\(number)\"]"))
    }

    @Test func `other characters than ASCII are escaped, and the event is the same`() throws {
        let event = MadeEvent(userName: "Zo\u{eb} \u{1F511} \u{7f} \"\\\n \u{4e2d}").text
        let message = Self.write(event)
        #expect(message.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        #expect(message.contains("Zo\\u00eb \\ud83d\\udd11 \\u007f"))
        #expect(try Self.object(Self.content(message)) == Self.object(event))
    }

    @Test func `bytes that are no UTF-8 are characters of their number`() {
        let content = Array("{\"id\":\"".utf8) + [0xC3, 0x28, 0xFF] + Array("\"}".utf8)
        let written = content.withUnsafeBufferPointer { content in
            withBytes(Self.writer) { writer in
                let form = SyslogMessage(Self.settings())
                let event = SinkEvent(writer: writer, sequence: 1, content: content)
                var buffer = Buffer(capacity: form.maxByteCount(of: event))
                form.append(event, to: &buffer)
                return buffer.readable.string
            }
        }
        #expect(Self.content(written) == "{\"id\":\"\\u00c3(\\u00ff\"}")
    }

    // MARK: - Long events

    /// An event with an attachment and a path that are long in every way.
    private static let long: String = {
        let path =
            "/v2.1/servers?name="
            + String(repeating: "a\\u00e9\\\\\\ud83d\\udd11\u{e9}\u{1F511}\\\"", count: 60)
        let attachment = String(repeating: "x", count: 1_500)
        let operation = String(repeating: "o", count: 700)
        return MadeEvent(id: 9).text
            .replacing("/v2.1/servers?limit=5", with: path)
            .replacing(
                ",\"gatehouse\":{\"operation\":\"servers.list\"",
                with:
                    ",\"attachments\":[{\"content\":\"\(attachment)\"}],\"gatehouse\":{\"operation\":\"\(operation)\""
            )
    }()

    @Test func `an event that is too long is shortened to what still is the same event`() throws {
        let whole = try Self.object(Self.long)
        let wholeByteCount = Self.write(Self.long).utf8.count
        var forms: Set<[Bool]> = []
        // Seven has nothing in common with the lengths of escapes, so every place to cut is met.
        for limit in Array(stride(from: 1_024, to: wholeByteCount, by: 7)) + [
            wholeByteCount - 1, wholeByteCount,
        ] {
            let message = Self.write(
                Self.long, SyslogMessage(Self.settings { $0.maxMessageByteCount = limit }))
            try #require(message.utf8.count <= limit)
            let content = try Self.object(Self.content(message))
            forms.insert([content["attachments"] != nil, content["gatehouse"] != nil])
            for name in ["id", "eventTime", "action", "outcome", "reason", "typeURI"] {
                try #require(content[name] as? NSObject == whole[name] as? NSObject)
            }
            if limit >= wholeByteCount {
                #expect(content == whole)
                continue
            }
            #expect(content["shortened"] as? Bool == true)
            #expect(content["attachments"] == nil)
            let path = try #require(content["requestPath"] as? String)
            let wholePath = try #require(whole["requestPath"] as? String)
            #expect(path == wholePath || path.last == "\u{2026}" && wholePath.hasPrefix(path.dropLast()))
        }
        // Whole, without its attachments, and the first members alone.
        #expect(forms == [[true, true], [false, true], [false, false]])
    }

    @Test func `there is no limit at which the content is no JSON`() throws {
        for limit in stride(from: 0, to: 1_024, by: 29) {
            let message = Self.write(
                Self.long, SyslogMessage(Self.settings { $0.maxMessageByteCount = limit }))
            let content = try Self.object(Self.content(message))
            try #require(content["id"] as? String == "00000000-0000-4000-8000-000000000009")
            try #require(message.utf8.count <= 1_024)
        }
        // Members of an event that is not ours are left out when they are long.
        let strange = "{\"id\":\"\(String(repeating: "i", count: 3_000))\",\"action\":\"read\"}"
        let message = Self.write(strange, SyslogMessage(Self.settings { $0.maxMessageByteCount = 1_024 }))
        #expect(Self.content(message) == "{\"action\":\"read\",\"shortened\":true}")
        let nothing = "{\"x\":\"\(String(repeating: "i", count: 3_000))\"}"
        let empty = Self.write(nothing, SyslogMessage(Self.settings { $0.maxMessageByteCount = 1_024 }))
        #expect(Self.content(empty) == "{\"shortened\":true}")
    }
}
