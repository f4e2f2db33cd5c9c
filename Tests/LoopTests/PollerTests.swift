import Bytes
import Dispatch
import Glibc
import Loop
import Synchronization
import Testing

/// One loop as the gateway builds it, with a body for each turn; the rest of a test talks to it by queue and
/// socket.
final class TestLoop: @unchecked Sendable {
    // Unchecked: `poller` and `places` are used on the loop's queue, or before the watch starts.
    let loop = LoopQueue(label: "test.loop")
    let box: PollerBox
    let places = UnsafeMutableBufferPointer<Readiness>.allocate(capacity: 64)

    final class PollerBox: @unchecked Sendable {
        let poller: Poller
        init() throws { poller = try Poller() }
    }

    init() throws { box = try PollerBox() }
    deinit { places.deallocate() }

    func start(_ body: @escaping (TestLoop, Readiness) -> Void) {
        loop.watch(box.poller.descriptor) { [unowned self] in
            let count = box.poller.collect(into: places)
            for index in 0..<count { body(self, places[index]) }
        }
    }

    /// Ends the watch; the poller may end afterwards.
    func stop() async {
        await withCheckedContinuation { done in
            loop.queue.async { self.loop.cancel { done.resume() } }
        }
    }
}

/// Waits for `condition` without sleeping a fixed time, at most a minute, since fdatasync waits for
/// whatever else the disk is busy with.
func eventually(_ condition: () -> Bool) async -> Bool {
    let deadline = MonotonicClock.now() + 60_000_000_000
    while MonotonicClock.now() < deadline {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(1))
    }
    return condition()
}

func withBytes<Result>(_ text: String, _ body: (ByteView) -> Result) -> Result {
    var text = text
    return text.withUTF8(body)
}

/// A connected pair over loopback: what the client holds, and what the listener gave.
struct ConnectedPair {
    let client: Int32
    let server: Int32

    init() throws {
        let (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: false)
        defer { Socket.close(listener) }
        let connection = Socket.connect(address)
        try #require(connection.descriptor >= 0)
        client = connection.descriptor
        try #require(waitUntilReady(listener, POLLIN))
        var peer = SocketAddress.none
        server = Socket.accept(listener, from: &peer)
        try #require(server >= 0)
        #expect(peer == Socket.localAddress(client))
    }
}

/// Blocks until `descriptor` shows one of `events`, at most ten seconds.
func waitUntilReady(_ descriptor: Int32, _ events: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return poll(&entry, 1, 10_000) == 1
}

@Suite struct PollerTests {
    @Test func `a byte followed by a reset always reaches the handler`() async throws {
        // The case in which a pair of Dispatch sources on one socket loses its last events (libdispatch issue
        // 833).
        let (listener, address) = try Socket.listen(.loopback(port: 0), reusePort: false)
        let loop = try TestLoop()
        let seen = Atomic<Int>(0)
        let ended = Atomic<Int>(0)
        let rounds = 300
        #expect(loop.box.poller.add(listener, .read, tag: 0) == 0)
        loop.start { loop, ready in
            if ready.tag == 0 {
                var peer = SocketAddress.none
                let accepted = Socket.accept(listener, from: &peer)
                // Both directions at once, as a connection with a short write has it.
                if accepted >= 0 {
                    _ = loop.box.poller.add(accepted, [.read, .write], tag: UInt64(accepted))
                }
                return
            }
            guard ready.isReadable || ready.isBroken else { return }
            var byte: UInt8 = 0
            let answer = withUnsafeMutableBytes(of: &byte) {
                Socket.receive(Int32(ready.tag), into: $0.assumingMemoryBound(to: UInt8.self))
            }
            if answer == 1 { seen.wrappingAdd(1, ordering: .relaxed) }
            if answer <= 0, answer != Int(-EAGAIN) {
                ended.wrappingAdd(1, ordering: .relaxed)
                // Other tests start processes, which hold every descriptor until they execute; meanwhile a
                // close alone would leave it in the set.
                _ = loop.box.poller.remove(Int32(ready.tag))
                Socket.close(Int32(ready.tag))
            }
        }
        for _ in 0..<rounds {
            let connection = Socket.connect(address)
            try #require(connection.descriptor >= 0)
            try #require(waitUntilReady(connection.descriptor, POLLOUT))
            #expect(withBytes("x") { Socket.send(connection.descriptor, $0) } == 1)
            Socket.reset(connection.descriptor)
        }
        // Linux keeps what came before the reset readable, so both the byte and the end must show.
        #expect(await eventually { ended.load(ordering: .relaxed) == rounds })
        #expect(seen.load(ordering: .relaxed) == rounds)
        await loop.stop()
        Socket.close(listener)
    }

    @Test func `an unread byte is reported again and again`() throws {
        let pair = try ConnectedPair()
        let poller = try Poller()
        #expect(poller.add(pair.server, .read, tag: 7) == 0)
        _ = withBytes("x") { Socket.send(pair.client, $0) }
        try #require(waitUntilReady(poller.descriptor, POLLIN))
        for _ in 0..<3 {
            let ready = collect(poller)
            #expect(ready.map(\.tag) == [7])
            #expect(ready[0].isReadable && !ready[0].isWritable && !ready[0].isHungUp && !ready[0].isBroken)
        }
        Socket.close(pair.client)
        Socket.close(pair.server)
    }

    @Test func `changing the interest changes what is reported`() throws {
        let pair = try ConnectedPair()
        let poller = try Poller()
        #expect(poller.add(pair.server, [], tag: 1) == 0)
        #expect(collect(poller).isEmpty)
        #expect(poller.change(pair.server, .write, tag: 2) == 0)
        #expect(collect(poller).map(\.tag) == [2])
        #expect(poller.change(pair.server, .read, tag: 3) == 0)
        #expect(collect(poller).isEmpty)
        #expect(poller.remove(pair.server) == 0)
        #expect(poller.change(pair.server, .read, tag: 3) == -ENOENT)
        Socket.close(pair.client)
        Socket.close(pair.server)
    }

    @Test func `the peer's end shows as hung up, a reset as broken`() async throws {
        let half = try ConnectedPair()
        let poller = try Poller()
        #expect(poller.add(half.server, .hangUp, tag: 1) == 0)
        #expect(Socket.shutdownWrite(half.client) == 0)
        try #require(waitUntilReady(poller.descriptor, POLLIN))
        let ending = collect(poller)
        #expect(ending.count == 1 && ending[0].isHungUp && !ending[0].isBroken)
        #expect(poller.remove(half.server) == 0)
        Socket.close(half.server)
        Socket.close(half.client)

        let cut = try ConnectedPair()
        #expect(poller.add(cut.server, [], tag: 2) == 0)
        Socket.reset(cut.client)
        try #require(waitUntilReady(poller.descriptor, POLLIN))
        let broken = collect(poller)
        #expect(broken.count == 1 && broken[0].isBroken && broken[0].tag == 2)
        Socket.close(cut.server)
        // Not at once when another test is just starting a process, which holds the descriptor until it
        // executes.
        #expect(await eventually { collect(poller).isEmpty }, "closing takes the descriptor out of the set")
    }

    @Test func `one round gives as many events as there are places`() throws {
        let poller = try Poller()
        let pairs = try (0..<5).map { _ in try ConnectedPair() }
        for (index, pair) in pairs.enumerated() {
            #expect(poller.add(pair.server, .write, tag: UInt64(index)) == 0)
        }
        #expect(collect(poller, capacity: 3).count == 3)
        #expect(Set(collect(poller, capacity: 300).map(\.tag)) == [0, 1, 2, 3, 4])
        for pair in pairs {
            Socket.close(pair.client)
            Socket.close(pair.server)
        }
    }

    @Test(.enabled(if: KernelFault.isAvailable))
    func `a poller that cannot be made says which call failed and why`() {
        KernelFault.fail(.epollCreate, code: EMFILE)
        do {
            _ = try Poller()
            Issue.record("the planned failure did not happen")
        } catch {
            #expect(error.description == "epoll_create1: Too many open files (EMFILE)")
        }
    }
}

func collect(_ poller: borrowing Poller, capacity: Int = 16) -> [Readiness] {
    let places = UnsafeMutableBufferPointer<Readiness>.allocate(capacity: capacity)
    defer { places.deallocate() }
    return Array(places[..<poller.collect(into: places)])
}
