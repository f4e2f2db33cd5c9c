public import Bytes

/// The dates that oslo's `parse_isotime` takes, which is what Nova calls a `date-time`.
///
/// - Shape: `YYYY`, `YYYY-M[M]`, `YYYY-M[M]-D[D]`, the basic form, then `T` or a space, hours, minutes, seconds with a
///   fraction, and `Z` or an offset. A line feed may end it, since the pattern it comes from is closed by `$`.
/// - Source: the package iso8601 2.1, whose pattern is followed step by step; facts §2.3.
public enum ISO8601 {
    /// Tells whether the text is a date, its numbers in range.
    public static func isDate(_ text: ByteView) -> Bool { microseconds(text) != nil }

    /// Microseconds from the first day of year 1 to the date, which is in UTC unless it has an offset; nil for no date.
    ///
    /// - Shape: what is left out is the first month, the first day, midnight; digits past the sixth of a fraction are cut.
    public static func microseconds(_ text: ByteView) -> Int64? {
        var text = text
        // By index: `last` allocates where the compiler does not specialize it.
        if text.count > 0, text[text.count - 1] == 0x0A { text = text.view(0, text.count - 1) }
        guard let year = number(text, 0, 2 + 2), year > 0 else { return nil }
        var moment = Moment(year: year)
        if text.count == 4 { return moment.microseconds }
        if text[4] == 0x2D {
            // One or two digits; the longer reading first, as the pattern is greedy.
            if dayPart(text, 5, 2, &moment) { return moment.microseconds }
            moment = Moment(year: year)
            return dayPart(text, 5, 1, &moment) ? moment.microseconds : nil
        }
        guard text.count > 6 else { return nil }
        return dayPart(text, 4, 2, &moment) ? moment.microseconds : nil
    }

    /// A date and time as it was read.
    private struct Moment {
        let year: Int
        var month = 1
        var day = 1
        var hour = 0
        var minute = 0
        var second = 0
        var fraction = 0
        var offsetMinutes = 0

        init(year: Int) { self.year = year }

        /// Nothing overflows: the year has four digits.
        var microseconds: Int64 {
            var days = (year - 1) * 365 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + day - 1
            for earlier in 1..<month { days += ISO8601.dayCount(year, earlier) }
            let minutes = (days * 24 + hour) * 60 + minute - offsetMinutes
            return Int64((minutes * 60 + second) * 1_000_000 + fraction)
        }
    }

    /// Reads a month of `width` digits at `start` and what follows it.
    private static func dayPart(_ text: ByteView, _ start: Int, _ width: Int, _ moment: inout Moment) -> Bool
    {
        guard let month = number(text, start, width) else { return false }
        guard (1...12).contains(month) else { return false }
        moment.month = month
        let next = start + width
        if next == text.count { return true }
        if text[next] == 0x2D {
            if timePart(text, next + 1, 2, &moment) { return true }
            moment = Moment(year: moment.year)
            moment.month = month
            return timePart(text, next + 1, 1, &moment)
        }
        return timePart(text, next, 2, &moment)
    }

    private static func timePart(_ text: ByteView, _ start: Int, _ width: Int, _ moment: inout Moment) -> Bool
    {
        guard let day = number(text, start, width), day >= 1, day <= dayCount(moment.year, moment.month)
        else {
            return false
        }
        moment.day = day
        var index = start + width
        if index == text.count { return true }
        guard text[index] == 0x54 || text[index] == 0x20, let hour = number(text, index + 1, 2), hour < 24
        else {
            return false
        }
        moment.hour = hour
        index += 3
        if index == text.count { return true }
        if readZone(text, index, &moment) { return true }
        if text[index] == 0x3A { index += 1 }
        guard let minute = number(text, index, 2) else {
            // With no minute the next one or two digits are seconds in the pattern.
            return secondPart(text, index, &moment)
        }
        guard minute < 60 else { return false }
        index += 2
        if index == text.count || readZone(text, index, &moment) {
            moment.minute = minute
            return true
        }
        // A fraction belongs to seconds, so the pattern goes back and takes the two digits before it for them.
        if text[index] == 0x2E || text[index] == 0x2C { return secondPart(text, index - 2, &moment) }
        moment.minute = minute
        if text[index] == 0x3A { index += 1 }
        return secondPart(text, index, &moment)
    }

    private static func secondPart(_ text: ByteView, _ start: Int, _ moment: inout Moment) -> Bool {
        var index = start
        if let second = number(text, index, 2) {
            guard second < 60 else { return false }
            moment.second = second
            index += 2
        } else if let second = number(text, index, 1) {
            moment.second = second
            index += 1
        } else {
            return false
        }
        if index < text.count, text[index] == 0x2E || text[index] == 0x2C {
            index += 1
            let first = index
            var unit = 100_000
            moment.fraction = 0
            while index < text.count, ASCII.isDigit(text[index]) {
                moment.fraction += Int(text[index] - 0x30) * unit
                unit /= 10
                index += 1
            }
            guard index > first else { return false }
        }
        return index == text.count || readZone(text, index, &moment)
    }

    /// Tells whether the rest is `Z` or an offset of less than 24 hours, and keeps it.
    private static func readZone(_ text: ByteView, _ start: Int, _ moment: inout Moment) -> Bool {
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
        guard index == text.count, hours * 60 + minutes < 24 * 60 else { return false }
        moment.offsetMinutes = (hours * 60 + minutes) * (text[start] == 0x2D ? -1 : 1)
        return true
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
