import ArgumentParser
import Gateway
import OpenStack

/// `gatehouse limits simulate --config FILE --access-log FILE… [--top N] [--each] [--json]`
struct LimitsSimulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Tells whom the rules of a settings file would have limited, from access logs.",
        discussion: """
            Every exchange of the logs is put to the rules as it would be by the running program, at the time at \
            which it began. Enforced and shadow rules are told alike. Exits with 0, or with 1 when the settings \
            have mistakes or no rules, a log cannot be read, or none of its lines is an access line.
            """)

    @Option(help: "The settings file with the rules to try.", completion: .file(extensions: ["yaml"]))
    var config: String

    @Option(
        name: .customLong("access-log"), parsing: .singleValue,
        help: "An access log, or - for standard input; several in the order of time.", completion: .file())
    var accessLogs: [String] = []

    @Option(help: "How many of those that were limited the most are told.")
    var top = 20

    @Flag(help: "Prints a line for each request that is limited.")
    var each = false

    @Flag(help: "Prints JSON: a line for each limited request with --each, then one for the rest.")
    var json = false

    func validate() throws {
        if accessLogs.isEmpty { throw ValidationError("Missing expected argument '--access-log'.") }
        if accessLogs.filter({ $0 == "-" }).count > 1 {
            throw ValidationError("Standard input can be read once only.")
        }
        guard (0...10_000).contains(top) else { throw ValidationError("--top is 0 to 10000.") }
    }

    func run() throws {
        let replay = try replay()
        do throws(AccessLogFailure) {
            // All are opened before the first is read: a name that is wrong is told at once.
            var logs: [AccessLogLines] = []
            for name in accessLogs { logs.append(try AccessLogLines(name)) }
            for log in logs {
                replay.begin(file: log.name)
                try log.forEach { line, number in
                    if let line {
                        replay.read(line: line, number: number)
                    } else {
                        replay.refuseLong(line: number, limit: AccessLogLines.maxLineByteCount)
                    }
                }
            }
        } catch {
            StandardError.print(error.description)
            throw ExitCode(1)
        }
        let report = replay.finish(topCount: top)
        if json {
            print(try LimitsReportJSON.line(report))
        } else {
            if each, report.rules.contains(where: { $0.limited > 0 }) { print() }
            print(LimitsReportText.text(report))
        }
        if report.lineCount > 0, report.unreadable.count == report.lineCount { throw ExitCode(1) }
    }

    private func replay() throws -> LimitReplay {
        let (settings, found) = SettingsReader().inspect(file: config)
        var mistakes = found?.list.map(\.description) ?? []
        var tables: [OperationTable] = []
        // A definition that two APIs name is a mistake of the settings already.
        for api in settings.apis where mistakes.isEmpty {
            do throws(DefinitionMistakes) {
                let definition = try DefinitionFiles.read(api.definition, overlay: api.overlay)
                tables.append(
                    try OperationTable.compile(
                        definition, file: api.definition, profile: api.validation.profile))
            } catch {
                mistakes += error.mistakes.map(\.description)
            }
        }
        if mistakes.isEmpty {
            if settings.limits.rules.isEmpty { mistakes.append("\(config): there are no rules in `limits`") }
            let printsJSON = json
            let onLimited: (LimitedRequest) -> Void = { request in
                print(printsJSON ? LimitsReportJSON.line(request) : LimitsReportText.line(request))
            }
            do throws(RuleMistakes) {
                let replay = try LimitReplay(
                    settings.limits, tables: tables, onLimited: each ? onLimited : nil)
                if mistakes.isEmpty { return replay }
            } catch {
                mistakes.append(error.text(file: config))
            }
        }
        for mistake in mistakes { StandardError.print(mistake) }
        throw ExitCode(1)
    }
}
