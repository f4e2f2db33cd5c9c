import ArgumentParser
import Bytes
import Foundation
import Gateway
import Glibc
import Loop
import OpenStack

/// `gatehouse-bench limits`
struct LimitsBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limits",
        abstract: "Nanoseconds and allocations of a limit check, and the memory of many buckets.",
        discussion: """
            A check is what a request asks of the rules that are about it, the buckets' answer, and what is given back at its \
            end. Nanoseconds are of the thread's CPU time, the median over rounds.
            """)

    @Option(help: "The API whose operations the rules are about.", completion: .file(extensions: ["yaml"]))
    var definition = "config/openapi/compute.yaml"

    @Option(help: "Rounds of 10,000 checks for each row.")
    var rounds = 200

    @Option(help: "Distinct addresses in the row about memory.")
    var addresses = 5_000_000

    @Option(help: "Buckets of the table in the row about memory.")
    var buckets = 1 << 20

    @Flag(help: "Prints JSON.")
    var json = false

    func validate() throws {
        guard (1...1_000_000).contains(rounds) else { throw ValidationError("--rounds is 1 to 1000000") }
        guard (1...Int(UInt32.max)).contains(addresses) else {
            throw ValidationError("--addresses is 1 to 4294967295")
        }
        guard (8...1 << 30).contains(buckets) else { throw ValidationError("--buckets is 8 to 1073741824") }
    }

    func run() throws {
        try Allocations.begin()
        guard let counter = Allocations.counter() else { throw BenchFailure("allocations are not counted") }
        let table = try operations()
        // First, while nothing else has been held and let go.
        let memory = try LimitMemory(table: table, capacity: buckets, addresses: addresses).run()
        if !json { print(memory.line) }
        var rows: [LimitRow] = []
        for plan in LimitPlan.all {
            let row = try LimitMeasure(plan, table: table, counter: counter).run(rounds: rounds)
            rows.append(row)
            if !json { print(row.line) }
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(Report(checks: rows, memory: memory)), as: UTF8.self))
        }
    }

    private func operations() throws -> OperationTable {
        do throws(DefinitionMistakes) {
            return try OperationTable.compile(try DefinitionFiles.read(definition), file: definition)
        } catch {
            throw BenchFailure(error.mistakes.map(\.description).joined(separator: "\n"))
        }
    }

    struct Report: Encodable {
        let checks: [LimitRow]
        let memory: LimitMemory.Row
    }
}
