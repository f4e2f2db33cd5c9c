import Bytes
import Testing

/// Counts its own ends, so that a test sees each element end once.
private final class EndCount { var count = 0 }

private struct Element: ~Copyable {
    let number: Int
    let ends: EndCount
    deinit { ends.count += 1 }
}

struct SlabTests {
    /// Inserts an element that must find room.
    private static func insert(
        _ number: Int, _ ends: EndCount, into slab: inout Slab<Element>
    ) throws -> Handle {
        let handle = slab.insert(Element(number: number, ends: ends))
        return try #require(handle)
    }

    /// The number of the element that the handle finds.
    private static func number(_ handle: Handle, in slab: borrowing Slab<Element>) -> Int? {
        slab.find(handle)?.pointee.number
    }

    @Test func `a handle finds its element until it is removed`() throws {
        let ends = EndCount()
        var slab = Slab<Element>(capacity: 4)
        let handle = try Self.insert(7, ends, into: &slab)
        let found = (Self.number(handle, in: slab), slab.find(index: handle.index)?.pointee.number)
        #expect(found == (7, 7))
        slab.remove(handle)
        let place = slab.find(index: handle.index)
        let left = (Self.number(handle, in: slab), slab.count, ends.count)
        #expect(left == (nil, 0, 1) && place == nil)
    }

    @Test func `a stale handle finds nothing in a slot that is used again`() throws {
        let ends = EndCount()
        var slab = Slab<Element>(capacity: 4)
        let stale = try Self.insert(1, ends, into: &slab)
        slab.remove(stale)
        let fresh = try Self.insert(2, ends, into: &slab)
        #expect(fresh.index == stale.index && fresh != stale)
        let ofStale = Self.number(stale, in: slab)
        #expect(ofStale == nil)
        slab.remove(stale)
        let ofFresh = (Self.number(fresh, in: slab), slab.count, ends.count)
        #expect(ofFresh == (2, 1, 1))
        let again = slab.handle(index: fresh.index)
        #expect(again == fresh)
    }

    @Test func `no handle at all, an even generation and an unknown index find nothing`() throws {
        let ends = EndCount()
        var slab = Slab<Element>(capacity: 4)
        let before = Self.number(.none, in: slab)
        #expect(before == nil)
        let handle = try Self.insert(1, ends, into: &slab)
        let even = Self.number(Handle(index: handle.index, generation: 0), in: slab)
        let unknown = Self.number(Handle(index: 9, generation: 1), in: slab)
        #expect(even == nil && unknown == nil)
        #expect(Handle.none.isNone && !handle.isNone)
    }

    @Test func `a full slab takes nothing and ends what it was given`() {
        let ends = EndCount()
        var slab = Slab<Element>(capacity: 2)
        let one = slab.insert(Element(number: 1, ends: ends))
        let two = slab.insert(Element(number: 2, ends: ends))
        let three = slab.insert(Element(number: 3, ends: ends))
        #expect(one != nil && two != nil && three == nil)
        let liveCount = slab.count
        #expect(ends.count == 1 && liveCount == 2)
    }

    @Test func `elements never move while others come and go`() throws {
        let ends = EndCount()
        var slab = Slab<Element>(capacity: 1_000)
        let first = try Self.insert(0, ends, into: &slab)
        let place = slab.find(first)
        var handles: [Handle] = []
        for number in 1..<500 { handles.append(try Self.insert(number, ends, into: &slab)) }
        let placeLater = slab.find(first)
        #expect(placeLater == place)
        for handle in handles where handle.index % 2 == 0 { slab.remove(handle) }
        let kept = (Self.number(first, in: slab), slab.usedCount)
        #expect(kept == (0, 500))
        var sum = 0
        for index in 0..<slab.usedCount { sum += slab.find(index: UInt32(index)) == nil ? 0 : 1 }
        let liveCount = slab.count
        #expect(sum == liveCount)
    }

    @Test func `the end of the slab ends every live element once`() {
        let ends = EndCount()
        do {
            var slab = Slab<Element>(capacity: 200)
            var handles: [Handle] = []
            for number in 0..<130 {
                if let it = slab.insert(Element(number: number, ends: ends)) { handles.append(it) }
            }
            slab.remove(handles[5])
            #expect(ends.count == 1)
        }
        #expect(ends.count == 130)
    }

    @Test func `a handle survives its way through 64 bits`() {
        let handle = Handle(index: .max, generation: 0x8000_0001)
        #expect(Handle(bits: handle.bits) == handle)
    }
}
