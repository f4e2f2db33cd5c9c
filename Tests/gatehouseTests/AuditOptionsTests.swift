import ArgumentParser
import Bytes
import Gateway
import Testing

@testable import gatehouse

/// What is typed behind `gatehouse audit …`, and the table that it prints.
struct AuditOptionsTests {
    private static let now: Int64 = 1_788_256_800_000_000

    @Test(arguments: [
        ("2h", 7_200), ("90s", 90), ("30m", 1_800), ("7d", 604_800), ("4w", 2_419_200), ("0s", 0),
    ])
    func `a moment may be how long ago it is`(text: String, seconds: Int64) {
        #expect(AuditFilterOptions.moment(text, now: Self.now) == Self.now - seconds * 1_000_000)
    }

    @Test func `a moment may be a time with its zone`() {
        #expect(AuditFilterOptions.moment("2026-09-01T12:00:00+02:00", now: 0) == Self.now)
        #expect(AuditFilterOptions.moment("999999999w", now: Self.now) == 0)
    }

    @Test(arguments: ["", "h", "2", "-2h", "2y", "2 h", "1e3s", "12345678901s", "2026-09-01", "yesterday"])
    func `a moment that is none is refused`(text: String) {
        #expect(AuditFilterOptions.moment(text, now: Self.now) == nil)
        #expect(throws: (any Error).self) { try AuditSearch.parse(["--since=\(text)", "file"]) }
    }

    @Test func `filters are what was typed`() throws {
        let search = try AuditSearch.parse([
            "--user", "u", "--project", "p", "--target", "t", "--action", "update/", "--outcome", "failure",
            "--request-id", "r", "--since", "2026-09-01T10:00:00Z", "--until", "2026-09-01T10:00:01Z", "a",
            "b",
        ])
        let filter = search.options.filter
        #expect(
            filter.user == "u" && filter.project == "p" && filter.target == "t" && filter.requestID == "r")
        #expect(filter.action == "update" && filter.outcome == "failure")
        #expect(filter.since == Self.now && filter.until == Self.now + 1_000_000)
        #expect(search.files == ["a", "b"])
    }

    @Test(arguments: [
        ["--json", "--table", "f"], ["--outcome", "good", "f"], ["--user", "", "f"], [],
    ])
    func `what means nothing is refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try AuditSearch.parse(arguments) }
    }

    @Test(arguments: [["-n", "-1", "f"], ["-n", "100001", "f"], ["a", "b"]])
    func `a tail of so many, or of several files, is refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try AuditTail.parse(arguments) }
    }

    private static func line(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBufferPointer { TrailEvent($0).map(AuditColumns.line) }
    }

    @Test func `a line of the table has its columns under their names`() throws {
        let line = try #require(
            Self.line(
                #"{"eventTime":"2026-09-01T10:00:00.123456+00:00","action":"update/reboot","outcome":"failure","#
                    + #""reason":{"reasonType":"HTTP","reasonCode":"409"},"initiator":{"id":"u1","name":"alice","#
                    + #""project_id":"p1","request_id":"req-1"},"target":{"id":"t1"}}"#))
        let cells = [
            "2026-09-01T10:00:00.123456Z", "failure", "409", "update/reboot", "u1", "p1", "t1", "req-1",
        ]
        #expect(line.split(separator: " ").map(String.init) == cells)
        // Where a column begins, in the head and in the line.
        func starts(_ text: String, _ parts: [String]) -> [Int] {
            var rest = text[...]
            return parts.compactMap { part in
                guard let place = rest.firstRange(of: part) else { return nil }
                rest = rest[place.upperBound...]
                return text.distance(from: text.startIndex, to: place.lowerBound)
            }
        }
        let names = ["TIME", "OUTCOME", "STATUS", "ACTION", "USER", "PROJECT", "TARGET", "REQUEST ID"]
        #expect(starts(AuditColumns.head, names) == starts(line, cells) && starts(line, cells).count == 8)
        #expect(Self.line("{}")?.split(separator: " ").allSatisfy { $0 == "-" } == true)
    }

    @Test func `what a terminal would take for a command is written out`() throws {
        let line = try #require(Self.line(#"{"action":"a\u001b[31m\nb\u202e","outcome":"\u009bx"}"#))
        #expect(line.contains("a\\u{1b}[31m\\u{a}b\\u{202e}") && line.contains("\\u{9b}x"))
        #expect(!line.contains("\n") && !line.contains("\u{1b}"))
    }
}
