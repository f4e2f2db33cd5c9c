import Foundation

/// Something in a file to import that keeps it from being read.
struct LimitsImportMistake: Error, Equatable, CustomStringConvertible {
    var file: String
    /// Both count from 1; a column counts characters.
    var line: Int
    var column: Int
    var message: String

    var description: String { "\(file):\(line):\(column): \(message)" }
}

/// Whose limits a file holds.
enum LimitsImportFormat: String, CaseIterable {
    case repose
    case sap
    case nova

    /// The name to tell it by.
    var owner: String {
        switch self {
        case .repose: "Repose"
        case .sap: "SAP's rate limit middleware"
        case .nova: "Nova"
        }
    }

    /// Tells by what can only be in one of them; nil when nothing is.
    init?(recognizing text: String) {
        if text.first(where: { !$0.isWhitespace }) == "<" {
            self = .repose
        } else if text.contains(/(?m)^(?:rates|groups|whitelist|blacklist)[ \t]*:/) {
            self = .sap
        } else if text.contains("RateLimitingMiddleware") || text.contains(/\([ \t]*[A-Za-z]+[ \t]*,/)
            || text.contains(/(?m)^[ \t]*(?:limits|user:\S+)[ \t]*=/)
        {
            self = .nova
        } else {
            return nil
        }
    }
}

/// What is to be imported, from a file or from standard input.
enum LimitsImportInput {
    static let maxByteCount = 1 << 20

    /// The name of a file in mistakes.
    static func name(of file: String) -> String { file == "-" ? "standard input" : file }

    /// Reads all of it.
    ///
    /// - Errors: what cannot be read, and more than `maxByteCount`.
    static func read(_ file: String) throws(LimitsImportMistake) -> [UInt8] {
        let data: Data?
        do {
            let handle =
                file == "-" ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(filePath: file))
            data = try handle.read(upToCount: maxByteCount + 1)
        } catch {
            throw LimitsImportMistake(
                file: name(of: file), line: 1, column: 1, message: "the file cannot be read")
        }
        let bytes = Array(data ?? Data())
        guard bytes.count <= maxByteCount else {
            throw LimitsImportMistake(
                file: name(of: file), line: 1, column: 1, message: "the file is larger than 1 MiB")
        }
        return bytes
    }

    /// What an import prints: on standard output, and as a line on standard error.
    static func outcome(
        of bytes: [UInt8], file: String, format: LimitsImportFormat?, operations: ImportOperations
    ) throws(LimitsImportMistake) -> (text: String, summary: String) {
        let (result, format) = try result(of: bytes, file: file, format: format, operations: operations)
        return (ImportText.write(result, file: file, format: format), ImportText.summary(result))
    }

    /// The rules that limits become, and whose limits they are.
    ///
    /// - Errors: an empty file, one that is not UTF-8 or of no known kind; whatever its own kind does not allow.
    static func result(
        of bytes: [UInt8], file: String, format: LimitsImportFormat?, operations: ImportOperations
    ) throws(LimitsImportMistake) -> (result: ImportResult, format: LimitsImportFormat) {
        let text = try text(bytes, file: file)
        guard let format = format ?? LimitsImportFormat(recognizing: text) else {
            throw LimitsImportMistake(
                file: file, line: 1, column: 1,
                message:
                    "these are no limits of Repose, of SAP's middleware or of Nova; --format says whose they are"
            )
        }
        let empty = ImportResult(operations)
        switch format {
        case .repose: return (try ReposeImport.read(text, file: file, into: empty), format)
        case .sap: return (try SAPImport.read(text, file: file, into: empty), format)
        case .nova: return (try NovaImport.read(text, file: file, into: empty), format)
        }
    }

    /// The text of a file, without its byte order mark and with ends of line as everywhere.
    private static func text(_ bytes: [UInt8], file: String) throws(LimitsImportMistake) -> String {
        func mistake(_ line: Int, _ column: Int, _ message: String) -> LimitsImportMistake {
            LimitsImportMistake(file: file, line: line, column: column, message: message)
        }
        let content = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        var line = 1
        var column = 1
        var decoder = UTF8()
        var iterator = content.makeIterator()
        var isBlank = true
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .emptyInput: break decoding
            case .error: throw mistake(line, column, "the file is not UTF-8")
            case .scalarValue(let scalar):
                let isControl = scalar.value < 0x20 && scalar != "\n" && scalar != "\r" && scalar != "\t"
                if isControl || scalar.value == 0x7F {
                    throw mistake(line, column, "a control character is in the file")
                }
                if !scalar.properties.isWhitespace { isBlank = false }
                column += 1
                if scalar == "\n" {
                    line += 1
                    column = 1
                }
            }
        }
        if isBlank { throw mistake(1, 1, "the file is empty") }
        return String(decoding: content, as: UTF8.self).replacing("\r\n", with: "\n")
    }
}
