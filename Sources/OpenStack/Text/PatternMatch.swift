internal import Bytes

/// Looks for a compiled pattern anywhere in a text, as `re.search` does.
///
/// - Limits: a bounded number of steps, after which nothing is known; recursion goes as deep as the pattern is long.
struct PatternMatch {
    let steps: UnsafePointer<PatternStep>
    let ranges: UnsafePointer<ScalarRange>
    let text: ByteView
    private var budget = 200_000

    init(steps: UnsafePointer<PatternStep>, ranges: UnsafePointer<ScalarRange>, text: ByteView) {
        self.steps = steps
        self.ranges = ranges
        self.text = text
    }

    /// Tells whether the pattern is found; nil when that would take too long. The text is UTF-8.
    mutating func search(_ first: Int32) -> Bool? {
        var start = 0
        while true {
            if isMatch(first, start) { return budget > 0 ? true : nil }
            if budget <= 0 { return nil }
            // What begins with `^` matches nowhere else.
            guard start < text.count, steps[Int(first)].kind != .start else { return false }
            _ = UTF8Text.readScalar(text, &start)
        }
    }

    private mutating func isMatch(_ step: Int32, _ start: Int) -> Bool {
        var step = steps[Int(step)]
        var place = start
        while true {
            budget -= 1
            guard budget > 0 else { return false }
            switch step.kind {
            case .accept: return true
            case .start: guard place == 0 else { return false }
            case .end:
                guard place == text.count || place == text.count - 1 && text[place] == 0x0A else {
                    return false
                }
            case .lookAhead: guard isAhead(step, place) != step.isNegated else { return false }
            case .lookBehind: guard isBehind(step, place) != step.isNegated else { return false }
            case .branch:
                if isMatch(step.next, place) { return true }
                step = steps[Int(step.other)]
                continue
            case .set:
                if step.minimum == 1, step.maximum == 1 {
                    guard place < text.count, isIn(step, UTF8Text.readScalar(text, &place)) else {
                        return false
                    }
                } else {
                    return isRepeatMatch(step, place)
                }
            }
            step = steps[Int(step.next)]
        }
    }

    /// As many of the set as there are, then fewer and fewer until the rest matches.
    private mutating func isRepeatMatch(_ step: PatternStep, _ start: Int) -> Bool {
        var place = start
        var count: UInt32 = 0
        while count < step.maximum, place < text.count, budget > 0 {
            var next = place
            guard isIn(step, UTF8Text.readScalar(text, &next)) else { break }
            place = next
            count += 1
        }
        while budget > 0 {
            guard count >= step.minimum else { return false }
            if isMatch(step.next, place) { return true }
            guard count > 0 else { return false }
            place = previous(place)
            count -= 1
        }
        return false
    }

    private func previous(_ place: Int) -> Int {
        var place = place - 1
        while place > 0, text[place] & 0xC0 == 0x80 { place -= 1 }
        return place
    }

    private mutating func isAhead(_ step: PatternStep, _ place: Int) -> Bool {
        guard place < text.count else { return false }
        var place = place
        return isIn(step, UTF8Text.readScalar(text, &place))
    }

    private mutating func isBehind(_ step: PatternStep, _ place: Int) -> Bool {
        guard place > 0 else { return false }
        return isAhead(step, previous(place))
    }

    private mutating func isIn(_ step: PatternStep, _ scalar: UInt32?) -> Bool {
        guard let scalar else { return false }
        budget -= 1
        for index in Int(step.firstRange)..<Int(step.firstRange + step.rangeCount)
        where scalar >= ranges[index].low && scalar <= ranges[index].high {
            return !step.isInverted
        }
        return step.isInverted
    }
}
