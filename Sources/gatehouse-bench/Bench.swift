import ArgumentParser

/// The command `gatehouse-bench`: what parts of the gateway cost, each on its own.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatehouse-bench",
        abstract: "Measures parts of Gatehouse on their own.",
        subcommands: [LimitsBench.self, AuditSearchBench.self, AuditEventsBench.self])
}
