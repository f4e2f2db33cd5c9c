import Bytes
import Loop
import Testing

@testable import Gateway

/// How events get into a stream of a Redis that does as a test says.
struct RedisStreamTests {
    private static func run(_ peer: RedisPeer, maxEntryCount: Int? = nil) throws -> RedisStreamRun {
        try RedisStreamRun(Settings.Redis(port: peer.port), peers: [peer], maxEntryCount: maxEntryCount)
    }

    // MARK: - Commands

    @Test func `an event is an entry with its id, its place and itself`() throws {
        let peer = try RedisPeer.allowing()
        let run = try Self.run(peer)
        #expect(run.deliver(MadeSinkEvents(7..<9)) == nil)
        let expected = (7..<9).map { number in
            [
                "XADD", "gatehouse:audit", "*", "id", MadeSinkEvents.id(number), "writer",
                MadeSinkEvents.writer, "sequence", "\(number)", "event", MadeSinkEvents.content(number),
            ]
        }
        #expect(peer.additions == expected)
    }

    @Test func `a stream of bounded length is cut about there`() throws {
        let peer = try RedisPeer.allowing()
        let run = try Self.run(peer, maxEntryCount: 1_000)
        #expect(run.deliver(MadeSinkEvents(0..<1)) == nil)
        #expect(
            peer.additions.first?[...6]
                == ["XADD", "gatehouse:audit", "MAXLEN", "~", "1000", "*", "id"])
    }

    @Test func `an event without an id has its place as one`() {
        var pipeline = RedisStreamPipeline(key: "k", maxEntryCount: nil)
        for content in ["{\"target\":{\"id\":\"other\"}}", "{\"id\":7}", "{\"id\":\"\"}", "{", ""] {
            let before = pipeline.count
            withBytes(content) { content in
                withBytes("00000000000000ff") { writer in
                    pipeline.append(SinkEvent(writer: writer, sequence: 31, content: content))
                }
            }
            #expect(pipeline.count == before + 1)
            #expect(
                pipeline.firstUnsent.string.contains("id\r\n$33\r\n00000000000000ff-000000000000001f\r\n"))
            pipeline.markSent()
            pipeline.removeFirst()
        }
    }

    @Test func `a connection begins with who we are`() throws {
        let peer = try RedisPeer.allowing()
        var settings = Settings.Redis(port: peer.port)
        settings.username = "gate"
        settings.password = "a b"
        settings.database = 2
        let run = try RedisStreamRun(settings, peers: [peer])
        #expect(run.deliver(MadeSinkEvents(0..<1)) == nil)
        #expect(peer.commands.prefix(2) == [["AUTH", "gate", "a b"], ["SELECT", "2"]])
        #expect(peer.commands.count == 3 && peer.additions.count == 1)
    }

    // MARK: - Many at once

    @Test func `events stay in their order however many there are`() throws {
        let peer = try RedisPeer.allowing()
        let run = try Self.run(peer)
        for start in stride(from: 0, to: 3_000, by: 500) {
            #expect(run.send(MadeSinkEvents(start..<(start + 500), padding: 1_000)) == nil)
        }
        #expect(run.settle() == nil)
        #expect(peer.sequences == Array(0..<3_000))
        #expect(peer.connectionCount == 1)
    }

    @Test(arguments: [(0, 1_024), (100_000, 10)])
    func `so many events are on their way without an answer, and no more`(padding: Int, limit: Int) throws {
        let peer = try RedisPeer.allowing()
        let run = try Self.run(peer)
        var count = 0
        peer.answer = { [unowned run] in
            guard $0[0] == "XADD" else { return RedisPeer.allow($0) }
            count += 1
            // What is sent without a wait goes on; the wait for an answer ends.
            if count == limit { run.stop() }
            return nil
        }
        let events = MadeSinkEvents(0..<(limit + 5), padding: padding)
        #expect(run.send(events)?.contains("Gatehouse stops") == true)
        #expect(peer.additions.count == limit)
    }

    @Test func `an event that is longer than all that may be on its way goes alone`() throws {
        let peer = try RedisPeer.allowing()
        let run = try Self.run(peer)
        #expect(run.send(MadeSinkEvents(0..<3)) == nil)
        #expect(run.send(MadeSinkEvents(3..<5, padding: 2 << 20)) == nil)
        #expect(run.send(MadeSinkEvents(5..<8)) == nil)
        #expect(run.settle() == nil)
        #expect(peer.sequences == Array(0..<8))
        #expect(peer.additions[4].last == MadeSinkEvents.content(4, padding: 2 << 20))
    }

    @Test func `nothing is settled before its answer came`() throws {
        let peer = try RedisPeer.allowing()
        peer.answer = { $0[0] == "XADD" && $0[8] == "2" ? nil : RedisPeer.allow($0) }
        let run = try Self.run(peer)
        #expect(run.send(MadeSinkEvents(0..<3)) == nil)
        #expect(run.settle(within: .milliseconds(50))?.contains("no answer in time") == true)
    }

    @Test func `a sink that stops waits no longer`() throws {
        let peer = try RedisPeer.allowing()
        peer.answer = { $0[0] == "XADD" ? nil : RedisPeer.allow($0) }
        let run = try Self.run(peer)
        #expect(run.send(MadeSinkEvents(0..<1)) == nil)
        run.stop()
        #expect(run.settle(within: .seconds(600))?.contains("Gatehouse stops") == true)
    }

    // MARK: - Failures

    @Test(arguments: [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "NOAUTH Authentication required.", "OOM command not allowed when used memory > 'maxmemory'.",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "NOPERM User gate has no permissions to run the 'xadd' command", "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot", "MOVED somewhere", "ERR no such thing",
    ])
    func `an error reply is a failure with its words, until there is none`(text: String) throws {
        let peer = try RedisPeer.allowing()
        peer.answer = { $0[0] == "XADD" && $0[8] == "1" ? "-\(text)\r\n" : RedisPeer.allow($0) }
        let run = try Self.run(peer)
        #expect(run.deliver(MadeSinkEvents(0..<3)) == "127.0.0.1:\(peer.port): \(text)")
        peer.answer = RedisPeer.allow
        #expect(run.deliver(MadeSinkEvents(0..<3)) == nil)
        #expect(peer.sequences == [0, 1, 2, 0, 1, 2])
        #expect(peer.connectionCount == 2)
    }

    @Test(arguments: ["+OK\r\n", ":1\r\n", "$-1\r\n", "*0\r\n", "HTTP/1.1 400 Bad Request\r\n"])
    func `an answer that is no entry's id settles nothing`(text: String) throws {
        let peer = try RedisPeer.allowing()
        peer.answer = { $0[0] == "XADD" ? text : RedisPeer.allow($0) }
        let run = try Self.run(peer)
        let failure = try #require(run.deliver(MadeSinkEvents(0..<1)))
        #expect(failure.contains("the reply is"))
    }

    @Test(arguments: [
        "WRONGPASS invalid username-password pair or user is disabled.",
        "ERR unknown command 'AUTH', with args beginning with: 'gate' 'the-secret' ",
        "ERR unknown command `AUTH`, with args beginning with: `gate`, `the-secret`, ",
    ])
    func `refused credentials are a failure without them`(text: String) throws {
        let peer = try RedisPeer.allowing()
        peer.answer = { $0[0] == "AUTH" ? "-\(text)\r\n" : RedisPeer.allow($0) }
        var settings = Settings.Redis(port: peer.port)
        settings.username = "gate"
        settings.password = "the-secret"
        let run = try RedisStreamRun(settings, peers: [peer])
        let failure = try #require(run.deliver(MadeSinkEvents(0..<1)))
        #expect(failure.contains("AUTH: ") && failure.contains(text.prefix { $0 != " " }))
        #expect(!failure.contains("secret") && !failure.contains("gate"))
        #expect(peer.additions.isEmpty)
    }

    @Test func `a connection that ends before the answers is a failure, and the next one is new`() throws {
        let peer = try RedisPeer.allowing()
        peer.answer = { [unowned peer] in
            if $0[0] == "XADD" { peer.hangUpSoon() }
            return $0[0] == "XADD" ? nil : RedisPeer.allow($0)
        }
        let run = try Self.run(peer)
        #expect(run.deliver(MadeSinkEvents(0..<3)) != nil)
        peer.answer = RedisPeer.allow
        #expect(run.deliver(MadeSinkEvents(0..<3)) == nil)
        #expect(peer.connectionCount == 2)
        peer.close()
        #expect(run.deliver(MadeSinkEvents(3..<4)) != nil)
    }

    @Test func `a connection that was closed while it was idle is no failure`() throws {
        let peer = try RedisPeer.allowing()
        let run = try Self.run(peer)
        #expect(run.deliver(MadeSinkEvents(0..<3)) == nil)
        peer.hangUp()
        #expect(run.deliver(MadeSinkEvents(3..<6)) == nil)
        #expect(peer.sequences == Array(0..<6))
        #expect(peer.connectionCount == 2)
    }
}
