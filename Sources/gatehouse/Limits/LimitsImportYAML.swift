import Yams

/// Reads a YAML file into nodes.
///
/// - Limits: 16 aliases, because a tower of them doubles at each floor.
/// - Errors: what is not YAML, each with its place.
enum ImportYAML {
    static let maxAliasCount = 16

    static func read(_ text: String, file: String) throws(LimitsImportMistake) -> Node {
        func mistake(_ line: Int, _ column: Int, _ message: String) -> LimitsImportMistake {
            LimitsImportMistake(file: file, line: line, column: column, message: message)
        }
        try countAliases(text, file: file)
        do {
            guard let root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot() else {
                throw mistake(1, 1, "the file is empty")
            }
            return root
        } catch let error as LimitsImportMistake {
            throw error
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                throw mistake(mark.line, mark.column, "not YAML: \(problem)")
            case .duplicatedKeysInMapping(_, let context):
                throw mistake(context.mark.line, context.mark.column, "a key is there twice in one mapping")
            default: throw mistake(1, 1, "not YAML")
            }
        } catch {
            throw mistake(1, 1, "not YAML")
        }
    }

    /// Counts what may be an alias: a `*` at the beginning of a word, anywhere but on a line of comment. Text in quotes
    /// is counted, harmlessly.
    private static func countAliases(_ text: String, file: String) throws(LimitsImportMistake) {
        var count = 0
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where line.first(where: { $0 != " " && $0 != "\t" }) != "#" {
            var previous: Character = " "
            for (column, character) in line.enumerated() {
                if character == "*", " \t[{,-:?".contains(previous) { count += 1 }
                if count > maxAliasCount {
                    throw LimitsImportMistake(
                        file: file, line: number + 1, column: column + 1,
                        message: "there are more than \(maxAliasCount) aliases (*name)")
                }
                previous = character
            }
        }
    }
}
