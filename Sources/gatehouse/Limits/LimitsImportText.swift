/// Writes the outcome of an import as the `limits` of settings.
///
/// - Shape: YAML; comments say where each rule came from and, at the end, what was chosen and what is left out.
struct ImportText {
    let result: ImportResult
    let file: String
    let format: LimitsImportFormat
    private(set) var lines: [String] = []

    static func write(_ result: ImportResult, file: String, format: LimitsImportFormat) -> String {
        var text = ImportText(result: result, file: file, format: format)
        text.write()
        return text.lines.map { $0 + "\n" }.joined()
    }

    /// How many there are of what, for standard error.
    static func summary(_ result: ImportResult) -> String {
        let (rules, rest) = (result.rules.count, result.remainders.count)
        let first = rules == 1 ? "1 rule" : "\(rules) rules"
        if rest == 0 { return "\(first); everything has its equivalent" }
        return
            "\(first); \(rest == 1 ? "1 thing has" : "\(rest) things have") no equivalent, told in the last comments"
    }

    private mutating func write() {
        comment("The limits of \(file), as \(format.owner) had them.", indent: 0)
        lines.append("limits:")
        if let status = result.legacyStatus { lines.append("  legacy_status: \(status)") }
        lines.append(result.rules.isEmpty ? "  rules: []" : "  rules:")
        for rule in result.rules { write(rule) }
        if !result.choices.isEmpty {
            lines.append("# How they were read:")
            for choice in result.choices { item(choice) }
        }
        guard !result.remainders.isEmpty else { return }
        lines.append("# No equivalent:")
        for remainder in result.remainders.sorted(by: { $0.line < $1.line }) {
            item("\(file):\(remainder.line): \(Self.shortened(remainder.what)): \(remainder.reason)")
        }
    }

    private mutating func write(_ rule: ImportedRule) {
        lines.append("    - name: \(Self.scalar(rule.name))")
        list("operations", result.operations.selection(of: rule.units), indent: 6)
        let per = ["project", "user", "address", "token", "operation"].filter(rule.per.contains)
        if per.count == 1 {
            lines.append("      per: \(per[0])")
        } else if per.count > 1 {
            lines.append("      per: [\(per.joined(separator: ", "))]")
        }
        lines.append("      rate: \(rule.rate.count)/\(rule.rate.unit)")
        lines.append("      burst: \(rule.burst)")
        if rule.isShadow { lines.append("      mode: shadow") }
        if !rule.exemptProjects.isEmpty {
            lines.append("      exempt:")
            list("projects", rule.exemptProjects, indent: 8)
        }
        comment("from \(file):\(rule.line): \(Self.shortened(rule.source))", indent: 6)
        for remark in rule.remarks { comment(remark, indent: 6) }
    }

    /// A sequence on as many lines as it needs.
    private mutating func list(_ key: String, _ items: [String], indent: Int) {
        guard !items.isEmpty else { return }
        let space = String(repeating: " ", count: indent)
        var line = "\(space)\(key): ["
        for (index, item) in items.enumerated() {
            let part = Self.scalar(item) + (index + 1 == items.count ? "]" : ", ")
            if line.count + part.count > Self.width, !line.hasSuffix("[") {
                while line.last == " " { line.removeLast() }
                lines.append(line)
                line = space + "  "
            }
            line += part
        }
        lines.append(line)
    }

    private static let width = 110

    /// Quoted where YAML might take it for something else.
    private static func scalar(_ text: String) -> String {
        let isPlain =
            text.first.map { $0.isASCII && $0.isLetter } ?? false
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }
            && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(text.lowercased())
        if isPlain { return text }
        return "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
    }

    private mutating func comment(_ text: String, indent: Int) {
        let space = String(repeating: " ", count: indent)
        for line in Self.folded(text, width: Self.width - indent - 2) { lines.append("\(space)# \(line)") }
    }

    private mutating func item(_ text: String) {
        for (index, line) in Self.folded(text, width: Self.width - 4).enumerated() {
            lines.append((index == 0 ? "# - " : "#   ") + line)
        }
    }

    /// The lines of a text, broken at spaces; what could end a comment is shown by its code.
    private static func folded(_ text: String, width: Int) -> [String] {
        var lines = [""]
        for word in visible(text).split(separator: " ") {
            if lines[lines.count - 1].isEmpty {
                lines[lines.count - 1] = String(word)
            } else if lines[lines.count - 1].count + 1 + word.count <= width {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

    private static func visible(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09, 0x0A, 0x0D: result += " "
            case 0x20...0x7E, 0xA1...0xD7FF, 0xE000...0xFDCF, 0xFDF0...0xFEFE, 0xFF00...0xFFEF:
                // Line separators of Unicode end comments, too.
                if 0x2028...0x202E ~= scalar.value || 0x2066...0x2069 ~= scalar.value { fallthrough }
                result.unicodeScalars.append(scalar)
            default: result += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return result
    }

    private static func shortened(_ text: String) -> String {
        text.count <= 160 ? text : text.prefix(159) + "…"
    }
}
