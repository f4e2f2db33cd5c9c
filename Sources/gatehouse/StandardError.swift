import Glibc

/// Standard error, for what goes wrong before the operational log is there.
enum StandardError {
    /// Writes a line.
    static func print(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
