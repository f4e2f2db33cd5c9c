import Bytes
import HTTP
import Testing

/// A conversation with bytes changed at random: whatever comes, a session answers, refuses or ends, and stays whole.
struct HTTP2MutationTests {
    static let conversation =
        Wire.preface + Wire.settings([(3, 100), (4, 1_000)]) + Wire.frame(.settings, Wire.ack)
        + Wire.headers(1, Wire.get + [("cookie", "a=b"), ("cookie", "c=d"), ("priority", "u=1, i")])
        + Wire.headers(3, Wire.post + [("content-length", "10")], isEnd: false) + Wire.data(3, "01234")
        + Wire.frame(.priority, 0, 3, [0, 0, 0, 1, 9])
        + Wire.frame(.data, 9, 3, [3] + "56789".latin1 + [0, 0, 0])
        + Wire.frame(.headers, 1, 5, Wire.section(Wire.get))
        + Wire.frame(.continuation, 4, 5, Wire.section([("x", "y")]))
        + Wire.windowUpdate(0, 70_000) + Wire.windowUpdate(1, 500)
        + Wire.frame(.ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
        + Wire.headers(7, Wire.post, isEnd: false) + Wire.data(7, "chunk") + Wire.headers(7, [("x-sum", "1")])
        + Wire.frame(.priorityUpdate, 0, 0, Wire.number(9) + "u=0".latin1)
        + Wire.headers(9, Wire.get) + Wire.resetStream(9, 8)
        + Wire.frame(.headers, 45, 11, [1] + Wire.number(3) + [7] + Wire.section(Wire.get) + [0])
        + Wire.frame(.goAway, 0, 0, Wire.number(0) + Wire.number(0))

    static func changed(_ bytes: [UInt8], _ random: inout RandomSource) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            default:
                let count = min(Int.random(in: 1...40, using: &random), bytes.count - place)
                bytes.insert(contentsOf: bytes[place..<place + count], at: place)
            }
        }
        return bytes
    }

    @Test(arguments: [HTTP2Role.server, .client]) func `random changes of a conversation crash nothing`(
        _ role: HTTP2Role
    ) {
        let seed = UInt64.random(in: 1 ... .max)
        print("HTTP/2 mutations: seed \(seed)")
        var random = RandomSource(seed: (seed, 2, 3, 4))
        var failures: [HTTP2Failure: Int] = [:]
        for _ in 0..<1_500 {
            let memory = HTTP2Memory()
            let bed = SessionBed(role, HTTP2Limits(), memory)
            bed.outputByteCount = [2_100, 20_000, 60_000].randomElement(using: &random)!
            if role == .client {
                let head = HTTP2ClientTests.get.latin1
                for user: UInt64 in 1...5 {
                    _ = head.withUnsafeBufferPointer {
                        bed.session.request(head: $0, scheme: "https", hasContent: user == 2, user: user)
                    }
                }
                bed.flush()
            }
            let deeds = (0..<8).map { _ in Int.random(in: 0..<7, using: &random) }
            bed.answer = { bed, stream in
                let user = 1_000 + UInt64(stream)
                switch deeds[Int(stream >> 1) & 7] {
                case 0: bed.session.reset(stream: stream, code: HTTP2Code.cancel)
                case 1: _ = bed.respond(stream, "HTTP/1.1 204 No Content\r\n\r\n")
                case 2: bed.brokenUsers.insert(user); fallthrough
                case 3, 4:
                    bed.contents[user] = Array(repeating: 7, count: 3_000)
                    bed.lastUsers.insert(user)
                    _ = bed.respond(stream, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", hasContent: true)
                case 5: bed.session.drain()
                default: break
                }
            }
            var input = Self.conversation
            if role == .client {
                input =
                    Wire.settings() + Wire.headers(1, [(":status", "103")], isEnd: false)
                    + Wire.headers(1, [(":status", "200")], isEnd: false) + Wire.data(1, "abc", isEnd: true)
                    + Wire.headers(3, [(":status", "404")]) + Wire.resetStream(5, 7) + Wire.windowUpdate(3, 9)
                    + Wire.headers(7, [(":status", "200"), ("content-length", "3")], isEnd: false)
                    + Wire.data(7, "abc") + Wire.headers(7, [("x", "y")])
                    + Wire.frame(.goAway, 0, 0, Wire.number(7) + Wire.number(0))
            }
            input = Self.changed(input, &random)
            var cuts: [Int] = []
            while cuts.last ?? 0 < input.count {
                cuts.append((cuts.last ?? 0) + Int.random(in: 1...200, using: &random))
            }
            bed.feed(input, cuts: cuts.filter { $0 < input.count })
            check(bed, role, seed)
            failures[bed.session.reason, default: 0] += 1
            bed.session = HTTP2Session()
            #expect(memory.lentByteCount == 0, "seed \(seed)")
        }
        #expect(failures.count > 1, "\(failures)")
        print("HTTP/2 mutations of a \(role): \(failures.map { "\($0.word) \($1)" }.sorted())")
    }

    /// A frame that may be right or wrong where it comes.
    static func anyFrame(_ random: inout RandomSource, _ newest: inout UInt32) -> [UInt8] {
        // Mostly the next stream for a request and a known one for the rest.
        let kind = Int.random(in: 0..<16, using: &random)
        var stream = UInt32.random(in: 0...max(newest, 1) / 2, using: &random) * 2 + 1
        if kind < 4 || kind == 15, Int.random(in: 0..<12, using: &random) > 0 { stream = newest + 2 }
        if kind < 4 || kind == 15 { newest = max(newest, stream) }
        stream = min(stream, newest)
        func chance(_ parts: Int) -> Bool { Int.random(in: 0..<parts, using: &random) == 0 }
        let isEnd = chance(2)
        switch kind {
        case 0, 1, 2: return Wire.headers(stream, Wire.get + (chance(3) ? [("x-a", "b")] : []), isEnd: isEnd)
        case 3: return Wire.headers(stream, Wire.post + [("content-length", "4")], isEnd: false)
        case 4: return Wire.headers(stream, chance(2) ? [("x-sum", "1")] : [(":path", "/")], isEnd: isEnd)
        case 5, 6, 7:
            return Wire.data(
                stream, String(repeating: "d", count: .random(in: 0...6, using: &random)), isEnd: isEnd)
        case 8: return Wire.frame(.data, Wire.padded | (isEnd ? 1 : 0), stream, [2, 65, 66, 0, 0])
        case 9: return Wire.resetStream(stream, .random(in: 0...13, using: &random))
        case 10: return Wire.windowUpdate(chance(3) ? 0 : stream, .random(in: 0...70_000, using: &random))
        case 11: return Wire.settings([(4, .random(in: 0...70_000, using: &random))])
        case 12: return Wire.frame(.priority, 0, stream, Wire.number(chance(4) ? stream : 0) + [1])
        case 13: return Wire.frame(.priorityUpdate, 0, 0, Wire.number(stream) + "u=2, i".latin1)
        case 14: return Wire.frame(.ping, chance(2) ? 1 : 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
        default:
            let block = Wire.section(Wire.get)
            return Wire.frame(.headers, isEnd ? 1 : 0, stream, Array(block.prefix(20)))
                + Wire.frame(.continuation, 4, chance(8) ? stream + 2 : stream, Array(block.dropFirst(20)))
        }
    }

    @Test func `frames in any order leave every stream told in the right order, and once`() {
        let seed = UInt64.random(in: 1 ... .max)
        print("HTTP/2 frames in any order: seed \(seed)")
        var random = RandomSource(seed: (seed, 5, 6, 7))
        var lengths = 0
        for _ in 0..<600 {
            let memory = HTTP2Memory()
            let bed = SessionBed(.server, HTTP2Limits(), memory)
            let deeds = (0..<16).map { _ in Int.random(in: 0..<6, using: &random) }
            bed.consumes = Bool.random(using: &random)
            bed.answer = { bed, stream in
                let user = 1_000 + UInt64(stream)
                bed.contents[user] = Array(repeating: 7, count: deeds[Int(stream >> 1) & 15] * 9_000)
                bed.lastUsers.insert(user)
                switch deeds[Int(stream >> 1) & 15] {
                case 0: bed.session.reset(stream: stream, code: HTTP2Code.cancel)
                case 1: _ = bed.respond(stream, "HTTP/1.1 204 No Content\r\n\r\n")
                case 2...4: _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true)
                default: break
                }
                if deeds[(Int(stream >> 1) + 1) & 15] == 0 {
                    bed.session.reset(stream: stream, code: HTTP2Code.noError)
                }
            }
            bed.feed(Wire.greeting)
            var newest: UInt32 = 1
            bed.feed(Wire.headers(1, Wire.post, isEnd: false))
            for _ in 0..<40 {
                bed.feed(Self.anyFrame(&random, &newest))
                lengths += 1
                let reason = bed.session.reason
                if reason != .none { break }
            }
            check(bed, .server, seed)
            checkOrder(bed.seen, seed)
            bed.session = HTTP2Session()
            #expect(memory.lentByteCount == 0, "seed \(seed)")
        }
        // Far enough on the average to be in many states.
        #expect(lengths > 600 * 4, "seed \(seed): \(lengths)")
    }

    /// Heads by rising streams; content and one end after the head; nothing after the stream was told closed.
    func checkOrder(_ seen: [Seen], _ seed: UInt64) {
        var opened: Set<Int32> = []
        var ended: Set<Int32> = []
        var closed: Set<Int32> = []
        var newest: Int32 = 0
        for event in seen {
            switch event {
            case .head(let stream, _, let isEnd):
                #expect(stream > newest, "seed \(seed): \(seen)")
                newest = stream
                opened.insert(stream)
                if isEnd { ended.insert(stream) }
            case .content(let stream, _, let isEnd):
                #expect(
                    opened.contains(stream) && !ended.contains(stream) && !closed.contains(stream),
                    "seed \(seed): \(seen)")
                if isEnd { ended.insert(stream) }
            case .end(let stream):
                #expect(opened.contains(stream) && !closed.contains(stream), "seed \(seed): \(seen)")
                #expect(ended.insert(stream).inserted, "seed \(seed): \(seen)")
            case .closed(let user, _, _):
                #expect(opened.contains(Int32(user - 1_000)), "seed \(seed): \(seen)")
                closed.insert(Int32(user - 1_000))
            case .tooLarge, .failed: break
            }
        }
    }

    func check(_ bed: SessionBed, _ role: HTTP2Role, _ seed: UInt64) {
        var users: Set<UInt64> = []
        for seen in bed.seen {
            switch seen {
            case .head(let stream, let text, _) where role == .server:
                // Whatever is told as a head the strict reader can read to its end: complete or refused, never more.
                let result = RequestSnapshot.read([text.latin1]).result
                #expect(result != .incomplete, "seed \(seed), stream \(stream): \(text.debugDescription)")
            case .closed(let user, _, _): #expect(users.insert(user).inserted, "seed \(seed)")
            default: break
            }
        }
        let (reason, isOver) = (bed.session.reason, bed.session.isOver)
        if reason != .none { #expect(isOver, "seed \(seed)") }
        let rest = Wire.frames(role == .client ? Array(bed.written.dropFirst(24)) : bed.written).rest
        #expect(rest == 0, "seed \(seed)")
    }
}
