/// Moments as Keystone writes them: `2030-01-31T12:00:00.000000Z`, the fraction not always there.
///
/// - Source: identity API v3, `expires_at`; RFC 3339 with nothing but UTC.
public enum UTCTime {
    /// Whole seconds since 1970, a fraction dropped; nil for anything else.
    public static func seconds(_ text: some Collection<UInt8>) -> Int64? {
        let bytes = Array(text)
        let shape = Array("dddd-dd-ddTdd:dd:dd".utf8)
        guard bytes.count > shape.count, bytes.count <= 40, bytes[bytes.count - 1] == UInt8(ascii: "Z") else {
            return nil
        }
        for (byte, wanted) in zip(bytes, shape) {
            guard wanted == UInt8(ascii: "d") ? isDigit(byte) : byte == wanted else { return nil }
        }
        let fraction = bytes[shape.count..<(bytes.count - 1)]
        if let point = fraction.first {
            guard point == UInt8(ascii: "."), fraction.count > 1, fraction.dropFirst().allSatisfy(isDigit)
            else { return nil }
        }
        func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 * 10 + Int($1 - 48) } }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let dayCounts = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard year >= 1970, 1...12 ~= month, 1...dayCounts[month - 1] ~= day, hour < 24, minute < 60,
            second < 60
        else { return nil }
        let years = year - 1
        // Days before the year, counted from 1970-01-01 (719,162 days after 0001-01-01).
        let days =
            years * 365 + years / 4 - years / 100 + years / 400 - 719_162
            + dayCounts[..<(month - 1)].reduce(0, +) + day - 1
        return Int64(days * 86_400 + hour * 3_600 + minute * 60 + second)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
}
