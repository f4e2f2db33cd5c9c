/// Changes to a document that stand in a file of their own.
///
/// - Source: OpenAPI Overlay Specification 1.0.0.
struct Overlay: Sendable {
    /// One step: what is selected is changed, or taken out.
    struct Action: Sendable {
        var target: JSONPath
        var targetPlace: Node.Place
        /// What is laid over it; nil when the action only removes, or does nothing.
        var update: Node?
        var removes = false
    }

    var actions: [Action] = []
}

/// Reads an overlay document, every mistake with its place.
///
/// - Errors: whatever the specification's schema forbids: another version, missing parts, unknown keys that do not
///   begin with `x-`, the same action twice, and queries outside the subset of `JSONPath`.
struct OverlayReader {
    var overlay = Overlay()
    var mistakes: [(place: Node.Place, message: String)] = []

    mutating func read(_ root: Node) {
        guard let members = root.mapping else { return add("an overlay must be a mapping", root) }
        for member in members {
            switch member.key.string ?? "" {
            case "overlay":
                if !Self.isVersion(member.value.string ?? "") { add("overlay must be 1.0", member.value) }
            case "info": readInfo(member.value)
            case "extends":
                if text(member.value) == nil { add("extends must be a text", member.value) }
            case "actions": readActions(member.value)
            case let key: refuse(key, "in an overlay", member.key)
            }
        }
        for key in ["overlay", "info", "actions"] where root[key] == nil { add("\(key) is missing", root) }
    }

    private mutating func add(_ message: String, _ node: Node) { mistakes.append((node.place, message)) }

    private mutating func refuse(_ key: String, _ whole: String, _ node: Node) {
        if !key.hasPrefix("x-") { add("unknown key \(whole): \(key)", node) }
    }

    /// Any patch of 1.0.
    private static func isVersion(_ text: String) -> Bool {
        text == "1.0" || text.hasPrefix("1.0.") && Int(text.dropFirst(4)) != nil
    }

    private func text(_ node: Node) -> String? {
        guard case .text(let text)? = JSONValue(node), !text.isEmpty else { return nil }
        return text
    }

    private mutating func readInfo(_ node: Node) {
        guard let members = node.mapping else { return add("info must be a mapping", node) }
        for member in members {
            switch member.key.string ?? "" {
            case "title", "version":
                // Nearly every file says `version: 1.0` without quotes, so a number will do.
                if member.value.string?.isEmpty != false {
                    add("\(member.key.string ?? "") must be a text", member.value)
                }
            case let key: refuse(key, "in info", member.key)
            }
        }
        for key in ["title", "version"] where node[key] == nil { add("info needs \(key)", node) }
    }

    private mutating func readActions(_ node: Node) {
        guard let items = node.sequence else { return add("actions must be a list", node) }
        if items.isEmpty { add("actions must have one at least", node) }
        var seen: [String: [Node]] = [:]
        for item in items {
            readAction(item)
            let target = item["target"]?.string ?? ""
            if seen[target, default: []].contains(where: { $0.means(item) }) {
                add("the same action twice", item)
            }
            seen[target, default: []].append(item)
        }
    }

    private mutating func readAction(_ node: Node) {
        guard let members = node.mapping else { return add("an action must be a mapping", node) }
        var target: JSONPath?
        var update: Node?
        var removes = false
        for member in members {
            switch member.key.string ?? "" {
            case "target": target = query(member.value)
            case "description":
                if member.value.scalar == nil { add("description must be a text", member.value) }
            case "update": update = member.value
            case "remove":
                guard let value = member.value.bool else {
                    add("remove must be true or false", member.value)
                    continue
                }
                removes = value
            case let key: refuse(key, "in an action", member.key)
            }
        }
        guard let place = node["target"]?.place else { return add("an action needs a target", node) }
        guard let target else { return }
        overlay.actions.append(
            Overlay.Action(target: target, targetPlace: place, update: update, removes: removes))
    }

    private mutating func query(_ node: Node) -> JSONPath? {
        guard let scalar = node.scalar else {
            add("target must be a text", node)
            return nil
        }
        do throws(JSONPathFailure) {
            return try JSONPathReader.read(scalar.string)
        } catch {
            mistakes.append((Self.place(of: error.offset, in: scalar, at: node.place), error.message))
            return nil
        }
    }

    /// Where a character of a scalar stands in its file; the scalar's own place when it runs over lines.
    private static func place(of offset: Int, in scalar: Node.Scalar, at place: Node.Place) -> Node.Place {
        let before = scalar.string.unicodeScalars.prefix(offset)
        guard scalar.style != .block, !before.contains("\n") else { return place }
        var column = Int(place.column) + before.count
        switch scalar.style {
        case .singleQuoted: column += 1 + before.count { $0 == "'" }
        case .doubleQuoted: column += 1 + before.count { $0 == "\"" || $0 == "\\" }
        case .plain, .block: break
        }
        return Node.Place(file: place.file, line: place.line, column: UInt32(clamping: column))
    }
}
