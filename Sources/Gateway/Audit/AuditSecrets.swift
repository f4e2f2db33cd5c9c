internal import Bytes
internal import OpenStack

/// Names that say of a value that it is a secret, wherever they stand: clients misspell and misplace members, and what is
/// refused for that is recorded all the same.
///
/// - Shape: compared without case and without what is neither letter nor digit, so that `admin_pass` is `adminPass`.
enum SecretNames {
    /// A word with the letters that it has, a bit for each, so that most names are told from it at a glance.
    private struct Word {
        let text: StaticString
        let letters: UInt32

        init(_ text: StaticString) {
            self.text = text
            letters = SecretNames.letters(ByteView(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
    }

    // Inline, since all loops read them: an array would be counted for each look.
    /// Parts of names.
    private static let parts: InlineArray<21, Word> = [
        Word("password"), Word("passwd"), Word("passphrase"), Word("adminpass"), Word("rootpass"),
        Word("secret"), Word("token"), Word("credential"), Word("privatekey"), Word("accesskey"),
        Word("apikey"), Word("authkey"), Word("encryptionkey"), Word("sessionkey"), Word("signingkey"),
        Word("userdata"), Word("connectioninfo"), Word("transporturl"), Word("authoriz"),
        Word("authenticat"), Word("internalaccesspath"),
    ]
    /// Whole names.
    private static let wholes: InlineArray<12, Word> = [
        Word("auth"), Word("pass"), Word("pw"), Word("pwd"), Word("pin"), Word("otp"), Word("totp"),
        Word("content"), Word("contents"), Word("cookie"), Word("setcookie"), Word("xauth"),
    ]

    /// Tells whether a name, without escapes, is one of a secret.
    static func contains(_ name: ByteView) -> Bool {
        let letters = letters(name) & ~percent
        var candidates = candidates(letters)
        while candidates != 0 {
            let index = candidates.trailingZeroBitCount
            candidates &= candidates - 1
            if index < parts.count {
                if find(parts[index].text, in: name) { return true }
            } else if letters == wholes[index - parts.count].letters {
                if name.namesSame(wholes[index - parts.count].text) { return true }
            }
        }
        return false
    }

    /// Tells whether a name of a secret may stand somewhere in a target; false for most, at a glance: their letters make
    /// none of the words, however they are divided.
    @inline(__always) static func mayOccur(inTarget target: ByteView) -> Bool {
        let letters = letters(target)
        // A percent sign may hide any letter.
        return letters & percent != 0 || candidates(letters) != 0 && mayOccur(inNamesOf: target)
    }

    /// The same for each segment of the path and each name of the query by itself; what is before the path counts as
    /// segments.
    @inline(never) private static func mayOccur(inNamesOf target: ByteView) -> Bool {
        let bits = bits
        var letters: UInt32 = 0
        var isQuery = false
        var isValue = false
        for byte in target {
            let ends =
                isQuery
                ? byte == UInt8(ascii: "&") || byte == UInt8(ascii: ";")
                : byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?")
            if ends {
                if candidates(letters) != 0 { return true }
                letters = 0
                isValue = false
                isQuery = isQuery || byte == UInt8(ascii: "?")
            } else if isQuery, byte == UInt8(ascii: "=") {
                isValue = true
            } else if !isValue {
                letters |= bits[Int(byte)]
            }
        }
        return candidates(letters) != 0
    }

    /// The words that can be made of some letters, a bit for each: first the parts, then the wholes.
    private static func candidates(_ letters: UInt32) -> UInt64 {
        let table = spelled
        return table[Int(letters & 0x7F)] & table[128 + Int(letters >> 7 & 0x7F)]
            & table[256 + Int(letters >> 14 & 0x7F)] & table[384 + Int(letters >> 21 & 0x1F)]
    }

    /// For each quarter of the alphabet and each choice of its letters, the words that need no other letter of it.
    // Never written after it is made, as `bits` is.
    nonisolated(unsafe) private static let spelled: UnsafePointer<UInt64> = {
        var words: [UInt32] = []
        for index in parts.indices { words.append(parts[index].letters) }
        for index in wholes.indices { words.append(wholes[index].letters) }
        var table = [UInt64](repeating: 0, count: 4 * 128)
        for place in table.indices {
            let (quarter, choice) = (place / 128, UInt32(place % 128))
            for (index, word) in words.enumerated()
            where word >> UInt32(7 * quarter) & 0x7F & ~choice == 0 {
                table[place] |= 1 << UInt64(index)
            }
        }
        return .frozen(table)
    }()

    /// The bit of the percent sign among those of letters.
    private static let percent: UInt32 = 1 << 26

    /// Of each byte, the bit of its letter in either case, or of the percent sign; none of others.
    nonisolated(unsafe) private static let bits: UnsafePointer<UInt32> = {
        var table = [UInt32](repeating: 0, count: 256)
        for place in 0..<26 {
            table[0x61 + place] = 1 << UInt32(place)
            table[0x41 + place] = 1 << UInt32(place)
        }
        table[0x25] = percent
        return .frozen(table)
    }()

    /// A bit for each ASCII letter in a name.
    private static func letters(_ name: ByteView) -> UInt32 {
        let bits = bits
        var letters: UInt32 = 0
        for byte in name { letters |= bits[Int(byte)] }
        return letters
    }

    /// For cold paths.
    static func contains(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { contains($0) }
    }

    /// Tells whether one of the words of a text is the name of a secret; words are of letters, digits, `_` and `-`.
    static func occur(in text: ByteView) -> Bool {
        var start = 0
        for index in 0...text.count {
            if index < text.count {
                let byte = text[index]
                if ASCII.lowercased(byte).isNamePart || byte == 0x5F || byte == 0x2D { continue }
            }
            if contains(text.view(start, index - start)) { return true }
            start = index + 1
        }
        return false
    }

    /// Looks for `part` at each place; both are short, or the content is bounded.
    private static func find(_ part: StaticString, in name: ByteView) -> Bool {
        let first = part.utf8Start[0]
        for start in 0..<name.count where ASCII.lowercased(name[start]) == first {
            var index = start
            var place = 0
            while index < name.count, place < part.utf8CodeUnitCount {
                let byte = ASCII.lowercased(name[index])
                index += 1
                guard byte.isNamePart else { continue }
                guard byte == part.utf8Start[place] else { break }
                place += 1
            }
            if place == part.utf8CodeUnitCount { return true }
        }
        return false
    }
}

extension UInt8 {
    /// A lower-case letter, a digit, or a byte beyond ASCII, which no separator is.
    fileprivate var isNamePart: Bool { (self &- 0x61) < 26 || ASCII.isDigit(self) || self >= 0x80 }
}

extension ByteView {
    /// Tells whether both are the same name, case and separators aside; `other` has neither.
    fileprivate func namesSame(_ other: StaticString) -> Bool {
        namesSame(ByteView(start: other.utf8Start, count: other.utf8CodeUnitCount))
    }

    /// Tells whether both are the same name, case and separators aside.
    func namesSame(_ other: ByteView) -> Bool {
        var (index, place) = (0, 0)
        while true {
            while index < count, !ASCII.lowercased(self[index]).isNamePart { index += 1 }
            while place < other.count, !ASCII.lowercased(other[place]).isNamePart { place += 1 }
            guard index < count, place < other.count else { return index == count && place == other.count }
            guard ASCII.lowercased(self[index]) == ASCII.lowercased(other[place]) else { return false }
            index += 1
            place += 1
        }
    }
}

/// The secrets that one operation's content may hold, by their paths; views of an `AuditTable`.
struct AuditSecrets {
    let paths: UnsafeBufferPointer<AuditTable.SecretPath>
    let words: UnsafePointer<ByteRange>
    let bytes: ByteView

    /// How many names the longest path has.
    static let maxPathCount = 4

    /// Tells whether a value is a secret.
    ///
    /// - Parameter path: its member's name and those of the members that hold it, the innermost first, without escapes; in
    ///   lists are none.
    func hold(_ path: InlineArray<4, ByteView?>) -> Bool {
        guard let name = path[0] else { return false }
        if SecretNames.contains(name) { return true }
        for secret in paths where matches(secret, path) { return true }
        return false
    }

    private func matches(_ secret: AuditTable.SecretPath, _ path: InlineArray<4, ByteView?>) -> Bool {
        for step in 0..<Int(secret.count) {
            guard step < Self.maxPathCount, let name = path[step],
                name.namesSame(bytes.view(words[Int(secret.first) + step]))
            else { return false }
        }
        return secret.count > 0
    }
}
