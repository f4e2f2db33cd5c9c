import Bytes
import Testing

@testable import Gateway

/// Commands and replies of Redis, as bytes.
struct RedisCodecTests {
    // MARK: - Replies

    /// A reply in words, one word a part: `[ ok :5 nil ]`.
    private static func words(_ reply: borrowing RedisReply) -> String {
        func part(_ index: Int) -> String {
            switch reply.nodes[index].kind {
            case .string: return "\"\(reply.text(index).string)\""
            case .status: return "+\(reply.text(index).string)"
            case .error: return "-\(reply.text(index).string)"
            case .integer: return ":\(reply.integer(index) ?? -1)"
            case .null: return "nil"
            case .array:
                var words: [String] = []
                var place = index + 1
                for _ in 0..<reply.elementCount(index) {
                    words.append(part(place))
                    place = reply.end(of: place)
                }
                return "[" + words.joined(separator: " ") + "]"
            }
        }
        return part(0)
    }

    /// Everything that `text` holds, fed in pieces of `size` bytes; ends with `malformed` where it is.
    private static func read(_ text: String, by size: Int) -> [String] {
        read(Array(text.utf8), by: size)
    }

    private static func read(_ bytes: [UInt8], by size: Int) -> [String] {
        var reader = RedisReader()
        var found: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = bytes[start..<min(start + size, bytes.count)]
            guard piece.withUnsafeBufferPointer({ reader.feed($0) }) else { return found + ["malformed"] }
            while true {
                let step = reader.next()
                if step == .malformed { return found + ["malformed"] }
                guard step == .reply else { break }
                found.append(words(reader.reply.pointee))
            }
        }
        return found
    }

    @Test(arguments: [
        ("+OK\r\n", ["+OK"]),
        ("-ERR no\r\n", ["-ERR no"]),
        (":1795357770499614\r\n:-7\r\n", [":1795357770499614", ":-7"]),
        ("$5\r\nab\r\nc\r\n$0\r\n\r\n$-1\r\n", ["\"ab\r\nc\"", "\"\"", "nil"]),
        ("*0\r\n*-1\r\n*3\r\n:1\r\n:0\r\n:9\r\n", ["[]", "nil", "[:1 :0 :9]"]),
        (
            "*2\r\n*3\r\n:0\r\n:5460\r\n*2\r\n$9\r\n127.0.0.1\r\n:7001\r\n*1\r\n+x\r\n:4\r\n",
            ["[[:0 :5460 [\"127.0.0.1\" :7001]] [+x]]", ":4"]
        ),
    ])
    func `replies are read whatever the pieces they come in`(text: String, expected: [String]) {
        for size in [1, 2, 3, 7, text.utf8.count] {
            #expect(Self.read(text, by: size) == expected, "in pieces of \(size)")
        }
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", ":12x\r\n", "$-2\r\n", "$abc\r\n", "*-2\r\n", "*x\r\n", "\r\n",
        String(repeating: "*1\r\n", count: 32) + ":1\r\n",
    ])
    func `what is no reply ends the connection`(text: String) {
        for size in [1, text.utf8.count] {
            #expect(Self.read("+OK\r\n" + text, by: size) == ["+OK", "malformed"], "in pieces of \(size)")
        }
    }

    @Test func `broken replies are read alike whatever the pieces they come in`() {
        let good = [
            "+OK\r\n", "-ERR no\r\n", ":17\r\n", "$5\r\nab\r\nc\r\n", "$-1\r\n", "*3\r\n:1\r\n:0\r\n:9\r\n",
            "*2\r\n*1\r\n:0\r\n$2\r\nxy\r\n", "*-1\r\n",
        ]
        let seed: UInt64 = 20_261_122
        var numbers = SeededNumbers(seed: seed)
        var brokenCount = 0
        for round in 0..<3_000 {
            var bytes = Array((0..<3).map { _ in good.randomElement(using: &numbers)! }.joined().utf8)
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                let place = Int.random(in: 0..<bytes.count, using: &numbers)
                // Often a byte that means something.
                bytes[place] = Array("0123456789-*$:+\r\nxé".utf8).randomElement(using: &numbers)!
            }
            let whole = Self.read(bytes, by: bytes.count)
            for size in [1, 2, 5] {
                #expect(
                    Self.read(bytes, by: size) == whole, "seed \(seed), round \(round), pieces of \(size)")
            }
            brokenCount += whole.last == "malformed" ? 1 : 0
        }
        #expect(brokenCount > 300)
    }

    @Test func `a reply of more than a mebibyte is refused, one of just less is read`() {
        let bound = RedisReader.maxByteCount
        let fits = String(repeating: "x", count: bound - 1_024)
        #expect(Self.read("$\(fits.utf8.count)\r\n\(fits)\r\n", by: 16_384) == ["\"\(fits)\""])
        let over = String(repeating: "x", count: bound + 16_384)
        #expect(Self.read("$\(over.utf8.count + 5)\r\n\(over)", by: 16_384) == ["malformed"])
        // Many small parts cost memory too.
        let many = "*100000\r\n" + String(repeating: ":1\r\n", count: 100_000)
        #expect(Self.read(many, by: 16_384) == ["malformed"])
    }

    @Test func `a long reply's memory is not kept for the next one`() {
        var reader = RedisReader()
        let long =
            Array("$100000\r\n".utf8) + [UInt8](repeating: 0x78, count: 100_000) + Array("\r\n+OK\r\n".utf8)
        let isFed = long.withUnsafeBufferPointer { reader.feed($0) }
        let first = reader.next()
        let held = reader.reply.pointee.byteCount
        #expect(isFed && first == .reply && held >= 100_000)
        let second = reader.next()
        let capacity = reader.reply.pointee.bytes.capacity
        #expect(second == .reply && capacity <= 16_384)
    }

    // MARK: - Commands

    @Test func `a command is the same bytes whoever writes it`() throws {
        let key = String(repeating: "k", count: 300)
        let cases: [[String]] = [
            ["PING"], ["AUTH", ""], ["EVALSHA", "ü\r\n", key, "0", "18446744073709551615"],
        ]
        for arguments in cases {
            var buffer = Buffer(capacity: 1_024)
            buffer.appendRedisCommand(argumentCount: arguments.count)
            for argument in arguments {
                if let number = UInt64(argument) {
                    buffer.appendRedis(number)
                } else {
                    withBytes(argument) { buffer.appendRedis($0) }
                }
            }
            let made = try #require(RedisCommand(arguments))
            #expect(made.bytes == Array(buffer.readable))
        }
    }

    @Test func `room is made by moving what is left, or by a larger block up to the limit`() {
        var buffer = Buffer(capacity: 100)
        for _ in 0..<90 { buffer.append(0x78) }
        buffer.consume(80)
        let isMoved = buffer.makeRoom(30, limit: 400)
        let (capacity, start, count) = (buffer.capacity, buffer.start, buffer.count)
        #expect(isMoved && capacity == 100 && start == 0 && count == 10)
        let isLarger = buffer.makeRoom(300, limit: 400)
        let (room, larger) = (buffer.room, buffer.capacity)
        #expect(isLarger && room >= 300 && larger <= 400)
        let isBeyond = buffer.makeRoom(391, limit: 400)
        #expect(!isBeyond)
        #expect(buffer.readable.string == String(repeating: "x", count: 10))
    }

    // MARK: - Errors

    @Test(arguments: [
        ("NOSCRIPT No matching script. Please use EVAL.", RedisError.noScript),
        ("MOVED 3999 127.0.0.1:6381", .moved), ("ASK 3999 127.0.0.1:6381", .ask),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .tryAgain),
        ("READONLY You can't write against a read only replica. script: ab, on @user_script:9.", .unusable),
        (
            "ERR Error running script (call to f_ab): @user_script:9: -READONLY You can't write", .unusable
        ),
        ("LOADING Redis is loading the dataset in memory", .unusable),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", .unusable),
        ("CLUSTERDOWN Hash slot not served", .unusable), ("NOAUTH Authentication required.", .unusable),
        ("OOM command not allowed when used memory > 'maxmemory'.", .unusable),
        ("MISCONF Redis is configured to save RDB snapshots", .unusable),
        ("BUSY Redis is busy running a script.", .unusable), ("ERR max number of clients reached", .unusable),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", .other),
        ("ERR unknown", .other),
        ("", .other),
    ])
    func `an error reply says what is to be done`(text: String, expected: RedisError) {
        #expect(withBytes(text) { RedisError($0) } == expected)
    }

    @Test(arguments: [
        ("MOVED 3999 127.0.0.1:6381", RedisRedirect(host: "127.0.0.1", port: 6381)),
        ("ASK 3999 ::1:6381", RedisRedirect(host: "::1", port: 6381)),
        ("MOVED 1 redis-2.example.net:6379", RedisRedirect(host: "redis-2.example.net", port: 6379)),
        ("MOVED 1 :7002", RedisRedirect(host: "", port: 7002)), ("MOVED 1 ?:7002", nil),
        ("MOVED 1 127.0.0.1", nil),
        ("MOVED 1 127.0.0.1:0", nil), ("MOVED 1 127.0.0.1:65536", nil), ("MOVED", nil),
        ("MOVED 1 \(String(repeating: "a", count: 300)):1", nil),
    ])
    func `a redirect names a host and a port`(text: String, expected: RedisRedirect?) {
        #expect(withBytes(text) { RedisRedirect($0) } == expected)
    }

    // MARK: - Demands and answers

    @Test func `a demand holds eight buckets and says when its keys had no room`() {
        var demand = StoreDemand()
        for index in 0..<8 {
            demand.keys.append("rule\(index):project=p")
            let isAdded = demand.add(StoreDemand.Bucket(cost: UInt64(index)))
            #expect(isAdded)
        }
        let isNinthAdded = demand.add(StoreDemand.Bucket())
        #expect(!isNinthAdded)
        let last = demand.keys.all.view(demand.buckets[7].key).string
        #expect(last == "rule7:project=p")
        let isWhole = demand.isWhole
        demand.keys.append(String(repeating: "k", count: 9_000))
        let isStillWhole = demand.isWhole
        #expect(isWhole && !isStillWhole)
        demand.removeAll()
        let (count, isWholeAgain) = (demand.count, demand.isWhole)
        #expect(count == 0 && isWholeAgain)
    }

    @Test func `answers are read of a reply of the right shape alone`() {
        func answers(_ text: String, count: Int) -> StoreAnswers? {
            var reader = RedisReader()
            let isFed = withBytes(text) { reader.feed($0) }
            guard isFed, reader.next() == .reply else { return nil }
            return StoreAnswers(reader.reply.pointee, count: count)
        }
        let two = answers("*5\r\n:1000\r\n:0\r\n:70\r\n:30\r\n:500\r\n", count: 2)
        #expect(two?[0].wait == 0 && two?[0].paidIn == 70 && two?[0].paidAt == 1_070)
        #expect(two?[1].wait == 30 && two?[1].paidIn == 500 && two?[1].paidAt == 1_500)
        var demand = StoreDemand()
        _ = demand.add(StoreDemand.Bucket())
        _ = demand.add(StoreDemand.Bucket(isShadow: true))
        let isAllowed = two?.allows(demand)
        #expect(isAllowed == true)
        demand.removeAll()
        _ = demand.add(StoreDemand.Bucket())
        _ = demand.add(StoreDemand.Bucket())
        let isRefused = two?.allows(demand)
        #expect(isRefused == false)
        #expect(answers("*5\r\n:1\r\n:0\r\n:7\r\n:3\r\n:5\r\n", count: 1) == nil)
        #expect(answers("*3\r\n:1\r\n:0\r\n$1\r\n7\r\n", count: 1) == nil)
        #expect(answers("*3\r\n:1\r\n:-1\r\n:7\r\n", count: 1) == nil)
        #expect(answers("+OK\r\n", count: 0) == nil)
    }
}
