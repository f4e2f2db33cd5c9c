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
