/// What the rules said, by rule; one per worker.
///
/// - Shape: rules are known by their names, so that a reload that keeps one keeps its counts.
struct LimitCounters: Sendable {
    enum Outcome: Int, CaseIterable, Sendable { case allowed, limited, shadowed }

    private(set) var names: [String]
    private var counts: [UInt64]

    init(_ table: LimitTable?) { self.init(names: table?.rules.map(\.name) ?? []) }

    init(names: [String]) {
        self.names = names
        counts = Array(repeating: 0, count: names.count * Outcome.allCases.count)
    }

    /// The rule is one of the table it was made for; one of a table that was replaced meanwhile is not counted.
    mutating func count(_ rule: Int, _ outcome: Outcome) {
        let place = rule * Outcome.allCases.count + outcome.rawValue
        guard place < counts.count else { return }
        // Counts cannot overflow in the life of a process.
        counts[place] &+= 1
    }

    /// Counts a request that may go on for each of its rules; of shadow rules, what they would have done.
    mutating func countAllowed(_ charges: inout LimitCharges) {
        counts.withUnsafeMutableBufferPointer { counts in
            for index in 0..<charges.count {
                let outcome: Outcome = charges[index].state == .refused ? .shadowed : .allowed
                let place = Int(charges[index].rule) * Outcome.allCases.count + outcome.rawValue
                // As in `count`.
                if place < counts.count { counts[place] &+= 1 }
            }
        }
    }

    func value(_ rule: Int, _ outcome: Outcome) -> UInt64 {
        counts[rule * Outcome.allCases.count + outcome.rawValue]
    }

    /// Counters for the rules of another table, with what was counted of those it still has.
    func renewed(_ table: LimitTable?) -> LimitCounters {
        var fresh = LimitCounters(table)
        fresh.add(self)
        return fresh
    }

    /// Adds what others counted of the rules known here.
    mutating func add(_ other: LimitCounters) {
        for (rule, name) in names.enumerated() {
            guard let same = other.names.firstIndex(of: name) else { continue }
            for outcome in Outcome.allCases {
                counts[rule * Outcome.allCases.count + outcome.rawValue] &+= other.value(same, outcome)
            }
        }
    }
}
