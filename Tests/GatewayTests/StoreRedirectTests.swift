import Bytes
import Loop
import Testing

@testable import Gateway

/// What error replies make of a question to the shared store.
struct StoreRedirectTests {
    @Test func `a server without the script gets it whole, once`() throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        var isKnown = false
        peer.answer = {
            if $0[0] == "EVALSHA", !isKnown { return "-NOSCRIPT No matching script.\r\n" }
            isKnown = isKnown || $0[0] == "EVAL"
            return RedisPeer.allow($0)
        }
        #expect(loop.ask(1, keys: ["a", "b", "c"]))
        #expect(loop.run { $0.answers.count == 1 })
        #expect(loop.answers[0].answers?.count == 3)
        let calls = peer.calls
        #expect(calls.map { $0[0] } == ["EVALSHA", "EVAL"])
        #expect(calls[0][2...] == calls[1][2...])
        #expect(calls[1][1].contains("redis.call('TIME')"))
        #expect(loop.ask(2))
        #expect(loop.run { $0.answers.count == 2 })
        #expect(peer.calls.last?[0] == "EVALSHA")
    }

    @Test func `a slot that moved is followed for good`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let loop = try StoreLoop.up([first, second])
        first.answer = {
            RedisPeer.isCall($0) ? "-MOVED 3999 127.0.0.1:\(second.port)\r\n" : RedisPeer.allow($0)
        }
        // Both are on their way before the first one is sent on.
        #expect(loop.ask(1) && loop.ask(2))
        #expect(loop.run { $0.answers.count == 2 })
        #expect(loop.answers.allSatisfy { $0.answers != nil })
        #expect(second.calls.count == 2)
        #expect(second.connectionCount == 1)
        #expect(loop.ask(3))
        #expect(loop.run { $0.answers.count == 3 })
        #expect(first.calls.count == 2 && second.calls.count == 3)
        #expect(loop.client.isUp)
    }

    @Test func `a slot on its way is asked for at its new node this once`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let loop = try StoreLoop.up([first, second])
        first.answer = {
            RedisPeer.isCall($0) && $0[3].contains("new")
                ? "-ASK 3999 :\(second.port)\r\n" : RedisPeer.allow($0)
        }
        var isKnown = false
        second.answer = {
            // Scripts are not there yet, and every call needs its own ASKING.
            if $0[0] == "EVALSHA", !isKnown { return "-NOSCRIPT No matching script.\r\n" }
            isKnown = isKnown || $0[0] == "EVAL"
            return RedisPeer.allow($0)
        }
        #expect(loop.ask(1, keys: ["new"]))
        #expect(loop.run { $0.answers.count == 1 })
        #expect(loop.answers[0].answers != nil)
        let names = second.commands.map { $0[0] }.filter { $0 != "SCRIPT" }
        #expect(names == ["ASKING", "EVALSHA", "ASKING", "EVAL"])
        #expect(loop.ask(2, keys: ["old"]))
        #expect(loop.run { $0.answers.count == 2 })
        #expect(first.calls.last?[3] == "{gatehouse}:old")
        #expect(loop.client.node?.address.port == first.port)
    }

    @Test func `nodes that send a question to each other are not followed for ever`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let loop = try StoreLoop.up([first, second])
        let (one, two) = (first.port, second.port)
        first.answer = { RedisPeer.isCall($0) ? "-MOVED 1 127.0.0.1:\(two)\r\n" : RedisPeer.allow($0) }
        second.answer = { RedisPeer.isCall($0) ? "-MOVED 1 127.0.0.1:\(one)\r\n" : RedisPeer.allow($0) }
        #expect(loop.ask(1))
        #expect(loop.run { $0.answers.count == 1 })
        #expect(loop.answers[0].answers == nil)
        #expect(first.calls.count + second.calls.count <= 6)
    }

    @Test func `a seed that has moved on leads to the node that has the keys`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        first.answer = {
            $0[0].hasPrefix("EVAL") ? "-MOVED 1 127.0.0.1:\(second.port)\r\n" : RedisPeer.allow($0)
        }
        let loop = try StoreLoop(Settings.Redis(port: first.port), peers: [first, second])
        #expect(loop.run { $0.client.isUp })
        #expect(loop.client.node?.address.port == second.port)
        #expect(loop.ask(1))
        #expect(loop.run { $0.answers.count == 1 })
        #expect(loop.answers[0].answers != nil)
    }

    @Test func `another node of the cluster is asked when the one of the settings is gone`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let nodes = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:\(second.port)\r\n"
        first.answer = { $0[0] == "CLUSTER" ? nodes : RedisPeer.allow($0) }
        let loop = try StoreLoop(Settings.Redis(port: first.port), peers: [first, second])
        #expect(loop.run { $0.client.places.count == 2 })
        first.close()
        #expect(loop.run { $0.client.isAway })
        #expect(loop.run { $0.client.isUp })
        #expect(loop.client.node?.address.port == second.port)
    }

    @Test(arguments: [
        "WRONGTYPE Operation against a key holding the wrong kind of value", "TRYAGAIN Multiple keys",
    ])
    func `an error that is about the question alone leaves the store up`(text: String) throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        peer.answer = { RedisPeer.isCall($0) ? "-\(text)\r\n" : RedisPeer.allow($0) }
        #expect(loop.ask(1))
        #expect(loop.run { $0.answers.count == 1 })
        #expect(loop.answers[0].answers == nil)
        #expect(loop.client.isUp && loop.ask(2))
        #expect(peer.connectionCount == 1)
    }

    @Test(arguments: [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "OOM command not allowed when used memory > 'maxmemory'.", "NOAUTH Authentication required.",
    ])
    func `a server that cannot do it is away until it can`(text: String) throws {
        let peer = try RedisPeer.allowing()
        let loop = try StoreLoop.up([peer])
        peer.answer = { $0[0].hasPrefix("EVAL") ? "-\(text)\r\n" : RedisPeer.allow($0) }
        #expect(loop.ask(1) && loop.ask(2))
        #expect(loop.run { $0.client.isAway })
        #expect(loop.answers.map(\.handle.index) == [1, 2])
        #expect(loop.answers.allSatisfy { $0.answers == nil })
        let before = peer.connectionCount
        #expect(loop.run { _ in peer.connectionCount >= before + 2 })
        #expect(loop.client.isAway)
        peer.answer = RedisPeer.allow
        #expect(loop.run { $0.client.isUp })
    }

    @Test func `a password that is refused keeps the store away`() throws {
        let peer = try RedisPeer.allowing()
        peer.answer = {
            $0[0] == "AUTH" ? "-WRONGPASS invalid username-password pair\r\n" : RedisPeer.allow($0)
        }
        var settings = Settings.Redis(port: peer.port)
        settings.password = "wrong"
        let loop = try StoreLoop(settings, peers: [peer])
        #expect(loop.run { $0.client.isAway })
        #expect(!loop.ask(1))
    }

    @Test func `a Sentinel is asked for the master, and asked again when it is none any more`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        let gone = try RedisPeer()
        var master = first.port
        let sentinel = try RedisPeer.sentinel { master }
        gone.close()
        var settings = Settings.Redis(port: gone.port)
        settings.endpoints += Settings.Redis(port: sentinel.port).endpoints
        settings.master = "mymaster"
        settings.password = "of the master alone"
        let loop = try StoreLoop(settings, peers: [first, second, sentinel])
        #expect(loop.run { $0.client.isUp })
        #expect(sentinel.commands.last == ["SENTINEL", "get-master-addr-by-name", "mymaster"])
        #expect(first.commands.contains(["ROLE"]))
        #expect(loop.ask(1))
        #expect(loop.run { $0.answers.count == 1 })
        #expect(first.calls.count == 1)

        // A fail-over: the old master is a replica, and says so.
        master = second.port
        first.answer = { arguments in
            switch arguments[0] {
            case "ROLE": "*2\r\n$5\r\nslave\r\n$1\r\nx\r\n"
            case "EVAL", "EVALSHA": "-READONLY You can't write against a read only replica.\r\n"
            default: "+OK\r\n"
            }
        }
        #expect(loop.ask(2))
        #expect(loop.run { $0.client.isAway })
        #expect(loop.run { $0.client.isUp })
        #expect(loop.client.node?.address.port == second.port)
        #expect(loop.ask(3))
        #expect(loop.run { $0.answers.count == 3 })
        #expect(second.calls.count == 1)
    }

    @Test func `a master that is replaced while it goes on is left`() throws {
        let (first, second) = (try RedisPeer.allowing(), try RedisPeer.allowing())
        var master = first.port
        let sentinel = try RedisPeer.sentinel { master }
        var settings = Settings.Redis(port: sentinel.port)
        settings.master = "mymaster"
        let loop = try StoreLoop(settings, peers: [first, second, sentinel])
        #expect(loop.run { $0.client.isUp })
        #expect(loop.client.node?.address.port == first.port)
        // The same answer changes nothing, and a Sentinel that ends its connection is asked again.
        #expect(loop.run { _ in sentinel.commands.count >= 2 })
        sentinel.hangUp()
        #expect(loop.run { _ in sentinel.commands.count >= 3 })
        #expect(first.connectionCount == 1 && loop.client.isUp)
        master = second.port
        #expect(loop.run { $0.client.node?.address.port == second.port && $0.client.phase == .up })
        #expect(loop.client.isUp && loop.client.health == .up)
    }

    @Test func `a master that a Sentinel still names but is none is not used`() throws {
        let old = try RedisPeer.allowing()
        let sentinel = try RedisPeer.sentinel { old.port }
        old.answer = { $0[0] == "ROLE" ? "*2\r\n$5\r\nslave\r\n$1\r\nx\r\n" : RedisPeer.allow($0) }
        var settings = Settings.Redis(port: sentinel.port)
        settings.master = "mymaster"
        let loop = try StoreLoop(settings, peers: [old, sentinel])
        #expect(loop.run { _ in old.connectionCount >= 2 })
        #expect(loop.client.isAway)
        old.answer = RedisPeer.allow
        #expect(loop.run { $0.client.isUp })
    }
}
