extension Settings {
    /// How often what may be asked, and what is told of it.
    public struct Limits: Sendable, Equatable {
        public var store = LimitStore.memory
        /// `max_buckets`: buckets of the whole process, of 16 bytes each; the idlest one makes room for a new one.
        public var maxBucketCount = 1 << 20
        /// What a limited request to `/v2` is answered with, 429 or 413; `/v2.1` always says 429.
        public var legacyStatus = 429
        /// `fields`: `RateLimit` and `RateLimit-Policy` stand on answers, those that were allowed too.
        public var sendsFields = true
        /// What requests without a good token may cost; nil means `bad_tokens: off`.
        public var badTokens: BadTokens? = BadTokens()
        /// At most 64, no two with one name.
        public var rules: [LimitRule] = []

        public init() {}
    }

    /// Where buckets are kept.
    public enum LimitStore: Sendable, Equatable {
        case memory
        case redis(Redis)
    }

    /// How many requests without a good token an address may send.
    ///
    /// - Shape: an IPv6 address counts with its /64.
    public struct BadTokens: Sendable, Equatable {
        public var rate = Rate(count: 60, per: .minute)
        public var burst = 20

        public init() {}
    }

    /// One limit on some operations.
    public struct LimitRule: Sendable, Equatable {
        /// 1 to 64 of `A-Z a-z 0-9 . _ -`: in answers, logs and metrics.
        public var name: String
        /// What it is about; empty means every operation.
        public var operations: [LimitSelector] = []
        /// What each bucket is of; empty means one bucket for all.
        public var per: LimitKey = []
        public var quota: LimitQuota
        public var cost = LimitCost()
        /// `mode: shadow`: counted and logged, never refused.
        public var isShadow = false
        /// Quotas of named projects; no project twice.
        public var overrides: [LimitOverride] = []
        /// `exempt.roles`, in lower case: an identity with one of them is not limited.
        public var exemptRoles: [String] = []
        /// `exempt.projects`, by id.
        public var exemptProjects: [String] = []

        public init(name: String, quota: LimitQuota) {
            self.name = name
            self.quota = quota
        }
    }

    /// A word for operations, with its place in the file, since only the definitions tell whether it means anything.
    ///
    /// - Shape: an operation's id (`servers.list`), an action (`servers.action:reboot`, or `reboot` of any operation), a
    ///   tag (`servers`), a limit class (`list`), or a method (`POST`); `tag:` and `class:` tell the two apart.
    public struct LimitSelector: Sendable, Equatable {
        public var text: String
        /// Both count from 1.
        public var line: Int
        public var column: Int

        public init(_ text: String, line: Int = 1, column: Int = 1) {
            self.text = text
            self.line = line
            self.column = column
        }
    }

    /// What a bucket is of.
    public struct LimitKey: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The token's project; a token without one counts by its user.
        public static let project = LimitKey(rawValue: 1)
        public static let user = LimitKey(rawValue: 2)
        /// The client's, behind trusted proxies too; IPv6 by its /64.
        public static let address = LimitKey(rawValue: 4)
        public static let token = LimitKey(rawValue: 8)
        public static let operation = LimitKey(rawValue: 16)

        /// The words of `per`.
        public static let words: [(String, LimitKey)] = [
            ("project", .project), ("user", .user), ("address", .address), ("token", .token),
            ("operation", .operation),
        ]
    }

    /// How much a bucket gives.
    public enum LimitQuota: Sendable, Equatable {
        /// `rate` and `burst` (unless set, the rate's number): that many at once, and `rate` in the long run.
        case rate(Rate, burst: Int)
        /// `at_once`: exchanges in progress, of this process.
        case atOnce(Int)
    }

    /// What a request takes from a bucket; 0 to 1,000,000 with at most three decimals, in thousandths.
    public struct LimitCost: Sendable, Equatable {
        /// `cost`.
        public var request = 1_000
        /// `hit_cost`: of one that the store answered, or that waited for another's fetch; `cost` unless set.
        public var hit = 1_000
        /// `not_modified_cost`: of one that was answered 304; `hit_cost` unless set.
        public var notModified = 1_000

        public init() {}
    }

    /// Another quota for one project.
    public struct LimitOverride: Sendable, Equatable {
        public var project: String
        public var quota: LimitQuota

        public init(project: String, quota: LimitQuota) {
            self.project = project
            self.quota = quota
        }
    }

    /// The Redis that several processes share.
    public struct Redis: Sendable, Equatable {
        /// `url`, or `sentinels`; at least one.
        public var endpoints: [Endpoint]
        /// `master`: the name by which `endpoints`, which are Sentinels then, know the one to use; nil: `endpoints` holds
        /// the one.
        public var master: String?
        /// From `url`, as `/2`, or `database`.
        public var database = 0
        public var username: String?
        public var password: String?
        /// Not nil exactly when the scheme is `rediss`.
        public var tls: ClientTLS?
        /// `prefix`: every key begins with it in braces, so that all are in one slot of a cluster.
        public var prefix = "gatehouse"
        /// How long a request waits for it before local limits decide.
        public var deadline: Duration = .milliseconds(10)
        /// How many processes share it: while it is away, each gives its part of every limit.
        public var instanceCount = 1

        public init(endpoints: [Endpoint]) { self.endpoints = endpoints }
    }
}
