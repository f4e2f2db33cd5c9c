import Bytes
import Foundation
import HTTP
import Testing

@testable import OpenStack

/// Runs `body` with a view of a text's UTF-8.
func withBytes<Result>(_ text: String, _ body: (ByteView) throws -> Result) rethrows -> Result {
    try Array(text.utf8).withUnsafeBufferPointer { try body($0) }
}

/// What `body` appends, as a String.
func appended(_ capacity: Int = 65_536, _ body: (inout Buffer) -> Void) -> String {
    var buffer = Buffer(capacity: capacity)
    body(&buffer)
    return buffer.readable.string
}

/// The root of the package, from this file's place.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The text of the definition that ships with Gatehouse.
let shippedText: String = {
    let file = packageRoot.appending(path: "config/openapi/compute.yaml")
    return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
}()

/// The definition that ships with Gatehouse, compiled.
let shipped: OperationTable = {
    do {
        return try OperationTable.load(text: shippedText, file: "compute.yaml")
    } catch {
        fatalError("\(error)")
    }
}()

/// How a table routes a request, as one line: the operation's id, `405 ALLOW` or `404`.
func route(_ table: OperationTable, _ method: String, _ path: String) -> String {
    withBytes(path) { path in
        let match = table.match(path: path, method: withBytes(method) { Method.find($0) })
        switch match.outcome {
        case .operation(let index): return table[index].idBytes.string
        case .methodNotAllowed(let allow): return "405 " + table.allowValue(allow).string
        case .unknown: return "404"
        }
    }
}

/// What a query check says, as one line: `200` with facts, or status and message.
func verdict(
    _ table: OperationTable, _ id: String, _ query: String, version: APIVersion = .v21,
    microversion: String = "2.1", caller: Caller = .member
) -> String {
    var scratch = Buffer(capacity: 16_384)
    var message = Buffer(capacity: 65_536)
    let effective = withBytes(microversion) { Microversion.read($0)! }
    let verdict = withBytes(query) { query in
        table.validateQuery(
            query, operation: table.find(id)!, version: version, microversion: effective, caller: caller,
            scratch: &scratch, message: &message)
    }
    switch verdict {
    case .valid(let facts):
        return "200" + (facts.asksDeleted ? " deleted" : "") + (facts.asksAllTenants ? " all_tenants" : "")
    case .refused(let status): return "\(status) \(message.readable.string)"
    }
}

/// What the schema of an operation or action says of content: nothing, or the words of a refusal.
func contentVerdict(
    _ id: String, action: String? = nil, isLegacy: Bool = false, microversion: String, _ content: String
) -> String? {
    var scratch = Buffer(capacity: 131_072)
    var message = Buffer(capacity: 65_536)
    var tape = JSONTape()
    let operation = shipped.find(id)!
    let effective = withBytes(microversion) { Microversion.read($0)! }
    let place = action.flatMap { name in
        shipped.operations[operation].actions.firstIndex { $0.key == name }.map {
            shipped[operation].firstAction + $0
        }
    }
    precondition(action == nil || place != nil, "no action \(action ?? "") of \(id)")
    let verdict = withBytes(content) { content in
        shipped.validateSchema(
            operation: operation, action: place, version: isLegacy ? .v2 : .v21, microversion: effective,
            content: content, tape: &tape, scratch: &scratch, message: &message)
    }
    return verdict == .valid ? nil : message.readable.string
}

/// A document of the generated form with a construct a path; what stands at `/v2.1/things` is written by the tests.
func generatedDocument(_ things: String, components: String = "") -> String {
    """
    openapi: 3.1.0
    info: {title: Things, version: '2.90', description: D}
    paths:
      /v2.1/things:
    \(things)
    components:
      parameters:
        limit: {in: query, name: limit, schema: {minLength: 1, minimum: 0, pattern: '^[0-9]*$', type: [integer, string]}}
        id: {in: path, name: id, required: true, description: an id, schema: {type: string}}
      schemas:
        Empty: {type: object}
    \(components)
    """
}

func readDefinition(_ text: String, overlay: String? = nil) throws(DefinitionMistakes) -> Definition {
    try Definition.read(
        DefinitionText(text: text, file: "things.yaml"),
        overlay: overlay.map { DefinitionText(text: $0, file: "overlay.yaml") })
}

/// The mistakes a line each, or nothing.
func definitionMistakes(_ text: String, overlay: String? = nil) -> String {
    do throws(DefinitionMistakes) {
        _ = try readDefinition(text, overlay: overlay)
        return ""
    } catch {
        return error.description
    }
}

func version(_ text: String) -> Microversion { withBytes(text) { Microversion.read($0)! } }
