public import Bytes
public import HTTP

/// What the hot path asks about an operation: trivial values and views of the table's own bytes.
///
/// - Ownership: the views live as long as the `OperationTable`.
public struct OperationFacts {
    /// The operation's id, such as `servers.list`.
    public let idBytes: ByteView
    /// The first tag: the resource family.
    public let tagBytes: ByteView
    /// CADF action, such as `read/list`.
    public let auditAction: ByteView
    /// Index in the table's `limitClasses`.
    public let limitClass: Int
    public let method: Method
    public let isDiscovery: Bool
    public let isWrite: Bool
    public let requiresAdmin: Bool
    public let hasActions: Bool
    /// A bit for each parameter of the path, from the first, that the definition calls a secret.
    public let secretParameters: UInt8
    public let cacheClass: CacheClass
    public let cacheScope: CacheScope
    public let content: ContentMode
    public let maxContentByteCount: Int
    public let minimum: Microversion
    public let maximum: Microversion
    /// First version at which an unknown query parameter is refused.
    let strict: Microversion
    /// The pattern of unknown names that pass even then, or -1; and the pattern as Python writes it.
    let tolerated: Int32
    let toleratedText: ByteRange
    let ended: EndedFacts?
    /// Of the content; -1 for none.
    let schema: Int32
    let firstRule: Int
    let ruleCount: Int
    let firstAction: Int
    let actionCount: Int

    /// Tells whether the operation exists at a microversion.
    @inline(__always) func covers(_ version: Microversion) -> Bool {
        version >= minimum && version <= maximum
    }
}

/// What Nova answers for what newer releases no longer have.
struct EndedFacts {
    var status: Int
    /// Empty for the words that the status always has.
    var message: ByteRange
}

/// What the hot path asks about an action.
public struct ActionFacts {
    public let key: ByteView
    public let auditAction: ByteView
    /// Index in the table's `limitClasses`.
    public let limitClass: Int
    public let requiresAdmin: Bool
    public let minimum: Microversion
    public let maximum: Microversion
    let ended: EndedFacts?
    /// Of the whole content; -1 for none.
    let schema: Int32
    /// The words for a path that names nothing: the path's own, those of the action, or none.
    let unknownMessage: ByteRange?
}

/// A compiled parameter: where its texts are in the table's bytes.
struct ParameterRule {
    var name: ByteRange
    /// `TextKey.of` the name.
    var key: UInt64
    /// Place in the definition, which is the order of Nova's own schema.
    var order: UInt16
    var rule: Rule
    var v2Rule: Rule
    var isList: Bool
    var minimum: Microversion
    var maximum: Microversion
    var firstChoice: Int32
    var choiceCount: Int32
    var retiredMaximum: Microversion
    /// First version at which a second value is refused.
    var single: Microversion
    /// First version at which a value that names nothing is refused.
    var strict: Microversion
    var shortcut: Shortcut
    /// Whether it is the earlier or the later of two dates that may not be the other way round.
    var pair: DatePair
    /// The choices as Python writes the list, with and without the retired ones.
    var choicesText: ByteRange
    var remainingText: ByteRange
    var invalidStatus: UInt16
    var message: ByteRange

    /// The places of its choices among the table's.
    @inline(__always) var choices: Range<Int> { Int(firstChoice)..<Int(firstChoice + choiceCount) }
}

/// The part of a parameter in a pair of dates.
enum DatePair: UInt8 { case none, since, before }

/// One allowed value of a parameter.
struct Choice {
    var text: ByteRange
    var isRetired: Bool
    var isForAdmins: Bool
}

/// A step of the path trie.
struct RouteNode {
    var firstEdge: Int32
    var edgeCount: Int32
    /// The node that any segment leads to, or -1.
    var parameterChild: Int32
    var firstMethod: Int32
    var methodCount: Int32
    /// One bit for each method, by its raw value.
    var methods: UInt16
}

/// A literal segment and where it leads.
struct RouteEdge {
    var name: ByteRange
    /// `TextKey.of` the name.
    var key: UInt64
    var child: Int32
}

/// A method of a path and the operation behind it.
struct RouteMethod {
    var method: Method
    var operation: Int32
}

/// A root or a discovery path.
struct RoutePrefix {
    var path: ByteRange
    var version: APIVersion
}

/// What a path and a method lead to.
///
/// - Shape: ranges count from the path's first byte and are still percent-encoded.
public struct RouteMatch {
    public enum Outcome: Equatable, Sendable {
        /// No route → 404.
        case unknown
        /// Index in the table.
        case operation(Int)
        /// A route, but not for this method → 405; `allow` is for `OperationTable.allowValue`.
        case methodNotAllowed(allow: Int)
    }

    /// Most parameters that one path has.
    public static var maximumParameterCount: Int { 4 }

    public var outcome = Outcome.unknown
    public var version = APIVersion.none
    /// The project segment, when the path has one.
    public var project: ByteRange?
    /// A version document by its exact path: served without a token.
    public var isDiscovery = false
    public var parameters: InlineArray<4, ByteRange> = [.empty, .empty, .empty, .empty]
    public var parameterCount = 0

    public init() {}
}
