import Bytes
import Testing

@Suite struct BlockPoolsTests {
    @Test func `a block goes back to the pool of its size and is lent again`() {
        var pools = BlockPools(blockByteCount: 32_768, keptCount: 8)
        var small = Buffer()
        var middle = Buffer()
        var large = Buffer()
        pools.attachSmall(to: &small)
        pools.attach(to: &middle)
        pools.attachLarge(to: &large)
        #expect(small.capacity == BlockPools.smallByteCount)
        #expect(middle.capacity == 32_768)
        #expect(large.capacity == 98_304)
        #expect(pools.lentCount == 3)
        let blocks = [small.writable.baseAddress, middle.writable.baseAddress, large.writable.baseAddress]
        pools.release(&large)
        pools.release(&small)
        pools.release(&middle)
        #expect(pools.lentCount == 0)
        #expect(!small.hasBlock && !middle.hasBlock && !large.hasBlock)
        pools.attach(to: &middle)
        pools.attachSmall(to: &small)
        pools.attachLarge(to: &large)
        #expect(blocks[0] == small.writable.baseAddress)
        #expect(blocks[1] == middle.writable.baseAddress)
        #expect(blocks[2] == large.writable.baseAddress)
        pools.release(&large)
        pools.release(&small)
        pools.release(&middle)
    }

    @Test func `releasing a buffer without a block changes nothing`() {
        var pools = BlockPools(blockByteCount: 8_192, keptCount: 8)
        var buffer = Buffer()
        pools.release(&buffer)
        #expect(pools.lentCount == 0)
    }
}
