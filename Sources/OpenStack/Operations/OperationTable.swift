public import Bytes
internal import HTTP

/// All operations of one API, compiled from its definition: routes, rules and facts.
///
/// - Shape: flat arrays of trivial structs and one block of bytes, made once; look-ups allocate and retain nothing.
/// - Ownership: immutable; a reload makes a new table. Views it lends live as long as it does.
/// - Source: design: the API is data.
// Unchecked because of the pointers: what they point to is never written after `init`.
public final class OperationTable: @unchecked Sendable {
    /// The operations as the definition says them, in its order; for cold uses.
    public let operations: [Operation]
    public let title: String
    /// The names of the limit classes, in the definition's order, and the rates that were published for them.
    public let limitClasses: [String]
    public let publishedRates: [String]
    /// The microversions that the API has.
    public let minimum = Microversion.base
    public let maximum: Microversion

    let bytes: UnsafePointer<UInt8>
    let byteCount: Int
    let operationCount: Int
    let facts: UnsafePointer<OperationFacts>
    let actions: UnsafePointer<ActionFacts>
    let rules: UnsafePointer<ParameterRule>
    let choices: UnsafePointer<Choice>
    let nodes: UnsafePointer<RouteNode>
    let edges: UnsafePointer<RouteEdge>
    let methods: UnsafePointer<RouteMethod>
    let roots: UnsafePointer<RoutePrefix>
    let rootCount: Int
    let discovery: UnsafePointer<RoutePrefix>
    let discoveryCount: Int
    /// The operation behind discovery paths, or -1.
    let discoveryOperation: Int
    let mediaTypes: UnsafePointer<ByteRange>
    let mediaTypeCount: Int
    let allowValues: UnsafePointer<ByteRange>
    let patternSteps: UnsafePointer<PatternStep>
    let patternRanges: UnsafePointer<ScalarRange>
    let schemas: SchemaPointers
    static var allowValueCount: Int { 64 }

    /// Reads a definition and compiles it.
    ///
    /// - Errors: every mistake of the file, each with file, line and column.
    public static func load(
        text: String, file: String, profile: RuleProfile = .document
    ) throws(DefinitionMistakes) -> OperationTable {
        try compile(Definition.read(DefinitionText(text: text, file: file)), file: file, profile: profile)
    }

    /// Compiles a definition that was read.
    ///
    /// - Errors: what only the whole of it shows, at the first line of `file`.
    public static func compile(
        _ definition: Definition, file: String, profile: RuleProfile = .document
    ) throws(DefinitionMistakes) -> OperationTable {
        var builder = TableBuilder(definition, profile: profile)
        builder.build()
        if !builder.problems.isEmpty {
            throw DefinitionMistakes(
                mistakes: builder.problems.map {
                    DefinitionMistake(file: file, line: 1, column: 1, message: $0)
                })
        }
        return OperationTable(builder)
    }

    private init(_ builder: TableBuilder) {
        operations = builder.definition.operations
        operationCount = builder.definition.operations.count
        title = builder.definition.title
        limitClasses = builder.limitClasses
        publishedRates = builder.definition.limitClasses.map(\.rate)
        maximum = builder.definition.maximum
        let frozenBytes = UnsafePointer.frozen(builder.bytes)
        bytes = frozenBytes
        byteCount = builder.bytes.count
        let all = ByteView(start: frozenBytes, count: builder.bytes.count)
        actionCount = builder.definition.operations.reduce(0) { $0 + $1.actions.count }
        facts = .frozen(builder.facts(in: all))
        actions = .frozen(builder.actionFacts(in: all))
        rules = .frozen(builder.rules)
        choices = .frozen(builder.choices)
        nodes = .frozen(builder.nodes)
        edges = .frozen(builder.edges)
        methods = .frozen(builder.methods)
        roots = .frozen(builder.roots)
        rootCount = builder.roots.count
        discovery = .frozen(builder.discovery)
        discoveryCount = builder.discovery.count
        discoveryOperation = builder.discoveryOperation
        mediaTypes = .frozen(builder.mediaTypes)
        mediaTypeCount = builder.mediaTypes.count
        allowValues = .frozen(builder.allowValues)
        patternSteps = .frozen(builder.patterns.steps)
        patternRanges = .frozen(builder.patterns.ranges)
        schemas = SchemaPointers(
            nodes: .frozen(builder.schemas.nodes), keywords: .frozen(builder.schemas.keywords),
            members: .frozen(builder.schemas.members), links: .frozen(builder.schemas.links),
            texts: .frozen(builder.schemas.texts), constants: .frozen(builder.schemas.constants),
            patternSteps: patternSteps, patternRanges: patternRanges, bytes: frozenBytes)
    }

    deinit {
        bytes.deallocate()
        facts.deallocate()
        actions.deallocate()
        rules.deallocate()
        choices.deallocate()
        nodes.deallocate()
        edges.deallocate()
        methods.deallocate()
        roots.deallocate()
        discovery.deallocate()
        mediaTypes.deallocate()
        allowValues.deallocate()
        patternSteps.deallocate()
        patternRanges.deallocate()
        schemas.nodes.deallocate()
        schemas.keywords.deallocate()
        schemas.members.deallocate()
        schemas.links.deallocate()
        schemas.texts.deallocate()
        schemas.constants.deallocate()
    }

    /// The facts of an operation by its index; traps past the end.
    public subscript(_ operation: Int) -> OperationFacts { lend(operation).pointee }

    /// Lends the same without a copy; valid as long as the table is.
    public func lend(_ operation: Int) -> UnsafePointer<OperationFacts> {
        precondition(operation >= 0 && operation < operationCount)
        return facts + operation
    }

    /// How many actions all operations have together.
    public let actionCount: Int

    /// The indices of an operation's actions, in its own order.
    public func actions(of operation: Int) -> Range<Int> {
        let facts = self[operation]
        return facts.firstAction..<facts.firstAction + facts.actionCount
    }

    /// The facts of an action, by the index that `validateContent` gave.
    public func action(_ index: Int) -> ActionFacts { actions[index] }

    /// The index of the operation with an id, such as `servers.list`; walks all, for cold uses.
    public func find(_ id: String) -> Int? { operations.firstIndex { $0.id == id } }

    /// The value of `Allow` for a 405, such as `DELETE, GET`.
    public func allowValue(_ allow: Int) -> ByteView {
        precondition(allow >= 0 && allow < Self.allowValueCount)
        return view(allowValues[allow])
    }

    @inline(__always) func view(_ range: ByteRange) -> ByteView {
        ByteView(start: bytes + range.lower, count: Int(range.count))
    }
}
