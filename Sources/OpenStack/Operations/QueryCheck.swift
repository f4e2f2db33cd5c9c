internal import Bytes

/// A value that Nova looks at after its schema.
struct LateValue {
    var rule: Int
    var value: ByteRange
    var isWrong: Bool
}

/// What was seen of a query so far; lives on the stack, with the room for what it collects.
struct QueryCheck: ~Copyable {
    /// How many late values and unknown names there is room for: an operation has at most a handful of these; more of
    /// them would go unchecked here and be Nova's to refuse.
    static var capacity: Int { 16 }
    let query: ByteView
    let isLegacy: Bool
    let microversion: Microversion
    let caller: Caller
    let firstRule: Int
    var facts = QueryFacts()
    /// The first wrong parameter of the schema: twice its place, and one more for a value too many.
    var schemaOrder = Int.max
    var schemaRule = -1
    var schemaValue = ByteRange.empty
    private let late: UnsafeMutablePointer<LateValue>
    private(set) var lateCount = 0
    /// Whether any late value was wrong; one that counts instead may be right.
    private(set) var hasWrongLate = false
    var hasAdminChoice = false
    var adminChoice = ByteRange.empty
    /// Names that a strict version does not know; beyond their number Nova finds the words.
    private let unknown: UnsafeMutablePointer<ByteRange>
    private(set) var unknownCount = 0
    /// The values that count of two dates that may not be the other way round.
    var since: ByteRange?
    var before: ByteRange?
    /// Nova may answer an empty list, or look at something else first, before it comes to the last checks.
    var mayEndEarly = false
    /// There is a filter that Nova refuses an administrator before it looks at others.
    var hasForeignFilter = false
    var hasSortKey = false
    var sortDirectionCount = 0
    private(set) var statusRule = -1
    private(set) var namesKnownStatus = false
    private var namesDeleted = false
    private var namesOther = false
    private var seenOnce: UInt64 = 0

    /// Makes a check with room at `late` and `unknown` for `capacity` elements each, which it does not own.
    init(
        query: ByteView, isLegacy: Bool, microversion: Microversion, caller: Caller, firstRule: Int,
        late: UnsafeMutablePointer<LateValue>, unknown: UnsafeMutablePointer<ByteRange>
    ) {
        self.late = late
        self.unknown = unknown
        self.query = query
        self.isLegacy = isLegacy
        self.microversion = microversion
        self.caller = caller
        self.firstRule = firstRule
    }

    mutating func noteStatus(_ value: ByteView, rule: Int) {
        statusRule = rule
        if value.equalsIgnoringCase("deleted") {
            namesDeleted = true
        } else if RuleForms.isStatus(value) {
            namesOther = true
        }
        namesKnownStatus = namesDeleted || namesOther
    }

    /// Nova refuses a member only when the states asked for are exactly those of deleted servers.
    mutating func settleStatus() { facts.asksDeleted = namesDeleted && !namesOther }

    mutating func noteAdminChoice(_ range: ByteRange) {
        guard !hasAdminChoice else { return }
        hasAdminChoice = true
        adminChoice = range
    }

    mutating func noteUnknown(_ name: ByteRange) {
        if unknownCount < Self.capacity { unknown[unknownCount] = name }
        unknownCount += 1
    }

    /// Tells whether the parameter was seen before; rules past the 64th are not followed.
    mutating func isRepeated(_ rule: Int) -> Bool {
        guard rule - firstRule < 64 else { return false }
        // Below 64, by the line above.
        let bit: UInt64 = 1 &<< UInt64(rule - firstRule)
        defer { seenOnce |= bit }
        return seenOnce & bit != 0
    }

    mutating func noteSchemaMistake(order: Int, rule: Int, value: ByteRange) {
        guard order < schemaOrder else { return }
        schemaOrder = order
        schemaRule = rule
        schemaValue = value
    }

    func unknown(_ index: Int) -> ByteRange {
        precondition(index >= 0 && index < min(unknownCount, Self.capacity))
        return unknown[index]
    }

    func late(_ index: Int) -> LateValue {
        precondition(index >= 0 && index < lateCount)
        return late[index]
    }

    mutating func noteLate(rule: Int, value: ByteRange, isWrong: Bool, lastCounts: Bool) {
        if isWrong { hasWrongLate = true }
        for index in 0..<lateCount where late[index].rule == rule {
            if lastCounts || !late[index].isWrong {
                late[index] = LateValue(rule: rule, value: value, isWrong: isWrong)
            }
            return
        }
        guard lateCount < Self.capacity else { return }
        late[lateCount] = LateValue(rule: rule, value: value, isWrong: isWrong)
        lateCount += 1
    }
}
