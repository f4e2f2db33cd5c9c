import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// What a sink's thread does with a receiver that comes and goes.
struct AuditSinkTests {
    private static func settled(_ destination: MemoryDestination) -> [Int] { destination.with { $0.settled } }

    @Test func `every event arrives once and in order, through rotations`() throws {
        let fixture = try SinkFixture(writerCount: 2)
        let destination = try MemoryDestination()
        let sink = try fixture.sink(destination)
        fixture.write(700)
        try sink.start()
        for _ in 0..<5 {
            fixture.rotate()
            fixture.write(40)
        }
        #expect(destination.wait { $0.settled.count == 900 })
        // Several rotations behind one another, with nothing in between.
        for _ in 0..<3 { fixture.rotate() }
        fixture.write(1)
        #expect(destination.wait { $0.settled.count == 901 })
        try fixture.end(sink)
        #expect(Self.settled(destination).count == 901 && fixture.hasAll(Self.settled(destination)))
        let state = sink.state
        #expect(state.settledCount == 901 && state.repeatedCount == 0 && state.failureCount == 0)
        #expect(!state.isFailing && state.lagByteCount == 0 && state.lagMicroseconds == 0)
    }

    @Test(arguments: [false, true])
    func `a receiver that fails at any moment gets every event, the unconfirmed ones again`(
        failsLate: Bool
    ) throws {
        let fixture = try SinkFixture(writerCount: 3)
        fixture.write(2_000)
        let destination = try MemoryDestination {
            $0.failingSends = [1, 3, 4, 8]
            $0.failingSettles = [1, 3]
            $0.failsLate = failsLate
        }
        let sink = try fixture.sink(destination)
        try sink.start()
        fixture.rotate()
        fixture.write(100)
        #expect(destination.wait { Set($0.settled).count == 2_100 })
        try fixture.end(sink)
        let ids = Self.settled(destination)
        #expect(fixture.hasAll(ids) && (ids.count > 2_100) == failsLate)
        let state = sink.state
        #expect(state.settledCount == 2_100 && state.failureCount == 6 && !state.isFailing)
        #expect(state.repeatedCount > 0 && state.lagByteCount == 0)
    }

    @Test func `all that waits is told before a sink has begun`() throws {
        let fixture = try SinkFixture()
        fixture.write(10)
        fixture.rotate()
        fixture.write(10)
        let sink = try fixture.sink(try MemoryDestination())
        let sizes = try ([fixture.path] + fixture.rotated.map { fixture.folder + "/" + $0 }).map {
            try Data(contentsOf: URL(fileURLWithPath: $0)).count
        }
        #expect(sizes.count == 2 && sink.state.lagByteCount == Int64(sizes.reduce(0, +)))
    }

    @Test func `while its receiver is away a sink says so, and how much waits`() throws {
        let fixture = try SinkFixture()
        let destination = try MemoryDestination { $0.hangs = true }
        let sink = try fixture.sink(destination)
        try sink.start()
        fixture.write(100)
        #expect(destination.wait { $0.isHanging })
        let state = sink.state
        #expect(state.lagByteCount > 10_000 && state.lagMicroseconds > 0 && state.settledCount == 0)
        fixture.rotate()
        fixture.write(100)
        #expect(sink.state.lagByteCount > state.lagByteCount + 10_000)
        destination.with { $0.failingSettles = [1] }
        destination.release()
        #expect(destination.wait { $0.settleCount >= 1 && $0.closeCount >= 1 })
        #expect(destination.wait { $0.settled.count == 200 })
        try fixture.end(sink)
        #expect(sink.state.lagByteCount == 0 && !sink.state.isFailing)
    }

    @Test func `a sink that hangs holds up no other`() throws {
        let fixture = try SinkFixture()
        let (hung, other) = (try MemoryDestination { $0.hangs = true }, try MemoryDestination())
        let (first, second) = (try fixture.sink(hung, name: "hung"), try fixture.sink(other, name: "other"))
        try first.start()
        try second.start()
        fixture.write(1_000)
        #expect(hung.wait { $0.isHanging } && other.wait { $0.settled.count == 1_000 })
        hung.release()
        #expect(hung.wait { $0.settled.count == 1_000 })
        try fixture.end(first)
        try fixture.end(second)
    }

    @Test func `a sink goes on where it ended, in the next process too`() throws {
        let fixture = try SinkFixture(writerCount: 2)
        let destination = try MemoryDestination()
        for round in 1...3 {
            fixture.write(30)
            try fixture.run(destination, until: round * 60 - 30)
            fixture.rotate()
            fixture.write(30)
            try fixture.run(destination, until: round * 60)
            try fixture.restart()
        }
        let ids = Self.settled(destination)
        #expect(ids.count == 180 && fixture.hasAll(ids))
    }

    @Test func `what was sent and not confirmed when a sink was stopped is sent again`() throws {
        let fixture = try SinkFixture()
        let destination = try MemoryDestination()
        fixture.write(10)
        try fixture.run(destination, until: 10)
        fixture.write(10)
        destination.with { $0.hangs = true }
        let sink = try fixture.sink(destination)
        try sink.start()
        #expect(destination.wait { $0.isHanging })
        sink.end(.drains)
        #expect(!sink.waitForEnd(until: MonotonicClock.now() + 1_000_000))
        sink.stop()
        #expect(sink.waitForEnd(until: MonotonicClock.now() + 60_000_000_000))
        #expect(destination.with { $0.hangEnd } == "Gatehouse stops", "and not the end of its time")
        #expect(sink.state.failureCount == 0, "to be stopped is no failure")
        destination.release()
        try fixture.run(destination, until: 20)
        #expect(Self.settled(destination) == Array(0..<20))
    }

    @Test func `a sink that is to end settles what it sent, and reads no further`() throws {
        let fixture = try SinkFixture()
        let destination = try MemoryDestination { $0.hangs = true }
        let sink = try fixture.sink(destination)
        fixture.write(10)
        try sink.start()
        #expect(destination.wait { $0.isHanging })
        fixture.write(1_000)
        sink.end(.settles)
        destination.release()
        #expect(sink.waitForEnd(until: MonotonicClock.now() + 60_000_000_000))
        #expect(Self.settled(destination).count < 1_010)
        // One that takes its place begins when it has ended, and where.
        let next = try fixture.sink(destination)
        try next.start(after: sink)
        #expect(destination.wait { $0.settled.count == 1_010 })
        try fixture.end(next)
        #expect(Self.settled(destination) == Array(0..<1_010))
    }

    @Test func `a line is sent when it is whole, and a fragment never`() throws {
        let fixture = try SinkFixture()
        let destination = try MemoryDestination()
        fixture.write(5)
        do {
            let sink = try fixture.sink(destination)
            try sink.start()
            #expect(destination.wait { $0.settled.count == 5 })
            // Behind the trail's back: what a writer may still take back, with a line feed and without.
            let line = try #require(
                try String(contentsOfFile: fixture.path, encoding: .utf8).split(separator: "\n").last)
            let handle = try #require(FileHandle(forWritingAtPath: fixture.path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data((line + "\n" + line.prefix(100)).utf8))
            try fixture.end(sink)
            #expect(Self.settled(destination).count == 5)
        }
        // A new process takes the whole line for one and marks the rest.
        try fixture.restart()
        fixture.write(5)
        try fixture.run(destination, until: 11)
        #expect(Self.settled(destination) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9])
    }

    @Test func `rotated files stay until every sink has read them`() throws {
        let fixture = try SinkFixture { $0.rotation.keptFileCount = 1 }
        let destination = try MemoryDestination { $0.hangs = true }
        let sink = try fixture.sink(destination)
        try sink.start()
        for _ in 0..<4 {
            fixture.write(10)
            fixture.rotate()
        }
        #expect(destination.wait { $0.isHanging })
        Self.waitForRemovals()
        #expect(fixture.rotated.count == 4)
        destination.release()
        #expect(destination.wait { $0.settled.count == 40 })
        try fixture.end(sink)
        Self.waitForRemovals()
        #expect(fixture.rotated == ["audit.jsonl.20260901T100004Z-1"])
        // A sink that is none of the settings any more holds nothing.
        fixture.write(10)
        let stuck = try MemoryDestination { $0.hangs = true }
        let other = try fixture.sink(stuck, name: "stuck")
        try other.start()
        #expect(stuck.wait { $0.isHanging })
        sink.letGo()
        for _ in 0..<2 { fixture.rotate() }
        Self.waitForRemovals()
        #expect(fixture.rotated.count == 3)
        other.letGo()
        Self.waitForRemovals()
        #expect(fixture.rotated.count == 1)
        other.stop()
        #expect(other.waitForEnd(until: MonotonicClock.now() + 60_000_000_000))
    }

    /// Files are removed on a queue, one after the other.
    private static func waitForRemovals() {
        let done = DispatchSemaphore(value: 0)
        AuditQueue.run { done.signal() }
        done.wait()
    }

    @Test func `a cursor that cannot be written is counted, and costs repetitions alone`() throws {
        let fixture = try SinkFixture()
        let destination = try MemoryDestination()
        try FileManager.default.createDirectory(
            atPath: fixture.cursorPath() + ".new", withIntermediateDirectories: true)
        fixture.write(10)
        let sink = try fixture.sink(destination)
        try sink.start()
        #expect(destination.wait { $0.settled.count == 10 })
        try fixture.end(sink)
        #expect(sink.state.failureCount > 0 && sink.state.settledCount == 10)
        try FileManager.default.removeItem(atPath: fixture.cursorPath() + ".new")
        try fixture.run(destination, until: 20)
        #expect(Self.settled(destination) == Array(0..<10) + Array(0..<10))
    }

    @Test func `ending all sinks waits for those that can, and stops the others`() throws {
        let fixture = try SinkFixture()
        let sinks = AuditSinks(fixture.trail)
        let destinations = try (0..<3).map { _ in try MemoryDestination { $0.hangs = true } }
        fixture.write(10)
        var change = AuditSinks.Change()
        for (index, destination) in destinations.enumerated() {
            change.begun.append(try fixture.sink(destination, name: "\(index)"))
        }
        #expect(sinks.adopt(change).isEmpty)
        for destination in destinations { #expect(destination.wait { $0.isHanging }) }
        destinations[1].release()
        sinks.end()
        for sink in change.begun { #expect(sink.waitForEnd(until: MonotonicClock.now() + 60_000_000_000)) }
        // A step by itself may take longer than all of them have together.
        #expect(destinations.map { $0.with { $0.hangEnd } } == ["Gatehouse stops", "", "Gatehouse stops"])
        #expect(destinations.map { Self.settled($0).count } == [0, 10, 0])
        #expect(sinks.states.map { $0.lagByteCount == 0 } == [false, true, false])
    }
}
