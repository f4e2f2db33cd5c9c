extension DefinitionReader {
    /// Schemas inside of schemas that are followed.
    private static let maxSchemaDepth = 16
    /// Schemas of all parameters together.
    private static let maxSchemaCount = 100_000

    /// Reads what a schema says about a text, and the rule that follows when none is named.
    mutating func readSchema(_ stated: Node, into parameter: inout Parameter) -> Rule {
        schemaDepth += 1
        defer { schemaDepth -= 1 }
        guard schemaDepth <= Self.maxSchemaDepth else {
            add("more than \(Self.maxSchemaDepth) schemas inside of each other", at: stated)
            return .any
        }
        // Forms that lead back to themselves double at each level.
        schemaCount += 1
        guard schemaCount <= Self.maxSchemaCount else {
            if schemaCount == Self.maxSchemaCount + 1 {
                add("more than \(Self.maxSchemaCount) schemas", at: stated)
            }
            return .any
        }
        guard let node = resolved(stated) else { return .any }
        if let forms = node["oneOf"] { return readForms(forms, into: &parameter) }
        var rule = Rule.any
        var bounds: [(String, Node)] = []
        for (key, value) in pairs(node, "schema") {
            switch key {
            case "type": readType(value, into: &parameter)
            case "items":
                let inner = readSchema(value, into: &parameter)
                if inner != .any { rule = inner }
            case "pattern":
                switch value.string {
                case "^[0-9]*$": rule = .digits
                case "^[a-zA-Z0-9-._]*$": rule = .hostname
                default: unchecked.append((key, value))
                }
            case "format":
                switch value.string {
                case "date-time": rule = .dateTime
                case "uuid": rule = .uuid
                case "regex": rule = .regex
                default: unchecked.append((key, value))
                }
            case "enum":
                readChoices(value, into: &parameter)
                rule = .choice
            case "minLength", "maxLength", "minimum", "maximum": bounds.append((key, value))
            case "description", "title", "default", "example", "examples", "deprecated": break
            case _ where key.hasPrefix("x-"): break
            default: unchecked.append((key, value))
            }
        }
        switch rule {
        case .digits:
            // Nova's schema of a number that begins with 1; both rules take digits.
            if let least = node["minimum"]?.int, least > 0 { rule = .positive }
            unchecked += bounds.filter { $0.0 == "maximum" || $0.0 == "maxLength" }
        case .hostname, .choice, .uuid, .dateTime: break
        case .regex: unchecked += bounds.filter { $0.0 != "minLength" }
        default: unchecked += bounds
        }
        return rule
    }

    private mutating func readType(_ node: Node, into parameter: inout Parameter) {
        let types = node.sequence?.map { $0.string ?? "" } ?? [node.string ?? ""]
        if types.contains("array") { parameter.isList = true }
        if !types.contains("string"), !types.contains("array") { unchecked.append(("type", node)) }
    }

    private mutating func readChoices(_ node: Node, into parameter: inout Parameter) {
        for item in list(node, "enum") {
            guard let choice = item.scalar?.string else {
                add("enum holds plain values", at: item)
                continue
            }
            // Written without quotes, true and false are no strings; Nova's message shows them as Python does.
            if item.bool != nil { parameter.truthChoices.insert(parameter.choices.count) }
            parameter.choices.append(choice)
        }
    }

    /// Lists a keyword of a parameter's schema that is not checked.
    mutating func noteKeyword(_ key: String, at node: Node) {
        note("\(key.prefix(32)) of a parameter's schema; Nova judges it", at: node)
    }
}
