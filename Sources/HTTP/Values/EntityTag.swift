import Bytes

/// Compares entity tags of conditions.
///
/// - Source: RFC 9110 §8.8.3 and §13.1.
public enum EntityTag {
    /// Tells whether `tag` is among the If-None-Match lines, by weak comparison; `*` matches any.
    ///
    /// `tag` has its quotes and perhaps `W/`. A malformed list matches as far as it is well-formed.
    public static func matches(
        ifNoneMatch fields: borrowing FieldSection, _ bytes: ByteView, tag: ByteView
    ) -> Bool {
        var next = fields.index(of: .ifNoneMatch)
        while let index = next {
            if contains(tag, in: bytes.view(fields[index].value)) { return true }
            next = fields.index(of: .ifNoneMatch, from: index + 1)
        }
        return false
    }

    /// The same for one field value.
    ///
    /// Not by `FieldList`: a backslash in an entity tag is no escape.
    public static func contains(_ tag: ByteView, in value: ByteView) -> Bool {
        let wanted = opaque(tag)
        if value.trimmed().equals("*") { return true }
        var position = 0
        while position < value.count {
            let byte = value[position]
            if byte == 0x20 || byte == 0x09 || byte == UInt8(ascii: ",") {
                position += 1
                continue
            }
            let isWeak =
                position + 1 < value.count && byte == UInt8(ascii: "W")
                && value[position + 1] == UInt8(ascii: "/")
            let start = isWeak ? position + 2 : position
            guard start < value.count, value[start] == UInt8(ascii: "\"") else { return false }
            var end = start + 1
            while end < value.count, value[end] != UInt8(ascii: "\"") { end += 1 }
            guard end < value.count else { return false }
            if value.view(start, end + 1 - start).equals(wanted) { return true }
            position = end + 1
        }
        return false
    }

    /// The tag without `W/`, which weak comparison leaves out.
    private static func opaque(_ tag: ByteView) -> ByteView {
        tag.starts(with: "W/") ? tag.view(2, tag.count - 2) : tag
    }
}
