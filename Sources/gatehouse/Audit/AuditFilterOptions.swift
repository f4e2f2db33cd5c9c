import ArgumentParser
import Gateway
import Glibc

/// The options that say which events are asked for, and how they are printed.
struct AuditFilterOptions: ParsableArguments {
    @Option(help: "Who asked: a user's id or name.")
    var user: String?

    @Option(help: "The project of the token or of the target, by its id.")
    var project: String?

    @Option(help: "What was acted on, what that belongs to, or what was made of it; by its id.")
    var target: String?

    @Option(help: "The action, such as update/reboot; update is about all that begin with update/.")
    var action: String?

    @Option(help: "success, failure, pending or unknown.")
    var outcome: String?

    @Option(name: .customLong("request-id"), help: "The gateway's request id, the client's, or Nova's.")
    var requestID: String?

    @Option(help: "From when on: 2026-09-01T10:00:00Z, or 90s, 30m, 2h, 7d, 4w ago.")
    var since: String?

    @Option(help: "Until before when, in the same forms.")
    var until: String?

    @Flag(help: "Prints each event as it stands in the trail, a JSON object a line.")
    var json = false

    @Flag(help: "Prints a table, as without this.")
    var table = false

    func validate() throws {
        if json, table { throw ValidationError("--json and --table exclude each other.") }
        let words = ["success", "failure", "pending", "unknown"]
        if let outcome, !words.contains(outcome) {
            throw ValidationError("--outcome is \(words.dropLast().joined(separator: ", ")) or unknown.")
        }
        for (name, value) in [
            ("user", user), ("project", project), ("target", target), ("action", action),
            ("request-id", requestID),
        ] where value?.isEmpty ?? false {
            throw ValidationError("--\(name) is empty.")
        }
        let now = Self.now()
        for (name, value) in [("since", since), ("until", until)] {
            if let value, Self.moment(value, now: now) == nil {
                throw ValidationError(
                    "--\(name) is a time such as 2026-09-01T10:00:00Z, or 90s, 30m, 2h, 7d or 4w: not '\(value)'."
                )
            }
        }
    }

    var filter: TrailFilter {
        let now = Self.now()
        var filter = TrailFilter()
        filter.user = user
        filter.project = project
        filter.target = target
        filter.action = action.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        filter.outcome = outcome
        filter.requestID = requestID
        filter.since = since.flatMap { Self.moment($0, now: now) }
        filter.until = until.flatMap { Self.moment($0, now: now) }
        return filter
    }

    /// Microseconds since 1970 of a time or of how long ago it is; nil for another text.
    static func moment(_ text: String, now: Int64) -> Int64? {
        var text = text
        let found = text.withUTF8 { TrailTime.microseconds($0) }
        if let found { return found }
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800]
        guard let unit = text.last.flatMap({ units[$0] }), (2...10).contains(text.utf8.count),
            text.dropLast().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int64(text.dropLast())
        else { return nil }
        // Cannot overflow: nine digits and a week's seconds.
        return max(0, now / 1_000_000 - number * unit) * 1_000_000 + now % 1_000_000
    }

    private static func now() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    }
}
