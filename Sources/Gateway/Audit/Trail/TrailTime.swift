public import Bytes

/// Moments as microseconds since 1970, and as events write them.
public enum TrailTime {
    /// Bytes of `2026-09-01T10:00:00.123456`, which order as the moments do when they are in the same zone.
    static let comparedByteCount = 26

    /// The last of the year 9999.
    private static let newest: Int64 = 253_402_300_799_999_999

    /// Reads all of `text`: RFC 3339 with `Z` or an offset, a `T` between date and time, and at most nine digits of a
    /// second's fraction, of which six count; nil for anything else, and before 1970 or after 9999.
    public static func microseconds(_ text: ByteView) -> Int64? {
        guard text.count >= 20, text.count <= 35, text[4] == 0x2D, text[7] == 0x2D, text[10] | 0x20 == 0x74,
            text[13] == 0x3A, text[16] == 0x3A, let year = number(text, 0, 4), let month = number(text, 5, 2),
            let day = number(text, 8, 2), let hour = number(text, 11, 2), let minute = number(text, 14, 2),
            let second = number(text, 17, 2)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        guard year >= 1970, (1...12).contains(month), hour < 24, minute < 60, second < 60, day >= 1,
            day <= (month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31)
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if text[index] == 0x2E {
            var unit: Int64 = 100_000
            index += 1
            let start = index
            while index < text.count, ASCII.isDigit(text[index]), index - start < 9 {
                fraction += Int64(text[index] - 0x30) * unit
                unit /= 10
                index += 1
            }
            guard index > start else { return nil }
        }
        guard let zone = zoneSeconds(text.view(index, text.count - index)) else { return nil }
        let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone
        return seconds < 0 ? nil : seconds * 1_000_000 + fraction
    }

    /// `2026-09-01T10:00:00.123456+00:00`; the years are 1970 to 9999.
    public static func text(_ microseconds: Int64) -> String {
        let (seconds, fraction) = min(max(0, microseconds), newest).quotientAndRemainder(
            dividingBy: 1_000_000)
        let (day, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        var year = 1970 + day / 366
        while days(year + 1, 1, 1) <= day { year += 1 }
        var month: Int64 = 12
        while days(year, month, 1) > day { month -= 1 }
        let date = day - days(year, month, 1) + 1
        func digits(_ value: Int64, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(date, 2))T"
            + "\(digits(second / 3_600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2))"
            + ".\(digits(fraction, 6))+00:00"
    }

    /// Seconds east of Greenwich of `Z`, `+hh:mm` or `-hh:mm`.
    private static func zoneSeconds(_ text: ByteView) -> Int64? {
        if text.count == 1, text[0] | 0x20 == 0x7A { return 0 }
        guard text.count == 6, text[3] == 0x3A, let hour = number(text, 1, 2),
            let minute = number(text, 4, 2),
            hour < 24, minute < 60, text[0] == 0x2B || text[0] == 0x2D
        else { return nil }
        return (text[0] == 0x2B ? 1 : -1) * (hour * 3_600 + minute * 60)
    }

    private static func number(_ text: ByteView, _ start: Int, _ count: Int) -> Int64? {
        Decimal.read(text.view(start, count)).map { Int64($0) }
    }

    /// Days from 1970-01-01; the months of a year that begins in March have lengths that one division gives.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + ofYear - 719_468
    }
}
