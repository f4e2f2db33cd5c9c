internal import Yams

extension SettingsReading {
    /// Reads `limits`.
    ///
    /// - Parameter knowsIdentities: whether somebody here says who asks; nil when `identity` could not be read.
    func limits(_ group: SettingsMapping, knowsIdentities: Bool?) -> Settings.Limits {
        var limits = Settings.Limits()
        let store = group.word("store", among: [("memory", false), ("redis", true)])
        if store == true {
            if group.requiredNode("redis") != nil, let redis = redis(group.subgroup("redis", .redis)) {
                limits.store = .redis(redis)
            }
        } else if let node = group.node("redis") {
            // Its own mistakes are told all the same; a Redis that nobody asks is one.
            _ = redis(group.subgroup("redis", .redis))
            if store == false || group.node("store") == nil {
                add(node.mark, "`redis` has no use unless `store` is redis")
            }
        }
        limits.maxBucketCount = group.count("max_buckets", in: 1_024...1 << 26, or: limits.maxBucketCount)
        limits.legacyStatus =
            group.word("legacy_status", among: [("429", 429), ("413", 413)]) ?? limits.legacyStatus
        limits.sendsFields = group.bool("fields", or: limits.sendsFields)
        limits.badTokens = group.subgroupUnlessOff("bad_tokens", .badTokens).map(badTokens)
        var names: Set<String> = []
        for item in group.items("rules", limit: 64, isRequired: false) {
            let group = SettingsMapping(item, .limitRule, "rules", self)
            let name = group.requiredNode("name").flatMap { scalar($0, "name", Self.ruleName) }
            if let name, !names.insert(name).inserted {
                add(group.node("name")?.mark, "`name`: `\(name)` is another rule's already")
            }
            let rule = rule(group, name ?? "", knowsIdentities: knowsIdentities)
            if let rule, name != nil { limits.rules.append(rule) }
        }
        let overrideCount = limits.rules.reduce(0) { $0 + $1.overrides.count }
        if overrideCount > Self.maxOverrideCount {
            add(
                group.node("rules")?.mark,
                "`overrides`: \(overrideCount) of all rules together are more than \(Self.maxOverrideCount)")
        }
        return limits
    }

    /// Overrides of all rules together: the compiled rules number quotas in 16 bits.
    private static let maxOverrideCount = 50_000

    private func badTokens(_ group: SettingsMapping) -> Settings.BadTokens {
        var badTokens = Settings.BadTokens()
        let budget = budget(group, or: Settings.Budget(rate: badTokens.rate, burst: badTokens.burst))
        badTokens.rate = budget.rate
        badTokens.burst = budget.burst
        return badTokens
    }

    /// Reads one rule; nil, with a mistake, when it says not how much.
    private func rule(
        _ group: SettingsMapping, _ name: String, knowsIdentities: Bool?
    ) -> Settings.LimitRule? {
        let cost = costs(group)
        let quota = quota(group, besides: nil, cost: cost)
        var rule = Settings.LimitRule(name: name, quota: quota ?? .atOnce(1))
        rule.cost = cost
        rule.operations = selectors(group, meaningOfNone: "without the key, a rule is about all")
        rule.per = per(group, knowsIdentities: knowsIdentities)
        rule.isShadow = group.word("mode", among: [("enforce", false), ("shadow", true)]) ?? false
        rule.overrides = overrides(group, rule, hasQuota: quota != nil, knowsIdentities: knowsIdentities)
        let exempt = group.subgroup("exempt", .exempt)
        rule.exemptRoles = roles(exempt, "roles").map { $0.lowercased() }
        rule.exemptProjects = projects(exempt)
        if knowsIdentities == false, let node = group.node("exempt"), !SettingsReading.isNull(node) {
            add(node.mark, "`exempt`: nobody says who asks, since `identity.provider` is none")
        }
        return quota == nil ? nil : rule
    }

    /// Reads `operations`.
    ///
    /// - Parameter meaningOfNone: why an empty sequence is a mistake.
    func selectors(_ group: SettingsMapping, meaningOfNone: String) -> [Settings.LimitSelector] {
        var selectors: [Settings.LimitSelector] = []
        let items = group.items("operations", limit: 256, isRequired: false)
        if items.isEmpty, case .sequence? = group.node("operations") {
            add(
                group.node("operations")?.mark,
                "`operations` needs at least one item; \(meaningOfNone)")
        }
        for item in items {
            guard let text = scalar(item, "operations", Self.selector) else { continue }
            if selectors.contains(where: { $0.text == text }) {
                add(item.mark, "`operations`: \(Self.written(item)) is there already")
            }
            selectors.append(
                Settings.LimitSelector(text, line: item.mark?.line ?? 1, column: item.mark?.column ?? 1))
        }
        return selectors
    }

    /// `per`: one word or several.
    private func per(_ group: SettingsMapping, knowsIdentities: Bool?) -> Settings.LimitKey {
        var items: [Node] = []
        if let node = group.node("per") {
            if case .scalar = node {
                items = [node]
            } else {
                items = group.items("per", limit: 16, isRequired: false)
            }
        }
        var per: Settings.LimitKey = []
        for item in items {
            let key = scalar(item, "per") { text throws(ScalarMistake) in
                let words = Settings.LimitKey.words
                guard let found = words.first(where: { $0.0 == text }) else {
                    throw ScalarMistake(reason: "is none of " + words.map(\.0).joined(separator: ", "))
                }
                return found.1
            }
            guard let key else { continue }
            if per.contains(key) { add(item.mark, "`per`: \(Self.written(item)) is there already") }
            if knowsIdentities == false, key == .project || key == .user {
                add(
                    item.mark,
                    "`per`: \(Self.written(item)): nobody says who asks, since `identity.provider` is none")
            }
            per.insert(key)
        }
        return per
    }

    /// Reads `rate` and `burst`, or `at_once`, of a rule or, besides the rule's quota, of an override.
    private func quota(
        _ group: SettingsMapping, besides ofRule: Settings.LimitQuota?, cost: Settings.LimitCost
    ) -> Settings.LimitQuota? {
        let rateNode = group.node("rate")
        let place = group.group.rawValue
        if let node = group.node("at_once") {
            for key in ["burst", "cost", "hit_cost", "not_modified_cost"] where group.group.keys.contains(key)
            {
                guard let other = group.node(key) else { continue }
                add(other.mark, "`\(key)` has no use beside `at_once`")
            }
            guard rateNode == nil else {
                add(node.mark, "`at_once` and `rate` do not go together in `\(place)`: they are two rules")
                return nil
            }
            if case .rate? = ofRule { add(node.mark, "`at_once`: the rule has a `rate`") }
            return scalar(node, "at_once", Self.quotaCount).map { .atOnce($0) }
        }
        guard let rateNode else {
            group.addMissing("`rate` or `at_once`")
            _ = group.scalar("burst", Self.quotaCount)
            return nil
        }
        if case .atOnce? = ofRule { add(rateNode.mark, "`rate`: the rule has `at_once`") }
        guard let rate = scalar(rateNode, "rate", SettingsScalars.rate) else {
            _ = group.scalar("burst", Self.quotaCount)
            return nil
        }
        let burst = group.count("burst", in: 1...1_000_000, or: rate.count)
        let mark = (group.node("burst") ?? rateNode).mark
        checkSpan(rate, burst, mark)
        let most = max(cost.request, cost.hit, cost.notModified)
        if burst * 1_000 < most {
            add(mark, "`burst`: \(burst) is less than a request's cost, so that none would be allowed")
        }
        return .rate(rate, burst: burst)
    }

    /// Reads `cost`, `hit_cost` and `not_modified_cost`.
    private func costs(_ group: SettingsMapping) -> Settings.LimitCost {
        var cost = Settings.LimitCost()
        cost.request = group.scalar("cost", Self.cost) ?? cost.request
        cost.hit = group.scalar("hit_cost", Self.cost) ?? cost.request
        if cost.hit > cost.request {
            add((group.node("hit_cost"))?.mark, "`hit_cost` is more than `cost`")
        }
        cost.notModified = group.scalar("not_modified_cost", Self.cost) ?? cost.hit
        if cost.notModified > cost.request, let node = group.node("not_modified_cost") {
            add(node.mark, "`not_modified_cost` is more than `cost`")
        }
        return cost
    }

    private func overrides(
        _ group: SettingsMapping, _ rule: Settings.LimitRule, hasQuota: Bool, knowsIdentities: Bool?
    ) -> [Settings.LimitOverride] {
        guard let node = group.node("overrides") else { return [] }
        if knowsIdentities == false {
            add(node.mark, "`overrides`: nobody says who asks, since `identity.provider` is none")
        } else if !rule.per.contains(.project), group.node("per").map(isReadable) ?? true {
            add(node.mark, "`overrides` needs `project` in `per`: else one bucket would have two quotas")
        }
        var overrides: [Settings.LimitOverride] = []
        var known: Set<String> = []
        for item in group.items("overrides", limit: 10_000, isRequired: false) {
            let group = SettingsMapping(item, .limitOverride, "overrides", self)
            let projectNode = group.requiredNode("project")
            let project = projectNode.flatMap { scalar($0, "project", Self.projectID) }
            let quota = quota(group, besides: hasQuota ? rule.quota : nil, cost: rule.cost)
            if let project, !known.insert(project).inserted {
                add(projectNode?.mark, "`project`: \(Self.written(projectNode)) is there already")
            }
            guard let project, let quota else { continue }
            overrides.append(Settings.LimitOverride(project: project, quota: quota))
        }
        return overrides
    }

    /// Whether `per` has but known words, so that one that is missing was not meant to be another.
    private func isReadable(_ node: Node) -> Bool {
        let words = Settings.LimitKey.words.map(\.0)
        let items = if case .sequence(let sequence) = node { Array(sequence) } else { [node] }
        return items.allSatisfy { $0.scalar.map { words.contains($0.string) } ?? false }
    }

    private func projects(_ exempt: SettingsMapping) -> [String] {
        var projects: [String] = []
        var known: Set<String> = []
        for item in exempt.items("projects", limit: 10_000, isRequired: false) {
            guard let project = scalar(item, "projects", Self.projectID) else { continue }
            if !known.insert(project).inserted {
                add(item.mark, "`projects`: \(Self.written(item)) is there already")
            }
            projects.append(project)
        }
        return projects
    }

    /// Refuses a burst that is so long in coming back that its time is no number any more.
    func checkSpan(_ rate: Settings.Rate, _ burst: Int, _ mark: Mark?) {
        // The units have at most 86,400 seconds and bursts at most 1,000,000.
        guard rate.unit.rawValue * burst > 366 * 86_400 * rate.count else { return }
        add(mark, "`burst`: \(burst) would take more than 366 days to come back at this rate")
    }

    /// Names stand in fields, in metrics and, between colons, in the keys of a Redis.
    private static func ruleName(_ text: String) throws(ScalarMistake) -> String {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isNameByte) else {
            throw ScalarMistake(reason: "is not a rule's name: 1 to 64 of A-Z a-z 0-9 . _ -")
        }
        return text
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func selector(_ text: String) throws(ScalarMistake) -> String {
        guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw ScalarMistake(
                reason: "is no operation, action, tag, class or method: 1 to 255 visible ASCII characters")
        }
        return text
    }

    private static func quotaCount(_ text: String) throws(ScalarMistake) -> Int {
        let count = try SettingsScalars.count(text)
        guard (1...1_000_000).contains(count) else {
            throw ScalarMistake(reason: "is not in 1 to 1000000")
        }
        return count
    }

    /// Thousandths of `0.125`.
    private static func cost(_ text: String) throws(ScalarMistake) -> Int {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let isNumber = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { 0x30...0x39 ~= $0 }
        }
        guard isNumber, parts.count <= 2, parts.last!.utf8.count <= 3 || parts.count == 1 else {
            throw ScalarMistake(reason: "is not a cost: a number with at most three decimals, as 1 or 0.25")
        }
        let decimals = parts.count == 2 ? parts[1] + String(repeating: "0", count: 3 - parts[1].count) : "000"
        guard let whole = Int(parts[0]), whole <= 1_000_000, let rest = Int(decimals),
            whole * 1_000 + rest <= 1_000_000_000
        else { throw ScalarMistake(reason: "is not in 0 to 1000000") }
        return whole * 1_000 + rest
    }
}
