import Bytes

// Writers of message heads and chunk framing. None of them checks room: `Buffer.hasOverflowed` tells at the
// end.

extension Buffer {
    /// Appends `HTTP/1.1`, the status and its phrase as a whole status line.
    public mutating func appendStatusLine(_ status: Int) {
        append("HTTP/1.1 ")
        appendDecimal(status)
        append(0x20)
        append(StatusPhrase.phrase(status))
        appendLineEnd()
    }

    /// Appends a whole field line; the value must be free of control bytes, as every value that was read is.
    public mutating func appendField(_ name: FieldName, _ value: ByteView) {
        let text = name.canonical
        append(
            ByteView(start: text.utf8Start, count: text.utf8CodeUnitCount), ": ", value, "\r\n")
    }

    /// Appends a whole field line with a value known beforehand.
    public mutating func appendField(_ name: FieldName, _ value: StaticString) {
        appendField(name, ByteView(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// Appends a whole field line whose value is a decimal number.
    public mutating func appendField(_ name: FieldName, _ value: UInt64) {
        append(name.canonical)
        append(": ")
        appendDecimal(value)
        appendLineEnd()
    }

    /// Appends a whole field line whose name has no number.
    public mutating func appendField(_ name: StaticString, _ value: StaticString) {
        append(name)
        append(": ")
        append(value)
        appendLineEnd()
    }

    /// Appends a whole field line whose name has no number, with a value free of control bytes.
    public mutating func appendField(_ name: StaticString, _ value: ByteView) {
        append(
            ByteView(start: name.utf8Start, count: name.utf8CodeUnitCount), ": ", value, "\r\n")
    }

    /// Appends a whole field line as it was read, its name in the sender's spelling.
    public mutating func appendField(_ name: ByteView, _ value: ByteView) {
        append(name, ": ", value, "\r\n")
    }

    /// Appends a Content-Length line.
    public mutating func appendContentLength(_ byteCount: UInt64) { appendField(.contentLength, byteCount) }

    /// Appends a Date line in IMF-fixdate (RFC 9110 §6.6.1).
    public mutating func appendDate(_ secondsSinceEpoch: Int64) {
        append("Date: ")
        HTTPDate.append(secondsSinceEpoch, to: &self)
        appendLineEnd()
    }

    /// Appends CRLF.
    public mutating func appendLineEnd() { append("\r\n") }

    /// Appends the empty line that ends a head.
    public mutating func appendHeadEnd() { appendLineEnd() }

    /// Appends the size line of a chunk; `byteCount` is above 0, since 0 would end the message.
    public mutating func appendChunkHead(byteCount: Int) {
        precondition(byteCount > 0)
        appendHexadecimal(UInt64(byteCount))
        appendLineEnd()
    }

    /// Appends what follows the content of a chunk.
    public mutating func appendChunkEnd() { appendLineEnd() }

    /// Appends the last chunk; trailer field lines and `appendHeadEnd()` follow.
    public mutating func appendLastChunk() { append("0\r\n") }

    /// Appends the last chunk and an empty trailer section.
    public mutating func appendChunkedEnd() { append("0\r\n\r\n") }
}
