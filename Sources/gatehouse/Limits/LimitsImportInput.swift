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
    init?(recognizing bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        let first = text.first { !$0.isWhitespace && $0 != "\u{FEFF}" }
        if first == "<" {
            self = .repose
        } else if text.contains(#/(?m)^(?:rates|groups|whitelist|blacklist)[ \t]*:/#) {
            self = .sap
        } else if text.contains(#/\([ \t]*[A-Za-z]+[ \t]*,/#) || text.contains(#/(?m)^\[filter:/#) {
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
}
