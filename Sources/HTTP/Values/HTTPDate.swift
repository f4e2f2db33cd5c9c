import Bytes

/// Writes and reads HTTP dates.
///
/// - Source: RFC 9110 §5.6.7; days are counted as in Hinnant, «chrono-Compatible Low-Level Date Algorithms».
public enum HTTPDate {
    private static let days: StaticString = "SunMonTueWedThuFriSat"
    private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

    /// Appends an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`; years outside 0 to 9999 are written as the
    /// nearest.
    public static func append(_ secondsSinceEpoch: Int64, to buffer: inout Buffer) {
        let seconds = min(max(secondsSinceEpoch, -62_167_219_200), 253_402_300_799)
        let day = Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
        let second = Int(seconds) - day * 86_400
        let date = civil(day)
        append(days, ((day % 7) + 11) % 7, to: &buffer)
        buffer.append(", ")
        appendTwo(date.day, to: &buffer)
        buffer.append(0x20)
        append(months, date.month - 1, to: &buffer)
        buffer.append(0x20)
        appendTwo(date.year / 100, to: &buffer)
        appendTwo(date.year % 100, to: &buffer)
        buffer.append(0x20)
        appendTwo(second / 3_600, to: &buffer)
        buffer.append(0x3A)
        appendTwo(second / 60 % 60, to: &buffer)
        buffer.append(0x3A)
        appendTwo(second % 60, to: &buffer)
        buffer.append(" GMT")
    }

    /// Reads any of the three forms of RFC 9110; nil for anything else, wrong day names aside.
    ///
    /// Two-digit years are 1970 to 2069.
    public static func read(_ bytes: ByteView) -> Int64? {
        var scanner = Scanner(bytes: bytes)
        guard let name = scanner.word(), name.count >= 3 else { return nil }
        let year: Int
        let month: Int
        let day: Int
        let second: Int
        if scanner.take(0x2C) {
            guard scanner.take(0x20), let number = scanner.number(digits: 2) else { return nil }
            day = number
            if scanner.take(0x2D) {
                guard name.count > 3, let number = scanner.month(), scanner.take(0x2D),
                    let short = scanner.number(digits: 2)
                else { return nil }
                month = number
                year = short < 70 ? 2_000 + short : 1_900 + short
            } else {
                guard name.count == 3, scanner.take(0x20), let number = scanner.month(), scanner.take(0x20),
                    let long = scanner.number(digits: 4)
                else { return nil }
                month = number
                year = long
            }
            guard scanner.take(0x20), let time = scanner.time(), scanner.take(" GMT") else { return nil }
            second = time
        } else {
            guard name.count == 3, scanner.take(0x20), let number = scanner.month(), scanner.take(0x20),
                let date = scanner.take(0x20) ? scanner.number(digits: 1) : scanner.number(digits: 2),
                scanner.take(0x20), let time = scanner.time(), scanner.take(0x20),
                let long = scanner.number(digits: 4)
            else { return nil }
            (year, month, day, second) = (long, number, date, time)
        }
        guard scanner.isAtEnd, day >= 1, day <= dayCount(year, month) else { return nil }
        return Int64(dayNumber(year, month, day)) * 86_400 + Int64(second)
    }

    private static func append(_ names: StaticString, _ index: Int, to buffer: inout Buffer) {
        buffer.append(ByteView(start: names.utf8Start + index * 3, count: 3))
    }

    private static func appendTwo(_ value: Int, to buffer: inout Buffer) {
        buffer.append(UInt8(value / 10) + 0x30)
        buffer.append(UInt8(value % 10) + 0x30)
    }

    /// The proleptic Gregorian date of a day counted from 1970-01-01.
    private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    private static func dayNumber(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func dayCount(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private struct Scanner {
        let bytes: ByteView
        var position = 0

        var isAtEnd: Bool { position == bytes.count }

        mutating func take(_ byte: UInt8) -> Bool {
            guard position < bytes.count, bytes[position] == byte else { return false }
            position += 1
            return true
        }

        mutating func take(_ literal: StaticString) -> Bool {
            let count = literal.utf8CodeUnitCount
            guard position + count <= bytes.count, bytes.view(position, count).equals(literal) else {
                return false
            }
            position += count
            return true
        }

        mutating func word() -> ByteView? {
            let start = position
            while position < bytes.count, (bytes[position] | 0x20) &- 0x61 < 26 { position += 1 }
            return position > start ? bytes.view(start, position - start) : nil
        }

        mutating func number(digits: Int) -> Int? {
            guard position + digits <= bytes.count else { return nil }
            guard let value = Decimal.read(bytes.view(position, digits)) else { return nil }
            position += digits
            return Int(value)
        }

        mutating func month() -> Int? {
            guard position + 3 <= bytes.count else { return nil }
            for index in 0..<12
            where bytes.view(position, 3).equals(
                ByteView(start: HTTPDate.months.utf8Start + index * 3, count: 3))
            {
                position += 3
                return index + 1
            }
            return nil
        }

        /// Reads `hh:mm:ss` as seconds of the day; a leap second counts as the second after.
        mutating func time() -> Int? {
            guard let hour = number(digits: 2), take(0x3A), let minute = number(digits: 2), take(0x3A),
                let second = number(digits: 2), hour < 24, minute < 60, second <= 60
            else { return nil }
            return hour * 3_600 + minute * 60 + second
        }
    }
}
