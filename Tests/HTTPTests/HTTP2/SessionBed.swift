import Bytes
import CNghttp2
import HTTP
import Testing

/// What a session told its owner, as values to compare.
enum Seen: Equatable, CustomStringConvertible {
    case head(Int32, String, isEnd: Bool)
    case tooLarge(Int32)
    case content(Int32, String, isEnd: Bool)
    case end(Int32)
    case failed
    case closed(UInt64, UInt32, wasRefused: Bool)

    var description: String {
        switch self {
        case .head(let stream, let text, let isEnd):
            "head \(stream) \(text.debugDescription)" + (isEnd ? " end" : "")
        case .tooLarge(let stream): "too large \(stream)"
        case .content(let stream, let text, let isEnd):
            "content \(stream) \(text.count)" + (isEnd ? " end" : "")
        case .end(let stream): "end \(stream)"
        case .failed: "failed"
        case .closed(let user, let code, let wasRefused):
            "closed \(user) \(code)" + (wasRefused ? " refused" : "")
        }
    }
}

/// A session with an owner that notes all events and answers as told.
final class SessionBed {
    var session = HTTP2Session()
    var seen: [Seen] = []
    /// All bytes the session wrote.
    var written: [UInt8] = []
    var now: UInt64 = 1_000_000_000
    var outputByteCount = 32_768
    /// Content to send, by user; a user without any says `later`.
    var contents: [UInt64: [UInt8]] = [:]
    /// Users whose content ends when what there is was taken.
    var lastUsers: Set<UInt64> = []
    var brokenUsers: Set<UInt64> = []
    /// How many content bytes each user gave.
    var takenCounts: [UInt64: Int] = [:]
    /// Attaches each request's stream under 1,000 + its id.
    var attaches = true
    /// Consumes content as soon as it comes.
    var consumes = true
    /// Called with each head, before anything else happens.
    var answer: (SessionBed, Int32) -> Void = { _, _ in }

    init(_ role: HTTP2Role = .server, _ limits: HTTP2Limits = HTTP2Limits(), _ memory: HTTP2Memory? = nil) {
        let source = HTTP2Source(owner: Unmanaged.passUnretained(self).toOpaque()) { owner, user, limit in
            Unmanaged<SessionBed>.fromOpaque(owner).takeUnretainedValue().available(user, limit)
        } take: { owner, user, place, count in
            let bed = Unmanaged<SessionBed>.fromOpaque(owner).takeUnretainedValue()
            bed.takenCounts[user, default: 0] += count
            for index in 0..<count { place[index] = bed.contents[user]![index] }
            bed.contents[user]!.removeFirst(count)
        }
        if let made = HTTP2Session(role: role, limits: limits, source: source, memory: memory) {
            session = made
        }
    }

    private func available(_ user: UInt64, _ limit: Int) -> Int {
        if brokenUsers.contains(user) { return HTTP2Source.broken }
        let count = min(contents[user]?.count ?? 0, limit)
        if lastUsers.contains(user), count == contents[user]?.count ?? 0 {
            return count | HTTP2Source.lastBit
        }
        return count == 0 ? HTTP2Source.later : count
    }

    /// Feeds bytes in pieces that end where `cuts` say, each piece in a block of exactly its size.
    func feed(_ bytes: [UInt8], cuts: [Int] = []) {
        var start = 0
        for cut in cuts + [bytes.count] where cut > start {
            feedPiece(Array(bytes[start..<cut]))
            start = cut
        }
    }

    private func feedPiece(_ piece: [UInt8]) {
        piece.withUnsafeBufferPointer { bytes in
            var place = 0
            while true {
                let (consumed, event) = session.receive(bytes.view(place, bytes.count - place), now: now)
                place += consumed
                note(event)
                if case .failed = event { break }
                if case .none = event, place == bytes.count { break }
            }
        }
        noteClosed()
        flush()
    }

    private func note(_ event: HTTP2Event) {
        switch event {
        case .none: break
        case .head(let stream, _, let isEnd):
            seen.append(.head(stream, session.head.latin1, isEnd: isEnd))
            if attaches { _ = session.attach(stream: stream, user: 1_000 + UInt64(stream)) }
            answer(self, stream)
        case .tooLarge(let stream): seen.append(.tooLarge(stream))
        case .content(let stream, _, let bytes, let isEnd):
            noteContent(stream, bytes.latin1, isEnd)
            if consumes { session.consume(stream: stream, byteCount: bytes.count) }
        case .end(let stream, _):
            // However the bytes were cut, content and its end read the same.
            if case .content(stream, let text, false)? = seen.last {
                seen[seen.count - 1] = .content(stream, text, isEnd: true)
            } else {
                seen.append(.end(stream))
            }
        case .failed: if seen.last != .failed { seen.append(.failed) }
        }
    }

    private func noteContent(_ stream: Int32, _ text: String, _ isEnd: Bool) {
        if case .content(stream, let before, false)? = seen.last {
            seen[seen.count - 1] = .content(stream, before + text, isEnd: isEnd)
        } else {
            seen.append(.content(stream, text, isEnd: isEnd))
        }
    }

    func noteClosed() {
        while let closed = session.popClosed() {
            seen.append(.closed(closed.user, closed.code, wasRefused: closed.wasRefused))
        }
    }

    /// Writes all that can be written.
    func flush() {
        var isMore = true
        while isMore {
            var output = Buffer(capacity: outputByteCount)
            isMore = session.send(into: &output, now: now)
            written += Array(output.readable)
            if output.isEmpty { break }
        }
        noteClosed()
    }

    /// The frames written since the last call.
    func takeFrames() -> [Wire.Frame] {
        let (frames, rest) = Wire.frames(written)
        written.removeFirst(written.count - rest)
        return frames
    }

    func respond(_ stream: Int32, _ head: String, hasContent: Bool = false) -> Bool {
        head.latin1.withUnsafeBufferPointer {
            session.respond(stream: stream, head: $0, hasContent: hasContent)
        }
    }

    /// Runs a server over all bytes, whole, byte by byte and cut in many places: it must see and say the same each time.
    static func everyWay(
        _ bytes: [UInt8], limits: HTTP2Limits = HTTP2Limits(), _ prepare: (SessionBed) -> Void = { _ in }
    ) -> (seen: [Seen], frames: [Wire.Frame]) {
        func run(_ cuts: [Int]) -> ([Seen], [Wire.Frame]) {
            let bed = SessionBed(.server, limits)
            prepare(bed)
            bed.feed(bytes, cuts: cuts)
            return (bed.seen, bed.takeFrames())
        }
        let whole = run([])
        // Windows are opened as content is consumed, so their updates may fall elsewhere; a GOAWAY is sent before what else
        // waits; what nghttp2 refuses is known when its GOAWAY was written.
        func quiet(_ frames: [Wire.Frame]) -> [Wire.Frame] {
            frames.filter { $0.kind != .windowUpdate && $0.kind != .settings }
        }
        // Of a stream that is reset, more or less content may have come before.
        func told(_ seen: [Seen]) -> [Seen] {
            let isBroken = seen.contains { if case .closed(_, 1..., _) = $0 { true } else { false } }
            return seen.filter {
                if case .content = $0 { return !isBroken }
                return $0 != .failed
            }
        }
        let step = max(1, bytes.count / 400)
        for cuts in [Array(1..<max(bytes.count, 2))]
            + stride(from: 1, to: bytes.count, by: step).map({ [$0] })
        {
            let other = run(cuts)
            if told(other.0) != told(whole.0) || quiet(other.1) != quiet(whole.1) {
                let way = cuts.count > 1 ? "byte by byte" : "cut at \(cuts[0])"
                Issue.record("\(way): \(other), but whole: \(whole)")
                break
            }
        }
        return whole
    }
}
