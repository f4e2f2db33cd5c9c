internal import HTTP

/// Documents as OpenStack generates them: `x-openstack` with microversions, roots in the paths, ids of another form.
///
/// What an overlay says in `x-gatehouse` wins over all that is read here. What Gatehouse makes no use of is listed.
extension DefinitionReader {
    /// Takes the roots that the paths begin with when none are named, and what belongs to them.
    mutating func deriveDefaults(_ paths: Node) {
        if definition.mediaTypes.isEmpty {
            definition.mediaTypes = [
                "application/json", "application/vnd.openstack.compute+json", "text/plain",
            ]
        }
        guard definition.roots.isEmpty else { return }
        for member in paths.mapping ?? [] {
            let first = (member.key.string ?? "").split(separator: "/", omittingEmptySubsequences: false)
                .dropFirst().first.map(String.init)
            let version: APIVersion
            switch first {
            case "v2.1": version = .v21
            case "v2": version = .v2
            default: continue
            }
            let path = "/" + (first ?? "")
            if !definition.roots.contains(where: { $0.path == path }) {
                definition.roots.append((path, version))
            }
        }
        let hasVersions = definition.roots.contains { root in
            [root.path, root.path + "/"].contains { paths[$0]?["get"] != nil }
        }
        if definition.discovery.isEmpty, hasVersions {
            definition.discovery = ["/"] + definition.roots.flatMap { [$0.path, $0.path + "/"] }
        }
    }

    /// Names of the project's segment, which every path of the table may have or not.
    private static let projectNames = ["project_id", "tenant_id"]

    /// Leaves out what described the project's segment, where that was left out of the path.
    func dropProject(_ parameters: inout [Parameter], _ names: [String]) {
        parameters.removeAll {
            $0.place == .path && Self.projectNames.contains($0.name) && !names.contains($0.name)
        }
    }

    /// The path below its root and without the project's segment; nil when it is under no root.
    func servedPath(_ path: String) -> String? {
        let root = definition.roots.filter { path == $0.path || path.hasPrefix($0.path + "/") }
            .max { $0.path.count < $1.path.count }
        guard let root else { return nil }
        let rest = path.dropFirst(root.path.count)
        for name in Self.projectNames where rest.hasPrefix("/{\(name)}/") {
            return String(rest.dropFirst(name.count + 3))
        }
        return rest.isEmpty ? "/" : String(rest)
    }

    /// Sets what follows from method and path, for the keys of `x-gatehouse` that nobody gives.
    mutating func deriveOperation(_ operation: inout Operation, _ node: Node) {
        let isOne = operation.path.hasSuffix("}")
        let isAction = operation.method == .post && operation.path.hasSuffix("/action")
        let limit: String
        switch operation.method {
        case .get, .head:
            limit = isOne || operation.path == "/" ? "read" : "list"
            operation.auditAction = isOne || operation.path == "/" ? "read" : "read/list"
        case .post:
            limit = isAction ? "action" : "create"
            operation.auditAction = isAction ? "update" : "create"
        case .delete:
            limit = "delete"
            operation.auditAction = "delete"
        default:
            limit = "update"
            operation.auditAction = "update"
        }
        if definition.limitClasses.isEmpty || definition.limitClasses.contains(where: { $0.name == limit }) {
            operation.limitClass = limit
        }
        operation.isDiscovery = operation.path == "/" && operation.method == .get
        if let range = node["x-openstack"] {
            (operation.minimum, operation.maximum) = bounds(range, "the operation")
        }
        if isAction, let body = node["requestBody"] { operation.actions = generatedActions(body) }
    }

    /// An id of our form: the document's when it has that, else one made from the path and the method.
    ///
    /// - Shape: `GET /servers/{id}/ips` becomes `servers.id.ips.get`; a second one of that name gets a number.
    mutating func generatedID(_ operation: Operation, _ stated: Node?) -> String {
        if let stated, Self.isID(stated.string ?? "") { return readID(stated) }
        var words = operation.path.split(separator: "/").map { segment in
            String(
                segment.lowercased().unicodeScalars
                    .map { Self.isIDByte($0) && $0 != "." ? $0 : "_" }
                    .reduce(into: String.UnicodeScalarView()) { $0.append($1) }
            ).trimmed("_")
        }
        if words.isEmpty { words = ["root"] }
        let name = (words + [operation.method.name.description.lowercased()]).joined(separator: ".")
        var id = name
        var number = 2
        while !seenIDs.insert(id).inserted {
            id = "\(name)_\(number)"
            number += 1
        }
        return id
    }

    static func isID(_ id: String) -> Bool {
        id.contains(".") && id.unicodeScalars.allSatisfy(isIDByte)
    }

    private static func isIDByte(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "."
    }

    // MARK: - Microversions

    /// Reads `min-ver` and `max-ver`; an end that is open is nil, and 2.1 is the beginning of all.
    mutating func bounds(_ node: Node, _ what: String) -> (minimum: Microversion?, maximum: Microversion?) {
        var minimum: Microversion?
        var maximum: Microversion?
        for (key, value) in pairs(node, "x-openstack") {
            switch key {
            case "min-ver": minimum = version(value, key)
            case "max-ver": maximum = version(value, key)
            default: break
            }
        }
        if let low = minimum, let high = maximum, high < low {
            note(
                "max-ver of \(what) that is below its min-ver; there is no end then",
                at: node["max-ver"] ?? node)
            maximum = nil
        }
        return (minimum.flatMap { $0 > .base ? $0 : nil }, maximum)
    }

    // MARK: - Schemas

    /// Follows `$ref` to a schema; nil, with a mistake, when it leads nowhere or in a circle.
    mutating func resolved(_ node: Node) -> Node? {
        var node = node
        for _ in 0..<16 {
            guard let reference = node["$ref"] else { return node }
            let prefix = "#/components/schemas/"
            guard let target = reference.string, target.hasPrefix(prefix),
                let schema = sharedSchemas[String(target.dropFirst(prefix.count))]
            else {
                add("no such schema: \(String((reference.string ?? "").prefix(128)))", at: reference)
                return nil
            }
            node = schema
        }
        add("a schema that leads to itself, or through more than 16 others", at: node)
        return nil
    }

    /// Reads the actions that a content's schema names, each with the microversions of all its forms together.
    private mutating func generatedActions(_ body: Node) -> [Action] {
        guard let schema = body["content"]?.mapping?.first?.value["schema"], let whole = resolved(schema)
        else {
            return []
        }
        var actions: [Action] = []
        for branch in whole["oneOf"].map({ list($0, "oneOf") }) ?? [whole] {
            guard let form = resolved(branch) else { continue }
            let forms = form["oneOf"].map { list($0, "oneOf") }?.compactMap { resolved($0) } ?? [form]
            let stated = form["x-openstack"]?["action-name"] ?? forms.first?["x-openstack"]?["action-name"]
            // The one member that the content must have says the same.
            let only = forms.first?["properties"]?.mapping.flatMap { $0.count == 1 ? $0[0].key : nil }
            guard let name = (stated ?? only)?.string, !name.isEmpty else {
                note("an action without a name", at: branch)
                continue
            }
            var action = Action(key: name, auditAction: "update")
            (action.minimum, action.maximum) = union(of: forms, "the action")
            if actions.contains(where: { $0.key == name }) {
                note("a second action of a name", at: branch)
            } else {
                actions.append(action)
            }
        }
        return actions
    }

    /// From the lowest to the highest microversion of some forms.
    private mutating func union(of forms: [Node], _ what: String) -> (Microversion?, Microversion?) {
        let ranges = forms.map { form in form["x-openstack"].map { bounds($0, what) } ?? (nil, nil) }
        let minimum = ranges.contains { $0.0 == nil } ? nil : ranges.compactMap(\.0).min()
        let maximum = ranges.contains { $0.1 == nil } ? nil : ranges.compactMap(\.1).max()
        return (minimum, maximum)
    }

    /// Reads a parameter's schema that has several forms: their common rule, or none when they differ.
    mutating func readForms(_ node: Node, into parameter: inout Parameter) -> Rule {
        var forms: [(parameter: Parameter, rule: Rule)] = []
        var nodes: [Node] = []
        for item in list(node, "oneOf") {
            guard let form = resolved(item) else { continue }
            var one = parameter
            let rule = readSchema(form, into: &one)
            forms.append((one, rule))
            nodes.append(form)
        }
        let (minimum, maximum) = union(of: nodes, "the parameter")
        guard let first = forms.first else { return .any }
        let isSame = forms.allSatisfy {
            $0.rule == first.rule && $0.parameter.choices == first.parameter.choices
        }
        if isSame { parameter = first.parameter }
        parameter.minimum = minimum
        parameter.maximum = maximum
        guard isSame else {
            note("a parameter whose forms differ; its value is not checked", at: node)
            return .any
        }
        return first.rule
    }
}

extension String {
    fileprivate func trimmed(_ character: Character) -> String {
        var text = self[...]
        while text.first == character { text.removeFirst() }
        while text.last == character { text.removeLast() }
        return String(text)
    }
}
