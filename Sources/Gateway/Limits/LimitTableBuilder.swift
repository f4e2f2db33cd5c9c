internal import Bytes
internal import HTTP
internal import OpenStack

/// Puts a `LimitTable` together; for start, reload and `gatehouse check`.
struct LimitTableBuilder {
    let limits: Settings.Limits
    let tables: [OperationTable]
    let hash: KeyedHash
    private(set) var mistakes: [RuleMistakes.Mistake] = []
    private(set) var rules: [LimitTable.Rule] = []
    private(set) var facts: [LimitTable.RuleFacts] = []
    private(set) var quotas: [LimitQuotaFacts] = []
    private(set) var selected: [UInt16] = []
    private(set) var unmatched = LimitTable.Selection()
    private(set) var operations: [LimitTable.Selection] = []
    private(set) var actions: [LimitTable.Selection] = []
    private(set) var bases: [(operations: Int32, actions: Int32)] = []
    private(set) var roles: [ByteRange] = []
    private(set) var bytes: [UInt8] = []
    private var projects: [LimitTable.ProjectQuota] = []
    private var knownPolicies: [[Int]: ByteRange] = [:]

    /// The processes that share a store.
    var instanceCount: Int {
        if case .redis(let redis) = limits.store { redis.instanceCount } else { 1 }
    }

    init(_ limits: Settings.Limits, tables: [OperationTable], hash: KeyedHash) {
        self.limits = limits
        self.tables = tables
        self.hash = hash
    }

    mutating func build() {
        let scopes = limits.rules.map {
            OperationScope($0.operations, tables: tables, except: LimitTable.limitsID)
        }
        for scope in scopes { mistakes += scope.mistakes }
        for (index, rule) in limits.rules.enumerated() { add(rule, index, scopes[index]) }
        // Enforced rules stand first, as charges have them.
        let order = limits.rules.indices.sorted {
            (limits.rules[$0].isShadow ? 1 : 0, $0) < (limits.rules[$1].isShadow ? 1 : 0, $1)
        }
        unmatched = select(order.filter { scopes[$0].isEverything })
        for (api, table) in tables.enumerated() {
            bases.append((Int32(operations.count), Int32(actions.count)))
            actions += (0..<table.actionCount).map { action in
                select(order.filter { scopes[$0].hasAction(api, action) })
            }
            for operation in table.operations.indices {
                let chosen = order.filter { scopes[$0].hasOperation(api, operation) }
                var selection = select(chosen)
                // Where each operation has a bucket of its own, each action has one, too.
                let isApart = chosen.contains { limits.rules[$0].per.contains(.operation) }
                selection.needsAction = table.actions(of: operation).contains { action in
                    isApart || order.filter { scopes[$0].hasAction(api, action) } != chosen
                }
                operations.append(selection)
                let most = table.actions(of: operation).map { actions[Int(bases[api].actions) + $0].count }
                    .max()
                if max(most ?? 0, selection.count) > LimitCharges.maxCount {
                    tooMany(table.operations[operation].id)
                }
            }
        }
    }

    private mutating func tooMany(_ id: String) {
        // Once is enough: one rule too many is often one for all operations.
        guard !mistakes.contains(where: { $0.message.hasPrefix("`rules`:") }) else { return }
        let place = limits.rules.compactMap(\.operations.first).first
        mistakes.append(
            RuleMistakes.Mistake(
                line: place?.line ?? 1, column: place?.column ?? 1,
                message: "`rules`: more than \(LimitCharges.maxCount) of them are about \(id)"))
    }

    private mutating func select(_ chosen: [Int]) -> LimitTable.Selection {
        defer { selected += chosen.map { UInt16($0) } }
        return LimitTable.Selection(
            first: Int32(selected.count), count: Int32(chosen.count), policies: policies(chosen))
    }

    /// The place of the policies of the enforced ones among `chosen`, in one piece; most selections are alike.
    private mutating func policies(_ chosen: [Int]) -> ByteRange {
        let enforced = chosen.filter { !facts[$0].isShadow }
        if let known = knownPolicies[enforced] { return known }
        let start = bytes.count
        for rule in enforced {
            let policy = quotas[Int(facts[rule].quota)].policy
            // Without the comma and the space before the first one.
            bytes += bytes[(policy.lower + (rule == enforced[0] ? 2 : 0))..<policy.upper]
        }
        let made = ByteRange(start: start, count: bytes.count - start)
        knownPolicies[enforced] = made
        return made
    }

    private mutating func add(_ rule: Settings.LimitRule, _ index: Int, _ scope: OperationScope) {
        let isAtOnce = if case .atOnce = rule.quota { true } else { false }
        let quota = add(rule.quota, rule)
        for override in rule.overrides {
            addProject(index, override.project, UInt16(add(override.quota, rule)))
        }
        for project in rule.exemptProjects { addProject(index, project, LimitTable.ProjectQuota.exempt) }
        let firstRole = roles.count
        for role in rule.exemptRoles {
            roles.append(add(role.lowercased()))
        }
        let (uri, regex) = scope.place
        facts.append(
            LimitTable.RuleFacts(
                per: rule.per, isShadow: rule.isShadow, isAtOnce: isAtOnce, quota: UInt16(quota),
                hasProjects: !rule.overrides.isEmpty || !rule.exemptProjects.isEmpty, seed: seed(rule),
                firstRole: Int32(firstRole), roleCount: Int32(rule.exemptRoles.count),
                name: add(rule.name), uri: add(uri)))
        rules.append(
            LimitTable.Rule(
                name: rule.name, isShadow: rule.isShadow, per: rule.per, uri: uri, regex: regex,
                methods: scope.methods, operations: scope.operationIndices, quota: quota,
                isAtOnce: isAtOnce))
    }

    private mutating func add(_ text: String) -> ByteRange {
        defer { bytes += Array(text.utf8) }
        return ByteRange(start: bytes.count, count: text.utf8.count)
    }

    /// A rule that is the same after a reload begins its buckets' names in the same way.
    private func seed(_ rule: Settings.LimitRule) -> UInt64 {
        let kind =
            switch rule.quota {
            case .rate(let rate, let burst): "rate \(rate.count)/\(rate.unit.rawValue) \(burst)"
            case .atOnce: "at_once"
            }
        var text = "\(rule.name) \(rule.per.rawValue) \(kind)"
        return text.withUTF8 { hash.hash($0) }
    }

    private mutating func add(_ quota: Settings.LimitQuota, _ rule: Settings.LimitRule) -> Int {
        switch quota {
        case .rate(let rate, let burst):
            let cost = rule.cost
            let unit = UInt64(rate.unit.rawValue) * 1_000_000_000
            // Rounded up, so that the rate is never exceeded; by less than a billionth of a second.
            let interval = (unit + UInt64(rate.count) - 1) / UInt64(rate.count)
            var facts = LimitQuotaFacts(
                count: rate.count, unitSeconds: rate.unit.rawValue, burst: burst, interval: interval,
                tolerance: Self.debt(interval, burst * 1_000),
                requestCost: Self.debt(interval, cost.request),
                hitCost: Self.debt(interval, cost.hit),
                notModifiedCost: Self.debt(interval, cost.notModified))
            addTexts(&facts, rule.name)
            quotas.append(facts)
        case .atOnce(let count):
            // What is in progress is counted here alone, so each process gives its part.
            let part = min((count + instanceCount - 1) / instanceCount, AtOnceWord.maxCount)
            var facts = LimitQuotaFacts(
                count: part, unitSeconds: 0, burst: part, interval: 0, tolerance: 0, requestCost: 0,
                hitCost: 0, notModifiedCost: 0)
            addTexts(&facts, rule.name)
            quotas.append(facts)
        }
        return quotas.count - 1
    }

    /// What answers say of a bucket and what stays the same each time: its policy, and how its rest begins.
    private mutating func addTexts(_ facts: inout LimitQuotaFacts, _ rule: String) {
        let window = facts.unitSeconds == 0 ? ";qu=\"concurrent-requests\"" : ";w=\(facts.windowSeconds)"
        facts.policy = add(", \"\(rule)\";q=\(facts.burst)\(window)")
        facts.rest = add(", \"\(rule)\";r=")
    }

    /// The nanoseconds that thousandths of a request's debt take, rounded up, so that no part of a request is free; at most
    /// two years, longer than which no bucket fills.
    private static func debt(_ interval: UInt64, _ thousandths: Int) -> UInt64 {
        let (product, overflows) = interval.multipliedReportingOverflow(by: UInt64(thousandths))
        let whole = overflows ? .max : product / 1_000 + (product.isMultiple(of: 1_000) ? 0 : 1)
        return min(whole, 2 * 366 * 86_400 * 1_000_000_000)
    }

    private mutating func addProject(_ rule: Int, _ project: String, _ quota: UInt16) {
        var project = project
        let name = project.withUTF8 { Identity.hash(of: $0) }
        projects.append(LimitTable.ProjectQuota(key: LimitTable.projectKey(rule: rule, name), quota: quota))
    }

    /// The projects with quotas of their own by open addressing, at most half full.
    func projectTable() -> [LimitTable.ProjectQuota] {
        var capacity = 2
        while capacity < projects.count * 2 { capacity *= 2 }
        var table = [LimitTable.ProjectQuota](repeating: LimitTable.ProjectQuota(), count: capacity)
        for project in projects {
            var place = Int(truncatingIfNeeded: project.key >> 1) & (capacity - 1)
            while table[place].key != 0, table[place].key != project.key {
                place = (place + 1) & (capacity - 1)
            }
            table[place] = project
        }
        return table
    }
}
