import Bytes
import Loop
import Testing

@testable import Gateway

/// Which requests without a good token are counted together.
struct BadTokensTests {
    private let budget = BadTokens(Settings.BadTokens(), hash: KeyedHash(key0: 1, key1: 2))
    private func key(_ text: String) -> UInt64 { budget.keys(IPAddress(parsing: text)!).debt }

    @Test func `addresses do not pay for each other`() {
        let keys = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "::1"].map(key)
        #expect(Set(keys).count == keys.count)
    }

    @Test func `an IPv6 network of 64 bits is one, and so is an address in its mapped form`() {
        #expect(key("2001:db8::1") == key("2001:db8::ffff:2"))
        #expect(key("192.0.2.1") == key("::ffff:192.0.2.1"))
    }

    @Test func `the default is a burst of twenty and one a second`() {
        #expect(budget.interval == 1_000_000_000)
        #expect(budget.tolerance == 20_000_000_000)
    }

    @Test func `what is being judged is counted beside the debt, in another bucket`() {
        let keys = budget.keys(IPAddress(v4: 7))
        #expect(!BucketKey.isAtOnce(keys.debt))
        #expect(BucketKey.isAtOnce(keys.underWay))
    }
}
