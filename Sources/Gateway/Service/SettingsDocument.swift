internal import Yams

/// Turns the text of a settings file into a tree of nodes with their places, or into one mistake.
///
/// The YAML library has no bounds of its own against a text that grows when it is read, so the text is looked
/// at before: aliases are counted, because a tower of them doubles at each floor. Its nesting bound is 1,000.
enum SettingsDocument {
    /// Bytes of a settings file.
    static let maxByteCount = 1 << 20
    /// Aliases (`*name`) in a file.
    static let maxAliasCount = 16

    /// Reads the only document of `bytes`; nil when there is none.
    ///
    /// - Errors: too large, not UTF-8, a control character, too many aliases, whatever the YAML library
    ///   refuses.
    static func read(_ bytes: [UInt8], file: String) throws(SettingsMistakes) -> Node? {
        func mistake(_ line: Int, _ column: Int, _ message: String) -> SettingsMistakes {
            SettingsMistakes([SettingsMistake(file: file, line: line, column: column, message: message)])
        }
        guard bytes.count <= maxByteCount else {
            throw mistake(1, 1, "the file is larger than 1 MiB")
        }
        // A byte order mark is no content; the library would refuse it.
        let content = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        guard let text = String(validating: content, as: UTF8.self) else {
            let place = place(ofInvalidByteIn: content)
            throw mistake(place.line, place.column, "the file is not UTF-8")
        }
        if let found = findForbiddenScalar(text) {
            let code = String(found.scalar.value, radix: 16, uppercase: true)
            throw mistake(found.line, found.column, "the character U+\(code) is not allowed in YAML")
        }
        if let place = findSurplusAlias(content) {
            throw mistake(place.line, place.column, "there are more than \(maxAliasCount) aliases (*name)")
        }
        do {
            // The basic resolver gives every scalar as text: types are ours to judge, from the setting's
            // kind.
            return try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
        } catch let error as YamlError {
            let found = describe(error)
            throw mistake(found.line, found.column, found.problem)
        } catch {
            throw mistake(1, 1, "not YAML: \(error)")
        }
    }

    private static func describe(_ error: YamlError) -> (line: Int, column: Int, problem: String) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            // A context with a place of its own names where the unfinished thing begins.
            let circumstance =
                context.map {
                    $0.mark.line == mark.line ? "\($0.text), " : "\($0.text) from line \($0.mark.line), "
                } ?? ""
            return (mark.line, mark.column, "not YAML: \(circumstance)\(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "`\($0.prefix(64))`" }.joined(separator: ", ")
            let problem = "\(names) \(keys.count == 1 ? "is" : "are") set more than once in one mapping"
            return (context.mark.line, context.mark.column, problem)
        case .reader(let problem, _, _, _):
            return (1, 1, "not YAML: \(problem)")
        default:
            return (1, 1, "not YAML")
        }
    }

    private static func place(ofInvalidByteIn bytes: ArraySlice<UInt8>) -> (line: Int, column: Int) {
        // Decoding stops at the first byte that is not UTF-8.
        var line = 1
        var column = 1
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return (line, column)
    }

    /// The first scalar outside YAML 1.1's printable set (`c-printable`).
    private static func findForbiddenScalar(_ text: String) -> (
        line: Int, column: Int, scalar: Unicode.Scalar
    )? {
        var line = 1
        var column = 1
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A:
                line += 1
                column = 1
                continue
            case 0x09, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD,
                0x10000...0x10FFFF:
                column += 1
            default:
                return (line, column, scalar)
            }
        }
        return nil
    }

    /// The place of the alias after the last allowed one, counting each `*` that may begin an alias.
    ///
    /// A rest of a line that begins with `#` is left out when it has no quote and no other line break of
    /// YAML's: were the `#` inside a quoted scalar, nothing after it on the line could be outside. So no
    /// alias escapes the count; text in quotes may be counted, harmlessly.
    private static func findSurplusAlias(_ bytes: ArraySlice<UInt8>) -> (line: Int, column: Int)? {
        var count = 0
        var line = 0
        for content in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            line += 1
            var previous = UInt8(ascii: " ")
            var index = content.startIndex
            while index < content.endIndex {
                let byte = content[index]
                let isAfterSpace = previous == UInt8(ascii: " ") || previous == UInt8(ascii: "\t")
                if byte == UInt8(ascii: "#"), isAfterSpace,
                    !content[index...].dropLast().contains(where: mayEndComment),
                    content.last.map(mayEndComment) != true || content.last == UInt8(ascii: "\r")
                {
                    break
                }
                if byte == UInt8(ascii: "*"),
                    isNameByte(index + 1 < content.endIndex ? content[index + 1] : 0)
                {
                    count += 1
                    if count > maxAliasCount { return (line, index - content.startIndex + 1) }
                }
                previous = byte
                index += 1
            }
        }
        return nil
    }

    /// Quotes, CR, and the last bytes of NEL, LS and PS in UTF-8.
    private static func mayEndComment(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\r"), 0x85, 0xA8, 0xA9: true
        default: false
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: byte >= 0x80
        }
    }
}
