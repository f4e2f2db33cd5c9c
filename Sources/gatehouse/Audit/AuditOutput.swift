import Bytes
import Gateway
import Glibc

/// Events as they are printed, a line each.
///
/// - Limits: 256 KiB are held before they are written.
/// - Errors: when nobody reads any more, the program ends as it would by SIGPIPE; another error ends it with a word on
///   standard error.
struct AuditOutput: ~Copyable {
    private static let heldByteCount = 262_144

    private let isJSON: Bool
    private var bytes: [UInt8] = []

    init(isJSON: Bool) {
        self.isJSON = isJSON
        bytes.reserveCapacity(Self.heldByteCount + 65_536)
        if !isJSON { append(AuditColumns.head) }
    }

    mutating func append(_ event: TrailEvent) {
        if isJSON {
            bytes.append(contentsOf: event.text)
            bytes.append(0x0A)
        } else {
            append(AuditColumns.line(event))
        }
        if bytes.count >= Self.heldByteCount { flush() }
    }

    private mutating func append(_ line: String) {
        bytes.append(contentsOf: line.utf8)
        bytes.append(0x0A)
    }

    mutating func flush() {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(STDOUT_FILENO, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0 {
                if errno == EINTR { continue }
                StandardError.print("standard output: \(String(cString: strerror(errno)))")
                exit(1)
            }
            done += count
        }
        bytes.removeAll(keepingCapacity: true)
    }
}

/// Events as lines of a table whose columns are as wide as what usually stands in them.
enum AuditColumns {
    private static let columns: [(name: String, width: Int)] = [
        ("TIME", 27), ("OUTCOME", 7), ("STATUS", 6), ("ACTION", 20), ("USER", 32), ("PROJECT", 32),
        ("TARGET", 36), ("REQUEST ID", 0),
    ]

    static let head = row(columns.map(\.name))

    /// A line; what is not there is a dash.
    static func line(_ event: TrailEvent) -> String {
        var time = cell(event.time)
        if time.hasSuffix("+00:00") { time = "\(time.dropLast(6))Z" }
        return row([
            time, cell(event.outcome), cell(event.status), cell(event.action), cell(event.user),
            cell(event.project), cell(event.target), cell(event.requestID),
        ])
    }

    private static func row(_ cells: [String]) -> String {
        zip(cells, columns).map { cell, column in
            cell + String(repeating: " ", count: max(0, column.width - cell.count))
        }.joined(separator: "  ")
    }

    /// A value on one line, without what a terminal would take for a command.
    private static func cell(_ inside: ByteView) -> String {
        let text = TrailEvent.text(inside)
        guard !text.isEmpty else { return "-" }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
