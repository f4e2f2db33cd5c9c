internal import Bytes
internal import OpenStack

/// Which values of an event are not whole; the words of its `gatehouse.cut`.
struct AuditCuts: OptionSet {
    let rawValue: UInt8

    static let requestPath = AuditCuts(rawValue: 1)
    static let agent = AuditCuts(rawValue: 2)
    static let certificate = AuditCuts(rawValue: 4)
    static let roles = AuditCuts(rawValue: 8)
    static let names = AuditCuts(rawValue: 16)
    static let ids = AuditCuts(rawValue: 32)

    static let words: [(AuditCuts, StaticString)] = [
        (.requestPath, "requestPath"), (.agent, "agent"), (.certificate, "certificate"), (.roles, "roles"),
        (.names, "names"), (.ids, "ids"),
    ]
}

/// How much of each kind of value stands in an event, in bytes as they are written.
enum AuditBound {
    static let requestPath = 2_048
    static let certificate = 512
    static let roles = 512
    static let agent = 256
    static let name = 256
    static let id = 128
}

extension Buffer {
    /// Appends the inside of a JSON string, at most `limit` bytes of it; false when that is not all.
    ///
    /// - Shape: UTF-8 as it stands, `"`, `\` and control characters escaped; of bytes that are no UTF-8 each is the character
    ///   of its number, as in Latin-1. What is cut ends with `…`, which is within the limit.
    mutating func appendAuditText(_ text: ByteView, atMost limit: Int) -> Bool {
        var index = 0
        while index < text.count, Self.isPlain(text[index]) { index += 1 }
        if index == text.count, text.count <= limit {
            append(text)
            return true
        }
        let began = end
        // Where to cut when it turns out too long: the last place that leaves room for the mark.
        var cut = end
        index = 0
        while index < text.count {
            let start = index
            let byte = text[index]
            if Self.isPlain(byte) {
                append(byte)
                index += 1
            } else if byte < 0x80 {
                appendAuditEscape(UInt32(byte))
                index += 1
            } else if let scalar = UTF8Text.readScalar(text, &index) {
                if scalar < 0xA0 {
                    appendAuditEscape(scalar)
                } else {
                    append(text.view(start, index - start))
                }
            } else {
                index = start + 1
                appendAuditEscape(UInt32(byte))
            }
            if end - began > limit {
                end = cut
                append("\u{2026}")
                return false
            }
            if end - began <= limit - 3 { cut = end }
        }
        return true
    }

    /// `\u00e4` for a character under U+0100, `\"` and `\\` for two of them.
    private mutating func appendAuditEscape(_ scalar: UInt32) {
        append(0x5C)
        if scalar == 0x22 || scalar == 0x5C { return append(UInt8(scalar)) }
        append("u")
        appendHexadecimal(UInt64(scalar), width: 4)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C
    }

    /// Appends a member, `opening` being `,"name":"`; nothing for an empty text.
    mutating func appendAuditMember(
        _ opening: StaticString, _ text: ByteView, atMost limit: Int, _ kind: AuditCuts,
        _ cuts: inout AuditCuts
    ) {
        guard !text.isEmpty else { return }
        append(opening)
        if !appendAuditText(text, atMost: limit) { cuts.insert(kind) }
        append("\"")
    }

    mutating func appendAuditMember(
        _ opening: StaticString, _ text: [UInt8], atMost limit: Int, _ kind: AuditCuts,
        _ cuts: inout AuditCuts
    ) {
        text.withUnsafeBufferPointer { appendAuditMember(opening, $0, atMost: limit, kind, &cuts) }
    }
}
