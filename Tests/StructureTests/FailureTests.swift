import Foundation
import Testing

/// Every way to fail is provoked by some test.
///
/// A test or scenario counts for a case when it names it: as `Failure.noEndpoint` in Swift, or by the word in the access
/// line or the metrics, written `"error":"destination_unavailable"`, `error="destination_unavailable"` or
/// `error destination_unavailable`.
struct FailureTests {
    /// Cases that no test provokes yet. The list only ever gets shorter: a case in it that is tested fails this test.
    static let notYetTested: Set<String> = [
        "tooManyExchanges", "internalError",
    ]

    static let source = SourceTree.text("Sources/Gateway/Exchange/Failure.swift")

    /// The cases with their words, read from the source.
    static let cases: [(name: String, word: String)] = source.matches(of: /case \.(\w+): "([a-z_]+)"/)
        .map { (String($0.1), String($0.2)) }

    /// All that tests say, but for this folder.
    static let tests = SourceTree.files(under: "Tests").filter { !$0.path.hasPrefix("Tests/StructureTests/") }
        .map(\.text).joined(separator: "\n")

    static func isTested(_ name: String, _ word: String) -> Bool {
        let pattern = "\\bFailure\\.\(name)\\b|\\berror\\W{1,8}\(word)\\b"
        return tests.range(of: pattern, options: .regularExpression) != nil
    }

    @Test func `every case has a word of its own`() {
        var names: Set<String> = []
        for line in Self.source.split(separator: "\n") {
            guard let match = line.firstMatch(of: /^ {4}case ([a-z]\w*(?:, [a-z]\w*)*)$/) else { continue }
            names.formUnion(match.1.split(separator: ", ").map(String.init))
        }
        names.remove("none")
        #expect(names.count > 20)
        #expect(names == Set(Self.cases.map(\.name)))
        #expect(Set(Self.cases.map(\.word)).count == Self.cases.count)
    }

    @Test func `every case is provoked by a test`() {
        for (name, word) in Self.cases {
            if Self.notYetTested.contains(name) {
                #expect(!Self.isTested(name, word), "\(name) is tested now: take it off the list")
            } else {
                #expect(Self.isTested(name, word), "no test provokes \(name) (\(word))")
            }
        }
        let unknown = Self.notYetTested.subtracting(Self.cases.map(\.name))
        #expect(unknown.isEmpty, "there is no such case any more: \(unknown.sorted())")
    }
}
