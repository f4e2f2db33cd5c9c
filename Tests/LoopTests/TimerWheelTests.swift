import Bytes
import Loop
import Testing

/// The same rules written down the slow way: a dictionary, searched whole in each sweep.
struct ModelWheel {
    var pending: [UInt32: UInt64] = [:]
    var sweptTo: UInt64

    init(now: UInt64) { sweptTo = now / TimerWheel.tickNanoseconds }

    mutating func set(_ node: UInt32, deadline: UInt64) {
        let rounded = (deadline + TimerWheel.tickNanoseconds - 1) / TimerWheel.tickNanoseconds
        let tick = max(rounded, sweptTo + 1)
        pending[node] = min(pending[node] ?? .max, tick)
    }

    mutating func beginSweep(_ now: UInt64) { sweptTo = max(sweptTo, now / TimerWheel.tickNanoseconds) }

    func due() -> [UInt32: UInt64] { pending.filter { $0.value <= sweptTo } }
}

/// A wheel in a class, since `#expect` takes no noncopyable values.
final class HeldWheel {
    private var wheel: TimerWheel
    init(now: UInt64, capacity: Int = 256) { wheel = TimerWheel(now: now, capacity: capacity) }
    var count: Int { wheel.count }
    var isEmpty: Bool { wheel.isEmpty }
    func isSet(_ node: UInt32) -> Bool { wheel.isSet(node) }
    func set(_ node: UInt32, deadline: UInt64) { wheel.set(node, deadline: deadline) }
    func clear(_ node: UInt32) { wheel.clear(node) }
    func popExpired(now: UInt64) -> UInt32? { wheel.popExpired(now: now) }
}

@Suite struct TimerWheelTests {
    static let millisecond: UInt64 = 1_000_000
    static let second: UInt64 = 1_000_000_000

    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func `the wheel pops what a plain search would pop, in order of time`(seed: UInt64) {
        var random = RandomSource(seed: (seed, 2, 3, 4))
        // Starts near a turn of each level, where digits carry.
        let turns: [UInt64] = [0, (1 << 6) - 1, (1 << 12) - 2, (1 << 18) - 1, (1 << 24) - 3, (1 << 30) - 1]
        var now =
            turns.randomElement(using: &random)! * TimerWheel.tickNanoseconds + random.next() % Self.second
        let wheel = HeldWheel(now: now, capacity: 1)
        var model = ModelWheel(now: now)
        var deadlines: [UInt32: UInt64] = [:]
        for _ in 0..<2_000 {
            for _ in 0..<random.next() % 8 {
                let node = UInt32(random.next() % 200)
                if random.next() % 4 == 0 {
                    wheel.clear(node)
                    model.pending[node] = nil
                    deadlines[node] = nil
                    continue
                }
                let deadline = now + Self.span(&random)
                wheel.set(node, deadline: deadline)
                model.set(node, deadline: deadline)
                deadlines[node] = min(deadlines[node] ?? .max, deadline)
            }
            now += Self.span(&random) / (random.next() % 3 == 0 ? 1 : 1_000)
            model.beginSweep(now)
            var lastTick: UInt64 = 0
            while let node = wheel.popExpired(now: now) {
                guard let tick = model.due()[node] else {
                    Issue.record(
                        "seed \(seed): node \(node) popped, the model has \(model.pending[node] ?? 0)"
                    )
                    return
                }
                #expect(tick >= lastTick, "seed \(seed)")
                #expect(deadlines[node]! <= now, "seed \(seed): never early")
                lastTick = tick
                model.pending[node] = nil
                deadlines[node] = nil
                // The lazy owner: sets again from within the sweep.
                if random.next() % 3 == 0 {
                    let deadline = now + Self.span(&random)
                    wheel.set(node, deadline: deadline)
                    model.set(node, deadline: deadline)
                    deadlines[node] = deadline
                }
            }
            #expect(model.due().isEmpty, "seed \(seed)")
            #expect(wheel.count == model.pending.count, "seed \(seed)")
            for (node, deadline) in deadlines where deadline + 2 * TimerWheel.tickNanoseconds <= now {
                Issue.record("seed \(seed): node \(node) is late, due \(deadline), now \(now)")
            }
        }
    }

    /// Up to 40 hours, small spans as likely as large ones.
    static func span(_ random: inout RandomSource) -> UInt64 {
        switch random.next() % 5 {
        case 0: return random.next() % (20 * millisecond)
        case 1: return random.next() % second
        case 2: return random.next() % (60 * second)
        case 3: return random.next() % (3_600 * second)
        default: return random.next() % (144_000 * second)
        }
    }

    @Test func `a deadline is popped neither before it nor a tick after it`() {
        let wheel = HeldWheel(now: 0)
        wheel.set(3, deadline: 25 * Self.millisecond)
        #expect(wheel.popExpired(now: 25 * Self.millisecond) == nil)
        #expect(wheel.popExpired(now: 29 * Self.millisecond) == nil)
        #expect(wheel.popExpired(now: 30 * Self.millisecond) == 3)
        #expect(wheel.isEmpty)
        wheel.set(3, deadline: 40 * Self.millisecond)
        #expect(wheel.popExpired(now: 40 * Self.millisecond) == 3, "a deadline on a tick is due on that tick")
    }

    @Test func `a later deadline leaves the node where it is, an earlier one moves it`() {
        let wheel = HeldWheel(now: 0)
        wheel.set(1, deadline: 1 * Self.second)
        wheel.set(1, deadline: 5 * Self.second)
        #expect(wheel.count == 1)
        #expect(
            wheel.popExpired(now: 1 * Self.second) == 1, "popped at the old deadline; the owner sets it again"
        )
        wheel.set(1, deadline: 5 * Self.second)
        wheel.set(1, deadline: 2 * Self.second)
        #expect(wheel.popExpired(now: 2 * Self.second) == 1)
        #expect(wheel.popExpired(now: 10 * Self.second) == nil, "one pending deadline a node")
    }

    @Test func `a passed deadline set within a sweep waits for the next tick`() {
        let wheel = HeldWheel(now: 0)
        wheel.set(1, deadline: 10 * Self.millisecond)
        let late = 5 * Self.second
        var popped = 0
        while let node = wheel.popExpired(now: late) {
            popped += 1
            wheel.set(node, deadline: 10 * Self.millisecond)
        }
        #expect(popped == 1)
        #expect(wheel.popExpired(now: late + 9 * Self.millisecond) == nil)
        #expect(wheel.popExpired(now: late + 10 * Self.millisecond) == 1)
    }

    @Test func `a deadline beyond the reach of the wheel is kept`() {
        let wheel = HeldWheel(now: 0)
        let week = 7 * 86_400 * Self.second
        wheel.set(9, deadline: week)
        wheel.set(8, deadline: .max)
        var now: UInt64 = 0
        while now < week - 3_600 * Self.second {
            now += 3_600 * Self.second
            #expect(wheel.popExpired(now: now) == nil)
        }
        #expect(wheel.popExpired(now: week - 1) == nil)
        #expect(wheel.popExpired(now: week) == 9)
        #expect(wheel.popExpired(now: 100 * week) == nil)
        #expect(wheel.isSet(8) && !wheel.isSet(9))
    }

    @Test func `clearing what is not set does nothing`() {
        let wheel = HeldWheel(now: 0, capacity: 2)
        wheel.clear(1)
        wheel.clear(100_000)
        wheel.set(100_000, deadline: Self.second)
        #expect(wheel.isSet(100_000))
        wheel.clear(100_000)
        wheel.clear(100_000)
        #expect(wheel.isEmpty && wheel.popExpired(now: 2 * Self.second) == nil)
    }

    @Test func `many nodes in one slot are all popped, also after some were cleared`() {
        let wheel = HeldWheel(now: 0)
        for node in 0..<1_000 as Range<UInt32> { wheel.set(node, deadline: Self.second) }
        for node in stride(from: UInt32(0), to: 1_000, by: 3) { wheel.clear(node) }
        var popped: Set<UInt32> = []
        while let node = wheel.popExpired(now: Self.second) { popped.insert(node) }
        #expect(popped == Set((0..<1_000).filter { $0 % 3 != 0 }))
    }
}
