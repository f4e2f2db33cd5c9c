public import Bytes
internal import HTTP

extension OperationTable {
    /// Tells whether every name and value of a query is UTF-8 once decoded.
    ///
    /// - Limits: `scratch` needs room for the query.
    /// - Source: Nova asks this where it comes to the query, before any name or value; measured.
    static func isUTF8(_ query: ByteView, scratch: inout Buffer) -> Bool {
        var reader = QueryReader(query)
        while let pair = reader.next() {
            guard UTF8Text.isValid(decoded(query.view(pair.name), &scratch)),
                UTF8Text.isValid(decoded(query.view(pair.value), &scratch))
            else { return false }
        }
        return true
    }

    /// Lends a name or value decoded, plus as a space; raw where there is nothing to decode.
    static func decoded(_ piece: ByteView, _ scratch: inout Buffer) -> ByteView {
        for byte in piece where byte == 0x25 || byte == 0x2B {
            scratch.removeAll()
            PercentCoding.decode(piece, plusIsSpace: true, into: &scratch)
            return scratch.readable
        }
        return piece
    }

    /// Checks a query as Nova checks it, in Nova's order and words.
    ///
    /// - Shape: `microversion` is the effective one (the maximum for `latest`); `/v2` is always 2.1. Outside the
    ///   operation's own range nothing is checked: Nova answers 404 there. Outside a parameter's range it is unknown.
    ///   Where Nova's own 403 would come before a wrong value, or its answer depends on what it has stored, the query is
    ///   valid and its facts say what it asks for.
    /// - Limits: `scratch` needs room for the query, `message` for three times the query and 2 KiB; a message that
    ///   does not fit is replaced by a shorter one.
    /// - Errors: 400, and 403 for a sort key that only administrators may use.
    /// - Source: facts §2.3, §3.1.
    public func validateQuery(
        _ query: ByteView, operation: Int, version: APIVersion, microversion: Microversion = .base,
        caller: Caller, scratch: inout Buffer, message: inout Buffer
    ) -> QueryVerdict {
        let facts = lend(operation)
        // Where it has no rules for a query, Nova does not look at one at all: at POST, at PUT, at most of DELETE.
        guard facts.pointee.method == .get || facts.pointee.ruleCount > 0 else {
            return .valid(QueryFacts())
        }
        let effective = version == .v2 ? Microversion.base : microversion
        guard facts.pointee.covers(effective) else {
            return Self.isUTF8(query, scratch: &scratch) ? .valid(QueryFacts()) : refuseEncoding(&message)
        }
        // Room that nobody fills with anything first: most queries have a pair or two.
        return withUnsafeTemporaryAllocation(of: LateValue.self, capacity: QueryCheck.capacity) { late in
            withUnsafeTemporaryAllocation(of: ByteRange.self, capacity: QueryCheck.capacity) { unknown in
                var check = QueryCheck(
                    query: query, isLegacy: version == .v2, microversion: effective, caller: caller,
                    firstRule: facts.pointee.firstRule, late: late.baseAddress!, unknown: unknown.baseAddress!
                )
                guard read(&check, facts, &scratch) else { return refuseEncoding(&message) }
                check.settleStatus()
                return conclude(check, facts, &scratch, &message)
            }
        }
    }

    private func refuseEncoding(_ message: inout Buffer) -> QueryVerdict {
        message.append(Messages.queryNotUTF8)
        return .refused(status: 400)
    }

    /// Looks at all pairs of a query; false when it is no UTF-8 once decoded.
    private func read(
        _ check: inout QueryCheck, _ facts: UnsafePointer<OperationFacts>, _ scratch: inout Buffer
    ) -> Bool {
        let query = check.query
        let effective = check.microversion
        // Under /v2 Nova's schemas take every name.
        let isStrict = !check.isLegacy && effective >= facts.pointee.strict
        var reader = QueryReader(query)
        var isSeenThrough = false
        while let pair = reader.next() {
            var name = query.view(pair.name)
            if reader.isEncoded {
                // Nova decodes all of it before it looks at any name; until here nothing was there to be wrong.
                if !isSeenThrough {
                    guard Self.isUTF8(query, scratch: &scratch) else { return false }
                    isSeenThrough = true
                }
                name = Self.decoded(name, &scratch)
            }
            let index = findRule(name, facts)
            guard index >= 0, rules[index].minimum <= effective, rules[index].maximum >= effective else {
                check.facts.unknownCount += 1
                noteUnknown(name, pair.name, isStrict, facts, &check)
                continue
            }
            judge(index, pair.value, reader.isEncoded, &check, &scratch)
        }
        return true
    }

    /// Finds a parameter of the operation by name; -1 for none.
    private func findRule(_ name: ByteView, _ operation: UnsafePointer<OperationFacts>) -> Int {
        let key = TextKey.of(name)
        var low = operation.pointee.firstRule
        var high = low + operation.pointee.ruleCount
        while low < high {
            let middle = (low + high) / 2
            let rule = rules + middle
            let order = TextKey.order(name, key, view(rule.pointee.name), rule.pointee.key)
            if order == 0 { return middle }
            if order < 0 { high = middle } else { low = middle + 1 }
        }
        return -1
    }

    private func noteUnknown(
        _ name: ByteView, _ range: ByteRange, _ isStrict: Bool, _ operation: UnsafePointer<OperationFacts>,
        _ check: inout QueryCheck
    ) {
        if operation.pointee.tolerated >= 0 {
            var match = PatternMatch(steps: patternSteps, ranges: patternRanges, text: name)
            // A tolerated name stays in the query, where an administrator's is refused by words of its own.
            if match.search(operation.pointee.tolerated) != false {
                check.hasForeignFilter = true
                return
            }
        }
        if isStrict { check.noteUnknown(range) }
    }

    /// Looks at one value and remembers what is wrong with it.
    private func judge(
        _ index: Int, _ range: ByteRange, _ isEncoded: Bool, _ check: inout QueryCheck,
        _ scratch: inout Buffer
    ) {
        let rule = rules + index
        let kind = check.isLegacy ? rule.pointee.v2Rule : rule.pointee.rule
        if rule.pointee.single <= check.microversion, check.isRepeated(index) {
            check.noteSchemaMistake(order: Int(rule.pointee.order) * 2 + 1, rule: index, value: range)
        }
        switch rule.pointee.pair {
        case .none: break
        case .since: check.since = range
        case .before: check.before = range
        }
        guard kind != .any || rule.pointee.shortcut != .none || rule.pointee.choiceCount > 0 else { return }
        let piece = check.query.view(range)
        let value = isEncoded ? Self.decoded(piece, &scratch) : piece
        noteShortcut(value, rule.pointee.shortcut, &check)
        // Under /v2, too, where any key is taken. Nova looks at it without the white space around it.
        if rule.pointee.choiceCount > 0, isForAdmins(PythonText.stripped(value), rule) {
            check.noteAdminChoice(range)
        }
        switch kind {
        case .any: return
        case .joined: return check.hasForeignFilter = true
        case .status: return check.noteStatus(value, rule: index)
        case .allTenants: check.facts.asksAllTenants = value.isEmpty || PythonText.readTruth(value) == true
        case .choice: if rule.pointee.isList { check.hasSortKey = true }
        case .sortDirection: check.sortDirectionCount += 1
        default: break
        }
        let isWrong = isWrong(value, kind, rule, check.microversion)
        if kind.phase == 0 {
            // Of several wrong parameters the first of the schema is told, of several wrong values the first.
            if isWrong {
                check.noteSchemaMistake(order: Int(rule.pointee.order) * 2, rule: index, value: range)
            }
        } else {
            check.noteLate(rule: index, value: range, isWrong: isWrong, lastCounts: kind != .sortDirection)
        }
    }

    private func noteShortcut(_ value: ByteView, _ shortcut: Shortcut, _ check: inout QueryCheck) {
        switch shortcut {
        case .none: break
        case .always: check.mayEndEarly = true
        case .zero: if PythonText.readInteger(value) == .zero { check.mayEndEarly = true }
        case .truth: if PythonText.readTruth(value) == true { check.mayEndEarly = true }
        }
    }

    private func isForAdmins(_ value: ByteView, _ rule: UnsafePointer<ParameterRule>) -> Bool {
        for index in rule.pointee.choices
        where choices[index].isForAdmins && view(choices[index].text).equals(value) {
            return true
        }
        return false
    }

    /// Tells whether a decoded value breaks its rule.
    func isWrong(
        _ value: ByteView, _ kind: Rule, _ rule: UnsafePointer<ParameterRule>, _ version: Microversion
    ) -> Bool {
        switch kind {
        case .any, .status, .joined, .project, .token: return false
        case .digits, .pageSize: return !RuleForms.isDigits(value)
        case .positive: return !RuleForms.isDigits(value) || PythonText.readInteger(value) == .zero
        case .uuid: return !UUIDForm.isUUIDLike(value)
        case .dateTime, .legacyDate: return !ISO8601.isDate(value)
        case .regex: return value.isEmpty || !RegexSyntax.isValid(value)
        case .hostname: return !RuleForms.isHostname(value)
        case .allTenants: return !value.isEmpty && PythonText.readTruth(value) == nil
        case .boolean: return PythonText.readTruth(value) == nil
        case .marker: return !RuleForms.isMarker(value)
        case .server: return RuleForms.isNoServer(value)
        case .sortDirection: return !RuleForms.isSortDirection(value)
        case .integerFilter: return PythonText.isNoInteger(value)
        case .publicFilter: return !value.equalsIgnoringCase("none") && PythonText.readTruth(value) == nil
        case .legacyInteger:
            return PythonText.isNoInteger(value) || PythonText.readInteger(value) == .negative
        case .choice:
            for index in rule.pointee.choices where view(choices[index].text).equals(value) {
                return choices[index].isRetired && version > rule.pointee.retiredMaximum
            }
            return true
        }
    }
}
