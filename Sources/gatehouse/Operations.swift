import ArgumentParser
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

    @OptionGroup var definitions: DefinitionOptions

    @Flag(help: "Prints a JSON array instead of a table.")
    var json = false

    func run() throws {
        let (tables, unused) = try definitions.tables()
        let rows = tables.flatMap { $0.operations.flatMap(OperationRow.rows) }
        print(json ? try OperationRow.json(rows) : OperationRow.table(rows))
        for line in unused.lines { StandardError.print(line) }
    }
}
