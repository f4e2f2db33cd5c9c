import Bytes
import Dispatch
import Glibc
import Loop
import Synchronization
import Testing

@Suite struct LoopQueueTests {
    @Test func `the tick runs, stops from within, and starts again`() async {
        let loop = Unshared(LoopQueue(label: "test.tick"))
        let ticks = Atomic<Int>(0)
        loop.value.tick(every: .milliseconds(2)) {
            ticks.wrappingAdd(1, ordering: .relaxed)
            if ticks.load(ordering: .relaxed) % 3 == 0 { loop.value.stopTicking() }
        }
        #expect(!loop.value.isTicking)
        loop.value.queue.async { loop.value.startTicking() }
        #expect(await eventually { ticks.load(ordering: .relaxed) == 3 })
        loop.value.queue.async { loop.value.startTicking() }
        #expect(await eventually { ticks.load(ordering: .relaxed) >= 6 })
        await withCheckedContinuation { done in
            loop.value.queue.async { loop.value.cancel { done.resume() } }
        }
    }

    @Test func `a stopped tick does not wake the loop`() async {
        let loop = Unshared(LoopQueue(label: "test.idle"))
        let other = Unshared(LoopQueue(label: "test.other"))
        let ticks = Atomic<Int>(0)
        let otherTicks = Atomic<Int>(0)
        loop.value.tick(every: .milliseconds(1)) { ticks.wrappingAdd(1, ordering: .relaxed) }
        other.value.tick(every: .milliseconds(1)) { otherTicks.wrappingAdd(1, ordering: .relaxed) }
        other.value.queue.async { other.value.startTicking() }
        // The other loop's ticks are the measure of time here.
        #expect(await eventually { otherTicks.load(ordering: .relaxed) >= 20 })
        #expect(ticks.load(ordering: .relaxed) == 0)
        for each in [loop, other] {
            await withCheckedContinuation { done in
                each.value.queue.async { each.value.cancel { done.resume() } }
            }
        }
    }

    @Test func `after cancel has ended, the poller may end and its number be reused`() async throws {
        for _ in 0..<50 {
            let loop = try TestLoop()
            let seen = Atomic<Int>(0)
            let pair = try ConnectedPair()
            loop.start { _, _ in
                seen.wrappingAdd(1, ordering: .relaxed)
                _ = SocketTests.receive(pair.server)
            }
            #expect(loop.box.poller.add(pair.server, .read, tag: 1) == 0)
            _ = withBytes("x") { Socket.send(pair.client, $0) }
            #expect(await eventually { seen.load(ordering: .relaxed) >= 1 })
            await loop.stop()
            Socket.close(pair.client)
            Socket.close(pair.server)
        }
    }

    @Test func `a signal runs the body on the queue and does not end the process`() async {
        await #expect(processExitsWith: .success) {
            let queue = DispatchQueue(label: "test.signals")
            let count = Atomic<Int>(0)
            let source = SignalSource(SIGHUP, queue: queue) {
                dispatchPrecondition(condition: .onQueue(queue))
                count.wrappingAdd(1, ordering: .relaxed)
            }
            // Before libdispatch has its handler in place, a signal is ignored; so send until one comes
            // through.
            let first = await eventually {
                kill(getpid(), SIGHUP)
                return count.load(ordering: .relaxed) > 0
            }
            let before = count.load(ordering: .relaxed)
            kill(getpid(), SIGHUP)
            let second = await eventually { count.load(ordering: .relaxed) > before }
            withExtendedLifetime(source) {}
            exit(first && second ? 0 : 1)
        }
    }

    @Test func `an ignored signal does not end the process`() async {
        await #expect(processExitsWith: .success) {
            SignalSource.ignore(SIGPIPE)
            kill(getpid(), SIGPIPE)
            exit(0)
        }
    }

    @Test func `the clocks run forward and agree with the C library`() {
        let first = MonotonicClock.now()
        let second = MonotonicClock.now()
        #expect(second >= first && first > 0)
        let wall = WallClock.now()
        #expect(abs(wall.seconds - Int64(time(nil))) <= 2)
        #expect((0..<1_000_000_000).contains(wall.nanoseconds))
    }
}

/// Lets a test capture what is confined to one queue by its own discipline.
final class Unshared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
