import Bytes
import COpenSSL
import COpenSSLLedger
import Glibc
import TLS
import Testing

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
        let before = COpenSSLLedger_byteCount()
        var peers: [RawPeer] = []
        var ends: [End] = []
        for _ in 0..<count {
            let (end, peer) = try connect(context, version)
            ends.append(end)
            peers.append(peer)
        }
        let both = COpenSSLLedger_byteCount()
        ends.removeAll()
        let held = (both - COpenSSLLedger_byteCount()) / count
        peers.removeAll()
        return (held, COpenSSLLedger_byteCount() - before)
    }

    @Test func `what OpenSSL allocates is counted`() { #expect(COpenSSLLedger_isInstalled() == 1) }

    @Test(arguments: TLSConnectionTests.versions)
    func `an idle connection holds little memory, and its end gives all of it back`(version: Int32) throws {
        let (held, left) = try Self.measure(version)
        print(
            "TLS: an idle connection of version \(version == TLS1_3_VERSION ? "1.3" : "1.2"): \(held) bytes")
        #expect(held > 4 << 10 && held < 16 << 10)
        #expect(left < 4 << 10)
    }

    @Test func `records cost no memory but OpenSSL's own`() throws {
        let context = try Fixture.server()
        let (server, peer) = try Self.connect(context, TLS1_3_VERSION)
        let record = [UInt8](repeating: 7, count: 500)
        var requests: [[UInt8]] = []
        for _ in 0..<100 { requests.append(peer.send(record)) }
        // Two buffers, which are given back at once, and four small blocks of book-keeping.
        var counts: [Int] = []
        for request in requests {
            let before = COpenSSLLedger_allocationCount()
            Link.feed(request, to: server)
            server.send(record)
            counts.append(COpenSSLLedger_allocationCount() - before)
            #expect(server.take() == record)
            server.outgoing.removeAll()
        }
        #expect(counts.allSatisfy { $0 <= 6 }, "\(counts)")
    }

    @Test func `a dribbled hello holds no more than a whole one`() throws {
        let context = try Fixture.server()
        _ = try Self.connect(context, TLS1_3_VERSION)
        let server = try End.server(context)
        let before = COpenSSLLedger_byteCount()
        // A hello that claims 100,000 bytes in records of one byte, 2,000 of them.
        let body: [UInt8] = [1, 0x01, 0x86, 0xA0]
        for index in 0..<2_000 { Link.feed([22, 3, 1, 0, 1, index < 4 ? body[index] : 3], to: server) }
        let held = COpenSSLLedger_byteCount() - before
        #expect(held > 1 << 10 && held < 256 << 10)
    }

    @Test func `contexts that are replaced give all their memory back`() throws {
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
            #expect(link.isEstablished)
            _ = try? Fixture.server(["localhost-expired"])
            _ = try? Fixture.client(ca: "ca.key")
        }
        for _ in 0..<3 { try reload() }
        let before = COpenSSLLedger_byteCount()
        for _ in 0..<20 { try reload() }
        #expect(COpenSSLLedger_byteCount() - before < 1 << 10)
    }
}
