import Bytes

/// Text forms that requests and answers carry: percent coding, fields of a query, dates, ids.
enum Text {
    static func hexValue(_ byte: UInt8) -> UInt8? { ASCII.hexValue(byte) }

    /// The bytes of `text` with `%XX` decoded; a bad triple stays as it is, as Python leaves it.
    static func percentDecoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> [UInt8] {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x25, index + 2 < bytes.count, let high = hexValue(bytes[index + 1]),
                let low = hexValue(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(plusIsSpace && bytes[index] == 0x2B ? 0x20 : bytes[index])
                index += 1
            }
        }
        return decoded
    }

    /// Bytes as Latin-1 text, which is how WSGI gives a path to Nova.
    static func latin1(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
        return text
    }

    /// Percent-encodes everything but what Python's `urlencode` leaves alone; a space becomes `+`.
    static func queryEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            case 0x20: encoded += "+"
            default: encoded += "%" + hexadecimal([byte]).uppercased()
            }
        }
        return encoded
    }

    /// The names and values of a query in order, `;` separating like `&`; nil when it is not UTF-8 once
    /// decoded.
    static func queryPairs(_ query: some StringProtocol) -> [(name: String, value: String)]? {
        var pairs: [(name: String, value: String)] = []
        for part in query.split(whereSeparator: { $0 == "&" || $0 == ";" }) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard
                let name = String(validating: percentDecoded(sides[0], plusIsSpace: true), as: UTF8.self),
                let value = String(
                    validating: sides.count > 1 ? percentDecoded(sides[1], plusIsSpace: true) : [],
                    as: UTF8.self)
            else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            text += byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
        }
        return text
    }

    static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// An id in UUID form out of 128 bits, with `version` written into it.
    static func uuid(_ high: UInt64, _ low: UInt64, version: UInt64) -> String {
        let first = high & 0xFFFF_FFFF_FFFF_0FFF | version << 12
        let second = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = Array(hex(first) + hex(second))
        return String(digits[0..<8]) + "-" + String(digits[8..<12]) + "-" + String(digits[12..<16]) + "-"
            + String(digits[16..<20]) + "-" + String(digits[20..<32])
    }

    static func hex(_ value: UInt64, width: Int = 16) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Tells whether `text` has the shape 8-4-4-4-12 of hexadecimal digits.
    static func isUUID(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return false }
        for (index, byte) in bytes.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == 0x2D else { return false }
            } else if hexValue(byte) == nil {
                return false
            }
        }
        return true
    }
}

/// Random and repeatable ids.
struct Ids {
    var random = RandomSource()

    mutating func uuid() -> String { Text.uuid(random.next(), random.next(), version: 4) }
    mutating func requestID() -> String { "req-" + uuid() }
    mutating func token() -> String { "gAAAAA" + hex(4) + "-" + hex(2) }
    mutating func hex(_ words: Int) -> String { (0..<words).map { _ in Text.hex(random.next()) }.joined() }

    mutating func password(_ length: Int = 12) -> String {
        let letters = Array("23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz")
        return String((0..<length).map { _ in letters[Int(random.next() % UInt64(letters.count))] })
    }

    /// The same id for the same name, in every run.
    static func fixed(_ name: String) -> String {
        let (high, low) = fixedBits(name)
        return Text.uuid(high, low, version: 5)
    }

    /// 128 bits that depend on `name` alone.
    static func fixedBits(_ name: String) -> (UInt64, UInt64) {
        let first = KeyedHash(key0: 0x676174, key1: 0x65686F)
        let second = KeyedHash(key0: 0x757365, key1: 0x73696D)
        return Array(name.utf8).withUnsafeBufferPointer { (first.hash($0), second.hash($0)) }
    }
}
