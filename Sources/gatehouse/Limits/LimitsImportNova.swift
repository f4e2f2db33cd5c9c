/// Reads limits as Nova had them in `api-paste.ini` until 2016: the file, its section, or the text of one value.
///
/// - Source: `nova.api.openstack.compute.limits` as of Mitaka, and its documentation.
struct NovaImport {
    private let file: String
    private var result: ImportResult
    private var limitCount = 0

    private static let maxLimitCount = 1_000

    static func read(
        _ text: String, file: String, into result: ImportResult
    ) throws(LimitsImportMistake) -> ImportResult {
        var reading = NovaImport(file: file, result: result)
        let values = try Self.values(text, file: file)
        guard !values.isEmpty else {
            throw LimitsImportMistake(
                file: file, line: 1, column: 1, message: "there are no limits of Nova's")
        }
        for value in values { try reading.read(value) }
        reading.result.choices = [
            "Nova's buckets leaked: a limit's number at once and then evenly, so a burst of that number is the same",
            "Nova charged every limit that was about a request, also when another one refused it; here none is then",
            "expressions are about the path below the project, as Nova's documentation has them, or the whole one",
        ]
        return reading.result
    }

    private init(file: String, result: ImportResult) {
        self.file = file
        self.result = result
    }

    // MARK: - The file

    /// A character and where it is.
    private struct Placed {
        var character: Character
        var line: Int
        var column: Int
    }

    /// A value of a section, with the lines that go on with it.
    private struct Value {
        /// `limits`, `user:NAME`, or whatever else a section has.
        var key: String
        var text: [Placed] = []
    }

    /// The values of the sections of the limiter; a text without sections is all one.
    private static func values(_ text: String, file: String) throws(LimitsImportMistake) -> [Value] {
        var sections: [[Value]] = [[]]
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let placed = line.enumerated().map {
                Placed(character: $0.element, line: number + 1, column: $0.offset + 1)
            }
            let first = line.first { !$0.isWhitespace }
            if first == nil || first == "#" || first == ";" { continue }
            if line.first == "[" {
                guard line.contains("]") else {
                    throw LimitsImportMistake(
                        file: file, line: number + 1, column: 1, message: "the section's name does not end")
                }
                sections.append([])
                continue
            }
            let last = sections.count - 1
            let separator = separator(placed)
            if first == "(" || (line.first?.isWhitespace ?? false && !sections[last].isEmpty) {
                // A continued value; one without a key is a bare text of limits.
                if sections[last].isEmpty { sections[last].append(Value(key: "limits")) }
                sections[last][sections[last].count - 1].text += placed
            } else if let separator {
                let key = String(placed[..<separator].map(\.character)).filter { !$0.isWhitespace }
                sections[last].append(Value(key: key, text: Array(placed[(separator + 1)...])))
            } else {
                throw LimitsImportMistake(
                    file: file, line: number + 1, column: 1,
                    message: "this is no setting: there is no = in it")
            }
        }
        return sections.flatMap(limits)
    }

    /// The limits of a section; those that Nova had built in where the section of the limiter has none.
    private static func limits(_ section: [Value]) -> [Value] {
        var found = section.filter { isLimit($0.key) }
        let factory = section.first {
            $0.key == "paste.filter_factory"
                && String($0.text.map(\.character)).contains("RateLimitingMiddleware")
        }
        if let line = factory?.text.first?.line, !found.contains(where: { $0.key == "limits" }) {
            let text = builtIn.map { Placed(character: $0, line: line, column: 1) }
            found.append(Value(key: "limits", text: text))
        }
        return found
    }

    private static let builtIn = """
        (POST, "*", .*, 120, MINUTE);(POST, "*/servers", ^/servers, 120, MINUTE);(PUT, "*", .*, 120, MINUTE);\
        (GET, "*changes-since*", .*changes-since.*, 120, MINUTE);(DELETE, "*", .*, 120, MINUTE);\
        (GET, "*/os-fping", ^/os-fping, 12, MINUTE)
        """

    /// Where the key of a line ends: at the first `=`, or at a colon that is not of `user:`.
    private static func separator(_ line: [Placed]) -> Int? {
        if let equals = line.firstIndex(where: { $0.character == "=" }) { return equals }
        return line.firstIndex { $0.character == ":" }
    }

    private static func isLimit(_ key: String) -> Bool { key == "limits" || key.hasPrefix("user:") }

    // MARK: - Limits

    private mutating func read(_ value: Value) throws(LimitsImportMistake) {
        let groups = value.text.split { $0.character == ";" }.map(Self.trimmed).filter { !$0.isEmpty }
        if value.key != "limits" {
            let line = value.text.first?.line ?? 1
            result.leaveOut(
                line,
                "\(value.key) = \(String(value.text.map(\.character)).trimmingPrefix(while: \.isWhitespace))",
                "rules have no limits of single users; a project can have `overrides`, a role or a project be in "
                    + "`exempt`")
            return
        }
        for group in groups {
            limitCount += 1
            let text = String(group.map(\.character))
            guard limitCount <= Self.maxLimitCount else {
                throw mistake(group, "there are more than \(Self.maxLimitCount) limits")
            }
            guard text.hasPrefix("("), text.hasSuffix(")"), group.count >= 2 else {
                throw mistake(group, "a limit is in parentheses, with a semicolon to the next one")
            }
            limit(text, group[group.startIndex].line)
        }
    }

    private func mistake(_ group: ArraySlice<Placed>, _ message: String) -> LimitsImportMistake {
        LimitsImportMistake(
            file: file, line: group.first?.line ?? 1, column: group.first?.column ?? 1, message: message)
    }

    private static func trimmed(_ text: ArraySlice<Placed>) -> ArraySlice<Placed> {
        var text = text
        while text.first?.character.isWhitespace ?? false { text.removeFirst() }
        while text.last?.character.isWhitespace ?? false { text.removeLast() }
        return text
    }

    private mutating func limit(_ text: String, _ line: Int) {
        let parts = text.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false).map {
            String($0.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        }
        guard parts.count == 5 else {
            result.leaveOut(
                line, text,
                "Nova does not read it: it needs verb, URI, regular expression, value and unit, none with a comma"
            )
            return
        }
        let verb = parts[0].uppercased()
        guard let value = Int(parts[3]), value > 0,
            let seconds = ["SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400][parts[4].uppercased()]
        else {
            result.leaveOut(line, text, "Nova does not read it: its value or its unit is none")
            return
        }
        guard let rate = ImportRate(value, seconds: seconds) else {
            result.leaveOut(line, text, "there is no such rate")
            return
        }
        let found: [ImportMatch]
        do throws(ImportPattern.Failure) {
            found = try ImportMatch.find(parts[2], .python, for: result)
        } catch {
            result.leaveOut(line, text, error.reason)
            return
        }
        let matches = found.filter {
            result.operations.units[$0.unit].operation.method.name.description == verb
        }
        guard !matches.isEmpty else {
            let reason =
                found.isEmpty
                ? "its regular expression matches no path of the compute API; rules are not about the query"
                : "the compute API has no \(verb) there"
            result.leaveOut(line, text, reason)
            return
        }
        let uri = parts[1].filter { $0 != "\"" && $0 != "'" }
        result.add(
            ImportedRule(
                name: verb.lowercased() + (uri == "*" ? "" : "-" + uri),
                units: matches.reduce(into: []) { $0.formUnion(result.operations.ranges[$1.operation]) },
                per: ["user"], rate: rate, burst: value, line: line, source: text))
    }
}
