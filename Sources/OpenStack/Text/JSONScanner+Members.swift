public import Bytes

extension JSONScanner {
    /// Checks all of `bytes` and gives each member of its top object; false when it is not one object in UTF-8.
    ///
    /// - Shape: keys without their quotes, values as they stand, both still escaped, borrowed for one call. What comes before
    ///   a mistake has been given.
    public static func forEachMember(
        of bytes: ByteView, _ body: (_ key: ByteView, _ value: ByteView) -> Void
    ) -> Bool {
        var cursor = JSONCursor(bytes)
        cursor.skipSpace()
        guard cursor.take(0x7B) else { return false }
        cursor.skipSpace()
        if !cursor.take(0x7D) {
            repeat {
                cursor.skipSpace()
                guard let key = cursor.readString() else { return false }
                cursor.skipSpace()
                guard cursor.take(0x3A) else { return false }
                cursor.skipSpace()
                let start = cursor.index
                guard cursor.readValue(depth: 1) else { return false }
                body(bytes.view(key), bytes.view(start, cursor.index - start))
                cursor.skipSpace()
            } while cursor.take(0x2C)
            guard cursor.take(0x7D) else { return false }
        }
        cursor.skipSpace()
        return cursor.index == bytes.count
    }
}
