import ArgumentParser

/// `gatehouse limits import [--format repose|sap|nova] [--config FILE | --definition FILE [--overlay FILE]] FILE`
struct LimitsImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Prints the `limits` of the settings that mean what limits of another program mean.",
        discussion: """
            Reads Repose's rate-limiting.cfg.xml, the ratelimit.yaml of SAP's openstack-rate-limit-middleware, and \
            limits as Nova had them in api-paste.ini. Comments say where each rule came from, how things were read and \
            what has no equivalent; their number is on standard error. Without an option the operations are those of \
            config/gatehouse.yaml.
            """)

    @Option(help: "Whose limits they are: repose, sap or nova; by their content otherwise.")
    var format: LimitsImportFormat?

    @OptionGroup var definitions: DefinitionOptions

    @Argument(help: "The file with the limits, or - for standard input.", completion: .file())
    var file: String

    func run() throws {
        let (tables, _) = try definitions.tables()
        let operations = ImportOperations(tables.flatMap(\.operations))
        let name = LimitsImportInput.name(of: file)
        do throws(LimitsImportMistake) {
            let bytes = try LimitsImportInput.read(file)
            let outcome = try LimitsImportInput.outcome(
                of: bytes, file: name, format: format, operations: operations)
            print(outcome.text, terminator: "")
            StandardError.print("\(name): \(outcome.summary)")
        } catch {
            StandardError.print(error.description)
            throw ExitCode(1)
        }
    }
}

extension LimitsImportFormat: ExpressibleByArgument {}
