import Bytes
import Foundation
import Glibc
import Loop
import Testing

@testable import Gateway

/// A stream's destination whose steps run on a thread of their own, while the test answers for its peers.
final class RedisStreamRun {
    let destination: RedisStreamDestination
    var peers: [RedisPeer]
    private var stopEnds: [Int32] = [-1, -1]

    init(_ redis: Settings.Redis, peers: [RedisPeer], maxEntryCount: Int? = nil) throws {
        var settings = Settings.RedisStream(redis: redis)
        settings.maxEntryCount = maxEntryCount
        destination = try RedisStreamDestination(settings)
        self.peers = peers
        try #require(pipe(&stopEnds) == 0)
    }

    deinit {
        destination.close()
        for end in stopEnds where end >= 0 { close(end) }
    }

    /// Tells every step to end at once.
    func stop() {
        close(stopEnds[1])
        stopEnds[1] = -1
    }

    /// Sends events as one batch; nil when they were taken.
    func send(_ events: MadeSinkEvents, within duration: Duration = .seconds(20)) -> String? {
        step(duration) { [destination] deadline throws(SinkFailure) in
            try destination.send(events.all, deadline)
        }
    }

    func settle(within duration: Duration = .seconds(20)) -> String? {
        step(duration) { [destination] deadline throws(SinkFailure) in try destination.settle(deadline) }
    }

    /// Sends and settles; after a failure it closes, as a sink does.
    func deliver(_ events: MadeSinkEvents, within duration: Duration = .seconds(20)) -> String? {
        let failure = send(events, within: duration) ?? settle(within: duration)
        if failure != nil { destination.close() }
        return failure
    }

    private func step(
        _ duration: Duration, _ body: @escaping (SinkDeadline) throws(SinkFailure) -> Void
    ) -> String? {
        // One step at a time, and the test waits for its end.
        nonisolated(unsafe) let body = body
        let stop = stopEnds[0]
        let failure = Guarded<String?>(nil)
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            do throws(SinkFailure) { try body(SinkDeadline(duration, stopDescriptor: stop)) } catch {
                failure.withLock { $0 = error.description }
            }
            done.signal()
        }
        while done.wait(timeout: .now() + .milliseconds(1)) == .timedOut { for peer in peers { peer.step() } }
        for peer in peers { peer.step() }
        return failure.withLock { $0 }
    }
}

/// Events of a writer, numbered from `first` on, with memory of their own.
final class MadeSinkEvents: @unchecked Sendable {
    // Made once and never changed.
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    let all: [SinkEvent]

    static let writer = "00c0ffee00c0ffee"

    init(_ numbers: Range<Int>, padding: Int = 0) {
        let texts = numbers.map { Array(Self.content($0, padding: padding).utf8) }
        let writer = Array(Self.writer.utf8)
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(
            capacity: writer.count + texts.map(\.count).reduce(0, +))
        _ = bytes.update(fromContentsOf: writer + texts.joined())
        var place = writer.count
        all = zip(numbers, texts).map { number, text in
            defer { place += text.count }
            return SinkEvent(
                writer: ByteView(rebasing: bytes[0..<writer.count]), sequence: UInt64(number),
                content: ByteView(rebasing: bytes[place..<(place + text.count)]))
        }
        self.bytes = bytes
    }

    deinit { bytes.deallocate() }

    static func id(_ number: Int) -> String { "6f7065a5-0000-4000-8000-\(String(100_000_000_000 + number))" }

    static func content(_ number: Int, padding: Int = 0) -> String {
        """
        {"typeURI":"http://schemas.dmtf.org/cloud/audit/1.0/event","eventType":"activity","id":"\(id(number))",\
        "initiator":{"id":"somebody"},"tags":["\(String(repeating: "x", count: padding))"]}
        """
    }
}

extension RedisPeer {
    /// The commands that add to a stream.
    var additions: [[String]] { commands.filter { $0[0] == "XADD" } }

    /// The sequences of what was added, as far as it was `XADD key * id … writer … sequence n`.
    var sequences: [Int] { additions.compactMap { Int($0[8]) } }
}
