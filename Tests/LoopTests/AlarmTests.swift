import Testing

@testable import Loop

/// The one moment at which a loop is woken.
struct AlarmTests {
    /// Milliseconds until the alarm rings; nil when it does not within `limit` milliseconds.
    private static func wait(_ poller: borrowing Poller, limit: Int32) -> Double? {
        let room = UnsafeMutableBufferPointer<Readiness>.allocate(capacity: 4)
        room.initialize(repeating: Readiness())
        defer { room.deallocate() }
        let began = MonotonicClock.now()
        guard poller.collect(into: room, waiting: limit) == 1, room[0].tag == 9, room[0].isReadable else {
            return nil
        }
        return Double(MonotonicClock.now() - began) / 1_000_000
    }

    @Test func `it rings at its moment, not before, and until it is set anew`() throws {
        let poller = try Poller()
        var alarm = try Alarm()
        let isAdded = poller.add(alarm.descriptor, .read, tag: 9)
        #expect(isAdded == 0)
        let ring1 = Self.wait(poller, limit: 0)
        #expect(ring1 == nil)
        alarm.set(MonotonicClock.now() + 5_000_000)
        let waited = Self.wait(poller, limit: 5_000)
        #expect(waited.map { $0 > 4.5 } == true)
        let ring2 = Self.wait(poller, limit: 0)
        #expect(ring2 != nil)
        alarm.replace(0)
        let ring3 = Self.wait(poller, limit: 20)
        #expect(ring3 == nil)
        let moment = alarm.moment
        #expect(moment == 0)
    }

    @Test func `an earlier moment counts, a later one is not taken`() throws {
        let poller = try Poller()
        var alarm = try Alarm()
        _ = poller.add(alarm.descriptor, .read, tag: 9)
        let now = MonotonicClock.now()
        alarm.set(now + 3_600_000_000_000)
        alarm.set(now + 7_200_000_000_000)
        var moment = alarm.moment
        #expect(moment == now + 3_600_000_000_000)
        alarm.set(now + 1_000_000)
        let ring4 = Self.wait(poller, limit: 5_000)
        #expect(ring4 != nil)
        // A moment that has come is replaced by any other.
        alarm.replace(now + 3_600_000_000_000)
        let ring5 = Self.wait(poller, limit: 0)
        #expect(ring5 == nil)
        // The past is now.
        alarm.set(0)
        let ring6 = Self.wait(poller, limit: 5_000)
        #expect(ring6 != nil)
        moment = alarm.moment
        #expect(moment == 1)
    }
}
