public import Bytes

/// One value or key of a JSON text, where it stands and how far what belongs to it goes.
public struct JSONNode {
    public enum Kind: UInt8, Sendable { case object, array, string, integer, float, yes, no, null, key }

    public internal(set) var kind: Kind
    /// A string with escapes, which must be decoded before it is compared.
    public internal(set) var hasEscapes = false
    /// A string that no UTF-8 can hold (half a surrogate pair); what Python makes of it is not followed.
    public internal(set) var isOdd = false
    /// The bytes, without the quotes of a string.
    var start: UInt32
    var count: UInt32 = 0
    /// Members of an object, elements of an array; equal keys are not yet one.
    public internal(set) var childCount: UInt32 = 0
    /// The node after the last that belongs to this one.
    public internal(set) var next: UInt32 = 0

    public var range: ByteRange { ByteRange(start: Int(start), count: Int(count)) }
}

/// A JSON text as a flat list of nodes in their order: keys and values of an object in turn, elements of an array.
///
/// - Shape: made new for each text in the same memory, which is given back when it has grown large.
/// - Limits: as deep as Python's reader goes, which is less than its 1,000 calls; deeper texts have no tape.
public struct JSONTape: ~Copyable {
    static var maximumDepth: Int { 900 }
    private static var keptCount: Int { 4_096 }

    /// The nodes of the text that was read last; `count` of them are its own.
    public private(set) var nodes: UnsafeMutablePointer<JSONNode>
    private var capacity: Int
    public private(set) var count = 0
    /// Indices of the objects and arrays that are open.
    private var open: UnsafeMutablePointer<UInt32>
    private var depth = 0

    public init() {
        capacity = 256
        nodes = .allocate(capacity: capacity)
        open = .allocate(capacity: Self.maximumDepth)
    }

    deinit {
        nodes.deallocate()
        open.deallocate()
    }

    /// What reading found.
    public enum Outcome: Sendable { case whole, malformed, tooDeep }

    /// Reads a text as Python's `json.loads` does: `NaN` and `Infinity` are numbers, equal keys may repeat.
    public mutating func read(_ bytes: ByteView) -> Outcome {
        count = 0
        depth = 0
        if capacity > Self.keptCount {
            nodes.deallocate()
            capacity = Self.keptCount
            nodes = .allocate(capacity: capacity)
        }
        var cursor = JSONCursor(bytes)
        cursor.skipSpace()
        var expectsValue = true
        while true {
            if expectsValue {
                switch readValue(&cursor) {
                case .malformed: return .malformed
                case .tooDeep: return .tooDeep
                case .whole: break
                }
                // An object or array that has something in it goes on with its first member.
                if depth > 0, nodes[Int(open[depth - 1])].childCount == 0, count == Int(open[depth - 1]) + 1 {
                    guard beginMember(&cursor) else { return .malformed }
                    continue
                }
            }
            guard depth > 0 else { break }
            cursor.skipSpace()
            let parent = Int(open[depth - 1])
            if cursor.take(0x2C) {
                cursor.skipSpace()
                guard beginMember(&cursor) else { return .malformed }
                expectsValue = true
            } else {
                guard cursor.take(nodes[parent].kind == .object ? 0x7D : 0x5D) else { return .malformed }
                nodes[parent].next = UInt32(count)
                nodes[parent].count = UInt32(cursor.index) - nodes[parent].start
                depth -= 1
                expectsValue = false
            }
        }
        cursor.skipSpace()
        return cursor.index == bytes.count ? .whole : .malformed
    }

    /// Makes the tape of no content at all, which is nothing to Nova, too.
    mutating func readNothing() {
        count = 0
        let place = append(JSONNode(kind: .null, start: 0))
        nodes[place].next = 1
    }

    /// Counts a child of the open value and, in an object, reads its key and colon.
    private mutating func beginMember(_ cursor: inout JSONCursor) -> Bool {
        let parent = Int(open[depth - 1])
        nodes[parent].childCount += 1
        guard nodes[parent].kind == .object else { return true }
        guard appendString(.key, &cursor) else { return false }
        cursor.skipSpace()
        guard cursor.take(0x3A) else { return false }
        cursor.skipSpace()
        return true
    }

    /// Appends one value; an object or array that is not empty is left open.
    private mutating func readValue(_ cursor: inout JSONCursor) -> Outcome {
        guard cursor.index < cursor.bytes.count else { return .malformed }
        let start = cursor.index
        switch cursor.bytes[start] {
        case 0x7B, 0x5B:
            let isObject = cursor.bytes[start] == 0x7B
            cursor.index += 1
            cursor.skipSpace()
            let place = append(JSONNode(kind: isObject ? .object : .array, start: UInt32(start)))
            if cursor.take(isObject ? 0x7D : 0x5D) {
                nodes[place].count = UInt32(cursor.index - start)
                nodes[place].next = UInt32(count)
                return .whole
            }
            guard depth < Self.maximumDepth else { return .tooDeep }
            open[depth] = UInt32(place)
            depth += 1
            return .whole
        case 0x22: return appendString(.string, &cursor) ? .whole : .malformed
        case 0x74: return appendWord(.yes, cursor.take("true"), start, cursor.index)
        case 0x66: return appendWord(.no, cursor.take("false"), start, cursor.index)
        case 0x6E: return appendWord(.null, cursor.take("null"), start, cursor.index)
        default:
            guard cursor.readValue(depth: 0) else { return .malformed }
            let text = cursor.bytes.view(start, cursor.index - start)
            var isFloat = false
            for byte in text where byte == 0x2E || byte | 0x20 == 0x65 || byte == 0x49 || byte == 0x4E {
                isFloat = true
            }
            return appendWord(isFloat ? .float : .integer, true, start, cursor.index)
        }
    }

    private mutating func appendWord(_ kind: JSONNode.Kind, _ isThere: Bool, _ start: Int, _ end: Int)
        -> Outcome
    {
        guard isThere else { return .malformed }
        let place = append(JSONNode(kind: kind, start: UInt32(start), count: UInt32(end - start)))
        nodes[place].next = UInt32(count)
        return .whole
    }

    private mutating func appendString(_ kind: JSONNode.Kind, _ cursor: inout JSONCursor) -> Bool {
        guard let inside = cursor.readString() else { return false }
        let place = append(JSONNode(kind: kind, start: inside.start, count: inside.count))
        nodes[place].next = UInt32(count)
        let text = cursor.bytes.view(inside)
        var index = 0
        while index < text.count {
            guard text[index] == 0x5C else {
                index += 1
                continue
            }
            nodes[place].hasEscapes = true
            guard text[index + 1] == 0x75 else {
                index += 2
                continue
            }
            // Well-formed, since the cursor has read it.
            let value = JSONScanner.hexadecimal(text, index + 2) ?? 0
            index += 6
            guard (0xD800..<0xE000).contains(value) else { continue }
            if value < 0xDC00, index + 1 < text.count, text[index] == 0x5C, text[index + 1] == 0x75,
                let low = JSONScanner.hexadecimal(text, index + 2), (0xDC00..<0xE000).contains(low)
            {
                index += 6
            } else {
                nodes[place].isOdd = true
            }
        }
        return true
    }

    private mutating func append(_ node: JSONNode) -> Int {
        if count == capacity {
            let larger = UnsafeMutablePointer<JSONNode>.allocate(capacity: capacity * 2)
            larger.update(from: nodes, count: count)
            nodes.deallocate()
            nodes = larger
            capacity *= 2
        }
        (nodes + count).initialize(to: node)
        count += 1
        return count - 1
    }
}
