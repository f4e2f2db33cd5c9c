import Foundation
import OpenStack

/// Why a definition cannot be used: a line with file, line and column for each mistake.
struct UnusableDefinition: Error {
    var lines: [String]
}

/// Loads the definition of an API from its file.
enum DefinitionFile {
    /// Bytes of a definition.
    static let maxByteCount = 16 << 20

    /// The table of operations in the file at `path`.
    ///
    /// - Errors: the definition's mistakes; a file that cannot be read, is larger than 16 MiB or is not UTF-8.
    static func load(_ path: String) throws(UnusableDefinition) -> OperationTable {
        guard let file = FileHandle(forReadingAtPath: path),
            let data = try? file.read(upToCount: maxByteCount + 1)
        else { throw UnusableDefinition(lines: ["\(path):1:1: the definition cannot be read"]) }
        guard data.count <= maxByteCount else {
            throw UnusableDefinition(lines: ["\(path):1:1: the definition is larger than 16 MiB"])
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw UnusableDefinition(lines: ["\(path):1:1: the definition is not UTF-8"])
        }
        do throws(DefinitionMistakes) {
            return try OperationTable.load(text: text, file: path)
        } catch {
            throw UnusableDefinition(lines: error.mistakes.map(\.description))
        }
    }
}
