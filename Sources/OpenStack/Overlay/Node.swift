/// A node of a YAML or JSON document that remembers where it was written.
///
/// - Shape: a value; changing a copy leaves the original as it was. Aliases are written out, so a node is a tree.
/// - Source: YAML 1.1 as libyaml reads it, of which JSON is a part.
struct Node: Sendable {
    /// Where a node begins: index of its file among those of the reading, line and column from 1.
    struct Place: Equatable, Sendable {
        var file: UInt8 = 0
        var line: UInt32 = 1
        var column: UInt32 = 1
    }

    /// How a scalar is written. Only a plain one may be a number, a truth value or nothing.
    enum Style: UInt8, Sendable { case plain, singleQuoted, doubleQuoted, block }

    struct Scalar: Equatable, Sendable {
        var string: String
        var style: Style
    }

    /// A key with its value.
    struct Member: Sendable {
        var key: Node
        var value: Node
    }

    enum Value: Sendable {
        case scalar(Scalar)
        case sequence([Node])
        case mapping([Member])
    }

    var value: Value
    var place: Place

    init(_ value: Value, at place: Place) {
        self.value = value
        self.place = place
    }

    var scalar: Scalar? {
        if case .scalar(let scalar) = value { scalar } else { nil }
    }

    var sequence: [Node]? {
        if case .sequence(let items) = value { items } else { nil }
    }

    var mapping: [Member]? {
        if case .mapping(let members) = value { members } else { nil }
    }

    /// The text of a scalar, whatever it may mean.
    var string: String? { scalar?.string }

    /// A plain `true` or `false`, in the spellings of YAML 1.2.
    var bool: Bool? {
        guard let scalar, scalar.style == .plain else { return nil }
        switch scalar.string {
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default: return nil
        }
    }

    /// A plain decimal number without a fraction.
    var int: Int? {
        guard let scalar, scalar.style == .plain, scalar.string.utf8.first != 0x2B else { return nil }
        return Int(scalar.string)
    }

    /// Nothing, `~` or `null`, without quotes.
    var isNull: Bool {
        guard let scalar, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// The value of a mapping's key; nil for no mapping and for no such key.
    subscript(key: String) -> Node? { index(of: key).map { mapping![$0].value } }

    /// Where a mapping has a key.
    func index(of key: String) -> Int? {
        guard case .mapping(let members) = value else { return nil }
        return members.firstIndex { $0.key.string == key }
    }

    /// What it is, for «expected …».
    var kind: String {
        switch value {
        case .scalar: isNull ? "nothing" : "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}

extension Node {
    /// The number of children.
    var count: Int {
        switch value {
        case .scalar: 0
        case .sequence(let items): items.count
        case .mapping(let members): members.count
        }
    }

    /// The child at an index: an item, or a member's value.
    subscript(child index: Int) -> Node {
        get {
            switch value {
            case .scalar: preconditionFailure("a scalar has no children")
            case .sequence(let items): return items[index]
            case .mapping(let members): return members[index].value
            }
        }
    }

    /// Changes the node at a path of child indices in place; answers nil when the path leads nowhere.
    mutating func change<Result>(
        _ path: ArraySlice<Int>, _ body: (inout Node) -> Result
    ) -> Result? {
        guard let index = path.first else { return body(&self) }
        guard index < count else { return nil }
        switch value {
        case .scalar: return nil
        case .sequence(var items):
            // Emptied first, so that the array has one owner and is changed without a copy.
            value = .sequence([])
            defer { value = .sequence(items) }
            return items[index].change(path.dropFirst(), body)
        case .mapping(var members):
            value = .mapping([])
            defer { value = .mapping(members) }
            return members[index].value.change(path.dropFirst(), body)
        }
    }

    /// Takes the child at an index out.
    mutating func removeChild(_ index: Int) {
        guard index < count else { return }
        switch value {
        case .scalar: return
        case .sequence(var items):
            value = .sequence([])
            items.remove(at: index)
            value = .sequence(items)
        case .mapping(var members):
            value = .mapping([])
            members.remove(at: index)
            value = .mapping(members)
        }
    }

    /// Tells whether two nodes mean the same value: places, quotes and the order of keys do not matter.
    func means(_ other: Node) -> Bool {
        switch (value, other.value) {
        case (.scalar, .scalar): JSONValue(self) == JSONValue(other)
        case (.sequence(let left), .sequence(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.means($1) }
        case (.mapping(let left), .mapping(let right)):
            left.count == right.count
                && left.allSatisfy { member in
                    guard let key = member.key.string, let value = other[key] else { return false }
                    return member.value.means(value)
                }
        default: false
        }
    }
}

/// What a scalar means: the primitive values of JSON.
enum JSONValue: Equatable, Sendable {
    case null
    case truth(Bool)
    case number(Double)
    case text(String)

    /// Reads a scalar by YAML 1.2's core schema, decimal numbers only; nil for a list and a mapping.
    init?(_ node: Node) {
        guard let scalar = node.scalar else { return nil }
        if node.isNull {
            self = .null
        } else if let truth = node.bool {
            self = .truth(truth)
        } else if scalar.style == .plain, let number = Self.number(scalar.string) {
            self = .number(number)
        } else {
            self = .text(scalar.string)
        }
    }

    /// Reads a number of JSON's form.
    static func number(_ text: String) -> Double? {
        guard let first = text.utf8.first, first == 0x2D || (0x30...0x39).contains(first),
            text.utf8.allSatisfy({
                (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0)
            })
        else { return nil }
        return Double(text)
    }
}
