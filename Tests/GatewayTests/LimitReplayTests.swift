import Bytes
import Foundation
import Loop
import OpenStack
import Testing

@testable import Gateway

/// Access lines as the program writes them, made up.
struct MadeLine {
    /// Seconds after 2026-11-22T05:00:00Z at which it began, and for how many it lasted.
    var start: Double
    var lasts = 0.001
    var operation: String? = "servers.show"
    var action: String?
    var project: String? = "a1"
    var user = "u1"
    var roles: String? = "member"
    var client = "192.0.2.1"
    var more = ""

    var end: Double { start + lasts }

    var text: String {
        let milliseconds = Int((end * 1_000).rounded())
        let seconds = milliseconds / 1_000
        let time = String(
            format: "2026-11-22T%02d:%02d:%02d.%03dZ", 5 + seconds / 3_600, seconds / 60 % 60, seconds % 60,
            milliseconds % 1_000)
        var text = "{\"time\":\"\(time)\",\"request_id\":\"req-1\",\"client\":\"\(client)\""
        if let project {
            text += ",\"project\":\"\(project)\",\"user\":\"\(user)\""
            if let roles { text += ",\"roles\":\"\(roles)\"" }
        }
        if let operation { text += ",\"operation\":\"\(operation)\"" }
        if let action { text += ",\"action\":\"\(action)\"" }
        let status = more.contains("\"status\"") ? "" : ",\"status\":200"
        return text + ",\"method\":\"GET\",\"target\":\"/v2.1/x\"\(status)\(more)"
            + ",\"microseconds\":{\"total\":\(Int((lasts * 1_000_000).rounded()))}}"
    }
}

struct LimitReplayTests {
    private static let table: OperationTable? = {
        let file = SettingsPlaces.root + "/config/openapi/compute.yaml"
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
        return try? OperationTable.load(text: text, file: file)
    }()

    private static let identity =
        "{provider: static, static: {tokens: [{token: t, user: {id: u}, project: {id: a}, roles: []}]}}"

    /// A replay under rules as they stand in a settings file.
    private static func replay(
        _ rules: String, more: String = "", onLimited: ((LimitedRequest) -> Void)? = nil
    ) throws -> LimitReplay {
        let text = "limits:\n  bad_tokens: off\n\(more)  rules: [\(rules)]\n"
        let settings = try SettingsPlaces.read(text, identity: identity)
        return try LimitReplay(settings.limits, tables: [#require(table)], onLimited: onLimited)
    }

    private static func read(_ lines: [String], _ replay: LimitReplay) -> LimitReplayReport {
        replay.begin(file: "a.log")
        for (index, line) in lines.enumerated() {
            Array(line.utf8).withUnsafeBufferPointer { replay.read(line: $0, number: index + 1) }
        }
        return replay.finish(topCount: 20)
    }

    /// What rules do to lines, in the order of their ends as a log has them.
    private static func report(
        _ rules: String, _ lines: [MadeLine], more: String = "",
        onLimited: ((LimitedRequest) -> Void)? = nil
    ) throws -> LimitReplayReport {
        let sorted = lines.enumerated().sorted { ($0.element.end, $0.offset) < ($1.element.end, $1.offset) }
        return read(sorted.map(\.element.text), try replay(rules, more: more, onLimited: onLimited))
    }

    @Test func `a burst is let through and then one an interval`() throws {
        // Ten a second for ten seconds against one a second and three at once: 3 at the start, then 1 a second.
        var limited: [LimitedRequest] = []
        let lines = (0..<100).map { MadeLine(start: Double($0) / 10) }
        let report = try Self.report("{name: r, per: project, rate: 1/s, burst: 3}", lines) {
            limited.append($0)
        }
        let rule = report.rules[0]
        #expect(rule.requests == 100 && rule.allowed == 12 && rule.limited == 88)
        #expect(rule.limitedSubjects == 1 && rule.worst?.name == "project=a1" && rule.worst?.limited == 88)
        #expect(rule.longestWait == 900_000_000)
        #expect(limited.count == 88 && limited[0].wait == 700_000_000 && limited[0].rule == "r")
        #expect(limited[0].file == "a.log" && limited[0].line == 4 && limited[0].requestID == "req-1")
        let begin: UInt64 = 1_795_323_600_000_000_000
        #expect(limited[0].time == begin + 300_000_000)
        #expect(report.subjects.map(\.first) == [begin + 300_000_000])
        #expect(report.subjects.map(\.last) == [begin + 9_900_000_000])
    }

    @Test func `exchanges are asked about in the order in which they began`() throws {
        // The one that began first ends last, so its line is the last.
        let lines = [
            MadeLine(start: 0, lasts: 5, user: "first"), MadeLine(start: 1, user: "second"),
            MadeLine(start: 2, user: "third"),
        ]
        var limited: [LimitedRequest] = []
        _ = try Self.report("{name: r, per: project, rate: 1/h, burst: 2}", lines) { limited.append($0) }
        #expect(limited.map(\.line) == [2])
    }

    @Test func `at once counts from the beginning to the end`() throws {
        let lines = [
            MadeLine(start: 0, lasts: 10), MadeLine(start: 1, lasts: 2), MadeLine(start: 2, lasts: 1),
            // The second has ended by now, the third was refused.
            MadeLine(start: 3.001, lasts: 1), MadeLine(start: 4, lasts: 1), MadeLine(start: 11, lasts: 1),
        ]
        let report = try Self.report("{name: r, per: user, at_once: 2}", lines)
        #expect(report.rules[0].limited == 2 && report.rules[0].allowed == 4)
        #expect(report.rules[0].longestWait == 0 && report.rules[0].quota == "2 at once")
    }

    @Test func `hits and 304 get back what they do not cost`() throws {
        func allowed(_ more: String) throws -> Int {
            let lines = (0..<50).map { MadeLine(start: Double($0) / 100, more: more) }
            return try Self.report(
                "{name: r, per: project, rate: 1/day, burst: 10, hit_cost: 0.5, not_modified_cost: 0.25}",
                lines
            ).rules[0].allowed
        }
        // The last one needs a whole request's room before it gets something back.
        #expect(try allowed("") == 10)
        #expect(try allowed(",\"cache\":\"hit\"") == 19)
        #expect(try allowed(",\"cache\":\"uri-miss\",\"collapsed\":true") == 19)
        #expect(try allowed(",\"cache\":\"stale\"") == 19)
        #expect(try allowed(",\"cache\":\"uri-miss\"") == 10)
        #expect(try allowed(",\"status\":304,\"cache\":\"hit\"") == 37)
    }

    @Test func `a rule that another one refuses for is not charged`() throws {
        let rules = """
            {name: wide, per: project, rate: 1/day, burst: 5}, {name: narrow, per: user, rate: 1/day, burst: 2}, \
            {name: shadow, per: address, rate: 1/day, burst: 3, mode: shadow}
            """
        let lines = (0..<10).map { MadeLine(start: Double($0), user: $0 < 6 ? "u1" : "u2") }
        let report = try Self.report(rules, lines)
        let (wide, narrow, shadow) = (report.rules[0], report.rules[1], report.rules[2])
        // u1 gets 2 of 6, u2 2 of 4.
        #expect(wide.allowed == 4 && wide.limited == 0 && wide.refusedByOthers == 6)
        #expect(narrow.allowed == 4 && narrow.limited == 6 && narrow.limitedSubjects == 2)
        #expect(shadow.isShadow && shadow.allowed == 3 && shadow.limited == 1 && shadow.refusedByOthers == 6)
        for rule in report.rules {
            #expect(rule.requests == rule.allowed + rule.limited + rule.refusedByOthers)
        }
    }

    @Test func `roles spare those who have them, and lines without roles are told of`() throws {
        let rule = "{name: r, per: project, rate: 1/day, exempt: {roles: [Service]}}"
        let lines = [
            MadeLine(start: 0, roles: "admin,service"), MadeLine(start: 1, roles: "member"),
            MadeLine(start: 2, roles: nil), MadeLine(start: 3, roles: nil),
        ]
        let report = try Self.report(rule, lines)
        #expect(report.rules[0].requests == 3 && report.rules[0].limited == 2)
        #expect(report.notes.contains { $0.hasPrefix("2 requests have no roles in the log") })
        let plain = try Self.report("{name: r, per: project, rate: 1/day}", lines)
        #expect(!plain.notes.contains { $0.contains("roles") })
    }

    @Test func `actions are told apart where the log has them`() throws {
        let rule = "{name: r, operations: [reboot], per: user, rate: 1/day}"
        let lines = ["reboot", "resize", "reboot", nil].enumerated().map {
            MadeLine(start: Double($0.offset), operation: "servers.action", action: $0.element)
        }
        let report = try Self.report(rule, lines)
        #expect(report.rules[0].requests == 2 && report.rules[0].limited == 1)
        #expect(report.notes.contains { $0.hasPrefix("1 requests whose limits depend on the action") })
    }

    @Test func `what is not asked about is told of`() throws {
        let lines = [
            MadeLine(start: 0, project: nil, more: ",\"status\":401,\"error\":\"unauthorized\""),
            MadeLine(start: 1, more: ",\"status\":401,\"error\":\"unauthorized\""),
            MadeLine(start: 2, operation: "servers.dance"), MadeLine(start: 3, operation: nil),
            MadeLine(start: 4, project: nil),
            MadeLine(start: 5, more: ",\"status\":429,\"error\":\"rate_limited\""),
            MadeLine(start: 6, operation: "versions.show", project: nil),
        ]
        let rules = "{name: p, per: project, rate: 100/s}, {name: t, per: token, rate: 100/s}"
        let report = try Self.report(rules, lines)
        #expect(report.lineCount == 7 && report.requestCount == 5)
        #expect(report.rules.map(\.requests) == [4, 5])
        let notes = report.notes
        #expect(notes.contains { $0.hasPrefix("1 requests ended before limits are asked") })
        #expect(
            notes.contains { $0.hasPrefix("1 requests are of operations") && $0.contains("servers.dance") })
        #expect(notes.contains { $0.hasPrefix("1 requests have no identity in the log") })
        #expect(notes.contains { $0.hasPrefix("1 requests were refused by the limits of then") })
        #expect(notes.contains { $0.hasPrefix("A log has no tokens") })
    }

    @Test func `names are of what a rule counts by`() throws {
        let lines = ["192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"].enumerated().map {
            MadeLine(start: Double($0.offset), user: "b\\u00c3\\u00a4", client: $0.element)
        }
        func names(_ per: String) throws -> [String] {
            try Self.report("{name: r, per: [\(per)], rate: 1/day}", lines).subjects.map(\.name)
        }
        #expect(try names("address") == ["address=192.0.2.1", "address=2001:db8::/64"])
        #expect(try names("user") == ["user=bä"])
        #expect(try names("project, operation") == ["project=a1 operation=servers.show"])
        #expect(try names("token") == ["user=bä project=a1"])
        #expect(try names("") == ["all"])
        let unscoped = (0..<2).map { MadeLine(start: Double($0), project: "", user: "u\\u001b[1m") }
        let report = try Self.report("{name: r, per: project, rate: 1/day}", unscoped)
        #expect(report.subjects.map(\.name) == ["project=none user=u\\u{1b}[1m"])
    }

    @Test func `lines that cannot be read are counted, and the first are named`() throws {
        let good = MadeLine(start: 0).text
        let bad = [
            "", "{", "[]", "null", good + "x", String(good.dropLast()), "{}",
            good.replacingOccurrences(of: "T05", with: "T25"),
            good.replacingOccurrences(of: "2026", with: "9999"),
            good.replacingOccurrences(of: "192.0.2.1", with: "192.0.2"),
            good.replacingOccurrences(of: "\"total\"", with: "\"all\""),
            good.replacingOccurrences(of: ":1000}", with: ":-1}"), "\u{0}\u{1}",
        ]
        let report = Self.read([good] + bad + [good], try Self.replay("{name: r, rate: 1/day}"))
        #expect(report.lineCount == 15 && report.unreadable.count == bad.count && report.requestCount == 2)
        #expect(report.unreadable.first.count == 10)
        #expect(report.unreadable.first.map(\.line) == Array(2...11))
        #expect(report.unreadable.first[7].reason == "its time is none")
        #expect(report.rules[0].limited == 1)
    }

    @Test func `an exchange that lasts for all time began with the first`() throws {
        let line = MadeLine(start: 0).text.replacingOccurrences(of: ":1000}", with: ":18446744073709551615}")
        let report = Self.read([line, MadeLine(start: 1).text], try Self.replay("{name: r, rate: 1/day}"))
        #expect(report.requestCount == 2 && report.unreadable.count == 0)
    }

    @Test func `more than the window in progress come late and are told of`() throws {
        let count = LimitReplay.windowCount
        let replay = try Self.replay("{name: r, per: project, at_once: 4}")
        replay.begin(file: "a.log")
        func read(_ line: MadeLine, _ number: Int) {
            Array(line.text.utf8).withUnsafeBufferPointer { replay.read(line: $0, number: number) }
        }
        for index in 0..<count + 10 {
            read(MadeLine(start: 1 + Double(index) / 1_000, lasts: 0.0005), index + 1)
        }
        // Began before all of them, of which ten have been asked about.
        read(MadeLine(start: 0.5, lasts: 100), count + 11)
        let report = replay.finish(topCount: 1)
        #expect(report.rules[0].requests == count + 11 && report.rules[0].limited == 0)
        #expect(report.notes.contains { $0.hasPrefix("1 requests began before others") })
    }

    /// Against rules written down anew, without buckets or heaps.
    @Test(arguments: 0..<20)
    func `a replay says what the rules say of every request`(_ seed: UInt64) throws {
        var random = RandomSource(seed: (seed, 1, 2, 3))
        let burst = Int.random(in: 1...6, using: &random)
        // Of those whose interval is a whole number of milliseconds.
        let perMinute = [1, 2, 3, 5, 8, 12, 25, 60, 75, 120].randomElement(using: &random) ?? 1
        let lines = (0..<400).map { _ in
            MadeLine(
                start: Double(Int.random(in: 0..<120_000, using: &random)) / 1_000,
                lasts: Double(Int.random(in: 1..<20_000, using: &random)) / 1_000,
                project: "a\(Int.random(in: 0..<3, using: &random))")
        }
        var limited: [(UInt64, String)] = []
        let report = try Self.report(
            "{name: r, per: project, rate: \(perMinute)/min, burst: \(burst)}", lines
        ) { limited.append(($0.time, $0.subject)) }
        // Tokens that fill up with time, exactly, in units of which a minute has `perMinute` times 60,000.
        var tokens: [String: (left: Int, at: Int)] = [:]
        var expected: [(Int, String)] = []
        let byStart = lines.enumerated().sorted {
            ($0.element.start, $0.element.end, $0.offset) < ($1.element.start, $1.element.end, $1.offset)
        }
        for line in byStart.map(\.element) {
            let at = Int((line.start * 1_000).rounded())
            let project = line.project ?? ""
            var (left, then) = tokens[project] ?? (burst * 60_000, at)
            left = min(burst * 60_000, left + (at - then) * perMinute)
            if left >= 60_000 {
                left -= 60_000
            } else {
                expected.append((at, "project=\(project)"))
            }
            tokens[project] = (left, at)
        }
        let begin: UInt64 = 1_795_323_600_000
        let found = limited.map { (Int($0.0 / 1_000_000 - begin), $0.1) }
        #expect(found.map(\.0) == expected.map(\.0) && found.map(\.1) == expected.map(\.1))
        #expect(report.rules[0].limited == expected.count)
    }
}
