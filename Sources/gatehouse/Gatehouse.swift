import ArgumentParser
import Gateway

/// The command `gatehouse`.
@main
struct Gatehouse: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatehouse",
        abstract: "A reverse proxy in front of OpenStack Compute API endpoints.",
        version: "gatehouse \(Version.text)",
        subcommands: [Serve.self, Check.self, Operations.self, Limits.self, Audit.self, VersionCommand.self])
}

/// `gatehouse version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version of this program.")

    func run() {
        print("gatehouse \(Version.text)")
    }
}
