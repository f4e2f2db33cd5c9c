internal import Bytes
internal import HTTP

extension OperationTable {
    /// Chooses the one mistake that Nova would tell.
    ///
    /// - Shape: first what its schema finds, parameter by parameter, then names that it does not know, then what its own
    ///   code finds, as far as nothing stored and no policy comes in between.
    func conclude(
        _ check: borrowing QueryCheck, _ operation: UnsafePointer<OperationFacts>, _ scratch: inout Buffer,
        _ message: inout Buffer
    ) -> QueryVerdict {
        if check.schemaRule >= 0 {
            if check.schemaOrder % 2 == 1 { return refuseRepeated(check, &scratch, &message) }
            return refuse(check.schemaRule, check.schemaValue, check, &scratch, &message)
        }
        if check.unknownCount > 0 { return refuseUnknown(check, operation, &scratch, &message) }
        // Whether a role may ask at all is the policy's to say, and comes before the rest.
        if operation.pointee.requiresAdmin, check.caller != .administrator { return .valid(check.facts) }
        if check.hasForeignFilter, check.caller != .member { return concludeEarly(check, &scratch, &message) }
        if let verdict = concludeStatus(check, &message) { return verdict }
        if let late = findLate(check, 1...1) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        if isReversed(check, &scratch) {
            message.append("The value of changes-since must be less than or equal to changes-before.")
            return .refused(status: 400)
        }
        if check.facts.asksDeleted, check.caller != .administrator { return .valid(check.facts) }
        if let late = findLate(check, 2...3) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        if check.facts.asksAllTenants, check.caller != .administrator { return .valid(check.facts) }
        if let late = findLate(check, 4...4) {
            if case .publicFilter = rules[late.rule].rule, check.caller == .unknown {
                return .valid(check.facts)
            }
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        if check.hasAdminChoice, check.caller != .administrator {
            if check.caller == .unknown { return .valid(check.facts) }
            message.append("Only administrators can sort servers by ")
            message.append(PythonText.stripped(Self.decoded(check.query.view(check.adminChoice), &scratch)))
            return .refused(status: 403)
        }
        if check.mayEndEarly { return concludeEarly(check, &scratch, &message) }
        if let late = findLate(check, 5...5) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        // Without a key there is one, Nova's own.
        if check.sortDirectionCount > 1, !check.hasSortKey, !check.isLegacy {
            message.append("Invalid input received: Sort direction size exceeds sort key size")
            return .refused(status: 400)
        }
        if let late = findLate(check, 6...6) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        return .valid(check.facts)
    }

    /// What an unknown status does: a strict version refuses it; before, the list is empty and nothing else looked at.
    private func concludeStatus(_ check: borrowing QueryCheck, _ message: inout Buffer) -> QueryVerdict? {
        guard check.statusRule >= 0, !check.namesKnownStatus else { return nil }
        guard check.microversion >= rules[check.statusRule].strict else { return .valid(check.facts) }
        message.append("Invalid status value")
        return .refused(status: 400)
    }

    /// Nova may not get as far as the marker, but a document may ask for its form all the same.
    private func concludeEarly(
        _ check: borrowing QueryCheck, _ scratch: inout Buffer, _ message: inout Buffer
    ) -> QueryVerdict {
        if let late = findLate(check, 6...6), kind(of: late.rule, check) == .marker {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        return .valid(check.facts)
    }

    private func kind(of rule: Int, _ check: borrowing QueryCheck) -> Rule {
        check.isLegacy ? rules[rule].v2Rule : rules[rule].rule
    }

    /// Tells whether two dates are the wrong way round.
    private func isReversed(_ check: borrowing QueryCheck, _ scratch: inout Buffer) -> Bool {
        guard let since = check.since, let before = check.before,
            let first = ISO8601.microseconds(Self.decoded(check.query.view(since), &scratch)),
            let last = ISO8601.microseconds(Self.decoded(check.query.view(before), &scratch))
        else { return false }
        return last < first
    }

    /// Finds the wrong late value with the lowest phase among `phases`, the first of the definition among equals.
    @inline(__always)
    private func findLate(_ check: borrowing QueryCheck, _ phases: ClosedRange<UInt8>) -> LateValue? {
        check.hasWrongLate ? findWrong(check, phases) : nil
    }

    private func findWrong(_ check: borrowing QueryCheck, _ phases: ClosedRange<UInt8>) -> LateValue? {
        var found: LateValue?
        var foundKey = Int.max
        for index in 0..<check.lateCount where check.late(index).isWrong {
            let late = check.late(index)
            let rule = rules + late.rule
            let kind = check.isLegacy ? rule.pointee.v2Rule : rule.pointee.rule
            // Nova looks at it for administrators only.
            if kind == .publicFilter, check.caller == .member { continue }
            let key = Int(kind.phase) << 16 | Int(rule.pointee.order)
            if phases.contains(kind.phase), key < foundKey {
                found = late
                foundKey = key
            }
        }
        return found
    }

    // MARK: - Words

    @inline(never) private func refuse(
        _ index: Int, _ range: ByteRange, _ check: borrowing QueryCheck, _ scratch: inout Buffer,
        _ message: inout Buffer
    ) -> QueryVerdict {
        let rule = rules + index
        let kind = check.isLegacy ? rule.pointee.v2Rule : rule.pointee.rule
        let value = Self.decoded(check.query.view(range), &scratch)
        appendMistake(value, kind, rule, check.microversion, to: &message)
        settle(&message, rule)
        return .refused(status: Int(rule.pointee.invalidStatus))
    }

    /// All values of a parameter that may have one.
    @inline(never) private func refuseRepeated(
        _ check: borrowing QueryCheck, _ scratch: inout Buffer, _ message: inout Buffer
    ) -> QueryVerdict {
        let rule = rules + check.schemaRule
        message.append("Invalid input for query parameters ")
        message.append(view(rule.pointee.name))
        message.append(". Value: ")
        appendValues(of: rule, check, &scratch, &message)
        message.append(". ")
        appendValues(of: rule, check, &scratch, &message)
        message.append(" is too long")
        settle(&message, rule)
        return .refused(status: 400)
    }

    private func appendValues(
        of rule: UnsafePointer<ParameterRule>, _ check: borrowing QueryCheck, _ scratch: inout Buffer,
        _ message: inout Buffer
    ) {
        var reader = QueryReader(check.query)
        var isFirst = true
        message.append("[")
        while let pair = reader.next() {
            guard Self.decoded(check.query.view(pair.name), &scratch).equals(view(rule.pointee.name)) else {
                continue
            }
            if !isFirst { message.append(", ") }
            isFirst = false
            message.appendPythonRepresentation(Self.decoded(check.query.view(pair.value), &scratch))
        }
        message.append("]")
    }

    /// Names that a strict version does not know, sorted, each once.
    @inline(never) private func refuseUnknown(
        _ check: borrowing QueryCheck, _ operation: UnsafePointer<OperationFacts>, _ scratch: inout Buffer,
        _ message: inout Buffer
    ) -> QueryVerdict {
        guard check.unknownCount <= QueryCheck.capacity else { return .valid(check.facts) }
        if operation.pointee.tolerated < 0 { message.append("Additional properties are not allowed (") }
        var told = 0
        var last: ByteRange?
        while let next = smallestUnknown(check, above: last) {
            if told > 0 { message.append(", ") }
            message.appendPythonRepresentation(Self.decoded(check.query.view(next), &scratch))
            last = next
            told += 1
        }
        if operation.pointee.tolerated >= 0 {
            message.append(told == 1 ? " does" : " do")
            message.append(" not match any of the regexes: ")
            message.append(view(operation.pointee.toleratedText))
        } else {
            message.append(told == 1 ? " was unexpected)" : " were unexpected)")
        }
        if message.hasOverflowed {
            message.removeAll()
            message.append("Additional properties are not allowed")
        }
        return .refused(status: 400)
    }

    /// The smallest name that comes after `bound`, in the order of decoded bytes, which is the one of code points.
    private func smallestUnknown(_ check: borrowing QueryCheck, above bound: ByteRange?) -> ByteRange? {
        var found: ByteRange?
        for index in 0..<check.unknownCount {
            let candidate = check.query.view(check.unknown(index))
            if let bound, Self.compareDecoded(candidate, check.query.view(bound)) <= 0 { continue }
            if let best = found, Self.compareDecoded(candidate, check.query.view(best)) >= 0 { continue }
            found = check.unknown(index)
        }
        return found
    }

    /// Compares two encoded names as they are once decoded.
    private static func compareDecoded(_ left: ByteView, _ right: ByteView) -> Int {
        var (leftIndex, rightIndex) = (0, 0)
        while leftIndex < left.count, rightIndex < right.count {
            let (first, second) = (nextByte(left, &leftIndex), nextByte(right, &rightIndex))
            if first != second { return Int(first) - Int(second) }
        }
        return (left.count - leftIndex).signum() - (right.count - rightIndex).signum()
    }

    private static func nextByte(_ bytes: ByteView, _ index: inout Int) -> UInt8 {
        let byte = bytes[index]
        index += 1
        if byte == 0x2B { return 0x20 }
        guard byte == 0x25, index + 1 < bytes.count, let high = ASCII.hexValue(bytes[index]),
            let low = ASCII.hexValue(bytes[index + 1])
        else { return byte }
        index += 2
        return high << 4 | low
    }

    private func settle(_ message: inout Buffer, _ rule: UnsafePointer<ParameterRule>) {
        guard message.hasOverflowed else { return }
        message.removeAll()
        message.append("Invalid input for query parameters ")
        message.append(view(rule.pointee.name))
        message.append(".")
    }
}
