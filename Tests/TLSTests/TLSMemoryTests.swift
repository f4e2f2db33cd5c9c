import Bytes
import COpenSSL
import Glibc
import TLS
import Testing

/// What OpenSSL allocates, counted by allocation functions put under it in a process of their own.
private enum Ledger {
    // One thread alone runs while these count.
    nonisolated(unsafe) static var byteCount = 0
    nonisolated(unsafe) static var allocationCount = 0

    /// Room before each block for its size.
    static let prefix = 16

    static func install() -> Bool {
        CRYPTO_set_mem_functions(
            { count, _, _ in Ledger.allocate(count) },
            { old, count, _, _ in
                guard let old else { return Ledger.allocate(count) }
                guard count > 0 else {
                    Ledger.release(old)
                    return nil
                }
                let oldCount = (old - Ledger.prefix).load(as: Int.self)
                guard let new = Ledger.allocate(count) else { return nil }
                memcpy(new, old, min(oldCount, count))
                Ledger.release(old)
                return new
            },
            { old, _, _ in Ledger.release(old) }) == 1
    }

    static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        guard count > 0, let block = malloc(count + prefix) else { return nil }
        block.storeBytes(of: count, as: Int.self)
        byteCount += count + prefix
        allocationCount += 1
        return block + prefix
    }

    static func release(_ old: UnsafeMutableRawPointer?) {
        guard let old else { return }
        byteCount -= (old - prefix).load(as: Int.self) + prefix
        free(old - prefix)
    }
}

/// The memory of connections that are open, idle and closed.
@Suite struct TLSMemoryTests {
    /// A connection after a handshake, a request and its answer, and the peer it is with.
    private static func connect(_ context: TLSContext, _ version: Int32) throws -> (End, RawPeer) {
        let server = try End.server(context)
        let peer = RawPeer { RawPeer.setVersions($0, version, version) }
        peer.run(with: server)
        Link.feed(peer.send(bytes("GET / HTTP/1.1\r\n\r\n")), to: server)
        guard server.take() == bytes("GET / HTTP/1.1\r\n\r\n") else { throw TLSFault("no request") }
        server.send([UInt8](repeating: 7, count: 1_000))
        peer.feed(server.takeOutgoing())
        return (server, peer)
    }

    /// What the servers' ends of `count` connections hold: OpenSSL's memory with them less that without.
    private static func measure(_ version: Int32) throws -> (held: Int, left: Int) {
        let context = try Fixture.server(tickets: TLSTicketKeys(lifetimeSeconds: 3_600, nowSeconds: 0))
        let count = 100
        // What is made once: tables, the thread's random number generator.
        for _ in 0..<3 { _ = try connect(context, version) }
        let before = Ledger.byteCount
        var peers: [RawPeer] = []
        var ends: [End] = []
        for _ in 0..<count {
            let (end, peer) = try connect(context, version)
            ends.append(end)
            peers.append(peer)
        }
        let both = Ledger.byteCount
        ends.removeAll()
        let held = (both - Ledger.byteCount) / count
        peers.removeAll()
        return (held, Ledger.byteCount - before)
    }

    @Test func `an idle connection holds little memory, and its end gives all of it back`() async throws {
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            guard Ledger.install() else { fatalError("OpenSSL was used before") }
            for version in TLSConnectionTests.versions {
                let (held, left) = try Self.measure(version)
                print(
                    "TLS: an idle connection of version \(version == TLS1_3_VERSION ? "1.3" : "1.2"): \(held) bytes"
                )
                precondition(held < 16 << 10, "held \(held)")
                precondition(left < 4 << 10, "left \(left)")
            }
        }
        print(String(decoding: result.standardOutputContent, as: UTF8.self))
    }

    @Test func `records cost no memory but OpenSSL's own`() async throws {
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            guard Ledger.install() else { fatalError("OpenSSL was used before") }
            let context = try Fixture.server()
            let (server, peer) = try Self.connect(context, TLS1_3_VERSION)
            let record = [UInt8](repeating: 7, count: 500)
            var requests: [[UInt8]] = []
            for _ in 0..<100 { requests.append(peer.send(record)) }
            // Two buffers, which are given back at once, and four small blocks of book-keeping.
            var counts: [Int] = []
            for request in requests {
                let before = Ledger.allocationCount
                Link.feed(request, to: server)
                server.send(record)
                counts.append(Ledger.allocationCount - before)
                precondition(server.take() == record)
                server.outgoing.removeAll()
            }
            print("TLS: allocations of a record received and one sent: \(counts[50])")
            precondition(counts.allSatisfy { $0 <= 6 }, "\(counts)")
        }
        print(String(decoding: result.standardOutputContent, as: UTF8.self))
    }

    @Test func `a dribbled hello holds no more than a whole one`() async {
        await #expect(processExitsWith: .success) {
            guard Ledger.install() else { fatalError("OpenSSL was used before") }
            let context = try Fixture.server()
            _ = try Self.connect(context, TLS1_3_VERSION)
            let server = try End.server(context)
            let before = Ledger.byteCount
            // A hello that claims 100,000 bytes in records of one byte, 2,000 of them.
            let body: [UInt8] = [1, 0x01, 0x86, 0xA0]
            for index in 0..<2_000 { Link.feed([22, 3, 1, 0, 1, index < 4 ? body[index] : 3], to: server) }
            precondition(Ledger.byteCount - before < 256 << 10, "\(Ledger.byteCount - before)")
        }
    }

    @Test func `contexts that are replaced give all their memory back`() async {
        await #expect(processExitsWith: .success) {
            guard Ledger.install() else { fatalError("OpenSSL was used before") }
            let keys = TLSTicketKeys(lifetimeSeconds: 3_600, nowSeconds: 0)
            func reload() throws {
                let context = try TLSContext.server(
                    certificates: [
                        Fixture.certificate("localhost-ecdsa", staple: "localhost-ecdsa.ocsp"),
                        Fixture.certificate("localhost-rsa"), Fixture.certificate("nova"),
                    ], clientCA: Fixture.path("ca.crt"), tickets: keys)
                _ = try Self.connect(context, TLS1_3_VERSION)
                let client = try Fixture.client(certificate: "client")
                let link = try Link(client, context)
                link.run()
                precondition(link.isEstablished)
                _ = try? Fixture.server(["localhost-expired"])
                _ = try? Fixture.client(ca: "ca.key")
            }
            for _ in 0..<3 { try reload() }
            let before = Ledger.byteCount
            for _ in 0..<20 { try reload() }
            precondition(Ledger.byteCount - before < 1 << 10, "\(Ledger.byteCount - before)")
        }
    }
}
