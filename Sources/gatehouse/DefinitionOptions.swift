import ArgumentParser
import Gateway
import OpenStack

/// The options that name definitions: through settings, or themselves.
struct DefinitionOptions: ParsableArguments {
    @Option(help: "A settings file, whose definitions are taken.", completion: .file(extensions: ["yaml"]))
    var config: String?

    @Option(help: "A definition file.", completion: .file(extensions: ["yaml"]))
    var definition: String?

    @Option(help: "An overlay to lay over the definition file.", completion: .file(extensions: ["yaml"]))
    var overlay: String?

    func validate() throws {
        if config != nil, definition != nil {
            throw ValidationError("--config and --definition exclude each other.")
        }
        if overlay != nil, definition == nil { throw ValidationError("--overlay needs --definition.") }
    }

    /// The operations of each definition, and what the files say without effect.
    ///
    /// - Errors: ends the command with the mistakes on standard error.
    func tables() throws -> (tables: [OperationTable], unused: UnusedParts) {
        var tables: [OperationTable] = []
        var unused = UnusedParts()
        for files in try files() {
            do throws(DefinitionMistakes) {
                let definition = try DefinitionFiles.read(files.definition, overlay: files.overlay)
                tables.append(try OperationTable.compile(definition, file: files.definition))
                unused.add(definition.unused)
            } catch {
                for mistake in error.mistakes { StandardError.print(mistake.description) }
                throw ExitCode(1)
            }
        }
        return (tables, unused)
    }

    /// The files to read; a mistake elsewhere in the settings does not keep them from it.
    private func files() throws -> [(definition: String, overlay: String?)] {
        if let definition { return [(definition, overlay)] }
        let (settings, mistakes) = SettingsReader().inspect(file: config ?? "config/gatehouse.yaml")
        if settings.apis.isEmpty {
            StandardError.print(mistakes?.description ?? "the settings have no API")
            throw ExitCode(1)
        }
        return settings.apis.map { ($0.definition, $0.overlay) }
    }
}
