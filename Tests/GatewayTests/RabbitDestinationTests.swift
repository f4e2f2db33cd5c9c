import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

struct RabbitDestinationTests {
    typealias Talk = RabbitPeer.Talk

    static func settings(_ peer: RabbitPeer) -> Settings.RabbitMQ {
        var settings = Settings.RabbitMQ(
            address: NetworkAddress(host: "127.0.0.1", port: peer.address.port))
        settings.virtualHost = "/nova"
        settings.username = "gatehouse"
        settings.password = "pässword"
        settings.publisherID = "gatehouse.test"
        return settings
    }

    /// A destination with what it was told, and a deadline that a test of one that hangs ends by.
    static func with(
        _ peer: RabbitPeer, seconds: Double = 20, _ body: (RabbitDestination, SinkDeadline) throws -> Void
    ) throws {
        let destination = try RabbitDestination(settings(peer))
        defer { destination.close() }
        try body(destination, SinkDeadline(.milliseconds(Int(seconds * 1_000)), stopDescriptor: -1))
    }

    static func send(_ texts: [String], _ to: RabbitDestination, _ deadline: SinkDeadline) throws {
        let bytes = texts.map { Array($0.utf8) }
        let writer = Array("00112233445566aa".utf8)
        func withEvents(_ index: Int, _ made: [SinkEvent]) throws {
            guard index < bytes.count else { return try to.send(made, deadline) }
            try bytes[index].withUnsafeBufferPointer { content in
                try writer.withUnsafeBufferPointer { writer in
                    try withEvents(
                        index + 1,
                        made + [SinkEvent(writer: writer, sequence: UInt64(index), content: content)])
                }
            }
        }
        try withEvents(0, [])
    }

    /// What a script saw, for the test.
    final class Seen: Sendable {
        let lists = Guarded<[[UInt8]]>([])
        let number = Guarded(0)
    }

    @Test func `it logs in, declares and publishes as oslo.messaging does`() throws {
        let seen = Seen()
        let peer = try RabbitPeer { talk, _ in
            let logIn = try talk.logIn(frameLimit: 4_096)
            let declared = try talk.open()
            seen.lists.withLock { $0 = Array([logIn, declared].joined()) }
            for number in 1...3 as ClosedRange<UInt32> {
                let message = try talk.message()
                seen.lists.withLock { $0 += [message.publish, message.header, message.content] }
                seen.number.withLock { $0 = max($0, message.sizes.max() ?? 0) }
                if number == 1 { try talk.confirm(1) }
            }
            try talk.confirm(3, isMultiple: true)
            _ = try talk.method(0x000A_0032)
        }
        let long = MadeEvent(id: 2, userName: String(repeating: "\\\"é", count: 3_000)).text
        try Self.with(peer) { destination, deadline in
            try Self.send([MadeEvent(id: 1).text, long, MadeEvent(id: 3).text], destination, deadline)
            try destination.settle(deadline)
        }
        let lists = seen.lists.withLock { $0 }
        try #require(lists.count == 15)
        let queue = Talk.short("notifications.info")
        let exchange = Talk.short("nova")
        let start = Talk.joined(Talk.short("PLAIN"), Talk.long("\0gatehouse\0pässword"), Talk.short("en_US"))
        #expect(Array(lists[0].suffix(start.count)) == start)
        #expect(lists[1] == [0, 1, 0, 0, 0x10, 0, 0, 0], "one channel, frames of 4 KiB, no heartbeats")
        #expect(lists[2] == Talk.joined(Talk.short("/nova"), [0, 0]))
        #expect(lists[3] == Talk.joined([0, 0], exchange, Talk.short("topic"), [2, 0, 0, 0, 0]))
        #expect(lists[4] == Talk.joined([0, 0], queue, [2, 0, 0, 0, 0]))
        #expect(lists[5] == Talk.joined([0, 0], queue, exchange, queue, [0, 0, 0, 0, 0]))
        #expect(lists[6] == Talk.joined([0, 0], exchange, queue, [1]), "mandatory")
        // The mask of what is set, then content-type, content-encoding, delivery-mode, message-id, timestamp, app-id.
        let properties = Talk.joined(
            [0xD0, 0xC8], Talk.short("application/json"), Talk.short("utf-8"), [2],
            Talk.short("00000000-0000-4000-8000-000000000001"), [0, 0, 0, 0], Talk.number(1_788_256_800, 4),
            Talk.short("gatehouse"))
        #expect(Array(lists[7].dropFirst(12)) == properties)
        let largest = seen.number.withLock { $0 }
        #expect(largest == 4_096, "no frame is larger than agreed")
        let envelope = try #require(JSONSerialization.jsonObject(with: Data(lists[11])) as? [String: String])
        let inner = try #require(envelope["oslo.message"]?.data(using: .utf8))
        let message = try #require(JSONSerialization.jsonObject(with: inner) as? [String: Any])
        let event = try #require(JSONSerialization.jsonObject(with: Data(long.utf8)) as? NSDictionary)
        #expect(message["payload"] as? NSDictionary == event)
    }

    @Test(
        arguments: [
            (0x003C_0078, [0, 0, 0, 0, 0, 0, 0, 1, 0], "basic.nack"),
            (
                0x003C_0032,
                Talk.joined(Talk.number(312, 2), Talk.short("NO_ROUTE"), Talk.short("nova"), Talk.short("x")),
                "basic.return: 312 NO_ROUTE"
            ),
            (
                0x0014_0028, Talk.refusal(406, "PRECONDITION_FAILED - full"),
                "channel.close: 406 PRECONDITION_FAILED - full"
            ),
            (0x003C_0050, [0, 0, 0, 0, 0, 0, 0, 9, 0], "not sent"),
            (0x0014_0014, [0], "not asked for"),
        ] as [(UInt32, [UInt8], String)])
    func `a message that the broker does not take is a failure that says why`(
        _ method: UInt32, _ arguments: [UInt8], _ text: String
    ) throws {
        let peer = try RabbitPeer { talk, _ in
            try talk.logIn()
            try talk.open()
            _ = try talk.message()
            try talk.send(method, arguments)
            _ = try talk.read(1)
        }
        try Self.with(peer) { destination, deadline in
            let failure = #expect(throws: SinkFailure.self) {
                try Self.send([MadeEvent().text], destination, deadline)
                try destination.settle(deadline)
            }
            #expect(failure?.description.contains(text) == true, "\(failure as Any)")
        }
    }

    @Test func `a login that is refused is told with the broker's words, without the password`() throws {
        let peer = try RabbitPeer { talk, _ in
            _ = try talk.read(8)
            try talk.send(
                0x000A_000A, Talk.joined([0, 9, 0, 0, 0, 0], Talk.long("PLAIN"), Talk.long("en_US")),
                channel: 0)
            _ = try talk.method(0x000A_000B)
            try talk.send(0x000A_0032, Talk.refusal(403, "ACCESS_REFUSED - no"), channel: 0)
            _ = try talk.method(0x000A_0033)
        }
        try Self.with(peer) { destination, deadline in
            let failure = #expect(throws: SinkFailure.self) {
                try Self.send([MadeEvent().text], destination, deadline)
            }
            #expect(failure?.description == "connection.close: 403 ACCESS_REFUSED - no")
        }
    }

    @Test func `what does not speak AMQP is told so`() throws {
        let peer = try RabbitPeer { talk, _ in try talk.write(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
        }
        try Self.with(peer) { destination, deadline in
            let failure = #expect(throws: SinkFailure.self) {
                try Self.send([MadeEvent().text], destination, deadline)
            }
            #expect(failure?.description == "what answers does not speak AMQP 0-9-1")
        }
    }

    @Test func `a broker that says nothing is given up at the deadline`() throws {
        let peer = try RabbitPeer { talk, _ in _ = try talk.read(9) }
        try Self.with(peer, seconds: 0.2) { destination, deadline in
            let failure = #expect(throws: SinkFailure.self) {
                try Self.send([MadeEvent().text], destination, deadline)
            }
            #expect(failure?.description == SinkFailure.late.description)
        }
    }

    @Test func `a broker that is low on memory is waited for, and named at the deadline`() throws {
        let seen = Seen()
        let peer = try RabbitPeer { talk, _ in
            try talk.logIn()
            try talk.open()
            _ = try talk.message()
            try talk.send(0x000A_003C, Talk.short("low on memory"), channel: 0)
            try talk.send(0x000A_003D, channel: 0)
            try talk.confirm(1)
            try talk.send(0x000A_003C, Talk.short("low on memory"), channel: 0)
            // A heartbeat in between is nothing.
            try talk.write([8, 0, 0, 0, 0, 0, 0, 0xCE])
            seen.number.withLock { $0 = 1 }
            _ = try talk.read(1)
        }
        try Self.with(peer) { destination, deadline in
            try Self.send([MadeEvent().text], destination, deadline)
            try destination.settle(deadline)
            let late = MonotonicClock.now() + 20_000_000_000
            while seen.number.withLock({ $0 }) == 0, MonotonicClock.now() < late { usleep(1_000) }
            let short = SinkDeadline(.milliseconds(300), stopDescriptor: -1)
            let failure = #expect(throws: SinkFailure.self) {
                try Self.send([MadeEvent().text], destination, short)
                try destination.settle(short)
            }
            #expect(
                failure?.description == "the broker takes no messages (low on memory): \(SinkFailure.late)")
        }
    }

    @Test func `a connection that ended while nothing was on its way is made anew without a failure`() throws
    {
        let seen = Seen()
        let peer = try RabbitPeer { talk, number in
            try talk.logIn()
            try talk.open()
            _ = try talk.message()
            try talk.confirm(1)
            if number == 1 { try talk.send(0x000A_0032, Talk.refusal(320, "CONNECTION_FORCED"), channel: 0) }
            try talk.end()
            seen.number.withLock { $0 = number + 1 }
        }
        try Self.with(peer) { destination, deadline in
            for count in 1...3 {
                try Self.send([MadeEvent().text], destination, deadline)
                try destination.settle(deadline)
                let late = MonotonicClock.now() + 20_000_000_000
                while seen.number.withLock({ $0 }) < count, MonotonicClock.now() < late { usleep(1_000) }
                let ended = seen.number.withLock { $0 }
                #expect(ended == count)
            }
        }
    }

    @Test func `a queue with arguments of its consumers is used as it is`() throws {
        let peer = try RabbitPeer { talk, _ in
            try talk.logIn()
            _ = try talk.method(0x0014_000A)
            try talk.send(0x0014_000B, Talk.long(""))
            _ = try talk.method(0x0028_000A)
            try talk.send(0x0028_000B)
            _ = try talk.method(0x0032_000A)
            try talk.send(
                0x0014_0028,
                Talk.refusal(406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'n'"))
            _ = try talk.method(0x0014_0029)
            _ = try talk.method(0x0014_000A)
            try talk.send(0x0014_000B, Talk.long(""))
            _ = try talk.method(0x0032_0014)
            try talk.send(0x0032_0015)
            try talk.select()
            _ = try talk.message()
            try talk.confirm(1)
            _ = try talk.method(0x000A_0032)
        }
        try Self.with(peer) { destination, deadline in
            try Self.send([MadeEvent().text], destination, deadline)
            try destination.settle(deadline)
        }
    }

    @Test func `an exchange that is declared otherwise is a failure that says why`() throws {
        let peer = try RabbitPeer { talk, _ in
            try talk.logIn()
            _ = try talk.method(0x0014_000A)
            try talk.send(0x0014_000B, Talk.long(""))
            _ = try talk.method(0x0028_000A)
            try talk.send(0x0014_0028, Talk.refusal(406, "PRECONDITION_FAILED - inequivalent arg 'durable'"))
            _ = try talk.method(0x0014_0029)
        }
        try Self.with(peer) { destination, deadline in
            let failure = #expect(throws: SinkFailure.self) {
                try Self.send([MadeEvent().text], destination, deadline)
            }
            #expect(
                failure?.description
                    == "exchange.declare: 406 PRECONDITION_FAILED - inequivalent arg 'durable'")
        }
    }
}
