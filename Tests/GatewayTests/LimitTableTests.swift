import Bytes
import Foundation
import Loop
import OpenStack
import Synchronization
import Testing

@testable import Gateway

/// Rules against the bundled definition: which are about a request, and what they take.
struct LimitTableTests {
    static let operations = try? OperationTable.compile(
        DefinitionFiles.read(SettingsPlaces.root + "/config/openapi/compute.yaml", overlay: nil),
        file: "compute.yaml")
    static let hash = KeyedHash(key0: 3, key1: 4)
    static let minute: UInt64 = 60_000_000_000
    static let now: UInt64 = 1_000 * minute

    static func rule(
        _ name: String, _ words: [String] = [], per: Settings.LimitKey = [.project], rate: Int = 60,
        burst: Int = 10
    ) -> Settings.LimitRule {
        var rule = Settings.LimitRule(
            name: name, quota: .rate(.init(count: rate, per: .minute), burst: burst))
        rule.operations = words.enumerated().map { Settings.LimitSelector($1, line: $0 + 1, column: 7) }
        rule.per = per
        return rule
    }

    static func table(_ rules: [Settings.LimitRule]) throws -> LimitTable {
        var limits = Settings.Limits()
        limits.rules = rules
        return try LimitTable.compile(limits, tables: [try #require(operations)], hash: hash)
    }

    /// The names of the rules that are about an operation, or an action of it.
    static func rules(_ table: LimitTable, _ id: String, action: String? = nil, roles: String = "member")
        throws -> [String]
    {
        let operations = try #require(operations)
        return try withBytes("p1") { project in
            try withBytes("u1") { user in
                try withBytes(roles) { roles in
                    var subject = LimitSubject()
                    subject.hasIdentity = true
                    (subject.project, subject.user, subject.roles) = (project, user, roles)
                    subject.operation = try #require(operations.find(id))
                    if let action {
                        let keys = operations.operations[subject.operation].actions.map(\.key)
                        let place = try #require(keys.firstIndex(of: action))
                        subject.action = operations.actions(of: subject.operation)[place]
                    }
                    var charges = LimitCharges()
                    table.demand(subject, into: &charges)
                    return (0..<charges.count).map { table.rules[Int(charges[$0].rule)].name }
                }
            }
        }
    }

    @Test func `a word is an operation, an action, a tag, a class or a method`() throws {
        let table = try Self.table([
            Self.rule("id", ["servers.list"]), Self.rule("action", ["servers.action:reboot"]),
            Self.rule("key", ["os-start"]), Self.rule("tag", ["tag:servers"]),
            Self.rule("class", ["class:list"]),
            Self.rule("method", ["DELETE"]), Self.rule("all"),
        ])
        #expect(try Self.rules(table, "servers.list") == ["id", "tag", "class", "all"])
        #expect(try Self.rules(table, "flavors.list") == ["class", "all"])
        #expect(try Self.rules(table, "servers.action") == ["tag", "all"])
        #expect(try Self.rules(table, "servers.action", action: "reboot") == ["action", "tag", "all"])
        #expect(try Self.rules(table, "servers.action", action: "os-start") == ["key", "tag", "all"])
        #expect(try Self.rules(table, "servers.delete") == ["tag", "method", "all"])
    }

    /// The name of the bucket of a table's only rule.
    private static func bucket(
        _ table: LimitTable, project: String, user: String, address: UInt32 = 1, operation: Int = 0
    ) -> UInt64? {
        withBytes(project) { project in
            withBytes(user) { user in
                var subject = LimitSubject()
                subject.hasIdentity = true
                (subject.project, subject.user) = (project, user)
                subject.address = IPAddress(v4: address)
                subject.operation = operation
                var charges = LimitCharges()
                table.demand(subject, into: &charges)
                // What is hashed beforehand names the same bucket.
                subject.projectHash = Identity.hash(of: project)
                subject.userHash = Identity.hash(of: user)
                subject.addressHash = LimitTable.name(subject.address, table.hash)
                var same = LimitCharges()
                table.demand(subject, into: &same)
                return charges.count == 1 && same[0].key == charges[0].key ? charges[0].key : nil
            }
        }
    }

    @Test func `whoever differs in a part that counts has a bucket of their own`() throws {
        let all = try Self.table([Self.rule("all", per: [.project, .user, .address, .operation])])
        var seen: Set<UInt64> = []
        for number in 0..<10 {
            for other in 0..<10 {
                for operation in 0..<3 {
                    let key = Self.bucket(
                        all, project: "p\(number)", user: "u\(other)", address: UInt32(number * 10 + other),
                        operation: operation)
                    seen.insert(try #require(key))
                }
                seen.insert(try #require(Self.bucket(all, project: "u\(number)", user: "p\(other)")))
            }
        }
        #expect(seen.count == 400)
        let project = try Self.table([Self.rule("project")])
        #expect(
            Self.bucket(project, project: "p", user: "a") == Self.bucket(project, project: "p", user: "b"))
        #expect(
            Self.bucket(project, project: "", user: "a") != Self.bucket(project, project: "", user: "b"))
        let renamed = try Self.table([Self.rule("renamed")])
        #expect(
            Self.bucket(project, project: "p", user: "a") != Self.bucket(renamed, project: "p", user: "a"))
    }

    @Test func `the limits themselves are limited by a rule that names them alone`() throws {
        let table = try Self.table([
            Self.rule("all"), Self.rule("tag", ["tag:quotas"]), Self.rule("class", ["class:read"]),
            Self.rule("method", ["GET"]), Self.rule("named", ["limits.show"]),
        ])
        #expect(try Self.rules(table, "limits.show") == ["named"])
        #expect(try Self.rules(table, "quota_sets.show") == ["all", "tag", "class", "method"])
    }

    @Test func `shadow rules stand behind enforced ones, whatever their order in the file`() throws {
        var shadow = Self.rule("shadow")
        shadow.isShadow = true
        let table = try Self.table([shadow, Self.rule("enforced")])
        #expect(try Self.rules(table, "servers.list") == ["enforced", "shadow"])
    }

    @Test func `a role spares by its whole name, in any case`() throws {
        var rule = Self.rule("all")
        rule.exemptRoles = ["Service"]
        let table = try Self.table([rule])
        #expect(try Self.rules(table, "servers.list", roles: "member,service") == [])
        #expect(try Self.rules(table, "servers.list", roles: "member,services") == ["all"])
        #expect(try Self.rules(table, "servers.list", roles: "") == ["all"])
    }

    @Test(arguments: [
        (
            "servers.creat",
            "`operations`: `servers.creat` is no operation, action, tag, limit class or method of the "
                + "definitions; did you mean `servers.create`?"
        ),
        (
            "nothing-like-it",
            "`operations`: `nothing-like-it` is no operation, action, tag, limit class or method of the "
                + "definitions"
        ),
        (
            "tag:create_server",
            "`operations`: `tag:create_server` is no operation, action, tag, limit class or method of the definitions"
        ),
    ])
    func `a word that names nothing is told with its place`(word: String, message: String) throws {
        let mistakes = #expect(throws: RuleMistakes.self) {
            _ = try Self.table([Self.rule("one", ["servers.list", word])])
        }
        #expect(mistakes?.list == [.init(line: 2, column: 7, message: message)])
    }

    @Test func `more than eight rules about one operation are a mistake, eight are not`() throws {
        _ = try Self.table((1...8).map { Self.rule("r\($0)") })
        let mistakes = #expect(throws: RuleMistakes.self) {
            _ = try Self.table((1...9).map { Self.rule("r\($0)", ["servers.list"]) })
        }
        #expect(mistakes?.list.count == 1)
        #expect(mistakes?.list.first?.message == "`rules`: more than 8 of them are about servers.list")
    }

    /// Demands of one subject, as often as asked.
    private static func charges(_ table: LimitTable) throws -> LimitCharges {
        let operation = try #require(operations?.find("servers.list"))
        return withBytes("p1") { project in
            withBytes("u1") { user in
                var subject = LimitSubject()
                subject.hasIdentity = true
                (subject.project, subject.user, subject.operation) = (project, user, operation)
                var charges = LimitCharges()
                table.demand(subject, into: &charges)
                return charges
            }
        }
    }

    @Test func `eight threads on several rules take from all of them or from none`() throws {
        let table = try Self.table([
            Self.rule("wide", burst: 5_000), Self.rule("narrow", per: [.user], burst: 777),
            Self.rule("middle", per: [], burst: 2_000),
        ])
        for _ in 0..<5 {
            let buckets = Buckets(capacity: 64)
            nonisolated(unsafe) let asked = try Self.charges(table)
            let allowed = Atomic<Int>(0)
            DispatchQueue.concurrentPerform(iterations: 8) { _ in
                for _ in 0..<500 {
                    var charges = asked
                    if buckets.take(&charges, now: Self.now) == .allowed {
                        allowed.wrappingAdd(1, ordering: .relaxed)
                    }
                }
            }
            #expect(allowed.load(ordering: .relaxed) == 777)
            // What was refused by one was not charged by the others.
            for (index, left) in [4_223, 0, 1_223].enumerated() {
                let charge = asked[index]
                #expect(
                    table.quota(charge.quota).remaining(paidAt: buckets.paidAt(charge.key), now: Self.now)
                        == left)
            }
        }
    }

    @Test func `a hit gets back what it did not cost`() throws {
        var rule = Self.rule("lists", burst: 2)
        rule.cost.hit = 250
        rule.cost.notModified = 0
        let table = try Self.table([rule])
        let buckets = Buckets(capacity: 8)
        func left(after outcome: LimitOutcome) throws -> UInt64 {
            var charges = try Self.charges(table)
            #expect(buckets.take(&charges, now: Self.now) == .allowed)
            let key = charges[0].key
            charges.settle(buckets, table, as: outcome, now: Self.now)
            #expect(charges.count == 0)
            return buckets.paidAt(key) - Self.now
        }
        #expect(try left(after: .notModified) == 0)
        #expect(try left(after: .hit) == 250_000_000)
        #expect(try left(after: .request) == 1_250_000_000)
        // Less than a whole request is left, and a hit needs one while it lasts.
        var charges = try Self.charges(table)
        #expect(buckets.take(&charges, now: Self.now) == .refused(rule: 0, wait: 250_000_000))
    }

    @Test func `processes that share a store divide what counts at once among them`() throws {
        var limits = Settings.Limits()
        var redis = Settings.Redis(endpoints: [])
        redis.instanceCount = 4
        limits.store = .redis(redis)
        limits.rules = [Settings.LimitRule(name: "busy", quota: .atOnce(10))]
        let table = try LimitTable.compile(limits, tables: [try #require(Self.operations)], hash: Self.hash)
        let charges = try Self.charges(table)
        #expect(charges[0].tolerance == 3)
        #expect(table.instanceCount == 4)
    }

    @Test(
        arguments: [
            (0, 1), (1, 1), (500_000_000, 1), (990_000_000, 1), (1_000_000_000, 2), (59_995_000_000, 61),
        ] as [(UInt64, Int)])
    func `a wait is told in whole seconds that are never too few`(wait: UInt64, seconds: Int) {
        #expect(Worker.retryAfterSeconds(wait) == seconds)
        #expect(UInt64(seconds) * 1_000_000_000 >= wait)
    }
}
