internal import Yams

/// One thing that keeps a text from being a document.
struct NodeTextFailure: Error {
    var place: Node.Place
    var message: String
}

/// Turns the text of a document into nodes.
enum NodeText {
    /// Bytes of a document.
    static let maxByteCount = 16 << 20
    /// Nodes of a document once its aliases are written out.
    static let maxNodeCount = 2_000_000

    /// Reads the only document of a text.
    ///
    /// - Shape: `file` goes into the places.
    /// - Limits: 16 MiB, a nesting of 1,000, and 2,000,000 nodes with aliases written out. Reading goes down once per
    ///   level of nesting: the deepest document needs a stack of some megabytes.
    /// - Errors: the first thing that is wrong.
    static func read(_ text: String, file: UInt8) throws(NodeTextFailure) -> Node {
        guard text.utf8.count <= maxByteCount else {
            throw failure(file, 1, 1, "the file is larger than 16 MiB")
        }
        var found: Yams.Node?
        do {
            // Types are ours to judge, from what a key means; so every scalar may stay a text.
            found = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
        } catch let error as YamlError {
            throw describe(error, file)
        } catch {
            throw failure(file, 1, 1, "not readable as YAML")
        }
        guard let root = found else { throw failure(file, 1, 1, "the file is empty") }
        var copy = Copy(file: file)
        return try copy.node(root)
    }

    private static func failure(_ file: UInt8, _ line: Int, _ column: Int, _ message: String)
        -> NodeTextFailure
    {
        NodeTextFailure(
            place: Node.Place(
                file: file, line: UInt32(clamping: max(line, 1)), column: UInt32(clamping: max(column, 1))),
            message: message)
    }

    private static func describe(_ error: YamlError, _ file: UInt8) -> NodeTextFailure {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return failure(file, mark.line, mark.column, problem)
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.prefix(4).map { String($0.prefix(64)) }.joined(separator: ", ")
            return failure(file, context.mark.line, context.mark.column, "the same key twice: \(names)")
        case .reader(let problem, _, _, _): return failure(file, 1, 1, problem)
        default: return failure(file, 1, 1, "not readable as YAML")
        }
    }

    /// Copies the library's nodes into ours, counting them: a tower of aliases doubles at each floor.
    private struct Copy {
        let file: UInt8
        var count = 0

        mutating func node(_ source: Yams.Node) throws(NodeTextFailure) -> Node {
            count += 1
            let mark = source.mark
            let place = Node.Place(
                file: file, line: UInt32(clamping: mark?.line ?? 1),
                column: UInt32(clamping: mark?.column ?? 1))
            guard count <= NodeText.maxNodeCount else {
                throw NodeTextFailure(
                    place: place,
                    message: "more than \(NodeText.maxNodeCount) values once aliases are followed")
            }
            switch source {
            case .scalar(let scalar):
                return Node(
                    .scalar(Node.Scalar(string: scalar.string, style: style(scalar.style))), at: place)
            case .sequence(let sequence):
                var items: [Node] = []
                items.reserveCapacity(sequence.count)
                for item in sequence { items.append(try node(item)) }
                return Node(.sequence(items), at: place)
            case .mapping(let mapping):
                var members: [Node.Member] = []
                members.reserveCapacity(mapping.count)
                for (key, value) in mapping {
                    let key = try node(key)
                    guard key.scalar != nil else {
                        throw NodeTextFailure(place: key.place, message: "a key must be a text")
                    }
                    members.append(Node.Member(key: key, value: try node(value)))
                }
                return Node(.mapping(members), at: place)
            case .alias:
                throw NodeTextFailure(place: place, message: "an alias of nothing")
            }
        }

        private func style(_ style: Yams.Node.Scalar.Style) -> Node.Style {
            switch style {
            case .plain, .any: .plain
            case .singleQuoted: .singleQuoted
            case .doubleQuoted: .doubleQuoted
            case .literal, .folded: .block
            }
        }
    }
}
