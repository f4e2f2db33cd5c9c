import Bytes
import HTTP
import Testing

/// What a client session sends, and what it makes of a server's frames.
struct HTTP2ClientTests {
    static let get =
        "GET /v2.1/servers HTTP/1.1\r\nHost: nova.internal:8774\r\nX-Auth-Token: secret\r\nConnection: keep-alive\r\nTE: trailers\r\n\r\n"

    func open(_ settings: [(UInt16, UInt32)] = []) -> SessionBed {
        let bed = SessionBed(.client)
        bed.attaches = false
        bed.feed(Wire.settings(settings) + Wire.frame(.settings, Wire.ack))
        bed.written.removeFirst(Wire.preface.count)
        _ = bed.takeFrames()
        return bed
    }

    func request(_ bed: SessionBed, _ text: String = get, hasContent: Bool = false, user: UInt64 = 7) -> Int32
    {
        text.latin1.withUnsafeBufferPointer {
            bed.session.request(head: $0, scheme: "https", hasContent: hasContent, user: user)
        }
    }

    @Test func `a client says the preface and SETTINGS without push first`() throws {
        let bed = SessionBed(.client)
        bed.flush()
        #expect(Array(bed.written.prefix(24)) == Wire.preface)
        bed.written.removeFirst(24)
        let settings = try #require(bed.takeFrames().first)
        #expect(settings.kind == .settings)
        #expect(Array(settings.payload.prefix(6)) == [0, 2, 0, 0, 0, 0])
    }

    @Test func `a server session reads the request as it was written`() {
        let client = SessionBed(.client)
        let server = SessionBed()
        client.contents[7] = Array("{}".utf8)
        client.lastUsers = [7]
        let head =
            "POST /v2.1/servers?a=b HTTP/1.1\r\nHost: nova.internal:8774\r\nX-Auth-Token: secret\r\nContent-Length: 2\r\nX-Other: v\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(request(client, head, hasContent: true) == 1)
        client.flush()
        server.feed(client.written)
        #expect(
            server.seen == [
                .head(
                    1,
                    "POST /v2.1/servers?a=b HTTP/1.1\r\nhost: nova.internal:8774\r\nx-auth-token: secret\r\ncontent-length: 2\r\nx-other: v\r\n\r\n",
                    isEnd: false),
                .content(1, "{}", isEnd: true),
            ])
    }

    @Test func `a response comes with its status line, interim ones before`() {
        let bed = open()
        #expect(request(bed) == 1)
        bed.flush()
        bed.feed(
            Wire.headers(1, [(":status", "103"), ("link", "</a>")], isEnd: false)
                + Wire.headers(1, [(":status", "200"), ("content-length", "2")], isEnd: false)
                + Wire.data(1, "{}", isEnd: true))
        #expect(
            bed.seen == [
                .head(1, "HTTP/1.1 103 \r\nlink: </a>\r\n\r\n", isEnd: false),
                .head(1, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", isEnd: false),
                .content(1, "{}", isEnd: true), .closed(7, 0, wasRefused: false),
            ])
    }

    @Test func `trailers end a response and are dropped`() {
        let bed = open()
        #expect(request(bed) == 1)
        bed.flush()
        bed.feed(
            Wire.headers(1, [(":status", "200")], isEnd: false) + Wire.data(1, "{}")
                + Wire.headers(1, [("x-checksum", "1")]))
        #expect(
            bed.seen == [
                .head(1, "HTTP/1.1 200 OK\r\n\r\n", isEnd: false), .content(1, "{}", isEnd: true),
                .closed(7, 0, wasRefused: false),
            ])
    }

    @Test func `a refused stream may be sent again, a cancelled one may not`() {
        let bed = open()
        #expect(request(bed, user: 7) == 1)
        #expect(request(bed, user: 8) == 3)
        bed.flush()
        bed.feed(Wire.resetStream(1, HTTP2Code.refusedStream) + Wire.resetStream(3, HTTP2Code.cancel))
        #expect(bed.seen == [.closed(7, 7, wasRefused: true), .closed(8, 8, wasRefused: false)])
    }

    @Test func `GOAWAY refuses the streams after its last, lets the others end and allows no new ones`() {
        let bed = open()
        #expect(request(bed, user: 7) == 1)
        #expect(request(bed, user: 8) == 3)
        bed.flush()
        bed.feed(Wire.frame(.goAway, 0, 0, Wire.number(1) + Wire.number(0)))
        #expect(bed.seen == [.closed(8, 7, wasRefused: true)])
        let (isLeaving, may) = (bed.session.peerIsLeaving, bed.session.mayRequest)
        #expect(isLeaving && !may)
        #expect(request(bed) < 0)
        bed.feed(Wire.headers(1, [(":status", "204")]))
        #expect(bed.seen.last == .closed(7, 0, wasRefused: false))
        let isOver = bed.session.isOver
        #expect(isOver)
    }

    @Test func `a request that GOAWAY overtakes before it was written is refused`() {
        let bed = open()
        #expect(request(bed) == 1)
        // Fed without writing first: the bed writes after it.
        bed.feed(Wire.frame(.goAway, 0, 0, Wire.number(0) + Wire.number(0)))
        #expect(bed.seen.count == 1)
        #expect(bed.seen.first.map { if case .closed(7, _, true) = $0 { true } else { false } } == true)
        #expect(!bed.takeFrames().contains { $0.kind == .headers })
    }

    @Test func `the server's number of streams is kept to`() {
        let bed = open([(3, 2)])
        #expect(request(bed) == 1)
        #expect(request(bed) == 3)
        let may = bed.session.mayRequest
        #expect(!may)
        #expect(request(bed) < 0)
        bed.flush()
        bed.feed(Wire.headers(1, [(":status", "204")]))
        #expect(request(bed) == 5)
    }

    @Test func `a pushed stream ends the connection`() {
        let bed = open()
        #expect(request(bed) == 1)
        bed.flush()
        bed.feed(Wire.frame(.pushPromise, 4, 1, Wire.number(2) + Wire.section(Wire.get)))
        let reason = bed.session.reason
        #expect(reason == .protocolError)
    }

    @Test func `a response that is malformed resets its stream`() {
        for fields in [
            [("x", "y")], [(":status", "20")], [(":status", "200"), ("connection", "close")],
            [(":status", "101")],
        ] {
            let bed = open()
            #expect(request(bed) == 1)
            bed.flush()
            _ = bed.takeFrames()
            bed.feed(Wire.headers(1, fields))
            #expect(bed.takeFrames().map(\.description) == ["reset 1 1"], "\(fields)")
            #expect(bed.seen == [.closed(7, 1, wasRefused: false)])
        }
    }

    @Test func `a request that is taken back before it is written never goes out`() {
        let bed = open()
        #expect(request(bed) == 1)
        bed.session.reset(stream: 1, code: HTTP2Code.cancel)
        bed.flush()
        #expect(!bed.takeFrames().contains { $0.kind == .headers })
        #expect(bed.seen.count == 1)
        #expect(request(bed) == 3)
        bed.flush()
        #expect(bed.takeFrames().map(\.description) == ["headers 3 end"])
    }

    @Test func `a response to HEAD keeps its length without content`() {
        let bed = open()
        #expect(request(bed, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n") == 1)
        bed.flush()
        bed.feed(Wire.headers(1, [(":status", "200"), ("content-length", "99")]))
        #expect(bed.seen.first == .head(1, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", isEnd: true))
    }

    @Test func `a head that is none opens no stream`() {
        let bed = open()
        for text in [
            "", "GET", "GET / HTTP/1.1", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nx: y",
        ] {
            #expect(request(bed, text) < 0)
        }
        #expect(request(bed) == 1)
    }
}
