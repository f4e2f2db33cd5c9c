import Bytes
import Foundation
import HTTP
import OpenStack
import Testing

@testable import Gateway

/// Policies against the bundled definition: what is kept of which operations, and what their events are about.
struct AuditTableTests {
    static let operations = LimitTableTests.operations

    /// Without a policy.
    static let bare = try? table([])

    static func policy(_ words: [String], _ record: Settings.AuditRecord, content: Bool = false)
        -> Settings.AuditPolicy
    {
        var policy = Settings.AuditPolicy(
            operations: words.enumerated().map { Settings.LimitSelector($1, line: $0 + 1, column: 7) },
            record: record)
        policy.recordsContent = content
        (policy.line, policy.column) = (9, 3)
        return policy
    }

    static func table(_ policies: [Settings.AuditPolicy]) throws -> AuditTable {
        var audit = Settings.Audit(file: Settings.AuditFile(path: "/dev/null"))
        audit.policies = policies
        return try AuditTable.compile(audit, tables: [try #require(operations)])
    }

    static func rule(_ table: AuditTable, _ id: String, action: String? = nil) throws -> AuditRule {
        let operations = try #require(operations)
        let operation = try #require(operations.find(id))
        var place = -1
        if let action {
            let keys = operations.operations[operation].actions.map(\.key)
            place = operations.actions(of: operation).lowerBound + (try #require(keys.firstIndex(of: action)))
        }
        return table.rule(
            api: 0, operation: operation, action: place, method: operations.operations[operation].method)
    }

    @Test func `without a policy reads are folded and the rest has an event each`() throws {
        let table = try Self.table([])
        for id in ["servers.list", "servers.show", "limits.show", "versions.show"] {
            #expect(try Self.rule(table, id).record == .folded, "\(id)")
        }
        for id in ["servers.create", "servers.delete", "servers.action", "hosts.reboot", "tags.create"] {
            #expect(try Self.rule(table, id).record == .each, "\(id)")
            #expect(try !Self.rule(table, id).recordsContent, "\(id)")
        }
        #expect(try Self.rule(table, "servers.action", action: "reboot").record == .each)
        // It reads, though it is a POST as every action.
        #expect(try Self.rule(table, "servers.action", action: "os-getConsoleOutput").record == .folded)
    }

    @Test func `what matches no operation is folded when it reads`() throws {
        let table = try Self.table([])
        #expect(table.rule(api: -1, operation: -1, action: -1, method: .get).record == .folded)
        #expect(table.rule(api: 0, operation: -1, action: -1, method: .post).record == .each)
        #expect(table.rule(api: 7, operation: 1, action: -1, method: .delete).record == .each)
    }

    @Test func `the first policy that names an operation counts`() throws {
        let table = try Self.table([
            Self.policy(["servers.create", "reboot"], .each, content: true),
            Self.policy(["servers.list"], .off), Self.policy(["GET"], .each),
            Self.policy(["servers.show", "class:list"], .folded),
            Self.policy(["tag:servers"], .each, content: true),
        ])
        #expect(try Self.rule(table, "servers.create").recordsContent)
        #expect(try Self.rule(table, "servers.action", action: "reboot").recordsContent)
        #expect(try Self.rule(table, "servers.action", action: "resize").recordsContent)
        #expect(try Self.rule(table, "servers.list").record == .off)
        #expect(try Self.rule(table, "servers.show").record == .each)
        #expect(try Self.rule(table, "flavors.list").record == .each)
        // GET …/limits is an operation like others here.
        #expect(try Self.rule(table, "limits.show").record == .each)
        #expect(try !Self.rule(table, "keypairs.create").recordsContent)
    }

    @Test(arguments: [
        (
            ["servers.list", "servers.creat"], Settings.AuditRecord.each, 2, 7,
            "did you mean `servers.create`?"
        ),
        (
            ["servers.create"], .off, 9, 3,
            "`record`: `off` is not for what changes state, as servers.create does"
        ),
        (
            ["tag:servers"], .folded, 9, 3,
            "`record`: `folded` is not for what changes state, as servers.create does"
        ),
        (["GET"], .off, 9, 3, "`record`: `off` is not for what changes state, as hosts.reboot does"),
        (
            ["reboot"], .folded, 9, 3,
            "`record`: `folded` is not for what changes state, as servers.action:reboot does"
        ),
    ])
    func `a mistake is told with its place`(
        words: [String], record: Settings.AuditRecord, line: Int, column: Int, message: String
    ) throws {
        let mistakes = #expect(throws: RuleMistakes.self) {
            _ = try Self.table([Self.policy(["servers.show"], .folded), Self.policy(words, record)])
        }
        let found = try #require(mistakes?.list)
        #expect(found.count == 1)
        #expect(found.first?.line == line && found.first?.column == column)
        #expect(found.first?.message.hasSuffix(message) == true, "\(found)")
    }

    @Test func `what is shadowed by an earlier policy is a mistake all the same`() throws {
        #expect(throws: RuleMistakes.self) {
            _ = try Self.table([Self.policy(["POST"], .each), Self.policy(["servers.create"], .off)])
        }
    }

    @Test func `a reading that is an action may be folded or left out`() throws {
        let table = try Self.table([Self.policy(["os-getConsoleOutput"], .off)])
        #expect(try Self.rule(table, "servers.action", action: "os-getConsoleOutput").record == .off)
    }

    /// Every operation's event, against what is written in `Tests/Golden/audit`.
    @Test func `every operation says what it is about`() throws {
        let operations = try #require(Self.operations)
        let table = try Self.table([])
        var lines: [String] = []
        for (index, operation) in operations.operations.enumerated() {
            let names = operation.path.split(separator: "/").filter { $0.hasPrefix("{") }
            lines.append(
                Self.line(
                    table, table.rule(api: 0, operation: index, action: -1, method: operation.method), names))
            for place in operations.actions(of: index) {
                lines.append(
                    Self.line(
                        table, table.rule(api: 0, operation: index, action: place, method: .post), names))
            }
        }
        let found = lines.joined(separator: "\n") + "\n"
        let path = SettingsPlaces.root + "/Tests/Golden/audit/operations.txt"
        if ProcessInfo.processInfo.environment["GATEHOUSE_ACCEPT"] != nil {
            return try found.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(
            found == (try String(contentsOfFile: path, encoding: .utf8)),
            "to accept: GATEHOUSE_ACCEPT=1 swift test --filter AuditTableTests")
    }

    private static func line(_ table: AuditTable, _ rule: AuditRule, _ names: [Substring]) -> String {
        var words = [
            table.text(rule.operation).string, rule.record.rawValue, table.text(rule.action).string,
            table.text(rule.typeURI).string,
        ]
        if rule.targetParameter >= 0 { words.append("id=\(names[Int(rule.targetParameter)])") }
        if rule.parentParameter >= 0 { words.append("parent=\(names[Int(rule.parentParameter)])") }
        if rule.isCreation { words.append("made=\(table.text(rule.idName).string)") }
        for (place, name) in names.enumerated() where rule.secretParameters & 1 << UInt8(place) != 0 {
            words.append("secret=\(name)")
        }
        let secrets = table.secrets(of: rule)
        for path in secrets.paths {
            let parts = (0..<Int(path.count)).map {
                secrets.bytes.view(secrets.words[Int(path.first) + $0]).string
            }
            words.append("hides=\(parts.reversed().joined(separator: "."))")
        }
        return words.joined(separator: " ")
    }
}
