/// A rate as another program had it, in the words of ours.
struct ImportRate: Equatable {
    var count: Int
    /// `s`, `min`, `h` or `day`.
    var unit: String
    /// It is a little less, since there is no whole number for it.
    var isRounded = false

    static let units: [(seconds: Int, word: String)] = [(1, "s"), (60, "min"), (3_600, "h"), (86_400, "day")]

    /// `count` in so many seconds; nil where that is less than one a day or more than our rates have.
    init?(_ count: Int, seconds: Int) {
        let numbers = Self.units.map { unit -> (exact: Bool, count: Int) in
            let (product, overflows) = count.multipliedReportingOverflow(by: unit.seconds)
            guard !overflows, seconds > 0 else { return (false, 0) }
            return (product.isMultiple(of: seconds), product / seconds)
        }
        let range = 1...1_000_000
        let places = numbers.indices.filter { range.contains(numbers[$0].count) }
        let own = places.first { Self.units[$0].seconds == seconds }
        guard let best = own ?? places.first(where: { numbers[$0].exact }) ?? places.last else { return nil }
        self.count = numbers[best].count
        unit = Self.units[best].word
        isRounded = !numbers[best].exact
    }
}

/// A rule made of a limit of another program.
struct ImportedRule {
    /// As it may be; made right and unique when it is added.
    var name: String
    var units: Set<Int>
    /// Of `project`, `user`, `address`, `operation`.
    var per: Set<String>
    var rate: ImportRate
    var burst: Int
    /// It is tighter than what it was made of, so it is not to be enforced unseen.
    var isShadow = false
    var exemptProjects: [String] = []
    /// Where it stood.
    var line: Int
    var source: String
    /// What is to be known about it.
    var remarks: [String] = []
}

/// What an import comes to.
struct ImportResult {
    /// Something that has no equivalent, and why.
    struct Remainder {
        var line: Int
        var what: String
        var reason: String
    }

    /// Rules that settings may have, and those that may be about one operation.
    static let maxRuleCount = 64
    static let maxRuleCountOfOperation = 8
    static let maxWordCount = 256
    static let maxBurst = 1_000_000
    static let maxProjectCount = 10_000

    let operations: ImportOperations
    /// When there is no more time for trying expressions.
    let deadline = ContinuousClock.now + .seconds(30)
    private(set) var rules: [ImportedRule] = []
    private(set) var remainders: [Remainder] = []
    /// How things were read that could be read otherwise.
    var choices: [String] = []
    var legacyStatus: Int?
    private var counts: [Int: Int] = [:]

    init(_ operations: ImportOperations) { self.operations = operations }

    mutating func leaveOut(_ line: Int, _ what: String, _ reason: String) {
        remainders.append(Remainder(line: line, what: what, reason: reason))
    }

    /// Adds a rule, unless there is no room for it or one says the same.
    mutating func add(_ rule: ImportedRule) {
        var rule = rule
        if let same = rules.first(where: { $0.says(rule) }) {
            leaveOut(rule.line, rule.source, "says what line \(same.line) says")
            return
        }
        guard rules.count < Self.maxRuleCount else {
            leaveOut(
                rule.line, rule.source, "there are \(Self.maxRuleCount) rules already, as many as may be")
            return
        }
        if let full = rule.units.sorted().first(where: {
            counts[$0, default: 0] >= Self.maxRuleCountOfOperation
        }) {
            leaveOut(
                rule.line, rule.source,
                "\(Self.maxRuleCountOfOperation) rules are about \(operations.units[full].operation.id) "
                    + "already, as many as may be")
            return
        }
        guard operations.selection(of: rule.units).count <= Self.maxWordCount else {
            leaveOut(rule.line, rule.source, "it is about more than \(Self.maxWordCount) operations")
            return
        }
        guard rule.span <= 366 * 86_400 else {
            leaveOut(rule.line, rule.source, "a bucket that takes more than 366 days to fill is none")
            return
        }
        if rule.rate.isRounded { rule.remarks.append("the rate is rounded down to a whole number") }
        if rule.burst > Self.maxBurst {
            rule.burst = Self.maxBurst
            rule.remarks.append("the burst is the largest that may be")
        }
        for unit in rule.units { counts[unit, default: 0] += 1 }
        rule.name = uniqueName(rule.name)
        rules.append(rule)
    }

    /// Letters, digits and `._-` of a name; numbered where another rule has it.
    private func uniqueName(_ text: String) -> String {
        var name = ""
        for character in text {
            if character.isASCII, character.isLetter || character.isNumber || "._".contains(character) {
                name.append(character)
            } else if name.last != "-", !name.isEmpty {
                name.append("-")
            }
        }
        while name.last == "-" { name.removeLast() }
        if name.isEmpty { name = "limit" }
        name = String(name.prefix(56))
        guard rules.contains(where: { $0.name == name }) else { return name }
        let number = (2...).first { number in !rules.contains { $0.name == "\(name)-\(number)" } } ?? 0
        return "\(name)-\(number)"
    }
}

extension ImportedRule {
    /// Seconds until an empty bucket is full.
    var span: Int {
        let unit = ImportRate.units.first { $0.word == rate.unit }?.seconds ?? 1
        return min(burst, ImportResult.maxBurst) * unit / rate.count
    }

    /// Whether another rule limits the same in the same way.
    func says(_ other: ImportedRule) -> Bool {
        units == other.units && per == other.per && rate == other.rate && burst == other.burst
            && isShadow == other.isShadow && exemptProjects == other.exemptProjects
    }
}
