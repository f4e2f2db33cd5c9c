import ArgumentParser

/// The command `gatehouse`.
@main
struct Gatehouse: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatehouse",
        abstract: "A reverse proxy in front of OpenStack Compute API endpoints.",
        version: Version.text,
        subcommands: [Serve.self, Check.self, Operations.self, VersionCommand.self])
}

/// The version of this program.
enum Version {
    static let text = "gatehouse 0.1.0"
}

/// `gatehouse version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version of this program.")

    func run() {
        print(Version.text)
    }
}
