internal import Bytes

/// Text without its tags.
enum PlainText {
    /// Tells whether the text holds `word`, given in lower case, ASCII case aside.
    static func contains(_ text: ByteView, _ word: StaticString) -> Bool {
        find(text, word, from: 0) != nil
    }

    static func find(_ text: ByteView, _ word: StaticString, from start: Int) -> Int? {
        let count = word.utf8CodeUnitCount
        guard text.count >= count + start else { return nil }
        for place in start...text.count - count where text.view(place, count).equalsIgnoringCase(word) {
            return place
        }
        return nil
    }

    /// Appends what a page says in its body, the heading left out, since it repeats the status.
    static func appendPage(_ page: ByteView, to message: inout Buffer) {
        guard let body = find(page, "<body", from: 0) else { return }
        var start = body
        if let heading = find(page, "</h1>", from: body) { start = heading + 5 }
        let end = find(page, "</body", from: start) ?? page.count
        append(page.view(start, end - start), decodingEntities: true, to: &message)
    }

    /// Appends text with tags, comments, scripts and runs of white space each made one space.
    ///
    /// - Limits: what does not fit is left out, a character never cut in two.
    static func append(_ text: ByteView, decodingEntities: Bool, to message: inout Buffer) {
        var index = 0
        var wantsSpace = false
        while index < text.count, message.room > 8 {
            let byte = text[index]
            if byte <= 0x20 {
                wantsSpace = true
                index += 1
            } else if byte == 0x3C, let end = endOfTag(text, index) {
                wantsSpace = true
                index = end
            } else {
                if wantsSpace, !message.isEmpty { message.append(0x20) }
                wantsSpace = false
                if decodingEntities, byte == 0x26, let entity = entity(text, index) {
                    message.append(entity.character)
                    index += entity.byteCount
                } else {
                    message.appendScalar(UTF8Text.readScalar(text, &index) ?? 0xFFFD)
                }
            }
        }
    }

    /// Where the tag at `start` ends, what it hides included; nil when it is no tag.
    private static func endOfTag(_ text: ByteView, _ start: Int) -> Int? {
        guard start + 1 < text.count else { return nil }
        let next = text[start + 1]
        let isLetter = (next | 0x20 >= 0x61) && (next | 0x20 <= 0x7A)
        guard isLetter || next == 0x2F || next == 0x21 || next == 0x3F else { return nil }
        let rest = text.view(start, text.count - start)
        if rest.starts(with: "<!--") {
            return find(text, "-->", from: start).map { $0 + 3 } ?? text.count
        }
        if let end = endOfHidden(text, start, "<script", "</script>") { return end }
        if let end = endOfHidden(text, start, "<style", "</style>") { return end }
        var index = start
        while index < text.count, text[index] != 0x3E { index += 1 }
        return min(index + 1, text.count)
    }

    /// Where an element whose contents are no text ends; nil when another begins at `start`.
    private static func endOfHidden(
        _ text: ByteView, _ start: Int, _ opening: StaticString, _ closing: StaticString
    ) -> Int? {
        let count = opening.utf8CodeUnitCount
        guard text.count - start >= count, text.view(start, count).equalsIgnoringCase(opening) else {
            return nil
        }
        return find(text, closing, from: start).map { $0 + closing.utf8CodeUnitCount } ?? text.count
    }

    private static func entity(_ text: ByteView, _ start: Int) -> (character: UInt8, byteCount: Int)? {
        let rest = text.view(start, text.count - start)
        if rest.starts(with: "&lt;") { return (0x3C, 4) }
        if rest.starts(with: "&gt;") { return (0x3E, 4) }
        if rest.starts(with: "&amp;") { return (0x26, 5) }
        if rest.starts(with: "&quot;") { return (0x22, 6) }
        if rest.starts(with: "&#39;") { return (0x27, 5) }
        if rest.starts(with: "&#x27;") { return (0x27, 6) }
        return nil
    }
}
