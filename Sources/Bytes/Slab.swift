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

/// Memory for elements of one type and the book-keeping of which place is lent; the two slabs differ in what they do
/// with the elements.
///
/// - Shape: blocks of 64 places that never move. A generation is odd while its place is lent and steps at each change, so
///   that stale handles differ.
@usableFromInline
struct Slots<Element: ~Copyable>: ~Copyable {
    @usableFromInline static var blockCount: Int { 64 }

    @usableFromInline var blocks: [UnsafeMutablePointer<Element>] = []
    @usableFromInline var generations: [UInt32] = []
    @usableFromInline var freeIndices: [UInt32] = []
    @usableFromInline var lentCount = 0
    @usableFromInline let capacity: Int

    @inlinable init(capacity: Int) { self.capacity = capacity }

    @inlinable deinit { for block in blocks { block.deallocate() } }

    /// Lends a place; `isNew` when no element was ever made in it.
    @inlinable mutating func take() -> (handle: Handle, isNew: Bool)? {
        guard lentCount < capacity else { return nil }
        let index: UInt32
        let isNew: Bool
        if let reused = freeIndices.popLast() {
            index = reused
            isNew = false
        } else {
            index = UInt32(generations.count)
            isNew = true
            if generations.count == blocks.count * Self.blockCount {
                blocks.append(.allocate(capacity: Self.blockCount))
            }
            generations.append(0)
        }
        // Wraps after 2^32 uses of one place, which then only weakens the stale check.
        generations[Int(index)] &+= 1
        lentCount += 1
        return (Handle(index: index, generation: generations[Int(index)]), isNew)
    }

    /// Takes a lent place back.
    @inlinable mutating func release(_ handle: Handle) {
        generations[Int(handle.index)] &+= 1
        freeIndices.append(handle.index)
        lentCount -= 1
    }

    @inlinable func find(_ handle: Handle) -> UnsafeMutablePointer<Element>? {
        guard Int(handle.index) < generations.count, handle.generation & 1 == 1,
            generations[Int(handle.index)] == handle.generation
        else { return nil }
        return pointer(at: handle.index)
    }

    @inlinable func find(index: UInt32) -> UnsafeMutablePointer<Element>? {
        guard Int(index) < generations.count, generations[Int(index)] & 1 == 1 else { return nil }
        return pointer(at: index)
    }

    @inlinable func pointer(at index: UInt32) -> UnsafeMutablePointer<Element> {
        blocks[Int(index) / Self.blockCount] + Int(index) % Self.blockCount
    }
}

/// Slots of one type for one loop, with stable addresses and checked handles.
///
/// - Shape: a pointer to a live slot stays good until it is removed.
/// - Limits: at most `capacity` live slots; `insert` then answers nil.
/// - Ownership: the slab owns the elements; `remove` ends one, the slab's end ends all.
public struct Slab<Element: ~Copyable>: ~Copyable {
    @usableFromInline var slots: Slots<Element>

    @inlinable public init(capacity: Int) { slots = Slots(capacity: capacity) }

    @inlinable deinit {
        for index in 0..<slots.generations.count { slots.find(index: UInt32(index))?.deinitialize(count: 1) }
    }

    @inlinable public var count: Int { slots.lentCount }
    @inlinable public var capacity: Int { slots.capacity }

    /// Moves `element` into a free slot; nil (and the element ends) when `capacity` slots are live.
    @inlinable public mutating func insert(_ element: consuming Element) -> Handle? {
        guard let (handle, _) = slots.take() else { return nil }
        slots.pointer(at: handle.index).initialize(to: element)
        return handle
    }

    /// The slot that `handle` names, or nil when it was removed.
    @inlinable public func find(_ handle: Handle) -> UnsafeMutablePointer<Element>? { slots.find(handle) }

    /// The live slot at `index`, or nil; for timers and walks, which know an index alone.
    @inlinable public func find(index: UInt32) -> UnsafeMutablePointer<Element>? { slots.find(index: index) }

    /// The handle of the live slot at `index`.
    @inlinable public func handle(index: UInt32) -> Handle {
        Handle(index: index, generation: slots.generations[Int(index)])
    }

    /// How many indices were ever used; walk `0 ..< usedCount` with `find(index:)`.
    @inlinable public var usedCount: Int { slots.generations.count }

    /// Ends the element that `handle` names; a stale handle does nothing.
    @inlinable public mutating func remove(_ handle: Handle) {
        guard let slot = slots.find(handle) else { return }
        slot.deinitialize(count: 1)
        slots.release(handle)
    }
}

/// Slots whose elements are made once and reused as they are, for elements that own memory worth keeping.
///
/// - Shape: as `Slab`; `take` lends a slot in whatever state its last user left it, so users reset before `release`.
/// - Limits: at most `capacity` lent slots; `take` then answers nil.
public struct RecycledSlab<Element: ~Copyable>: ~Copyable {
    @usableFromInline var slots: Slots<Element>

    @inlinable public init(capacity: Int) { slots = Slots(capacity: capacity) }

    @inlinable deinit {
        // Free slots too still hold their elements.
        for index in 0..<slots.generations.count { slots.pointer(at: UInt32(index)).deinitialize(count: 1) }
    }

    @inlinable public var count: Int { slots.lentCount }
    @inlinable public var capacity: Int { slots.capacity }

    /// Lends a free slot, its element made by `make` when none was used before.
    @inlinable public mutating func take(make: () -> Element) -> Handle? {
        guard let (handle, isNew) = slots.take() else { return nil }
        if isNew { slots.pointer(at: handle.index).initialize(to: make()) }
        return handle
    }

    /// The slot that `handle` names, or nil when it was released.
    @inlinable public func find(_ handle: Handle) -> UnsafeMutablePointer<Element>? { slots.find(handle) }

    /// The lent slot at `index`, or nil.
    @inlinable public func find(index: UInt32) -> UnsafeMutablePointer<Element>? { slots.find(index: index) }

    /// How many indices were ever used; walk `0 ..< usedCount` with `find(index:)`.
    @inlinable public var usedCount: Int { slots.generations.count }

    /// Takes a slot back, its element kept as it is; a stale handle does nothing.
    @inlinable public mutating func release(_ handle: Handle) {
        if slots.find(handle) != nil { slots.release(handle) }
    }
}
