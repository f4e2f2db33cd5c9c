/// One step of a compiled regular expression; a pattern is the index of its first step.
struct PatternStep {
    enum Kind: UInt8 { case accept, set, start, end, lookAhead, lookBehind, branch }

    var kind: Kind
    /// Of a set: everything but its ranges.
    var isInverted = false
    /// Of a look: it must not be there.
    var isNegated = false
    var firstRange: Int32 = 0
    var rangeCount: Int32 = 0
    /// How often a set may match.
    var minimum: UInt32 = 1
    var maximum: UInt32 = 1
    var next: Int32 = -1
    /// Of a branch: what is tried second.
    var other: Int32 = -1
}

/// Scalars from one to another, both included.
struct ScalarRange: Equatable {
    var low: UInt32
    var high: UInt32
}

/// Compiles the regular expressions of definitions, a part of what Python's `re` has.
///
/// - Shape: literals, sets, `^`, `$`, groups, `|`, the quantifiers of single characters, `?` of groups, and looks of one
///   character. Everything else makes no pattern, so that its keyword decides nothing.
struct PatternCompiler {
    private(set) var steps: [PatternStep] = []
    private(set) var ranges: [ScalarRange] = []
    private var compiled: [String: Int32] = [:]

    private struct CharacterSet {
        var ranges: [ScalarRange]
        var isInverted = false
    }

    private indirect enum Part {
        case sequence([Part])
        case choice([Part])
        case set(CharacterSet, UInt32, UInt32)
        case start, end
        case look(CharacterSet, isAhead: Bool, isNegated: Bool)
        case optional(Part)
    }

    private struct Unsupported: Error {}

    /// Compiles `pattern` and answers its first step; nil when a part of it is not supported.
    mutating func compile(_ pattern: String) -> Int32? {
        if let known = compiled[pattern] { return known }
        var scalars = Array(pattern.unicodeScalars)[...]
        guard let part = try? Self.parseChoice(&scalars), scalars.isEmpty else { return nil }
        steps.append(PatternStep(kind: .accept))
        let first = emit(part, next: Int32(steps.count - 1))
        compiled[pattern] = first
        return first
    }

    // MARK: - Parsing

    private static func parseChoice(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> Part {
        var choices = [try parseSequence(&rest)]
        while rest.first == "|" {
            rest.removeFirst()
            choices.append(try parseSequence(&rest))
        }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private static func parseSequence(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> Part {
        var parts: [Part] = []
        while let scalar = rest.first, scalar != "|", scalar != ")" {
            rest.removeFirst()
            switch scalar {
            case "^": parts.append(.start)
            case "$": parts.append(.end)
            case "(": parts.append(try parseGroup(&rest))
            case "[": parts.append(try quantified(parseSet(&rest), &rest))
            case ".":
                let lineFeed = CharacterSet(ranges: [ScalarRange(low: 10, high: 10)], isInverted: true)
                parts.append(try quantified(lineFeed, &rest))
            case "\\":
                parts.append(try quantified(single(try escaped(&rest)), &rest))
            case "*", "+", "?", "{": throw Unsupported()
            default: parts.append(try quantified(single(scalar.value), &rest))
            }
        }
        return .sequence(parts)
    }

    private static func parseGroup(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> Part {
        if rest.starts(with: "?:".unicodeScalars) {
            rest.removeFirst(2)
        } else if rest.first == "?" {
            for (mark, isAhead, isNegated) in [
                ("?!", true, true), ("?=", true, false), ("?<!", false, true), ("?<=", false, false),
            ] {
                guard rest.starts(with: mark.unicodeScalars) else { continue }
                rest.removeFirst(mark.unicodeScalars.count)
                guard let scalar = rest.popFirst() else { throw Unsupported() }
                let set: CharacterSet
                switch scalar {
                case "[": set = try parseSet(&rest)
                case "\\": set = single(try escaped(&rest))
                case "(", ")", ".", "^", "$", "|", "*", "+", "?", "{": throw Unsupported()
                default: set = single(scalar.value)
                }
                guard rest.popFirst() == ")" else { throw Unsupported() }
                return .look(set, isAhead: isAhead, isNegated: isNegated)
            }
            throw Unsupported()
        }
        let inner = try parseChoice(&rest)
        guard rest.popFirst() == ")" else { throw Unsupported() }
        switch rest.first {
        case "?":
            rest.removeFirst()
            if rest.first == "?" { throw Unsupported() }
            return .optional(inner)
        case "*", "+", "{": throw Unsupported()
        default: return inner
        }
    }

    private static func parseSet(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> CharacterSet {
        var set = CharacterSet(ranges: [])
        if rest.first == "^" {
            set.isInverted = true
            rest.removeFirst()
        }
        var isFirst = true
        while true {
            guard let scalar = rest.popFirst() else { throw Unsupported() }
            if scalar == "]", !isFirst { return set }
            isFirst = false
            let low = scalar == "\\" ? try escaped(&rest) : scalar.value
            guard rest.first == "-", let after = rest.dropFirst().first, after != "]" else {
                set.ranges.append(ScalarRange(low: low, high: low))
                continue
            }
            rest.removeFirst(2)
            let high = after == "\\" ? try escaped(&rest) : after.value
            guard low <= high else { throw Unsupported() }
            set.ranges.append(ScalarRange(low: low, high: high))
        }
    }

    /// An escaped character that stands for itself; classes such as `\d` are not supported.
    private static func escaped(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> UInt32 {
        guard let scalar = rest.popFirst(), scalar.value > 0x7F || !scalar.properties.isAlphabetic,
            !("0"..."9").contains(scalar)
        else { throw Unsupported() }
        return scalar.value
    }

    private static func single(_ value: UInt32) -> CharacterSet {
        CharacterSet(ranges: [ScalarRange(low: value, high: value)])
    }

    private static func quantified(_ set: CharacterSet, _ rest: inout ArraySlice<Unicode.Scalar>) throws
        -> Part
    {
        var (low, high): (UInt32, UInt32) = (1, 1)
        switch rest.first {
        case "*": (low, high) = (0, .max)
        case "+": (low, high) = (1, .max)
        case "?": (low, high) = (0, 1)
        case "{":
            let inside = String(String.UnicodeScalarView(rest.dropFirst().prefix { $0 != "}" }))
            let bounds = inside.split(separator: ",", omittingEmptySubsequences: false).map { UInt32($0) }
            guard (1...2).contains(bounds.count), let first = bounds[0], let last = bounds.last ?? nil,
                first <= last
            else { throw Unsupported() }
            (low, high) = (first, last)
            rest.removeFirst(inside.unicodeScalars.count + 1)
        default: return .set(set, 1, 1)
        }
        guard rest.popFirst() != nil, rest.first != "?", rest.first != "+" else { throw Unsupported() }
        return .set(set, low, high)
    }

    // MARK: - Emitting

    /// Appends the steps of a part that goes on with `next`; answers the first.
    private mutating func emit(_ part: Part, next: Int32) -> Int32 {
        switch part {
        case .sequence(let parts): return parts.reversed().reduce(next) { emit($1, next: $0) }
        case .choice(let choices):
            var first = emit(choices[choices.count - 1], next: next)
            for choice in choices.dropLast().reversed() {
                var step = PatternStep(kind: .branch)
                step.other = first
                step.next = emit(choice, next: next)
                first = append(step)
            }
            return first
        case .optional(let inner):
            var step = PatternStep(kind: .branch)
            step.next = emit(inner, next: next)
            step.other = next
            return append(step)
        case .start: return append(PatternStep(kind: .start, next: next))
        case .end: return append(PatternStep(kind: .end, next: next))
        case .set(let set, let low, let high):
            return append(set, PatternStep(kind: .set, minimum: low, maximum: high, next: next))
        case .look(let set, let isAhead, let isNegated):
            return append(
                set, PatternStep(kind: isAhead ? .lookAhead : .lookBehind, isNegated: isNegated, next: next))
        }
    }

    private mutating func append(_ set: CharacterSet, _ step: PatternStep) -> Int32 {
        var step = step
        step.isInverted = set.isInverted
        step.firstRange = Int32(ranges.count)
        step.rangeCount = Int32(set.ranges.count)
        ranges += set.ranges
        return append(step)
    }

    private mutating func append(_ step: PatternStep) -> Int32 {
        steps.append(step)
        return Int32(steps.count - 1)
    }
}
