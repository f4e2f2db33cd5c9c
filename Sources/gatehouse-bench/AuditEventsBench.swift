import ArgumentParser
import Bytes
import Foundation
import Gateway
import Glibc

/// `gatehouse-bench audit-events`
struct AuditEventsBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit-events",
        abstract: "Nanoseconds and allocations of one event of a cached list in the trail.",
        discussion: """
            Its line is made, chained to the one before, with a key signed every thousandth time, and written to a file with \
            the others of its round; what an event says is made already. Nanoseconds are of the thread's CPU time, the \
            kernel's part included, the median over rounds.
            """)

    @Option(help: "Rounds of 4,096 events for each row.")
    var rounds = 50

    @Option(help: "The folder that holds the trail meanwhile.", completion: .directory)
    var folder = NSTemporaryDirectory()

    @Flag(help: "Prints JSON.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(rounds) else { throw ValidationError("--rounds is 1 to 10000") }
    }

    func run() throws {
        try Allocations.begin()
        guard let counter = Allocations.counter() else { throw BenchFailure("allocations are not counted") }
        var rows: [AuditEventsRow] = []
        for key in [nil, [UInt8](0..<64)] {
            for events in [1, 16, 256] {
                let row = try measure(key, eventsPerWrite: events, counter)
                rows.append(row)
                if !json { print(row.line) }
            }
        }
        guard json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(rows), as: UTF8.self))
    }

    private static let eventsOfRound = 4_096

    private func measure(
        _ key: [UInt8]?, eventsPerWrite: Int, _ counter: Allocations.Counter
    ) throws -> AuditEventsRow {
        let file = "\(folder)/gatehouse-bench-audit-\(getpid()).jsonl"
        defer { unlink(file) }
        let probe = try AuditProbe(file: file, key: key)
        let event = BenchTrail.event(4_711)
        var times: [UInt64] = []
        times.reserveCapacity(rounds)
        var isWhole = true
        var allocated: UInt = 0
        // One round more, in which buffers grow to their size.
        for round in 0...rounds {
            let (before, allocatedBefore) = (LimitMeasure.threadNanoseconds(), counter())
            event.withUnsafeBufferPointer { event in
                for _ in 0..<Self.eventsOfRound / eventsPerWrite {
                    isWhole = probe.append(event, count: eventsPerWrite) && isWhole
                }
            }
            let (after, allocatedAfter) = (LimitMeasure.threadNanoseconds(), counter())
            // The folder needs room for one round alone; the trail appends at the end, wherever it is.
            guard isWhole, truncate(file, 0) == 0 else { throw BenchFailure("\(file): an event is lost") }
            guard round > 0 else { continue }
            times.append(after - before)
            allocated += allocatedAfter - allocatedBefore
        }
        let sorted = times.map { Double($0) / Double(Self.eventsOfRound) }.sorted()
        return AuditEventsRow(
            isSigned: key != nil, eventsPerWrite: eventsPerWrite, eventByteCount: event.count,
            nanoseconds: sorted[sorted.count / 2], leastNanoseconds: sorted[0],
            allocations: Double(allocated) / Double(rounds * Self.eventsOfRound))
    }
}

/// What one row measured, of one event.
struct AuditEventsRow: Encodable {
    let isSigned: Bool
    let eventsPerWrite: Int
    let eventByteCount: Int
    /// The median of the rounds, and the best of them.
    let nanoseconds: Double
    let leastNanoseconds: Double
    let allocations: Double

    var line: String {
        String(
            format: "%6.0f ns (at least %.0f), %.3g allocations", nanoseconds, leastNanoseconds, allocations)
            + ": an event of \(eventByteCount) bytes, \(eventsPerWrite) a write\(isSigned ? ", signed" : "")"
    }
}
