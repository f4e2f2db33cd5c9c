import Bytes
import Loop
import Testing

@testable import Gateway

/// How a loop's client of the shared store behaves towards a Redis that does as a test says.
struct StoreClientTests {
    // MARK: - Questions

    @Test func `a connection begins with who we are and ends its beginning with a question`() throws {
        let peer = try RedisPeer.allowing()
        var settings = Settings.Redis(port: peer.port)
        settings.username = "gate"
        settings.password = "a b"
        settings.database = 2
        let loop = try StoreLoop(settings, peers: [peer])
        #expect(loop.run { _ in peer.commands.last == ["CLUSTER", "SLOTS"] })
        #expect(peer.commands[0] == ["AUTH", "gate", "a b"])
        #expect(peer.commands[1] == ["SELECT", "2"])
        #expect(peer.commands[2...3].allSatisfy { $0[...1] == ["SCRIPT", "LOAD"] })
        #expect(peer.commands[4][0] == "EVALSHA")
        #expect(peer.commands[4][2...] == ["1", "{gatehouse}:probe", "1000", "1000000", "1"])
        #expect(loop.run { $0.client.isUp })
        #expect(loop.client.counters.reconnects == 0)
    }

    @Test func `one call asks about all buckets, in one slot of a cluster`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        #expect(loop.ask(7, keys: ["create:project=p", "all:user=u"], cost: 5, tolerance: 60))
        #expect(loop.run { $0.answers.count == 1 })
        let call = try #require(peer.commands.last)
        #expect(
            call[2...] == [
                "2", "{gatehouse}:create:project=p", "{gatehouse}:all:user=u", "5", "60", "0", "5", "60", "0",
            ])
        #expect(loop.answers[0].handle.index == 7)
        #expect(loop.answers[0].answers?.count == 2)
        #expect(loop.answers[0].answers?[1].paidAt == 1_001_000)
        #expect(loop.client.counters.calls == 1 && loop.client.counters.answers == 1)
    }

    @Test func `what is given back is told with the moment of its debt, and nobody hears of it`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        var demand = StoreDemand()
        demand.keys.append("create:project=p")
        _ = demand.add(StoreDemand.Bucket(cost: 900, paidAt: 1_795_357_770_499_614))
        loop.client.giveBack(demand, now: MonotonicClock.now())
        #expect(loop.run { _ in peer.commands.last.map(RedisPeer.isCall) == true })
        #expect(
            peer.commands.last?[2...] == ["1", "{gatehouse}:create:project=p", "900", "1795357770499614"])
        #expect(loop.run { $0.client.node?.questions.isEmpty == true })
        #expect(loop.answers.isEmpty)
    }

    @Test func `questions go on while there is room for them, and no further`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        var askedCount = 0
        while askedCount < 5_000, loop.ask(UInt32(askedCount)) { askedCount += 1 }
        #expect(askedCount > 100 && askedCount <= RedisConnection.maxQuestionCount)
        #expect(loop.run { $0.answers.count == askedCount })
        #expect(loop.answers.map(\.handle.index) == Array(0..<UInt32(askedCount)))
        // On a slow machine so many answers may take longer than a store is waited for.
        #expect(loop.run { $0.ask(1) })
    }

    // MARK: - Time

    @Test func `an overdue question is answered once, and nobody waits until its answer comes`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer], deadline: .milliseconds(10))
        var isSilent = true
        peer.answer = { isSilent && RedisPeer.isCall($0) ? nil : RedisPeer.allow($0) }
        #expect(loop.ask(1) && loop.ask(2))
        #expect(loop.run { $0.answers.count == 2 })
        #expect(loop.answers.allSatisfy { $0.answers == nil })
        #expect(loop.client.isSuspect && loop.client.isUp)
        #expect(!loop.ask(3))
        #expect(loop.client.counters.late == 2 && loop.client.counters.calls == 2)
        // The answers, late as they are.
        isSilent = false
        peer.send(RedisPeer.allow(["EVALSHA", "", "1"]) + RedisPeer.allow(["EVALSHA", "", "1"]))
        #expect(loop.run { !$0.client.isSuspect })
        #expect(loop.ask(4))
        #expect(loop.run { $0.answers.count == 3 })
        #expect(loop.answers[2].handle.index == 4 && loop.answers[2].answers != nil)
        #expect(peer.connectionCount == 1)
    }

    @Test func `a store that is silent for long is away, and comes back by itself`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer], deadline: .milliseconds(10))
        var isSilent = true
        peer.answer = { isSilent ? nil : RedisPeer.allow($0) }
        #expect(loop.ask(1))
        #expect(loop.run { $0.client.isAway })
        #expect(loop.answers.count == 1 && loop.answers[0].answers == nil)
        #expect(!loop.ask(2))
        // Connecting is not enough: it has to answer in time.
        let before = peer.connectionCount
        #expect(loop.run { _ in peer.connectionCount > before + 1 })
        #expect(loop.client.isAway)
        isSilent = false
        #expect(loop.run { $0.client.isUp })
        #expect(loop.client.counters.reconnects == 1)
        #expect(loop.ask(3))
        #expect(loop.run { $0.answers.count == 2 })
        #expect(loop.answers[1].answers != nil)
    }

    // MARK: - Ends

    @Test func `a connection that ends tells everybody once`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        peer.answer = { RedisPeer.isCall($0) ? nil : RedisPeer.allow($0) }
        for number in 1...3 { #expect(loop.ask(UInt32(number))) }
        #expect(loop.run { _ in peer.commands.filter(RedisPeer.isCall).count == 3 })
        peer.hangUp()
        #expect(loop.run { $0.client.isAway })
        #expect(loop.answers.map(\.handle.index) == [1, 2, 3])
        #expect(loop.answers.allSatisfy { $0.answers == nil })
        #expect(loop.client.counters.errors == 3)
        peer.answer = RedisPeer.allow
        #expect(loop.run { $0.client.isUp })
        #expect(loop.answers.count == 3)
    }

    @Test func `a server that closes what is idle is connected again without being away`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        peer.hangUp()
        var wasAway = false
        #expect(
            loop.run {
                wasAway = wasAway || $0.client.isAway
                return peer.connectionCount == 2 && $0.client.phase == .up
            })
        #expect(!wasAway)
        #expect(loop.client.counters.reconnects == 1)
    }

    @Test(arguments: [
        "$2000000\r\n" + String(repeating: "x", count: 1_200_000), "what?\r\n", ":1\r\n:2\r\n:3\r\n",
    ])
    func `a reply that is none ends the connection`(text: String) throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        peer.answer = { RedisPeer.isCall($0) ? text : RedisPeer.allow($0) }
        #expect(loop.ask(1))
        #expect(loop.run { $0.client.isAway })
        #expect(loop.answers.count == 1 && loop.answers[0].answers == nil)
    }

    @Test func `a store that leaves answers what it was asked and closes`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        #expect(loop.ask(1))
        loop.client.leave()
        #expect(!loop.ask(2))
        #expect(!loop.client.hasLeft())
        #expect(loop.run { $0.answers.count == 1 })
        #expect(loop.answers[0].answers != nil)
        #expect(loop.client.hasLeft())
        #expect(loop.client.node == nil)
    }
}
