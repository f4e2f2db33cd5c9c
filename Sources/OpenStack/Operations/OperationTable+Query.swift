public import Bytes
internal import HTTP

extension OperationTable {
    /// Tells whether every name and value of a query is UTF-8 once decoded.
    ///
    /// - Limits: `scratch` needs room for the query.
    /// - Source: Nova asks this right after route and token, before anything else; facts §3.1.
    public static func isUTF8(_ query: ByteView, scratch: inout Buffer) -> Bool {
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
    ///   operation's or a parameter's own range nothing is checked: Nova answers 404 there, or drops the parameter.
    ///   Where Nova's own 403 would come before a wrong value, the query is valid and its facts say what it asks for.
    /// - Limits: `scratch` needs room for the query, `message` for three times the query and 2 KiB; a message that
    ///   does not fit is replaced by a shorter one.
    /// - Errors: 400, and 403 for a sort key that only administrators may use.
    /// - Source: facts §2.3, §3.1.
    public func validateQuery(
        _ query: ByteView, operation: Int, version: APIVersion, microversion: Microversion = .base,
        isAdmin: Bool,
        scratch: inout Buffer, message: inout Buffer
    ) -> QueryVerdict {
        guard Self.isUTF8(query, scratch: &scratch) else {
            message.append(Messages.queryNotUTF8)
            return .refused(status: 400)
        }
        let effective = version == .v2 ? Microversion.base : microversion
        let operationFacts = self[operation]
        guard operationFacts.covers(effective) else { return .valid(QueryFacts()) }
        var check = QueryCheck(query: query, isLegacy: version == .v2, microversion: effective)
        var reader = QueryReader(query)
        while let pair = reader.next() {
            let index = findRule(Self.decoded(query.view(pair.name), &scratch), operationFacts)
            guard index >= 0, rules[index].minimum <= effective, rules[index].maximum >= effective else {
                check.facts.unknownCount += 1
                continue
            }
            judge(index, pair.value, &check, &scratch)
        }
        check.settleStatus()
        return conclude(&check, isAdmin, &scratch, &message)
    }

    /// Finds a parameter of the operation by name; -1 for none.
    private func findRule(_ name: ByteView, _ operation: OperationFacts) -> Int {
        var low = operation.firstRule
        var high = low + operation.ruleCount
        while low < high {
            let middle = (low + high) / 2
            let candidate = view(rules[middle].name)
            let shared = min(name.count, candidate.count)
            var place = 0
            while place < shared, name[place] == candidate[place] { place += 1 }
            let order =
                place < shared ? Int(name[place]) - Int(candidate[place]) : name.count - candidate.count
            if order == 0 { return middle }
            if order < 0 { high = middle } else { low = middle + 1 }
        }
        return -1
    }

    /// Looks at one value and remembers what is wrong with it.
    private func judge(_ index: Int, _ range: ByteRange, _ check: inout QueryCheck, _ scratch: inout Buffer) {
        let rule = rules[index]
        let kind = check.isLegacy ? rule.v2Rule : rule.rule
        guard kind != .any else { return }
        let value = Self.decoded(check.query.view(range), &scratch)
        switch kind {
        case .status: return check.noteStatus(value)
        case .allTenants: check.facts.asksAllTenants = value.isEmpty || PythonText.readTruth(value) == true
        case .choice: if isForAdmins(value, rule) { check.noteAdminChoice(range) }
        default: break
        }
        if kind.phase == 0 {
            // Of several wrong parameters the first of the schema is told, of several wrong values the first.
            guard rule.order < check.schemaOrder, isWrong(value, kind, rule, check.microversion) else {
                return
            }
            check.schemaOrder = rule.order
            check.schemaRule = index
            check.schemaValue = range
        } else {
            let wrong = isWrong(value, kind, rule, check.microversion)
            check.noteLate(rule: index, value: range, isWrong: wrong, lastCounts: kind != .sortDirection)
        }
    }

    private func isForAdmins(_ value: ByteView, _ rule: ParameterRule) -> Bool {
        for index in Int(rule.firstChoice)..<Int(rule.firstChoice + rule.choiceCount)
        where choices[index].isForAdmins && view(choices[index].text).equals(value) {
            return true
        }
        return false
    }

    /// Tells whether a decoded value breaks its rule.
    func isWrong(_ value: ByteView, _ kind: Rule, _ rule: ParameterRule, _ version: Microversion) -> Bool {
        switch kind {
        case .any, .status, .joined, .project, .token: return false
        case .digits, .pageSize, .positive: return !RuleForms.isDigits(value)
        case .uuid: return !UUIDForm.isUUIDLike(value)
        case .dateTime, .legacyDate: return !ISO8601.isDate(value)
        case .regex: return value.isEmpty || !RegexSyntax.isValid(value)
        case .hostname: return !RuleForms.isHostname(value)
        case .allTenants: return !value.isEmpty && PythonText.readTruth(value) == nil
        case .boolean: return PythonText.readTruth(value) == nil
        case .marker: return !RuleForms.isMarker(value)
        case .sortDirection: return !value.equals("asc") && !value.equals("desc")
        case .integerFilter: return PythonText.readInteger(value) == .notANumber
        case .legacyInteger:
            switch PythonText.readInteger(value) {
            case .notANumber, .negative: return true
            case .zero, .positive: return false
            }
        case .choice:
            for index in Int(rule.firstChoice)..<Int(rule.firstChoice + rule.choiceCount)
            where view(choices[index].text).equals(value) {
                return choices[index].isRetired && version > rule.retiredMaximum
            }
            return true
        }
    }

    /// Chooses the one mistake that Nova would tell.
    private func conclude(
        _ check: inout QueryCheck, _ isAdmin: Bool, _ scratch: inout Buffer, _ message: inout Buffer
    ) -> QueryVerdict {
        if check.schemaRule >= 0 {
            return refuse(check.schemaRule, check.schemaValue, check, &scratch, &message)
        }
        if let late = findLate(check, 1...1) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        if check.facts.asksDeleted, !isAdmin { return .valid(check.facts) }
        if let late = findLate(check, 2...3) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        if check.facts.asksAllTenants, !isAdmin { return .valid(check.facts) }
        if let late = findLate(check, 4...4) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        if check.hasAdminChoice, !isAdmin {
            message.append("Only administrators can sort servers by ")
            message.append(Self.decoded(check.query.view(check.adminChoice), &scratch))
            return .refused(status: 403)
        }
        if let late = findLate(check, 5...6) {
            return refuse(late.rule, late.value, check, &scratch, &message)
        }
        return .valid(check.facts)
    }

    /// Finds the wrong late value with the lowest phase among `phases`, the first of the definition among equals.
    private func findLate(_ check: borrowing QueryCheck, _ phases: ClosedRange<UInt8>) -> LateValue? {
        var found: LateValue?
        var foundKey = Int.max
        for index in 0..<check.lateCount where check.late[index].isWrong {
            let rule = rules[check.late[index].rule]
            let phase = (check.isLegacy ? rule.v2Rule : rule.rule).phase
            let key = Int(phase) << 16 | Int(rule.order)
            if phases.contains(phase), key < foundKey {
                found = check.late[index]
                foundKey = key
            }
        }
        return found
    }

    @inline(never) private func refuse(
        _ index: Int, _ range: ByteRange, _ check: borrowing QueryCheck, _ scratch: inout Buffer,
        _ message: inout Buffer
    ) -> QueryVerdict {
        let rule = rules[index]
        let kind = check.isLegacy ? rule.v2Rule : rule.rule
        let value = Self.decoded(check.query.view(range), &scratch)
        appendMistake(value, kind, rule, check.microversion, to: &message)
        if message.hasOverflowed {
            message.removeAll()
            message.append("Invalid input for query parameters ")
            message.append(view(rule.name))
            message.append(".")
        }
        return .refused(status: Int(rule.invalidStatus))
    }
}

/// A value that Nova looks at after its schema.
struct LateValue {
    var rule: Int
    var value: ByteRange
    var isWrong: Bool
}

/// What was seen of a query so far; lives on the stack.
struct QueryCheck: ~Copyable {
    let query: ByteView
    let isLegacy: Bool
    let microversion: Microversion
    var facts = QueryFacts()
    var schemaOrder = UInt16.max
    var schemaRule = -1
    var schemaValue = ByteRange.empty
    // An operation has at most a handful of these; more of them would go unchecked here and be Nova's to refuse.
    var late: InlineArray<16, LateValue> = .init(
        repeating: LateValue(rule: -1, value: .empty, isWrong: false))
    var lateCount = 0
    var hasAdminChoice = false
    var adminChoice = ByteRange.empty
    private var namesDeleted = false
    private var namesOther = false

    init(query: ByteView, isLegacy: Bool, microversion: Microversion) {
        self.query = query
        self.isLegacy = isLegacy
        self.microversion = microversion
    }

    mutating func noteStatus(_ value: ByteView) {
        if value.equalsIgnoringCase("deleted") {
            namesDeleted = true
        } else if RuleForms.isStatus(value) {
            namesOther = true
        }
    }

    /// Nova refuses a member only when the states asked for are exactly those of deleted servers.
    mutating func settleStatus() { facts.asksDeleted = namesDeleted && !namesOther }

    mutating func noteAdminChoice(_ range: ByteRange) {
        guard !hasAdminChoice else { return }
        hasAdminChoice = true
        adminChoice = range
    }

    mutating func noteLate(rule: Int, value: ByteRange, isWrong: Bool, lastCounts: Bool) {
        for index in 0..<lateCount where late[index].rule == rule {
            if lastCounts || !late[index].isWrong {
                late[index] = LateValue(rule: rule, value: value, isWrong: isWrong)
            }
            return
        }
        guard lateCount < 16 else { return }
        late[lateCount] = LateValue(rule: rule, value: value, isWrong: isWrong)
        lateCount += 1
    }
}
