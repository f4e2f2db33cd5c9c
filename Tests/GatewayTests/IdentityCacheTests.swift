import Bytes
import Loop
import OpenStack
import Testing

@testable import Gateway

struct IdentityCacheTests {
    private let times = JudgementTimes(maxAge: 100, negativeMaxAge: 10, staleMaxAge: 1_000)
    private let digester = TokenDigester()

    private func digest(_ text: String) -> TokenDigest { withBytes(text) { digester.digest($0) } }
    private func waiter(_ worker: Int) -> Waiter { Waiter(worker: worker, exchange: .none) }
    private func identity(_ user: String, expiresAt: Int64? = nil) -> Judgement {
        .identity(Identity(userID: user, projectID: "p", roles: ["member"], expiresAt: expiresAt))
    }

    /// What a look-up said, in one word.
    private func look(
        _ shard: inout IdentityShard, _ text: String, at now: UInt64, wall: Int64? = 0,
        stale: Bool = false, mayAsk: Bool = true, worker: Int = 0
    ) -> String {
        let known = shard.look(
            digest(text), now: now, wallSeconds: wall, mayUseStale: stale, mayAsk: mayAsk,
            waiter: waiter(worker))
        switch known {
        case .judgement(.identity(let identity), let renews):
            return String(decoding: identity.userID, as: UTF8.self) + (renews ? " renew" : "")
        case .judgement(.invalid, _): return "invalid"
        case .judgement(.project(let exists), _): return exists ? "project" : "no project"
        case .judgement(.unavailable, _): return "unavailable"
        case .stale(let identity, let renews):
            return "stale " + String(decoding: identity.userID, as: UTF8.self) + (renews ? " renew" : "")
        case .unknown(let hasStale): return hasStale ? "unknown, stale" : "unknown"
        case .asked(let hasStale): return hasStale ? "asked, stale" : "asked"
        }
    }

    private func complete(
        _ shard: inout IdentityShard, _ text: String, _ judgement: Judgement, at now: UInt64,
        jitter: Double = 0
    ) -> [Int] {
        shard.complete(digest(text), judgement, now: now, jitter: jitter, times: times).map(\.worker)
    }

    @Test func `the first to ask asks, those who come meanwhile wait with it`() {
        var shard = IdentityShard(maxCount: 100)
        #expect(look(&shard, "t", at: 1, mayAsk: false) == "unknown")
        #expect(look(&shard, "t", at: 1, worker: 1) == "unknown")
        for worker in 2...1_000 { #expect(look(&shard, "t", at: 1, worker: worker) == "asked") }
        #expect(look(&shard, "other", at: 1) == "unknown")
        #expect(complete(&shard, "t", identity("u"), at: 5) == Array(1...1_000))
        #expect(look(&shard, "t", at: 6) == "u")
        #expect(complete(&shard, "t", identity("u"), at: 5) == [])
    }

    @Test
    func `a judgement is fresh for its time, renewed at four fifths of it by one, then asked about again`() {
        var shard = IdentityShard(maxCount: 100)
        #expect(complete(&shard, "t", identity("u"), at: 1_000) == [])
        #expect(look(&shard, "t", at: 1_079) == "u")
        #expect(look(&shard, "t", at: 1_080) == "u renew")
        #expect(look(&shard, "t", at: 1_081) == "u")
        #expect(look(&shard, "t", at: 1_099) == "u")
        #expect(look(&shard, "t", at: 1_100) == "asked, stale")
        #expect(complete(&shard, "t", identity("u2"), at: 1_101) == [0])
        #expect(look(&shard, "t", at: 1_102) == "u2")
        #expect(look(&shard, "t", at: 1_300) == "unknown, stale")
    }

    @Test(arguments: [(0.0, 100), (0.5, 95), (1.0, 90)])
    func `jitter shortens the time by a tenth at most`(_ jitter: Double, _ age: UInt64) {
        var shard = IdentityShard(maxCount: 100)
        _ = complete(&shard, "t", identity("u"), at: 0, jitter: jitter)
        #expect(look(&shard, "t", at: age - 1).hasPrefix("u"))
        #expect(look(&shard, "t", at: age) == "asked, stale")
    }

    @Test func `a token that ended is invalid without asking, unless that does not matter`() {
        var shard = IdentityShard(maxCount: 100)
        _ = complete(&shard, "t", identity("u", expiresAt: 50), at: 0)
        #expect(look(&shard, "t", at: 1, wall: 49) == "u")
        #expect(look(&shard, "t", at: 1, wall: 50) == "invalid")
        #expect(look(&shard, "t", at: 1, wall: nil) == "u")
    }

    @Test func `a bad token is known to be bad for seconds only`() {
        var shard = IdentityShard(maxCount: 100)
        _ = complete(&shard, "t", .invalid, at: 100)
        #expect(look(&shard, "t", at: 109) == "invalid")
        #expect(look(&shard, "t", at: 110) == "unknown")
    }

    @Test
    func
        `trouble leaves what is known, asks again a second later, and serves it past its time to those who may`()
    {
        let second: UInt64 = 1_000_000_000
        var shard = IdentityShard(maxCount: 100)
        let times = JudgementTimes(maxAge: 10 * second, negativeMaxAge: 1, staleMaxAge: 100 * second)
        _ = shard.complete(digest("t"), identity("u"), now: 0, jitter: 0, times: times)
        #expect(look(&shard, "t", at: 8 * second) == "u renew")
        #expect(
            shard.complete(
                digest("t"), .unavailable(retryAfterSeconds: 1), now: 8 * second, jitter: 0, times: times
            ).isEmpty)
        #expect(look(&shard, "t", at: 8 * second + 1) == "u")
        #expect(look(&shard, "t", at: 9 * second) == "u renew")
        _ = shard.complete(
            digest("t"), .unavailable(retryAfterSeconds: 1), now: 9 * second, jitter: 0, times: times)
        #expect(look(&shard, "t", at: 10 * second, stale: true) == "stale u renew")
        #expect(look(&shard, "t", at: 10 * second, stale: true) == "stale u")
        #expect(look(&shard, "t", at: 10 * second, stale: false) == "asked, stale")
        #expect(look(&shard, "t", at: 110 * second - 1, stale: true) == "stale u")
        #expect(look(&shard, "t", at: 110 * second, stale: true) == "asked")
    }

    @Test func `a question that was lost is asked anew, for those who waited too`() {
        var shard = IdentityShard(maxCount: 100)
        #expect(look(&shard, "t", at: 0, worker: 1) == "unknown")
        #expect(look(&shard, "t", at: 119_999_999_999, worker: 2) == "asked")
        #expect(look(&shard, "t", at: 120_000_000_000, worker: 3) == "unknown")
        #expect(complete(&shard, "t", .invalid, at: 120_000_000_001) == [1, 2, 3])
    }

    @Test func `a judgement that the upstream contradicts is dropped, but not within its first second`() {
        var shard = IdentityShard(maxCount: 100)
        _ = shard.complete(
            digest("t"), identity("u"), now: 5, jitter: 0,
            times: JudgementTimes(maxAge: 1 << 40, negativeMaxAge: 1, staleMaxAge: 1))
        shard.drop(digest("t"), now: 1_000_000_005)
        #expect(look(&shard, "t", at: 1_000_000_005) == "u")
        shard.drop(digest("t"), now: 1_000_000_006)
        #expect(look(&shard, "t", at: 1_000_000_006) == "unknown")
        shard.drop(digest("never seen"), now: 9_000_000_000)
    }

    @Test func `a loop whose clock reading is a little older finds what another loop left`() {
        var shard = IdentityShard(maxCount: 100)
        let now: UInt64 = 1 << 40
        #expect(look(&shard, "t", at: now) == "unknown")
        #expect(look(&shard, "t", at: now - 1_000) == "asked")
        #expect(complete(&shard, "t", identity("u"), at: now) == [0, 0])
        #expect(look(&shard, "t", at: now - 1_000) == "u")
        shard.drop(digest("t"), now: now - 1_000)
        #expect(look(&shard, "t", at: now - 1_000) == "u")
        #expect(complete(&shard, "t", identity("v"), at: now - 1_000) == [])
        #expect(look(&shard, "t", at: now - 1_000) == "v")
    }

    @Test func `the table holds its number, and what is found is what was put in whatever the order`() {
        var shard = IdentityShard(maxCount: 64)
        var random = SystemRandomNumberGenerator()
        var newest: [String: String] = [:]
        let times = JudgementTimes(maxAge: 1 << 40, negativeMaxAge: 1, staleMaxAge: 1)
        for step in 0..<20_000 {
            let name = "t\(random.next(upperBound: 200 as UInt32))"
            if random.next(upperBound: 8 as UInt32) == 0 {
                shard.drop(digest(name), now: 1 << 62)
                newest[name] = nil
            } else {
                _ = shard.complete(
                    digest(name), identity("u\(step)"), now: UInt64(step), jitter: 0, times: times)
                newest[name] = "u\(step)"
            }
            #expect(shard.count <= 64)
            let other = "t\(random.next(upperBound: 200 as UInt32))"
            let found = look(&shard, other, at: UInt64(step), mayAsk: false)
            let isRight = found.hasPrefix("unknown") || newest[other].map { found.hasPrefix($0) } ?? false
            #expect(isRight, "\(other) at step \(step): \(found), not \(newest[other] ?? "nothing")")
        }
        #expect(shard.evictedCount > 0)
    }

    @Test func `a digest is the HMAC-SHA-256 of RFC 4231 §4.3`() {
        let digest = withBytes("what do ya want for nothing?") {
            TokenDigester(key: Array("Jefe".utf8)).digest($0)
        }
        let words: [UInt64] = [
            0x5bdc_c146_bf60_754e, 0x6a04_2426_0895_75c7, 0x5a00_3f08_9d27_3983, 0x9dec_58b9_64ec_3843,
        ]
        for index in 0..<4 { #expect(UInt64(bigEndian: digest.words[index]) == words[index]) }
    }

    @Test func `a key longer than a block counts as its digest, as in RFC 4231 §4.7`() {
        let digest = withBytes("Test Using Larger Than Block-Size Key - Hash Key First") {
            TokenDigester(key: [UInt8](repeating: 0xAA, count: 131)).digest($0)
        }
        let words: [UInt64] = [
            0x60e4_3159_1ee0_b67f, 0x0d8a_26aa_cbf5_b77f, 0x8e0b_c621_3728_c514, 0x0546_040f_0ee3_7f54,
        ]
        for index in 0..<4 { #expect(UInt64(bigEndian: digest.words[index]) == words[index]) }
    }

    @Test func `digests differ by token, key and variant`() {
        #expect(digest("a") == digest("a"))
        #expect(digest("a") != digest("b"))
        #expect(digest("a") != withBytes("a") { TokenDigester().digest($0) })
        #expect(digest("a").variant(1) != digest("a"))
        #expect(digest("a").variant(1) != digest("a").variant(2))
        #expect(digest("a").variant(1).variant(1) == digest("a"))
    }
}
