extension DefinitionReader {
    /// Reads the schema of an operation's content, `content.application/json.schema`; nil when there is none.
    mutating func readContentSchema(_ node: Node) -> Schema? {
        guard let schema = node["content"]?["application/json"]?["schema"] else { return nil }
        return readSchema(schema, depth: 0)
    }

    /// Reads a schema. A `oneOf` whose members say between which microversions they hold is a choice of one by version.
    ///
    /// - Limits: 64 levels, references included, so that none can lead back to itself.
    mutating func readSchema(_ node: Node, depth: Int) -> Schema {
        var schema = Schema()
        guard depth < 64 else {
            add("more than 64 levels of schemas", at: node)
            return schema
        }
        if let reference = node["$ref"] {
            let prefix = "#/components/schemas/"
            guard let name = reference.string, name.hasPrefix(prefix),
                let shared = sharedSchemas[String(name.dropFirst(prefix.count))]
            else {
                add("no such schema: \(reference.string ?? "")", at: reference)
                return schema
            }
            schema = readSchema(shared, depth: depth + 1)
            if let extra = node["x-gatehouse"] { readRange(extra, into: &schema) }
            return schema
        }
        for (key, value) in pairs(node, "a schema") {
            switch key {
            case "x-gatehouse": readRange(value, into: &schema)
            case "oneOf" where list(value, key).allSatisfy({ $0["x-gatehouse"] != nil }):
                schema.choices = list(value, key).map { readSchema($0, depth: depth + 1) }
            default: if let keyword = readKeyword(key, value, depth) { schema.keywords.append(keyword) }
            }
        }
        if !schema.choices.isEmpty, !schema.keywords.isEmpty {
            add("a choice by microversion has no keywords beside it", at: node)
        }
        return schema
    }

    private mutating func readRange(_ node: Node, into schema: inout Schema) {
        for (key, value) in pairs(node, "x-gatehouse") {
            switch key {
            case "min": schema.minimum = version(value, key)
            case "max": schema.maximum = version(value, key)
            default: add("unknown key in x-gatehouse of a schema: \(key)", at: keyNode(key, of: node))
            }
        }
    }

    /// Reads one keyword; nil for those that only describe.
    private mutating func readKeyword(_ key: String, _ node: Node, _ depth: Int) -> Schema.Keyword? {
        switch key {
        case "type": return .type(readTypes(node))
        case "enum": return .constants(list(node, key).map { constant($0) })
        case "properties":
            return .properties(pairs(node, key).map { ($0.key, readSchema($0.value, depth: depth + 1)) })
        case "patternProperties":
            return .patternProperties(
                pairs(node, key).map { ($0.key, readSchema($0.value, depth: depth + 1)) })
        case "additionalProperties":
            if let isAllowed = node.bool { return isAllowed ? nil : .additionalProperties(nil) }
            return .additionalProperties(readSchema(node, depth: depth + 1))
        case "required": return .required(strings(node, key))
        case "pattern": return string(node, key).map { .pattern($0) }
        case "format":
            return string(node, key).map { word in
                Schema.Format.allCases.first { $0.word == word }.map { .format($0) } ?? .undecided
            }
        case "items": return .items(readSchema(node, depth: depth + 1))
        case "prefixItems": return .prefixItems(list(node, key).map { readSchema($0, depth: depth + 1) })
        case "uniqueItems": return bool(node, key) == true ? .uniqueItems : nil
        case "oneOf": return .oneOf(list(node, key).map { readSchema($0, depth: depth + 1) })
        case "anyOf": return .anyOf(list(node, key).map { readSchema($0, depth: depth + 1) })
        case "allOf": return .allOf(list(node, key).map { readSchema($0, depth: depth + 1) })
        case "minLength": return measure(.minLength, node)
        case "maxLength": return measure(.maxLength, node)
        case "minItems": return measure(.minItems, node)
        case "maxItems": return measure(.maxItems, node)
        case "minProperties": return measure(.minProperties, node)
        case "maxProperties": return measure(.maxProperties, node)
        case "minimum": return measure(.minimum, node)
        case "maximum": return measure(.maximum, node)
        case "exclusiveMinimum": return measure(.exclusiveMinimum, node)
        case "title", "description", "default", "example", "examples", "deprecated", "additionalItems":
            return nil
        default: return .undecided
        }
    }

    private mutating func readTypes(_ node: Node) -> [Schema.ValueType] {
        let words = node.sequence ?? [node]
        return words.compactMap { word in
            // Without quotes, null is the word for the type all the same.
            if let type = Schema.ValueType.allCases.first(where: { "\($0)" == word.string }) { return type }
            add("no such type: \(word.string ?? "")", at: word)
            return nil
        }
    }

    private mutating func constant(_ node: Node) -> Schema.Constant {
        if node.isNull { return .null }
        if let truth = node.bool { return .truth(truth) }
        if let number = node.int { return .number(number) }
        return .text(node.string ?? "")
    }

    private mutating func measure(_ measure: Schema.Measure, _ node: Node) -> Schema.Keyword {
        // A bound with a fraction is not one that can be compared here.
        node.int.map { .measure(measure, $0) } ?? .undecided
    }
}
