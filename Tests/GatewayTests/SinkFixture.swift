import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// A trail in a folder of its own, with writers, that sinks read.
final class SinkFixture {
    static let now: Int64 = 1_800_000_000
    static let time = Content(text: "2026-09-01T10:00:00.000000Z")

    let folder: String
    let path: String
    private var settings: Settings.Audit
    private(set) var trail: AuditTrail!
    private(set) var writers: [AuditWriter] = []
    /// The ids of all events so far, by writer.
    private(set) var written: [[Int]]
    private var nextID = 0
    private var rotationCount = 0

    /// - Parameter begins: the trail has its first lines; otherwise it is an empty file until `begin`.
    init(
        writerCount: Int = 1, begins: Bool = true, _ change: (inout Settings.Audit) -> Void = { _ in }
    ) throws {
        folder = FileManager.default.temporaryDirectory.path + "/sinks-\(UUID())"
        path = folder + "/audit.jsonl"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        settings = Settings.Audit(file: Settings.AuditFile(path: path))
        settings.rotation.byteCount = 1
        change(&settings)
        written = Array(repeating: [], count: writerCount)
        try open()
        if begins { begin() }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func open() throws {
        trail = try AuditTrail(settings, key: nil, workerCount: written.count)
        writers = written.indices.map { index in
            var random = RandomSource()
            return AuditWriter(trail, worker: index, random: &random)
        }
    }

    func begin() {
        #expect(AuditWriter.begin(writers, time: Self.time, wallSeconds: Self.now) == 0)
    }

    /// As another process would; all sinks of this one have ended.
    func restart() throws {
        writers = []
        trail = nil
        try open()
        begin()
    }

    /// Writes events, each writer in turn.
    func write(_ count: Int, padding: Int = 0) {
        for _ in 0..<count {
            let writer = nextID % writers.count
            let text = String(repeating: "x", count: padding)
            let event = Content(
                text:
                    "{\"eventTime\":\"2026-09-01T10:00:00.000000+00:00\",\"id\":\"\(nextID)\",\"x\":\"\(text)\"}"
            )
            #expect(writers[writer].appendEvent(.read) { $0.append(event.bytes) } != nil)
            written[writer].append(nextID)
            nextID += 1
        }
        for writer in writers { writer.write(now: 0, wallSeconds: Self.now) }
    }

    func rotate() {
        rotationCount += 1
        let (minute, second) = rotationCount.quotientAndRemainder(dividingBy: 60)
        let text = "2026-09-01T10:\(minute / 10)\(minute % 10):\(second / 10)\(second % 10).000000Z"
        writers[0].rotate(time: Content(text: text), wallSeconds: Self.now)
    }

    /// The rotated files' names, in their order.
    var rotated: [String] { AuditNames.rotated(of: path).map(AuditNames.last) }

    func cursorPath(_ name: String = "memory") -> String { SinkCursor.path(of: name, trail: path) }

    func sink(_ destination: MemoryDestination, name: String = "memory") throws -> AuditSink {
        let address = NetworkAddress(host: "unused.test", port: 514)
        let unused = Settings.AuditSink.Destination.syslog(Settings.Syslog(transport: .udp, address: address))
        return try AuditSink(Settings.AuditSink(name: name, destination: unused), trail, destination)
    }

    /// Runs a sink until its receiver has confirmed so many, and ends it.
    func run(_ destination: MemoryDestination, name: String = "memory", until count: Int) throws {
        let sink = try sink(destination, name: name)
        try sink.start()
        #expect(destination.wait { $0.settled.count >= count })
        try end(sink)
        #expect(sink.state.lagByteCount == 0 && sink.state.lagMicroseconds == 0)
    }

    /// Ends a sink once it has sent everything.
    func end(_ sink: AuditSink) throws {
        sink.end(.drains)
        try #require(sink.waitForEnd(until: MonotonicClock.now() + 60_000_000_000))
    }

    /// Whether each writer's events are all there, and in their order at their first arrival.
    func hasAll(_ ids: [Int]) -> Bool {
        var seen: Set<Int> = []
        let first = ids.filter { seen.insert($0).inserted }
        return written.allSatisfy { own in
            let set = Set(own)
            return first.filter(set.contains) == own
        }
    }
}

/// A receiver that keeps what it is given, and fails where it is told to.
final class MemoryDestination: SinkDestination, @unchecked Sendable {
    // Unchecked: all is touched under the condition's lock.
    struct State {
        /// The ids of events that were sent since the last settling, and of those that are settled.
        var sent: [Int] = []
        var settled: [Int] = []
        var sendCount = 0
        var settleCount = 0
        var closeCount = 0
        /// Sendings and settlings that fail, counted from 1.
        var failingSends: Set<Int> = []
        var failingSettles: Set<Int> = []
        /// They fail after the receiver had everything, which nobody told.
        var failsLate = false
        /// They take as long as they may.
        var hangs = false
        var isHanging = false
        /// Why the last of it ended.
        var hangEnd = ""
    }

    private let condition = NSCondition()
    private var state = State()
    private let bell: Bell

    init(_ change: (inout State) -> Void = { _ in }) throws {
        bell = try Bell()
        change(&state)
    }

    @discardableResult func with<Result>(_ body: (inout State) -> Result) -> Result {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return body(&state)
    }

    /// Waits until something is so, for a minute at most.
    func wait(_ isSo: (State) -> Bool) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        let deadline = Date(timeIntervalSinceNow: 60)
        while !isSo(state) {
            guard condition.wait(until: deadline) else { return isSo(state) }
        }
        return true
    }

    func send(_ events: [SinkEvent], _ deadline: SinkDeadline) throws(SinkFailure) {
        let ids = events.map { event in
            let text = event.content.string
            return text.firstMatch(of: /"id":"([0-9]+)"/).flatMap { Int($0.1) } ?? -1
        }
        try hang(deadline)
        let fails = with { state in
            state.sendCount += 1
            let fails = state.failingSends.contains(state.sendCount)
            if !fails || state.failsLate { state.sent += ids }
            return fails
        }
        if fails { throw SinkFailure("sending fails") }
    }

    func settle(_ deadline: SinkDeadline) throws(SinkFailure) {
        try hang(deadline)
        let fails = with { state in
            state.settleCount += 1
            let fails = state.failingSettles.contains(state.settleCount)
            if !fails || state.failsLate {
                state.settled += state.sent
                state.sent = []
            }
            return fails
        }
        if fails { throw SinkFailure("settling fails") }
    }

    /// Waits for as long as it is allowed to.
    private func hang(_ deadline: SinkDeadline) throws(SinkFailure) {
        guard
            with({
                $0.isHanging = $0.hangs
                return $0.hangs
            })
        else { return }
        do throws(SinkFailure) {
            _ = try deadline.wait(bell.descriptor, Int16(POLLIN))
        } catch {
            with { $0.hangEnd = error.description }
            throw error
        }
    }

    func close() {
        with {
            $0.closeCount += 1
            $0.isHanging = false
            // What was not confirmed is gone with the connection.
            $0.sent = []
        }
    }

    /// Ends hanging, for good.
    func release() {
        with { $0.hangs = false }
        bell.ring()
    }
}
