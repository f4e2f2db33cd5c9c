internal import Bytes
internal import HTTP

/// Turns a definition into the flat arrays of a table.
struct TableBuilder {
    let definition: Definition
    let profile: RuleProfile
    var problems: [String] = []
    var bytes: [UInt8] = []
    private var places: [String: ByteRange] = [:]
    var limitClasses: [String] = []
    var rules: [ParameterRule] = []
    var choices: [Choice] = []
    var nodes: [RouteNode] = []
    var edges: [RouteEdge] = []
    var methods: [RouteMethod] = []
    var roots: [RoutePrefix] = []
    var discovery: [RoutePrefix] = []
    var discoveryOperation = -1
    var mediaTypes: [ByteRange] = []
    var allowValues: [ByteRange] = []
    private var operationPlaces: [OperationPlaces] = []
    private var actionPlaces: [ActionPlaces] = []

    private struct OperationPlaces {
        var id, tag, audit: ByteRange
        var tolerated: Int32
        var toleratedText: ByteRange
        var ended: EndedFacts?
        var schema: Int32
        var firstRule, ruleCount, firstAction, actionCount: Int
    }

    private struct ActionPlaces {
        var key, audit: ByteRange
        var limitClass: Int
        var action: Action
        var ended: EndedFacts?
        var schema: Int32
        var unknownMessage: ByteRange?
    }

    var patterns = PatternCompiler()
    var schemas = SchemaLists()

    init(_ definition: Definition, profile: RuleProfile) {
        self.definition = definition
        self.profile = profile
    }

    mutating func build() {
        limitClasses = definition.limitClasses.map(\.name)
        roots = definition.roots.map { RoutePrefix(path: add($0.path), version: $0.version) }
        for path in definition.discovery {
            let root = definition.roots.filter { path == $0.path || path.hasPrefix($0.path + "/") }
                .max { $0.path.count < $1.path.count }
            discovery.append(RoutePrefix(path: add(path), version: root?.version ?? .none))
        }
        mediaTypes = definition.mediaTypes.map { add($0) }
        for index in 0..<OperationTable.allowValueCount {
            let names = [Method.delete, .get, .head, .options, .patch, .post, .put]
                .filter { $0.rawValue < 6 && index >> Int($0.rawValue) & 1 == 1 }
            allowValues.append(add(names.map { $0.name.description }.joined(separator: ", ")))
        }
        for (index, operation) in definition.operations.enumerated() { build(operation, index) }
        if !definition.discovery.isEmpty, discoveryOperation < 0 {
            problems.append("x-gatehouse.discovery needs an operation with discovery: true")
        }
        buildRoutes()
    }

    private mutating func build(_ operation: Operation, _ index: Int) {
        if operation.isDiscovery, discoveryOperation < 0 { discoveryOperation = index }
        if !limitClasses.contains(operation.limitClass) { limitClasses.append(operation.limitClass) }
        let firstRule = rules.count
        var built: [(String, ParameterRule)] = []
        for (order, parameter) in operation.parameters.enumerated() where parameter.place == .query {
            var rule = compile(parameter, order)
            if parameter.notBefore != nil { rule.pair = .before }
            if operation.parameters.contains(where: { $0.place == .query && $0.notBefore == parameter.name })
            {
                rule.pair = .since
            }
            built.append((parameter.name, rule))
        }
        rules += built.sorted { Array($0.0.utf8).lexicographicallyPrecedes(Array($1.0.utf8)) }.map(\.1)
        let ruleCount = rules.count - firstRule
        // Path rules follow in the order of the path; they are found by place, not by name.
        rules += pathParameters(operation).enumerated().map { compile($1, $0) }
        let firstAction = actionPlaces.count
        for action in operation.actions {
            let name = action.limitClass ?? operation.limitClass
            if !limitClasses.contains(name) { limitClasses.append(name) }
            actionPlaces.append(
                ActionPlaces(
                    key: add(action.key), audit: add(action.auditAction),
                    limitClass: limitClasses.firstIndex(of: name) ?? 0, action: action,
                    ended: action.ended.map { compile($0) }, schema: compile(action.schema),
                    unknownMessage: action.unknownMessage.map { add($0) }))
        }
        var tolerated: Int32 = -1
        var toleratedText = ByteRange.empty
        if let pattern = operation.tolerated {
            if let first = patterns.compile(pattern) {
                tolerated = first
                toleratedText = add(pythonText(pattern))
            } else {
                problems.append("\(operation.id): tolerated is not a pattern that can be used: \(pattern)")
            }
        }
        operationPlaces.append(
            OperationPlaces(
                id: add(operation.id), tag: add(operation.tags.first ?? ""),
                audit: add(operation.auditAction), tolerated: tolerated, toleratedText: toleratedText,
                ended: operation.ended.map { compile($0) }, schema: compile(operation.schema),
                firstRule: firstRule, ruleCount: ruleCount, firstAction: firstAction,
                actionCount: operation.actions.count))
    }

    /// The path's parameters in the order of the path.
    private func pathParameters(_ operation: Operation) -> [Parameter] {
        operation.path.split(separator: "/").filter { $0.hasPrefix("{") }.compactMap { segment in
            operation.parameters.first { $0.place == .path && $0.name == segment.dropFirst().dropLast() }
        }
    }

    private mutating func compile(_ ended: Ended) -> EndedFacts {
        EndedFacts(status: ended.status, message: add(ended.message ?? ""))
    }

    /// A text as Python shows it, quotes included.
    func pythonText(_ text: String) -> String {
        var buffer = Buffer(capacity: text.utf8.count * 10 + 2)
        Array(text.utf8).withUnsafeBufferPointer { buffer.appendPythonRepresentation($0) }
        return buffer.readable.string
    }

    private mutating func compile(_ parameter: Parameter, _ order: Int) -> ParameterRule {
        let novaRule = profile == .nova ? parameter.novaRule : nil
        let firstChoice = choices.count
        for choice in parameter.choices {
            choices.append(
                Choice(
                    text: add(choice), isRetired: parameter.retired.contains(choice),
                    isForAdmins: parameter.adminChoices.contains(choice)))
        }
        let all = Array(parameter.choices.indices)
        let remaining = all.filter { !parameter.retired.contains(parameter.choices[$0]) }
        return ParameterRule(
            name: add(parameter.name), key: TextKey.of(parameter.name), order: UInt16(order),
            rule: novaRule ?? parameter.rule,
            v2Rule: parameter.novaRuleIsForV2 ? novaRule ?? parameter.v2Rule : parameter.v2Rule,
            isList: parameter.isList, minimum: parameter.minimum ?? .lowest,
            maximum: parameter.maximum ?? .highest,
            firstChoice: Int32(firstChoice), choiceCount: Int32(parameter.choices.count),
            retiredMaximum: parameter.retiredMaximum ?? .highest, single: parameter.single ?? .highest,
            strict: parameter.strict ?? .highest,
            shortcut: parameter.shortcut, pair: .none,
            choicesText: add(pythonList(parameter, all)),
            remainingText: add(pythonList(parameter, remaining)),
            invalidStatus: UInt16(parameter.invalidStatus), message: add(parameter.message ?? ""))
    }

    /// Writes some choices as Python writes a list; YAML's own true and false are its True and False.
    private func pythonList(_ parameter: Parameter, _ indices: [Int]) -> String {
        var buffer = Buffer(capacity: parameter.choices.reduce(8) { $0 + $1.utf8.count * 4 + 8 })
        buffer.append("[")
        for (place, index) in indices.enumerated() {
            if place > 0 { buffer.append(", ") }
            let value = parameter.choices[index]
            if parameter.truthChoices.contains(index) {
                buffer.append(value.lowercased() == "true" ? "True" : "False")
            } else {
                Array(value.utf8).withUnsafeBufferPointer { buffer.appendPythonRepresentation($0) }
            }
        }
        buffer.append("]")
        return buffer.readable.string
    }

    /// Puts a text into the block, once.
    mutating func add(_ text: String) -> ByteRange {
        if let place = places[text] { return place }
        let place = ByteRange(start: bytes.count, count: text.utf8.count)
        bytes += text.utf8
        places[text] = place
        return place
    }

    // MARK: - Routes

    private final class Step {
        var literals: [String: Step] = [:]
        var parameter: Step?
        var methods: [RouteMethod] = []
    }

    private mutating func buildRoutes() {
        let root = Step()
        for (index, operation) in definition.operations.enumerated() {
            var step = root
            for segment in operation.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
            {
                let next: Step
                if segment.hasPrefix("{") {
                    next = step.parameter ?? Step()
                    step.parameter = next
                } else {
                    next = step.literals[String(segment)] ?? Step()
                    step.literals[String(segment)] = next
                }
                step = next
            }
            step.methods.append(RouteMethod(method: operation.method, operation: Int32(index)))
        }
        _ = flatten(root)
    }

    /// Lays a step and all below it out; answers its index.
    private mutating func flatten(_ step: Step) -> Int {
        let index = nodes.count
        var bits: UInt16 = 0
        for method in step.methods { bits |= 1 << UInt16(method.method.rawValue) }
        nodes.append(
            RouteNode(
                firstEdge: 0, edgeCount: Int32(step.literals.count), parameterChild: -1,
                firstMethod: Int32(methods.count), methodCount: Int32(step.methods.count), methods: bits))
        methods += step.methods
        // The edges of one step lie together, sorted by their bytes; the children's follow after.
        let sorted = step.literals.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
        let firstEdge = edges.count
        nodes[index].firstEdge = Int32(firstEdge)
        for (name, _) in sorted { edges.append(RouteEdge(name: add(name), key: TextKey.of(name), child: -1)) }
        for (offset, (_, child)) in sorted.enumerated() {
            edges[firstEdge + offset].child = Int32(flatten(child))
        }
        if let parameter = step.parameter { nodes[index].parameterChild = Int32(flatten(parameter)) }
        return index
    }

    // MARK: - Facts

    func facts(in all: ByteView) -> [OperationFacts] {
        zip(definition.operations, operationPlaces).map { operation, places in
            OperationFacts(
                idBytes: all.view(places.id), tagBytes: all.view(places.tag),
                auditAction: all.view(places.audit),
                limitClass: limitClasses.firstIndex(of: operation.limitClass) ?? 0, method: operation.method,
                isDiscovery: operation.isDiscovery, isWrite: operation.isWrite,
                requiresAdmin: operation.requiresAdmin, hasActions: !operation.actions.isEmpty,
                secretParameters: operation.secretParameters,
                cacheClass: operation.cacheClass, cacheScope: operation.cacheScope,
                content: operation.content,
                maxContentByteCount: operation.maxContentByteCount, minimum: operation.minimum ?? .lowest,
                maximum: operation.maximum ?? .highest, strict: operation.strict ?? .highest,
                tolerated: places.tolerated, toleratedText: places.toleratedText, ended: places.ended,
                schema: places.schema, firstRule: places.firstRule,
                ruleCount: places.ruleCount,
                firstAction: places.firstAction, actionCount: places.actionCount)
        }
    }

    func actionFacts(in all: ByteView) -> [ActionFacts] {
        actionPlaces.map { places in
            ActionFacts(
                key: all.view(places.key), auditAction: all.view(places.audit), limitClass: places.limitClass,
                requiresAdmin: places.action.requiresAdmin, minimum: places.action.minimum ?? .lowest,
                maximum: places.action.maximum ?? .highest, ended: places.ended, schema: places.schema,
                unknownMessage: places.unknownMessage)
        }
    }
}
