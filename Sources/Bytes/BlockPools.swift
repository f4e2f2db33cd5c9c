/// Blocks of three sizes for one loop: heads of streams, everything of one connection, frames of many streams.
///
/// - Shape: `release` knows a block's pool by its size, so a buffer need not remember where its block came from.
/// - Limits: as `BlockPool`; the sizes differ, the middle one is the caller's.
public struct BlockPools: ~Copyable {
    private var small: BlockPool
    private var middle: BlockPool
    private var large: BlockPool

    /// Bytes of a small block.
    public static var smallByteCount: Int { 4_096 }

    public init(blockByteCount: Int, keptCount: Int) {
        // A middle size equal to another would make a block's pool ambiguous.
        precondition(blockByteCount > Self.smallByteCount)
        small = BlockPool(blockByteCount: Self.smallByteCount, keptCount: 4 * keptCount)
        middle = BlockPool(blockByteCount: blockByteCount, keptCount: keptCount)
        large = BlockPool(blockByteCount: max(98_304, 3 * blockByteCount), keptCount: max(8, keptCount / 8))
    }

    /// Bytes of an ordinary block.
    public var blockByteCount: Int { middle.blockByteCount }

    /// Blocks of all sizes that are in use.
    public var lentCount: Int { small.lentCount + middle.lentCount + large.lentCount }

    /// Gives `buffer` an ordinary block if it owns none.
    public mutating func attach(to buffer: inout Buffer) { middle.attach(to: &buffer) }

    /// Gives `buffer` a small block if it owns none.
    public mutating func attachSmall(to buffer: inout Buffer) { small.attach(to: &buffer) }

    /// Gives `buffer` a large block, three ordinary ones or 96 KiB, if it owns none.
    public mutating func attachLarge(to buffer: inout Buffer) { large.attach(to: &buffer) }

    /// Takes the block of `buffer` back, readable bytes forgotten.
    public mutating func release(_ buffer: inout Buffer) {
        guard buffer.hasBlock else { return }
        if buffer.capacity == small.blockByteCount {
            small.release(&buffer)
        } else if buffer.capacity == large.blockByteCount {
            large.release(&buffer)
        } else {
            middle.release(&buffer)
        }
    }
}
