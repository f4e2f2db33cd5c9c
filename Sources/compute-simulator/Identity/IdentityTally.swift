/// What the identity service was asked, by kind, whether or not a fault answered in its place.
struct IdentityTally {
    /// A kind of request; `validateExpired` is a validation that takes expired tokens too.
    enum Kind: String, CaseIterable {
        case validate
        case validateExpired = "validate_expired"
        case check, issue, revoke, project, other

        init(method: String, target: String) {
            let sides = target.split(separator: "?", maxSplits: 1)
            let path = sides.first.map { Nova.normalPath($0).segments } ?? []
            switch (method, path.first == "v3" ? path.dropFirst().joined(separator: "/") : "") {
            case ("GET", "auth/tokens"):
                let query = Text.queryPairs(sides.count > 1 ? sides[1] : "") ?? []
                self = query.contains { $0.name == "allow_expired" } ? .validateExpired : .validate
            case ("HEAD", "auth/tokens"): self = .check
            case ("POST", "auth/tokens"): self = .issue
            case ("DELETE", "auth/tokens"): self = .revoke
            case ("GET", let rest) where rest.hasPrefix("projects/"): self = .project
            default: self = .other
            }
        }
    }

    static let subjectLimit = 200_000
    private(set) var counts: [Kind: Int] = [:]
    private(set) var statuses: [Kind: [Int: Int]] = [:]
    /// The tokens that were validated.
    private(set) var subjects: Set<String> = []

    mutating func add(_ entry: RequestLog.Entry) {
        let kind = Kind(method: entry.method, target: entry.target)
        counts[kind, default: 0] += 1
        guard kind == .validate || kind == .validateExpired, subjects.count < Self.subjectLimit,
            let subject = entry.fields.first(where: { $0.name.lowercased() == "x-subject-token" })
        else { return }
        subjects.insert(subject.value)
    }

    mutating func answer(_ entry: RequestLog.Entry, status: Int) {
        statuses[Kind(method: entry.method, target: entry.target), default: [:]][status, default: 0] += 1
    }

    func write(_ writer: inout JSONWriter) {
        writer.member("requests") { item in
            for kind in Kind.allCases { item.member(kind.rawValue, counts[kind] ?? 0) }
        }
        writer.member("answers") { item in
            for kind in Kind.allCases {
                item.member(kind.rawValue) { answers in
                    for (status, count) in (statuses[kind] ?? [:]).sorted(by: { $0.key < $1.key }) {
                        answers.member(String(status), count)
                    }
                }
            }
        }
        writer.member("subjects", subjects.count)
    }
}
