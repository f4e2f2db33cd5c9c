internal import Bytes
internal import OpenStack

/// What every line of the trail begins with.
///
/// - Shape: `{"writer":"<16 hex>","sequence":<n>,"previous":"<64 hex>",` exactly so, without a space.
struct TrailPrefix {
    var writer: UInt64
    var sequence: UInt64
    var previous: TrailDigest
    /// Bytes up to the line's last member.
    var byteCount: Int

    /// Reads the beginning of `line`; nil when it is another.
    init?(_ line: ByteView) {
        guard line.count > 120, line.starts(with: "{\"writer\":\""),
            let writer = TrailHexadecimal.read(line.view(11, 16)),
            line.view(27, 13).equals("\",\"sequence\":")
        else { return nil }
        var index = 40
        while index < 60, ASCII.isDigit(line[index]) { index += 1 }
        let digits = line.view(40, index - 40)
        // So that one more never overflows.
        guard let sequence = Decimal.read(digits), sequence < 1 << 62, digits.count == 1 || digits[0] != 0x30,
            line.count >= index + 13 + 64 + 2, line.view(index, 13).equals(",\"previous\":\""),
            let previous = TrailDigest(line.view(index + 13, 64)),
            line.view(index + 77, 2).equals("\",")
        else { return nil }
        self.writer = writer
        self.sequence = sequence
        self.previous = previous
        byteCount = index + 79
    }
}

/// A whole line of the trail, without its line feed.
///
/// - Ownership: the view is of the line.
struct TrailLine {
    enum Kind: UInt8 { case start, event, head, repair, rotation, end }

    var writer: UInt64
    var sequence: UInt64
    var previous: TrailDigest
    var kind: Kind
    /// The object that is its last member.
    var content: ByteView

    /// Reads all of `line`; nil unless it is one JSON object with the chain and one more member, whose kind is known.
    init?(_ line: ByteView) {
        guard let prefix = TrailPrefix(line), let summary = JSONScanner.scan(line),
            summary.kind == .object, summary.memberCount == 4
        else { return nil }
        let key = line.view(summary.key)
        switch key {
        case _ where key.equals("event"): kind = .event
        case _ where key.equals("head"): kind = .head
        case _ where key.equals("start"): kind = .start
        case _ where key.equals("end"): kind = .end
        case _ where key.equals("rotation"): kind = .rotation
        case _ where key.equals("repair"): kind = .repair
        default: return nil
        }
        content = line.view(summary.value)
        // With nothing between its parts, the key stands where the beginning ends and the value up to the brace.
        guard content.first == 0x7B, summary.key.lower == prefix.byteCount + 1,
            summary.value.lower == summary.key.upper + 2, summary.value.upper == line.count - 1
        else { return nil }
        writer = prefix.writer
        sequence = prefix.sequence
        previous = prefix.previous
    }
}
