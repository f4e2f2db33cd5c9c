public import OpenStack

/// Reads the definitions that settings name, from their files.
public enum DefinitionFiles {
    /// Bytes of a definition, and of an overlay.
    public static let maxByteCount = 16 << 20

    /// The definition in the file at a path, with an overlay from another file laid over it.
    ///
    /// - Errors: every mistake of both; a file that cannot be read, is larger than 16 MiB or is not UTF-8.
    public static func read(
        _ definition: String, overlay: String? = nil
    ) throws(DefinitionMistakes) -> Definition {
        let definition = try text(definition, "definition")
        var changes: DefinitionText?
        if let overlay { changes = try text(overlay, "overlay") }
        let overlay = changes
        // Reading goes down once per level of nesting; a Dispatch thread's stack is too small for the deepest file.
        let result: Result<Definition, DefinitionMistakes> = DeepStack.run {
            do throws(DefinitionMistakes) {
                return .success(try Definition.read(definition, overlay: overlay))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func text(_ path: String, _ what: String) throws(DefinitionMistakes) -> DefinitionText {
        func mistake(_ message: String) -> DefinitionMistakes {
            DefinitionMistakes(mistakes: [DefinitionMistake(file: path, line: 1, column: 1, message: message)]
            )
        }
        switch FileContent.read(path, limit: maxByteCount + 1) {
        case .failure: throw mistake("the \(what) cannot be read")
        case .success(let bytes):
            guard bytes.count <= maxByteCount else { throw mistake("the \(what) is larger than 16 MiB") }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw mistake("the \(what) is not UTF-8")
            }
            return DefinitionText(text: text, file: path)
        }
    }
}
