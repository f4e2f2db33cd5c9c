import Foundation

/// A regular expression of another program, tried against the paths of operations.
///
/// - Shape: ICU's, whose language is Java's but for little; of Python's own forms the named groups and `\Z` are written
///   anew.
/// - Limits: 2,000 characters; a tenth of a second for one path and two seconds in all, since no bound is inside it.
struct ImportPattern {
    enum Dialect { case java, python }

    /// Why an expression is of no use.
    struct Failure: Error { let reason: String }

    static let maxCharacterCount = 2_000
    private let expression: NSRegularExpression
    private let deadline: ContinuousClock.Instant

    init(_ text: String, _ dialect: Dialect, until last: ContinuousClock.Instant) throws(Failure) {
        deadline = min(last, .now + .seconds(2))
        guard text.count <= Self.maxCharacterCount else {
            throw Failure(
                reason: "its regular expression is longer than \(Self.maxCharacterCount) characters")
        }
        let failure = Failure(reason: "its regular expression cannot be compiled")
        let written = dialect == .python ? Self.rewritten(text) : text
        do {
            // By itself first: what is unbalanced may look whole inside the group.
            expression = try NSRegularExpression(pattern: written)
        } catch {
            throw failure
        }
        guard dialect == .java else {
            whole = nil
            return
        }
        guard let enclosed = try? NSRegularExpression(pattern: "(?:\(written))\\z") else { throw failure }
        whole = enclosed
    }

    /// Java's `matches` takes the whole text, Python's `match` but its beginning.
    private let whole: NSRegularExpression?

    /// What the groups took, when the expression is true of a path; nil when it is not.
    ///
    /// - Errors: too long a search.
    func match(_ path: String) throws(Failure) -> [Range<Int>]? {
        let end = min(deadline, .now + .milliseconds(100))
        var found: [Range<Int>]?
        var gaveUp = false
        (whole ?? expression).enumerateMatches(
            in: path, options: [.anchored, .reportProgress],
            range: NSRange(location: 0, length: path.utf16.count)
        ) { result, _, stop in
            if let result {
                found = (1..<result.numberOfRanges).map { Range(result.range(at: $0)) ?? 0..<0 }
                stop.pointee = true
            } else if ContinuousClock.now > end {
                gaveUp = true
                stop.pointee = true
            }
        }
        if gaveUp { throw Failure(reason: "its regular expression takes too long to try") }
        return found
    }

    /// `(?P<name>…)` as a group without a name, which Java's grammar has no underscores for, and `\Z` as `\z`.
    private static func rewritten(_ text: String) -> String {
        text.replacing(/\\(?:\\|Z)|\(\?P<\w+>/) { part in
            switch part.output {
            case "\\\\": "\\\\"
            case "\\Z": "\\z"
            default: "("
            }
        }
    }
}
