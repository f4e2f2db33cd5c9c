import Bytes
import Loop
import Testing

@testable import Gateway

/// A client of a store with a loop of its own, which the test turns.
final class StoreLoop {
    let client: LimitStoreClient
    let poller: Poller
    private(set) var answers: [(handle: Handle, answers: StoreAnswers?)] = []
    private let events = UnsafeMutableBufferPointer<Readiness>.allocate(capacity: 64)
    var peers: [RedisPeer]

    init(_ settings: Settings.Redis, peers: [RedisPeer]) throws {
        events.initialize(repeating: Readiness())
        self.peers = peers
        poller = try Poller()
        client = try LimitStoreClient(
            LimitStore(settings), tls: try settings.tls?.makeContext(offersHTTP2: false), slot: 1,
            now: MonotonicClock.now())
        #expect(poller.add(client.alarm.descriptor, .read, tag: client.tag(0)) == 0)
    }

    deinit { events.deallocate() }

    /// One whose store is up.
    static func up(_ peers: [RedisPeer], deadline: Duration = .milliseconds(500)) throws -> StoreLoop {
        let loop = try StoreLoop(Settings.Redis(port: peers[0].port, deadline: deadline), peers: peers)
        try #require(loop.run { $0.client.isUp && $0.client.node?.questions.isEmpty == true })
        return loop
    }

    /// One round: what the peers have to say, then what the kernel has to tell, then what is to be sent.
    func turn(waiting milliseconds: Int32 = 1) {
        for peer in peers { peer.step() }
        let count = poller.collect(into: events, waiting: milliseconds)
        let now = MonotonicClock.now()
        for event in events[..<count] {
            client.ready(Tag.read(event.tag).handle.generation, event, poller, now: now)
        }
        client.flush(poller, now: now)
        answers += client.answered
        client.answered.removeAll()
        if let place = client.nameToResolve {
            client.nameToResolve = nil
            client.resolved(
                place, try? Resolver.resolve(host: place.host, port: place.port), poller, now: now)
        }
    }

    /// Turns until `isDone`; false when that takes more than five seconds.
    func run(until isDone: (StoreLoop) -> Bool) -> Bool {
        let end = MonotonicClock.now() + 5_000_000_000
        while !isDone(self) {
            guard MonotonicClock.now() < end else { return false }
            turn()
        }
        return true
    }

    /// Asks about buckets of one microsecond a request and a burst of `burst`.
    func ask(
        _ number: UInt32, keys: [String] = ["create:project=p"], cost: UInt64 = 1_000,
        tolerance: UInt64 = 10_000
    )
        -> Bool
    {
        var demand = StoreDemand()
        for key in keys {
            demand.keys.append(key)
            _ = demand.add(StoreDemand.Bucket(cost: cost, tolerance: tolerance))
        }
        return client.ask(Handle(index: number, generation: 1), demand, now: MonotonicClock.now())
    }
}
