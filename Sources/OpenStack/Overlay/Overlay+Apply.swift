extension Overlay {
    /// What came of laying an overlay over a document.
    struct Outcome: Sendable {
        /// Changes that do not fit the document.
        var mistakes: [(place: Node.Place, message: String)] = []
        /// Actions that changed nothing.
        var idle: [(place: Node.Place, message: String)] = []
    }

    /// Applies the actions in their order, each to what the ones before it left.
    ///
    /// - Shape: members of mappings are laid over each other, lists are joined, single values are replaced; laid over a
    ///   list that is itself the target, the update becomes its last item. An action that removes does not update.
    /// - Limits: `JSONPath.maxStepCount` steps for all of it.
    /// - Errors: a target that is a single value, an update of another kind than what it is laid over.
    /// - Source: Overlay 1.0.0 §4.4.3 (Action Object).
    func apply(to document: inout Node) -> Outcome {
        var outcome = Outcome()
        var steps = JSONPath.maxStepCount
        for action in actions {
            guard let paths = action.target.select(in: document, steps: &steps) else {
                outcome.mistakes.append(
                    (action.targetPlace, "the targets of this file look at too much of the definition"))
                return outcome
            }
            if paths.isEmpty { outcome.idle.append((action.targetPlace, "nothing has this target")) }
            if action.removes {
                remove(paths, action.targetPlace, from: &document, &outcome)
            } else if let update = action.update {
                for path in paths { merge(update, path, action.targetPlace, into: &document, &outcome) }
            } else if !paths.isEmpty {
                outcome.idle.append((action.targetPlace, "the action neither updates nor removes"))
            }
        }
        return outcome
    }

    private func remove(
        _ paths: [[Int]], _ place: Node.Place, from document: inout Node, _ outcome: inout Outcome
    ) {
        // The last ones first, and what is inside before what it is inside of: so indices stay right.
        for path in paths.sorted(by: { $1.lexicographicallyPrecedes($0) }) {
            guard let last = path.last else {
                outcome.mistakes.append((place, "the whole document cannot be removed"))
                continue
            }
            let isSingle = document.change(path[...]) { $0.scalar != nil }
            if isSingle == true {
                outcome.mistakes.append(
                    (place, "the target is a single value; only mappings and lists are removed"))
                continue
            }
            document.change(path.dropLast()) { $0.removeChild(last) }
        }
    }

    private func merge(
        _ update: Node, _ path: [Int], _ place: Node.Place, into document: inout Node,
        _ outcome: inout Outcome
    ) {
        document.change(path[...]) { target in
            switch target.value {
            case .scalar:
                outcome.mistakes.append(
                    (place, "the target is a single value; what contains it is to be the target"))
            case .sequence(var items):
                items.append(update)
                target.value = .sequence(items)
            case .mapping:
                guard update.mapping != nil else {
                    outcome.mistakes.append(
                        (update.place, "update is \(update.kind), and the target is a mapping"))
                    return
                }
                target.merge(update, &outcome.mistakes)
            }
        }
    }
}

extension Node {
    /// Lays another node of the same kind over this one.
    fileprivate mutating func merge(_ update: Node, _ mistakes: inout [(place: Place, message: String)]) {
        switch (value, update.value) {
        case (.mapping(var members), .mapping(let changes)):
            value = .mapping([])
            for change in changes {
                if let index = members.firstIndex(where: { $0.key.string == change.key.string }) {
                    members[index].value.merge(change.value, &mistakes)
                } else {
                    members.append(change)
                }
            }
            value = .mapping(members)
        case (.sequence(let items), .sequence(let more)): value = .sequence(items + more)
        case (.scalar, .scalar): self = update
        default:
            mistakes.append((update.place, "this is \(update.kind) and what it is laid over is \(kind)"))
        }
    }
}
