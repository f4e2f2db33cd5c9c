import Bytes
import HTTP
import Testing

/// The life of streams: windows, ends, resets, drains.
struct HTTP2StreamTests {
    static let open = Wire.headers(1, Wire.post, isEnd: false)

    func greeted(_ limits: HTTP2Limits = HTTP2Limits(), settings: [(UInt16, UInt32)] = []) -> SessionBed {
        let bed = SessionBed(.server, limits)
        bed.feed(Wire.preface + Wire.settings(settings) + Wire.frame(.settings, Wire.ack))
        _ = bed.takeFrames()
        return bed
    }

    @Test func `frames that come late for a stream we reset are ignored, and their content is given back`() {
        let bed = greeted()
        bed.feed(Self.open)
        bed.session.reset(stream: 1, code: HTTP2Code.cancel)
        bed.feed(Wire.data(1, "late") + Wire.headers(1, [("x", "y")]) + Wire.windowUpdate(1, 500))
        #expect(bed.takeFrames().map(\.description) == ["reset 1 8"])
        bed.feed(Wire.data(1, "later") + Wire.headers(3, Wire.get))
        #expect(bed.takeFrames() == [])
        #expect(
            bed.seen.last == .head(3, "GET /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\n\r\n", isEnd: true)
        )
        #expect(bed.seen.contains(.closed(1_001, 8, wasRefused: false)))
        #expect(!bed.seen.contains(.failed))
    }

    @Test func `a field block for a stream we reset still changes the peer's table`() {
        let bed = greeted()
        bed.feed(Self.open)
        bed.session.reset(stream: 1, code: HTTP2Code.cancel)
        bed.flush()
        // A literal with incremental indexing in ignored trailers, and then a request that names it as entry 62.
        let indexed = [0x40] + Wire.integer(3, bits: 7) + "x-a".latin1 + Wire.integer(1, bits: 7) + "b".latin1
        bed.feed(Wire.frame(.headers, 5, 1, indexed))
        bed.feed(Wire.frame(.headers, 5, 3, Wire.section(Wire.get) + [0x80 | 62]))
        #expect(
            bed.seen.last
                == .head(3, "GET /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\nx-a: b\r\n\r\n", isEnd: true)
        )
    }

    @Test func `content waits for the windows and follows them`() {
        let bed = greeted(settings: [(4, 10)])
        bed.contents[1_001] = Array(repeating: 97, count: 25)
        bed.lastUsers = [1_001]
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.feed(Wire.headers(1, Wire.get))
        #expect(bed.takeFrames().map(\.description) == ["headers 1", "data 1 10"])
        bed.feed(Wire.windowUpdate(1, 12))
        #expect(bed.takeFrames().map(\.description) == ["data 1 12"])
        bed.feed(Wire.settings([(4, 20)]))
        #expect(bed.takeFrames().map(\.description) == ["settings ack", "data 1 3 end"])
        #expect(bed.seen.last == .closed(1_001, 0, wasRefused: false))
    }

    @Test func `a stream whose reader stalls does not hold another`() {
        let bed = greeted(settings: [(4, 0)])
        for user: UInt64 in [1_001, 1_003] { bed.contents[user] = Array(repeating: 97, count: 1_000) }
        bed.lastUsers = [1_001, 1_003]
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.feed(Wire.headers(1, Wire.get) + Wire.headers(3, Wire.get))
        bed.feed(Wire.windowUpdate(3, 5_000))
        #expect(bed.takeFrames().map(\.description) == ["headers 1", "headers 3", "data 3 1000 end"])
    }

    @Test func `a more urgent response goes first`() {
        let bed = greeted()
        for user: UInt64 in [1_001, 1_003] { bed.contents[user] = Array(repeating: 97, count: 40_000) }
        bed.lastUsers = [1_001, 1_003]
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.feed(
            Wire.windowUpdate(0, 100_000) + Wire.headers(1, Wire.get + [("priority", "u=5")])
                + Wire.headers(3, Wire.get + [("priority", "u=1")]))
        let data = bed.takeFrames().filter { $0.kind == .data }
        #expect(data.map(\.stream) == [3, 3, 3, 1, 1, 1])
    }

    @Test func `a priority changes by PRIORITY_UPDATE`() {
        let bed = greeted()
        for user: UInt64 in [1_001, 1_003] { bed.contents[user] = Array(repeating: 97, count: 30_000) }
        bed.lastUsers = [1_001, 1_003]
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.feed(
            Wire.windowUpdate(0, 100_000) + Wire.headers(1, Wire.get) + Wire.headers(3, Wire.get)
                + Wire.frame(.priorityUpdate, 0, 0, Wire.number(3) + "u=0".latin1))
        #expect(bed.takeFrames().filter { $0.kind == .data }.first?.stream == 3)
    }

    @Test func `incremental responses of one urgency take turns`() {
        let bed = greeted()
        for user: UInt64 in [1_001, 1_003] { bed.contents[user] = Array(repeating: 97, count: 32_768) }
        bed.lastUsers = [1_001, 1_003]
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.outputByteCount = 100_000
        bed.feed(
            Wire.windowUpdate(0, 100_000) + Wire.headers(1, Wire.get + [("priority", "i")])
                + Wire.headers(3, Wire.get + [("priority", "i")]))
        #expect(bed.takeFrames().filter { $0.kind == .data }.map(\.stream) == [1, 3, 1, 3])
    }

    @Test func `a source without content is asked again after resume`() {
        let bed = greeted()
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.feed(Wire.headers(1, Wire.get))
        #expect(bed.takeFrames().map(\.description) == ["headers 1"])
        bed.contents[1_001] = Array("abc".utf8)
        bed.flush()
        #expect(bed.takeFrames() == [])
        bed.session.resume(stream: 1)
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["data 1 3"])
        bed.lastUsers = [1_001]
        bed.session.resume(stream: 1)
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["data 1 0 end"])
    }

    @Test func `a source that breaks off resets its stream alone`() {
        let bed = greeted()
        bed.brokenUsers = [1_001]
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        bed.feed(Wire.headers(1, Wire.get))
        #expect(bed.takeFrames().map(\.description) == ["headers 1", "reset 1 2"])
        #expect(bed.seen.last == .closed(1_001, 2, wasRefused: false))
        bed.feed(Wire.headers(3, Wire.get))
        #expect(bed.takeFrames().map(\.description) == ["headers 3"])
    }

    @Test func `content of the windows opens them only when it is consumed`() {
        let bed = greeted()
        bed.consumes = false
        bed.feed(Self.open + Wire.data(1, String(repeating: "a", count: 16_384)))
        #expect(bed.takeFrames() == [])
        bed.session.consume(stream: 1, byteCount: 16_384)
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["window 1 16384"])
        bed.feed(Wire.data(1, String(repeating: "a", count: 16_384)) + Wire.data(1, "a"))
        #expect(bed.takeFrames().map(\.description).contains { $0 == "reset 1 3" || $0.hasSuffix(" 3") })
    }

    @Test func `padding is given back at once, and so is what a reset leaves`() {
        var limits = HTTP2Limits()
        limits.connectionWindowByteCount = 65_535
        let bed = greeted(limits)
        bed.consumes = false
        // 32,768 bytes of padding and content that nobody consumes: then a reset, and half of the window is back.
        for _ in 0..<2 { bed.feed(Self.open) }
        for stream: UInt32 in [3, 5] {
            bed.feed(Wire.headers(stream, Wire.post, isEnd: false))
            bed.feed(Wire.data(stream, String(repeating: "a", count: 16_384)))
            bed.feed(Wire.resetStream(stream, 8))
        }
        let given = bed.takeFrames().filter { $0.kind == .windowUpdate && $0.stream == 0 }
        #expect(given.map { $0.number() } == [32_768])
    }

    @Test func `an answer before the content's end is sent whole, then the stream is reset without an error`()
    {
        let bed = greeted()
        bed.contents[1_001] = Array("no".utf8)
        bed.lastUsers = [1_001]
        bed.answer = { bed, stream in
            _ = bed.respond(stream, "HTTP/1.1 413 Content Too Large\r\n\r\n", hasContent: true)
            bed.session.reset(stream: stream, code: HTTP2Code.noError)
        }
        bed.feed(Self.open + Wire.data(1, "ab"))
        #expect(bed.takeFrames().map(\.description) == ["headers 1", "data 1 2 end", "reset 1 0"])
        #expect(bed.seen.last == .closed(1_001, 0, wasRefused: false))
    }

    @Test func `interim heads go before the final one, which may come once`() {
        let bed = greeted()
        bed.answer = { bed, stream in
            #expect(bed.respond(stream, "HTTP/1.1 100 Continue\r\n\r\n"))
            #expect(bed.respond(stream, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))
            #expect(!bed.respond(stream, "HTTP/1.1 101 Switching Protocols\r\n\r\n"))
            #expect(bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n"))
            #expect(!bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n"))
            #expect(!bed.respond(9, "HTTP/1.1 200 OK\r\n\r\n"))
        }
        bed.feed(Wire.headers(1, Wire.get))
        #expect(bed.takeFrames().map(\.description) == ["headers 1", "headers 1", "headers 1 end"])
    }

    @Test func `a stream too many is refused, and the others live on`() {
        var limits = HTTP2Limits()
        limits.maxConcurrentStreams = 2
        let bed = greeted(limits)
        for stream: UInt32 in [1, 3, 5] { bed.feed(Wire.headers(stream, Wire.post, isEnd: false)) }
        #expect(bed.takeFrames().map(\.description) == ["reset 5 7"])
        bed.feed(Wire.data(1, "x", isEnd: true))
        #expect(bed.seen.last == .content(1, "x", isEnd: true))
        let count = bed.session.openStreamCount
        #expect(count == 2)
    }

    @Test func `a drain says so first, then names the last stream, finishes it and is over`() {
        let bed = greeted()
        bed.feed(Wire.headers(1, Wire.get))
        bed.session.drain()
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["goaway 2147483647 0"])
        bed.feed(Wire.headers(3, Wire.get))
        #expect(bed.seen.count == 2)
        bed.session.drain()
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["goaway 3 0"])
        bed.feed(Wire.headers(5, Wire.get) + Wire.data(5, "x"))
        #expect(bed.seen.count == 2)
        #expect(bed.takeFrames() == [])
        for stream: Int32 in [1, 3] { #expect(bed.respond(stream, "HTTP/1.1 204 No Content\r\n\r\n")) }
        let wasOver = bed.session.isOver
        bed.flush()
        let isOver = bed.session.isOver
        #expect(!wasOver && isOver)
    }

    @Test func `terminate says goodbye and is over once it is written`() {
        let bed = greeted()
        bed.feed(Wire.headers(1, Wire.get))
        bed.session.terminate(code: HTTP2Code.enhanceYourCalm)
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["goaway 1 11"])
        let (isOver, reason) = (bed.session.isOver, bed.session.reason)
        #expect(isOver)
        #expect(reason == .terminated)
    }

    @Test func `frames are cut to the room there is, and nothing is lost in small blocks`() {
        for room in [9, 64, 300, 2_100, 5_000, 16_393, 40_000] {
            let bed = greeted()
            bed.outputByteCount = room
            bed.contents[1_001] = (0..<50_000).map { UInt8($0 & 255) }
            bed.lastUsers = [1_001]
            bed.answer = { bed, stream in
                _ = bed.respond(stream, "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", hasContent: room > 2_057)
            }
            bed.feed(Wire.windowUpdate(0, 100_000) + Wire.windowUpdate(0, 1) + Wire.headers(1, Wire.get))
            bed.feed(Wire.windowUpdate(1, 100_000))
            let frames = bed.takeFrames()
            #expect(frames.first?.kind == .headers)
            let content = frames.filter { $0.kind == .data }.flatMap(\.payload)
            #expect(content == (room > 2_057 ? (0..<50_000).map { UInt8($0 & 255) } : []))
        }
    }
}
