/// The rules in force, in order; the first that matches a request is applied to it.
struct FaultPlan {
    static let ruleLimit = 1000
    private(set) var rules: [FaultRule] = []
    /// How many requests had a rule applied.
    private(set) var appliedCount = 0

    /// Reads a JSON list of rules.
    ///
    /// - Errors: the first mistake with its place in the list; then no rule is taken.
    static func read(_ content: [UInt8]) throws(FaultRule.Mistake) -> [FaultRule] {
        guard let list = JSONParser.read(content)?.array else {
            throw FaultRule.Mistake(text: "a JSON list of rules is expected")
        }
        guard list.count <= ruleLimit else { throw FaultRule.Mistake(text: "at most \(ruleLimit) rules") }
        var rules: [FaultRule] = []
        for (index, item) in list.enumerated() {
            do { rules.append(try FaultRule(reading: item)) } catch {
                throw FaultRule.Mistake(text: "rule \(index + 1): \(error.text)")
            }
        }
        return rules
    }

    mutating func add(_ more: [FaultRule]) {
        // What is used up makes room first.
        rules.removeAll { $0.remaining == 0 }
        rules = Array((rules + more).prefix(Self.ruleLimit))
    }

    mutating func removeAll() { rules = [] }

    /// The rule for a request, counted as applied.
    mutating func take(for entry: RequestLog.Entry) -> FaultRule? {
        for index in rules.indices {
            guard rules[index].remaining != 0, rules[index].matches(entry) else { continue }
            if rules[index].skip > 0 {
                rules[index].skip -= 1
                continue
            }
            if let remaining = rules[index].remaining { rules[index].remaining = remaining - 1 }
            rules[index].applied += 1
            appliedCount += 1
            return rules[index]
        }
        return nil
    }
}
