import Gateway

/// One row of `gatehouse-bench limits`: which rules, who asks, on how many threads, and what must come of it.
struct LimitPlan {
    let name: String
    let rules: [Settings.LimitRule]
    /// How many projects, users and addresses take turns.
    let askers: Int
    let threads: Int
    let outcome: LimitOutcome
    let isRefused: Bool

    init(
        _ name: String, rules: [Settings.LimitRule], askers: Int = 1, threads: Int = 1,
        outcome: LimitOutcome = .request, isRefused: Bool = false
    ) {
        self.name = name
        self.rules = rules
        self.askers = askers
        self.threads = threads
        self.outcome = outcome
        self.isRefused = isRefused
    }

    /// More than a cache holds of the table, so that most checks wait for memory.
    static let many = 1 << 16

    static let all: [LimitPlan] = [
        LimitPlan("1 rule, one bucket", rules: [perProject]),
        LimitPlan("1 rule, many buckets", rules: [perProject], askers: many),
        LimitPlan("3 rules, one bucket each", rules: three),
        LimitPlan("3 rules, many buckets", rules: three, askers: many),
        LimitPlan("3 rules, a hit that gives back", rules: three.map(cheaperHits), outcome: .hit),
        LimitPlan("1 rule, at once", rules: [atOnce]),
        LimitPlan("1 rule, refused", rules: [exhausted], isRefused: true),
        LimitPlan("3 rules, refused by the last", rules: [perProject, perUser, exhausted], isRefused: true),
        LimitPlan("1 rule, one bucket, 2 threads", rules: [perProject], threads: 2),
        LimitPlan("1 rule, many buckets, 2 threads", rules: [perProject], askers: many, threads: 2),
        LimitPlan("3 rules, one bucket each, 2 threads", rules: three, threads: 2),
        LimitPlan("3 rules, many buckets, 2 threads", rules: three, askers: many, threads: 2),
    ]

    // A thousand nanoseconds a request, and room for ten seconds of them: such a bucket allows everything.
    static let generous = Settings.LimitQuota.rate(
        Settings.Rate(count: 1_000_000, per: .second), burst: 10_000_000)

    static let perProject = rule("project", generous, [.project])
    static let perUser = rule("user", generous, [.user, .operation])
    static let three = [perProject, perUser, rule("address", generous, [.address])]
    static let atOnce = rule("at-once", .atOnce(4), [.project])
    static let exhausted = rule(
        "exhausted", .rate(Settings.Rate(count: 1, per: .day), burst: 1), [.project])

    static func rule(
        _ name: String, _ quota: Settings.LimitQuota, _ per: Settings.LimitKey
    ) -> Settings.LimitRule {
        var rule = Settings.LimitRule(name: name, quota: quota)
        rule.per = per
        rule.operations = [Settings.LimitSelector("servers.list")]
        return rule
    }

    static func cheaperHits(_ rule: Settings.LimitRule) -> Settings.LimitRule {
        var rule = rule
        rule.cost.hit = 100
        return rule
    }
}
