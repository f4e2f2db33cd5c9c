import Dispatch
import Testing

/// Plays every file in `Tests/Scenarios` against the built `gatehouse`, over every transport that it is meant for;
/// `SCENARIO=part-of-a-path` plays some of them, `TRANSPORT=name` over one.
struct ScenarioTests {
    @Test(arguments: ScenarioRun.all)
    func `what a scenario says is what happens`(_ run: ScenarioRun) async {
        let failure = await Lanes.run { Play.run(run.file, run.transport) }
        if let failure { Issue.record(Comment(rawValue: failure)) }
    }

    @Test(.enabled(if: ScenarioFile.isWhole)) func `most scenarios run over every transport`() throws {
        let fileCount = ScenarioFile.all.count
        for transport in Transport.played {
            let count = try ScenarioFile.all.count { try $0.fits(transport) }
            print("scenarios over \(transport.rawValue): \(count) of \(fileCount)")
            #expect(count * 10 > fileCount * 8, "a scenario is for all transports unless it is about one")
        }
    }

    @Test(.enabled(if: ScenarioFile.isWhole)) func `there are scenarios of every area`() {
        let areas = Set(ScenarioFile.all.map { String($0.description.prefix { $0 != "/" }) })
        #expect(
            areas == [
                "audit", "caching", "errors", "forwarding", "http", "http2", "identity", "ids", "interfaces",
                "limits", "service", "tls",
                "validation",
            ])
    }
}

/// One scenario over one transport.
struct ScenarioRun: Sendable, CustomTestStringConvertible {
    let file: ScenarioFile
    let transport: Transport
    var testDescription: String { "\(file.description) over \(transport.rawValue)" }

    static let all: [ScenarioRun] = Transport.played.flatMap { transport in
        // A file that cannot be read is played, so that it says why.
        ScenarioFile.all.filter { (try? $0.fits(transport)) ?? true }
            .map { ScenarioRun(file: $0, transport: transport) }
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
