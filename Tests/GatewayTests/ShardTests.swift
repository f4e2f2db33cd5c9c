import Bytes
import Testing

@testable import Gateway

struct ShardTests {
    /// Held for the whole run, since a view of a key must not outlive it.
    private static let keys = (0...ResponseCache.maxEntryCount).map { Content(text: "key \($0)") }
    private static func key(_ number: Int) -> Content { keys[number] }

    /// A place that must be there; the shard itself cannot go through a macro, being noncopyable.
    private static func found(_ place: Int?) throws -> Int { try #require(place) }

    /// Few hashes for many keys, so that chains form.
    private static func hash(_ number: Int) -> UInt64 { UInt64(number % 3) }

    @Test func `an inserted key is found and an equal hash of another key is not`() throws {
        var shard = Shard(maxByteCount: 10_000)
        #expect(shard.find(Self.key(0).bytes, 0) == nil)
        let index = try Self.found(shard.insert(Self.key(0), 0))
        #expect(shard.find(Self.key(0).bytes, 0) == index)
        #expect(shard.find(Self.key(3).bytes, 0) == nil)
        #expect(shard.find(Self.key(0).bytes, 1) == nil)
    }

    @Test func `the least recently used response leaves first`() throws {
        var shard = Shard(maxByteCount: 2_500)
        for number in 0..<3 {
            let index = try Self.found(shard.insert(Self.key(number), Self.hash(number)))
            shard.store(storedResponse(byteCount: 600), at: index)
            shard.evict()
        }
        #expect(shard.storedCount == 3)
        // The first is used again, so the second is now the oldest.
        shard.touch(try Self.found(shard.find(Self.key(0).bytes, Self.hash(0))))
        let index = try Self.found(shard.insert(Self.key(3), Self.hash(3)))
        shard.store(storedResponse(byteCount: 600), at: index)
        shard.evict()
        let present = (0..<4).filter { shard.find(Self.key($0).bytes, Self.hash($0)) != nil }
        #expect(present == [0, 2, 3])
        #expect(shard.evictedCount == 1)
        #expect(shard.byteCount <= 2_500)
    }

    @Test func `a key under fetch does not leave`() throws {
        var shard = Shard(maxByteCount: 1_000)
        let first = try Self.found(shard.insert(Self.key(0), 0))
        shard.begin(first, nil)
        let second = try Self.found(shard.insert(Self.key(1), 1))
        shard.store(storedResponse(byteCount: 2_000), at: second)
        shard.evict()
        #expect(shard.find(Self.key(0).bytes, 0) == first)
        #expect(shard.find(Self.key(1).bytes, 1) == nil)
    }

    @Test func `a response that replaces another is charged once`() throws {
        var shard = Shard(maxByteCount: 100_000)
        let index = try Self.found(shard.insert(Self.key(0), 0))
        let empty = shard.byteCount
        shard.store(storedResponse(byteCount: 5_000), at: index)
        shard.store(storedResponse(byteCount: 1_000), at: index)
        #expect(shard.storedCount == 1)
        #expect(shard.byteCount == empty + 1_000)
    }

    @Test func `the number of keys is bounded`() throws {
        var shard = Shard(maxByteCount: 1 << 30)
        for number in 0...ResponseCache.maxEntryCount {
            _ = try Self.found(shard.insert(Self.key(number), UInt64(number)))
        }
        #expect(shard.evictedCount == 1)
        #expect(shard.find(Self.key(0).bytes, 0) == nil)
        #expect(
            shard.find(Self.key(ResponseCache.maxEntryCount).bytes, UInt64(ResponseCache.maxEntryCount))
                != nil)
    }

    /// A shard in the most obvious way: a list in the order of use.
    private struct Model {
        struct Entry {
            var number: Int
            var byteCount: Int
            var isStored = false
            var isFetching = false
        }
        var entries: [Entry] = []
        var evictedCount = 0
        let maxByteCount: Int

        var byteCount: Int { entries.reduce(0) { $0 + $1.byteCount } }

        mutating func touch(_ number: Int) {
            guard let place = entries.firstIndex(where: { $0.number == number }) else { return }
            entries.append(entries.remove(at: place))
        }

        mutating func change(_ number: Int, _ body: (inout Entry) -> Void) {
            guard let place = entries.firstIndex(where: { $0.number == number }) else { return }
            body(&entries[place])
        }

        mutating func evict() {
            while byteCount > maxByteCount,
                let place = entries.prefix(8).firstIndex(where: { !$0.isFetching })
            {
                entries.remove(at: place)
                evictedCount += 1
            }
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a shard does what a plain list would do`(_ seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        var shard = Shard(maxByteCount: 12_000)
        var model = Model(maxByteCount: 12_000)
        for step in 0..<600 {
            let number = Int.random(in: 0..<40, using: &numbers)
            let found = shard.find(Self.key(number).bytes, Self.hash(number))
            try #require(
                (found != nil) == model.entries.contains { $0.number == number }, "seed \(seed) step \(step)")
            switch (Int.random(in: 0..<10, using: &numbers), found) {
            case (0..<3, nil):
                _ = try Self.found(shard.insert(Self.key(number), Self.hash(number)))
                model.entries.append(.init(number: number, byteCount: Self.key(number).count + 128))
            case (0..<2, let index?):
                shard.touch(index)
                model.touch(number)
            case (2..<6, let index?):
                let size = Int.random(in: 600..<2_500, using: &numbers)
                shard.store(storedResponse(byteCount: size), at: index)
                model.change(number) {
                    $0.byteCount = Self.key(number).count + 128 + size
                    $0.isStored = true
                }
                model.touch(number)
                shard.evict()
                model.evict()
            case (6..<8, let index?):
                shard.begin(index, nil)
                model.change(number) { $0.isFetching = true }
            case (_, let index?):
                shard.entries[index].isFetching = false
                model.change(number) { $0.isFetching = false }
                shard.evict()
                model.evict()
            default: break
            }
            try #require(shard.byteCount == model.byteCount, "seed \(seed) step \(step)")
            #expect(shard.storedCount == model.entries.filter(\.isStored).count, "seed \(seed) step \(step)")
            #expect(shard.evictedCount == model.evictedCount, "seed \(seed) step \(step)")
        }
    }
}
