import Bytes
import Foundation
import OpenStack
import Testing

@testable import Gateway
@testable import gatehouse

/// Limits of other programs and the rules that are printed for them: the text, a line of dashes, what is printed.
///
/// `GATEHOUSE_ACCEPT=1 swift test --filter LimitsImportTests` rewrites what is expected.
struct LimitsImportTests {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    static let directory = root + "/Tests/Golden/limits-import"
    static let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
        .filter { $0.hasSuffix(".golden") }.sorted()

    static let table: OperationTable = {
        let file = root + "/config/openapi/compute.yaml"
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        do {
            return try OperationTable.load(text: text, file: file)
        } catch {
            fatalError("\(error)")
        }
    }()
    static let operations = ImportOperations(table.operations)

    @Test func `there are golden files of each kind`() {
        for kind in ["nova", "repose", "sap"] {
            #expect(Self.names.count { $0.hasPrefix("\(kind)-") } >= 3)
        }
    }

    @Test(arguments: names)
    func `limits of another program give exactly the rules written below them`(_ name: String) throws {
        let path = Self.directory + "/" + name
        let parts = try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "\n-----\n")
        try #require(parts.count == 2, "one line of five dashes")
        let found = Self.printed(Array((parts[0] + "\n").utf8))
        if ProcessInfo.processInfo.environment["GATEHOUSE_ACCEPT"] != nil {
            try (parts[0] + "\n-----\n" + found).write(toFile: path, atomically: true, encoding: .utf8)
            return
        }
        #expect(found == parts[1], "to accept: GATEHOUSE_ACCEPT=1 swift test --filter LimitsImportTests")
    }

    /// Standard output and then standard error, or the mistake.
    private static func printed(_ bytes: [UInt8], format: LimitsImportFormat? = nil) -> String {
        do throws(LimitsImportMistake) {
            let outcome = try LimitsImportInput.outcome(
                of: bytes, file: "FILE", format: format, operations: operations)
            return "\(outcome.text)\n\(outcome.summary)\n"
        } catch {
            return "\(error)\n"
        }
    }

    // MARK: - What is printed means what was read

    @Test(arguments: names)
    func `the printed limits pass as settings and are about the same operations`(_ name: String) throws {
        let text = try String(contentsOfFile: Self.directory + "/" + name, encoding: .utf8)
        let input = text.components(separatedBy: "\n-----\n")[0] + "\n"
        let result: ImportResult
        do throws(LimitsImportMistake) {
            result = try LimitsImportInput.result(
                of: Array(input.utf8), file: "FILE", format: nil, operations: Self.operations
            ).result
        } catch {
            return
        }
        let settings = """
            listeners: [{address: "127.0.0.1:8774"}]
            apis: [{definition: config/openapi/compute.yaml, upstream: {endpoints: ["http://127.0.0.1:1"]}}]
            identity: {provider: static, static: {tokens: [{token: t, user: {id: u, name: u}, roles: [reader],
              project: {id: a1, name: p}}]}}

            """
        let printed = Self.printed(Array(input.utf8)).components(separatedBy: "\n\n")[0] + "\n"
        let read = try SettingsReader(environment: [:])
            .read(Array((settings + printed).utf8), file: name, directory: Self.root).limits
        let limits = try LimitTable.compile(read, tables: [Self.table], hash: .random())
        try #require(limits.rules.count == result.rules.count)

        for (rule, imported) in zip(read.rules, result.rules) {
            #expect(rule.name == imported.name)
            #expect(rule.isShadow == imported.isShadow)
            #expect(Set(Settings.LimitKey.words.filter { rule.per.contains($0.1) }.map(\.0)) == imported.per)
            #expect(rule.exemptProjects == imported.exemptProjects)
            guard case .rate(let rate, let burst) = rule.quota else {
                Issue.record("no rate")
                continue
            }
            #expect(burst == imported.burst)
            let seconds = ImportRate.units.first { $0.word == imported.rate.unit }?.seconds
            #expect(rate.count == imported.rate.count && rate.unit.rawValue == seconds)
        }
        let owner = Array("a2".utf8)
        for (index, range) in Self.operations.ranges.enumerated() {
            let actions = Array(Self.table.actions(of: index))
            for (offset, unit) in range.enumerated() where !Self.operations.free.contains(unit) {
                var charges = LimitCharges()
                owner.withUnsafeBytes { bytes in
                    let view = ByteView(
                        start: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count)
                    var subject = LimitSubject()
                    subject.hasIdentity = true
                    subject.project = view
                    subject.user = view
                    subject.operation = index
                    subject.action = offset == 0 ? -1 : actions[offset - 1]
                    limits.demand(subject, into: &charges)
                }
                let asked = Set((0..<charges.count).map { read.rules[Int(charges[$0].rule)].name })
                let wanted = Set(result.rules.filter { $0.units.contains(unit) }.map(\.name))
                #expect(asked == wanted, "\(Self.operations.units[unit].operation.id)")
            }
        }
    }

    // MARK: - Texts that are no limits, or bad ones

    @Test(arguments: [
        ("", "FILE:1:1: the file is empty"),
        (" \r\n\t\n", "FILE:1:1: the file is empty"),
        ("\u{FEFF}", "FILE:1:1: the file is empty"),
        ("hello\n", "FILE:1:1: these are no limits of Repose, of SAP's middleware or of Nova"),
        ("a\u{0}b", "FILE:1:2: a control character is in the file"),
        ("<a/>", "FILE:1:1: the element is `a`, not Repose's `rate-limiting`"),
        ("\n <rate-limiting xmlns='urn:x'/>", "FILE:2:2: the namespace is none of Repose's for rate limits"),
        ("<r:rate-limiting xmlns:r='urn:x'/>", "FILE:1:1: the namespace is none of Repose's for rate limits"),
        ("<rate-limiting>", "FILE:1:16: the XML is not well-formed"),
        ("<rate-limiting>\n<limit-group></rate-limiting>", "FILE:2:"),
        ("<rate-limiting>&file;</rate-limiting>", "FILE:1:"),
        (
            "<?xml version='1.0' encoding='ISO-8859-1'?><rate-limiting/>",
            "FILE:1:1: the encoding is not UTF-8"
        ),
        ("rates: [", "FILE:2:1: not YAML: "),
        ("rates:\n  global: 1\n  global: 2\n", "FILE:2:3: a key is there twice in one mapping"),
        ("groups: {a: [b]}\n", "FILE:1:1: there are no `rates`"),
        ("limits = POST, \"*\", .*, 10, MINUTE\n", "FILE:1:10: a limit is in parentheses"),
        (
            "limits = (POST, \"*\", .*, 1, DAY);\n  (PUT, \"*\", .*, 1, DAY\n",
            "FILE:2:3: a limit is in parentheses"
        ),
        ("[filter:ratelimit\nlimits = (POST)\n", "FILE:1:1: the section's name does not end"),
    ])
    func `what cannot be read is told with its place`(_ text: String, _ mistake: String) {
        let told = Self.printed(Array(text.utf8))
        #expect(told.hasPrefix(mistake), "\(told)")
        #expect(!told.contains("limits:"))
    }

    @Test func `bytes that are not UTF-8 are told with their place`() {
        let latin = Array("<rate-limiting>\n<!-- ".utf8) + [0xE4] + Array(" --></rate-limiting>".utf8)
        #expect(Self.printed(latin) == "FILE:2:6: the file is not UTF-8\n")
        let utf16: [UInt8] = [0xFF, 0xFE, 0x3C, 0x00, 0x61, 0x00]
        #expect(Self.printed(utf16) == "FILE:1:1: the file is not UTF-8\n")
    }

    @Test func `a file as an editor of Windows saves it is read`() {
        let told = Self.printed(Array("\u{FEFF}limits = (POST, \"*\", .*, 10, MINUTE)\r\n".utf8))
        #expect(told.contains("\n      operations: [POST]\n      per: user\n      rate: 10/min\n"))
        #expect(told.hasSuffix("\n1 rule; everything has its equivalent\n"))
    }

    @Test(arguments: [
        #"<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"#,
        #"<!DOCTYPE a SYSTEM "file:///etc/passwd">"#,
        #"<!DOCTYPE a PUBLIC "-//X//Y" "http://127.0.0.1:1/x.dtd">"#,
        #"<!-- --><!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/p"> %p;]>"#,
    ])
    func `a document type declaration is refused before it is read`(_ declaration: String) {
        let told = Self.printed(
            Array("<?xml version=\"1.0\"?>\n\(declaration)<rate-limiting>&b;</rate-limiting>".utf8))
        #expect(told.contains(": document type declarations and entities are not read\n"))
        #expect(told.hasPrefix("FILE:2:"))
    }

    @Test func `what only looks like a declaration is read`() {
        let text = """
            <!-- <!DOCTYPE a> --><rate-limiting><?php <!DOCTYPE a> ?><![CDATA[<!DOCTYPE a><b>]]>
            <limit-group id="g" groups="" default="1"><limit id="&#97;&amp;&lt;" uri-regex="/v2/.*" value="1" unit="DAY"/>
            </limit-group></rate-limiting>
            """
        let told = Self.printed(Array(text.utf8))
        #expect(told.contains("    - name: a\n      per: user\n"))
        #expect(told.contains("from FILE:2: id=\"a&<\" "))
    }

    @Test func `too many and too deep elements are refused`() {
        let deep = String(repeating: "<a>", count: 100) + String(repeating: "</a>", count: 100)
        #expect(
            Self.printed(Array(deep.utf8)) == "FILE:1:193: more than 64 elements are inside each other\n")
        let many = "<a>" + String(repeating: "<b/>", count: 20_000) + "</a>"
        #expect(Self.printed(Array(many.utf8)).contains("there are more than 20000 elements"))
    }

    @Test func `a tower of aliases is refused`() {
        var text = "rates: &a0 [x]\n"
        for floor in 1...30 { text += "k\(floor): &a\(floor) [*a\(floor - 1), *a\(floor - 1)]\n" }
        #expect(Self.printed(Array(text.utf8)).contains("there are more than 16 aliases (*name)"))
    }

    @Test func `an expression without an end of search costs little time`() {
        let hostile = (0..<8).map { "(GET, \"*\", (([a-z0-9/.-]+)*)*!\($0), 1, DAY)" }.joined(separator: ";")
        let start = ContinuousClock.now
        let outcome = try? LimitsImportInput.outcome(
            of: Array(hostile.utf8), file: "FILE", format: .nova, operations: Self.operations)
        #expect(outcome?.summary == "0 rules; 8 things have no equivalent, told in the last comments")
        #expect(ContinuousClock.now - start < .seconds(40))
    }

    @Test func `comments cannot be left by what is in a file`() throws {
        let text = "limits = (POST, \"*\u{2028}rules: []\u{85}x: 1\u{1B}\", .*[, 10, MINUTE)\n"
        #expect(Self.printed(Array(text.utf8)) == "FILE:1:34: a control character is in the file\n")
        let plain = "limits = (POST, \"*\u{2028}rules: []\u{85}x: 1\", .*[, 10, MINUTE)\n"
        let told = Self.printed(Array(plain.utf8))
        #expect(told.contains("\\u{2028}rules: []\\u{85}x: 1"))
        #expect(told.contains("  rules: []\n"))
    }

    @Test func `rules that do not fit are told`() {
        let limits =
            (1...70).map { "(POST, \"*/\($0)\", ^/servers/[^/]+/action$, \($0), DAY)" } + [
                "(PUT, \"*\", .*, 5, DAY)", "(PUT, \"again\", .*, 5, DAY)",
            ]
        let told = Self.printed(Array(limits.joined(separator: ";").utf8)).replacing("\n#   ", with: " ")
        #expect(told.contains("8 rules are about servers.action already, as many as may be"))
        #expect(told.contains("says what line 1 says"))
        #expect(told.hasSuffix("\n9 rules; 63 things have no equivalent, told in the last comments\n"))
    }

    @Test(arguments: [
        (100, 60, "100/min", false), (5, 900, "20/h", false), (7, 660, "916/day", true), (1, 1, "1/s", false),
        (2_000_000, 86_400, "83333/h", true), (10, 604_800, "1/day", true), (30, 30, "1/s", false),
    ])
    func `a rate in any window is one in a unit`(
        _ count: Int, _ seconds: Int, _ text: String, _ isRounded: Bool
    ) {
        let rate = ImportRate(count, seconds: seconds)
        #expect(rate.map { "\($0.count)/\($0.unit)" } == text)
        #expect(rate?.isRounded == isRounded)
    }

    @Test(arguments: [(1, 864_000), (Int.max, 1), (1, 0)])
    func `a rate of less than one a day or more than a million a second is none`(_ count: Int, _ seconds: Int)
    {
        #expect(ImportRate(count, seconds: seconds) == nil)
    }

    @Test func `the shortest selection is exact`() {
        let operations = Self.operations
        func units(_ isWanted: (ImportOperations.Unit) -> Bool) -> Set<Int> {
            Set(operations.units.indices.filter { isWanted(operations.units[$0]) })
        }
        #expect(operations.selection(of: units { _ in true }) == [])
        #expect(operations.selection(of: units { $0.operation.method == .get }) == ["GET"])
        #expect(operations.selection(of: units { $0.operation.tags == ["keypairs"] }) == ["tag:keypairs"])
        #expect(operations.selection(of: units { $0.limitClass == "usage" }) == ["class:usage"])
        #expect(operations.selection(of: units { $0.action?.key == "reboot" }) == ["reboot"])
        #expect(operations.selection(of: units { $0.operation.id == "servers.action" }) == ["servers.action"])
        #expect(operations.selection(of: units { $0.operation.id == "limits.show" }) == ["limits.show"])
        #expect(
            operations.selection(
                of: units { $0.operation.id == "servers.action" && $0.action?.key == "reboot" })
                == ["servers.action:reboot"])
        #expect(
            operations.selection(
                of: units { $0.operation.method == .post || $0.operation.id == "servers.show" })
                == ["POST", "servers.show"])
    }

    @Test func `a large file is refused`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/gatehouse-limits-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(count: (1 << 20) + 1).write(to: URL(fileURLWithPath: path))
        let mistake = #expect(throws: LimitsImportMistake.self) { try LimitsImportInput.read(path) }
        #expect(mistake?.description == "\(path):1:1: the file is larger than 1 MiB")
        #expect(throws: LimitsImportMistake.self) { try LimitsImportInput.read(path + ".none") }
        #expect(throws: LimitsImportMistake.self) { try LimitsImportInput.read("/") }
    }
}
