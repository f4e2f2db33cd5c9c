/// Reads the text of a query.
///
/// - Limits: 4,096 characters, 64 levels of parentheses and filters.
/// - Source: RFC 9535 §2 and its grammar (appendix A); what is outside the subset of `JSONPath` is named.
struct JSONPathReader {
    static let maxCount = 4_096
    static let maxDepth = 64

    private let text: [Unicode.Scalar]
    private var place = 0
    private var depth = 0

    /// Reads all of `text`.
    static func read(_ text: String) throws(JSONPathFailure) -> JSONPath {
        var reader = JSONPathReader(text: Array(text.unicodeScalars.prefix(maxCount + 1)))
        guard reader.text.count <= maxCount else {
            throw JSONPathFailure(offset: 0, message: "a query of more than \(maxCount) characters")
        }
        guard reader.take("$") else { throw reader.failure("a query begins with $") }
        let segments = try reader.segments()
        guard reader.place == reader.text.count else {
            throw reader.failure("not a part of a query: \(reader.text[reader.place])")
        }
        return JSONPath(segments: segments)
    }

    private init(text: [Unicode.Scalar]) { self.text = text }

    // MARK: - Characters

    private var next: Unicode.Scalar? { place < text.count ? text[place] : nil }

    private func failure(_ message: String, at offset: Int? = nil) -> JSONPathFailure {
        JSONPathFailure(offset: offset ?? place, message: message)
    }

    private mutating func take(_ wanted: String) -> Bool {
        let scalars = Array(wanted.unicodeScalars)
        guard text[place...].starts(with: scalars) else { return false }
        place += scalars.count
        return true
    }

    private mutating func skipBlank() {
        while let scalar = next, scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r" {
            place += 1
        }
    }

    private static func beginsName(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.value >= 0x80 || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    // MARK: - Segments

    private mutating func segments() throws(JSONPathFailure) -> [JSONPath.Segment] {
        var segments: [JSONPath.Segment] = []
        while true {
            let start = place
            skipBlank()
            if take("..") {
                segments.append(JSONPath.Segment(isDescendant: true, selectors: try descendantSelectors()))
            } else if take(".") {
                segments.append(JSONPath.Segment(isDescendant: false, selectors: [try shorthand()]))
            } else if next == "[" {
                segments.append(JSONPath.Segment(isDescendant: false, selectors: try bracket()))
            } else {
                place = start
                return segments
            }
        }
    }

    private mutating func descendantSelectors() throws(JSONPathFailure) -> [JSONPath.Selector] {
        if next == "[" { return try bracket() }
        return [try shorthand()]
    }

    /// The name or the asterisk after a dot.
    private mutating func shorthand() throws(JSONPathFailure) -> JSONPath.Selector {
        if take("*") { return .wildcard }
        guard let first = next, Self.beginsName(first) else { throw failure("a name or * is missing") }
        var name = String.UnicodeScalarView()
        while let scalar = next, Self.beginsName(scalar) || Self.isDigit(scalar) {
            name.append(scalar)
            place += 1
        }
        if next == "-" { throw failure("a name with a hyphen stands in brackets: ['\(String(name))-…']") }
        return .name(String(name))
    }

    private mutating func bracket() throws(JSONPathFailure) -> [JSONPath.Selector] {
        let start = place
        place += 1
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maxDepth else { throw failure("nested too deep") }
        var selectors: [JSONPath.Selector] = []
        repeat {
            skipBlank()
            selectors.append(try selector())
            skipBlank()
        } while take(",")
        guard take("]") else {
            throw failure(next == nil ? "[ has no ]" : "] is missing", at: next == nil ? start : nil)
        }
        return selectors
    }

    private mutating func selector() throws(JSONPathFailure) -> JSONPath.Selector {
        switch next {
        case "*":
            place += 1
            return .wildcard
        case "'", "\"": return .name(try quoted())
        case "?":
            place += 1
            skipBlank()
            return .filter(try condition())
        case ":": throw failure("slices are not supported")
        case let scalar? where Self.isDigit(scalar) || scalar == "-":
            let index = try index()
            skipBlank()
            if next == ":" { throw failure("slices are not supported") }
            return .index(index)
        default: throw failure("a name in quotes, an index, * or ? is missing")
        }
    }

    private mutating func index() throws(JSONPathFailure) -> Int {
        let start = place
        var digits = take("-") ? "-" : ""
        while let scalar = next, Self.isDigit(scalar) {
            digits.unicodeScalars.append(scalar)
            place += 1
        }
        // RFC 9535 §2.1: within the numbers that a double holds exactly, without leading zeros, and no -0.
        guard let index = Int(digits), String(index) == digits, abs(index) < 1 << 53 else {
            throw failure("not an index: \(digits)", at: start)
        }
        return index
    }

    private mutating func quoted() throws(JSONPathFailure) -> String {
        let start = place
        let quote = text[place]
        place += 1
        var result = String.UnicodeScalarView()
        while let scalar = next {
            place += 1
            if scalar == quote { return String(result) }
            guard scalar.value >= 0x20 else { throw failure("a control character in quotes", at: place - 1) }
            result.append(scalar == "\\" ? try escaped(quote) : scalar)
        }
        throw failure("a quote has no end", at: start)
    }

    private mutating func escaped(_ quote: Unicode.Scalar) throws(JSONPathFailure) -> Unicode.Scalar {
        let start = place - 1
        guard let scalar = next else { throw failure("a quote has no end", at: start) }
        place += 1
        switch scalar {
        case quote, "\\", "/": return scalar
        case "b": return "\u{8}"
        case "f": return "\u{C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            var code = try hexadecimal(start)
            if (0xD800..<0xDC00).contains(code) {
                guard take("\\u") else { throw failure("half of a surrogate pair", at: start) }
                let low = try hexadecimal(start)
                guard (0xDC00..<0xE000).contains(low) else {
                    throw failure("half of a surrogate pair", at: start)
                }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else {
                throw failure("half of a surrogate pair", at: start)
            }
            return scalar
        default: throw failure("not an escape: \\\(scalar)", at: start)
        }
    }

    private mutating func hexadecimal(_ start: Int) throws(JSONPathFailure) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let scalar = next, scalar.properties.isASCIIHexDigit,
                let digit = Character(scalar).hexDigitValue
            else { throw failure("\\u needs four hexadecimal digits", at: start) }
            code = code << 4 | UInt32(digit)
            place += 1
        }
        return code
    }

    // MARK: - Filters

    private mutating func condition() throws(JSONPathFailure) -> JSONPath.Condition {
        var condition = try conjunction()
        skipBlank()
        while take("||") {
            skipBlank()
            condition = .or(condition, try conjunction())
            skipBlank()
        }
        return condition
    }

    private mutating func conjunction() throws(JSONPathFailure) -> JSONPath.Condition {
        var condition = try basic()
        skipBlank()
        while take("&&") {
            skipBlank()
            condition = .and(condition, try basic())
            skipBlank()
        }
        return condition
    }

    private mutating func basic() throws(JSONPathFailure) -> JSONPath.Condition {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maxDepth else { throw failure("nested too deep") }
        if next == "!", !text[place...].starts(with: "!=".unicodeScalars) {
            place += 1
            skipBlank()
            if next != "(", next != "@", next != "$" {
                throw failure("! stands before a query or a parenthesis")
            }
            return .not(next == "(" ? try parenthesis() : try existence())
        }
        if next == "(" { return try parenthesis() }
        let start = place
        let left = try operand()
        skipBlank()
        let isEqual = take("==")
        if isEqual || take("!=") {
            try requireSingular(left, start)
            skipBlank()
            let rightStart = place
            let right = try operand()
            try requireSingular(right, rightStart)
            return isEqual ? .equal(left, right) : .not(.equal(left, right))
        }
        if next == "<" || next == ">" { throw failure("only == and != are supported") }
        guard case .query(let query) = left else { throw failure("a value alone is no condition", at: start) }
        return .exists(query)
    }

    private mutating func parenthesis() throws(JSONPathFailure) -> JSONPath.Condition {
        let start = place
        place += 1
        skipBlank()
        let inner = try condition()
        guard take(")") else { throw failure("( has no )", at: start) }
        return inner
    }

    private mutating func existence() throws(JSONPathFailure) -> JSONPath.Condition {
        let start = place
        guard case .query(let query) = try operand() else { throw failure("not a query", at: start) }
        return .exists(query)
    }

    private mutating func operand() throws(JSONPathFailure) -> JSONPath.Operand {
        let start = place
        switch next {
        case "@", "$":
            let isRelative = next == "@"
            place += 1
            return .query(JSONPath.Query(isRelative: isRelative, segments: try segments()))
        case "'", "\"": return .value(.text(try quoted()))
        case let scalar? where Self.isDigit(scalar) || scalar == "-":
            var number = ""
            while let scalar = next, Self.isDigit(scalar) || "+-.eE".unicodeScalars.contains(scalar) {
                number.unicodeScalars.append(scalar)
                place += 1
            }
            guard let value = JSONValue.number(number) else {
                throw failure("not a number: \(number)", at: start)
            }
            return .value(.number(value))
        case let scalar? where Self.beginsName(scalar):
            var word = ""
            while let scalar = next, Self.beginsName(scalar) || Self.isDigit(scalar) {
                word.unicodeScalars.append(scalar)
                place += 1
            }
            switch word {
            case "true": return .value(.truth(true))
            case "false": return .value(.truth(false))
            case "null": return .value(.null)
            default:
                throw failure(
                    next == "(" ? "functions are not supported: \(word)" : "not a value: \(word)", at: start)
            }
        default: throw failure("a value or a query is missing")
        }
    }

    /// Queries that are compared lead to one node at most (RFC 9535 §2.3.5.1).
    private func requireSingular(_ operand: JSONPath.Operand, _ start: Int) throws(JSONPathFailure) {
        guard case .query(let query) = operand else { return }
        let isSingular = query.segments.allSatisfy { segment in
            guard !segment.isDescendant, segment.selectors.count == 1 else { return false }
            switch segment.selectors[0] {
            case .name, .index: return true
            case .wildcard, .filter: return false
            }
        }
        guard isSingular else { throw failure("a query that is compared leads to one value only", at: start) }
    }
}
