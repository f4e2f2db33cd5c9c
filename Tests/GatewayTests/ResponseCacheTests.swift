import Bytes
import Dispatch
import OpenStack
import Synchronization
import Testing

@testable import Gateway

struct ResponseCacheTests {
    private func waiter(_ number: Int) -> Waiter {
        Waiter(worker: 0, exchange: Handle(index: UInt32(number), generation: 1))
    }

    private func cache() -> ResponseCache {
        ResponseCache(maxByteCount: 1 << 20, maxObjectByteCount: 1 << 14)
    }

    @Test func `the first asks and the others wait for it`() {
        let cache = cache()
        withBytes("key") { key in
            let hash = cache.hash(key)
            #expect(cache.lead(key, hash: hash, waiter: waiter(1)) == true)
            #expect(cache.lead(key, hash: hash, waiter: waiter(2)) == false)
            #expect(cache.lead(key, hash: hash, waiter: waiter(3)) == false)
            let answered = cache.complete(key, hash: hash, stored: nil, passUntil: 0).map(\.exchange.index)
            #expect(answered == [1, 2, 3])
            #expect(cache.lead(key, hash: hash, waiter: waiter(4)) == true, "the fetch is over")
        }
    }

    @Test func `a renewal behind a stale answer has no waiter and is begun once`() {
        let cache = cache()
        withBytes("key") { key in
            let hash = cache.hash(key)
            #expect(cache.lead(key, hash: hash, waiter: nil) == true)
            #expect(cache.lead(key, hash: hash, waiter: nil) == false)
            #expect(cache.lead(key, hash: hash, waiter: waiter(1)) == false, "a miss meanwhile waits for it")
            #expect(cache.complete(key, hash: hash, stored: nil, passUntil: 0).count == 1)
        }
    }

    @Test func `who wants a new answer joins no fetch that began before`() {
        let cache = cache()
        withBytes("key") { key in
            let hash = cache.hash(key)
            #expect(cache.lead(key, hash: hash, waiter: waiter(1)) == true)
            #expect(cache.leadAlone(key, hash: hash, waiter: waiter(2)) == nil)
            #expect(cache.complete(key, hash: hash, stored: nil, passUntil: 0).count == 1)
            #expect(cache.leadAlone(key, hash: hash, waiter: waiter(2)) == true)
        }
    }

    @Test func `the number of waiters of a fetch is bounded`() {
        let cache = cache()
        withBytes("key") { key in
            let hash = cache.hash(key)
            for number in 0..<ResponseCache.maxWaiterCount {
                _ = cache.lead(key, hash: hash, waiter: waiter(number))
            }
            #expect(cache.lead(key, hash: hash, waiter: waiter(0)) == nil)
            #expect(
                cache.complete(key, hash: hash, stored: nil, passUntil: 0).count
                    == ResponseCache.maxWaiterCount)
        }
    }

    @Test func `what was completed is found until its place is needed`() {
        let cache = ResponseCache(maxByteCount: 40_000, maxObjectByteCount: 20_000)
        for number in 0..<10 {
            withBytes("key \(number)") { key in
                let hash = cache.hash(key)
                _ = cache.lead(key, hash: hash, waiter: nil)
                _ = cache.complete(key, hash: hash, stored: storedResponse(byteCount: 9_000), passUntil: 0)
                #expect(cache.find(key, hash: hash, now: 0).stored != nil)
                #expect(cache.totals().byteCount <= 40_000)
            }
        }
        let totals = cache.totals()
        #expect(totals.count == 4)
        #expect(totals.evictedCount == 6)
        withBytes("key 0") { #expect(cache.find($0, hash: cache.hash($0), now: 0).stored == nil) }
        withBytes("key 9") { #expect(cache.find($0, hash: cache.hash($0), now: 0).stored != nil) }
    }

    @Test func `what could not be kept is passed by for its time`() {
        let cache = cache()
        withBytes("key") { key in
            let hash = cache.hash(key)
            _ = cache.lead(key, hash: hash, waiter: waiter(1))
            _ = cache.complete(key, hash: hash, stored: nil, passUntil: 100)
            #expect(cache.find(key, hash: hash, now: 99).passes)
            #expect(!cache.find(key, hash: hash, now: 100).passes)
        }
    }

    @Test func `a failed renewal leaves the old response`() {
        let cache = cache()
        withBytes("key") { key in
            let hash = cache.hash(key)
            _ = cache.lead(key, hash: hash, waiter: nil)
            _ = cache.complete(key, hash: hash, stored: storedResponse(byteCount: 700), passUntil: 0)
            _ = cache.lead(key, hash: hash, waiter: nil)
            _ = cache.complete(key, hash: hash, stored: nil, passUntil: 0)
            #expect(cache.find(key, hash: hash, now: 0).stored != nil)
        }
    }

    @Test func `only what is whole and right may be stored`() {
        #expect(storedResponse(byteCount: 600).isStorable)
        #expect(!storedResponse(byteCount: 600, isPartial: true).isStorable)
        #expect(!storedResponse(byteCount: 600, status: 404).isStorable)
    }

    @Test func `with many threads each fetch has one leader and each waiter one answer`() {
        let cache = cache()
        let leaders = (0..<4).map { _ in Cell() }
        let joined = Cell()
        let answered = Cell()
        let doubled = Cell()
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            var numbers = SeededNumbers(seed: UInt64(thread))
            for _ in 0..<2_000 {
                let number = Int.random(in: 0..<4, using: &numbers)
                withBytes("key \(number)") { key in
                    let hash = cache.hash(key)
                    switch cache.lead(key, hash: hash, waiter: waiter(thread)) {
                    case true?:
                        joined.value.wrappingAdd(1, ordering: .relaxed)
                        if leaders[number].value.exchange(1, ordering: .acquiringAndReleasing) != 0 {
                            doubled.value.wrappingAdd(1, ordering: .relaxed)
                        }
                        leaders[number].value.store(0, ordering: .releasing)
                        let waiters = cache.complete(
                            key, hash: hash, stored: storedResponse(byteCount: 700), passUntil: 0)
                        answered.value.wrappingAdd(waiters.count, ordering: .relaxed)
                    case false?: joined.value.wrappingAdd(1, ordering: .relaxed)
                    case nil: break
                    }
                }
            }
        }
        #expect(doubled.value.load(ordering: .relaxed) == 0)
        #expect(answered.value.load(ordering: .relaxed) == joined.value.load(ordering: .relaxed))
        #expect(cache.totals().count == 4)
    }

    private final class Cell: Sendable { let value = Atomic<Int>(0) }
}

struct GenerationsTests {
    @Test func `a write moves its project's number and no number goes back`() {
        let generations = Generations()
        let project = withBytes("project") { Identity.hash(of: $0) }
        let before = generations.current(project)
        #expect(generations.current(project) == before)
        generations.advance(project)
        let after = generations.current(project)
        #expect(after > before)
        generations.advance(project)
        #expect(generations.current(project) > after)
    }

    @Test func `a write of one project leaves nearly all others alone`() {
        let generations = Generations()
        let projects = (0..<100).map { "project \($0)" }
        generations.advance(withBytes("the writer") { Identity.hash(of: $0) })
        let moved = projects.filter { project in
            generations.current(withBytes(project) { Identity.hash(of: $0) }) > 0
        }
        // 4,096 words: more than a few of a hundred on the same one would be a bad hash.
        #expect(moved.count <= 3)
    }
}
