internal import Bytes

/// Looks whether a JSON text fits a compiled schema, and finds the first mistake that Nova's validator would find.
///
/// - Shape: keywords are checked in the definition's order, properties too, as jsonschema does. A check is true while
///   nothing is wrong. What cannot be decided here (an unusual keyword, half a surrogate pair, a text that would take
///   too long) ends it without a mistake.
/// - Source: the package jsonschema 4.26 and Nova's `_SchemaValidator`.
struct SchemaCheck: ~Copyable {
    /// How the value that is wrong was reached: the last step of its path.
    enum Step {
        case root
        /// The node of the key.
        case member(Int)
        case element(Int)
    }

    struct Mistake {
        var keyword: Int
        var value: Int
        var step: Step
        /// The name of a missing property, or of a pattern's set.
        var name = ByteRange.empty
        /// Place in the schema's keywords, for those that look at their neighbours.
        var schema: Int32
    }

    let lists: SchemaPointers
    let content: ByteView
    let nodes: UnsafePointer<JSONNode>
    let version: Microversion
    /// Under /v2 further properties are dropped, not refused.
    let isSoft: Bool
    var budget = 400_000
    var mistake: Mistake?
    var isUndecided = false
    /// Something was dropped, so values that are shown would lack it.
    var hasDropped = false

    init(
        _ lists: SchemaPointers, content: ByteView, nodes: UnsafePointer<JSONNode>, version: Microversion,
        isSoft: Bool
    ) {
        self.lists = lists
        self.content = content
        self.nodes = nodes
        self.version = version
        self.isSoft = isSoft
    }

    /// The schema that counts at this microversion; -1 where there is none.
    func resolve(_ schema: Int32) -> Int32 {
        guard schema >= 0 else { return -1 }
        let node = lists.nodes[Int(schema)]
        guard node.minimum <= version, node.maximum >= version else { return -1 }
        if node.choiceCount == 0 { return schema }
        for place in Int(node.firstChoice)..<Int(node.firstChoice + node.choiceCount) {
            let choice = resolve(lists.links[place])
            if choice >= 0 { return choice }
        }
        return -1
    }

    /// Checks a value against a schema that was resolved.
    mutating func check(_ schema: Int32, _ value: Int, _ step: Step, _ scratch: inout Buffer) -> Bool {
        let node = lists.nodes[Int(schema)]
        for place in Int(node.firstKeyword)..<Int(node.firstKeyword + node.keywordCount) {
            budget -= 1
            if budget <= 0 { isUndecided = true }
            guard !isUndecided else { return false }
            let keyword = lists.keywords[place]
            guard !isMet(keyword, place, schema, value, step, &scratch) else { continue }
            if mistake == nil, !isUndecided {
                mistake = Mistake(keyword: place, value: value, step: step, schema: schema)
            }
            return false
        }
        return true
    }

    private mutating func isMet(
        _ keyword: SchemaKeyword, _ place: Int, _ schema: Int32, _ value: Int, _ step: Step,
        _ scratch: inout Buffer
    ) -> Bool {
        let node = nodes[value]
        switch keyword.kind {
        case .undecided:
            isUndecided = true
            return false
        case .type: return isOfType(node, Int(keyword.first))
        case .constants: return isConstant(node, keyword, &scratch)
        case .properties: return node.kind != .object || checkProperties(keyword, value, &scratch)
        case .patternProperties: return node.kind != .object || checkPatterns(keyword, value, &scratch)
        case .noOthers, .others:
            return node.kind != .object || checkOthers(keyword, schema, value, step, &scratch)
        case .required:
            return node.kind != .object || checkRequired(keyword, place, schema, value, step, &scratch)
        case .minLength: return node.kind != .string || length(node) >= keyword.number
        case .maxLength: return node.kind != .string || length(node) <= keyword.number
        case .minItems: return node.kind != .array || Int(node.childCount) >= keyword.number
        case .maxItems: return node.kind != .array || Int(node.childCount) <= keyword.number
        case .minProperties: return node.kind != .object || memberCount(value, &scratch) >= keyword.number
        case .maxProperties: return node.kind != .object || memberCount(value, &scratch) <= keyword.number
        case .minimum, .maximum, .exclusiveMinimum: return isInRange(node, keyword, &scratch)
        case .pattern:
            guard node.kind == .string else { return true }
            guard let text = text(node, &scratch) else { return false }
            var match = PatternMatch(steps: lists.patternSteps, ranges: lists.patternRanges, text: text)
            if let isFound = match.search(keyword.first) { return isFound }
            isUndecided = true
            return false
        case .format: return hasFormat(node, keyword.format, &scratch)
        case .items: return node.kind != .array || checkItems(keyword, schema, value, &scratch)
        case .prefixItems: return node.kind != .array || checkPrefix(keyword, value, &scratch)
        case .uniqueItems: return node.kind != .array || isUnique(value, &scratch)
        case .allOf:
            for link in links(keyword) {
                let inner = resolve(lists.links[link])
                if inner >= 0, !check(inner, value, step, &scratch) { return false }
            }
            return true
        case .anyOf, .oneOf: return checkSome(keyword, value, step, &scratch)
        }
    }

    func links(_ keyword: SchemaKeyword) -> Range<Int> {
        Int(keyword.first)..<Int(keyword.first + keyword.count)
    }

    /// Whether one of several schemas fits; that two do is shown by Nova in words of its own.
    private mutating func checkSome(
        _ keyword: SchemaKeyword, _ value: Int, _ step: Step, _ scratch: inout Buffer
    ) -> Bool {
        var fitting = 0
        for link in links(keyword) {
            let inner = resolve(lists.links[link])
            guard inner >= 0 else { continue }
            if check(inner, value, step, &scratch) {
                fitting += 1
                if keyword.kind == .anyOf { return true }
            }
            guard !isUndecided else { return false }
            mistake = nil
        }
        if fitting > 1 { isUndecided = true }
        return fitting == 1
    }

    // MARK: - Objects

    private mutating func checkProperties(_ keyword: SchemaKeyword, _ object: Int, _ scratch: inout Buffer)
        -> Bool
    {
        for place in Int(keyword.first)..<Int(keyword.first + keyword.count) {
            let inner = resolve(lists.members[place].schema)
            guard inner >= 0, let key = find(lists.view(lists.members[place].name), in: object, &scratch)
            else {
                continue
            }
            guard check(inner, key + 1, .member(key), &scratch) else { return false }
        }
        return !isUndecided
    }

    private mutating func checkPatterns(_ keyword: SchemaKeyword, _ object: Int, _ scratch: inout Buffer)
        -> Bool
    {
        for place in Int(keyword.first)..<Int(keyword.first + keyword.count) {
            let member = lists.members[place]
            let inner = resolve(member.schema)
            guard inner >= 0 else { continue }
            var key = object + 1
            while key < Int(nodes[object].next) {
                defer { key = Int(nodes[key + 1].next) }
                guard let last = lastIfFirst(key, in: object, &scratch) else {
                    if isUndecided { return false }
                    continue
                }
                guard let name = text(nodes[key], &scratch), let isFound = search(member.pattern, name) else {
                    return false
                }
                if isFound, !check(inner, last + 1, .member(last), &scratch) { return false }
            }
        }
        return true
    }

    private mutating func checkRequired(
        _ keyword: SchemaKeyword, _ place: Int, _ schema: Int32, _ object: Int, _ step: Step,
        _ scratch: inout Buffer
    ) -> Bool {
        for text in Int(keyword.first)..<Int(keyword.first + keyword.count) {
            let name = lists.texts[text]
            if find(lists.view(name), in: object, &scratch) == nil {
                if !isUndecided {
                    mistake = Mistake(keyword: place, value: object, step: step, name: name, schema: schema)
                }
                return false
            }
        }
        return true
    }

    private mutating func checkOthers(
        _ keyword: SchemaKeyword, _ schema: Int32, _ object: Int, _ step: Step, _ scratch: inout Buffer
    ) -> Bool {
        var others = 0
        var wrong = 0
        var first: Mistake?
        var key = object + 1
        while key < Int(nodes[object].next) {
            defer { key = Int(nodes[key + 1].next) }
            guard let last = lastIfFirst(key, in: object, &scratch) else {
                if isUndecided { return false }
                continue
            }
            guard isOther(key, schema, &scratch) else {
                if isUndecided { return false }
                continue
            }
            others += 1
            guard keyword.kind == .others else { continue }
            let inner = resolve(keyword.first)
            if inner >= 0, !isSoft, !check(inner, last + 1, .member(last), &scratch) {
                guard !isUndecided else { return false }
                wrong += 1
                first = mistake
                mistake = nil
            }
        }
        if keyword.kind == .others {
            // Python goes through a set of them, in no order that can be told.
            if wrong > 1 { isUndecided = true }
            mistake = first
            if isSoft, others > 0 { hasDropped = true }
            return wrong == 0
        }
        guard isSoft else { return others == 0 }
        if others == 0 || others == memberCount(object, &scratch) { return true }
        if patterns(of: schema) != nil {
            if others > 1 { isUndecided = true }
            return false
        }
        hasDropped = true
        return true
    }

    /// Tells whether a key belongs to no property and no pattern of a schema.
    mutating func isOther(_ key: Int, _ schema: Int32, _ scratch: inout Buffer) -> Bool {
        let node = lists.nodes[Int(schema)]
        guard let name = text(nodes[key], &scratch) else { return false }
        for place in Int(node.firstKeyword)..<Int(node.firstKeyword + node.keywordCount)
        where lists.keywords[place].kind == .properties {
            let keyword = lists.keywords[place]
            for member in Int(keyword.first)..<Int(keyword.first + keyword.count)
            where lists.view(lists.members[member].name).equals(name)
                && resolve(lists.members[member].schema) >= 0
            {
                return false
            }
            budget -= Int(keyword.count)
        }
        if let keyword = patterns(of: schema) {
            for member in Int(keyword.first)..<Int(keyword.first + keyword.count) {
                guard let isFound = search(lists.members[member].pattern, name), !isFound else {
                    return false
                }
            }
        }
        return true
    }

    func patterns(of schema: Int32) -> SchemaKeyword? {
        let node = lists.nodes[Int(schema)]
        for place in Int(node.firstKeyword)..<Int(node.firstKeyword + node.keywordCount)
        where lists.keywords[place].kind == .patternProperties {
            return lists.keywords[place]
        }
        return nil
    }

    private mutating func search(_ pattern: Int32, _ text: ByteView) -> Bool? {
        budget -= 16 + text.count / 8
        var match = PatternMatch(steps: lists.patternSteps, ranges: lists.patternRanges, text: text)
        if let isFound = match.search(pattern) { return isFound }
        isUndecided = true
        return nil
    }

    // MARK: - Arrays

    private mutating func checkItems(
        _ keyword: SchemaKeyword, _ schema: Int32, _ array: Int, _ scratch: inout Buffer
    ) -> Bool {
        let inner = resolve(keyword.first)
        guard inner >= 0 else { return true }
        let node = lists.nodes[Int(schema)]
        var skipped = 0
        for place in Int(node.firstKeyword)..<Int(node.firstKeyword + node.keywordCount)
        where lists.keywords[place].kind == .prefixItems {
            skipped = Int(lists.keywords[place].count)
        }
        var element = array + 1
        var index = 0
        while element < Int(nodes[array].next) {
            if index >= skipped, !check(inner, element, .element(index), &scratch) { return false }
            index += 1
            element = Int(nodes[element].next)
        }
        return true
    }

    private mutating func checkPrefix(_ keyword: SchemaKeyword, _ array: Int, _ scratch: inout Buffer) -> Bool
    {
        var element = array + 1
        for (index, link) in links(keyword).enumerated() {
            guard element < Int(nodes[array].next) else { return true }
            let inner = resolve(lists.links[link])
            if inner >= 0, !check(inner, element, .element(index), &scratch) { return false }
            element = Int(nodes[element].next)
        }
        return true
    }
}

/// The lists of a table that a check reads; they live as long as the table.
struct SchemaPointers {
    let nodes: UnsafePointer<SchemaNode>
    let keywords: UnsafePointer<SchemaKeyword>
    let members: UnsafePointer<SchemaMember>
    let links: UnsafePointer<Int32>
    let texts: UnsafePointer<ByteRange>
    let constants: UnsafePointer<SchemaConstant>
    let patternSteps: UnsafePointer<PatternStep>
    let patternRanges: UnsafePointer<ScalarRange>
    let bytes: UnsafePointer<UInt8>

    @inline(__always) func view(_ range: ByteRange) -> ByteView {
        ByteView(start: bytes + range.lower, count: Int(range.count))
    }
}
