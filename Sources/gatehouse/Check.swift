import ArgumentParser
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
        // A definition that two APIs name is a mistake of the settings already.
        var seen: Set<String> = []
        for api in settings.apis where seen.insert(api.definition).inserted {
            do throws(UnusableDefinition) {
                let table = try DefinitionFile.load(api.definition)
                operationCount += table.operations.count
                if api.virtualInterfaces == .translate, VirtualInterfaces.Operations(in: table) == nil {
                    mistakes.append("\(api.definition):1:1: \(VirtualInterfaces.missing)")
                }
            } catch {
                mistakes += error.lines
            }
        }
        guard mistakes.isEmpty else {
            for mistake in mistakes { print(mistake) }
            throw ExitCode(1)
        }
        let names = settings.listeners.map(\.address.description).joined(separator: ", ")
        print("\(file): OK, \(operationCount) operations on \(names)")
    }
}
