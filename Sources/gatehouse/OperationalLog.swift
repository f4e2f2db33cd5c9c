import Glibc
import Logging

/// Writes the operational log: a line per record on standard error.
///
/// - Shape: `2030-01-31T12:00:00.000Z info message key=value`; a value with a space, a quote or an equals
///   sign is in double quotes, control characters are escaped, so that a record is always one line.
/// - Limits: 8 KiB a line; what is more is cut off and marked by `…`.
struct OperationalLog: LogHandler {
    private static let maxLineByteCount = 8_192

    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Makes every logger of this process write here, from `level` up; once in a process.
    static func bootstrap(level: Logger.Level) {
        LoggingSystem.bootstrap { _ in OperationalLog(logLevel: level) }
    }

    func log(event: LogEvent) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var all = metadata
        all.merge(metadataProvider?.get() ?? [:]) { $1 }
        all.merge(event.metadata ?? [:]) { $1 }
        let line = Self.line(now, event.level, event.message.description, all)
        // One write a line: lines of several threads and processes do not mix.
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// A record as one line, its newline included.
    static func line(
        _ now: timespec, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata
    ) -> [UInt8] {
        var text = "\(time(now)) \(level.rawValue) \(escaped(message))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            text += " \(escaped(key))=\(quoted(value.description))"
        }
        var bytes = Array(text.utf8.prefix(maxLineByteCount))
        if text.utf8.count > maxLineByteCount {
            // Not in the middle of a character.
            while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
            bytes += Array("…".utf8)
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// RFC 3339 in UTC with milliseconds.
    private static func time(_ now: timespec) -> String {
        var seconds = now.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: some BinaryInteger, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date =
            "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2))"
        let clock = "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(digits(now.tv_nsec / 1_000_000, 3))Z"
    }

    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && !text.contains { $0 == " " || $0 == "\"" || $0 == "=" || $0 == "\\" }
        if isPlain { return escaped(text) }
        let inner = escaped(text).replacing("\"", with: "\\\"")
        return "\"\(inner)\""
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control || $0 == "\\" })
        else {
            return text
        }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where scalar.properties.generalCategory == .control:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
