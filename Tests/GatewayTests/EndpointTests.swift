import Bytes
import Loop
import Testing

@testable import Gateway

struct EndpointTests {
    private static let second: UInt64 = 1_000_000_000

    private func pool(
        _ count: Int, failures: Int = 3, base: Duration = .seconds(1), max: Duration = .seconds(8)
    ) -> UpstreamPool {
        var upstream = Settings.Upstream(endpoints: [])
        upstream.ejection.failureCount = failures
        upstream.ejection.baseTime = base
        upstream.ejection.maxTime = max
        return UpstreamPool(
            upstream,
            endpoints: (0..<count).map {
                Endpoint(
                    url: "http://127.0.0.1:\(9_000 + $0)", addresses: [.loopback(port: UInt16(9_000 + $0))])
            })
    }

    @Test func `streams are used where they are known or may be hoped for`() {
        let endpoint = Endpoint(url: "https://name", addresses: [.loopback(port: 1)])
        for (word, unknown, no, yes) in [
            (Settings.UpstreamHTTP2.never, false, false, false), (.negotiated, true, false, true),
            (.always, true, true, true),
        ] {
            var settings = Settings.Upstream(endpoints: [])
            settings.http2 = word
            let pool = UpstreamPool(settings, endpoints: [endpoint])
            for (speaks, expected) in [(nil, unknown), (false, no), (true, yes)] as [(Bool?, Bool)] {
                endpoint.speaksHTTP2 = speaks
                #expect(pool.multiplexes(endpoint) == expected, "\(word) \(String(describing: speaks))")
            }
        }
    }

    @Test func `the endpoint with fewer exchanges is chosen, whatever carries them`() {
        let pool = pool(2)
        var random = RandomSource()
        pool.endpoints[0].busyCount = 1
        pool.endpoints[0].streamCount = 20
        pool.endpoints[1].busyCount = 5
        for _ in 0..<20 { #expect(pool.choose(&random, now: 0) === pool.endpoints[1]) }
        pool.endpoints[1].streamCount = 30
        for _ in 0..<20 { #expect(pool.choose(&random, now: 0) === pool.endpoints[0]) }
    }

    @Test func `failures in a row eject and a success begins anew`() {
        let pool = pool(1)
        let endpoint = pool.endpoints[0]
        endpoint.failed(0, pool)
        endpoint.failed(0, pool)
        #expect(!endpoint.isEjected(0))
        endpoint.succeeded()
        endpoint.failed(0, pool)
        endpoint.failed(0, pool)
        #expect(!endpoint.isEjected(0))
        endpoint.failed(0, pool)
        #expect(endpoint.isEjected(0))
        #expect(endpoint.failuresCount == 5)
        #expect(endpoint.ejectionsCount == 1)
    }

    @Test func `each ejection is twice as long up to the longest`() {
        let pool = pool(1, failures: 1)
        let endpoint = pool.endpoints[0]
        var now: UInt64 = 0
        for seconds in [1, 2, 4, 8, 8, 8] as [UInt64] {
            endpoint.failed(now, pool)
            #expect(endpoint.isEjected(now + seconds * Self.second - 1))
            #expect(!endpoint.isEjected(now + seconds * Self.second))
            now += seconds * Self.second
        }
        endpoint.succeeded()
        endpoint.failed(now, pool)
        #expect(!endpoint.isEjected(now + Self.second), "a success makes the next one short again")
    }

    @Test func `a failure while ejected lengthens nothing`() {
        let pool = pool(1, failures: 1)
        let endpoint = pool.endpoints[0]
        endpoint.failed(0, pool)
        endpoint.failed(Self.second / 2, pool)
        #expect(!endpoint.isEjected(Self.second))
        #expect(endpoint.ejectionsCount == 1)
    }

    @Test func `very many ejections do not overflow`() {
        let pool = pool(1, failures: 1, base: .seconds(3_600), max: .seconds(7_200))
        let endpoint = pool.endpoints[0]
        var now: UInt64 = 0
        for _ in 0..<200 {
            endpoint.failed(now, pool)
            #expect(endpoint.ejectedUntil <= now + 7_200 * Self.second)
            now = endpoint.ejectedUntil
        }
    }

    @Test func `zero failures means never`() {
        let pool = pool(1, failures: 0)
        for _ in 0..<100 { pool.endpoints[0].failed(0, pool) }
        #expect(!pool.endpoints[0].isEjected(0))
    }

    @Test func `the less busy of two is chosen and an ejected one never`() {
        let pool = pool(3, failures: 1)
        var random = RandomSource()
        pool.endpoints[0].busyCount = 10
        pool.endpoints[1].failed(0, pool)
        for _ in 0..<100 { #expect(pool.choose(&random, now: 0) === pool.endpoints[2]) }
        pool.endpoints[2].failed(0, pool)
        for _ in 0..<100 { #expect(pool.choose(&random, now: 0) === pool.endpoints[0]) }
        pool.endpoints[0].failed(0, pool)
        #expect(pool.choose(&random, now: 0) == nil)
    }

    @Test func `the endpoint that just failed is taken again only when there is no other`() {
        let pool = pool(2, failures: 1)
        var random = RandomSource()
        for _ in 0..<100 {
            #expect(pool.choose(&random, now: 0, avoiding: pool.endpoints[0]) === pool.endpoints[1])
        }
        pool.endpoints[1].failed(0, pool)
        #expect(pool.choose(&random, now: 0, avoiding: pool.endpoints[0]) === pool.endpoints[0])
        pool.endpoints[0].failed(0, pool)
        #expect(pool.choose(&random, now: 0, avoiding: pool.endpoints[0]) == nil)
        let single = self.pool(1)
        #expect(single.choose(&random, now: 0, avoiding: single.endpoints[0]) === single.endpoints[0])
    }

    @Test func `equally busy endpoints all get their share`() {
        let pool = pool(4)
        var random = RandomSource()
        var counts = [0, 0, 0, 0]
        for _ in 0..<4_000 {
            let chosen = pool.choose(&random, now: 0)
            counts[pool.endpoints.firstIndex { $0 === chosen }!] += 1
        }
        #expect(counts.allSatisfy { $0 > 700 }, "\(counts)")
    }

    @Test func `Retry-After is when the first endpoint comes back`() {
        let pool = pool(2, failures: 1)
        pool.endpoints[0].failed(0, pool)
        pool.endpoints[1].failed(Self.second / 2, pool)
        #expect(pool.retryAfterSeconds(Self.second / 2) == 1)
        let slow = self.pool(1, failures: 1, base: .seconds(8))
        slow.endpoints[0].failed(0, slow)
        #expect(slow.retryAfterSeconds(0) == 8)
        #expect(slow.retryAfterSeconds(Self.second / 2) == 8, "rounded up")
        #expect(slow.retryAfterSeconds(9 * Self.second) == 1, "at least 1")
    }

    @Test func `a failure moves on to the next address of the name`() {
        let pool = pool(0)
        let endpoint = Endpoint(url: "http://name", addresses: [.loopback(port: 1), .loopback(port: 2)])
        #expect(endpoint.address == .loopback(port: 1))
        endpoint.failed(0, pool)
        #expect(endpoint.address == .loopback(port: 2))
        endpoint.failed(0, pool)
        #expect(endpoint.address == .loopback(port: 1))
    }
}
