import Bytes
import Glibc
import Loop
import Testing

@Suite struct SocketTests {
    static func receive(_ descriptor: Int32, upTo capacity: Int = 64) -> (answer: Int, text: String) {
        let room = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity)
        defer { room.deallocate() }
        let answer = Socket.receive(descriptor, into: room)
        return (answer, String(decoding: room[..<max(answer, 0)], as: UTF8.self))
    }

    @Test func `two listeners on one port both get connections`() throws {
        let (first, address) = try Socket.listen(.loopback(port: 0))
        let (second, same) = try Socket.listen(address)
        #expect(same == address)
        var clients: [Int32] = []
        for _ in 0..<64 {
            let connection = Socket.connect(address)
            try #require(connection.descriptor >= 0)
            try #require(waitUntilReady(connection.descriptor, POLLOUT))
            #expect(Socket.connectError(connection.descriptor) == 0)
            clients.append(connection.descriptor)
        }
        var counts = [0, 0]
        for (index, listener) in [first, second].enumerated() {
            var peer = SocketAddress.none
            while true {
                let accepted = Socket.accept(listener, from: &peer)
                guard accepted >= 0 else {
                    #expect(accepted == -EAGAIN)
                    break
                }
                #expect(peer.isLoopback && peer.port != 0)
                counts[index] += 1
                Socket.close(accepted)
            }
            Socket.close(listener)
        }
        #expect(counts[0] + counts[1] == 64)
        #expect(counts[0] > 0 && counts[1] > 0)
        for client in clients { Socket.close(client) }
    }

    @Test func `a port in use is refused with the call and the reason`() throws {
        let (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: false)
        defer { Socket.close(listener) }
        #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
            try Socket.listen(address, reusePort: false)
        }
        #expect(
            SystemError(call: "bind", code: EADDRINUSE).description
                == "bind: Address already in use (EADDRINUSE)")
        #expect(SystemError(call: "bind", code: 9_999).description == "bind: Unknown error (9999)")
    }

    @Test func `IPv6 loopback listens, connects and names both ends`() throws {
        guard let address = SocketAddress(parsing: "[::1]:0"), let pair = try? Socket.listen(address) else {
            return  // A machine without IPv6.
        }
        defer { Socket.close(pair.descriptor) }
        let connection = Socket.connect(pair.address)
        try #require(connection.descriptor >= 0)
        try #require(waitUntilReady(pair.descriptor, POLLIN))
        var peer = SocketAddress.none
        let accepted = Socket.accept(pair.descriptor, from: &peer)
        #expect(peer == Socket.localAddress(connection.descriptor))
        #expect(Socket.peerAddress(connection.descriptor) == pair.address)
        Socket.close(accepted)
        Socket.close(connection.descriptor)
    }

    @Test func `head and content leave in one call and arrive in order`() throws {
        let pair = try ConnectedPair()
        let sent = withBytes("head,") { head in
            withBytes("content") { Socket.send(pair.client, head: head, content: $0) }
        }
        #expect(sent == 12)
        try #require(waitUntilReady(pair.server, POLLIN))
        #expect(Self.receive(pair.server) == (12, "head,content"))
        #expect(Self.receive(pair.server).answer == Int(-EAGAIN))
        #expect(Socket.shutdownWrite(pair.client) == 0)
        try #require(waitUntilReady(pair.server, POLLIN))
        #expect(Self.receive(pair.server).answer == 0)
        Socket.close(pair.client)
        Socket.close(pair.server)
    }

    @Test func `a full send buffer answers EAGAIN, a gone peer EPIPE or ECONNRESET, and no signal comes`()
        throws
    {
        let pair = try ConnectedPair()
        let block = [UInt8](repeating: 0x61, count: 1 << 16)
        var answer = 0
        repeat { answer = block.withUnsafeBufferPointer { Socket.send(pair.client, $0) } } while answer > 0
        #expect(answer == Int(-EAGAIN))
        Socket.reset(pair.server)
        try #require(waitUntilReady(pair.client, POLLIN))
        answer = block.withUnsafeBufferPointer { Socket.send(pair.client, $0) }
        #expect(answer == Int(-ECONNRESET) || answer == Int(-EPIPE))
        answer = block.withUnsafeBufferPointer { Socket.send(pair.client, $0) }
        #expect(answer == Int(-EPIPE))
        Socket.close(pair.client)
    }

    @Test func `nobody listening shows as a refused connection`() throws {
        let (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: false)
        Socket.close(listener)
        let connection = Socket.connect(address)
        guard connection.isInProgress else {
            #expect(connection.descriptor == -ECONNREFUSED)
            return
        }
        try #require(waitUntilReady(connection.descriptor, POLLOUT))
        #expect(Socket.connectError(connection.descriptor) == -ECONNREFUSED)
        #expect(Socket.connectError(connection.descriptor) == 0, "asking takes the error")
        Socket.close(connection.descriptor)
    }

    @Test func `options are accepted by a TCP socket`() throws {
        let pair = try ConnectedPair()
        #expect(Socket.setNoDelay(pair.server) == 0)
        Socket.close(pair.client)
        Socket.close(pair.server)
    }

    @Test func `accepting with no descriptor left answers EMFILE, and the connection waits on`() async {
        await #expect(processExitsWith: .success) {
            let (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: false)
            let connection = Socket.connect(address)
            precondition(connection.descriptor >= 0 && waitUntilReady(listener, POLLIN))
            var old = rlimit()
            getrlimit(__rlimit_resource_t(7), &old)
            // RLIMIT_NOFILE is one more than the highest number, and numbers are given from below.
            let lowest = dup(listener)
            close(lowest)
            var tight = rlimit(rlim_cur: rlim_t(lowest), rlim_max: old.rlim_max)
            setrlimit(__rlimit_resource_t(7), &tight)
            var peer = SocketAddress.none
            precondition(Socket.accept(listener, from: &peer) == -EMFILE)
            precondition(waitUntilReady(listener, POLLIN))
            setrlimit(__rlimit_resource_t(7), &old)
            precondition(Socket.accept(listener, from: &peer) == lowest)
            precondition(DescriptorLimit.raise() == DescriptorLimit.current)
            exit(0)
        }
    }

    @Test func `a descriptor used after its close traps`() async {
        await #expect(processExitsWith: .failure) {
            let pair = try ConnectedPair()
            Socket.close(pair.client)
            _ = withBytes("x") { Socket.send(pair.client, $0) }
            exit(0)
        }
    }

    @Test(
        .enabled(if: KernelFault.isAvailable),
        arguments: [KernelFault.Call.socket, .option, .bind, .listen, .name])
    func `a listener that fails half way leaves no descriptor open`(call: KernelFault.Call) throws {
        KernelFault.fail(call, code: ENOBUFS)
        defer { KernelFault.clear() }
        do {
            _ = try Socket.listen(.loopback(port: 0))
            Issue.record("the planned failure did not happen")
        } catch {
            #expect(error.code == ENOBUFS)
        }
    }

    @Test(.enabled(if: KernelFault.isAvailable))
    func `only the nth call fails, once, and only on this thread`() throws {
        let (listener, _) = try Socket.listen(.loopback(port: 0), reusePort: false)
        defer { Socket.close(listener) }
        var peer = SocketAddress.none
        KernelFault.fail(.accept, nth: 2, code: ENFILE)
        #expect(Socket.accept(listener, from: &peer) == -EAGAIN)
        #expect(Socket.accept(listener, from: &peer) == -ENFILE)
        #expect(Socket.accept(listener, from: &peer) == -EAGAIN)
    }

    @Test func `addresses resolve without the name service, names with it, nonsense not at all`() throws {
        #expect(try Resolver.resolve(host: "192.0.2.1", port: 5).map(\.description) == ["192.0.2.1:5"])
        #expect(try Resolver.resolve(host: "[::1]", port: 5).map(\.description) == ["[::1]:5"])
        let local = try Resolver.resolve(host: "localhost", port: 80)
        #expect(!local.isEmpty && local.allSatisfy { $0.isLoopback && $0.port == 80 })
        do {
            _ = try Resolver.resolve(host: "bad..name", port: 1)
            Issue.record("a bad name was resolved")
        } catch {
            #expect(error.host == "bad..name" && error.description.hasPrefix("cannot resolve bad..name: "))
        }
    }
}
