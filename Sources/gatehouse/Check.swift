import ArgumentParser
import Bytes
import Gateway
import OpenStack

/// `gatehouse check FILE`
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints every mistake in a settings file and in the definitions it names.",
        discussion: "Exits with 0 when there is none, else with 1.")

    @Argument(help: "The settings file.", completion: .file(extensions: ["yaml"]))
    var file: String

    func run() throws {
        let (settings, found) = SettingsReader().inspect(file: file)
        var mistakes = found?.list.map(\.description) ?? []
        var operationCount = 0
        var unused = UnusedParts()
        // A definition that two APIs name is a mistake of the settings already.
        var seen: Set<String> = []
        var tables: [OperationTable] = []
        for api in settings.apis where seen.insert(api.definition).inserted {
            do throws(DefinitionMistakes) {
                let definition = try DefinitionFiles.read(api.definition, overlay: api.overlay)
                let table = try OperationTable.compile(definition, file: api.definition)
                tables.append(table)
                operationCount += table.operations.count
                unused.add(definition.unused)
                if api.virtualInterfaces == .translate, VirtualInterfaces.Operations(in: table) == nil {
                    mistakes.append("\(api.definition):1:1: \(VirtualInterfaces.missing)")
                }
            } catch {
                mistakes += error.mistakes.map(\.description)
            }
        }
        // Without all definitions nobody can tell which words mean something.
        if tables.count == settings.apis.count {
            do throws(RuleMistakes) {
                _ = try LimitTable.compile(settings.limits, tables: tables, hash: .random())
            } catch {
                mistakes.append(error.text(file: file))
            }
            do throws(RuleMistakes) {
                if let audit = settings.audit { _ = try AuditTable.compile(audit, tables: tables) }
            } catch {
                mistakes.append(error.text(file: file))
            }
        }
        guard mistakes.isEmpty else {
            for mistake in mistakes { print(mistake) }
            throw ExitCode(1)
        }
        let names = settings.listeners.map(\.address.description).joined(separator: ", ")
        print("\(file): OK, \(operationCount) operations on \(names)")
        guard unused.count > 0 else { return }
        print("\(unused.count) parts of the definitions have no effect:")
        for line in unused.lines { print(line) }
    }
}
