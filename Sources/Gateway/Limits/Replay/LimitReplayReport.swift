/// What rules would have done to the exchanges of an access log.
///
/// - Limits: of limited subjects, `maxSubjectCount` are told apart, then the half with the fewest requests is forgotten;
///   `limitedSubjects` counts up to `maxDistinctCount` of all rules together.
public struct LimitReplayReport: Sendable {
    public static let maxSubjectCount = 131_072
    public static let maxDistinctCount = 1 << 20

    /// What became of the requests that one rule is about.
    public struct Rule: Sendable {
        public let name: String
        public let isShadow: Bool
        /// `10/min, burst 20` or `4 at once`; overrides aside.
        public let quota: String
        /// `project, user`; empty for one bucket.
        public let per: [String]
        public let sparesRoles: Bool
        public var requests = 0
        public var allowed = 0
        /// Refused by this rule, the longest wait of all; of a shadow rule those it would have refused.
        public var limited = 0
        /// Refused by another rule, so that this one was not charged.
        public var refusedByOthers = 0
        /// Buckets that refused something.
        public var limitedSubjects = 0
        /// Nanoseconds; 0 for what counts at once.
        public var longestWait: UInt64 = 0
        /// The one that was limited the most.
        public var worst: Subject?

        init(_ rule: LimitTable.Rule, _ settings: Settings.LimitRule) {
            name = rule.name
            isShadow = rule.isShadow
            per = Settings.LimitKey.words.filter { rule.per.contains($0.1) }.map(\.0)
            sparesRoles = !settings.exemptRoles.isEmpty
            switch settings.quota {
            case .rate(let rate, let burst):
                let unit =
                    switch rate.unit {
                    case .second: "s"
                    case .minute: "min"
                    case .hour: "h"
                    case .day: "day"
                    }
                quota = "\(rate.count)/\(unit), burst \(burst)"
            case .atOnce(let count): quota = "\(count) at once"
            }
        }
    }

    /// Somebody whom a rule limited.
    public struct Subject: Sendable {
        public let rule: String
        /// As `project=… user=…`, or `all`.
        public let name: String
        public var limited: Int
        /// Nanoseconds since 1970.
        public let first: UInt64
        public var last: UInt64
        public var longestWait: UInt64
    }

    /// A line that could not be read, and why.
    public struct Unreadable: Sendable, Equatable {
        public let file: String
        public let line: Int
        public let reason: String
    }

    public var lineCount = 0
    public var unreadable: (count: Int, first: [Unreadable]) = (0, [])
    /// The first and the last end of an exchange, in nanoseconds since 1970; nil for an empty log.
    public var period: ClosedRange<UInt64>?
    /// Exchanges that came as far as to the limits, whether a rule is about them or not.
    public var requestCount = 0
    public var rules: [Rule]
    /// Those limited the most, first.
    public var subjects: [Subject] = []
    /// Whether `subjects` had to forget some: counts of those that are told are then at least these.
    public var hasForgottenSubjects = false
    public var limitedSubjectsAreCut = false

    var shares = false
    var earlyCount = 0
    var limitedThenCount = 0
    var withoutRolesCount = 0
    var withoutIdentityCount = 0
    var withoutActionCount = 0
    var unknownOperationCount = 0
    var unknownOperation: String?
    var lateCount = 0
    var endedEarlyCount = 0
    var evictedInDebtCount = 0
    var unplacedCount = 0

    init(rules: [Rule]) { self.rules = rules }

    mutating func note(_ line: AccessLine) {
        let known = period ?? line.endedAt...line.endedAt
        period = min(known.lowerBound, line.endedAt)...max(known.upperBound, line.endedAt)
    }

    /// What the log could not tell and what the replay had to assume, a sentence each.
    public var notes: [String] {
        var notes: [String] = []
        func note(_ count: Int, _ text: String) {
            if count > 0 { notes.append("\(count) \(text)") }
        }
        if rules.contains(where: { $0.limited > 0 }) {
            notes.append("Clients that are refused come back later; a log cannot tell when.")
        }
        if rules.contains(where: { $0.per.contains("token") }) {
            notes.append(
                "A log has no tokens: rules per token count all tokens of a user in a project as one, and without "
                    + "an identity those of an address.")
        }
        if rules.contains(where: \.sparesRoles) {
            note(withoutRolesCount, "requests have no roles in the log: none of them was exempt by a role.")
        }
        if rules.contains(where: { $0.per.contains("project") || $0.per.contains("user") }) {
            note(
                withoutIdentityCount,
                "requests have no identity in the log: rules per project or user are not about them.")
        }
        note(
            withoutActionCount,
            "requests whose limits depend on the action have none in the log: only rules about the whole operation "
                + "count for them.")
        note(
            unknownOperationCount,
            "requests are of operations that the definitions do not have, as \(unknownOperation ?? ""): only rules "
                + "about everything count for them.")
        note(
            limitedThenCount,
            "requests were refused by the limits of then: here they count as others do, and last no longer than the "
                + "refusal.")
        note(earlyCount, "requests ended before limits are asked, most of them without a good token.")
        note(
            lateCount,
            "requests began before others that were asked about already: the log is not in the order of time, or they "
                + "lasted very long. They count at the time of the others.")
        note(
            endedEarlyCount,
            "requests were ended early, since more than \(LimitReplay.windowCount) were in progress.")
        note(
            evictedInDebtCount,
            "buckets made room before their debt was paid: `max_buckets` is too small for this log.")
        note(unplacedCount, "requests were not counted for want of a bucket: `max_buckets` is too small.")
        if shares {
            notes.append(
                "The store is shared: what other processes admitted is only in their logs; `sort -m` puts several in "
                    + "order.")
        }
        if hasForgottenSubjects {
            notes.append(
                "More than \(Self.maxSubjectCount) were limited: those limited least were forgotten on the way, and "
                    + "counts of the others may be too low.")
        }
        return notes
    }
}

/// A request that a rule refuses, or would refuse.
public struct LimitedRequest: Sendable {
    /// Nanoseconds since 1970 at which it began.
    public let time: UInt64
    public let rule: String
    public let isShadow: Bool
    /// As `project=… user=…`, or `all`.
    public let subject: String
    /// Nanoseconds until it would be allowed; 0 for what counts at once.
    public let wait: UInt64
    public let method: String
    /// Its id, `:` and its action where it has one; empty for none.
    public let operation: String
    public let requestID: String
    public let file: String
    public let line: Int
}

/// Whom rules limited, in bounded memory.
struct LimitedSubjects {
    private struct Count {
        var rule: Int
        var name: String
        var limited: Int
        var first: UInt64
        var last: UInt64
        var longestWait: UInt64
    }

    private var counts: [UInt64: Count] = [:]
    private var distinct: Set<UInt64> = []
    private var distinctOfRule: [Int: Int] = [:]
    private var hasForgotten = false
    private var isCut = false

    /// - Parameter key: of the bucket, which no two rules share.
    mutating func note(
        _ key: UInt64, rule: Int, name: @autoclosure () -> String, at time: UInt64, wait: UInt64
    ) {
        if distinct.count < LimitReplayReport.maxDistinctCount {
            if distinct.insert(key).inserted { distinctOfRule[rule, default: 0] += 1 }
        } else if !distinct.contains(key) {
            isCut = true
        }
        if counts[key] != nil {
            counts[key]!.limited += 1
            counts[key]!.last = time
            counts[key]!.longestWait = max(counts[key]!.longestWait, wait)
            return
        }
        if counts.count >= LimitReplayReport.maxSubjectCount { forgetLeast() }
        counts[key] = Count(
            rule: rule, name: name(), limited: 1, first: time, last: time, longestWait: wait)
    }

    /// Keeps the half that was limited the most.
    private mutating func forgetLeast() {
        let kept = counts.sorted { $0.value.limited > $1.value.limited }.prefix(counts.count / 2)
        counts = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
        hasForgotten = true
    }

    func conclude(_ report: inout LimitReplayReport, topCount: Int) {
        report.hasForgottenSubjects = hasForgotten
        report.limitedSubjectsAreCut = isCut
        for (rule, count) in distinctOfRule { report.rules[rule].limitedSubjects = count }
        let sorted = counts.values.sorted {
            ($1.limited, $0.first, $0.rule, $0.name) < ($0.limited, $1.first, $1.rule, $1.name)
        }
        func subject(_ count: Count) -> LimitReplayReport.Subject {
            LimitReplayReport.Subject(
                rule: report.rules[count.rule].name, name: count.name, limited: count.limited,
                first: count.first, last: count.last, longestWait: count.longestWait)
        }
        for count in sorted where report.rules[count.rule].worst == nil {
            report.rules[count.rule].worst = subject(count)
        }
        report.subjects = sorted.prefix(topCount).map(subject)
    }
}
