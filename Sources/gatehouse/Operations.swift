import ArgumentParser
import Foundation
import Gateway

/// `gatehouse operations [--config FILE | --definition FILE] [--json]`
struct Operations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints every operation of the APIs: its id, method, path, classes and microversions.",
        discussion: """
            Ids are what rules and records name. A row such as servers.action:reboot is one action in the \
            content of its operation. Without an option the settings of config/gatehouse.yaml are taken.
            """)

    @Option(help: "A settings file, whose definitions are printed.", completion: .file(extensions: ["yaml"]))
    var config: String?

    @Option(help: "A definition file.", completion: .file(extensions: ["yaml"]))
    var definition: String?

    @Flag(help: "Prints a JSON array instead of a table.")
    var json = false

    func validate() throws {
        if config != nil, definition != nil {
            throw ValidationError("--config and --definition exclude each other.")
        }
    }

    func run() throws {
        var rows: [OperationRow] = []
        for path in try definitions() {
            do throws(UnusableDefinition) {
                rows += try DefinitionFile.load(path).operations.flatMap(OperationRow.rows)
            } catch {
                for line in error.lines { StandardError.print(line) }
                throw ExitCode(1)
            }
        }
        print(json ? try OperationRow.json(rows) : OperationRow.table(rows))
    }

    /// The definition files to print; a mistake elsewhere in the settings does not keep them from being
    /// shown.
    private func definitions() throws -> [String] {
        if let definition { return [definition] }
        let (settings, mistakes) = SettingsReader().inspect(file: config ?? "config/gatehouse.yaml")
        if settings.apis.isEmpty {
            StandardError.print(mistakes?.description ?? "the settings have no API")
            throw ExitCode(1)
        }
        return settings.apis.map(\.definition)
    }
}
