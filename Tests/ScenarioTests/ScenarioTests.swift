import Dispatch
import Testing

/// Plays every file in `Tests/Scenarios` against the built `gatehouse`; `SCENARIO=part-of-a-path` plays some of them.
struct ScenarioTests {
    @Test(arguments: ScenarioFile.all)
    func `what a scenario says is what happens`(_ file: ScenarioFile) async {
        let failure = await Lanes.run { Play.run(file) }
        if let failure { Issue.record(Comment(rawValue: failure)) }
    }

    @Test(.enabled(if: ScenarioFile.isWhole)) func `there are scenarios of every area`() {
        let areas = Set(ScenarioFile.all.map { String($0.description.prefix { $0 != "/" }) })
        #expect(
            areas == [
                "caching", "errors", "forwarding", "http", "identity", "ids", "interfaces", "service",
                "validation",
            ])
    }
}

/// Threads on which scenarios block, so that the test library's own stay free.
private enum Lanes {
    private static let queues = (0..<4).map { DispatchQueue(label: "scenario.lane.\($0)") }
    private static let next = Counter()

    private final class Counter: @unchecked Sendable {
        // Unchecked: guarded by the queue.
        private let queue = DispatchQueue(label: "scenario.counter")
        private var value = 0
        func advance() -> Int {
            queue.sync {
                value += 1
                return value
            }
        }
    }

    static func run(_ body: @escaping @Sendable () -> String?) async -> String? {
        await withCheckedContinuation { continuation in
            queues[next.advance() % queues.count].async { continuation.resume(returning: body()) }
        }
    }
}
