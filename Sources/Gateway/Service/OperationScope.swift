internal import HTTP
internal import OpenStack

/// Which operations and actions a limit's rule or an audit policy is about, by API; for compiling alone.
///
/// - Shape: words as `Settings.LimitSelector` has them.
struct OperationScope {
    private(set) var mistakes: [RuleMistakes.Mistake] = []
    /// The rule names nothing, so it is about everything, what matches no operation among it.
    let isEverything: Bool
    private let tables: [OperationTable]
    /// The operation that a word is about only where it is this id.
    private let exception: String?
    private var found: Found

    /// Indices of operations and of actions in each API's table.
    private struct Found: Equatable {
        var operations: [Set<Int>]
        var actions: [Set<Int>]

        init(_ tables: [OperationTable]) {
            operations = tables.map { _ in [] }
            actions = operations
        }

        var isEmpty: Bool { operations.allSatisfy(\.isEmpty) && actions.allSatisfy(\.isEmpty) }

        mutating func add(_ other: Found) {
            for api in operations.indices {
                operations[api].formUnion(other.operations[api])
                actions[api].formUnion(other.actions[api])
            }
        }
    }

    /// - Parameters:
    ///   - selectors: empty for everything.
    ///   - exception: the operation that is meant only where it is named.
    init(_ selectors: [Settings.LimitSelector], tables: [OperationTable], except exception: String? = nil) {
        self.tables = tables
        self.exception = exception
        isEverything = selectors.isEmpty
        found = Found(tables)
        if isEverything { found = operations { _ in true } }
        for selector in selectors {
            switch find(selector.text) {
            case .success(let more): found.add(more)
            case .failure(let wrong):
                mistakes.append(
                    RuleMistakes.Mistake(
                        line: selector.line, column: selector.column,
                        message: "`operations`: `\(selector.text)` \(wrong.reason)"))
            }
        }
    }

    func hasOperation(_ api: Int, _ operation: Int) -> Bool { found.operations[api].contains(operation) }
    func hasAction(_ api: Int, _ action: Int) -> Bool { found.actions[api].contains(action) }
    var operationIndices: [[Int]] { found.operations.map { $0.sorted() } }

    /// The operations it is about, those of which it is only about an action among them.
    private var touched: [OpenStack.Operation] {
        tables.indices.flatMap { api in
            tables[api].operations.indices.filter { operation in
                hasOperation(api, operation)
                    || tables[api].actions(of: operation).contains { hasAction(api, $0) }
            }.map { tables[api].operations[$0] }
        }
    }

    /// In the order in which Nova's documents have them.
    var methods: [String] {
        let found = Set(touched.map(\.method))
        return [Method.get, .post, .put, .delete, .patch].filter(found.contains).map { $0.name.description }
    }

    /// `*` and the only path, and a pattern of it; or everything.
    var place: (uri: String, regex: String) {
        let paths = Set(touched.map(\.path))
        guard paths.count == 1, let path = paths.first else { return ("*", ".*") }
        return Self.place(of: path)
    }

    static func place(of path: String) -> (uri: String, regex: String) {
        ("*" + path, "^" + path.replacing(/\{[^}]*\}/, with: "[^/]+"))
    }

    // MARK: - Words

    private struct Wrong: Error { let reason: String }

    private func find(_ text: String) -> Result<Found, Wrong> {
        if text.hasPrefix("tag:") { return known(tagged(String(text.dropFirst(4))), text) }
        if text.hasPrefix("class:") { return known(ofClass(String(text.dropFirst(6))), text) }
        let named = operations(isNamed: true) { $0.id == text }
        if !named.isEmpty { return .success(named) }
        let ofMethod = operations { $0.method.name.description == text }
        if !ofMethod.isEmpty { return .success(ofMethod) }
        let ofAction = actions(text)
        if !ofAction.isEmpty { return .success(ofAction) }
        let (byTag, byClass) = (tagged(text), ofClass(text))
        if !byTag.isEmpty, !byClass.isEmpty, byTag != byClass {
            return .failure(Wrong(reason: "is a tag and a limit class: `tag:\(text)` or `class:\(text)`"))
        }
        return known(byTag.isEmpty ? byClass : byTag, text)
    }

    private func known(_ found: Found, _ text: String) -> Result<Found, Wrong> {
        guard found.isEmpty else { return .success(found) }
        let what = "is no operation, action, tag, limit class or method of the definitions"
        return .failure(Wrong(reason: what + nearest(text)))
    }

    private func nearest(_ text: String) -> String {
        guard text.utf8.count <= 64 else { return "" }
        let all = tables.flatMap(\.operations)
        let words = Set(all.flatMap { [$0.id, $0.limitClass] + $0.tags + $0.actions.map(\.key) })
        let near = words.map { (SettingsGroup.editCount(from: Array(text), to: Array($0)), $0) }.min {
            $0 < $1
        }
        guard let near, near.0 <= 2 else { return "" }
        return "; did you mean `\(near.1)`?"
    }

    private func operations(isNamed: Bool = false, where isMeant: (OpenStack.Operation) -> Bool) -> Found {
        var found = Found(tables)
        for (api, table) in tables.enumerated() {
            for (index, operation) in table.operations.enumerated()
            where (isNamed || operation.id != exception) && isMeant(operation) {
                found.operations[api].insert(index)
                found.actions[api].formUnion(table.actions(of: index))
            }
        }
        return found
    }

    private func tagged(_ tag: String) -> Found { operations { $0.tags.contains(tag) } }

    /// An action may be of another class than its operation.
    private func ofClass(_ name: String) -> Found {
        var found = Found(tables)
        for (api, table) in tables.enumerated() {
            for (index, operation) in table.operations.enumerated() where operation.id != exception {
                if operation.limitClass == name { found.operations[api].insert(index) }
                for (action, place) in zip(operation.actions, table.actions(of: index))
                where (action.limitClass ?? operation.limitClass) == name {
                    found.actions[api].insert(place)
                }
            }
        }
        return found
    }

    /// `servers.action:reboot`, or `reboot` of any operation.
    private func actions(_ text: String) -> Found {
        var found = Found(tables)
        for (api, table) in tables.enumerated() {
            for (index, operation) in table.operations.enumerated() {
                for (action, place) in zip(operation.actions, table.actions(of: index))
                where action.key == text || "\(operation.id):\(action.key)" == text {
                    found.actions[api].insert(place)
                }
            }
        }
        return found
    }
}
