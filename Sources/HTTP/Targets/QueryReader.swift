import Bytes

/// Walks the name and value pairs of a query, still percent-encoded.
///
/// - Shape: ranges in the given query. Pieces are divided by `&` and, as Nova does, by `;`; empty pieces are
///   skipped.
/// - Source: WHATWG URL §5.1, and `;` as Nova's parser does it.
public struct QueryReader {
    let query: ByteView
    var position = 0
    /// Whether the pair that was read last has a byte that stands for another or is beyond ASCII, so that there is
    /// something to decode in it or to doubt.
    public private(set) var isEncoded = false

    /// Starts before the first pair of `query`, which has no question mark.
    public init(_ query: ByteView) { self.query = query }

    /// The next pair; `hasEquals` tells `name=` from `name`.
    public mutating func next() -> (name: ByteRange, value: ByteRange, hasEquals: Bool)? {
        guard let base = query.baseAddress else { return nil }
        let limit = query.count
        var place = position
        while place < limit {
            let start = place
            var equals = -1
            var classes: UInt8 = 0
            while place < limit {
                let byte = base[place]
                let byteClass = ByteClass.of(byte)
                if byteClass & ByteClass.queryDelimiter != 0 {
                    guard byte == UInt8(ascii: "=") else { break }
                    if equals < 0 { equals = place }
                }
                classes |= byteClass
                place &+= 1  // Cannot overflow: below `limit`.
            }
            let end = place
            place &+= 1
            guard end > start else { continue }
            position = place
            isEncoded = classes & ByteClass.queryEncoded != 0
            guard equals >= 0 else {
                return (ByteRange(start: start, count: end - start), ByteRange(start: end, count: 0), false)
            }
            return (
                ByteRange(start: start, count: equals - start),
                ByteRange(start: equals + 1, count: end - equals - 1),
                true
            )
        }
        position = place
        return nil
    }
}
