/// A query that selects nodes of a document.
///
/// - Shape: what overlays use of RFC 9535: names and indices, each alone or several in brackets, wildcards, descendants,
///   and filters of comparisons with `==` and `!=` and of existence, joined by `&&`, `||`, `!` and parentheses. Slices,
///   functions and the orders `<`, `<=`, `>`, `>=` are not read.
/// - Source: RFC 9535 §2.
struct JSONPath: Sendable {
    enum Selector: Sendable {
        case name(String)
        /// From the end when negative.
        case index(Int)
        case wildcard
        case filter(Condition)
    }

    struct Segment: Sendable {
        /// `..`: the selectors are asked of the node and of all below it.
        var isDescendant: Bool
        var selectors: [Selector]
    }

    indirect enum Condition: Sendable {
        case or(Condition, Condition)
        case and(Condition, Condition)
        case not(Condition)
        case exists(Query)
        case equal(Operand, Operand)
    }

    enum Operand: Sendable {
        case value(JSONValue)
        case query(Query)
    }

    /// A query inside a filter, from the current node (`@`) or from the root (`$`).
    struct Query: Sendable {
        var isRelative: Bool
        var segments: [Segment]
    }

    var segments: [Segment]
}

/// Why a text is no query: the offset is of a Unicode scalar in it.
struct JSONPathFailure: Error, Equatable {
    var offset: Int
    var message: String
}

// MARK: - Selecting

extension JSONPath {
    /// Steps that one document's queries may take together.
    static let maxStepCount = 50_000_000

    /// The places of what the query selects: each a path of child indices from the root, none twice, in order.
    ///
    /// - Limits: `steps` counts down what all queries of a document may look at; nil when it is used up.
    func select(in root: Node, steps: inout Int) -> [[Int]]? {
        var search = Search(root: root, steps: steps)
        let found = search.select(segments, from: root)
        steps = search.steps
        guard steps > 0 else { return nil }
        var seen: Set<[Int]> = []
        return found.map(\.path).filter { seen.insert($0).inserted }
    }

    private struct Found {
        var node: Node
        var path: [Int]
    }

    private struct Search {
        let root: Node
        var steps: Int

        mutating func select(_ segments: [Segment], from start: Node) -> [Found] {
            var current = [Found(node: start, path: [])]
            for segment in segments {
                var next: [Found] = []
                for found in current {
                    if segment.isDescendant {
                        descend(found, segment.selectors, &next)
                    } else {
                        apply(segment.selectors, to: found, &next)
                    }
                }
                current = next
            }
            return current
        }

        private mutating func descend(_ found: Found, _ selectors: [Selector], _ next: inout [Found]) {
            apply(selectors, to: found, &next)
            for index in 0..<found.node.count {
                guard steps > 0 else { return }
                descend(child(found, index), selectors, &next)
            }
        }

        private func child(_ found: Found, _ index: Int) -> Found {
            Found(node: found.node[child: index], path: found.path + [index])
        }

        private mutating func apply(_ selectors: [Selector], to found: Found, _ next: inout [Found]) {
            for selector in selectors {
                guard steps > 0 else { return }
                steps -= 1
                switch selector {
                case .name(let name):
                    steps -= found.node.mapping?.count ?? 0
                    if let index = found.node.index(of: name) { next.append(child(found, index)) }
                case .index(let index):
                    guard let count = found.node.sequence?.count else { continue }
                    let place = index < 0 ? count + index : index
                    if place >= 0, place < count { next.append(child(found, place)) }
                case .wildcard:
                    steps -= found.node.count
                    for index in 0..<found.node.count { next.append(child(found, index)) }
                case .filter(let condition):
                    for index in 0..<found.node.count {
                        guard steps > 0 else { return }
                        if holds(condition, found.node[child: index]) { next.append(child(found, index)) }
                    }
                }
            }
        }

        private mutating func holds(_ condition: Condition, _ node: Node) -> Bool {
            steps -= 1
            switch condition {
            case .or(let left, let right): return holds(left, node) || holds(right, node)
            case .and(let left, let right): return holds(left, node) && holds(right, node)
            case .not(let inner): return !holds(inner, node)
            case .exists(let query): return !nodes(query, node).isEmpty
            case .equal(let left, let right): return areEqual(left, right, node)
            }
        }

        private mutating func nodes(_ query: Query, _ node: Node) -> [Found] {
            guard steps > 0 else { return [] }
            return select(query.segments, from: query.isRelative ? node : root)
        }

        /// Compares as RFC 9535 §2.3.5.2.2 does: nothing equals nothing, and values of two types are never equal.
        private mutating func areEqual(_ left: Operand, _ right: Operand, _ node: Node) -> Bool {
            switch (left, right) {
            case (.value(let left), .value(let right)): return left == right
            case (.query(let query), .value(let value)), (.value(let value), .query(let query)):
                return nodes(query, node).first.map { JSONValue($0.node) == value } ?? false
            case (.query(let left), .query(let right)):
                let one = nodes(left, node).first
                let other = nodes(right, node).first
                guard let one, let other else { return one == nil && other == nil }
                steps -= one.node.count + other.node.count
                return one.node.means(other.node)
            }
        }
    }
}
