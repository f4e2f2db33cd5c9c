import Bytes
import Testing

@testable import OpenStack

/// A node as JSON on one line, with plain scalars as they are written.
private func text(_ node: Node) -> String {
    switch node.value {
    case .scalar(let scalar): scalar.style == .plain ? scalar.string : "\"\(scalar.string)\""
    case .sequence(let items): "[" + items.map(text).joined(separator: ", ") + "]"
    case .mapping(let members):
        "{" + members.map { "\($0.key.string ?? "?"): \(text($0.value))" }.joined(separator: ", ") + "}"
    }
}

/// What a query selects, each as a normalized path (RFC 9535 §2.7).
private func selected(_ query: String, _ document: String) throws -> [String] {
    let root = try NodeText.read(document, file: 0)
    var steps = JSONPath.maxStepCount
    return try JSONPathReader.read(query).select(in: root, steps: &steps)!.map { path in
        var node = root
        var text = "$"
        for index in path {
            text += node.mapping.map { "['\($0[index].key.string ?? "?")']" } ?? "[\(index)]"
            node = node[child: index]
        }
        return text
    }
}

/// A document with an overlay laid over it: the result, or the mistakes a line each; then what had no effect.
private func overlaid(_ overlay: String, on document: String) throws -> String {
    var root = try NodeText.read(document, file: 0)
    var reader = OverlayReader()
    reader.read(try NodeText.read(overlay, file: 1))
    var mistakes = reader.mistakes
    var idle: [(place: Node.Place, message: String)] = []
    if mistakes.isEmpty {
        let outcome = reader.overlay.apply(to: &root)
        mistakes = outcome.mistakes
        idle = outcome.idle
    }
    let lines = { (list: [(place: Node.Place, message: String)], mark: String) in
        list.map { "\(mark)\($0.place.file):\($0.place.line):\($0.place.column): \($0.message)" }
    }
    return ((mistakes.isEmpty ? [text(root)] : lines(mistakes, "")) + lines(idle, "idle ")).joined(
        separator: "\n")
}

private let things = """
    paths:
      /a:
        get: {operationId: 'a:get', deprecated: true, parameters: [{name: x, in: query}, {name: y, in: path}]}
        post: {operationId: 'a:post', n: 1}
      /b:
        get: {operationId: 'b:get', x-openstack: {max-ver: '2.35'}, n: 1.0}
    list: [1, two, [3], {deep: {name: x}}]
    empty: {}
    ~x: null
    """

@Suite struct `A query` {
    @Test(
        arguments: [
            ("$", "$"),
            ("$.paths./a", nil),
            ("$.list", "$['list']"),
            ("$['list']", "$['list']"),
            ("$ [\"list\"] [ 0 ]", "$['list'][0]"),
            ("$.list[-1]", "$['list'][3]"),
            ("$.list[-5]", ""),
            ("$.list[4]", ""),
            ("$.list[0, 'a', -1]", "$['list'][0] $['list'][3]"),
            ("$.paths['/b','/a','/c']", "$['paths']['/b'] $['paths']['/a']"),
            ("$.paths['/a','/a']", "$['paths']['/a']"),
            ("$.paths.*", "$['paths']['/a'] $['paths']['/b']"),
            ("$.paths.*.get", "$['paths']['/a']['get'] $['paths']['/b']['get']"),
            ("$.paths[*].post.operationId", "$['paths']['/a']['post']['operationId']"),
            ("$.list.*", "$['list'][0] $['list'][1] $['list'][2] $['list'][3]"),
            ("$.list[0].*", ""),
            ("$.nothing.at.all", ""),
            ("$.paths[0]", ""),
            ("$.list.two", ""),
            (
                "$..name",
                "$['paths']['/a']['get']['parameters'][0]['name'] "
                    + "$['paths']['/a']['get']['parameters'][1]['name'] $['list'][3]['deep']['name']"
            ),
            (
                "$.list..*",
                "$['list'][0] $['list'][1] $['list'][2] $['list'][3] $['list'][2][0] "
                    + "$['list'][3]['deep'] $['list'][3]['deep']['name']"
            ),
            ("$..[0]", "$['list'][0] $['paths']['/a']['get']['parameters'][0] $['list'][2][0]"),
            ("$..['deep','name'].name", "$['list'][3]['deep']['name']"),
            ("$.paths.*[?@.operationId=='a:post']", "$['paths']['/a']['post']"),
            ("$.paths.*[?(@.operationId == \"b:get\")]", "$['paths']['/b']['get']"),
            ("$.paths.*[?@.operationId != 'a:post']", "$['paths']['/a']['get'] $['paths']['/b']['get']"),
            ("$.paths.*[?@.deprecated]", "$['paths']['/a']['get']"),
            ("$.paths.*[?@.deprecated==true]", "$['paths']['/a']['get']"),
            ("$.paths.*[?@.deprecated=='true']", ""),
            ("$.paths.*[?!@.deprecated]", "$['paths']['/a']['post'] $['paths']['/b']['get']"),
            ("$.paths.*[?@.n==1]", "$['paths']['/a']['post'] $['paths']['/b']['get']"),
            ("$.paths.*[?@['x-openstack']['max-ver']=='2.35']", "$['paths']['/b']['get']"),
            ("$.paths.*[?@['x-openstack']['max-ver']==2.35]", ""),
            ("$.paths.*[?@.n && @.deprecated || @.operationId=='b:get']", "$['paths']['/b']['get']"),
            ("$.paths.*[?@.n && (@.deprecated || @.operationId=='b:get')]", "$['paths']['/b']['get']"),
            ("$.paths.*[?!(@.n || @.deprecated)]", ""),
            (
                "$.paths.*[?@.no == @.neither]",
                "$['paths']['/a']['get'] $['paths']['/a']['post'] $['paths']['/b']['get']"
            ),
            ("$.paths.*[?@.n == $.paths['/a'].post.n]", "$['paths']['/a']['post'] $['paths']['/b']['get']"),
            ("$.paths.*[?@.parameters[?@.in=='path']]", "$['paths']['/a']['get']"),
            (
                "$.paths..parameters[?@.name=='x' && @.in=='query']",
                "$['paths']['/a']['get']['parameters'][0]"
            ),
            ("$.list[?@==1]", "$['list'][0]"),
            ("$.list[?@=='two', 0]", "$['list'][1] $['list'][0]"),
            ("$[?@==null]", "$['~x']"),
            ("$['~\\u0078']", "$['~x']"),
            ("$[?@.deep.name == @.name]", "$['paths'] $['list'] $['empty'] $['~x']"),
        ] as [(String, String?)])
    func `selects as RFC 9535 has it`(query: String, expected: String?) throws {
        guard let expected else {
            #expect(throws: JSONPathFailure.self) { try JSONPathReader.read(query) }
            return
        }
        // Below `..` the order is ours: a node's own children first.
        let found = try selected(query, things)
        #expect(found.sorted() == expected.split(separator: " ").map(String.init).sorted(), "\(found)")
    }

    @Test(arguments: [
        ("", 0, "a query begins with $"), ("paths", 0, "a query begins with $"),
        ("$.", 2, "a name or * is missing"), ("$paths", 1, "not a part of a query: p"),
        ("$.paths x", 7, "not a part of a query:  "), ("$.1", 2, "a name or * is missing"),
        ("$..", 3, "a name or * is missing"), ("$...a", 3, "a name or * is missing"),
        ("$.x-a", 3, "a name with a hyphen stands in brackets: ['x-…']"),
        ("$[", 2, "a name in quotes, an index, * or ? is missing"),
        ("$['a'", 1, "[ has no ]"), ("$['a' 'b']", 6, "] is missing"), ("$['a", 2, "a quote has no end"),
        ("$[a]", 2, "a name in quotes, an index, * or ? is missing"),
        ("$[]", 2, "a name in quotes, an index, * or ? is missing"),
        ("$['a',]", 6, "a name in quotes, an index, * or ? is missing"),
        ("$[01]", 2, "not an index: 01"), ("$[-0]", 2, "not an index: -0"), ("$[-]", 2, "not an index: -"),
        ("$[99999999999999999999]", 2, "not an index: 99999999999999999999"),
        ("$[1:2]", 3, "slices are not supported"), ("$[:2]", 2, "slices are not supported"),
        ("$['\\x']", 3, "not an escape: \\x"), ("$['\\\"']", 3, "not an escape: \\\""),
        ("$['\\ud800']", 3, "half of a surrogate pair"), ("$['\\udc00']", 3, "half of a surrogate pair"),
        ("$['\\ud800\\u0041']", 3, "half of a surrogate pair"),
        ("$['\\u12g4']", 3, "\\u needs four hexadecimal digits"),
        ("$['a\u{1}']", 4, "a control character in quotes"), ("$['\\", 3, "a quote has no end"),
        ("$[?]", 3, "a value or a query is missing"), ("$[?@.a==]", 8, "a value or a query is missing"),
        ("$[?@.a=1]", 6, "] is missing"), ("$[?@.a<1]", 6, "only == and != are supported"),
        ("$[?@.a >= 1]", 7, "only == and != are supported"), ("$[?1]", 3, "a value alone is no condition"),
        ("$[?@.a=='x' && ]", 15, "a value or a query is missing"),
        ("$[?@.* == 1]", 3, "a query that is compared leads to one value only"),
        ("$[?1 == @..a]", 8, "a query that is compared leads to one value only"),
        ("$[?match(@.a, 'b')]", 3, "functions are not supported: match"),
        ("$[?@.a == nil]", 10, "not a value: nil"), ("$[?@.a == 1.2.3]", 10, "not a number: 1.2.3"),
        ("$[?(@.a]", 3, "( has no )"), ("$[?!1]", 4, "! stands before a query or a parenthesis"),
        ("$[?!@.a == 1]", 8, "] is missing"),
    ])
    func `outside of the subset names its place`(query: String, offset: Int, message: String) {
        #expect(throws: JSONPathFailure(offset: offset, message: message)) { try JSONPathReader.read(query) }
    }

    @Test func `is bounded in length, depth and steps`() throws {
        #expect(throws: JSONPathFailure(offset: 0, message: "a query of more than 4096 characters")) {
            try JSONPathReader.read("$" + String(repeating: ".a", count: 2_048))
        }
        #expect(throws: JSONPathFailure.self) {
            try JSONPathReader.read("$[?" + String(repeating: "(", count: 1_000) + "@.a")
        }
        #expect(throws: JSONPathFailure.self) {
            try JSONPathReader.read("$" + String(repeating: "[?@", count: 1_000))
        }
        let root = try NodeText.read(things, file: 0)
        var steps = 20
        #expect(try JSONPathReader.read("$..*").select(in: root, steps: &steps) == nil)
    }

    @Test func `no cut or change of a query traps`() throws {
        let query = Array(
            "$.paths['\\u0041', \"b\"]..[?@.a=='x' && !(@['b'][0] != -1.5e3 || $.c)].*".unicodeScalars)
        let root = try NodeText.read(things, file: 0)
        var random = RandomSource(seed: (9, 8, 7, 6))
        for round in 0..<5_000 {
            var changed = query
            if round < query.count { changed.removeSubrange(round...) }
            for _ in 0..<(round < query.count ? 0 : 2) where !changed.isEmpty {
                let wanted = query[Int(random.next() % UInt64(query.count))]
                changed[Int(random.next() % UInt64(changed.count))] = wanted
            }
            var text = String.UnicodeScalarView()
            text.append(contentsOf: changed)
            var steps = 100_000
            _ = try? JSONPathReader.read(String(text)).select(in: root, steps: &steps)
        }
    }
}

@Suite struct `An overlay` {
    private static let head = "overlay: 1.0.0\ninfo: {title: T, version: 1.0.0}\nactions:\n"

    private func applied(_ actions: String, to document: String) throws -> String {
        try overlaid(Self.head + actions, on: document)
    }

    @Test(arguments: [
        // Members are added, replaced and merged; lists are joined.
        ("- {target: $, update: {b: 2}}", "{a: 1}", "{a: 1, b: 2}"),
        ("- {target: $, update: {a: two}}", "{a: 1}", "{a: two}"),
        ("- {target: $, update: {a: {c: 3}}}", "{a: {b: 2}}", "{a: {b: 2, c: 3}}"),
        ("- {target: $, update: {a: {b: {d: 4}}}}", "{a: {b: {c: 3}, e: 5}}", "{a: {b: {c: 3, d: 4}, e: 5}}"),
        ("- {target: $, update: {a: [3]}}", "{a: [1, 2]}", "{a: [1, 2, 3]}"),
        ("- {target: $, update: {a: null}}", "{a: 1}", "{a: null}"),
        // A list that is itself the target gets one more item, whatever that is.
        ("- {target: $.a, update: 3}", "{a: [1, 2]}", "{a: [1, 2, 3]}"),
        ("- {target: $.a, update: [3]}", "{a: [1, 2]}", "{a: [1, 2, [3]]}"),
        ("- {target: $.a, update: {b: 3}}", "{a: []}", "{a: [{b: 3}]}"),
        // Every target is changed, one inside the other too.
        ("- {target: $.*, update: {n: 1}}", "{a: {}, b: {m: 0}}", "{a: {n: 1}, b: {m: 0, n: 1}}"),
        ("- {target: '$..[?@.k]', update: {n: 1}}", "{a: {k: {k: 1}}}", "{a: {k: {k: 1, n: 1}, n: 1}}"),
        // Removing takes the member or the item out, from the end; nothing is updated besides.
        ("- {target: $.a, remove: true}", "{a: {x: 1}, b: 2}", "{b: 2}"),
        (
            "- {target: '$.a[?@.x]', remove: true}", "{a: [{x: 1}, {y: 2}, {x: 3}, {z: 4}]}",
            "{a: [{y: 2}, {z: 4}]}"
        ),
        ("- {target: $.a.*, remove: true}", "{a: [[1], [2], [3]]}", "{a: []}"),
        ("- {target: '$..[?@.x]', remove: true}", "{a: {x: {x: 1}}, b: {y: 1}}", "{b: {y: 1}}"),
        ("- {target: $.a, remove: true, update: {b: 1}}", "{a: {}}", "{}"),
        ("- {target: $.a, remove: false, update: {b: 1}}", "{a: {}}", "{a: {b: 1}}"),
        // Each action sees what the ones before it left.
        ("- {target: $, update: {a: {}}}\n- {target: $.a, update: {b: 1}}", "{}", "{a: {b: 1}}"),
        ("- {target: $.a, remove: true}\n- {target: $, update: {a: [2]}}", "{a: [1]}", "{a: [2]}"),
        // What an update brings is not changed when another target of it is.
        (
            "- {target: $.*, update: {l: [1]}}\n- {target: $.a.l, update: 2}", "{a: {}, b: {}}",
            "{a: {l: [1, 2]}, b: {l: [1]}}"
        ),
        // Nothing selected: the document stays, and the action is listed.
        ("- {target: $.b, update: {n: 1}}", "{a: 1}", "{a: 1}\nidle 1:4:12: nothing has this target"),
        (
            "- {target: $, description: why}", "{a: 1}",
            "{a: 1}\nidle 1:4:12: the action neither updates nor removes"
        ),
    ])
    func `changes a document as the specification says`(actions: String, document: String, expected: String)
        throws
    {
        #expect(try applied(actions, to: document) == expected)
    }

    @Test(arguments: [
        (
            "- {target: $.a, update: {b: 1}}",
            "1:4:12: the target is a single value; what contains it is to be the target"
        ),
        (
            "- {target: $.a, remove: true}",
            "1:4:12: the target is a single value; only mappings and lists are removed"
        ),
        ("- {target: $, remove: true}", "1:4:12: the whole document cannot be removed"),
        ("- {target: $, update: [1]}", "1:4:23: update is a list, and the target is a mapping"),
        (
            "- {target: $, update: {a: {b: 1}}}",
            "1:4:27: this is a mapping and what it is laid over is a single value"
        ),
        (
            "- {target: $, update: {l: 1}}",
            "1:4:27: this is a single value and what it is laid over is a list"
        ),
        ("- {target: $.a.., update: {}}", "1:4:17: a name or * is missing"),
        ("- {target: \"$['a\\\"]\", update: {}}", "1:4:15: a quote has no end"),
        ("- {target: '$[''a'' x]', update: {}}", "1:4:21: ] is missing"),
        ("- target: >-\n    $.a\n    b\n  update: {}", "1:4:11: not a part of a query:  "),
        ("- {target: [$.a], update: {}}", "1:4:12: target must be a text"),
        ("- {update: {}}", "1:4:3: an action needs a target"),
        ("- {target: $, remove: yes}", "1:4:23: remove must be true or false"),
        ("- {target: $, updat: 1}", "1:4:15: unknown key in an action: updat"),
        ("- {target: $, description: []}", "1:4:28: description must be a text"),
        ("- target", "1:4:3: an action must be a mapping"),
        ("- {target: $, update: {x: 1}}\n- {update: {x: 1.0}, target: $}", "1:5:3: the same action twice"),
    ])
    func `says what does not fit and where`(actions: String, expected: String) throws {
        #expect(try applied(actions, to: "{a: 1, l: [1]}") == expected)
    }

    @Test(arguments: [
        ("- a", "1:1:1: an overlay must be a mapping"),
        (
            "overlay: 1.0.0\ninfo: {title: T, version: v}\nactions: []",
            "1:3:10: actions must have one at least"
        ),
        ("overlay: 1.0.0\ninfo: {title: T, version: v}\nactions: {}", "1:3:10: actions must be a list"),
        ("overlay: 1.0.0\ninfo: {title: T, version: v}", "1:1:1: actions is missing"),
        (
            "overlay: 1.1.0\ninfo: {title: T, version: v}\nactions: [{target: $}]",
            "1:1:10: overlay must be 1.0"
        ),
        (
            "overlay: 1.0.x\ninfo: {title: T, version: v}\nactions: [{target: $}]",
            "1:1:10: overlay must be 1.0"
        ),
        ("info: {title: T, version: v}\nactions: [{target: $}]", "1:1:1: overlay is missing"),
        ("overlay: 1.0.0\nactions: [{target: $}]", "1:1:1: info is missing"),
        ("overlay: 1.0.0\ninfo: {title: T}\nactions: [{target: $}]", "1:2:7: info needs version"),
        (
            "overlay: 1.0.0\ninfo: {title: [], version: v}\nactions: [{target: $}]",
            "1:2:15: title must be a text"
        ),
        (
            "overlay: 1.0.0\ninfo: {title: T, version: v, a: 1}\nactions: [{target: $}]",
            "1:2:30: unknown key in info: a"
        ),
        (
            "overlay: 1.0.0\ninfo: {title: T, version: v}\nextends: 1\nactions: [{target: $}]",
            "1:3:10: extends must be a text"
        ),
        (
            "overlay: 1.0.0\ninfo: {title: T, version: v}\naction: []\nactions: [{target: $}]",
            "1:3:1: unknown key in an overlay: action"
        ),
    ])
    func `must be of the specification's form`(overlay: String, expected: String) throws {
        #expect(try overlaid(overlay, on: "{}") == expected)
    }

    @Test func `may have extensions and may say what it extends`() throws {
        let overlay = """
            overlay: 1.0.1
            info: {title: T, version: 2, x-by: us}
            extends: compute.yaml
            x-more: {a: 1}
            actions: [{target: $, update: {a: 1}, x-why: because}]
            """
        #expect(try overlaid(overlay, on: "{}") == "{a: 1}")
    }
}

@Suite struct `A document's text` {
    private func failure(_ text: String) -> String {
        do throws(NodeTextFailure) {
            _ = try NodeText.read(text, file: 0)
            return ""
        } catch {
            return "\(error.place.line):\(error.place.column): \(error.message)"
        }
    }

    @Test(arguments: [
        ("", "1:1: the file is empty"), ("a: 1\na: 2", "1:1: the same key twice: a"),
        ("a: *b", "1:4: found undefined alias"), ("[a]: 1", "1:1: a key must be a text"),
        ("a: [", "2:1: did not find expected node content"),
        ("a: 1\n---\nb: 2", "2:1: but found another document"),
        ("a: \"\\ud800\"", "1:7: found invalid Unicode character escape code"),
    ])
    func `that is no document names its place`(text: String, expected: String) {
        #expect(failure(text) == expected)
    }

    @Test func `grows by aliases within bounds`() {
        var text = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
        for floor in 1...12 {
            text +=
                "a\(floor): &a\(floor) ["
                + Array(repeating: "*a\(floor - 1)", count: 10).joined(separator: ", ") + "]\n"
        }
        #expect(failure(text).hasSuffix("more than 2000000 values once aliases are followed"))
    }

    @Test func `nests within bounds`() {
        #expect(failure(String(repeating: "[", count: 100_000)) != "")
        #expect(failure(String(repeating: "{a: ", count: 100_000)) != "")
    }

    @Test(arguments: [
        ("1", JSONValue.number(1)), ("-1.5e1", .number(-15)), ("true", .truth(true)),
        ("'true'", .text("true")),
        ("~", .null), ("''", .text("")), ("2.35", .number(2.35)), ("\"2.35\"", .text("2.35")),
        ("yes", .text("yes")),
        ("0x10", .text("0x10")), ("1_000", .text("1_000")), (".inf", .text(".inf")), ("- a", nil),
    ])
    func `has values as JSON has`(text: String, expected: JSONValue?) throws {
        #expect(JSONValue(try NodeText.read(text, file: 0)) == expected)
    }
}
