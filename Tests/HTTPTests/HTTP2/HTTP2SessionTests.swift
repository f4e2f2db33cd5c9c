import Bytes
import HTTP
import Testing

/// What a server session makes of ordinary requests, and how it answers.
struct HTTP2SessionTests {
    @Test func `no session costs nothing and may be asked`() {
        let session = HTTP2Session()
        let (isActive, isOver) = (session.isActive, session.isOver)
        #expect(!isActive)
        #expect(isOver)
        #expect(MemoryLayout<HTTP2Session>.size == 8)
    }

    @Test func `a server says SETTINGS first, with its limits and without the old priorities`() throws {
        let bed = SessionBed()
        bed.flush()
        let frames = bed.takeFrames()
        let settings = try #require(frames.first)
        #expect(settings.kind == .settings)
        var values: [UInt16: UInt32] = [:]
        for offset in stride(from: 0, to: settings.payload.count, by: 6) {
            let id = UInt16(settings.payload[offset]) << 8 | UInt16(settings.payload[offset + 1])
            values[id] = settings.number(offset + 2)
        }
        #expect(values == [3: 128, 4: 16_384, 6: 16_384, 9: 1])
        #expect(frames.last?.description == "window 0 \(2_097_152 - 65_535)")
    }

    @Test func `a request without content becomes a head in HTTP/1.1 form that the strict reader takes`()
        throws
    {
        let (seen, frames) = SessionBed.everyWay(
            Wire.greeting + Wire.headers(1, Wire.get + [("accept", "*/*"), ("x-auth-token", "t")]))
        let text =
            "GET /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\naccept: */*\r\nx-auth-token: t\r\n\r\n"
        #expect(seen == [.head(1, text, isEnd: true)])
        #expect(frames.map(\.description).contains("settings ack"))
        let head = RequestSnapshot.read([text.latin1])
        #expect(head.result == .complete)
        #expect(head.host == "nova.example")
        #expect(head.framing == .none)
    }

    @Test func `content without a length is chunked for the reader, with one it keeps it`() {
        let chunked = SessionBed.everyWay(
            Wire.greeting + Wire.headers(1, Wire.post, isEnd: false) + Wire.data(1, "{}", isEnd: true)
        ).seen
        #expect(
            chunked == [
                .head(
                    1,
                    "POST /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\ntransfer-encoding: chunked\r\n\r\n",
                    isEnd: false),
                .content(1, "{}", isEnd: true),
            ])
        let sized = SessionBed.everyWay(
            Wire.greeting + Wire.headers(1, Wire.post + [("content-length", "2")], isEnd: false)
                + Wire.data(1, "{}", isEnd: true)
        ).seen
        #expect(
            sized == [
                .head(
                    1, "POST /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\ncontent-length: 2\r\n\r\n",
                    isEnd: false),
                .content(1, "{}", isEnd: true),
            ])
    }

    @Test func `cookie crumbs become one line`() {
        let seen = SessionBed.everyWay(
            Wire.greeting
                + Wire.headers(1, Wire.get + [("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")])
        ).seen
        #expect(
            seen == [
                .head(
                    1,
                    "GET /v2.1/servers HTTP/1.1\r\nhost: nova.example\r\naccept: */*\r\ncookie: a=1; b=2\r\n\r\n",
                    isEnd: true)
            ])
    }

    @Test func `a response with content goes out as HEADERS and DATA, and the stream is told closed`() {
        let (seen, frames) = SessionBed.everyWay(Wire.greeting + Wire.headers(1, Wire.get)) { bed in
            bed.answer = { bed, stream in
                bed.contents[1_001] = Array("{\"servers\": []}".utf8)
                bed.lastUsers = [1_001]
                #expect(
                    bed.respond(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n",
                        hasContent: true))
            }
        }
        #expect(seen.last == .closed(1_001, 0, wasRefused: false))
        #expect(frames.map(\.description).suffix(2) == ["headers 1", "data 1 15 end"])
    }

    @Test func `a response without content ends with its HEADERS`() {
        let (_, frames) = SessionBed.everyWay(Wire.greeting + Wire.headers(1, Wire.get)) { bed in
            bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 204 No Content\r\n\r\n") }
        }
        #expect(frames.last?.description == "headers 1 end")
    }
}
