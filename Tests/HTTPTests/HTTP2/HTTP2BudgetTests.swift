import Bytes
import HTTP
import Testing

/// What a peer may do for little, and what it costs: by a clock that stands still until it is set.
struct HTTP2BudgetTests {
    /// What `usage` answers to events at these times.
    func answers(_ usage: inout HTTP2Usage, _ budget: HTTP2Budget, _ times: UInt64...) -> [Bool] {
        times.map { usage.take(budget, now: $0) }
    }

    @Test func `a budget gives its burst at once and then its rate`() {
        let budget = HTTP2Budget(10, burst: 3)
        var usage = HTTP2Usage()
        let start: UInt64 = 5_000_000_000
        #expect(answers(&usage, budget, start, start, start, start) == [true, true, true, false])
        let next = start + 100_000_000
        #expect(answers(&usage, budget, next - 1, next, next) == [false, true, false])
        // Long silence gives the burst again and not more.
        let late = start + 3_600_000_000_000
        #expect(answers(&usage, budget, late, late, late, late) == [true, true, true, false])
    }

    @Test func `a rate may be one a minute, and a burst of 0 allows nothing`() {
        let budget = HTTP2Budget(1, perSeconds: 60, burst: 1)
        var usage = HTTP2Usage()
        #expect(answers(&usage, budget, 0, 59_999_999_999, 60_000_000_000) == [true, false, true])
        var none = HTTP2Usage()
        #expect(answers(&none, HTTP2Budget(1, burst: 0), 1_000_000_000) == [false])
    }

    @Test func `several events at once are taken together or not at all`() {
        let budget = HTTP2Budget(1, burst: 5)
        var usage = HTTP2Usage()
        let (six, five) = (usage.take(budget, now: 0, count: 6), usage.take(budget, now: 0, count: 5))
        #expect(!six && five)
    }

    struct Flood: Sendable, CustomTestStringConvertible {
        var name: String
        var failure: HTTP2Failure
        var burst: Int
        var frame: @Sendable (Int) -> [UInt8]
        var testDescription: String { name }

        init(
            _ name: String, _ failure: HTTP2Failure, _ burst: Int,
            _ frame: @escaping @Sendable (Int) -> [UInt8]
        ) {
            (self.name, self.failure, self.burst, self.frame) = (name, failure, burst, frame)
        }
    }

    /// A malformed request, and then frames that come late for it.
    static func late(_ index: Int, _ frame: [UInt8]) -> [UInt8] {
        index == 0 ? Wire.headers(1, Wire.post + [("host", "other")], isEnd: false) : frame
    }

    static let floods: [Flood] = [
        Flood("rapid reset", .resets, 200) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.headers(stream, Wire.get) + Wire.resetStream(stream, 8)
        },
        Flood("malformed requests", .provokedResets, 100) { Wire.headers(UInt32($0 * 2 + 1), [("x", "y")]) },
        Flood("WINDOW_UPDATEs by 0 on streams", .provokedResets, 100) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.headers(stream, Wire.get) + Wire.windowUpdate(stream, 0)
        },
        Flood("self-dependent HEADERS", .provokedResets, 100) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.frame(.headers, 37, stream, Wire.number(stream) + [15] + Wire.section(Wire.get))
        },
        Flood("content past its length", .provokedResets, 100) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.headers(stream, Wire.post + [("content-length", "1")], isEnd: false)
                + Wire.data(stream, "ab")
        },
        Flood("content short of its length", .provokedResets, 100) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.headers(stream, Wire.post + [("content-length", "3")], isEnd: false)
                + Wire.data(stream, "ab", isEnd: true)
        },
        Flood("pseudo-fields in trailers", .provokedResets, 100) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.headers(stream, Wire.post, isEnd: false) + Wire.headers(stream, [(":path", "/")])
        },
        Flood("windows over their maximum", .provokedResets, 100) {
            let stream = UInt32($0 * 2 + 1)
            return Wire.headers(stream, Wire.post, isEnd: false) + Wire.windowUpdate(stream, 0x7FFF_FFFF)
        },
        Flood("hosts that are not the authority", .provokedResets, 100) {
            Wire.headers(UInt32($0 * 2 + 1), Wire.get + [("host", "other")])
        },
        Flood("SETTINGS", .controlFrames, 500) { _ in Wire.settings() },
        Flood("PING", .controlFrames, 500) { _ in Wire.frame(.ping, 0, 0, .init(repeating: 0, count: 8)) },
        Flood("PRIORITY", .controlFrames, 500) {
            Wire.frame(.priority, 0, UInt32($0 * 2 + 1), [0, 0, 0, 0, 1])
        },
        Flood("PRIORITY_UPDATE", .controlFrames, 500) {
            Wire.frame(.priorityUpdate, 0, 0, Wire.number(UInt32($0 * 2 + 1)) + "u=0".latin1)
        },
        Flood("unknown frames", .controlFrames, 500) { _ in Wire.frame(type: 77) },
        Flood("empty DATA", .emptyFrames, 100) { index in
            (index == 0 ? Wire.headers(1, Wire.post, isEnd: false) : []) + Wire.data(1, "")
        },
        Flood("DATA of padding alone", .emptyFrames, 100) { index in
            (index == 0 ? Wire.headers(1, Wire.post, isEnd: false) : [])
                + Wire.frame(.data, 8, 1, [3, 0, 0, 0])
        },
        Flood("empty DATA for a stream we reset", .emptyFrames, 101) { late($0, Wire.data(1, "")) },
        Flood("ends for a stream we reset", .emptyFrames, 101) { late($0, Wire.data(1, "", isEnd: true)) },
        Flood("padding for a stream we reset", .emptyFrames, 101) {
            late($0, Wire.frame(.data, 8, 1, [2, 0, 0]))
        },
        Flood("trailers for a stream we reset", .emptyFrames, 101) {
            late($0, Wire.headers(1, [("x", "y")]))
        },
        Flood("small WINDOW_UPDATEs", .smallWindows, 1_000) { _ in Wire.windowUpdate(0, 1) },
    ]

    @Test(arguments: floods) func `a flood ends the connection when its budget is used up, and not before`(
        _ flood: Flood
    ) {
        let (name, failure, burst, frame) = (flood.name, flood.failure, flood.burst, flood.frame)
        let bed = SessionBed()
        bed.feed(Wire.greeting)
        for round in 0..<burst - 1 { bed.feed(frame(round)) }
        let before = bed.session.reason
        #expect(before == .none, "\(name)")
        #expect(!bed.takeFrames().contains { $0.kind == .goAway }, "\(name)")
        for round in burst - 1..<burst + 1 { bed.feed(frame(round)) }
        let (after, isOver) = (bed.session.reason, bed.session.isOver)
        #expect(after == failure, "\(name)")
        #expect(isOver)
        #expect(bed.takeFrames().last?.description.hasSuffix(" 11") == true, "\(name)")
    }

    @Test(arguments: floods) func `the same frames at the budget's rate go on`(_ flood: Flood) {
        let (name, burst, frame) = (flood.name, flood.burst, flood.frame)
        let bed = SessionBed()
        bed.feed(Wire.greeting)
        for round in 0..<burst * 2 {
            bed.feed(frame(round))
            bed.now += 100_000_000
        }
        let reason = bed.session.reason
        #expect(reason == .none, "\(name)")
    }

    @Test func `streams that we reset for reasons of our own cost the peer nothing`() {
        let bed = SessionBed()
        bed.answer = { bed, stream in
            let user = 1_000 + UInt64(stream)
            switch stream & 7 {
            case 1: bed.session.reset(stream: stream, code: HTTP2Code.internalError)
            case 3:
                bed.brokenUsers.insert(user)
                _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true)
            default:
                _ = bed.respond(stream, "HTTP/1.1 413 Content Too Large\r\n\r\n")
                bed.session.reset(stream: stream, code: HTTP2Code.noError)
            }
        }
        bed.feed(Wire.greeting)
        for round in 0..<600 { bed.feed(Wire.headers(UInt32(round * 2 + 1), Wire.post, isEnd: false)) }
        let reason = bed.session.reason
        #expect(reason == .none)
        #expect(bed.takeFrames().filter { $0.kind == .resetStream }.count == 600)
    }

    @Test func `windows that force tiny DATA use a budget up`() {
        var limits = HTTP2Limits()
        limits.budgets.smallWindows = HTTP2Budget(1, burst: 20)
        let bed = SessionBed(.server, limits)
        bed.feed(Wire.preface + Wire.settings([(4, 1)]))
        bed.contents[1_001] = Array(repeating: 97, count: 1_000)
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        // One byte at first; every wider initial window lets another one out.
        bed.feed(Wire.headers(1, Wire.get))
        for round in 0..<19 { bed.feed(Wire.settings([(4, UInt32(round + 2))])) }
        let before = bed.session.reason
        bed.feed(Wire.settings([(4, 40)]))
        let after = bed.session.reason
        #expect(before == .none && after == .smallWindows)
        #expect(bed.takenCounts[1_001] == 40)
    }

    @Test func `a field block in too many CONTINUATIONs ends the connection`() {
        let bed = SessionBed()
        bed.feed(Wire.greeting + Wire.frame(.headers, 1, 1, Wire.section(Wire.get)))
        for _ in 0..<32 { bed.feed(Wire.frame(.continuation, 0, 1, Wire.section([("x", "y")]))) }
        let before = bed.session.reason
        bed.feed(Wire.frame(.continuation, 0, 1, Wire.section([("x", "y")])))
        let after = bed.session.reason
        #expect(before == .none && after == .continuations)
        #expect(bed.takeFrames().last?.description.hasSuffix(" 11") == true)
    }

    @Test func `a head over the limit is told, and over four times the limit it ends the connection`() {
        var limits = HTTP2Limits()
        limits.headByteCount = 1_000
        let long = String(repeating: "a", count: 400)
        let few = (0..<3).map { ("x-\($0)", long) }
        let (seen, frames) = SessionBed.everyWay(
            Wire.greeting + Wire.headers(1, Wire.get + few) + Wire.headers(3, Wire.get), limits: limits)
        #expect(seen.first == .tooLarge(1))
        #expect(seen.count == 2)
        #expect(!frames.contains { $0.kind == .goAway })
        let many = (0..<12).map { ("x-\($0)", long) }
        let flooded = SessionBed.everyWay(Wire.greeting + Wire.headers(1, Wire.get + many), limits: limits)
        #expect(flooded.frames.last?.description.hasSuffix(" 11") == true)
        #expect(!flooded.seen.contains(.tooLarge(1)))
    }

    @Test func `a bomb of references to one long entry ends the connection before it is unpacked`() {
        let bed = SessionBed()
        bed.feed(Wire.greeting)
        let long = String(repeating: "a", count: 4_000)
        let entry =
            [0x40] + Wire.integer(1, bits: 7) + "x".latin1 + Wire.integer(4_000, bits: 7) + long.latin1
        bed.feed(Wire.frame(.headers, 5, 1, Wire.section(Wire.get) + entry))
        bed.feed(
            Wire.frame(.headers, 5, 3, Wire.section(Wire.get) + .init(repeating: 0x80 | 62, count: 15_000)))
        let reason = bed.session.reason
        #expect(reason == .headTooLarge)
        #expect(bed.takeFrames().last?.description.hasSuffix(" 11") == true)
    }

    @Test func `cookies of a thousand crumbs stay within the head's limit`() {
        var limits = HTTP2Limits()
        limits.headByteCount = 8_000
        let bed = SessionBed(.server, limits)
        bed.feed(Wire.greeting + Wire.headers(1, Wire.get + .init(repeating: ("cookie", "a=b"), count: 300)))
        #expect(bed.seen.count == 1)
        guard case .head(1, let text, true) = bed.seen[0] else { Issue.record("no head"); return }
        #expect(text.contains("a=b; a=b\r\n\r\n"))
        let long = String(repeating: "c", count: 500)
        bed.feed(Wire.headers(3, Wire.get + .init(repeating: ("cookie", long), count: 20)))
        #expect(bed.seen.last == .tooLarge(3))
    }

    @Test func `a peer that does not read what it provokes is cut off`() {
        var limits = HTTP2Limits()
        limits.waitingFrameCount = 50
        limits.budgets.controlFrames = HTTP2Budget(1_000, burst: 100_000)
        let bed = SessionBed(.server, limits)
        var input = Wire.greeting
        for _ in 0..<60 { input += Wire.frame(.ping, 0, 0, .init(repeating: 0, count: 8)) }
        bed.feed(input)
        let reason = bed.session.reason
        #expect(reason == .unreadFrames)
    }
}
