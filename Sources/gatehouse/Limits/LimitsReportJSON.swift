import Foundation
import Gateway

/// What `gatehouse limits simulate --json` prints: one object a line.
enum LimitsReportJSON {
    private struct Report: Encodable {
        var lines: Int
        var requests: Int
        var from: String?
        var to: String?
        var rules: [Rule]
        var subjects: [Subject]
        var unreadable: Unreadable
        var notes: [String]
    }

    private struct Rule: Encodable {
        var name: String
        var mode: String
        var quota: String
        var per: [String]
        var requests: Int
        var allowed: Int
        var limited: Int
        var refused_by_others: Int
        var limited_subjects: Int
        var longest_wait_seconds: Double
        var worst: Subject?
    }

    private struct Subject: Encodable {
        var rule: String
        var subject: String
        var limited: Int
        var first: String
        var last: String
        var longest_wait_seconds: Double

        init(_ subject: LimitReplayReport.Subject) {
            rule = subject.rule
            self.subject = subject.name
            limited = subject.limited
            first = LimitsReportText.time(subject.first)
            last = LimitsReportText.time(subject.last)
            longest_wait_seconds = LimitsReportJSON.seconds(subject.longestWait)
        }
    }

    private struct Unreadable: Encodable {
        var count: Int
        var first: [Line]

        struct Line: Encodable {
            var file: String
            var line: Int
            var reason: String
        }
    }

    private struct Request: Encodable {
        var time: String
        var rule: String
        var mode: String
        var subject: String
        var wait_seconds: Double
        var method: String
        var operation: String?
        var request_id: String
        var file: String
        var line: Int
    }

    static func line(_ report: LimitReplayReport) throws -> String {
        let rules = report.rules.map { rule in
            Rule(
                name: rule.name, mode: mode(rule.isShadow), quota: rule.quota, per: rule.per,
                requests: rule.requests, allowed: rule.allowed, limited: rule.limited,
                refused_by_others: rule.refusedByOthers, limited_subjects: rule.limitedSubjects,
                longest_wait_seconds: seconds(rule.longestWait), worst: rule.worst.map(Subject.init))
        }
        return try encoded(
            Report(
                lines: report.lineCount, requests: report.requestCount,
                from: report.period.map { LimitsReportText.time($0.lowerBound) },
                to: report.period.map { LimitsReportText.time($0.upperBound) }, rules: rules,
                subjects: report.subjects.map(Subject.init),
                unreadable: Unreadable(
                    count: report.unreadable.count,
                    first: report.unreadable.first.map {
                        Unreadable.Line(file: $0.file, line: $0.line, reason: $0.reason)
                    }), notes: report.notes))
    }

    static func line(_ request: LimitedRequest) -> String {
        let row = Request(
            time: LimitsReportText.time(request.time), rule: request.rule, mode: mode(request.isShadow),
            subject: request.subject, wait_seconds: seconds(request.wait), method: request.method,
            operation: request.operation.isEmpty ? nil : request.operation, request_id: request.requestID,
            file: request.file, line: request.line)
        // Strings and finite numbers can always be encoded.
        return (try? encoded(row)) ?? "{}"
    }

    private static func mode(_ isShadow: Bool) -> String { isShadow ? "shadow" : "enforce" }

    /// Milliseconds, rounded up.
    private static func seconds(_ nanoseconds: UInt64) -> Double {
        Double((nanoseconds + 999_999) / 1_000_000) / 1_000
    }

    private static func encoded(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
