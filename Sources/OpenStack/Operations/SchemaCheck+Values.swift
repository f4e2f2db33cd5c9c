internal import Bytes

extension SchemaCheck {
    /// The text of a string or key, decoded; nil, and undecided, when no UTF-8 can hold it.
    mutating func text(_ node: JSONNode, _ scratch: inout Buffer) -> ByteView? {
        if node.isOdd {
            isUndecided = true
            return nil
        }
        budget -= Int(node.count) / 16
        guard node.hasEscapes else { return content.view(node.range) }
        scratch.removeAll()
        JSONScanner.appendUnescaped(content.view(node.range), to: &scratch)
        if scratch.hasOverflowed {
            isUndecided = true
            return nil
        }
        return scratch.readable
    }

    /// Finds the last key of an object that is `name`.
    mutating func find(_ name: ByteView, in object: Int, _ scratch: inout Buffer) -> Int? {
        var found: Int?
        var key = object + 1
        while key < Int(nodes[object].next) {
            budget -= 1
            if let text = text(nodes[key], &scratch), text.equals(name) { found = key }
            key = Int(nodes[key + 1].next)
        }
        return found
    }

    /// The last of the keys that equal this one, if this is the first of them; a Python dictionary keeps the place of the
    /// first and the value of the last.
    mutating func lastIfFirst(_ key: Int, in object: Int, _ scratch: inout Buffer) -> Int? {
        var last = key
        var other = object + 1
        while other < Int(nodes[object].next) {
            defer { other = Int(nodes[other + 1].next) }
            budget -= 1
            guard budget > 0, !nodes[key].isOdd, !nodes[other].isOdd else {
                isUndecided = true
                return nil
            }
            guard other != key, areEqual(nodes[key], nodes[other], &scratch) else { continue }
            if other < key { return nil }
            last = other
        }
        return last
    }

    /// Tells whether two strings are the same once decoded.
    func areEqual(_ left: JSONNode, _ right: JSONNode, _ scratch: inout Buffer) -> Bool {
        if !left.hasEscapes, !right.hasEscapes {
            return left.count == right.count && content.view(left.range).equals(content.view(right.range))
        }
        scratch.removeAll()
        JSONScanner.appendUnescaped(content.view(left.range), to: &scratch)
        let middle = scratch.count
        JSONScanner.appendUnescaped(content.view(right.range), to: &scratch)
        let both = scratch.readable
        return both.count == middle * 2 && both.view(0, middle).equals(both.view(middle, middle))
    }

    /// Members of an object, equal keys counted once.
    mutating func memberCount(_ object: Int, _ scratch: inout Buffer) -> Int {
        var count = 0
        var key = object + 1
        while key < Int(nodes[object].next) {
            if lastIfFirst(key, in: object, &scratch) != nil { count += 1 }
            key = Int(nodes[key + 1].next)
        }
        return count
    }

    /// Characters of a string.
    mutating func length(_ node: JSONNode) -> Int {
        if node.isOdd { isUndecided = true }
        let text = content.view(node.range)
        var count = 0
        var index = 0
        while index < text.count {
            if text[index] == 0x5C {
                // Well-formed, since it is on the tape; a pair of surrogates is one character.
                guard text[index + 1] == 0x75 else {
                    index += 2
                    count += 1
                    continue
                }
                let value = JSONScanner.hexadecimal(text, index + 2) ?? 0
                index += (0xD800..<0xDC00).contains(value) ? 12 : 6
                count += 1
            } else {
                if text[index] & 0xC0 != 0x80 { count += 1 }
                index += 1
            }
        }
        budget -= text.count / 16
        return count
    }

    func isOfType(_ node: JSONNode, _ types: Int) -> Bool {
        func has(_ type: Schema.ValueType) -> Bool { types & type.bit != 0 }
        switch node.kind {
        case .object: return has(.object)
        case .array: return has(.array)
        case .string, .key: return has(.string)
        case .integer: return has(.integer) || has(.number)
        case .float: return has(.number) || has(.integer) && isWhole(node)
        case .yes, .no: return has(.boolean)
        case .null: return has(.null)
        }
    }

    /// A number with a point that is whole all the same counts as an integer.
    private func isWhole(_ node: JSONNode) -> Bool {
        let value = double(node)
        return value.isFinite && value == value.rounded(.towardZero)
    }

    func double(_ node: JSONNode) -> Double {
        let text = content.view(node.range)
        if text.equals("NaN") { return .nan }
        if text.equals("Infinity") { return .infinity }
        if text.equals("-Infinity") { return -.infinity }
        // Allocates for a long one; numbers with a point are rare, and belong to no cached list.
        return Double(text.string) ?? .nan
    }

    mutating func isConstant(_ node: JSONNode, _ keyword: SchemaKeyword, _ scratch: inout Buffer) -> Bool {
        for place in Int(keyword.first)..<Int(keyword.first + keyword.count) {
            let constant = lists.constants[place]
            switch (constant.kind, node.kind) {
            case (.text, .string):
                guard let text = text(node, &scratch) else { return false }
                if text.equals(lists.view(constant.text)) { return true }
            case (.yes, .yes), (.no, .no), (.null, .null): return true
            case (.number, .integer):
                if content.view(node.range).equals(lists.view(constant.text)) { return true }
            case (.number, .float): isUndecided = true
            default: break
            }
        }
        return false
    }

    /// Tells whether no two elements are equal; what only looks different is left to Nova.
    mutating func isUnique(_ array: Int, _ scratch: inout Buffer) -> Bool {
        var left = array + 1
        while left < Int(nodes[array].next) {
            var right = Int(nodes[left].next)
            while right < Int(nodes[array].next) {
                budget -= 1
                guard budget > 0 else {
                    isUndecided = true
                    return false
                }
                let (first, second) = (nodes[left], nodes[right])
                if first.kind == .string, second.kind == .string {
                    if first.isOdd || second.isOdd { isUndecided = true }
                    if areEqual(first, second, &scratch) { return false }
                } else if content.view(first.range).equals(content.view(second.range)),
                    first.kind == second.kind
                {
                    return false
                } else if first.kind != .string, second.kind != .string {
                    isUndecided = true
                    return false
                }
                right = Int(nodes[right].next)
            }
            left = Int(nodes[left].next)
        }
        return !isUndecided
    }

    // MARK: - Numbers

    /// What Nova makes of a value before it compares it with a bound.
    enum Number: Equatable {
        case none
        case small(Int)
        /// Beyond what fits, and its sign.
        case large(isNegative: Bool)
    }

    mutating func number(_ node: JSONNode, _ scratch: inout Buffer) -> Number {
        switch node.kind {
        case .yes: return .small(1)
        case .no: return .small(0)
        case .integer: return Self.integer(content.view(node.range))
        case .float:
            let value = double(node)
            if value.isNaN { return .none }
            // Python cannot make an integer of infinity.
            guard value.isFinite else {
                isUndecided = true
                return .none
            }
            return abs(value) < 9e18 ? .small(Int(value)) : .large(isNegative: value < 0)
        case .string:
            guard let text = text(node, &scratch) else { return .none }
            return number(of: text)
        case .object, .array, .null, .key: return .none
        }
    }

    /// A text that is a whole number to Python; one that may be another number to it is undecided.
    private mutating func number(of text: ByteView) -> Number {
        if PythonText.readInteger(text) != .notANumber { return Self.integer(PythonText.stripped(text)) }
        var mayBeNumber = false
        for byte in text where ASCII.isDigit(byte) || byte > 0x7E { mayBeNumber = true }
        let word = PythonText.stripped(text)
        let rest =
            word.count > 0 && (word[0] == 0x2B || word[0] == 0x2D) ? word.view(1, word.count - 1) : word
        if rest.equalsIgnoringCase("inf") || rest.equalsIgnoringCase("infinity")
            || rest.equalsIgnoringCase("nan")
        {
            mayBeNumber = true
        }
        if mayBeNumber { isUndecided = true }
        return .none
    }

    private static func integer(_ text: ByteView) -> Number {
        var value = 0
        var isNegative = false
        for byte in text {
            if byte == 0x2D { isNegative = true }
            guard ASCII.isDigit(byte) else { continue }
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(Int(byte - 0x30))
            guard !overflowed, !carried else { return .large(isNegative: isNegative) }
            value = sum
        }
        return .small(isNegative ? -value : value)
    }

    mutating func isInRange(_ node: JSONNode, _ keyword: SchemaKeyword, _ scratch: inout Buffer) -> Bool {
        if keyword.kind == .exclusiveMinimum {
            // The validator's own, which looks at numbers only, and as they are.
            switch node.kind {
            case .integer: break
            case .float: return !(double(node) <= Double(keyword.number))
            default: return true
            }
        }
        switch number(node, &scratch) {
        case .none: return !isUndecided
        case .small(let value):
            switch keyword.kind {
            case .minimum: return value >= keyword.number
            case .maximum: return value <= keyword.number
            default: return value > keyword.number
            }
        case .large(let isNegative): return isNegative == (keyword.kind == .maximum)
        }
    }
}
