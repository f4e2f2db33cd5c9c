internal import Bytes
internal import OpenStack

/// Copies a request's content with its secrets hidden.
///
/// - Shape: JSON without white space, members in their order, equal ones too; each secret's whole value is `"***"`.
///   Numbers that JSON has not (`NaN`, which Nova reads) become texts, half a surrogate pair U+FFFD.
/// - Limits: 32 levels, since a line of the trail is read with 64; the copy at most `maxByteCount`.
struct AuditRedaction {
    enum Outcome: Equatable {
        case copied(redactedCount: Int)
        case malformed, tooDeep, tooLong
    }

    /// What is read at all, and how much the copy may grow to by its escapes.
    static let maxContentByteCount = 32_768
    static let maxByteCount = 49_152
    private static var maxDepth: Int { 32 }
    /// Of a name that a secret's path may begin with, escapes counted as they stand.
    private static var maxHolderByteCount: UInt32 { 512 }

    private let content: ByteView
    private let secrets: AuditSecrets
    private var depth = 0
    private var frames: InlineArray<32, Frame> = .init(repeating: Frame())
    private var redactedCount = 0

    /// An object or array that is open.
    private struct Frame {
        /// The node after its last.
        var end = 0
        var isObject = false
        var isEmpty = true
        /// The node of the name under which it stands; -1 in a list, or at the top.
        var name = -1
    }

    /// Appends `content` to `output`; what cannot be copied whole leaves `output` as it was.
    static func copy(
        _ content: ByteView, hiding secrets: AuditSecrets, tape: inout JSONTape, scratch: inout Buffer,
        to output: inout Buffer
    ) -> Outcome {
        guard content.count <= maxContentByteCount else { return .tooLong }
        switch tape.read(content) {
        case .malformed: return .malformed
        case .tooDeep: return .tooDeep
        case .whole: break
        }
        let start = output.end
        let hadOverflowed = output.hasOverflowed
        var copy = AuditRedaction(content: content, secrets: secrets)
        let isWhole = copy.copy(tape, &scratch, to: &output)
        guard isWhole, !output.hasOverflowed, output.end - start <= maxByteCount else {
            output.end = start
            output.hasOverflowed = hadOverflowed
            return isWhole ? .tooLong : .tooDeep
        }
        return .copied(redactedCount: copy.redactedCount)
    }

    private init(content: ByteView, secrets: AuditSecrets) {
        self.content = content
        self.secrets = secrets
    }

    private mutating func copy(
        _ tape: borrowing JSONTape, _ scratch: inout Buffer, to output: inout Buffer
    ) -> Bool {
        var index = 0
        while index < tape.count || depth > 0 {
            if depth > 0, frames[depth - 1].end == index {
                depth -= 1
                output.append(frames[depth].isObject ? "}" : "]")
                continue
            }
            var name = -1
            if depth > 0 {
                if !frames[depth - 1].isEmpty { output.append(",") }
                frames[depth - 1].isEmpty = false
                if frames[depth - 1].isObject {
                    name = index
                    output.append("\"")
                    appendText(content.view(tape.nodes[name].range), to: &output)
                    output.append("\":")
                    index += 1
                    if isSecret(name, tape, &scratch) {
                        output.append("\"***\"")
                        redactedCount += 1
                        index = Int(tape.nodes[index].next)
                        continue
                    }
                }
            }
            let node = tape.nodes[index]
            switch node.kind {
            case .object, .array:
                guard depth < Self.maxDepth else { return false }
                frames[depth] = Frame(end: Int(node.next), isObject: node.kind == .object, name: name)
                output.append(node.kind == .object ? "{" : "[")
                depth += 1
            case .string, .key:
                output.append("\"")
                appendText(content.view(node.range), to: &output)
                output.append("\"")
            case .integer, .float, .yes, .no, .null: appendWord(content.view(node.range), to: &output)
            }
            index += 1
        }
        return true
    }

    /// Whether the value of the member at the node `name` is hidden, by its name and those that hold it.
    private func isSecret(_ name: Int, _ tape: borrowing JSONTape, _ scratch: inout Buffer) -> Bool {
        var path: InlineArray<4, ByteView?> = .init(repeating: nil)
        scratch.removeAll()
        path[0] = plain(name, tape, &scratch)
        var count = 1
        var place = depth - 1
        while place >= 0, count < AuditSecrets.maxPathCount {
            let holder = frames[place].name
            // A longer one is no member's of the API, and would be looked at again for each member that it holds.
            if holder >= 0, tape.nodes[holder].range.count > Self.maxHolderByteCount { break }
            if holder >= 0 {
                path[count] = plain(holder, tape, &scratch)
                count += 1
            }
            place -= 1
        }
        return secrets.hold(path)
    }

    /// A name without its escapes; those that have some are in `scratch`, which has room for all of a content.
    private func plain(_ name: Int, _ tape: borrowing JSONTape, _ scratch: inout Buffer) -> ByteView {
        let node = tape.nodes[name]
        guard node.hasEscapes else { return content.view(node.range) }
        let start = scratch.count
        JSONScanner.appendUnescaped(content.view(node.range), to: &scratch)
        return scratch.readable.view(start, scratch.count - start)
    }

    private func appendWord(_ word: ByteView, to output: inout Buffer) {
        let isNumberOfPython = word[word.count - 1] == 0x4E || word[word.count - 1] == 0x79
        if isNumberOfPython { output.append("\"") }
        output.append(word)
        if isNumberOfPython { output.append("\"") }
    }

    /// Appends the inside of a string, which is well-formed: its escapes stay, and control characters get some.
    private func appendText(_ text: ByteView, to output: inout Buffer) {
        var start = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == 0x5C {
                let count = escapeByteCount(text, index)
                if count > 0 {
                    index += count
                    continue
                }
                output.append(text.view(start, index - start))
                output.append("\\ufffd")
                index += 6
                start = index
                continue
            }
            let isControl = byte == 0xC2 && text[index + 1] < 0xA0
            guard byte == 0x7F || isControl else {
                index += 1
                continue
            }
            output.append(text.view(start, index - start))
            output.append("\\u00")
            output.appendHexadecimal(UInt64(isControl ? text[index + 1] : byte), width: 2)
            index += isControl ? 2 : 1
            start = index
        }
        output.append(text.view(start, text.count - start))
    }

    /// How long the escape at `index` is, a surrogate pair being one; 0 for half a pair.
    private func escapeByteCount(_ text: ByteView, _ index: Int) -> Int {
        guard text[index + 1] == 0x75 else { return 2 }
        guard let value = Self.scalar(text, index) else { return 6 }
        guard (0xD800..<0xE000).contains(value) else { return 6 }
        guard value < 0xDC00, let low = Self.scalar(text, index + 6), (0xDC00..<0xE000).contains(low) else {
            return 0
        }
        return 12
    }

    /// The value of `\u0041` at `index`.
    private static func scalar(_ text: ByteView, _ index: Int) -> UInt32? {
        guard index + 6 <= text.count, text[index] == 0x5C, text[index + 1] == 0x75 else { return nil }
        var value: UInt32 = 0
        for place in index + 2..<index + 6 {
            guard let digit = ASCII.hexValue(text[place]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
