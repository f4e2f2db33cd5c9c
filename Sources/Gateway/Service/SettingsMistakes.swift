/// One mistake in a settings file and its place.
public struct SettingsMistake: Sendable, Hashable, CustomStringConvertible {
    /// As it was named to the reader.
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1, in Unicode scalars.
    public var column: Int
    /// What is wrong and what would be right; never holds a token or the value of an environment variable.
    public var message: String

    public init(file: String, line: Int, column: Int, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// `file:line:column: message`, which editors and CI understand.
    public var description: String { "\(file):\(line):\(column): \(message)" }
}

/// Every mistake of a settings file, in the order of the file; never empty.
///
/// - Limits: at most 100 and one last line that says so.
public struct SettingsMistakes: Error, Sendable, Equatable, CustomStringConvertible {
    public let list: [SettingsMistake]

    public init(_ list: [SettingsMistake]) { self.list = list }

    /// A line per mistake, without a newline at the end.
    public var description: String { list.map(\.description).joined(separator: "\n") }
}
