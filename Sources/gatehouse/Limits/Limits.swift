import ArgumentParser

/// `gatehouse limits …`
struct Limits: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes rate limits over from elsewhere, and tries them on what was.",
        subcommands: [LimitsImport.self, LimitsSimulate.self])
}
