internal import Yams

/// What one reading shares: the file, the environment and the mistakes so far.
final class SettingsReading {
    let file: String
    let directory: String
    let environment: [String: String]
    private(set) var mistakes: [SettingsMistake] = []

    init(file: String, directory: String, environment: [String: String]) {
        self.file = file
        self.directory = directory
        self.environment = environment
    }

    func add(_ mark: Mark?, _ message: String) {
        add(line: mark?.line ?? 1, column: mark?.column ?? 1, message)
    }

    func add(line: Int, column: Int, _ message: String) {
        // Sorted and cut at the end; this bound only keeps a hostile file from filling memory.
        guard mistakes.count < 10_000 else { return }
        mistakes.append(SettingsMistake(file: file, line: line, column: column, message: message))
    }

    /// The mistakes in the order of the file, each once, at most 100 and a last line.
    func takeMistakes() -> SettingsMistakes? {
        guard !mistakes.isEmpty else { return nil }
        var seen: Set<SettingsMistake> = []
        var list = mistakes.filter { seen.insert($0).inserted }
        list.sort { ($0.line, $0.column) < ($1.line, $1.column) }
        if list.count > 100, let last = list.last {
            let rest = list.count - 100
            list.removeSubrange(100...)
            list.append(
                SettingsMistake(
                    file: file, line: last.line, column: last.column, message: "and \(rest) more mistakes"))
        }
        return SettingsMistakes(list)
    }

    /// The text of a scalar with `${NAME}` replaced; nil, with a mistake, when it is no scalar or a variable
    /// is missing.
    func text(_ node: Node, _ name: String) -> String? {
        guard case .scalar(let scalar) = node else {
            add(node.mark, "`\(name)`: expected a value, got \(SettingsReading.kind(node))")
            return nil
        }
        guard !SettingsReading.isNull(node) else {
            add(node.mark, "`\(name)` has no value")
            return nil
        }
        guard scalar.string.utf8.count <= 65_536 else {
            add(node.mark, "`\(name)` is longer than 64 KiB")
            return nil
        }
        return replaceVariables(in: scalar.string, node.mark, name)
    }

    /// Replaces `${NAME}` by the variable's value and `$${` by `${`; what a value brings in is not looked at
    /// again.
    private func replaceVariables(in text: String, _ mark: Mark?, _ name: String) -> String? {
        guard text.contains("${") else { return text }
        var result = ""
        var isComplete = true
        var rest = Substring(text)
        while let start = rest.firstRange(of: "${") {
            if rest[..<start.lowerBound].hasSuffix("$") {
                result += rest[..<start.upperBound].dropLast(3) + "${"
                rest = rest[start.upperBound...]
                continue
            }
            result += rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            guard let end = rest.firstIndex(of: "}") else {
                add(mark, "`\(name)`: `${` has no `}`; write `$${` for the two characters themselves")
                return nil
            }
            let variable = rest[..<end]
            rest = rest[rest.index(after: end)...]
            if !SettingsReading.isVariableName(variable) {
                add(mark, "`\(name)`: `\(variable.prefix(64))` is not a name of an environment variable")
                isComplete = false
            } else if let value = environment[String(variable)] {
                result += value
            } else {
                add(mark, "`\(name)`: the environment variable \(variable.prefix(64)) is not set")
                isComplete = false
            }
        }
        return isComplete ? result + rest : nil
    }

    private static func isVariableName(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= first) else {
            return false
        }
        return name.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
            default: false
            }
        }
    }

    /// A scalar as it is written, before variables are replaced: those may hold secrets.
    static func written(_ node: Node?) -> String { "`\((node?.scalar?.string ?? "").prefix(80))`" }

    /// Whether the node is written as YAML's null: nothing, `~` or `null`, without quotes.
    static func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain || scalar.style == .any else {
            return false
        }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// What a node is, for «expected …, got …».
    static func kind(_ node: Node) -> String {
        switch node {
        case .scalar: isNull(node) ? "nothing" : "a single value"
        case .mapping: "a mapping"
        case .sequence: "a sequence"
        case .alias: "an alias"
        }
    }
}

/// One mapping of the file as a group of settings; asking for a key gives its value, its default, or a
/// mistake.
struct SettingsMapping {
    let group: SettingsGroup
    /// Where the mapping begins: the place of what is missing in it.
    let mark: Mark?
    let reading: SettingsReading
    private var nodes: [String: Node] = [:]
    /// Whether something else stands in the mapping's place: then nothing is missing in it.
    private var isReplaced = false

    /// Takes the keys of `node`; anything but a mapping, an unknown key or an unavailable one is a mistake.
    ///
    /// A null is a mapping without keys, as it is left when all of a group's lines are comments.
    init(_ node: Node?, _ group: SettingsGroup, _ name: String, _ reading: SettingsReading) {
        self.group = group
        self.reading = reading
        mark = node?.mark
        guard let node, !SettingsReading.isNull(node) else { return }
        guard case .mapping(let mapping) = node else {
            let subject = name.isEmpty ? "" : "`\(name)`: "
            reading.add(node.mark, "\(subject)expected a mapping, got \(SettingsReading.kind(node))")
            isReplaced = true
            return
        }
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                reading.add(key.mark, "a key must be a name, not \(SettingsReading.kind(key))")
                continue
            }
            if group.keys.contains(scalar.string) {
                nodes[scalar.string] = value
            } else if let refusal = group.unavailableKeys[scalar.string] {
                reading.add(key.mark, refusal)
            } else {
                let place = group.rawValue.isEmpty ? "" : " in `\(group.rawValue)`"
                let hint = group.findNearest(scalar.string).map { "; did you mean `\($0)`?" } ?? ""
                reading.add(key.mark, "unknown key `\(scalar.string.prefix(64))`\(place)\(hint)")
            }
        }
    }

    /// The value of `key`, null included; nil when the key is absent.
    func node(_ key: String) -> Node? {
        precondition(group.keys.contains(key), "\(key) is not in the list of settings")
        return nodes[key]
    }

    /// As `node`, and a mistake when the key is absent.
    func requiredNode(_ key: String) -> Node? {
        if let node = node(key) { return node }
        addMissing("`\(key)`")
        return nil
    }

    /// Says that `keys` are missing, unless something else stands in the mapping's place.
    func addMissing(_ keys: String) {
        guard !isReplaced else { return }
        let place = group.rawValue.isEmpty ? "" : " in `\(group.rawValue)`"
        reading.add(mark, "\(keys) is missing\(place)")
    }

    func subgroup(_ key: String, _ group: SettingsGroup) -> SettingsMapping {
        SettingsMapping(node(key), group, key, reading)
    }

    /// The group under `key`; nil when it is written as `off`.
    func subgroupUnlessOff(_ key: String, _ group: SettingsGroup) -> SettingsMapping? {
        if case .scalar(let scalar)? = node(key), ["off", "false", "no"].contains(scalar.string.lowercased())
        {
            return nil
        }
        return subgroup(key, group)
    }

    /// The items under `key`, at most `limit`; a mistake when it is something else, or empty and
    /// `isRequired`.
    func items(_ key: String, limit: Int, isRequired: Bool) -> [Node] {
        guard let node = isRequired ? requiredNode(key) : node(key) else { return [] }
        guard case .sequence(let sequence) = node else {
            reading.add(node.mark, "`\(key)`: expected a sequence, got \(SettingsReading.kind(node))")
            return []
        }
        if isRequired, sequence.isEmpty { reading.add(node.mark, "`\(key)` needs at least one item") }
        if sequence.count > limit {
            reading.add(sequence[limit].mark, "`\(key)` has more than \(limit) items")
        }
        return Array(sequence.prefix(limit))
    }

    /// Reads the scalar under `key` by `read`; nil when absent or, with a mistake, unreadable.
    func scalar<Value>(
        _ key: String, isSecret: Bool = false, _ read: (String) throws(ScalarMistake) -> Value
    ) -> Value? {
        node(key).flatMap { reading.scalar($0, key, isSecret: isSecret, read) }
    }

    private static func bounded<Value: Comparable>(
        _ value: Value, in range: ClosedRange<Value>, _ describe: (Value) -> String
    ) throws(ScalarMistake) -> Value {
        guard range.contains(value) else {
            throw ScalarMistake(
                reason: "is not in \(describe(range.lowerBound)) to \(describe(range.upperBound))")
        }
        return value
    }

    func duration(_ key: String, in range: ClosedRange<Duration>, or fallback: Duration) -> Duration {
        scalar(key) { text throws(ScalarMistake) in
            try Self.bounded(SettingsScalars.duration(text), in: range) { Self.describe($0) }
        } ?? fallback
    }

    func byteCount(_ key: String, in range: ClosedRange<Int>, or fallback: Int) -> Int {
        scalar(key) { text throws(ScalarMistake) in
            try Self.bounded(SettingsScalars.byteCount(text), in: range) { Self.describe($0) }
        } ?? fallback
    }

    func count(_ key: String, in range: ClosedRange<Int>, or fallback: Int) -> Int {
        scalar(key) { text throws(ScalarMistake) in
            try Self.bounded(SettingsScalars.count(text), in: range) { "\($0)" }
        } ?? fallback
    }

    func bool(_ key: String, or fallback: Bool) -> Bool {
        scalar(key, SettingsScalars.bool) ?? fallback
    }

    /// One of a closed list of words.
    func word<Value>(_ key: String, among words: [(String, Value)]) -> Value? {
        scalar(key) { text throws(ScalarMistake) in
            guard let found = words.first(where: { $0.0 == text }) else {
                throw ScalarMistake(reason: "is none of " + words.map(\.0).joined(separator: ", "))
            }
            return found.1
        }
    }

    private static func describe(_ duration: Duration) -> String {
        let milliseconds = duration / .milliseconds(1)
        if milliseconds == 0 { return "0s" }
        for (unit, size) in [("h", 3_600_000.0), ("m", 60_000), ("s", 1_000)] {
            let number = milliseconds / size
            if number == number.rounded() { return "\(Int(number))\(unit)" }
        }
        return "\(Int(milliseconds))ms"
    }

    private static func describe(_ byteCount: Int) -> String {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)]
        where byteCount > 0 && byteCount & ((1 << shift) - 1) == 0 {
            return "\(byteCount >> shift)\(unit)"
        }
        return "\(byteCount)"
    }
}

extension SettingsReading {
    /// Reads one scalar by `read`; nil, with a mistake that shows it as written (never when secret), when
    /// unreadable.
    func scalar<Value>(
        _ node: Node, _ name: String, isSecret: Bool = false, _ read: (String) throws(ScalarMistake) -> Value
    ) -> Value? {
        guard let text = text(node, name) else { return nil }
        do {
            return try read(text)
        } catch {
            let shown = isSecret || error.hidesValue ? "the value" : SettingsReading.written(node)
            add(node.mark, "`\(name)`: \(shown) \(error.reason)")
            return nil
        }
    }
}
