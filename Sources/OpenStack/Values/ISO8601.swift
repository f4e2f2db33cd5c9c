public import Bytes

/// The dates that oslo's `parse_isotime` takes, which is what Nova calls a `date-time`.
///
/// - Shape: `YYYY`, `YYYY-M[M]`, `YYYY-M[M]-D[D]`, the basic form, then `T` or a space, hours, minutes, seconds with a
///   fraction, and `Z` or an offset. A line feed may end it, since the pattern it comes from is closed by `$`.
/// - Source: the package iso8601 2.1, whose pattern is followed step by step; facts §2.3.
public enum ISO8601 {
    /// Tells whether the text is a date, its numbers in range.
    public static func isDate(_ text: ByteView) -> Bool {
        var text = text
        // By index: `last` allocates where the compiler does not specialize it.
        if text.count > 0, text[text.count - 1] == 0x0A { text = text.view(0, text.count - 1) }
        guard let year = number(text, 0, 2 + 2), year > 0 else { return false }
        if text.count == 4 { return true }
        if text[4] == 0x2D {
            // One or two digits; the longer reading first, as the pattern is greedy.
            if dayPart(text, 5, 2, year) { return true }
            return dayPart(text, 5, 1, year)
        }
        guard text.count > 6 else { return false }
        return dayPart(text, 4, 2, year)
    }

    /// Reads a month of `width` digits at `start` and what follows it.
    private static func dayPart(_ text: ByteView, _ start: Int, _ width: Int, _ year: Int) -> Bool {
        guard let month = number(text, start, width) else { return false }
        let next = start + width
        if next == text.count { return (1...12).contains(month) }
        if text[next] == 0x2D {
            if timePart(text, next + 1, 2, year, month) { return true }
            return timePart(text, next + 1, 1, year, month)
        }
        return timePart(text, next, 2, year, month)
    }

    private static func timePart(_ text: ByteView, _ start: Int, _ width: Int, _ year: Int, _ month: Int)
        -> Bool
    {
        guard let day = number(text, start, width), (1...12).contains(month) else { return false }
        guard day >= 1, day <= dayCount(year, month) else { return false }
        var index = start + width
        if index == text.count { return true }
        guard text[index] == 0x54 || text[index] == 0x20, let hour = number(text, index + 1, 2), hour < 24
        else {
            return false
        }
        index += 3
        if index == text.count { return true }
        if isZone(text, index) { return true }
        if text[index] == 0x3A { index += 1 }
        guard let minute = number(text, index, 2) else {
            // With no minute the next one or two digits are seconds in the pattern.
            return secondPart(text, index)
        }
        guard minute < 60 else { return false }
        index += 2
        if index == text.count || isZone(text, index) { return true }
        // A fraction belongs to seconds, so the pattern goes back and takes the two digits before it for them.
        if text[index] == 0x2E || text[index] == 0x2C { return secondPart(text, index - 2) }
        if text[index] == 0x3A { index += 1 }
        return secondPart(text, index)
    }

    private static func secondPart(_ text: ByteView, _ start: Int) -> Bool {
        var index = start
        if let second = number(text, index, 2) {
            guard second < 60 else { return false }
            index += 2
        } else if number(text, index, 1) != nil {
            index += 1
        } else {
            return false
        }
        if index < text.count, text[index] == 0x2E || text[index] == 0x2C {
            index += 1
            let first = index
            while index < text.count, ASCII.isDigit(text[index]) { index += 1 }
            guard index > first else { return false }
        }
        return index == text.count || isZone(text, index)
    }

    /// Tells whether the rest is `Z` or an offset of less than 24 hours.
    private static func isZone(_ text: ByteView, _ start: Int) -> Bool {
        if text[start] == 0x5A { return start + 1 == text.count }
        guard text[start] == 0x2B || text[start] == 0x2D, let hours = number(text, start + 1, 2) else {
            return false
        }
        var index = start + 3
        if index < text.count, text[index] == 0x3A { index += 1 }
        var minutes = 0
        if index < text.count {
            guard let read = number(text, index, 2) else { return false }
            minutes = read
            index += 2
        }
        return index == text.count && hours * 60 + minutes < 24 * 60
    }

    private static func number(_ text: ByteView, _ start: Int, _ width: Int) -> Int? {
        guard start + width <= text.count else { return nil }
        var value = 0
        for index in start..<start + width {
            guard ASCII.isDigit(text[index]) else { return nil }
            value = value * 10 + Int(text[index] - 0x30)
        }
        return value
    }

    private static func dayCount(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
