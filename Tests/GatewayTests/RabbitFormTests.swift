import Bytes
import Foundation
import Testing

@testable import Gateway

struct RabbitNotificationTests {
    private func message(_ text: String, _ form: RabbitNotification) throws -> (
        String, RabbitNotification.Marks
    ) {
        var buffer = Buffer()
        let writer = Array("00112233445566aa".utf8)
        let marks = Array(text.utf8).withUnsafeBufferPointer { content in
            writer.withUnsafeBufferPointer {
                form.write(SinkEvent(writer: $0, sequence: 7, content: content), to: &buffer)
            }
        }
        let hasOverflowed = buffer.hasOverflowed
        #expect(!hasOverflowed)
        return (buffer.readable.string, marks)
    }

    @Test func `an event is the payload of an envelope 2.0`() throws {
        let form = RabbitNotification(eventType: "audit.cadf", publisherID: "gatehouse.\"ä\\")
        let event = MadeEvent(id: 5, userName: "a \"quote\" \\ and é\n").text
        let (text, marks) = try message(event, form)
        let id = "00000000-0000-4000-8000-000000000005"
        #expect(marks.id == Array(id.utf8))
        #expect(marks.seconds == 1_788_256_800)
        #expect(
            text.hasPrefix(
                "{\"oslo.version\":\"2.0\",\"oslo.message\":\"{\\\"message_id\\\":\\\"\(id)\\\",\\\"publisher_id\\\":"
            ))
        let envelope = try #require(
            JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: String])
        #expect(Set(envelope.keys) == ["oslo.version", "oslo.message"])
        let inner = try #require(envelope["oslo.message"])
        let members = try #require(JSONSerialization.jsonObject(with: Data(inner.utf8)) as? [String: Any])
        #expect(
            Set(members.keys) == [
                "message_id", "publisher_id", "event_type", "priority", "payload", "timestamp",
            ])
        #expect(members["message_id"] as? String == id)
        #expect(members["publisher_id"] as? String == "gatehouse.\"ä\\")
        #expect(members["event_type"] as? String == "audit.cadf")
        #expect(members["priority"] as? String == "INFO")
        #expect(members["timestamp"] as? String == "2026-09-01 10:00:00.000000")
        #expect(inner.contains(event), "the event is byte for byte as in the trail")
    }

    @Test func `a time with another zone is told in UTC`() throws {
        let form = RabbitNotification(eventType: "e", publisherID: "p")
        let (text, marks) = try message(
            "{\"id\":\"x\",\"eventTime\":\"2026-09-01T12:30:00.25+02:00\"}", form)
        #expect(text.contains("\\\"timestamp\\\":\\\"2026-09-01 10:30:00.250000\\\"}\"}"))
        #expect(marks.seconds == 1_788_258_600)
    }

    @Test(arguments: [
        "{}", "{\"id\":7}", "{\"id\":\"\"}", "{\"id\":\"\(String(repeating: "i", count: 256))\"}",
    ])
    func `an event without an id is told by its line`(_ event: String) throws {
        let (text, marks) = try message(event, RabbitNotification(eventType: "e", publisherID: "p"))
        #expect(marks.id == Array("00112233445566aa-7".utf8))
        #expect(marks.seconds == 0)
        #expect(!text.contains("timestamp"))
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
    }
}

struct RabbitFrameTests {
    private static let heartbeat: [UInt8] = [8, 0, 0, 0, 0, 0, 0, 0xCE]

    /// What the bytes begin with, as far as it is to be compared.
    private func read(_ bytes: [UInt8]) throws -> [Int]? {
        try bytes.withUnsafeBufferPointer { bytes in
            try RabbitFrame(bytes, limit: 4_096).map {
                [Int($0.kind.rawValue), Int($0.channel), Int($0.method?.rawValue ?? 0), $0.byteCount]
            }
        }
    }

    @Test func `a frame is read once it is whole`() throws {
        let bytes: [UInt8] = [1, 1, 2, 0, 0, 0, 5, 0, 60, 0, 80, 9, 0xCE]
        for count in 0..<bytes.count { #expect(try read(Array(bytes.prefix(count))) == nil) }
        for more in [[], Self.heartbeat] {
            #expect(try read(bytes + more) == [1, 0x0102, 0x003C_0050, bytes.count])
        }
        #expect(try read(Self.heartbeat) == [8, 0, 0, 8])
    }

    @Test(
        arguments: [
            [9], [0x41, 0x4D, 0x51, 0x50], [1, 0, 0, 0, 0, 0x0F, 0xF9], [1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
            [8, 0, 0, 0, 0, 0, 0, 0xCF],
        ] as [[UInt8]])
    func `what is no frame, or too long, is a failure`(_ bytes: [UInt8]) {
        #expect(throws: SinkFailure.self) { try read(bytes) }
    }

    @Test func `arguments that end too early are a failure`() throws {
        let arguments = RabbitArguments()
        for count in 0..<9 {
            let head: [UInt8] = [1, 0, 1, 0, 0, 0, UInt8(4 + count), 0, 60, 0, 80]
            let bytes = Array([head, Array(repeating: 0, count: count), [0xCE]].joined())
            try bytes.withUnsafeBufferPointer { view in
                let frame = try #require(try RabbitFrame(view, limit: 4_096))
                #expect(throws: SinkFailure.self) { try arguments.readConfirm(frame) }
            }
        }
    }
}

struct RabbitConfirmsTests {
    @Test func `confirms are complete when each message has one, in whatever order`() {
        var confirms = RabbitConfirms()
        #expect(confirms.isComplete)
        for _ in 1...6 { confirms.publish() }
        // Number, whether of all before it, whether there is such a message, and up to which all are confirmed then.
        let rows: [(UInt64, Bool, Bool, UInt64)] = [
            (3, false, true, 0), (2, false, true, 0), (5, false, true, 0), (5, false, true, 0),
            (1, false, true, 3),
            (2, true, true, 3), (4, true, true, 5), (7, false, false, 5), (7, true, false, 5),
            (0, false, false, 5),
            (0, true, true, 6),
        ]
        for (number, isMultiple, isKnown, confirmed) in rows {
            let answer = confirms.confirm(number, isMultiple: isMultiple)
            #expect(answer == isKnown)
            #expect(confirms.confirmed == confirmed)
            #expect(confirms.isComplete == (confirmed == 6))
        }
    }
}
