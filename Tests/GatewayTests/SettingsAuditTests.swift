import Foundation
import Testing

@testable import Gateway

/// What `audit` becomes; its mistakes are golden files.
struct SettingsAuditTests {
    private static let key = "../../../config/examples/audit.key"

    private static func read(_ keys: String) throws -> Settings.Audit {
        let audit = try SettingsPlaces.read("audit:\n  sinks: [{file: {path: audit.jsonl}}]\n" + keys).audit
        return try #require(audit)
    }

    private static func mistakes(_ text: String) -> [String] {
        do throws(SettingsMistakes) {
            _ = try SettingsPlaces.read(text)
            return []
        } catch {
            return error.list.map { "\($0.line):\($0.column): \($0.message)" }
        }
    }

    @Test func `without the group or with off there is no trail`() throws {
        #expect(try SettingsPlaces.read().audit == nil)
        #expect(try SettingsPlaces.read("audit: off").audit == nil)
    }

    @Test func `what is left out has the defaults of the structs`() throws {
        let path = SettingsGoldenTests.directory + "/audit.jsonl"
        let expected = Settings.Audit(file: Settings.AuditFile(path: path))
        #expect(try Self.read("") == expected)
        #expect(try Self.read("  rotation:\n  policies: []\n") == expected)
        #expect(expected.file.mode == 0o640 && expected.durability == .written)
        #expect(expected.onFailure == .refuseWrites && expected.fold == .seconds(60))
        #expect(expected.rotation == Settings.Rotation() && expected.key == nil)
        #expect(try Self.read("  key: \(Self.key)\n").signEveryCount == 1_000)
    }

    @Test func `every key reaches its property`() throws {
        let text = """
            audit:
              sinks:
                - file:
                    path: trail/../audit.jsonl
                    mode: "0604"
              durability: synced
              on_failure: continue
              key: \(Self.key)
              sign_every: 7
              rotation: {size: 64KiB, age: 8784h, keep: 3}
              fold: 1h
              policies:
                - operations:
                    - servers.create
                    - "servers.action:reboot"
                  record: each
                  content: on
                - {operations: ["class:list"], record: folded, content: off}
                - record: off
                  operations: [GET, HEAD]
            """
        var expected = Settings.Audit(
            file: Settings.AuditFile(path: SettingsGoldenTests.directory + "/audit.jsonl"))
        expected.file.mode = 0o604
        expected.durability = .synced
        expected.onFailure = .continue
        expected.key = SettingsPlaces.root + "/config/examples/audit.key"
        expected.signEveryCount = 7
        expected.rotation.byteCount = 65_536
        expected.rotation.age = .seconds(366 * 86_400)
        expected.rotation.keptFileCount = 3
        expected.fold = .seconds(3_600)
        var first = Settings.AuditPolicy(
            operations: [
                Settings.LimitSelector("servers.create", line: 17, column: 11),
                Settings.LimitSelector("servers.action:reboot", line: 18, column: 11),
            ], record: .each)
        first.recordsContent = true
        (first.line, first.column) = (19, 15)
        var second = Settings.AuditPolicy(
            operations: [Settings.LimitSelector("class:list", line: 21, column: 21)], record: .folded)
        (second.line, second.column) = (21, 44)
        var third = Settings.AuditPolicy(
            operations: [
                Settings.LimitSelector("GET", line: 23, column: 20),
                Settings.LimitSelector("HEAD", line: 23, column: 25),
            ], record: .off)
        (third.line, third.column) = (22, 15)
        expected.policies = [first, second, third]
        #expect(try SettingsPlaces.read(text).audit == expected)
    }

    @Test(arguments: [
        ("durability: written", Settings.Durability.written, Settings.OnFailure.refuseWrites),
        ("durability: synced, on_failure: refuse", .synced, .refuse),
        ("durability: best_effort", .bestEffort, .refuseWrites),
    ])
    func `each word has its meaning`(
        _ keys: String, _ durability: Settings.Durability, _ onFailure: Settings.OnFailure
    ) throws {
        let text = "audit: {sinks: [{file: {path: audit.jsonl}}], \(keys)}"
        let audit = try #require(try SettingsPlaces.read(text).audit)
        #expect(audit.durability == durability && audit.onFailure == onFailure)
    }

    @Test(arguments: [
        ("sign_every", [0, 1_000_001], [1, 1_000_000], ""),
        ("keep", [0, 10_001], [1, 10_000], ""),
        ("size", [65_535, (1 << 40) + 1], [65_536, 1 << 40], ""),
        ("age", [0, 366 * 86_400 + 1], [1, 366 * 86_400], "s"),
        ("fold", [99, 3_600_001], [100, 3_600_000], "ms"),
    ])
    func `each number has its bounds`(_ key: String, _ wrong: [Int], _ right: [Int], _ unit: String) {
        func text(_ number: Int) -> String {
            let value = "\(number)\(unit)"
            let more =
                switch key {
                case "keep": "rotation: {size: 1GiB, keep: \(value)}"
                case "size", "age": "rotation: {\(key): \(value)}"
                default: "\(key): \(value), key: \(Self.key)"
                }
            return "audit: {sinks: [{file: {path: audit.jsonl}}], \(more)}"
        }
        for number in right { #expect(Self.mistakes(text(number)) == []) }
        for number in wrong {
            let mistakes = Self.mistakes(text(number))
            #expect(mistakes.count == 1 && mistakes[0].contains("`\(key)`: `\(number)\(unit)` is not in"))
        }
    }

    @Test(arguments: [31, 32, 4_096, 4_097])
    func `a key has 32 to 4096 bytes`(_ count: Int) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/audit.key"
        try Data(repeating: 0x61, count: count).write(to: URL(fileURLWithPath: path))
        let text = "audit: {sinks: [{file: {path: \(directory)/audit.jsonl}}], key: \(path)}"
        let mistakes = Self.mistakes(text)
        #expect(mistakes.isEmpty == (32...4_096).contains(count))
        #expect(mistakes.allSatisfy { $0.contains("bytes; a key has 32 to 4096") })
    }

    @Test func `links to a file that is in use are found out`() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Data(repeating: 0x61, count: 64).write(to: URL(fileURLWithPath: directory + "/file"))
        for name in ["trail", "lines", "key"] {
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/" + name, withDestinationPath: directory + "/file")
        }
        let lines = "access_log: {path: \(directory)/lines}\n"
        let trail = "sinks: [{file: {path: \(directory)/trail}}]"
        #expect(Self.mistakes("audit: {\(trail)}") == [])
        #expect(
            Self.mistakes(lines + "audit: {\(trail)}").first?.hasSuffix("file of access lines, too") == true)
        let own = Self.mistakes("audit: {\(trail), key: \(directory)/key}")
        #expect(own.first?.hasSuffix("is the trail's file") == true)
    }
}
