import Bytes

/// Walks the members of a comma-separated field value.
///
/// - Shape: members are ranges in the given value, without white space around them; empty members are
///   skipped. A comma inside a quoted string does not separate.
/// - Source: RFC 9110 §5.6.1 and §5.6.4.
public struct FieldList {
    let value: ByteView
    let readsQuotes: Bool
    var position = 0

    /// Starts before the first member of `value`; with `readsQuotes` false it is a list of tokens, where a quotation
    /// mark is only a wrong byte and hides no comma.
    public init(_ value: ByteView, readsQuotes: Bool = true) {
        self.value = value
        self.readsQuotes = readsQuotes
    }

    /// The next member, or nil behind the last.
    public mutating func next() -> ByteRange? {
        guard let base = value.baseAddress else { return nil }
        let limit = value.count
        while position < limit {
            let start = position
            // A local, so that the loop keeps it in a register; at most two past `limit`.
            var place = start
            var isQuoted = false
            while place < limit {
                let byte = base[place]
                if byte == UInt8(ascii: ",") {
                    if !isQuoted { break }
                } else if byte == UInt8(ascii: "\""), readsQuotes {
                    isQuoted.toggle()
                } else if isQuoted, byte == UInt8(ascii: "\\") {
                    place &+= 1
                }
                place &+= 1
            }
            let end = min(place, limit)
            position = end + 1
            let member = value.trimmedRange(from: start, to: end)
            if !member.isEmpty { return member }
        }
        return nil
    }

    /// Tells whether `token`, given in lower case, is a member of the list; case is ignored.
    public static func contains(_ token: StaticString, in value: ByteView) -> Bool {
        var list = FieldList(value, readsQuotes: false)
        while let member = list.next() {
            if value.view(member).equalsIgnoringCase(token) { return true }
        }
        return false
    }

    /// Tells whether `token`, given in lower case, is a member of any line of the field.
    public static func contains(
        _ token: StaticString, of name: FieldName, in fields: borrowing FieldSection, _ bytes: ByteView
    ) -> Bool {
        var next = fields.index(of: name)
        while let index = next {
            if contains(token, in: bytes.view(fields[index].value)) { return true }
            next = fields.index(of: name, from: index + 1)
        }
        return false
    }
}

extension UnsafeBufferPointer where Element == UInt8 {
    /// The range from `start` to `end` without spaces and tabs at both ends.
    func trimmedRange(from start: Int, to end: Int) -> ByteRange {
        var low = start
        var high = end
        while low < high, self[low] == 0x20 || self[low] == 0x09 { low += 1 }
        while high > low, self[high - 1] == 0x20 || self[high - 1] == 0x09 { high -= 1 }
        return ByteRange(start: low, count: high - low)
    }

    /// Tells whether the bytes are a token (RFC 9110 §5.6.2): one or more tchar.
    var isToken: Bool {
        for index in 0..<count where !ByteClass.is(self[index], ByteClass.token) { return false }
        return count > 0
    }
}
