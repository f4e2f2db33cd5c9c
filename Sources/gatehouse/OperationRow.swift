import Foundation
import OpenStack

/// One line of the table of operations: an operation, or one action of it.
struct OperationRow: Encodable {
    /// Microversions between which Nova has it; an end that is not there is open.
    struct Versions: Encodable {
        var minimum: String?
        var maximum: String?
    }

    var id: String
    var method: String
    var path: String
    /// Key in the content, for an action.
    var action: String?
    var cache: String
    var limit: String
    var audit: String
    var versions: Versions
    /// There when the document calls the operation deprecated.
    var deprecated: Bool?

    /// The rows of an operation: itself and each of its actions.
    static func rows(_ operation: OpenStack.Operation) -> [OperationRow] {
        let row = OperationRow(
            id: operation.id, method: operation.method.name.description, path: operation.path,
            cache: operation.cacheClass == .list ? "list" : "none", limit: operation.limitClass,
            audit: operation.auditAction, versions: versions(operation.minimum, operation.maximum),
            deprecated: operation.isDeprecated ? true : nil)
        return [row]
            + operation.actions.map { action in
                var actionRow = row
                actionRow.id = "\(operation.id):\(action.key)"
                actionRow.action = action.key
                actionRow.limit = action.limitClass ?? operation.limitClass
                actionRow.audit = action.auditAction
                actionRow.versions = versions(
                    action.minimum ?? operation.minimum, action.maximum ?? operation.maximum)
                return actionRow
            }
    }

    /// Columns with a space or more between them, under a line of names.
    static func table(_ rows: [OperationRow]) -> String {
        let cells =
            [["ID", "METHOD", "PATH", "CACHE", "LIMIT", "AUDIT", "VERSIONS"]]
            + rows.map { [$0.id, $0.method, $0.path, $0.cache, $0.limit, $0.audit, $0.versions.text] }
        let widths = (0..<7).map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            let padded = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            let line = padded.joined(separator: "  ")
            return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
        }.joined(separator: "\n")
    }

    /// An array of objects with the names of the columns in lower case.
    static func json(_ rows: [OperationRow]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(rows), as: UTF8.self)
    }

    private static func versions(_ minimum: Microversion?, _ maximum: Microversion?) -> Versions {
        func text(_ version: Microversion?) -> String? { version.map { "\($0.major).\($0.minor)" } }
        return Versions(minimum: text(minimum), maximum: text(maximum))
    }
}

extension OperationRow.Versions {
    /// `2.1-2.43`, `2.26-`, `-2.43`, or `all`.
    var text: String {
        minimum == nil && maximum == nil ? "all" : "\(minimum ?? "")-\(maximum ?? "")"
    }
}
