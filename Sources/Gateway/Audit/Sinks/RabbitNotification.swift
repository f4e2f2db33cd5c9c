internal import Bytes

/// Forms events as oslo.messaging's notifier forms notifications.
///
/// - Shape: the envelope 2.0: an object with the message as text; its message_id is the event's id, its timestamp the event's
///   time, its priority INFO. `_unique_id` and a context are left out: a listener that meets an id twice drops the second
///   without an acknowledgement, and so the broker would keep it.
/// - Source: oslo.messaging `notify/notifier.py`, `_drivers/common.py` (`serialize_msg`).
struct RabbitNotification {
    /// What tells a message besides its content.
    struct Marks {
        /// Of the event; of its line when it has none that fits. 1 to 255 bytes.
        var id: [UInt8]
        /// Of the event's time, since 1970; 0 when it has none.
        var seconds: UInt64
    }

    /// From behind the id to the event.
    private let middle: [UInt8]

    init(eventType: String, publisherID: String) {
        let capacity = 32 * (eventType.utf8.count + publisherID.utf8.count) + 256
        var inner = Buffer(capacity: capacity)
        inner.append("\",\"publisher_id\":\"")
        Array(publisherID.utf8).withUnsafeBufferPointer { inner.appendJSONEscaped($0) }
        inner.append("\",\"event_type\":\"")
        Array(eventType.utf8).withUnsafeBufferPointer { inner.appendJSONEscaped($0) }
        inner.append("\",\"priority\":\"INFO\",\"payload\":")
        var outer = Buffer(capacity: capacity)
        outer.appendQuoted(inner.readable)
        precondition(!outer.hasOverflowed)
        middle = Array(outer.readable)
    }

    /// Replaces what `buffer` has by the message of `event`, and tells its marks.
    func write(_ event: SinkEvent, to buffer: inout Buffer) -> Marks {
        buffer.removeAll()
        // A byte that is escaped takes two, or six if it is one that JSON does not have inside.
        buffer.enlarge(to: 6 * event.content.count + middle.count + 2_048)
        var marks = Marks(id: event.text("id").map { Array($0) } ?? [], seconds: 0)
        if marks.id.isEmpty || marks.id.count > 255 || marks.id.contains(0x5C) {
            marks.id = Array("\(event.writer.string)-\(event.sequence)".utf8)
        }
        buffer.append("{\"oslo.version\":\"2.0\",\"oslo.message\":\"{\\\"message_id\\\":\\\"")
        marks.id.withUnsafeBufferPointer { buffer.append($0) }
        middle.withUnsafeBufferPointer { buffer.append($0) }
        buffer.appendQuoted(event.content)
        if let microseconds = event.text("eventTime").flatMap({ TrailTime.microseconds($0) }) {
            marks.seconds = UInt64(microseconds / 1_000_000)
            buffer.append(",\\\"timestamp\\\":\\\"")
            // As Python writes a datetime: in UTC, a space between date and time, no zone.
            let text = Array(TrailTime.text(microseconds).utf8)
            text.withUnsafeBufferPointer {
                buffer.append($0.view(0, 10))
                buffer.append(" ")
                buffer.append($0.view(11, 15))
            }
            buffer.append("\\\"")
        }
        buffer.append("}\"}")
        return marks
    }

}

extension Buffer {
    /// Appends JSON as the inside of a JSON text.
    fileprivate mutating func appendQuoted(_ json: ByteView) {
        var start = 0
        for index in 0..<json.count {
            let byte = json[index]
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
            append(json.view(start, index - start))
            start = index + 1
            if byte < 0x20 {
                append("\\u")
                appendHexadecimal(UInt64(byte), width: 4)
            } else {
                append(0x5C)
                append(byte)
            }
        }
        append(json.view(start, json.count - start))
    }
}
