import Dispatch
import Loop
import Testing

@Suite struct WakerTests {
    /// What a set that watches `waker` alone tells within `milliseconds`.
    private func collect(_ poller: borrowing Poller, waiting milliseconds: Int32) -> [Readiness] {
        withUnsafeTemporaryAllocation(of: Readiness.self, capacity: 4) { places in
            places.initialize(repeating: Readiness())
            return Array(places[..<poller.collect(into: places, waiting: milliseconds)])
        }
    }

    private func watch(_ waker: Waker) throws -> Poller {
        let poller = try Poller()
        #expect(poller.add(waker.descriptor, [.read], tag: 7) == 0)
        return poller
    }

    @Test func `a letter announced before the loop waits keeps it from waiting`() throws {
        let waker = try Waker()
        waker.announce()
        #expect(!waker.mayWait())
        waker.take()
        #expect(waker.mayWait())
        waker.hasWaited()
    }

    @Test func `a letter announced while the loop does not wait costs no wake-up`() throws {
        let waker = try Waker()
        let poller = try watch(waker)
        waker.announce()
        waker.take()
        #expect(collect(poller, waiting: 0).isEmpty)
    }

    @Test func `a letter from another thread ends the wait at once`() throws {
        let waker = try Waker()
        let poller = try watch(waker)
        #expect(waker.mayWait())
        DispatchQueue.global().async { waker.announce() }
        // A minute: only the letter can end it within the time that a test has.
        let ready = collect(poller, waiting: 60_000)
        waker.hasWaited()
        #expect(ready.map(\.tag) == [7])
        waker.clear()
        #expect(collect(poller, waiting: 0).isEmpty)
        waker.take()
    }

    @Test func `a wait with nothing to tell ends by its time`() throws {
        let poller = try watch(try Waker())
        #expect(collect(poller, waiting: 1).isEmpty)
    }
}
