public import Bytes
internal import HTTP
internal import Loop
public import OpenStack

/// The rules of the settings, compiled against the APIs' operations.
///
/// - Shape: flat arrays of trivial structs, made once; asking allocates and retains nothing.
/// - Ownership: immutable; a reload makes another one. A bucket keeps its name, so what a rule that stays as it is has
///   counted goes on.
// Unchecked because of the pointers: what they point to is never written after `init`.
public final class LimitTable: @unchecked Sendable {
    /// A rule as an operator sees it; for cold uses.
    public struct Rule: Sendable {
        public let name: String
        public let isShadow: Bool
        public let per: Settings.LimitKey
        /// `*` and the path of its operations where they all have one, else `*` alone; and a pattern for the same.
        public let uri: String
        public let regex: String
        /// Of its operations, in the order of Nova's documents.
        public let methods: [String]
        /// Which operations it is about, by API; what an operation's actions have of their own is not among them.
        let operations: [[Int]]
        let quota: Int
        let isAtOnce: Bool
    }

    /// What the hot path asks about a rule.
    struct RuleFacts {
        var per: Settings.LimitKey
        var isShadow: Bool
        var isAtOnce: Bool
        var quota: UInt16
        /// Some projects have quotas of their own, or none.
        var hasProjects: Bool
        /// Begins the name of each of its buckets.
        var seed: UInt64
        var firstRole: Int32
        var roleCount: Int32
        /// Places of texts in the table's bytes.
        var name: ByteRange
        var uri: ByteRange
    }

    /// Which rules are about an operation or an action.
    struct Selection {
        var first: Int32 = 0
        var count: Int32 = 0
        /// Which ones are depends on the action in the content.
        var needsAction = false
        /// What answers say of the enforced ones' policies while each has its own quota; in the table's bytes.
        var policies = ByteRange.empty
    }

    /// What a project has in place of a rule's own quota.
    struct ProjectQuota {
        static let exempt: UInt16 = .max

        var key: UInt64 = 0
        var quota: UInt16 = 0
    }

    /// It tells the limits themselves, so a rule is about it only where it names it.
    static let limitsID = "limits.show"

    public let rules: [Rule]
    let document: LimitDocument
    let hash: KeyedHash
    private let factors: BucketFactors
    let sendsFields: Bool
    let legacyStatus: Int
    /// The processes among which a limit is divided while their store is away; 1 without one.
    let instanceCount: UInt64
    private let facts: UnsafePointer<RuleFacts>
    let quotas: UnsafePointer<LimitQuotaFacts>
    private let selected: UnsafePointer<UInt16>
    private let unmatched: Selection
    private let operations: UnsafePointer<Selection>
    private let actions: UnsafePointer<Selection>
    /// Of each API, where its operations and actions begin.
    private let bases: UnsafePointer<(operations: Int32, actions: Int32)>
    private let apiCount: Int
    private let projects: UnsafePointer<ProjectQuota>
    private let projectMask: Int
    private let roles: UnsafePointer<ByteRange>
    private let bytes: UnsafePointer<UInt8>
    private let byteCount: Int
    let hasRules: Bool
    /// Some rule is per token, so that tokens have to be named.
    let usesTokens: Bool
    /// Some rule is per address.
    let usesAddresses: Bool

    /// Compiles the rules of `limits` for the APIs' tables, in their order.
    ///
    /// - Parameter hash: the key under which buckets are named; one for all loops and for all of a process's life.
    /// - Errors: words that name no operation, rules too many for one operation; each with its line and column.
    public static func compile(
        _ limits: Settings.Limits, tables: [OperationTable], hash: KeyedHash
    ) throws(RuleMistakes) -> LimitTable {
        var builder = LimitTableBuilder(limits, tables: tables, hash: hash)
        builder.build()
        if !builder.mistakes.isEmpty { throw RuleMistakes(list: builder.mistakes) }
        return LimitTable(builder)
    }

    private init(_ builder: LimitTableBuilder) {
        rules = builder.rules
        document = LimitDocument(
            builder.rules,
            operations: builder.tables.map { table in
                table.operations.map { ($0.path, $0.method.name.description) }
            })
        hash = builder.hash
        factors = BucketFactors(builder.hash)
        sendsFields = builder.limits.sendsFields
        instanceCount = UInt64(builder.instanceCount)
        legacyStatus = builder.limits.legacyStatus
        facts = .frozen(builder.facts)
        quotas = .frozen(builder.quotas)
        selected = .frozen(builder.selected)
        unmatched = builder.unmatched
        operations = .frozen(builder.operations)
        actions = .frozen(builder.actions)
        bases = .frozen(builder.bases)
        apiCount = builder.bases.count
        let table = builder.projectTable()
        projects = .frozen(table)
        projectMask = table.count - 1
        roles = .frozen(builder.roles)
        bytes = .frozen(builder.bytes)
        byteCount = builder.bytes.count
        hasRules = !builder.rules.isEmpty
        usesTokens = builder.rules.contains { $0.per.contains(.token) }
        usesAddresses = builder.rules.contains { $0.per.contains(.address) }
    }

    deinit {
        facts.deallocate()
        quotas.deallocate()
        selected.deallocate()
        operations.deallocate()
        actions.deallocate()
        bases.deallocate()
        projects.deallocate()
        roles.deallocate()
        bytes.deallocate()
    }

    func quota(_ index: UInt16) -> LimitQuotaFacts { quotas[Int(index)] }
    func facts(of rule: Int) -> RuleFacts { facts[rule] }
    func text(_ range: ByteRange) -> ByteView { ByteView(start: bytes, count: byteCount).view(range) }

    // MARK: - Asking

    private func selection(_ subject: LimitSubject) -> Selection {
        guard subject.operation >= 0, subject.api >= 0, subject.api < apiCount else { return unmatched }
        let base = bases[subject.api]
        if subject.action >= 0 { return actions[Int(base.actions) + subject.action] }
        return operations[Int(base.operations) + subject.operation]
    }

    /// Tells whether the rules about an operation depend on the action in its content.
    func needsAction(api: Int, operation: Int) -> Bool {
        guard operation >= 0, api >= 0, api < apiCount else { return false }
        return operations[Int(bases[api].operations) + operation].needsAction
    }

    /// Fills in what a request asks of the buckets of all rules that are about it.
    public func demand(_ subject: LimitSubject, into charges: inout LimitCharges) {
        charges.removeAll()
        let selection = selection(subject)
        var names = SubjectNames()
        var isUsual = true
        for place in 0..<Int(selection.count) {
            let rule = Int(selected[Int(selection.first) + place])
            let isAsked = charges.append { fill(rule, subject, &names, &$0) }
            guard !facts[rule].isShadow else { continue }
            if !isAsked || charges[charges.count - 1].quota != facts[rule].quota { isUsual = false }
        }
        charges.policies = isUsual ? selection.policies : .empty
    }

    /// The part of a request's names that several rules need, each hashed once.
    struct SubjectNames {
        var project: UInt64 = 0
        var user: UInt64 = 0
        var address: UInt64 = 0
    }

    /// What a request asks of one rule; nil when the rule is not about whoever asks.
    func charge(
        _ rule: Int, _ subject: LimitSubject, _ names: inout SubjectNames
    ) -> LimitCharges.Charge? {
        var charge = LimitCharges.Charge()
        return fill(rule, subject, &names, &charge) ? charge : nil
    }

    /// The same, where the charge stands already; false when the rule is not about whoever asks.
    private func fill(
        _ rule: Int, _ subject: LimitSubject, _ names: inout SubjectNames,
        _ charge: inout LimitCharges.Charge
    ) -> Bool {
        let facts = facts + rule
        let per = facts.pointee.per
        if !subject.hasIdentity, !per.isDisjoint(with: [.project, .user]) { return false }
        if facts.pointee.roleCount > 0, isExempt(facts.pointee, subject.roles) { return false }
        if names.project == 0, facts.pointee.hasProjects || per.contains(.project) {
            // A token without a project counts by its user, or all such tokens would share a bucket.
            names.project = subject.project.isEmpty ? ~subject.userName : subject.projectName
        }
        var quota = facts.pointee.quota
        if facts.pointee.hasProjects, subject.hasIdentity, !subject.project.isEmpty {
            quota = find(Self.projectKey(rule: rule, names.project)) ?? quota
            if quota == ProjectQuota.exempt { return false }
        }
        if names.user == 0, per.contains(.user) { names.user = subject.userName }
        if names.address == 0, per.contains(.address) {
            names.address = subject.addressHash != 0 ? subject.addressHash : Self.name(subject.address, hash)
        }
        let isAtOnce = facts.pointee.isAtOnce
        let found = quotas + Int(quota)
        charge.key = BucketKey.make(key(facts.pointee.seed, per, subject, names), isAtOnce: isAtOnce)
        charge.cost = isAtOnce ? 1 : found.pointee.requestCost
        charge.tolerance = isAtOnce ? UInt64(found.pointee.count) : found.pointee.tolerance
        charge.paidAt = 0
        charge.storePaidAt = 0
        charge.rule = UInt16(truncatingIfNeeded: rule)
        charge.quota = quota
        charge.state = .asked
        charge.isShadow = facts.pointee.isShadow
        return true
    }

    /// The sum of what a bucket is named by, each part times a secret odd number of its own.
    ///
    /// The seed and all parts but the operation are 64-bit keyed hashes. Two sums with one of them different are equal in
    /// one case of 2^64, whoever chose what was hashed; those that differ in the operation alone never are.
    private func key(
        _ seed: UInt64, _ per: Settings.LimitKey, _ subject: LimitSubject, _ names: SubjectNames
    ) -> UInt64 {
        // Sums and products modulo 2^64, as meant.
        var sum = seed
        if per.contains(.project) { sum &+= names.project &* factors.project }
        if per.contains(.user) { sum &+= names.user &* factors.user }
        if per.contains(.address) { sum &+= names.address &* factors.address }
        if per.contains(.token) { sum &+= subject.token &* factors.token }
        if per.contains(.operation) {
            // An action is an operation of its own; what matched none is one, too.
            let operation =
                UInt64(truncatingIfNeeded: subject.operation + 1) | UInt64(
                    truncatingIfNeeded: subject.action + 1) << 24
                | UInt64(truncatingIfNeeded: subject.api) << 48
            sum &+= operation &* factors.operation
        }
        // Each step can be undone, so that what differs stays so; neighbours come to lie far apart.
        sum = (sum ^ sum >> 32) &* factors.last
        return sum ^ sum >> 29
    }

    /// The hash of an address, by its network.
    static func name(_ address: IPAddress, _ hash: KeyedHash) -> UInt64 {
        let network = LimitSubject.network(address)
        var parts: InlineArray<3, UInt64> = .init(repeating: UInt64(network.family.rawValue))
        parts[0] = network.high
        parts[1] = network.low
        return withUnsafeBytes(of: parts) { hash.hash($0.bindMemory(to: UInt8.self)) }
    }

    static func projectKey(rule: Int, _ project: UInt64) -> UInt64 {
        // Odd multiples keep equal projects of several rules apart; zero is an empty place.
        (project ^ UInt64(rule + 1) &* 0x9E37_79B9_7F4A_7C15) | 1
    }

    private func find(_ key: UInt64) -> UInt16? {
        var place = Int(truncatingIfNeeded: key >> 1) & projectMask
        while projects[place].key != 0 {
            if projects[place].key == key { return projects[place].quota }
            place = (place + 1) & projectMask
        }
        return nil
    }

    /// Whether one of the roles, joined by commas, is one that the rule spares.
    private func isExempt(_ facts: RuleFacts, _ roles: ByteView) -> Bool {
        var start = 0
        while start < roles.count {
            var end = start
            while end < roles.count, roles[end] != 0x2C { end += 1 }
            let role = roles.view(start, end - start)
            for index in 0..<Int(facts.roleCount)
            where role.equals(text(self.roles[Int(facts.firstRole) + index])) {
                return true
            }
            start = end + 1
        }
        return false
    }
}

/// What the parts of a bucket's name are multiplied by: secret, odd, and the same for all of a process's life.
private struct BucketFactors {
    let project: UInt64
    let user: UInt64
    let address: UInt64
    let token: UInt64
    let operation: UInt64
    let last: UInt64

    init(_ hash: KeyedHash) {
        let made = (0..<6 as Range<UInt8>).map { number in
            [number].withUnsafeBufferPointer { hash.hash($0) } | 1
        }
        (project, user, address) = (made[0], made[1], made[2])
        (token, operation, last) = (made[3], made[4], made[5])
    }
}

extension LimitSubject {
    fileprivate var projectName: UInt64 { projectHash != 0 ? projectHash : Identity.hash(of: project) }
    fileprivate var userName: UInt64 { userHash != 0 ? userHash : Identity.hash(of: user) }
}

/// What a rule gives, in the units of its buckets.
struct LimitQuotaFacts: Sendable {
    /// The number of the rate, or of at-once.
    var count: Int
    /// Of the rate; 0 for at-once.
    var unitSeconds: Int
    var burst: Int
    /// Nanoseconds of debt that a cost of 1 makes; 0 for at-once.
    var interval: UInt64
    var tolerance: UInt64
    var requestCost: UInt64
    var hitCost: UInt64
    var notModifiedCost: UInt64
    /// Places of texts in the table's bytes: what answers say of its policy, and of what is left up to the number.
    var policy = ByteRange.empty
    var rest = ByteRange.empty

    func cost(_ outcome: LimitOutcome) -> UInt64 {
        switch outcome {
        case .request: requestCost
        case .hit: hitCost
        case .notModified: notModifiedCost
        }
    }
}
