internal import Bytes
internal import HTTP

/// Field lines that stand one behind the other in a head, and go on in one piece.
///
/// - Shape: a place in the head's bytes; a line written otherwise than `name: value` and CRLF is none of a run, and is
///   written anew.
struct FieldRun {
    private var first = 0
    private var last = 0

    /// Appends a line to `output`, now or with those behind it.
    mutating func append(_ line: FieldLine, _ bytes: ByteView, to output: inout Buffer) {
        let (start, end) = (line.name.lower, line.value.upper + 2)
        guard Self.isAsWritten(line, bytes) else {
            self.end(bytes, to: &output)
            return output.appendField(bytes.view(line.name), bytes.view(line.value))
        }
        if start != last {
            self.end(bytes, to: &output)
            first = start
        }
        last = end
    }

    /// Appends what is left.
    mutating func end(_ bytes: ByteView, to output: inout Buffer) {
        if last > first { output.append(bytes.view(first, last - first)) }
        first = last
    }

    private static func isAsWritten(_ line: FieldLine, _ bytes: ByteView) -> Bool {
        let (colon, value) = (line.name.upper, line.value)
        return value.lower == colon + 2 && value.upper + 2 <= bytes.count && bytes[colon] == 0x3A
            && bytes[colon + 1] == 0x20 && bytes[value.upper] == 0x0D && bytes[value.upper + 1] == 0x0A
    }
}
