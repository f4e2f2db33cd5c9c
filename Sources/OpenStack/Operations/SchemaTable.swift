internal import Bytes

/// A compiled schema: where its keywords lie, or which schemas it is one of by microversion.
struct SchemaNode {
    var firstKeyword: Int32 = 0
    var keywordCount: Int32 = 0
    /// Places in `links`.
    var firstChoice: Int32 = 0
    var choiceCount: Int32 = 0
    var minimum = Microversion.lowest
    var maximum = Microversion.highest
}

/// One keyword of a schema.
struct SchemaKeyword {
    enum Kind: UInt8 {
        case type, constants, properties, patternProperties, noOthers, others, required
        case minLength, maxLength, minItems, maxItems, minProperties, maxProperties
        case minimum, maximum, exclusiveMinimum
        case pattern, format, items, prefixItems, uniqueItems, oneOf, anyOf, allOf, undecided
    }

    var kind: Kind
    /// What belongs to it, in the list for its kind; a pattern's first step; a format's number; a bit for each type.
    var first: Int32 = 0
    var count: Int32 = 0
    var number = 0
    /// The format of a `.format`; others have none, and ask for none.
    var format: Schema.Format { Schema.Format(rawValue: UInt8(truncatingIfNeeded: first)) ?? .printable }

    /// Its part of the message: types, constants or the pattern as Python shows them.
    var text = ByteRange.empty
}

/// A property and its schema, or a pattern of names and theirs.
struct SchemaMember {
    /// The name, or the pattern as Python shows it.
    var name: ByteRange
    var schema: Int32
    var pattern: Int32
}

/// A value that an `enum` allows.
struct SchemaConstant {
    enum Kind: UInt8 { case text, yes, no, null, number }
    var kind: Kind
    var text: ByteRange
}

/// The flat lists that schemas of a table are compiled into.
struct SchemaLists {
    var nodes: [SchemaNode] = []
    var keywords: [SchemaKeyword] = []
    var members: [SchemaMember] = []
    var links: [Int32] = []
    var texts: [ByteRange] = []
    var constants: [SchemaConstant] = []
}

extension TableBuilder {
    /// Compiles a schema and all within it; answers its place, or -1 for none.
    mutating func compile(_ schema: Schema?) -> Int32 {
        guard let schema else { return -1 }
        let place = schemas.nodes.count
        schemas.nodes.append(
            SchemaNode(minimum: schema.minimum ?? .lowest, maximum: schema.maximum ?? .highest))
        let choices = link(schema.choices)
        schemas.nodes[place].firstChoice = choices.first
        schemas.nodes[place].choiceCount = choices.count
        // Those of schemas within are appended meanwhile, so these are kept until all are there.
        let keywords = schema.keywords.map { compile($0) }
        schemas.nodes[place].firstKeyword = Int32(schemas.keywords.count)
        schemas.nodes[place].keywordCount = Int32(keywords.count)
        schemas.keywords += keywords
        return Int32(place)
    }

    private mutating func link(_ list: [Schema]) -> (first: Int32, count: Int32) {
        let places = list.map { compile($0) }
        let first = schemas.links.count
        schemas.links += places
        return (Int32(first), Int32(places.count))
    }

    private mutating func compile(_ keyword: Schema.Keyword) -> SchemaKeyword {
        switch keyword {
        case .type(let types):
            let bits = types.reduce(0) { $0 | $1.bit }
            let words = types.map { pythonText("\($0)") }.joined(separator: ", ")
            return SchemaKeyword(kind: .type, first: Int32(bits), text: add(words))
        case .constants(let constants):
            let first = schemas.constants.count
            for constant in constants { schemas.constants.append(compile(constant)) }
            let words = "[" + constants.map { word($0) }.joined(separator: ", ") + "]"
            return SchemaKeyword(
                kind: .constants, first: Int32(first), count: Int32(constants.count), text: add(words))
        case .properties(let properties):
            let members = properties.map {
                SchemaMember(name: add($0.name), schema: compile($0.schema), pattern: -1)
            }
            return append(members, .properties)
        case .patternProperties(let patterns): return compile(patterns)
        case .additionalProperties(nil): return SchemaKeyword(kind: .noOthers)
        case .additionalProperties(let schema): return SchemaKeyword(kind: .others, first: compile(schema))
        case .required(let names):
            let first = schemas.texts.count
            schemas.texts += names.map { add($0) }
            return SchemaKeyword(kind: .required, first: Int32(first), count: Int32(names.count))
        case .measure(let measure, let number):
            return SchemaKeyword(kind: kind(measure), number: number)
        case .pattern(let pattern):
            guard let first = patterns.compile(pattern) else { return SchemaKeyword(kind: .undecided) }
            return SchemaKeyword(kind: .pattern, first: first, text: add(pythonText(pattern)))
        case .format(let format):
            return SchemaKeyword(
                kind: .format, first: Int32(format.rawValue), text: add(pythonText(format.word)))
        case .items(let schema): return SchemaKeyword(kind: .items, first: compile(schema))
        case .prefixItems(let list): return linked(list, .prefixItems)
        case .uniqueItems: return SchemaKeyword(kind: .uniqueItems)
        case .oneOf(let list): return linked(list, .oneOf)
        case .anyOf(let list): return linked(list, .anyOf)
        case .allOf(let list): return linked(list, .allOf)
        case .undecided: return SchemaKeyword(kind: .undecided)
        }
    }

    private mutating func compile(_ list: [(pattern: String, schema: Schema)]) -> SchemaKeyword {
        var members: [SchemaMember] = []
        for (pattern, schema) in list {
            guard let first = patterns.compile(pattern) else { return SchemaKeyword(kind: .undecided) }
            members.append(
                SchemaMember(name: add(pythonText(pattern)), schema: compile(schema), pattern: first))
        }
        return append(members, .patternProperties)
    }

    private mutating func append(_ members: [SchemaMember], _ kind: SchemaKeyword.Kind) -> SchemaKeyword {
        let first = schemas.members.count
        schemas.members += members
        return SchemaKeyword(kind: kind, first: Int32(first), count: Int32(members.count))
    }

    private mutating func linked(_ list: [Schema], _ kind: SchemaKeyword.Kind) -> SchemaKeyword {
        let (first, count) = link(list)
        return SchemaKeyword(kind: kind, first: first, count: count)
    }

    private mutating func compile(_ constant: Schema.Constant) -> SchemaConstant {
        switch constant {
        case .text(let text): SchemaConstant(kind: .text, text: add(text))
        case .truth(let truth): SchemaConstant(kind: truth ? .yes : .no, text: .empty)
        case .null: SchemaConstant(kind: .null, text: .empty)
        case .number(let number): SchemaConstant(kind: .number, text: add("\(number)"))
        }
    }

    private func word(_ constant: Schema.Constant) -> String {
        switch constant {
        case .text(let text): pythonText(text)
        case .truth(let truth): truth ? "True" : "False"
        case .null: "None"
        case .number(let number): "\(number)"
        }
    }

    private func kind(_ measure: Schema.Measure) -> SchemaKeyword.Kind {
        switch measure {
        case .minLength: .minLength
        case .maxLength: .maxLength
        case .minItems: .minItems
        case .maxItems: .maxItems
        case .minProperties: .minProperties
        case .maxProperties: .maxProperties
        case .minimum: .minimum
        case .maximum: .maximum
        case .exclusiveMinimum: .exclusiveMinimum
        }
    }
}
