/// A JSON Schema of a definition: keywords in the order in which they are checked.
///
/// - Shape: as `choices` it is one of several by microversion, and then has no keywords itself.
/// - Source: JSON Schema 2020-12, those parts of it that OpenStack's documents use.
public struct Schema: Sendable {
    /// The types of JSON values, an integer being a number, too; the raw value is the place of a bit.
    enum ValueType: UInt8, CaseIterable, Sendable {
        case object, array, string, integer, number, boolean, null

        var bit: Int { 1 << Int(rawValue) }
    }

    /// A value that an `enum` allows.
    enum Constant: Equatable, Sendable {
        case text(String)
        case truth(Bool)
        case null
        case number(Int)
    }

    /// What counts something.
    enum Measure: UInt8, Sendable {
        case minLength, maxLength, minItems, maxItems, minProperties, maxProperties
        case minimum, maximum, exclusiveMinimum
    }

    /// The forms of texts that can be checked.
    enum Format: UInt8, CaseIterable, Sendable {
        case uuid, ipv4, ipv6, base64, name, regex
        /// Texts that Nova checks by a pattern of all characters its Python knows; only plain ASCII is known to fit.
        case printable
        case dateTime, nameWithSpaces, zoneName, zoneNameWithSpaces

        /// The word for it in a schema.
        var word: String {
            switch self {
            case .dateTime: "date-time"
            case .nameWithSpaces: "name_with_leading_trailing_spaces"
            case .zoneName: "az_name"
            case .zoneNameWithSpaces: "az_name_with_leading_trailing_spaces"
            default: "\(self)"
            }
        }
    }

    enum Keyword: Sendable {
        case type([ValueType])
        case constants([Constant])
        case properties([(name: String, schema: Schema)])
        case patternProperties([(pattern: String, schema: Schema)])
        /// Nil forbids further properties.
        case additionalProperties(Schema?)
        case required([String])
        case measure(Measure, Int)
        case pattern(String)
        case format(Format)
        case items(Schema)
        case prefixItems([Schema])
        case uniqueItems
        case oneOf([Schema])
        case anyOf([Schema])
        case allOf([Schema])
        /// Something that is not checked here: from there on nothing is refused.
        case undecided
    }

    var keywords: [Keyword] = []
    var choices: [Schema] = []
    var minimum: Microversion?
    var maximum: Microversion?
}
