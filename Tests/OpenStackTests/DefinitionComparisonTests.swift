import Bytes
import Foundation
import HTTP
import Testing

@testable import OpenStack

/// A range of microversions as text.
private func range(_ low: Microversion?, _ high: Microversion?) -> String {
    let text = { (version: Microversion?) in version.map { "\($0.major).\($0.minor)" } ?? "" }
    return "\(text(low))-\(text(high))"
}

/// Judges one request by two tables and keeps where they differ.
private struct Comparison {
    let one: OperationTable
    let other: OperationTable
    var count = 0
    var differences: [String] = []
    /// Where the operation being compared is in each table.
    private var places = (0, 0)

    init(one: OperationTable, other: OperationTable) {
        self.one = one
        self.other = other
    }

    mutating func expect(_ what: String, _ left: String, _ right: String) {
        count += 1
        if left != right, differences.count < 100 { differences.append("\(what): \(left) — \(right)") }
    }

    static let versions = [
        "2.1", "2.10", "2.26", "2.34", "2.36", "2.53", "2.60", "2.66", "2.74", "2.75", "2.104",
    ]
    /// A wrong one of each kind, and some that are right.
    static let values = [
        "", "abc", "-1", "00", "%5B", "2402ea71-26e7-50cf-baa1-e7c8836e38a9", "2026-01-31T01:02:03Z", "asc",
        "true",
        "host", "vcpus", "created_at", "deleted",
    ]

    /// Everything that a request to `id` may be told, by its path and its query.
    mutating func compare(_ id: String) {
        let operation = one.operations[one.find(id)!]
        guard let twin = other.operations.first(where: { $0.id == id }) else {
            return differences.append("\(id) is not there")
        }
        places = (one.find(id)!, other.find(id)!)
        compareFacts(operation, twin)
        for root in ["/v2", "/v2.1", "/v2.1/0af-1"] {
            for value in ["abc", "2402ea71-26e7-50cf-baa1-e7c8836e38a9", "new"] {
                let path = root + filled(operation.path, value)
                for method in ["GET", "POST", "PUT", "DELETE", "HEAD"] {
                    expect("\(method) \(path)", route(one, method, path), route(other, method, path))
                }
                expect(path, judgement(one, operation, path), judgement(other, operation, path))
            }
        }
        let names = Set((operation.parameters + twin.parameters).filter { $0.place == .query }.map(\.name))
            .sorted()
        for name in names + ["unknown", "_private"] {
            for value in Self.values {
                for version in Self.versions { compareQuery(id, "\(name)=\(value)", version) }
                compareQuery(id, "\(name)=\(value)", "2.104", .administrator)
                compareQuery(id, "\(name)=\(value)", "2.104", .unknown)
                compareQuery(id, "\(name)=\(value)", nil)
            }
            compareQuery(id, "\(name)=asc&\(name)=%5B", "2.104")
            // Of two wrong parameters the same one is named.
            for second in names { compareQuery(id, "\(name)=%5B&\(second)=%5B", "2.90") }
        }
        for key in Set((operation.actions + twin.actions).map(\.key)).sorted() + ["none"] {
            let (left, right) = (actionFacts(one, id, key), actionFacts(other, id, key))
            // On purpose: of a generated document only the keys of actions are taken; Nova judges the rest of a content.
            if left.hasPrefix("400 Invalid input for field"), !right.hasPrefix("4") { continue }
            expect("\(id) \(key)", left, right)
        }
    }

    /// A query under `/v2.1` at a version, or under `/v2`.
    private mutating func compareQuery(
        _ id: String, _ query: String, _ version: String?, _ caller: Caller = .member
    ) {
        let bytes = Array(query.utf8)
        let effective = withBytes(version ?? "2.1") { Microversion.read($0)! }
        let ask = { (table: OperationTable, operation: Int) in
            var scratch = Buffer(capacity: 256)
            var message = Buffer(capacity: 4_096)
            let found = bytes.withUnsafeBufferPointer {
                table.validateQuery(
                    $0, operation: operation, version: version == nil ? .v2 : .v21, microversion: effective,
                    caller: caller, scratch: &scratch, message: &message)
            }
            return (found, message.readable.string)
        }
        let (left, right) = (ask(one, places.0), ask(other, places.1))
        count += 1
        if left != right { expect("\(id)?\(query) \(version ?? "v2") \(caller)", "\(left)", "\(right)") }
    }

    private mutating func compareFacts(_ left: OpenStack.Operation, _ right: OpenStack.Operation) {
        let text = { (operation: OpenStack.Operation) in
            "\(operation.method) \(operation.cacheClass) \(operation.cacheScope) \(operation.limitClass) "
                + "\(operation.auditAction) \(operation.content) \(operation.maxContentByteCount) "
                + "\(range(operation.minimum, operation.maximum)) \(range(operation.strict, nil)) "
                + "\(operation.tolerated ?? "") \(operation.requiresAdmin) \(operation.requiresService) "
                + "\(operation.ended.map { "\($0)" } ?? "") \(operation.secrets) \(operation.isDiscovery)"
        }
        expect(left.id, text(left), text(right))
        let lists = { (operation: OpenStack.Operation) in
            operation.parameters.filter(\.isList).map(\.name).sorted().joined(separator: " ")
        }
        expect("\(left.id), lists", lists(left), lists(right))
    }

    private func filled(_ path: String, _ value: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map {
            $0.hasPrefix("{") ? value : String($0)
        }
        .joined(separator: "/")
    }

    private func judgement(_ table: OperationTable, _ operation: OpenStack.Operation, _ path: String)
        -> String
    {
        var scratch = Buffer(capacity: 1_024)
        var message = Buffer(capacity: 1_024)
        let verdict = withBytes(path) { bytes in
            table.validatePath(
                bytes, match: table.match(path: bytes, method: operation.method), action: nil,
                scratch: &scratch,
                message: &message)
        }
        return "\(verdict) \(message.readable.string)"
    }

    private func actionFacts(_ table: OperationTable, _ id: String, _ key: String) -> String {
        var scratch = Buffer(capacity: 1_024)
        var message = Buffer(capacity: 1_024)
        var tape = JSONTape()
        let content = "{\"\(key)\": null}"
        let verdict = withBytes(content) { content in
            table.validateContent(
                operation: table.find(id)!, mediaType: nil, content: content, tape: &tape, scratch: &scratch,
                message: &message)
        }
        switch verdict {
        case .valid(_, let index?):
            let action = table.action(index)
            let operation = table.operations[table.find(id)!]
            let stated = operation.actions.first { $0.key == key }
            return
                "\(action.auditAction.string) \(table.limitClasses[action.limitClass]) \(action.requiresAdmin) "
                + "\(range(action.minimum, action.maximum)) \(stated?.secrets ?? []) "
                + "\(stated?.ended.map { "\($0)" } ?? "")"
        case .valid(_, nil): return "no action"
        case .refused(let status): return "\(status) \(message.readable.string)"
        }
    }
}

/// The table of a generated document with the overlay that ships with Gatehouse laid over it.
private func overlaid(
    _ path: String, profile: RuleProfile = .document
) throws -> (table: OperationTable, unused: UnusedParts) {
    let overlay = packageRoot.appending(path: "config/openapi/compute-overlay.yaml")
    let definition = try Definition.read(
        DefinitionText(text: String(contentsOfFile: path, encoding: .utf8), file: "generated.yaml"),
        overlay: DefinitionText(
            text: String(contentsOf: overlay, encoding: .utf8), file: "compute-overlay.yaml"))
    return (
        try OperationTable.compile(definition, file: "generated.yaml", profile: profile), definition.unused
    )
}

/// OpenStack's own document, when the environment says where it is.
private let wholeDocument = ProcessInfo.processInfo.environment["GENERATED_DEFINITION"]

@Suite struct `The overlay of the generated document` {
    /// Cut down to some paths, in `Tests`: judged always.
    private static let part = packageRoot.appending(path: "Tests/Corpora/OpenAPI/generated.yaml").path

    @Test func `makes the same verdicts of a part of it as the shipped definition`() throws {
        let (table, unused) = try overlaid(Self.part)
        #expect(table.maximum == shipped.maximum)
        #expect(table.limitClasses == shipped.limitClasses && table.publishedRates == shipped.publishedRates)
        var comparison = Comparison(one: shipped, other: table)
        for operation in table.operations { comparison.compare(operation.id) }
        #expect(comparison.differences.isEmpty, "\(comparison.differences.joined(separator: "\n"))")
        #expect(
            table.operations.count > 25 && comparison.count > 50_000,
            "\(table.operations.count) \(comparison.count)")
        // What the part leaves out of the document is what the overlay does not find.
        #expect(
            Set(unused.kinds.map(\.message)) == [
                "nothing has this target",
                "max-ver of the parameter that is below its min-ver; there is no end then",
                "a schema of content beyond the actions it names; Nova judges content",
            ])
    }

    @Test func `makes the same verdicts in the profile of Nova`() throws {
        let text = try String(
            contentsOf: packageRoot.appending(path: "config/openapi/compute.yaml"), encoding: .utf8)
        let one = try OperationTable.load(text: text, file: "compute.yaml", profile: .nova)
        var comparison = Comparison(one: one, other: try overlaid(Self.part, profile: .nova).table)
        comparison.compare("servers.list")
        comparison.compare("virtual_interfaces_v2.list")
        #expect(comparison.differences.isEmpty, "\(comparison.differences.joined(separator: "\n"))")
    }

    @Test(.enabled(if: wholeDocument != nil))
    func `makes the same verdicts of all of it, and has no target in vain`() throws {
        let clock = ContinuousClock()
        let began = clock.now
        let (table, unused) = try overlaid(wholeDocument ?? "")
        print("the generated document with its overlay was read in \(clock.now - began)")
        var comparison = Comparison(one: shipped, other: table)
        for operation in shipped.operations { comparison.compare(operation.id) }
        #expect(comparison.differences.isEmpty, "\(comparison.differences.joined(separator: "\n"))")
        #expect(table.operations.count == shipped.operations.count)
        #expect(!unused.kinds.contains { $0.message.contains("target") }, "\(unused.lines)")
    }
}
