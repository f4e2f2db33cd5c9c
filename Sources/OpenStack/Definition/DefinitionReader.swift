internal import HTTP

/// Reads a definition: OpenAPI 3.1 with `x-gatehouse` or as OpenStack generates it, every mistake with its place.
///
/// - Shape: keys of OpenAPI that say nothing to Gatehouse are skipped; unknown keys of `x-gatehouse` are mistakes. A
///   document without `x-gatehouse` at its root is a generated one: `DefinitionReader+Generated.swift`.
struct DefinitionReader {
    /// The definition's file and its overlay's, as places name them.
    let files: [String]
    var mistakes: [DefinitionMistake] = []
    var definition = Definition()
    var isGenerated = false
    // Defaults of the document level.
    var maxContent = 114_688
    var content = ContentMode.collected
    var defaultInvalidStatus = 400
    var sharedParameters: [String: Node] = [:]
    var sharedSchemas: [String: Node] = [:]
    var seenIDs: Set<String> = []
    var seenPaths: Set<String> = []
    var told: Set<DefinitionMistake> = []
    var noted: Set<String> = []
    /// Keywords of the parameter being read that no rule stands for.
    var unchecked: [(key: String, node: Node)] = []
    var schemaDepth = 0
    var schemaCount = 0

    /// Reads all of a definition; throws every mistake there is, or the one that ends reading.
    ///
    /// - Limits: those of `NodeText` for each file, and 1,000 mistakes.
    static func read(
        _ definition: DefinitionText, overlay: DefinitionText? = nil
    ) throws(DefinitionMistakes) -> Definition {
        var reader = DefinitionReader(files: [definition.file] + (overlay.map { [$0.file] } ?? []))
        if var root = reader.parse(definition.text, file: 0) {
            reader.isGenerated = root["x-gatehouse"] == nil
            if let overlay { reader.apply(overlay.text, to: &root) }
            // What an overlay was to bring would only be missing.
            if reader.mistakes.isEmpty { reader.readDocument(root) }
        }
        guard reader.mistakes.isEmpty else { throw reader.takeMistakes() }
        return reader.definition
    }

    /// The mistakes in the files' order.
    private func takeMistakes() -> DefinitionMistakes {
        DefinitionMistakes(
            mistakes: mistakes.sorted {
                let (left, right) = (files.firstIndex(of: $0.file) ?? 0, files.firstIndex(of: $1.file) ?? 0)
                return (left, $0.line, $0.column) < (right, $1.line, $1.column)
            })
    }

    private init(files: [String]) { self.files = files }

    private mutating func parse(_ text: String, file: UInt8) -> Node? {
        do throws(NodeTextFailure) {
            return try NodeText.read(text, file: file)
        } catch {
            add(error.message, at: error.place)
            return nil
        }
    }

    private mutating func apply(_ text: String, to root: inout Node) {
        guard let document = parse(text, file: 1) else { return }
        var reader = OverlayReader()
        reader.read(document)
        for mistake in reader.mistakes { add(mistake.message, at: mistake.place) }
        guard reader.mistakes.isEmpty else { return }
        let outcome = reader.overlay.apply(to: &root)
        for mistake in outcome.mistakes { add(mistake.message, at: mistake.place) }
        for action in outcome.idle { note(action.message, at: action.place) }
    }

    mutating func readDocument(_ root: Node) {
        let members = pairs(root, "the document")
        for (key, node) in members {
            switch key {
            case "openapi":
                if let version = string(node, "openapi"), !version.hasPrefix("3.1") {
                    add("openapi must be 3.1", at: node)
                }
            case "info":
                for (key, value) in pairs(node, "info") {
                    if key == "title" { definition.title = string(value, "title") ?? "" }
                    if key == "version", let version = version(value, "version") {
                        definition.maximum = version
                    }
                }
            case "components":
                for (key, value) in pairs(node, "components") {
                    switch key {
                    case "parameters":
                        for (name, parameter) in pairs(value, key) { sharedParameters[name] = parameter }
                    case "schemas": for (name, schema) in pairs(value, key) { sharedSchemas[name] = schema }
                    default: break
                    }
                }
            case "x-gatehouse": readDefaults(node)
            default: break
            }
        }
        let stated = members.first { $0.key == "paths" }
        if isGenerated, let stated { deriveDefaults(stated.value) }
        if definition.roots.isEmpty { add("x-gatehouse.roots is missing", at: root) }
        guard let paths = stated else { return add("paths is missing", at: root) }
        for (path, node) in pairs(paths.value, "paths") {
            readPath(path, node, keyNode(path, of: paths.value))
        }
    }

    private mutating func readDefaults(_ node: Node) {
        for (key, value) in pairs(node, "x-gatehouse") {
            switch key {
            case "roots":
                for item in list(value, key) { readRoot(item) }
            case "discovery": definition.discovery = strings(value, key)
            case "max_content": maxContent = integer(value, key, in: 0...(1 << 40)) ?? maxContent
            case "content": content = contentMode(value) ?? content
            case "media_types": definition.mediaTypes = strings(value, key)
            case "project_id": _ = pairs(value, key)
            case "invalid": defaultInvalidStatus = invalidStatus(value) ?? defaultInvalidStatus
            case "limit_classes":
                for (name, rate) in pairs(value, key) {
                    definition.limitClasses.append((name, string(rate, "the rate of \(name)") ?? ""))
                }
            default: add("unknown key in x-gatehouse: \(key)", at: keyNode(key, of: node))
            }
        }
    }

    private mutating func readRoot(_ node: Node) {
        var path: String?
        var version: APIVersion?
        for (key, value) in pairs(node, "a root") {
            switch key {
            case "path":
                path = string(value, key)
                if let path, !path.hasPrefix("/") || path.hasSuffix("/") {
                    add("a root's path begins with a slash and ends with none", at: value)
                }
            case "version":
                switch string(value, key) {
                case "v2": version = .v2
                case "v2.1": version = .v21
                default: add("a root's version is v2 or v2.1", at: value)
                }
            default: add("unknown key of a root: \(key)", at: keyNode(key, of: node))
            }
        }
        guard let path, let version else { return add("a root needs path and version", at: node) }
        definition.roots.append((path, version))
    }

    private mutating func readPath(_ stated: String, _ node: Node, _ place: Node) {
        var path = stated
        if isGenerated {
            guard let served = servedPath(stated) else {
                return note("a path that is under none of the roots", at: place)
            }
            path = served
        }
        guard let names = templateNames(path) else {
            return add("not a path: it begins with a slash, and braces hold whole segments", at: place)
        }
        if names.count > RouteMatch.maximumParameterCount {
            add("more than \(RouteMatch.maximumParameterCount) parameters in a path", at: place)
        }
        let shape = path.split(separator: "/").map { $0.hasPrefix("{") ? "{}" : String($0) }.joined(
            separator: "/")
        if !seenPaths.insert(shape).inserted { add("the same path twice: \(path)", at: place) }
        var shared: [Parameter] = []
        let members = pairs(node, stated)
        for (key, value) in members where key == "parameters" { shared = readParameters(value) }
        for (key, value) in members {
            guard let method = method(key) else {
                switch key {
                case "parameters", "summary", "description": break
                case "servers", "$ref", "trace":
                    note("\(key) of a path", at: value)
                case _ where key.hasPrefix("x-"): break
                default: add("unknown method: \(key)", at: value)
                }
                continue
            }
            readOperation(path, names, method, shared, value)
        }
    }

    /// The names in braces, in their order; nil for a path of the wrong form.
    private func templateNames(_ path: String) -> [String]? {
        guard path.hasPrefix("/") else { return nil }
        var names: [String] = []
        for segment in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            if segment.hasPrefix("{"), segment.hasSuffix("}"), segment.count > 2 {
                names.append(String(segment.dropFirst().dropLast()))
            } else if segment.contains("{") || segment.contains("}") || segment.isEmpty && path != "/" {
                return nil
            }
        }
        return names
    }

    private func method(_ key: String) -> Method? {
        switch key {
        case "get": .get
        case "head": .head
        case "post": .post
        case "put": .put
        case "delete": .delete
        case "patch": .patch
        case "options": .options
        default: nil
        }
    }

    private mutating func readOperation(
        _ path: String, _ names: [String], _ method: Method, _ shared: [Parameter], _ node: Node
    ) {
        var operation = Operation(id: "", method: method, path: path)
        // A method that carries content takes it as the document says, others carry none.
        if method == .post || method == .put || method == .patch { operation.content = content }
        operation.maxContentByteCount = maxContent
        operation.parameters = shared
        let members = pairs(node, "\(method.name) \(path)")
        if isGenerated {
            operation.id = generatedID(operation, node["operationId"])
            deriveOperation(&operation, node)
        }
        for (key, value) in members {
            switch key {
            case "operationId": if !isGenerated { operation.id = readID(value) }
            case "tags": operation.tags = strings(value, key)
            case "deprecated": operation.isDeprecated = bool(value, key) ?? false
            case "parameters":
                // A parameter of the operation stands in for the path's own of that name.
                let own = readParameters(value)
                operation.parameters.removeAll { of in
                    own.contains { $0.name == of.name && $0.place == of.place }
                }
                operation.parameters += own
            case "requestBody":
                if operation.content == .none { operation.content = content }
                // Generated documents tell actions apart in ways of their own.
                if !isGenerated {
                    operation.schema = readContentSchema(value)
                } else if value["content"]?.mapping?.contains(where: { $0.value["schema"] != nil }) == true {
                    note("a schema of content beyond the actions it names; Nova judges content", at: value)
                }
            case "responses":
                for (code, described) in pairs(value, key) { readStatus(code, described, into: &operation) }
            case "x-gatehouse": readExtension(value, into: &operation)
            default: break
            }
        }
        if isGenerated { dropProject(&operation.parameters, names) }
        if operation.id.isEmpty { add("operationId is missing", at: node) }
        for name in names
        where !operation.parameters.contains(where: { $0.place == .path && $0.name == name }) {
            add("the path parameter \(name) is not described", at: node)
        }
        var seen: Set<String> = []
        for parameter in operation.parameters {
            if !seen.insert(parameter.place.rawValue + " " + parameter.name).inserted {
                add("the parameter \(parameter.name) is described twice", at: node)
            }
            if parameter.place == .path, !names.contains(parameter.name) {
                add("\(parameter.name) is not in the path", at: node)
            }
        }
        definition.operations.append(operation)
    }

    private mutating func readStatus(_ code: String, _ node: Node, into operation: inout Operation) {
        if let number = Int(code), (100..<600).contains(number) {
            operation.responseCodes.append(number)
        } else if code == "default" || code.count == 3 && code.hasSuffix("XX") {
            note("an answer for a class of statuses", at: node)
        } else {
            add("not a status: \(code)", at: node)
        }
    }

    mutating func readID(_ node: Node) -> String {
        guard let id = string(node, "operationId") else { return "" }
        if !Self.isID(id) {
            add("operationId is resource.verb in lower case: \(id)", at: node)
        }
        if !seenIDs.insert(id).inserted { add("operationId is there twice: \(id)", at: node) }
        return id
    }
}
