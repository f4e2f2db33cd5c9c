internal import Bytes

/// What a request asks of the shared store: its buckets, those of shadow rules among them.
///
/// - Shape: `keys` holds the bucket keys one after the other, without the store's prefix: `RULE:project=ID`. Written anew
///   for each request and reused, so that nothing is allocated.
/// - Limits: eight buckets; `keys` cuts nothing off: `isWhole` is false when there was no room.
struct StoreDemand: ~Copyable {
    struct Bucket {
        var key = ByteRange.empty
        /// Microseconds of debt that the request takes, or that are given back.
        var cost: UInt64 = 0
        /// The most microseconds of debt.
        var tolerance: UInt64 = 0
        /// For giving back: `StoreAnswers.Answer.paidAt` of what was taken.
        var paidAt: UInt64 = 0
        /// Charged on its own, whatever the other buckets say.
        var isShadow = false
    }

    static var maxCount: Int { 8 }

    var keys = Buffer(capacity: 8_192)
    private(set) var buckets = InlineArray<8, Bucket>(repeating: Bucket())
    private(set) var count = 0
    private var keyStart = 0

    var isWhole: Bool { !keys.hasOverflowed }

    mutating func removeAll() {
        keys.removeAll()
        count = 0
        keyStart = 0
    }

    /// Adds a bucket whose key was just appended to `keys`; false when there are eight already.
    mutating func add(_ bucket: Bucket) -> Bool {
        guard count < Self.maxCount else { return false }
        buckets[count] = bucket
        buckets[count].key = ByteRange(start: keyStart, count: keys.end - keyStart)
        keyStart = keys.end
        count += 1
        return true
    }
}

/// What the shared store said of a request's buckets, in their order.
///
/// - Shape: trivial. Nothing was taken from any enforced bucket when one of them has a `wait`.
struct StoreAnswers {
    struct Answer {
        /// Microseconds until the bucket would allow it; 0 when it does.
        var wait: UInt64 = 0
        /// Microseconds until the bucket's debt is paid, with what was taken.
        var paidIn: UInt64 = 0
        /// The same moment on the server's clock.
        var paidAt: UInt64 = 0
    }

    private var answers = InlineArray<8, Answer>(repeating: Answer())
    let count: Int

    /// Reads the reply of `StoreScript.take`; nil when it is none.
    init?(_ reply: borrowing RedisReply, count: Int) {
        guard count <= StoreDemand.maxCount, reply.elementCount() == 1 + 2 * count,
            let now = reply.integer(1), now >= 0
        else { return nil }
        self.count = count
        for index in 0..<count {
            guard let wait = reply.integer(2 + 2 * index), let paidIn = reply.integer(3 + 2 * index),
                wait >= 0,
                paidIn >= 0
            else { return nil }
            answers[index] = Answer(
                wait: UInt64(wait), paidIn: UInt64(paidIn), paidAt: UInt64(now) &+ UInt64(paidIn))
        }
    }

    subscript(_ index: Int) -> Answer { answers[index] }

    /// Whether every enforced bucket allows the request.
    func allows(_ demand: borrowing StoreDemand) -> Bool {
        for index in 0..<count where !demand.buckets[index].isShadow && answers[index].wait > 0 {
            return false
        }
        return true
    }
}
