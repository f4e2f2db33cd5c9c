import Foundation
import Testing

@testable import Gateway

/// Buckets whose places change hands while others use them.
struct BucketsContentionTests {
    @Test func `what enters buckets that push each other out leaves nothing behind`() {
        let buckets = Buckets(capacity: 8)
        let keys = (1...64).map {
            BucketKey.make(UInt64($0) &* 0x9E37_79B9_7F4A_7C15, isAtOnce: true)
        }
        // A count knows its time to the millisecond only, so that one moment is the hardest case.
        let now: UInt64 = 5_000_000_000_000
        for _ in 0..<20 {
            DispatchQueue.concurrentPerform(iterations: 6) { thread in
                for turn in 0..<20_000 {
                    let key = keys[(turn &* 7 &+ thread &* 11) % keys.count]
                    if buckets.enter(key, limit: 4, now: now)?.isTaken == true { buckets.leave(key) }
                }
            }
        }
        for key in keys { #expect(buckets.countAtOnce(key) == 0) }
    }
}
