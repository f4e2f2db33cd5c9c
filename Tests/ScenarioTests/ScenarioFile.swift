import Foundation

/// One step of a scenario: its words, the field lines under it, and where it stands.
struct Step: Sendable {
    var line: Int
    var words: [Word]
    /// Lines under the step that begin with `|`.
    var fields: [Word] = []
    /// Commands between braces.
    var body: [Step] = []
    /// Text between braces, for settings.
    var text: [String] = []
    /// The words of the row this step was made for, inside `with`: `${it}`, `${it.2}`, ….
    var it: [Word] = []

    /// The words that carry no quotes, for matching a command's form.
    var plain: [String] { words.filter { !$0.isQuoted }.map(\.string) }
    /// The quoted words.
    var quoted: [Word] { words.filter(\.isQuoted) }
    var verb: String { words.first?.string ?? "" }
}

/// A word of a scenario: bare, or bytes in quotes.
struct Word: Sendable {
    var bytes: [UInt8]
    var isQuoted: Bool

    var string: String { String(decoding: bytes, as: UTF8.self) }
}

/// Why a scenario file cannot be read, or how what happened differs from what it says.
struct Mismatch: Error, CustomStringConvertible {
    var line: Int
    var text: String

    init(_ line: Int, _ text: String) {
        self.line = line
        self.text = text
    }

    var description: String { "line \(line): \(text)" }
}

/// A scenario: a text file whose name is the sentence it proves.
///
/// Lines are steps; `#` begins a comment; a step that ends in `{` has a body up to the line `}`. Words are bare or in
/// quotes with `\r \n \t \" \\ \xNN`; `"…" * 20` repeats bytes; a line that begins with `|` is a field line of the step
/// above it. `only HTTP/1.1 clients: …` says over which transports it means anything, and why. `repeat 3 { … }` and `with "a" "b" { … ${it} … }` (or rows of `|` lines first in the body, with `${it.2}`)
/// stand for their steps, once a turn.
struct ScenarioFile: Sendable, CustomStringConvertible {
    let path: String
    let description: String

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    private static let wanted = ProcessInfo.processInfo.environment["SCENARIO"].flatMap {
        $0.isEmpty ? nil : $0
    }
    static let isWhole = wanted == nil

    /// All scenario files, by path; `SCENARIO` in the environment keeps those whose path contains it.
    static let all: [ScenarioFile] = {
        let directory = root + "/Tests/Scenarios"
        let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(".scenario") && (wanted.map($0.contains) ?? true) }.sorted()
            .map { ScenarioFile(path: directory + "/" + $0, description: String($0.dropLast(9))) }
    }()

    /// Whether the scenario means anything over `transport`; its lines `only …` say what it is about otherwise.
    ///
    /// `only HTTP/1.1 clients: REASON`; the others are `HTTP/2`, `TLS` and `plain`, and `upstreams`.
    func fits(_ transport: Transport) throws -> Bool {
        for step in try steps() where step.verb == "only" {
            let words = step.words.map(\.string)
            guard words.count > 3, words[2] == "clients:" || words[2] == "upstreams:",
                let fits = transport.fits(words[1], String(words[2].dropLast()))
            else { throw Mismatch(step.line, "only which clients or upstreams, and why?") }
            if !fits { return false }
        }
        return true
    }

    func steps() throws -> [Step] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        var reader = StepReader(
            lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...])
        return try reader.steps(isTop: true).steps
    }
}

/// Reads lines into steps.
private struct StepReader {
    var lines: ArraySlice<String>

    /// Reads to the end or to the closing brace; rows are what stands before the first step.
    mutating func steps(isTop: Bool) throws -> (rows: [[Word]], steps: [Step]) {
        var rows: [[Word]] = []
        var steps: [Step] = []
        while let line = lines.first {
            let number = lines.startIndex + 1
            lines.removeFirst()
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            if trimmed == "}" {
                guard !isTop else { throw Mismatch(number, "nothing is open here") }
                return (rows, steps)
            }
            var words = try Self.words(trimmed, number)
            if trimmed.hasPrefix("|") {
                if steps.isEmpty {
                    rows.append(Array(words.dropFirst()))
                } else {
                    let value = trimmed.dropFirst().trimmingCharacters(in: .whitespaces)
                    steps[steps.count - 1].fields.append(Word(bytes: Array(value.utf8), isQuoted: false))
                }
                continue
            }
            var step = Step(line: number, words: words)
            if let last = words.last, !last.isQuoted, last.string == "{" {
                words.removeLast()
                step.words = words
                switch step.verb {
                case "gateway", "settings": step.text = try rawText()
                case "with":
                    let (rows, body) = try self.steps(isTop: false)
                    let turns = rows + words.dropFirst().map { [$0] }
                    steps += turns.flatMap { turn in body.map { $0.bound(to: turn) } }
                    continue
                default: step.body = try self.steps(isTop: false).steps
                }
            }
            guard step.verb == "repeat" else {
                steps.append(step)
                continue
            }
            guard let count = step.words.dropFirst().first.flatMap({ Int($0.string) }) else {
                throw Mismatch(number, "repeat how often?")
            }
            for _ in 0..<count { steps += step.body }
        }
        guard isTop else { throw Mismatch(lines.endIndex, "a brace is not closed") }
        return (rows, steps)
    }

    private mutating func rawText() throws -> [String] {
        var text: [String] = []
        while let line = lines.first {
            lines.removeFirst()
            if line == "}" { return text }
            text.append(line.hasPrefix("    ") ? String(line.dropFirst(4)) : line)
        }
        throw Mismatch(lines.endIndex, "the settings are not closed")
    }

    private static func words(_ line: String, _ number: Int) throws -> [Word] {
        var words: [Word] = []
        var rest = Array(line.utf8)[...]
        while let byte = rest.first {
            if byte == 0x20 {
                rest.removeFirst()
            } else if byte == 0x22 {
                rest.removeFirst()
                words.append(Word(bytes: try string(&rest, number), isQuoted: true))
            } else {
                let bare = Array(rest.prefix { $0 != 0x20 })
                rest.removeFirst(bare.count)
                words.append(Word(bytes: bare, isQuoted: false))
            }
            // `"a" * 3`
            if words.count >= 3, words[words.count - 2].string == "*", !words[words.count - 2].isQuoted,
                words[words.count - 3].isQuoted, let count = Int(words[words.count - 1].string)
            {
                words.removeLast(2)
                let once = words[words.count - 1].bytes
                words[words.count - 1].bytes =
                    once.count == 1
                    ? Array(repeating: once[0], count: count)
                    : Array(repeatElement(once, count: count).joined())
            }
        }
        return words
    }

    private static func string(_ rest: inout ArraySlice<UInt8>, _ number: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == 0x22 { return bytes }
            guard byte == 0x5C else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case 0x22: bytes.append(0x22)
            case 0x5C: bytes.append(0x5C)
            case UInt8(ascii: "x"):
                let digits = String(decoding: rest.prefix(2), as: UTF8.self)
                guard let value = UInt8(digits, radix: 16) else {
                    throw Mismatch(number, "\\x needs two digits")
                }
                rest.removeFirst(2)
                bytes.append(value)
            default: throw Mismatch(number, "unknown escape")
            }
        }
        throw Mismatch(number, "a quote is not closed")
    }
}

extension Step {
    fileprivate func bound(to row: [Word]) -> Step {
        var copy = self
        if it.isEmpty { copy.it = row }
        copy.body = body.map { $0.bound(to: row) }
        return copy
    }
}
