internal import Bytes
internal import OpenStack

/// Writes events of the trail as syslog messages.
///
/// - Shape: `<PRI>1 eventTime hostname app-name writer audit [origin …][meta sequenceId="…"] {CADF}`; ASCII throughout, since
///   other characters of the event are escaped as JSON has it: so the content is right for receivers that want a byte
///   order mark before UTF-8 as for those that would take one for a part of the JSON.
/// - Limits: an event that makes the message longer than `max_message` goes without its attachments, with
///   `"shortened":true`; if that is not enough, with its first members and its path, cut; then with the first members
///   alone, which always fit 1,024 bytes.
/// - Source: RFC 5424 §6 and §7.
struct SyslogMessage {
    /// RFC 5424 §6.2.1: informational, and notice for a failure.
    private enum Severity {
        static let notice = 5
        static let informational = 6
    }

    private let facility: Int
    private let limit: Int
    /// ` hostname app-name `, between the time and the writer.
    private let names: [UInt8]
    /// ` audit [origin software="gatehouse" swVersion="0.1.0"][meta sequenceId="`, behind the writer.
    private let origin: [UInt8]

    /// - Shape: of the settings' names, what RFC 5424 has no room or character for is cut or replaced.
    init(
        _ settings: Settings.Syslog, hostname: String = SinkMachine.name ?? "",
        version: String = Version.text
    ) {
        facility = Int(min(settings.facility, 23))
        limit = settings.maxMessageByteCount
        let host = Self.name(settings.hostname ?? hostname, atMost: 255)
        names = Array(" \(host) \(Self.name(settings.appName, atMost: 48)) ".utf8)
        let version = Self.parameter(version, atMost: 32)
        origin = Array(
            " audit [origin software=\"gatehouse\" swVersion=\"\(version)\"][meta sequenceId=\"".utf8)
    }

    /// HOSTNAME, APP-NAME: visible ASCII, `-` when there is none (RFC 5424 §6).
    private static func name(_ text: String, atMost count: Int) -> String {
        let bytes = text.utf8.prefix(count).map { (0x21...0x7E).contains($0) ? $0 : 0x3F }
        return bytes.isEmpty ? "-" : String(decoding: bytes, as: UTF8.self)
    }

    /// The value of a parameter that needs no escape: `"`, `\` and `]` are replaced too (RFC 5424 §6.3.3).
    private static func parameter(_ text: String, atMost count: Int) -> String {
        String(name(text, atMost: count).map { "\"\\]".contains($0) ? "?" : $0 })
    }

    /// How much room of a buffer a message of `event` takes at most: each of its bytes may become six.
    func maxByteCount(of event: SinkEvent) -> Int {
        1_024 + names.count + origin.count + 6 * event.content.count
    }

    /// Appends the message; `buffer` has `maxByteCount` of room.
    func append(_ event: SinkEvent, to buffer: inout Buffer) {
        let began = buffer.count
        let failed = event.text("outcome")?.equals("failure") ?? false
        buffer.append("<")
        buffer.appendDecimal(facility * 8 + (failed ? Severity.notice : Severity.informational))
        buffer.append(">1 ")
        appendTime(of: event, to: &buffer)
        names.withUnsafeBufferPointer { buffer.append($0) }
        buffer.append(event.writer)
        origin.withUnsafeBufferPointer { buffer.append($0) }
        buffer.appendDecimal(Self.sequenceID(event.sequence))
        buffer.append("\"] ")
        appendContent(of: event, atMost: limit - (buffer.count - began), to: &buffer)
    }

    /// The place in the writer's chain, from 1 to 2,147,483,647 and then from 1 again (RFC 5424 §7.3.1).
    static func sequenceID(_ sequence: UInt64) -> UInt64 {
        // A writer's first line, 0, is no event.
        sequence == 0 ? 1 : (sequence - 1) % 2_147_483_647 + 1
    }

    private func member(_ name: StaticString, of event: SinkEvent) -> ByteView? {
        JSONScanner.member(name, of: event.content).map { event.content.view($0) }
    }

    /// TIMESTAMP: `eventTime` with at most six digits of a fraction, `-` when that is no time.
    private func appendTime(of event: SinkEvent, to buffer: inout Buffer) {
        guard let text = event.text("eventTime"), let time = TrailTime.microseconds(text)
        else { return buffer.append("-") }
        // As the trail has it, or as it would have it.
        if text.count == 32, text[10] == 0x54, text[19] == 0x2E, !ASCII.isDigit(text[26]) {
            buffer.append(text)
        } else {
            buffer.append(TrailTime.text(time))
        }
    }

    // MARK: - Content

    private func appendContent(of event: SinkEvent, atMost room: Int, to buffer: inout Buffer) {
        let began = buffer.count
        buffer.appendJSON(event.content)
        if buffer.count - began <= room { return }
        if let place = attachments(of: event.content) {
            buffer.cut(to: began)
            buffer.appendJSON(event.content.view(0, place.lower))
            let rest = event.content.view(place.upper, event.content.count - place.upper)
            // An object that is not empty any more, since attachments are never alone.
            buffer.appendJSON(rest.view(0, rest.count - 1))
            buffer.append(",\"shortened\":true}")
            if buffer.count - began <= room { return }
        }
        buffer.cut(to: began)
        appendFirstMembers(of: event, atMost: room, to: &buffer)
    }

    /// `,"attachments":[…]`; nil when there is none in that form.
    private func attachments(of content: ByteView) -> ByteRange? {
        let key: StaticString = ",\"attachments\":"
        let keyByteCount = key.utf8CodeUnitCount
        guard let value = JSONScanner.member("attachments", of: content), value.lower > keyByteCount,
            content.view(value.lower - keyByteCount, keyByteCount).equals(key), content.last == 0x7D
        else { return nil }
        return ByteRange(start: value.lower - keyByteCount, count: value.upper - value.lower + keyByteCount)
    }

    private func appendFirstMembers(of event: SinkEvent, atMost room: Int, to buffer: inout Buffer) {
        let began = buffer.count
        for (name, isNeeded) in Self.firstMembers {
            guard let value = member(name, of: event) else { continue }
            let before = buffer.count
            buffer.append(before == began ? "{\"" : ",\"")
            buffer.append(name)
            buffer.append("\":")
            let valueBegan = buffer.count
            buffer.appendJSON(value)
            let byteCount = buffer.count - valueBegan
            if byteCount > Self.maxMemberByteCount
                || !isNeeded && buffer.count - began + Self.endByteCount > room
            {
                buffer.cut(to: before)
            }
        }
        if buffer.count > began, let path = event.text("requestPath") {
            let before = buffer.count
            buffer.append(",\"requestPath\":\"")
            let left = room - (buffer.count - began) - Self.endByteCount - 1
            if buffer.appendJSON(path, atMost: left) {
                buffer.append("\"")
            } else {
                buffer.cut(to: before)
            }
        }
        buffer.append(buffer.count == began ? "{\"shortened\":true}" : ",\"shortened\":true}")
    }

    private static let endByteCount = ",\"shortened\":true}".utf8.count
    /// More than any of these has in an event; of another's trail, one that is longer is left out.
    private static let maxMemberByteCount = 128
    /// In the order of an event; those that tell it from others stay in any case.
    private static let firstMembers: [(name: StaticString, isNeeded: Bool)] = [
        ("typeURI", false), ("eventType", false), ("id", true), ("eventTime", true), ("action", true),
        ("outcome", true), ("reason", false),
    ]
}

extension Buffer {
    /// Appends JSON with all characters beyond ASCII escaped; at most six bytes for one.
    fileprivate mutating func appendJSON(_ text: ByteView) {
        var index = 0
        var plainFrom = 0
        while index < text.count {
            let byte = text[index]
            if byte < 0x7F, byte >= 0x20 {
                index += 1
                continue
            }
            append(text.view(plainFrom, index - plainFrom))
            appendEscaped(text, &index)
            plainFrom = index
        }
        append(text.view(plainFrom, text.count - plainFrom))
    }

    /// Appends the inside of a JSON string likewise, cut between characters, then with `…` at its end; false, with what was
    /// appended left, when not even that has room.
    fileprivate mutating func appendJSON(_ inside: ByteView, atMost limit: Int) -> Bool {
        let began = count
        var cut = count
        var index = 0
        guard limit >= 6 else { return false }
        while index < inside.count {
            let start = index
            let byte = inside[index]
            if byte == 0x5C {
                index += Self.escapeByteCount(inside, index)
                append(inside.view(start, index - start))
            } else if byte >= 0x7F || byte < 0x20 {
                appendEscaped(inside, &index)
            } else {
                append(byte)
                index += 1
            }
            if count - began > limit {
                self.cut(to: cut)
                append("\\u2026")
                return true
            }
            if count - began <= limit - 6 { cut = count }
        }
        return true
    }

    /// Of the escape at `index`: `\n`, `\u00e4`, or both halves of a surrogate pair.
    private static func escapeByteCount(_ inside: ByteView, _ index: Int) -> Int {
        let left = inside.count - index
        guard left >= 6, inside[index + 1] == 0x75 else { return min(2, left) }
        // High halves are D800 to DBFF.
        let isHigh =
            inside[index + 2] | 0x20 == 0x64 && [0x38, 0x39, 0x61, 0x62].contains(inside[index + 3] | 0x20)
        return isHigh && left >= 12 && inside[index + 6] == 0x5C && inside[index + 7] == 0x75 ? 12 : 6
    }

    /// Appends the character at `index` as `\uXXXX`, or as a pair of them, and steps over it.
    private mutating func appendEscaped(_ text: ByteView, _ index: inout Int) {
        let byte = text[index]
        // What is no UTF-8 is taken as in Latin-1, as the trail does.
        let scalar = UTF8Text.readScalar(text, &index) ?? UInt32(byte)
        guard scalar >= 0x1_0000 else {
            append("\\u")
            return appendHexadecimal(UInt64(scalar), width: 4)
        }
        append("\\u")
        appendHexadecimal(UInt64(0xD800 + (scalar - 0x1_0000) >> 10), width: 4)
        append("\\u")
        appendHexadecimal(UInt64(0xDC00 + scalar & 0x3FF), width: 4)
    }
}
