/// Coarse timers of one loop: at most one pending deadline for each node, a node being a slab index.
///
/// - Shape: four levels of 64 slots; a slot of level n spans 64ⁿ ticks of 10 ms, so the wheel reaches 45
///   hours. A node is linked into the slot of its deadline and moves down a level when the wheel gets there;
///   one beyond the reach waits in the last slot and is linked anew from there.
/// - Limits: setting and clearing are O(1); a deadline is popped by the first `popExpired` that comes at or
///   after it, rounded up to a tick.
/// - Lazy: `set` moves a node only to an earlier tick. A later deadline, which is what each read and write on
///   a live connection brings, costs one comparison; the node is then popped at its old tick, early. So the
///   owner compares the deadline it holds with the clock, and sets the node again when there is time left.
/// - Ownership: the links grow with the highest node index and are never given back while the wheel lives.
/// - Source: Varghese and Lauck, «Hashed and Hierarchical Timing Wheels», scheme 7; h2o's timerwheel.c for
///   coarseness.
public struct TimerWheel: ~Copyable {
    /// Nanoseconds in a tick.
    public static var tickNanoseconds: UInt64 { 10_000_000 }

    static var levelCount: Int { 4 }
    static var slotBits: UInt64 { 6 }
    // One slot less than a full turn of the top level, so that a deadline never lands in the slot of the
    // present.
    static var reachTicks: UInt64 { 63 << 18 }
    static var noNode: UInt32 { .max }
    static var noSlot: UInt32 { .max }

    struct Link {
        var next = TimerWheel.noNode
        var previous = TimerWheel.noNode
        var slot = TimerWheel.noSlot
        var tick: UInt64 = 0
    }

    private var links: UnsafeMutablePointer<Link>
    private var linkCount: Int
    private let firsts: UnsafeMutablePointer<UInt32>
    // A bit for each slot that holds a node, one word a level.
    private var occupied = InlineArray<4, UInt64>(repeating: 0)
    // Everything up to this tick was popped, but for what its own slot of level 0 still holds.
    private var present: UInt64
    // Where the sweep that goes on, or the last one, ends; ahead of the present only within a sweep.
    private var target: UInt64
    /// How many nodes have a pending deadline.
    public private(set) var count = 0

    /// Makes a wheel that stands at `now`, with room for `capacity` nodes before it has to grow.
    public init(now: UInt64, capacity: Int = 256) {
        present = now / Self.tickNanoseconds
        target = present
        linkCount = max(capacity, 1)
        links = .allocate(capacity: linkCount)
        links.initialize(repeating: Link(), count: linkCount)
        firsts = .allocate(capacity: Self.levelCount * 64)
        firsts.initialize(repeating: Self.noNode, count: Self.levelCount * 64)
    }

    deinit {
        links.deallocate()
        firsts.deallocate()
    }

    public var isEmpty: Bool { count == 0 }

    /// Tells whether `node` has a pending deadline.
    public func isSet(_ node: UInt32) -> Bool {
        Int(node) < linkCount && links[Int(node)].slot != Self.noSlot
    }

    /// Asks for `node` to be popped at `deadline` (nanoseconds of `MonotonicClock`), or earlier if it pends
    /// earlier.
    ///
    /// A deadline that has passed is popped with the next tick, never in the same sweep, so that a sweep
    /// ends.
    public mutating func set(_ node: UInt32, deadline: UInt64) {
        precondition(node != Self.noNode)
        if Int(node) >= linkCount { grow(to: Int(node) + 1) }
        // Rounded up: a node is never popped before its deadline because of the tick.
        let rounded = deadline / Self.tickNanoseconds + (deadline % Self.tickNanoseconds == 0 ? 0 : 1)
        let tick = max(rounded, target + 1)
        if links[Int(node)].slot != Self.noSlot {
            guard tick < links[Int(node)].tick else { return }
            unlink(node)
            count -= 1
        }
        link(node, at: tick)
        count += 1
    }

    /// Takes the pending deadline of `node` back, if it has one.
    public mutating func clear(_ node: UInt32) {
        guard isSet(node) else { return }
        unlink(node)
        count -= 1
    }

    /// Gives a node whose tick has come, and forgets its deadline; nil when no more are due.
    ///
    /// Call it until it gives nil, with the same `now`; the wheel then stands at `now`.
    public mutating func popExpired(now: UInt64) -> UInt32? {
        target = max(target, now / Self.tickNanoseconds)
        while let (level, slot, tick) = nextSlot(), tick <= target {
            present = tick
            let index = level * 64 + slot
            if level == 0 {
                let node = firsts[index]
                unlink(node)
                count -= 1
                return node
            }
            // Each node of this slot now shares its upper digits with the present, so it goes to a lower
            // level.
            while firsts[index] != Self.noNode {
                let node = firsts[index]
                unlink(node)
                link(node, at: links[Int(node)].tick)
            }
        }
        present = target
        return nil
    }

    // Lower levels come first: whatever they hold is due before the next slot of any higher level begins.
    private func nextSlot() -> (level: Int, slot: Int, tick: UInt64)? {
        for level in 0..<Self.levelCount where occupied[level] != 0 {
            let shift = Self.slotBits * UInt64(level)
            let here = (present >> shift) & 63
            let turned = occupied[level] >> here | (here == 0 ? 0 : occupied[level] << (64 - here))
            let distance = UInt64(turned.trailingZeroBitCount)
            // Counted in slots from the present's own, so that a turn of the top level needs no case of its
            // own.
            return (level, Int((here + distance) & 63), ((present >> shift) + distance) << shift)
        }
        return nil
    }

    private mutating func link(_ node: UInt32, at tick: UInt64) {
        let place = min(tick, present + Self.reachTicks)
        // The level is that of the highest digit (of six bits) in which the place differs from the present.
        let differing = UInt64(63 - ((place ^ present) | 63).leadingZeroBitCount)
        let level = min(Int(differing / Self.slotBits), Self.levelCount - 1)
        let slot = Int((place >> (Self.slotBits * UInt64(level))) & 63)
        let index = level * 64 + slot
        let old = firsts[index]
        links[Int(node)] = Link(next: old, previous: Self.noNode, slot: UInt32(index), tick: tick)
        if old != Self.noNode { links[Int(old)].previous = node }
        firsts[index] = node
        occupied[level] |= 1 << UInt64(slot)
    }

    private mutating func unlink(_ node: UInt32) {
        let link = links[Int(node)]
        if link.next != Self.noNode { links[Int(link.next)].previous = link.previous }
        if link.previous != Self.noNode {
            links[Int(link.previous)].next = link.next
        } else {
            firsts[Int(link.slot)] = link.next
            if link.next == Self.noNode { occupied[Int(link.slot / 64)] &= ~(1 << UInt64(link.slot % 64)) }
        }
        links[Int(node)].slot = Self.noSlot
    }

    @inline(never)
    private mutating func grow(to needed: Int) {
        let larger = max(needed, linkCount * 2)
        let fresh = UnsafeMutablePointer<Link>.allocate(capacity: larger)
        fresh.moveInitialize(from: links, count: linkCount)
        (fresh + linkCount).initialize(repeating: Link(), count: larger - linkCount)
        links.deallocate()
        links = fresh
        linkCount = larger
    }
}
