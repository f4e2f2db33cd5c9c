public import Bytes
internal import HTTP

extension OperationTable {
    /// Appends what Nova says about a wrong value of a query parameter.
    func appendMistake(
        _ value: ByteView, _ kind: Rule, _ rule: UnsafePointer<ParameterRule>, _ version: Microversion,
        to message: inout Buffer
    ) {
        let name = view(rule.pointee.name)
        switch kind {
        case .marker, .server:
            message.append("marker [")
            message.append(value)
            message.append("] not found")
        case .sortDirection:
            message.append("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
        case .allTenants, .boolean:
            message.append("Unrecognized value '")
            message.append(value)
            message.append(
                "', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
            )
        case .integerFilter, .publicFilter:
            message.append("Invalid ")
            message.append(name)
            message.append(" filter [")
            message.append(value)
            message.append("]")
        case .legacyInteger:
            message.append("Invalid input received: ")
            message.append(name)
            message.append(
                PythonText.readInteger(value) == .negative ? " must be >= 0" : " must be an integer")
        case .legacyDate:
            message.append("Invalid filter field: ")
            message.append(name)
            message.append(".")
        default:
            message.append("Invalid input for query parameters ")
            message.append(name)
            message.append(". Value: ")
            message.append(value)
            message.append(". ")
            appendSchemaMistake(value, kind, rule, version, to: &message)
        }
    }

    /// Appends jsonschema's part of a message: the value as Python shows it and what it is not.
    private func appendSchemaMistake(
        _ value: ByteView, _ kind: Rule, _ rule: UnsafePointer<ParameterRule>, _ version: Microversion,
        to message: inout Buffer
    ) {
        if kind == .positive, RuleForms.isDigits(value) {
            // The number itself, which is zero here, in however many digits it was written.
            return message.append("0 is less than the minimum of 1")
        }
        message.appendPythonRepresentation(value)
        switch kind {
        case .digits, .pageSize, .positive:
            message.append(value.isEmpty ? " should be non-empty" : " does not match '^[0-9]*$'")
        case .hostname:
            if value.isEmpty {
                message.append(" should be non-empty")
            } else if value.count > 255, RuleForms.hasHostnameForm(value) {
                message.append(" is too long")
            } else {
                message.append(" does not match '^[a-zA-Z0-9-._]*$'")
            }
        case .uuid: message.append(" is not a 'uuid'")
        case .dateTime: message.append(" is not a 'date-time'")
        case .regex: message.append(" is not a 'regex'")
        default:
            message.append(" is not one of ")
            message.append(
                view(
                    version > rule.pointee.retiredMaximum
                        ? rule.pointee.remainingText : rule.pointee.choicesText))
        }
    }

    /// Checks the parameters in a matched path.
    ///
    /// - Shape: `path` is the one that `match` was given. What can only be looked for comes last: no policy of Nova's and
    ///   no schema stands behind it.
    /// - Errors: the status and words of the definition; by default 400 in the words of a schema.
    public func validatePath(
        _ path: ByteView, match: RouteMatch, action: Int?, scratch: inout Buffer, message: inout Buffer
    ) -> RuleVerdict {
        guard case .operation(let operation) = match.outcome, !match.isDiscovery else { return .valid }
        let facts = lend(operation)
        let first = rules + facts.pointee.firstRule + facts.pointee.ruleCount
        for place in 0..<match.parameterCount {
            let rule = first + place
            let kind = rule.pointee.rule
            guard kind != .any else { continue }
            let value = Self.decodedSegment(path.view(match.parameters[place]), &scratch)
            guard isWrong(value, kind, rule, .base) else { continue }
            if rule.pointee.message.isEmpty {
                message.append("Invalid input for field/attribute ")
                message.append(view(rule.pointee.name))
                message.append(". Value: ")
                message.append(value)
                message.append(". ")
                appendSchemaMistake(value, kind, rule, .base, to: &message)
            } else {
                let own = action.flatMap { actions[$0].unknownMessage }
                if let own, own.isEmpty { return .valid }
                appendTemplate(view(own ?? rule.pointee.message), value, to: &message)
            }
            return .refused(status: Int(rule.pointee.invalidStatus))
        }
        return .valid
    }

    /// Lends a segment of a path decoded; raw where there is nothing to decode.
    private static func decodedSegment(_ segment: ByteView, _ scratch: inout Buffer) -> ByteView {
        guard segment.contains(0x25) else { return segment }
        scratch.removeAll()
        PercentCoding.decode(segment, plusIsSpace: false, into: &scratch)
        return scratch.readable
    }

    private func appendTemplate(_ template: ByteView, _ value: ByteView, to message: inout Buffer) {
        var index = 0
        while index < template.count {
            if template[index] == 0x7B, index + 1 < template.count, template[index + 1] == 0x7D {
                message.append(value)
                index += 2
            } else {
                message.append(template[index])
                index += 1
            }
        }
    }
}
