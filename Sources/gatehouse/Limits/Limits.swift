import ArgumentParser

/// `gatehouse limits …`
struct Limits: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes rate limits over from elsewhere.",
        subcommands: [LimitsImport.self])
}
