import Bytes
import Glibc
import TLS
import Testing

/// Contexts and keys are shared by all loops: handshakes on several threads at once, while keys change.
@Suite struct TLSSharingTests {
    /// What the threads share; each counts for itself and adds at its end.
    private final class Shared: Sendable {
        let server: TLSContext
        let client: TLSContext
        let keys: TLSTicketKeys
        let counts = Guarded((established: 0, resumed: 0))

        init() throws {
            keys = TLSTicketKeys(lifetimeSeconds: 10, nowSeconds: 0)
            server = try Fixture.server(["localhost-ecdsa", "nova", "localhost-rsa"], tickets: keys)
            client = try Fixture.client()
        }

        /// Connects `count` times to one of three endpoints, which the threads have in common.
        func connect(_ thread: Int, count: Int) {
            var (established, resumed) = (0, 0)
            for index in 0..<count {
                let endpoint = index % 3
                guard
                    let link = try? Link(
                        client, server, name: endpoint == 0 ? "nova.internal" : "localhost",
                        session: UInt64(endpoint))
                else { continue }
                link.run()
                link.client.send(bytes("request"))
                link.run()
                if link.isEstablished, link.server.take() == bytes("request") { established += 1 }
                if link.client.isResumed { resumed += 1 }
                link.client.close()
                link.run()
                if thread == 0, index % 10 == 9 { keys.rotate(nowSeconds: UInt64(index)) }
            }
            counts.withLock {
                $0.established += established
                $0.resumed += resumed
            }
        }
    }

    private final class Work: Sendable {
        let shared: Shared
        let thread: Int
        init(_ shared: Shared, _ thread: Int) { (self.shared, self.thread) = (shared, thread) }
    }

    @Test func `several threads share contexts and keys`() throws {
        let shared = try Shared()
        let (threadCount, count) = (4, 60)
        var threads: [pthread_t] = []
        for thread in 0..<threadCount {
            var made = pthread_t()
            let work = Unmanaged.passRetained(Work(shared, thread)).toOpaque()
            let result = pthread_create(
                &made, nil,
                { argument in
                    guard let argument else { return nil }
                    let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                    work.shared.connect(work.thread, count: 60)
                    return nil
                }, work)
            try #require(result == 0)
            threads.append(made)
        }
        for thread in threads { pthread_join(thread, nil) }
        let (established, resumed) = shared.counts.withLock { $0 }
        #expect(established == threadCount * count)
        // Three endpoints begin without a session, and two threads may want the same one; most find one.
        #expect(resumed > threadCount * count / 4)
        #expect(resumed <= threadCount * count - 3)
    }
}
