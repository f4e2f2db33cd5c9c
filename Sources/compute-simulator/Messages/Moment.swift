/// A point in time, in microseconds since 1970 in UTC.
struct Moment: Comparable, Sendable {
    var microseconds: Int64

    init(microseconds: Int64) { self.microseconds = microseconds }
    init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    static func < (left: Moment, right: Moment) -> Bool { left.microseconds < right.microseconds }

    func adding(seconds: Double) -> Moment { Moment(microseconds: microseconds + Int64(seconds * 1_000_000)) }

    var seconds: Int64 { microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000 }

    /// `2026-09-01T10:00:00Z`, as Nova's servers carry.
    var text: String {
        let (year, month, day, hour, minute, second) = fields
        return Text.padded(year, 4) + "-" + Text.padded(month, 2) + "-" + Text.padded(day, 2) + "T"
            + Text.padded(hour, 2) + ":" + Text.padded(minute, 2) + ":" + Text.padded(second, 2) + "Z"
    }

    /// `2026-09-01T10:00:00.000000`, as launch times and notifications carry.
    var fractionText: String {
        String(text.dropLast()) + "." + Text.padded(microseconds - seconds * 1_000_000, 6)
    }

    /// `2026-09-01T10:00:00.000000Z`, as Keystone's tokens carry.
    var tokenText: String { fractionText + "Z" }

    private var fields: (Int64, Int64, Int64, Int64, Int64, Int64) {
        let all = seconds
        let dayNumber = all >= 0 ? all / 86_400 : (all - 86_399) / 86_400
        let inDay = all - dayNumber * 86_400
        // Days to a civil date, years counted from March: Hinnant, «chrono-compatible low-level date
        // algorithms».
        let shifted = dayNumber + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, day, inDay / 3600, inDay / 60 % 60, inDay % 60)
    }

    private static func dayNumber(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let adjusted = month <= 2 ? year - 1 : year
        let era = (adjusted >= 0 ? adjusted : adjusted - 399) / 400
        let yearOfEra = adjusted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// Reads the date forms that Nova takes in `changes-since`.
    ///
    /// - Shape: `2025`, `2025-06`, `2025-06-01`, `20250601`, then optionally `T` or a space and `10`,
    ///   `10:20`,
    ///   `10:20:30`, `10:20:30.123` or their basic forms, then optionally `Z` or an offset.
    /// - Source: oslo.utils `parse_isotime`, forms measured on a running Nova.
    init?(reading text: String) {
        var reader = DateReader(text)
        guard let year = reader.number(4), year > 0 else { return nil }
        var (month, day): (Int64, Int64) = (1, 1)
        if !reader.isAtEnd {
            let hasDash = reader.take("-")
            guard let readMonth = reader.number(2) else { return nil }
            month = readMonth
            if !reader.isAtEnd {
                guard !hasDash || reader.take("-"), let readDay = reader.number(2) else { return nil }
                day = readDay
            } else if !hasDash {
                return nil
            }
        }
        var (hour, minute, second): (Int64, Int64, Int64) = (0, 0, 0)
        var (fraction, offset): (Int64, Int64) = (0, 0)
        if !reader.isAtEnd {
            guard reader.take("T") || reader.take(" "), let readHour = reader.number(2) else { return nil }
            hour = readHour
            let hasColon = reader.take(":")
            if let readMinute = reader.number(2) {
                minute = readMinute
                if !hasColon || reader.take(":") { second = reader.number(2) ?? 0 }
            } else if hasColon {
                return nil
            }
            if reader.take(".") || reader.take(",") {
                guard let micro = reader.fraction() else { return nil }
                fraction = micro
            }
            if !reader.isAtEnd, !reader.take("Z") {
                guard let readOffset = reader.offset() else { return nil }
                offset = readOffset
            }
        }
        let lengths: [Int64] = [
            31, year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28, 31, 30, 31, 30,
        ]
        let later: [Int64] = [31, 31, 30, 31, 30, 31]
        guard reader.isAtEnd, (1...12).contains(month), day >= 1, day <= (lengths + later)[Int(month) - 1],
            hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Self.dayNumber(year, month, day)
        microseconds = (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + fraction
    }
}

private struct DateReader {
    let characters: [UInt8]
    var position = 0

    init(_ text: String) { characters = Array(text.utf8) }

    var isAtEnd: Bool { position == characters.count }

    mutating func take(_ character: Character) -> Bool {
        guard position < characters.count, characters[position] == character.asciiValue else { return false }
        position += 1
        return true
    }

    mutating func number(_ width: Int) -> Int64? {
        guard characters.count - position >= width else { return nil }
        var value: Int64 = 0
        for byte in characters[position..<position + width] {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        position += width
        return value
    }

    mutating func fraction() -> Int64? {
        var (value, digits): (Int64, Int) = (0, 0)
        while position < characters.count, characters[position] >= 0x30, characters[position] <= 0x39 {
            if digits < 6 { value = value * 10 + Int64(characters[position] - 0x30) }
            digits += 1
            position += 1
        }
        guard digits > 0 else { return nil }
        while digits < 6 {
            value *= 10
            digits += 1
        }
        return value
    }

    mutating func offset() -> Int64? {
        let isBehind = take("-")
        guard isBehind || take("+"), let hours = number(2) else { return nil }
        let hasColon = take(":")
        var minutes: Int64 = 0
        if !isAtEnd {
            guard let read = number(2) else { return nil }
            minutes = read
        } else if hasColon {
            return nil
        }
        guard hours < 24, minutes < 60 else { return nil }
        return (isBehind ? -1 : 1) * (hours * 3600 + minutes * 60)
    }
}
