import Gateway
import Glibc

/// What `gatehouse limits simulate` prints for people.
enum LimitsReportText {
    static func text(_ report: LimitReplayReport) -> String {
        var parts = [head(report), rules(report)]
        if !report.subjects.isEmpty { parts.append("Limited the most:\n" + subjects(report)) }
        if report.unreadable.count > 0 {
            let named = report.unreadable.first.map { "\($0.file):\($0.line): \($0.reason)" }
            let rest = report.unreadable.count - named.count
            parts.append(
                "\(report.unreadable.count) lines could not be read:\n" + named.joined(separator: "\n")
                    + (rest > 0 ? "\nand \(rest) more" : ""))
        }
        let notes = report.notes
        if !notes.isEmpty { parts.append(notes.joined(separator: "\n")) }
        return parts.joined(separator: "\n\n")
    }

    /// One limited request.
    static func line(_ request: LimitedRequest) -> String {
        var words = [
            time(request.time), request.isShadow ? "\(request.rule) (shadow)" : request.rule, request.subject,
        ]
        if request.wait > 0 { words.append("wait \(seconds(request.wait))") }
        words += [request.method, request.operation, request.requestID, "\(request.file):\(request.line)"]
        return words.filter { !$0.isEmpty }.joined(separator: "  ")
    }

    private static func head(_ report: LimitReplayReport) -> String {
        guard let period = report.period else { return "\(report.lineCount) lines, no exchange among them" }
        return "\(report.lineCount) lines, \(report.requestCount) requests, "
            + "\(time(period.lowerBound)) to \(time(period.upperBound))"
    }

    private static func rules(_ report: LimitReplayReport) -> String {
        let rows = report.rules.map { rule in
            [
                rule.name, rule.isShadow ? "shadow" : "enforce", rule.quota,
                rule.per.isEmpty ? "-" : rule.per.joined(separator: ","), "\(rule.requests)",
                "\(rule.allowed)", "\(rule.limited)", "\(rule.refusedByOthers)",
                "\(rule.limitedSubjects)\(report.limitedSubjectsAreCut ? " or more" : "")",
                rule.longestWait == 0 ? "-" : seconds(rule.longestWait),
                rule.worst.map { "\($0.limited) of \($0.name)" } ?? "-",
            ]
        }
        return table(
            [
                "RULE", "MODE", "QUOTA", "PER", "REQUESTS", "ALLOWED", "LIMITED", "BY OTHERS", "SUBJECTS",
                "LONGEST WAIT", "WORST",
            ], rows, numbers: 4...9)
    }

    private static func subjects(_ report: LimitReplayReport) -> String {
        let rows = report.subjects.map { subject in
            [
                subject.rule, "\(subject.limited)", time(subject.first), time(subject.last),
                subject.longestWait == 0 ? "-" : seconds(subject.longestWait), subject.name,
            ]
        }
        return table(
            ["RULE", "LIMITED", "FIRST", "LAST", "LONGEST WAIT", "SUBJECT"], rows, numbers: 1...1)
    }

    /// Columns with two spaces between them; those of numbers end together.
    private static func table(_ names: [String], _ rows: [[String]], numbers: ClosedRange<Int>) -> String {
        let cells = [names] + rows
        let widths = names.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            let padded = row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return numbers.contains(column) ? space + row[column] : row[column] + space
            }
            let line = padded.joined(separator: "  ")
            return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
        }.joined(separator: "\n")
    }

    /// `2026-11-22T05:01:06.721Z`
    static func time(_ nanoseconds: UInt64) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = String(nanoseconds / 1_000_000 % 1_000 + 1_000).dropFirst()
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)Z"
    }

    /// Seconds to a tenth, rounded up: a wait is never told too short.
    private static func seconds(_ nanoseconds: UInt64) -> String {
        let tenths = (nanoseconds + 99_999_999) / 100_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
