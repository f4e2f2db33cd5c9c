internal import Bytes

extension SchemaCheck {
    /// Longest message that is made here; beyond, Nova finds the words.
    private static var maximumWordCount: Int { 16_384 }

    /// Appends Nova's message for the mistake; false when its words cannot be told.
    mutating func appendWords(_ scratch: inout Buffer, to message: inout Buffer) -> Bool {
        guard let mistake, !isUndecided else { return false }
        let keyword = lists.keywords[mistake.keyword]
        let node = nodes[mistake.value]
        // What was dropped would be missing in what is shown.
        if hasDropped, node.kind == .object || node.kind == .array { return false }
        if keyword.kind == .format, let reason = Self.nameReason(keyword.format) {
            message.append("An invalid 'name' value was provided. The name must be: ")
            message.append(reason)
            return true
        }
        switch mistake.step {
        case .root: break
        case .member(let key):
            message.append("Invalid input for field/attribute ")
            guard let name = text(nodes[key], &scratch) else { return false }
            message.append(name)
            message.append(". Value: ")
            appendPlain(mistake.value, &scratch, to: &message)
            message.append(". ")
        case .element(let index):
            message.append("Invalid input for field/attribute ")
            message.appendDecimal(index)
            message.append(". Value: ")
            appendPlain(mistake.value, &scratch, to: &message)
            message.append(". ")
        }
        appendReason(mistake, keyword, &scratch, to: &message)
        return !isUndecided && !message.hasOverflowed && message.count <= Self.maximumWordCount
    }

    private static func nameReason(_ format: Schema.Format) -> StaticString? {
        switch format {
        case .name: "printable characters. Can not start or end with whitespace."
        case .nameWithSpaces: "printable characters with at least one non space character"
        // Without a space after the colon, as in Nova.
        case .zoneName: "printable characters except :.Can not start or end with whitespace."
        case .zoneNameWithSpaces: "printable characters except :, with at least one non space character"
        default: nil
        }
    }

    private mutating func appendReason(
        _ mistake: Mistake, _ keyword: SchemaKeyword, _ scratch: inout Buffer, to message: inout Buffer
    ) {
        switch keyword.kind {
        case .required:
            message.appendPythonRepresentation(lists.view(mistake.name))
            return message.append(" is a required property")
        case .noOthers: return appendOthers(mistake, &scratch, to: &message)
        case .minimum, .maximum:
            appendNumber(nodes[mistake.value], &scratch, to: &message)
            message.append(
                keyword.kind == .minimum
                    ? " is less than the minimum of " : " is greater than the maximum of ")
            return message.appendDecimal(keyword.number)
        default: appendRepresentation(mistake.value, depth: 0, &scratch, to: &message)
        }
        switch keyword.kind {
        case .type:
            message.append(" is not of type ")
            message.append(lists.view(keyword.text))
        case .constants:
            message.append(" is not one of ")
            message.append(lists.view(keyword.text))
        case .pattern:
            message.append(" does not match ")
            message.append(lists.view(keyword.text))
        case .format:
            message.append(" is not a ")
            message.append(lists.view(keyword.text))
        case .minLength, .minItems:
            message.append(keyword.number == 1 ? " should be non-empty" : " is too short")
        case .maxLength, .maxItems:
            message.append(keyword.number == 0 ? " is expected to be empty" : " is too long")
        case .minProperties:
            message.append(keyword.number == 1 ? " should be non-empty" : " does not have enough properties")
        case .maxProperties:
            message.append(keyword.number == 0 ? " is expected to be empty" : " has too many properties")
        case .exclusiveMinimum:
            message.append(" is less than or equal to the minimum of ")
            message.appendDecimal(keyword.number)
        case .uniqueItems: message.append(" has non-unique elements")
        case .oneOf, .anyOf: message.append(" is not valid under any of the given schemas")
        default: isUndecided = true
        }
    }

    /// Names that a schema does not know, sorted.
    private mutating func appendOthers(_ mistake: Mistake, _ scratch: inout Buffer, to message: inout Buffer)
    {
        let hasPatterns = patterns(of: mistake.schema) != nil
        let namesPatterns = hasPatterns && !isSoft
        if !namesPatterns { message.append("Additional properties are not allowed (") }
        var told = 0
        var last = -1
        while let next = smallestOther(mistake, above: last, &scratch) {
            if told > 0 { message.append(", ") }
            appendRepresentation(next, depth: 0, &scratch, to: &message)
            last = next
            told += 1
        }
        if namesPatterns {
            message.append(
                told == 1 ? " does not match any of the regexes: " : " do not match any of the regexes: ")
            appendPatterns(mistake.schema, to: &message)
        } else {
            message.append(told == 1 ? " was unexpected)" : " were unexpected)")
        }
    }

    /// The patterns of a schema; they are few, and the definition has them sorted.
    private func appendPatterns(_ schema: Int32, to message: inout Buffer) {
        guard let keyword = patterns(of: schema) else { return }
        for member in Int(keyword.first)..<Int(keyword.first + keyword.count) {
            if member > Int(keyword.first) { message.append(", ") }
            message.append(lists.view(lists.members[member].name))
        }
    }

    /// The other key of the smallest name above that of `bound`; what has escapes is left to Nova to sort.
    private mutating func smallestOther(_ mistake: Mistake, above bound: Int, _ scratch: inout Buffer) -> Int?
    {
        var found: Int?
        var key = mistake.value + 1
        while key < Int(nodes[mistake.value].next) {
            defer { key = Int(nodes[key + 1].next) }
            guard budget > 0, !isUndecided else { return nil }
            guard isOther(key, mistake.schema, &scratch) else { continue }
            if nodes[key].hasEscapes {
                isUndecided = true
                return nil
            }
            let name = content.view(nodes[key].range)
            if bound >= 0, !Self.isLess(content.view(nodes[bound].range), name) { continue }
            if let found, !Self.isLess(name, content.view(nodes[found].range)) { continue }
            found = key
        }
        return found
    }

    private static func isLess(_ left: ByteView, _ right: ByteView) -> Bool {
        let shared = min(left.count, right.count)
        for index in 0..<shared where left[index] != right[index] { return left[index] < right[index] }
        return left.count < right.count
    }

    // MARK: - Values as Python shows them

    /// Appends a value as `str` shows it: a string without quotes.
    private mutating func appendPlain(_ value: Int, _ scratch: inout Buffer, to message: inout Buffer) {
        guard nodes[value].kind == .string else {
            return appendRepresentation(value, depth: 0, &scratch, to: &message)
        }
        if let text = text(nodes[value], &scratch) { message.append(text) }
    }

    /// Appends a value as `repr` shows it.
    private mutating func appendRepresentation(
        _ value: Int, depth: Int, _ scratch: inout Buffer, to message: inout Buffer
    ) {
        guard depth < 100, !message.hasOverflowed, message.count <= Self.maximumWordCount, !isUndecided else {
            isUndecided = true
            return
        }
        let node = nodes[value]
        switch node.kind {
        case .string, .key: if let text = text(node, &scratch) { message.appendPythonRepresentation(text) }
        case .yes: message.append("True")
        case .no: message.append("False")
        case .null: message.append("None")
        case .integer: appendNumber(node, &scratch, to: &message)
        case .float: message.appendPythonFloat(double(node))
        case .array:
            message.append("[")
            var element = value + 1
            while element < Int(node.next) {
                if element > value + 1 { message.append(", ") }
                appendRepresentation(element, depth: depth + 1, &scratch, to: &message)
                element = Int(nodes[element].next)
            }
            message.append("]")
        case .object:
            message.append("{")
            var isFirst = true
            var key = value + 1
            while key < Int(node.next) {
                defer { key = Int(nodes[key + 1].next) }
                guard let last = lastIfFirst(key, in: value, &scratch) else { continue }
                if !isFirst { message.append(", ") }
                isFirst = false
                appendRepresentation(key, depth: depth + 1, &scratch, to: &message)
                message.append(": ")
                appendRepresentation(last + 1, depth: depth + 1, &scratch, to: &message)
            }
            message.append("}")
        }
    }

    /// Appends the integer that Nova made of a value: its digits, without what Python leaves out.
    private mutating func appendNumber(_ node: JSONNode, _ scratch: inout Buffer, to message: inout Buffer) {
        if case .small(let value) = number(node, &scratch) { return message.appendDecimal(value) }
        guard node.kind == .integer else {
            isUndecided = true
            return
        }
        // A JSON integer has no zeros in front.
        message.append(content.view(node.range))
    }
}
