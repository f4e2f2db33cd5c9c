/// What is wrong with the rules of the settings, limits and audit policies, as the definitions show it.
public struct RuleMistakes: Error, Sendable, Equatable {
    public struct Mistake: Sendable, Equatable {
        /// Both count from 1.
        public var line: Int
        public var column: Int
        public var message: String
    }
    public var list: [Mistake]

    /// A line for each, with the settings file's name.
    public func text(file: String) -> String {
        list.map { "\(file):\($0.line):\($0.column): \($0.message)" }.joined(separator: "\n")
    }
}
