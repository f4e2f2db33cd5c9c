import ArgumentParser
import Foundation
import Gateway
import OpenStack

/// `gatehouse operations [--config FILE | --definition FILE [--overlay FILE]] [--json]`
struct Operations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints every operation of the APIs: its id, method, path, classes and microversions.",
        discussion: """
            Ids are what rules and records name. A row such as servers.action:reboot is one action in the \
            content of its operation. Without an option the settings of config/gatehouse.yaml are taken. What \
            the files say without effect is listed on standard error.
            """)

    @Option(help: "A settings file, whose definitions are printed.", completion: .file(extensions: ["yaml"]))
    var config: String?

    @Option(help: "A definition file.", completion: .file(extensions: ["yaml"]))
    var definition: String?

    @Option(help: "An overlay to lay over the definition file.", completion: .file(extensions: ["yaml"]))
    var overlay: String?

    @Flag(help: "Prints a JSON array instead of a table.")
    var json = false

    func validate() throws {
        if config != nil, definition != nil {
            throw ValidationError("--config and --definition exclude each other.")
        }
        if overlay != nil, definition == nil { throw ValidationError("--overlay needs --definition.") }
    }

    func run() throws {
        var rows: [OperationRow] = []
        var unused = UnusedParts()
        for files in try definitions() {
            do throws(DefinitionMistakes) {
                let definition = try DefinitionFiles.read(files.definition, overlay: files.overlay)
                let table = try OperationTable.compile(definition, file: files.definition)
                rows += table.operations.flatMap(OperationRow.rows)
                unused.add(definition.unused)
            } catch {
                for mistake in error.mistakes { StandardError.print(mistake.description) }
                throw ExitCode(1)
            }
        }
        print(json ? try OperationRow.json(rows) : OperationRow.table(rows))
        for line in unused.lines { StandardError.print(line) }
    }

    /// The definition files to print; a mistake elsewhere in the settings does not keep them from being
    /// shown.
    private func definitions() throws -> [(definition: String, overlay: String?)] {
        if let definition { return [(definition, overlay)] }
        let (settings, mistakes) = SettingsReader().inspect(file: config ?? "config/gatehouse.yaml")
        if settings.apis.isEmpty {
            StandardError.print(mistakes?.description ?? "the settings have no API")
            throw ExitCode(1)
        }
        return settings.apis.map { ($0.definition, $0.overlay) }
    }
}
