import Bytes
import HTTP
import Testing

/// What sessions hold, and what happens when there is no more.
struct HTTP2MemoryTests {
    @Test func `an idle session costs little, and one that was busy goes back to it`() {
        let memory = HTTP2Memory()
        let bed = SessionBed(.server, HTTP2Limits(), memory)
        bed.feed(Wire.greeting + Wire.frame(.settings, Wire.ack))
        let idle = memory.lentByteCount
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\n\r\n", hasContent: true) }
        for index in 0..<100 { bed.feed(Wire.headers(UInt32(index * 2 + 1), Wire.get)) }
        let busy = memory.lentByteCount
        for index in 0..<100 { bed.session.reset(stream: Int32(index * 2 + 1), code: HTTP2Code.cancel) }
        bed.flush()
        let after = memory.lentByteCount
        print("an HTTP/2 session holds \(idle) bytes idle, \(busy) with 100 streams, \(after) after")
        #expect(idle < 32_768)
        #expect(busy - idle < 100 * 1_500)
        // The tables of fields, and room for streams that is kept.
        #expect(after - idle < 16_384)
        bed.session = HTTP2Session()
        #expect(memory.lentByteCount == 0)
        #expect(memory.freeByteCount <= memory.keptByteCount)
    }

    @Test func `a memory keeps no more than it may`() {
        let memory = HTTP2Memory(keptByteCount: 2_000)
        let bed = SessionBed(.server, HTTP2Limits(), memory)
        bed.feed(Wire.greeting)
        for index in 0..<50 { bed.feed(Wire.headers(UInt32(index * 2 + 1), Wire.post, isEnd: false)) }
        bed.session = HTTP2Session()
        #expect(memory.lentByteCount == 0)
        #expect(memory.freeByteCount < 2_000 + 4_096)
    }

    @Test func `short memory fails the session at any point, and nothing else happens`() {
        var outcomes: Set<HTTP2Failure> = []
        for limit in stride(from: 0, to: 60_000, by: 97) {
            let memory = HTTP2Memory(limitByteCount: limit)
            let bed = SessionBed(.server, HTTP2Limits(), memory)
            let isActive = bed.session.isActive
            guard isActive else { continue }
            bed.answer = { bed, stream in
                bed.contents[1_000 + UInt64(stream)] = Array("{}".utf8)
                _ = bed.respond(stream, "HTTP/1.1 200 OK\r\nX-A: b\r\nX-B: c\r\n\r\n", hasContent: true)
            }
            bed.feed(Wire.greeting)
            for index in 0..<40 {
                bed.feed(Wire.headers(UInt32(index * 2 + 1), Wire.get + [("x-\(index)", "y")]))
            }
            outcomes.insert(bed.session.reason)
            bed.session = HTTP2Session()
            #expect(memory.lentByteCount == 0)
        }
        #expect(outcomes == [.none, .internalError])
    }

    @Test func `closed streams are told once each, and their memory is used again`() {
        let memory = HTTP2Memory()
        let bed = SessionBed(.server, HTTP2Limits(), memory)
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 204 No Content\r\n\r\n") }
        bed.feed(Wire.greeting)
        var after100 = 0
        for index in 0..<5_000 {
            bed.feed(Wire.headers(UInt32(index * 2 + 1), Wire.get))
            if index == 100 { after100 = memory.lentByteCount }
        }
        let closed = bed.seen.filter { if case .closed = $0 { true } else { false } }
        #expect(closed.count == 5_000)
        #expect(memory.lentByteCount == after100)
    }
}
