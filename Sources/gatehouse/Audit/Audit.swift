import ArgumentParser

/// `gatehouse audit …`
struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves that an audit trail is whole, and finds events in it.",
        subcommands: [AuditVerify.self, AuditSearch.self, AuditTail.self])
}
