public import HTTP

/// A root under which the API's paths are served.
public enum APIVersion: UInt8, Sendable {
    case none, v2, v21

    /// The word for it in definitions and logs.
    public var name: StaticString {
        switch self {
        case .none: "-"
        case .v2: "v2"
        case .v21: "v2.1"
        }
    }
}

/// How a parameter's value is checked; the words of `x-gatehouse.rule`.
enum Rule: UInt8, CaseIterable {
    case any, digits, pageSize, positive, uuid, dateTime, regex, choice, hostname, status, allTenants, boolean
    case marker, server, sortDirection, integerFilter, publicFilter, legacyInteger, legacyDate, joined,
        project
    case token

    /// Finds a rule by its word in a definition.
    static func find(_ word: String) -> Rule? {
        switch word {
        case "any": .any
        case "digits", "non_negative": .digits
        case "page_size": .pageSize
        case "positive": .positive
        case "uuid": .uuid
        case "date-time": .dateTime
        case "regex": .regex
        case "enum": .choice
        case "hostname": .hostname
        case "status": .status
        case "all_tenants": .allTenants
        case "boolean": .boolean
        case "marker": .marker
        case "server": .server
        case "sort_dir": .sortDirection
        case "integer": .integerFilter
        case "public": .publicFilter
        case "legacy_integer": .legacyInteger
        case "legacy_date": .legacyDate
        case "joined": .joined
        case "project": .project
        case "token": .token
        default: nil
        }
    }

    /// When Nova looks: 0 in its schema, in the definition's order; later numbers in its own code, in that order.
    ///
    /// - Source: Nova's `ServersController._get_servers`; the status and the two refusals of members stand between.
    var phase: UInt8 {
        switch self {
        case .legacyDate: 1
        case .allTenants: 2
        case .boolean: 3
        case .legacyInteger, .integerFilter, .publicFilter: 4
        case .sortDirection: 5
        case .marker, .server: 6
        default: 0
        }
    }
}

/// Where list answers may be kept.
public enum CacheClass: UInt8, Sendable { case none, list }

/// Whose list it is: what the cache key holds besides the roles.
public enum CacheScope: UInt8, Sendable { case project, user, cloud }

/// How content goes upstream.
public enum ContentMode: UInt8, Sendable { case none, collected, streamed }

/// What Nova answers for an operation that newer releases no longer have.
public struct Ended: Sendable {
    public var status: Int
    public var release: String
    /// Nova's words; nil for those that the status always has.
    public var message: String?
}

/// One action of a `POST …/action`, named by the key of its body.
public struct Action: Sendable {
    public var key: String
    public var auditAction: String
    public var limitClass: String?
    public var minimum: Microversion?
    public var maximum: Microversion?
    public var requiresAdmin = false
    public var ended: Ended?
    public var secrets: [String] = []
    /// What the whole content must be like.
    var schema: Schema?
    /// What Nova says, for this action, of what its path names and does not exist; empty where it looks at something
    /// else first; nil for the words of the path's parameter.
    var unknownMessage: String?
}

/// Whether a parameter's value may end Nova's work early; the words of `x-gatehouse.shortcut`.
enum Shortcut: UInt8 { case none, always, zero, truth }

/// One parameter of an operation, with what its row in a document says.
public struct Parameter: Sendable {
    public enum Place: String, Sendable { case query, path, header }

    public var name: String
    public var place: Place
    public var isRequired = false
    /// Repeated values all count; otherwise the last one does.
    public var isList = false
    var rule = Rule.any
    var v2Rule = Rule.any
    /// The rule in the profile `nova`, where it is another one, and whether it counts under /v2, too.
    var novaRule: Rule?
    var novaRuleIsForV2 = true
    public var choices: [String] = []
    /// Which of `choices`, by index, are no strings but YAML's true and false.
    var truthChoices: Set<Int> = []
    public var retired: [String] = []
    public var retiredMaximum: Microversion?
    public var adminChoices: [String] = []
    public var minimum: Microversion?
    public var maximum: Microversion?
    /// First version at which a second value is refused.
    public var single: Microversion?
    /// First version at which a value that names nothing is refused; before, nothing is found.
    public var strict: Microversion?
    /// First version at which a member's filter counts; `never` is above every version.
    public var members: Microversion?
    /// The parameter that may not be later than this one: of two dates, by name.
    public var notBefore: String?
    /// With it Nova may answer an empty list before it looks at what comes last in a query.
    var shortcut = Shortcut.none
    /// The status for a wrong value.
    public var invalidStatus = 400
    /// The words for a wrong value of a path parameter, `{}` for the value.
    public var message: String?
}

/// One operation of the API, as its definition says it.
public struct Operation: Sendable {
    /// Resource and verb with a dot between them, unique: `servers.list`.
    public var id: String
    public var method: Method
    /// The path below a root, with braces: `/servers/{server_id}`.
    public var path: String
    public var tags: [String] = []
    /// A version document, which needs no token.
    public var isDiscovery = false
    /// The document calls it deprecated.
    public var isDeprecated = false
    public var cacheClass = CacheClass.none
    public var cacheScope = CacheScope.project
    public var limitClass = "read"
    /// CADF action, such as `read/list`.
    public var auditAction = "unknown"
    public var content = ContentMode.none
    public var maxContentByteCount = 0
    public var minimum: Microversion?
    public var maximum: Microversion?
    /// First version at which an unknown query parameter is refused.
    public var strict: Microversion?
    /// The pattern of unknown names that pass even then, as Nova's message quotes it.
    public var tolerated: String?
    public var requiresAdmin = false
    public var requiresService = false
    public var ended: Ended?
    public var secrets: [String] = []
    public var parameters: [Parameter] = []
    /// What the content must be like.
    var schema: Schema?
    public var actions: [Action] = []
    public var responseCodes: [Int] = []

    /// A bit for each parameter of the path, from the first, that `secrets` names.
    public var secretParameters: UInt8 {
        let names = path.split(separator: "/").filter { $0.hasPrefix("{") }.prefix(
            RouteMatch.maximumParameterCount)
        return names.enumerated().reduce(0) { bits, name in
            secrets.contains(String(name.element.dropFirst().dropLast()))
                ? bits | 1 << UInt8(name.offset) : bits
        }
    }

    /// Whether it may change something upstream, so that stored lists of the project are not fresh any more.
    public var isWrite: Bool { !method.isSafe }
}

/// What a definition file says, its overlay laid over it, checked but not yet compiled.
public struct Definition: Sendable {
    var title = ""
    var maximum = Microversion.base
    var roots: [(path: String, version: APIVersion)] = []
    var discovery: [String] = []
    var mediaTypes: [String] = []
    var limitClasses: [(name: String, rate: String)] = []
    var operations: [Operation] = []
    /// What the files say that has no effect.
    public internal(set) var unused = UnusedParts()

    init() {}

    /// Reads a definition and, when there is one, the overlay to lay over it.
    ///
    /// - Limits: 16 MiB and a nesting of 1,000 each; the deepest documents need a stack of some megabytes.
    /// - Errors: every mistake of the files, each with file, line and column.
    public static func read(
        _ definition: DefinitionText, overlay: DefinitionText? = nil
    ) throws(DefinitionMistakes) -> Definition {
        try DefinitionReader.read(definition, overlay: overlay)
    }
}

/// The text of a definition or of an overlay.
public struct DefinitionText: Sendable {
    public var text: String
    /// The name for its mistakes.
    public var file: String

    public init(text: String, file: String) {
        self.text = text
        self.file = file
    }
}

/// One thing wrong in a definition file.
public struct DefinitionMistake: Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// Both count from 1.
    public var line: Int
    public var column: Int
    public var message: String

    public init(file: String, line: Int, column: Int, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    public var description: String { "\(file):\(line):\(column): \(message)" }
}

/// All things wrong in a definition file, in the file's order.
public struct DefinitionMistakes: Error, CustomStringConvertible {
    public var mistakes: [DefinitionMistake]

    public init(mistakes: [DefinitionMistake]) { self.mistakes = mistakes }

    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}
