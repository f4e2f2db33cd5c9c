import Bytes
import Foundation
import Testing

@testable import Gateway
@testable import OpenStack

/// Copies of contents: what is hidden in them, what is kept, and what is not copied at all.
struct AuditRedactionTests {
    /// What a content becomes for an operation, or for an action of it; nil, and why, when it is not copied.
    static func copy(
        _ content: String, _ id: String = "servers.create", action: String? = nil, room: Int = 65_536
    ) throws -> (text: String?, outcome: AuditRedaction.Outcome) {
        let table = try #require(AuditTableTests.bare)
        let rule = try AuditTableTests.rule(table, id, action: action)
        var tape = JSONTape()
        var scratch = Buffer(capacity: 65_536)
        var output = Buffer(capacity: room)
        output.append("before")
        let outcome = withBytes(content) {
            AuditRedaction.copy(
                $0, hiding: table.secrets(of: rule), tape: &tape, scratch: &scratch, to: &output)
        }
        let text = withExtendedLifetime(table) { output.readable.string }
        let hasOverflowed = output.hasOverflowed
        #expect(text.hasPrefix("before") && !hasOverflowed)
        if case .copied = outcome { return (String(text.dropFirst(6)), outcome) }
        #expect(text == "before")
        return (nil, outcome)
    }

    @Test(arguments: [
        (#"{}"#, #"{}"#), (#"[ ]"#, "[]"), (#" "a" "#, #""a""#), ("null", "null"), ("-1.5e3", "-1.5e3"),
        (
            #"{ "a" : [ 1 , { } , [ [ ] ] , true , null ] , "b" : "" }"#,
            #"{"a":[1,{},[[]],true,null],"b":""}"#
        ),
        (#"{"a":1,"a":2}"#, #"{"a":1,"a":2}"#),
        (#"[NaN,Infinity,-Infinity]"#, #"["NaN","Infinity","-Infinity"]"#),
        (#"["é\u00e9\n\"\\\/😀\ud83d\ude00"]"#, #"["é\u00e9\n\"\\\/😀\ud83d\ude00"]"#),
        (#"["\ud83d","a\ude00\ud83d"]"#, #"["\ufffd","a\ufffd\ufffd"]"#),
        ("[\"\u{7F}\u{85}\u{A0}\"]", "[\"\\u007f\\u0085\u{A0}\"]"),
        (#"{"\ud83dx":1}"#, #"{"\ufffdx":1}"#),
    ])
    func `what is no secret is copied as it stands, without white space`(_ content: String, _ copy: String)
        throws
    {
        let found = try Self.copy(content)
        #expect(found.text == copy)
        #expect(found.outcome == .copied(redactedCount: 0))
        _ = try JSONSerialization.jsonObject(with: Data(copy.utf8), options: .fragmentsAllowed)
    }

    @Test(arguments: [
        #""adminPass":"@""#, #""AdminPass":"@""#, #""admin_pass":["@"]"#, #""ADMIN-PASS":{"a":"@"}"#,
        #""\u0061dminPass":"@""#, #""adminP\u0061ss":"@""#, #""x_password_x":"@""#, #""Authorization":"@""#,
        #""auth":{"identity":"@"}"#, #""token":"@""#, #""pwd":"@""#, #""private key":"@""#,
        #""privateKey":"@""#, #""secret":[[["@"]]]"#, #""userdata":"@""#,
        #""connection_info":{"a":{"b":"@"}}"#,
        #""personality":[{"path":1,"contents":"@"}]"#, #""\u0070ersonality":[{"c\u006fntents":"@"}]"#,
        #""client_secret":"@""#, #""passphrase":"@""#, #""api-key":"@""#,
    ])
    func `a secret's name hides its value at any depth and in any spelling`(_ member: String) throws {
        let mark = "5ecret"
        let wraps: [(String, String)] = [
            ("{", "}"), (#"{"server":{"#, "}}"), (#"{"a":[[{"b":{"#, "}}]]}"),
            (#"[{"before":1,"#, #","after":2}]"#),
        ]
        for (opening, end) in wraps {
            for id in ["servers.create", "servers.update", "metadata.create", "flavors.create"] {
                let content = opening + member.replacing("@", with: mark) + end
                let found = try Self.copy(content, id)
                let text = try #require(found.text)
                #expect(!text.contains(mark), "\(id) \(content) → \(text)")
                #expect(found.outcome == .copied(redactedCount: 1))
                _ = try JSONSerialization.jsonObject(with: Data(text.utf8))
            }
        }
    }

    @Test func `a secret by its path is one there alone`() throws {
        // As the definition has it: the url of a console, which an answer repeats.
        #expect(try Self.copy(#"{"url":"x"}"#, "remote_consoles.create").text == #"{"url":"***"}"#)
        #expect(try Self.copy(#"{"url":"x"}"#, "servers.create").text == #"{"url":"x"}"#)
        #expect(
            try Self.copy(#"{"node":{"pm_password":"x","pm_address":"y"}}"#, "baremetal_nodes.create").text
                == #"{"node":{"pm_password":"***","pm_address":"y"}}"#)
    }

    @Test func `deeper, longer and broken contents are not copied`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try Self.copy(nested(32)).text == nested(32))
        #expect(try Self.copy(nested(33)).outcome == .tooDeep)
        #expect(try Self.copy(nested(2_000)).outcome == .tooDeep)
        let long = "\"" + String(repeating: "x", count: AuditRedaction.maxContentByteCount - 2) + "\""
        #expect(try Self.copy(long).text == long)
        #expect(try Self.copy(long + " ").outcome == .tooLong)
        // Each of these grows to six bytes.
        let growing = "\"" + String(repeating: "\u{7F}", count: 20_000) + "\""
        #expect(try Self.copy(growing, room: 1 << 20).outcome == .tooLong)
        #expect(try Self.copy(long, room: 1_000).outcome == .tooLong)
        for broken in ["", "{", "{\"a\":1}x", "{'a':1}", "[01]", "[\"\\ud83\"]", "{\"a\" 1}"] {
            #expect(try Self.copy(broken).outcome == .malformed, "\(broken)")
        }
        let notUTF8: [UInt8] = Array("[\"".utf8) + [0xFF] + Array("\"]".utf8)
        var tape = JSONTape()
        let outcome = notUTF8.withUnsafeBufferPointer { tape.read($0) }
        #expect(outcome == .malformed)
    }

    /// Values of another reader: the copy of a content is the same content, but for what is hidden.
    @Test func `whatever is made of names and values is valid JSON without a secret`() throws {
        var numbers = SeededNumbers(seed: 5)
        let names = ["a", "adminPass", "é", "personality", "contents", "\\u0061dminPass", "tokens", "x\\\"y"]
        func value(_ depth: Int, hides: Bool) -> String {
            let count = Int.random(in: 0...3, using: &numbers)
            switch Int.random(in: 0...(depth > 5 ? 1 : 3), using: &numbers) {
            case 0: return hides ? "\"5ecret\"" : "\"plain\\t\""
            case 1: return hides ? "\"5ecret\\n\"" : "[\(Int.random(in: -9...9, using: &numbers)), null, 0.5]"
            case 2:
                return "[" + (0..<count).map { _ in value(depth + 1, hides: hides) }.joined(separator: ",")
                    + "]"
            default:
                return "{"
                    + (0..<count).map { _ in
                        let name = names.randomElement(using: &numbers)!
                        let isSecret = hides || !["a", "é", "personality", "x\\\"y"].contains(name)
                        return "\"\(name)\" : " + value(depth + 1, hides: isSecret)
                    }.joined(separator: " , ") + "}"
            }
        }
        for _ in 0..<2_000 {
            let content = value(0, hides: false)
            let text = try #require(try Self.copy(content).text, "\(content)")
            #expect(!text.contains("5ecret"), "\(content)")
            _ = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
        }
    }
}

/// Every schema of the bundled definition, member by member.
struct AuditSecretsTests {
    /// One step to a value in a content.
    private enum Step: Equatable { case member(String), element }

    private struct Place {
        var operation: String
        var action: String?
        var steps: [Step]

        /// Such as `server.personality.contents`.
        var path: String {
            steps.compactMap { if case .member(let name) = $0 { name } else { nil } }.joined(separator: ".")
        }
    }

    /// All places of values that a schema speaks of, whichever microversion it is for.
    private static func places(_ schema: Schema, _ steps: [Step]) -> [[Step]] {
        var found: [[Step]] = [steps]
        for choice in schema.choices { found += places(choice, steps) }
        for keyword in schema.keywords {
            switch keyword {
            case .properties(let properties):
                for (name, inner) in properties { found += places(inner, steps + [.member(name)]) }
            case .patternProperties(let patterns):
                for (_, inner) in patterns { found += places(inner, steps + [.member("free name")]) }
            case .additionalProperties(let inner?): found += places(inner, steps + [.member("free name")])
            case .items(let inner): found += places(inner, steps + [.element])
            case .prefixItems(let inner): found += inner.flatMap { places($0, steps + [.element]) }
            case .oneOf(let inner), .anyOf(let inner), .allOf(let inner):
                found += inner.flatMap { places($0, steps) }
            default: break
            }
        }
        return found
    }

    private static func all() throws -> [Place] {
        var found: [Place] = []
        for operation in try #require(AuditTableTests.operations).operations {
            for steps in operation.schema.map({ places($0, []) }) ?? [] {
                found.append(Place(operation: operation.id, steps: steps))
            }
            for action in operation.actions {
                for steps in action.schema.map({ places($0, []) }) ?? [] {
                    found.append(Place(operation: operation.id, action: action.key, steps: steps))
                }
            }
        }
        return found.filter { !$0.steps.isEmpty }
    }

    /// A content that has `value` at the end of `steps`, and nothing else.
    private static func content(_ steps: [Step], _ value: String) -> String {
        steps.reversed().reduce(value) { inner, step in
            switch step {
            case .member(let name): "{\"\(name)\": \(inner)}"
            case .element: "[\(inner)]"
            }
        }
    }

    private static func isHidden(_ place: Place) throws -> Bool {
        for value in ["\"mark\"", "[\"mark\"]", "{\"mark\": {\"mark\": \"mark\"}}"] {
            let found = try AuditRedactionTests.copy(
                content(place.steps, value), place.operation, action: place.action)
            let text = try #require(found.text)
            // Of all kinds of values or of none.
            if text.contains("mark") { return false }
            #expect(text.contains("\"***\""))
        }
        return true
    }

    /// Each member of each schema with what becomes of it, against what was judged once: a member that is new in the
    /// definition is judged by whoever adds it.
    @Test func `every member of every schema is hidden or kept as it was judged`() throws {
        var lines: Set<String> = []
        for place in try Self.all() {
            let name = place.action.map { "\(place.operation):\($0)" } ?? place.operation
            lines.insert("\(try Self.isHidden(place) ? "hidden" : "kept  ") \(name) \(place.path)")
        }
        let found = lines.sorted().joined(separator: "\n") + "\n"
        #expect(lines.count > 300)
        let path = SettingsPlaces.root + "/Tests/Golden/audit/members.txt"
        if ProcessInfo.processInfo.environment["GATEHOUSE_ACCEPT"] != nil {
            return try found.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(
            found == (try String(contentsOfFile: path, encoding: .utf8)),
            "to accept: GATEHOUSE_ACCEPT=1 swift test --filter AuditSecretsTests")
    }

    /// Whether a reader who knows nothing of the definition would take a place for that of a secret.
    private static func soundsSecret(_ place: Place) -> Bool {
        guard case .member(let name)? = place.steps.last else { return false }
        return name.contains(
            /(?i)pass|secret|token|private|credential|user_?data|connection_?info|^contents?$/)
    }

    @Test func `every member whose name sounds like a secret is hidden`() throws {
        var count = 0
        for place in try Self.all() where Self.soundsSecret(place) {
            count += 1
            #expect(try Self.isHidden(place), "\(place.operation) \(place.action ?? "") \(place.path)")
        }
        #expect(count >= 12, "\(count)")
    }

    /// What the definition calls secrets, by their paths from where a content's own members begin.
    private static func named() throws -> [Place] {
        try #require(AuditTableTests.operations).operations.flatMap { operation in
            let named =
                operation.secrets.map { (nil as String?, $0) }
                + operation.actions.flatMap { action in
                    (operation.secrets + action.secrets).map { (action.key, $0) }
                }
            return named.map { action, secret in
                let steps = secret.split(separator: ".").map { Step.member(String($0)) }
                return Place(operation: operation.id, action: action, steps: steps)
            }
        }
    }

    @Test func `every secret that the definition names is hidden where it is named`() throws {
        var count = 0
        for named in try Self.named() {
            let depths: [[Step]] = [[], [.member("server")], [.element, .member("a"), .element, .element]]
            for outer in depths {
                var place = named
                place.steps = outer + named.steps
                #expect(try Self.isHidden(place), "\(place.operation) \(place.action ?? "") \(place.path)")
                count += 1
            }
        }
        #expect(count >= 90, "\(count)")
    }

    // MARK: - Whole events

    /// A content that is made place by place.
    private indirect enum Value {
        case leaf(String)
        case object([(name: String, value: Value)])
        case array([Value])

        /// What stands at the end of `steps` alone.
        init(_ steps: ArraySlice<Step>, _ leaf: String) {
            switch steps.first {
            case nil: self = .leaf(leaf)
            case .member(let name)?: self = .object([(name, Value(steps.dropFirst(), leaf))])
            case .element?: self = .array([Value(steps.dropFirst(), leaf)])
            }
        }

        /// Puts one more place in; what cannot stand in what is there already stays out.
        mutating func put(_ steps: ArraySlice<Step>, _ leaf: String) {
            switch (self, steps.first) {
            case (.object(var members), .member(let name)?):
                if let place = members.firstIndex(where: { $0.name == name }) {
                    members[place].value.put(steps.dropFirst(), leaf)
                } else {
                    members.append((name, Value(steps.dropFirst(), leaf)))
                }
                self = .object(members)
            case (.array(let elements), .element?):
                self = .array(elements + [Value(steps.dropFirst(), leaf)])
            default: break
            }
        }

        func text(_ name: (String) -> String) -> String {
            switch self {
            case .leaf(let text): text
            case .object(let members):
                "{" + members.map { "\"\(name($0.name))\": \($0.value.text(name))" }.joined(separator: ", ")
                    + "}"
            case .array(let elements): "[" + elements.map { $0.text(name) }.joined(separator: ", ") + "]"
            }
        }
    }

    private static func takesContent(_ place: Place) throws -> Bool {
        let operations = try #require(AuditTableTests.operations)
        return operations.operations.contains {
            $0.id == place.operation && ($0.method == .post || $0.method == .put)
        }
    }

    /// A request for an operation as its path says.
    private static func request(_ place: Place, _ content: String) throws -> AuditedExchange {
        let operations = try #require(AuditTableTests.operations)
        let operation = operations.operations[try #require(operations.find(place.operation))]
        let path = operation.path.split(separator: "/").map { $0.hasPrefix("{") ? "1" : $0 }
        var asked = AuditedExchange(content: content)
        asked.head =
            "\(operation.method.name) /v2.1/\(path.joined(separator: "/")) HTTP/1.1\nHost: a\nX-Auth-Token: demo"
        return asked
    }

    /// Requests with a mark in place of each secret of their operation or action, all at once and one by one, as each kind of
    /// value, with names written plainly and with escapes: the events that are written of them have the content, and no mark.
    @Test func `no secret of any operation is in the event of a request that has it`() throws {
        let fixture = try AuditFixture(AuditFixture.thorough)
        let schemas = try Self.all()
        var places: [String: [Place]] = [:]
        for place in schemas where Self.soundsSecret(place) {
            places["\(place.operation):\(place.action ?? "")", default: []].append(place)
        }
        for var place in try Self.named() where try Self.takesContent(place) {
            let own = schemas.filter { $0.operation == place.operation && $0.action == place.action }
            if let action = place.action {
                place.steps.insert(.member(action), at: 0)
            } else if let outer = own.first?.steps.first, outer != place.steps.first {
                place.steps.insert(outer, at: 0)
            }
            places["\(place.operation):\(place.action ?? "")", default: []].append(place)
        }
        let escaped: (String) -> String = { name in
            name.unicodeScalars.map { "\\u" + String(0x1_0000 | $0.value, radix: 16).suffix(4) }.joined()
        }
        var count = 0
        for (name, places) in places {
            for mark in ["\"5ecret\"", "[[\"5ecret\"], 5]", "{\"a\": {\"5ecret\": \"5ecret\"}}"] {
                var all = Value(places[0].steps[...], mark)
                for place in places.dropFirst() { all.put(place.steps[...], mark) }
                let contents = [all] + places.map { Value($0.steps[...], mark) }
                for content in contents.flatMap({ [$0.text { $0 }, $0.text(escaped)] }) {
                    let text = try fixture.event(Self.request(places[0], content))
                    let event = try members(text)
                    #expect(!text.contains("5ecret"), "\(name) \(content) → \(text)")
                    let hidden = text.ranges(of: "\"***\"").count
                    #expect(hidden > 0 && event[path: "gatehouse.redacted"] as? Int == hidden, "\(name)")
                    let attachment = try #require(
                        (event["attachments"] as? [[String: Any]])?.first, "\(name)")
                    #expect(attachment.text("name") == "request", "\(name)")
                    #expect("\(event.text("gatehouse.operation") ?? ""):".hasPrefix(name), "\(name)")
                    count += 1
                }
            }
        }
        #expect(places.count >= 17 && count >= 480, "\(places.keys.sorted()) \(count)")
    }
}
