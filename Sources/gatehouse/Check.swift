import ArgumentParser
import Gateway

/// `gatehouse check FILE`
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints every mistake in a settings file and in the definitions it names.",
        discussion: "Exits with 0 when there is none, else with 1.")

    @Argument(help: "The settings file.", completion: .file(extensions: ["yaml"]))
    var file: String

    func run() throws {
        let (settings, found) = SettingsReader().inspect(file: file)
        let mistakes = found?.list.map(\.description) ?? []
        guard mistakes.isEmpty else {
            for mistake in mistakes { print(mistake) }
            throw ExitCode(1)
        }
        let names = settings.listeners.map(\.address.description).joined(separator: ", ")
        print("\(file): OK, listening on \(names)")
    }
}
