import Bytes
import Loop
import Testing

@testable import Gateway

/// How events find the one of several servers that takes them.
struct RedisStreamNodesTests {
    private static func isAddition(_ arguments: [String]) -> Bool { arguments[0] == "XADD" }

    private static func sentinels(_ ports: [UInt16]) -> Settings.Redis {
        var settings = Settings.Redis(port: ports[0])
        for port in ports.dropFirst() { settings.endpoints += Settings.Redis(port: port).endpoints }
        settings.master = "mymaster"
        return settings
    }

    // MARK: - Clusters

    @Test(arguments: [true, false])
    func `a slot that moved is followed with all that was not taken`(namesHost: Bool) throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let run = try RedisStreamRun(Settings.Redis(port: first.port), peers: [first, second])
        #expect(run.deliver(MadeSinkEvents(0..<2)) == nil)
        let place = "\(namesHost ? "127.0.0.1" : ""):\(second.port)"
        first.answer = {
            Self.isAddition($0) && Int($0[8])! >= 5 ? "-MOVED 3999 \(place)\r\n" : RedisPeer.allow($0)
        }
        #expect(run.send(MadeSinkEvents(2..<700, padding: 500)) == nil)
        #expect(run.send(MadeSinkEvents(700..<1_400, padding: 500)) == nil)
        #expect(run.settle() == nil)
        #expect(first.sequences.prefix(5) == [0, 1, 2, 3, 4])
        #expect(second.sequences == Array(5..<1_400))
        #expect(first.connectionCount == 1 && second.connectionCount == 1)
        // From now on it is asked first.
        let count = first.commands.count
        #expect(run.deliver(MadeSinkEvents(1_400..<1_401)) == nil)
        #expect(first.commands.count == count)
    }

    @Test func `a slot on its way is asked for at its new node, each time`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        // Peers that hold each other would never go.
        let (one, two) = (first.port, second.port)
        first.answer = { Self.isAddition($0) ? "-ASK 3999 127.0.0.1:\(two)\r\n" : RedisPeer.allow($0) }
        var mayAdd = false
        second.answer = { arguments in
            if arguments[0] == "ASKING" { mayAdd = true }
            guard Self.isAddition(arguments), !mayAdd else { return RedisPeer.allow(arguments) }
            return "-MOVED 3999 127.0.0.1:\(one)\r\n"
        }
        let run = try RedisStreamRun(Settings.Redis(port: one), peers: [first, second])
        #expect(run.deliver(MadeSinkEvents(0..<20)) == nil)
        #expect(second.sequences == Array(0..<20))
        let names = second.commands.map { $0[0] }.filter { $0 != "CLUSTER" }
        #expect(names == Array(repeating: ["ASKING", "XADD"], count: 20).flatMap { $0 })
    }

    @Test func `nodes that send events to each other are not followed for ever`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let (one, two) = (first.port, second.port)
        first.answer = { Self.isAddition($0) ? "-MOVED 1 127.0.0.1:\(two)\r\n" : RedisPeer.allow($0) }
        second.answer = { Self.isAddition($0) ? "-MOVED 1 127.0.0.1:\(one)\r\n" : RedisPeer.allow($0) }
        let run = try RedisStreamRun(Settings.Redis(port: first.port), peers: [first, second])
        #expect(run.deliver(MadeSinkEvents(0..<3)) == "the nodes send each other on")
        #expect(first.connectionCount + second.connectionCount == 1 + RedisStreamDestination.maxHopCount)
        second.answer = RedisPeer.allow
        #expect(run.deliver(MadeSinkEvents(0..<3)) == nil)
    }

    @Test func `another node of the cluster is asked when the one of the settings is gone`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let nodes = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:\(second.port)\r\n"
        first.answer = { $0[0] == "CLUSTER" ? nodes : RedisPeer.allow($0) }
        let run = try RedisStreamRun(Settings.Redis(port: first.port), peers: [first, second])
        #expect(run.deliver(MadeSinkEvents(0..<1)) == nil)
        first.close()
        #expect(run.deliver(MadeSinkEvents(1..<2)) == nil)
        #expect(second.sequences == [1])
    }

    // MARK: - Sentinels

    @Test func `Sentinels are asked in turn, and again before anything is settled`() throws {
        let (master, gone) = (try RedisPeer.allowing(), try RedisPeer())
        let sentinel = try RedisPeer.sentinel { master.port }
        gone.close()
        var settings = Self.sentinels([gone.port, sentinel.port])
        settings.password = "of the master alone"
        let run = try RedisStreamRun(settings, peers: [master, sentinel])
        #expect(run.deliver(MadeSinkEvents(0..<3)) == nil)
        #expect(run.deliver(MadeSinkEvents(3..<6)) == nil)
        let question = ["SENTINEL", "get-master-addr-by-name", "mymaster"]
        #expect(sentinel.commands.filter { $0 == question }.count == 3)
        #expect(sentinel.connectionCount == 1)
        #expect(master.commands.prefix(2).map { $0[0] } == ["AUTH", "ROLE"])
        #expect(master.sequences == Array(0..<6))
        // One that closed its connection is asked anew.
        sentinel.hangUp()
        #expect(run.deliver(MadeSinkEvents(6..<7)) == nil)
        #expect(sentinel.connectionCount == 2 && master.connectionCount == 1)
    }

    @Test func `what an old master took is not settled, and goes to the new one`() throws {
        let (old, new) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        var port = old.port
        let sentinel = try RedisPeer.sentinel { port }
        let run = try RedisStreamRun(Self.sentinels([sentinel.port]), peers: [old, new, sentinel])
        #expect(run.deliver(MadeSinkEvents(0..<2)) == nil)
        port = new.port
        let failure = try #require(run.deliver(MadeSinkEvents(2..<4)))
        #expect(failure.contains("another one is the master now, 127.0.0.1:\(new.port)"))
        #expect(run.deliver(MadeSinkEvents(2..<4)) == nil)
        #expect(new.sequences == [2, 3])
    }

    @Test func `a master that a Sentinel still names but is none is not used`() throws {
        let old = try RedisPeer.allowing()
        let port = old.port
        let sentinel = try RedisPeer.sentinel { port }
        old.answer = { $0[0] == "ROLE" ? "*2\r\n$5\r\nslave\r\n$1\r\nx\r\n" : RedisPeer.allow($0) }
        let run = try RedisStreamRun(Self.sentinels([sentinel.port]), peers: [old, sentinel])
        #expect(run.deliver(MadeSinkEvents(0..<1)) == "127.0.0.1:\(port): it is no master")
        #expect(old.additions.isEmpty)
    }

    @Test(arguments: [
        ("*-1\r\n", "the Sentinel knows no such master"),
        ("-ERR No such master with that name\r\n", "ERR No such master with that name"),
        ("*2\r\n$9\r\n127.0.0.1\r\n$5\r\n70000\r\n", "the Sentinel knows no such master"),
    ])
    func `a Sentinel that knows no master says so in the failure`(text: String, words: String) throws {
        let sentinel = try RedisPeer()
        sentinel.answer = { _ in text }
        let run = try RedisStreamRun(Self.sentinels([sentinel.port]), peers: [sentinel])
        #expect(run.deliver(MadeSinkEvents(0..<1)) == "127.0.0.1:\(sentinel.port): \(words)")
    }
}
