import Foundation
import Testing

/// `gatehouse limits simulate`, run as an operator runs it.
struct LimitsSimulateTests {
    private static let rules = """
        rules:
          - {name: create, operations: [servers.create], per: project, rate: 60/h, burst: 2}
          - {name: shows, operations: [servers.show], per: user, at_once: 1, mode: shadow}
        """

    /// A directory with settings and logs, and the command run in it.
    private final class Bench {
        let directory =
            FileManager.default.temporaryDirectory.path + "/gatehouse-simulate-\(UUID().uuidString)"

        init(_ limits: String = rules, identity: String? = nil) throws {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let token = "{token: a, user: {id: u}, project: {id: \"1\"}, roles: []}"
            let lines = limits.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
            try write(
                "new.yaml",
                """
                listeners: [{address: "127.0.0.1:0"}]
                apis:
                  - definition: \(SettingsPlaces.root)/config/openapi/compute.yaml
                    upstream: {endpoints: ["http://127.0.0.1:18774"]}
                identity: {provider: static, static: {tokens: [\(token)]}}
                limits:
                \(lines)

                """)
        }

        deinit { try? FileManager.default.removeItem(atPath: directory) }

        func write(_ name: String, _ text: String) throws {
            try text.write(toFile: directory + "/" + name, atomically: true, encoding: .utf8)
        }

        func write(_ name: String, _ lines: [MadeLine]) throws {
            try write(name, lines.map { $0.text + "\n" }.joined())
        }

        /// What the command says, with the directory left out.
        func run(_ logs: [String], _ arguments: [String] = []) throws -> SettingsCommandTests.Outcome {
            var outcome = try SettingsCommandTests.run(
                ["limits", "simulate", "--config", directory + "/new.yaml"]
                    + logs.flatMap { ["--access-log", $0 == "-" ? $0 : directory + "/" + $0] } + arguments)
            outcome.output = outcome.output.replacingOccurrences(of: directory + "/", with: "")
            outcome.errors = outcome.errors.replacingOccurrences(of: directory + "/", with: "")
            return outcome
        }
    }

    private static let lines =
        (0..<5).map { MadeLine(start: Double($0), operation: "servers.create") }
        + [
            MadeLine(start: 6, lasts: 2, user: "u2"), MadeLine(start: 6.5, lasts: 3, user: "u2"),
            MadeLine(start: 7, lasts: 4, user: "u3"),
        ]

    @Test func `a table of the rules, of those limited most, and of what was assumed is printed`() throws {
        let bench = try Bench()
        try bench.write("a.log", Self.lines)
        let outcome = try bench.run(["a.log"])
        #expect(outcome.status == 0 && outcome.errors == "")
        #expect(
            outcome.output == """
                8 lines, 8 requests, 2026-11-22T05:00:00.001Z to 2026-11-22T05:00:11.000Z

                RULE    MODE     QUOTA          PER      REQUESTS  ALLOWED  LIMITED  BY OTHERS  SUBJECTS  LONGEST WAIT  WORST
                create  enforce  60/h, burst 2  project         5        2        3          0         1        58.0 s  3 of project=a1
                shows   shadow   1 at once      user            3        2        1          0         1             -  1 of user=u2

                Limited the most:
                RULE    LIMITED  FIRST                     LAST                      LONGEST WAIT  SUBJECT
                create        3  2026-11-22T05:00:02.000Z  2026-11-22T05:00:04.000Z  58.0 s        project=a1
                shows         1  2026-11-22T05:00:06.500Z  2026-11-22T05:00:06.500Z  -             user=u2

                Clients that are refused come back later; a log cannot tell when.

                """)
        let fewer = try bench.run(["a.log"], ["--top", "1"])
        #expect(fewer.output.contains("project=a1\n\nClients"))
        #expect(!(try bench.run(["a.log"], ["--top", "0"])).output.contains("Limited the most"))
    }

    @Test func `each limited request is a line of its own`() throws {
        let bench = try Bench()
        try bench.write("a.log", Self.lines)
        let lines = try bench.run(["a.log"], ["--each"]).output.split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(
            lines.prefix(6) == [
                "2026-11-22T05:00:02.000Z  create  project=a1  wait 58.0 s  GET  servers.create  req-1  a.log:3",
                "2026-11-22T05:00:03.000Z  create  project=a1  wait 57.0 s  GET  servers.create  req-1  a.log:4",
                "2026-11-22T05:00:04.000Z  create  project=a1  wait 56.0 s  GET  servers.create  req-1  a.log:5",
                "2026-11-22T05:00:06.500Z  shows (shadow)  user=u2  GET  servers.show  req-1  a.log:7", "",
                "8 lines, 8 requests, 2026-11-22T05:00:00.001Z to 2026-11-22T05:00:11.000Z",
            ])
    }

    @Test func `JSON has the same`() throws {
        struct Request: Decodable, Equatable {
            var time, rule, mode, subject: String
            var wait_seconds: Double
            var file: String
            var line: Int
        }
        struct Report: Decodable {
            struct Rule: Decodable {
                var name, mode, quota: String
                var per: [String]
                var requests, allowed, limited, refused_by_others, limited_subjects: Int
                var longest_wait_seconds: Double
            }
            struct Subject: Decodable {
                var rule, subject, first, last: String
                var limited: Int
            }
            struct Unreadable: Decodable {
                struct Line: Decodable {
                    var file, reason: String
                    var line: Int
                }
                var count: Int
                var first: [Line]
            }
            var lines, requests: Int
            var from, to: String
            var rules: [Rule]
            var subjects: [Subject]
            var unreadable: Unreadable
            var notes: [String]
        }
        let bench = try Bench()
        try bench.write("a.log", Self.lines.map { $0.text + "\n" }.joined() + "what\n")
        let outcome = try bench.run(["a.log"], ["--each", "--json"])
        #expect(outcome.status == 0)
        let lines = outcome.output.split(separator: "\n").map { Data($0.utf8) }
        try #require(lines.count == 5)
        let first = try JSONDecoder().decode(Request.self, from: lines[0])
        #expect(
            first
                == Request(
                    time: "2026-11-22T05:00:02.000Z", rule: "create", mode: "enforce", subject: "project=a1",
                    wait_seconds: 58, file: "a.log", line: 3))
        let report = try JSONDecoder().decode(Report.self, from: lines[4])
        #expect(report.lines == 9 && report.requests == 8 && report.from == "2026-11-22T05:00:00.001Z")
        #expect(report.rules.map(\.name) == ["create", "shows"] && report.rules.map(\.limited) == [3, 1])
        #expect(
            report.rules[0].requests == 5 && report.rules[0].allowed == 2
                && report.rules[0].per == ["project"])
        #expect(report.rules[0].longest_wait_seconds == 58 && report.rules[1].mode == "shadow")
        #expect(report.rules[0].refused_by_others == 0 && report.rules[0].limited_subjects == 1)
        #expect(report.subjects.map(\.limited) == [3, 1] && report.notes.count == 1)
        #expect(report.unreadable.count == 1 && report.unreadable.first[0].line == 9)
        #expect(report.unreadable.first[0].reason == "not a JSON object")
    }

    @Test func `several logs are one in the order of their names, each with its lines`() throws {
        let bench = try Bench()
        try bench.write("a.log", Array(Self.lines.prefix(2)))
        try bench.write("b.log", Array(Self.lines[2..<4]))
        let outcome = try bench.run(["a.log", "b.log"], ["--each"])
        #expect(outcome.output.contains("req-1  b.log:1\n") && outcome.output.contains("req-1  b.log:2\n"))
        #expect(outcome.output.contains("\n4 lines, 4 requests"))
    }

    @Test func `lines that are too long or no access lines are named, and the others count`() throws {
        let bench = try Bench()
        let good = Self.lines.map(\.text)
        let long = String(repeating: "x", count: 3 << 20)
        // Just short enough, and one more; a space is nothing in JSON.
        let most = good[2] + String(repeating: " ", count: 65_536 - good[2].utf8.count)
        let text =
            [good[0], long, good[1], most, most + " ", good[3], ""].joined(separator: "\n") + "{\"time\":"
        try bench.write("a.log", text)
        let outcome = try bench.run(["a.log"])
        #expect(outcome.status == 0)
        #expect(outcome.output.hasPrefix("7 lines, 4 requests"))
        #expect(
            outcome.output.contains(
                """
                3 lines could not be read:
                a.log:2: longer than 65536 bytes
                a.log:5: longer than 65536 bytes
                a.log:7: not a JSON object

                """))
    }

    @Test func `an empty log is no mistake, one without a single access line is`() throws {
        let bench = try Bench()
        try bench.write("a.log", "")
        let empty = try bench.run(["a.log"])
        #expect(empty.status == 0 && empty.output.hasPrefix("0 lines, no exchange among them\n\nRULE"))
        #expect(try bench.run(["-"]).status == 0, "standard input is empty here")
        try bench.write("a.log", String(repeating: "127.0.0.1 - - GET / 200\n", count: 12))
        let wrong = try bench.run(["a.log"])
        #expect(wrong.status == 1 && wrong.output.contains("a.log:10: not a JSON object\nand 2 more"))
    }

    @Test func `mistakes of the settings are told as by check, and what cannot be read is named`() throws {
        let wrong = try Bench(
            "rules:\n  - {name: a, operations: [servers.creat], rate: 1/s}\n  - {name: b, rate: 1/s}")
        let mistakes = try wrong.run(["a.log"])
        #expect(mistakes.status == 1 && mistakes.output == "")
        #expect(mistakes.errors.hasPrefix("new.yaml:8:30: `operations`: `servers.creat` is no operation"))
        let none = try Bench("bad_tokens: off").run(["a.log"])
        #expect(none.status == 1 && none.errors == "new.yaml: there are no rules in `limits`\n")
        let unknown = try Bench("rulez: []").run(["a.log"])
        #expect(unknown.status == 1 && unknown.errors.contains("unknown key `rulez` in `limits`"))
        let bench = try Bench()
        let absent = try bench.run(["a.log"])
        #expect(absent.status == 1 && absent.errors == "a.log: No such file or directory\n")
        let directory = try bench.run(["."])
        #expect(directory.status == 1 && directory.errors.hasSuffix(": Is a directory\n"))
        #expect(try bench.run([]).status == 64)
        #expect(try bench.run(["-", "-"]).status == 64)
        #expect(try bench.run(["a.log"], ["--top", "-1"]).status == 64)
    }
}
