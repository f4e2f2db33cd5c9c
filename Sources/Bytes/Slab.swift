/// Names a slot of a `Slab`; a handle of a slot that was released since finds nothing.
///
/// - Shape: index in the low half and generation in the high half of 64 bits, so it travels as an epoll tag.
public struct Handle: Equatable, Hashable, Sendable {
    public var index: UInt32
    public var generation: UInt32

    @inlinable public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    @inlinable public init(bits: UInt64) {
        index = UInt32(truncatingIfNeeded: bits)
        generation = UInt32(truncatingIfNeeded: bits >> 32)
    }

    @inlinable public var bits: UInt64 { UInt64(generation) << 32 | UInt64(index) }

    /// Names no slot: generations start at 1.
    @inlinable public static var none: Handle { Handle(index: 0, generation: 0) }
    @inlinable public var isNone: Bool { generation == 0 }
}

/// Slots of one type for one loop, with stable addresses and checked handles.
///
/// - Shape: blocks of 64 slots that never move, so a pointer to a live slot stays good until it is released.
/// - Limits: at most `capacity` live slots; `insert` then answers nil.
/// - Ownership: the slab owns the elements; `remove` ends one, the slab's end ends all.
public struct Slab<Element: ~Copyable>: ~Copyable {
    @usableFromInline static var blockSlotCount: Int { 64 }

    @usableFromInline var blocks: [UnsafeMutablePointer<Element>] = []
    // Odd: live. Even: free. Stepping by one at each insert and remove makes stale handles differ.
    @usableFromInline var generations: [UInt32] = []
    @usableFromInline var freeIndices: [UInt32] = []
    @usableFromInline var liveCount = 0
    public let capacity: Int

    @inlinable public init(capacity: Int) { self.capacity = capacity }

    @inlinable public var count: Int { liveCount }

    @inlinable deinit {
        for index in 0..<generations.count where generations[index] & 1 == 1 {
            (blocks[index / Self.blockSlotCount] + index % Self.blockSlotCount).deinitialize(count: 1)
        }
        for block in blocks { block.deallocate() }
    }

    /// Moves `element` into a free slot; nil (and the element ends) when `capacity` slots are live.
    @inlinable public mutating func insert(_ element: consuming Element) -> Handle? {
        guard liveCount < capacity else { return nil }
        let index: UInt32
        if let reused = freeIndices.popLast() {
            index = reused
        } else {
            index = UInt32(generations.count)
            if generations.count == blocks.count * Self.blockSlotCount {
                blocks.append(.allocate(capacity: Self.blockSlotCount))
            }
            generations.append(0)
        }
        pointer(at: index).initialize(to: element)
        // Wraps after 2^32 uses of one slot, which then only weakens the stale check.
        generations[Int(index)] &+= 1
        liveCount += 1
        return Handle(index: index, generation: generations[Int(index)])
    }

    /// The slot that `handle` names, or nil when it was released.
    @inlinable public func find(_ handle: Handle) -> UnsafeMutablePointer<Element>? {
        guard Int(handle.index) < generations.count, handle.generation & 1 == 1,
            generations[Int(handle.index)] == handle.generation
        else { return nil }
        return pointer(at: handle.index)
    }

    /// The live slot at `index`, or nil; for timers and walks, which know an index alone.
    @inlinable public func find(index: UInt32) -> UnsafeMutablePointer<Element>? {
        guard Int(index) < generations.count, generations[Int(index)] & 1 == 1 else { return nil }
        return pointer(at: index)
    }

    /// The handle of the live slot at `index`.
    @inlinable public func handle(index: UInt32) -> Handle {
        Handle(index: index, generation: generations[Int(index)])
    }

    /// How many indices were ever used; walk `0 ..< usedCount` with `find(index:)`.
    @inlinable public var usedCount: Int { generations.count }

    /// Ends the element that `handle` names; a stale handle does nothing.
    @inlinable public mutating func remove(_ handle: Handle) {
        guard let slot = find(handle) else { return }
        slot.deinitialize(count: 1)
        generations[Int(handle.index)] &+= 1
        freeIndices.append(handle.index)
        liveCount -= 1
    }

    @inlinable func pointer(at index: UInt32) -> UnsafeMutablePointer<Element> {
        blocks[Int(index) / Self.blockSlotCount] + Int(index) % Self.blockSlotCount
    }
}

/// Slots whose elements are made once and reused as they are, for elements that own memory worth keeping.
///
/// - Shape: as `Slab`; `take` lends a slot in whatever state its last user left it, so users reset before `release`.
/// - Limits: at most `capacity` lent slots; `take` then answers nil.
public struct RecycledSlab<Element: ~Copyable>: ~Copyable {
    @usableFromInline static var blockSlotCount: Int { 64 }

    @usableFromInline var blocks: [UnsafeMutablePointer<Element>] = []
    // Odd: lent. Even: free, though still initialized.
    @usableFromInline var generations: [UInt32] = []
    @usableFromInline var freeIndices: [UInt32] = []
    @usableFromInline var lentCount = 0
    public let capacity: Int

    @inlinable public init(capacity: Int) { self.capacity = capacity }

    @inlinable deinit {
        for index in 0..<generations.count { pointer(at: UInt32(index)).deinitialize(count: 1) }
        for block in blocks { block.deallocate() }
    }

    @inlinable public var count: Int { lentCount }

    /// Lends a free slot, made by `make` when none was used before.
    @inlinable public mutating func take(make: () -> Element) -> Handle? {
        guard lentCount < capacity else { return nil }
        let index: UInt32
        if let reused = freeIndices.popLast() {
            index = reused
        } else {
            index = UInt32(generations.count)
            if generations.count == blocks.count * Self.blockSlotCount {
                blocks.append(.allocate(capacity: Self.blockSlotCount))
            }
            generations.append(0)
            pointer(at: index).initialize(to: make())
        }
        generations[Int(index)] &+= 1  // As in `Slab`: wrapping only weakens the stale check.
        lentCount += 1
        return Handle(index: index, generation: generations[Int(index)])
    }

    /// The slot that `handle` names, or nil when it was released.
    @inlinable public func find(_ handle: Handle) -> UnsafeMutablePointer<Element>? {
        guard Int(handle.index) < generations.count, handle.generation & 1 == 1,
            generations[Int(handle.index)] == handle.generation
        else { return nil }
        return pointer(at: handle.index)
    }

    /// The lent slot at `index`, or nil.
    @inlinable public func find(index: UInt32) -> UnsafeMutablePointer<Element>? {
        guard Int(index) < generations.count, generations[Int(index)] & 1 == 1 else { return nil }
        return pointer(at: index)
    }

    /// How many indices were ever used; walk `0 ..< usedCount` with `find(index:)`.
    @inlinable public var usedCount: Int { generations.count }

    /// Takes a slot back, its element kept as it is; a stale handle does nothing.
    @inlinable public mutating func release(_ handle: Handle) {
        guard find(handle) != nil else { return }
        generations[Int(handle.index)] &+= 1
        freeIndices.append(handle.index)
        lentCount -= 1
    }

    @inlinable func pointer(at index: UInt32) -> UnsafeMutablePointer<Element> {
        blocks[Int(index) / Self.blockSlotCount] + Int(index) % Self.blockSlotCount
    }
}
