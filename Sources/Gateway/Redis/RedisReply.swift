internal import Bytes

/// What a part of a reply is.
enum RedisKind: UInt8 {
    case string, array, integer, null, status, error
}

/// A part of a reply, in the order of the wire: an array is followed by its elements.
struct RedisNode {
    var kind: RedisKind
    /// Of an integer, its value; of an array, how many elements it has.
    var number: Int64 = 0
    /// Of a text, its place among the reply's bytes.
    var text = ByteRange.empty
}

/// A reply that was read, as flat memory that the next one uses again.
///
/// - Shape: `nodes[0]` is the reply itself. Texts stand in `bytes`, one after the other.
/// - Limits: 16,384 parts and `RedisReader.maxByteCount` bytes; a reply of more is malformed.
struct RedisReply: ~Copyable {
    static var maxNodeCount: Int { 16_384 }

    private(set) var nodes: UnsafeMutablePointer<RedisNode>
    private(set) var count = 0
    private var capacity = 32
    private(set) var bytes = Buffer(capacity: 512)

    init() { nodes = .allocate(capacity: capacity) }

    deinit { nodes.deallocate() }

    var kind: RedisKind { count > 0 ? nodes[0].kind : .null }
    var byteCount: Int { bytes.count + count * MemoryLayout<RedisNode>.stride }

    /// The text of a part; empty for an integer, a null and an array.
    func text(_ index: Int = 0) -> ByteView {
        index < count ? bytes.readable.view(nodes[index].text) : ByteView(start: nil, count: 0)
    }

    /// The value of an integer; nil for every other part.
    func integer(_ index: Int = 0) -> Int64? {
        index < count && nodes[index].kind == .integer ? nodes[index].number : nil
    }

    /// How many elements the array at `index` has; 0 for what is none.
    func elementCount(_ index: Int = 0) -> Int {
        index < count && nodes[index].kind == .array ? Int(nodes[index].number) : 0
    }

    /// The place after the part at `index` with everything in it.
    func end(of index: Int) -> Int {
        var open = 1
        var place = index
        while open > 0, place < count {
            open += elementCount(place) - 1
            place += 1
        }
        return place
    }

    mutating func removeAll() {
        count = 0
        bytes.removeAll()
        // What one long reply needed is not kept for the short ones.
        if bytes.capacity > 16_384 { bytes = Buffer(capacity: 512) }
    }

    /// False when it would be more than a reply may have.
    mutating func append(_ node: RedisNode, text: ByteView = ByteView(start: nil, count: 0)) -> Bool {
        if count == capacity {
            guard capacity < Self.maxNodeCount else { return false }
            let larger = UnsafeMutablePointer<RedisNode>.allocate(capacity: capacity * 2)
            larger.moveInitialize(from: nodes, count: count)
            nodes.deallocate()
            nodes = larger
            capacity *= 2
        }
        if bytes.room < text.count {
            let needed = bytes.count + text.count
            guard needed <= RedisReader.maxByteCount else { return false }
            bytes.enlarge(to: max(needed, min(bytes.capacity * 2, RedisReader.maxByteCount)))
        }
        var node = node
        node.text = ByteRange(start: bytes.end, count: text.count)
        bytes.append(text)
        nodes[count] = node
        count += 1
        return true
    }
}
