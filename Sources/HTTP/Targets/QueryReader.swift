import Bytes

/// Walks the name and value pairs of a query, still percent-encoded.
///
/// - Shape: ranges in the given query. Pieces are divided by `&` and, as Nova does, by `;`; empty pieces are
///   skipped.
/// - Source: WHATWG URL §5.1, and `;` as Nova's parser does it.
public struct QueryReader {
    let query: ByteView
    var position = 0

    /// Starts before the first pair of `query`, which has no question mark.
    public init(_ query: ByteView) { self.query = query }

    /// The next pair; `hasEquals` tells `name=` from `name`.
    public mutating func next() -> (name: ByteRange, value: ByteRange, hasEquals: Bool)? {
        while position < query.count {
            let start = position
            var equals = -1
            while position < query.count, query[position] != UInt8(ascii: "&"),
                query[position] != UInt8(ascii: ";")
            {
                if equals < 0, query[position] == UInt8(ascii: "=") { equals = position }
                position += 1
            }
            let end = position
            position += 1
            guard end > start else { continue }
            guard equals >= 0 else {
                return (ByteRange(start: start, count: end - start), ByteRange(start: end, count: 0), false)
            }
            return (
                ByteRange(start: start, count: equals - start),
                ByteRange(start: equals + 1, count: end - equals - 1),
                true
            )
        }
        return nil
    }
}
