import Bytes
import HTTP
import Testing

/// A server session against a client that is nghttp2's own.
struct HTTP2PeerTests {
    static let fields = [
        (":method", "GET"), (":scheme", "https"), (":authority", "nova.example"), (":path", "/v2.1/servers"),
    ]

    /// Moves bytes both ways until nobody has any.
    func talk(_ peer: Nghttp2Peer, _ bed: SessionBed) {
        while true {
            let up = peer.write()
            if !up.isEmpty { bed.feed(up) }
            bed.flush()
            let down = bed.written
            bed.written = []
            if !down.isEmpty { #expect(peer.read(down)) }
            if up.isEmpty, down.isEmpty { return }
        }
    }

    func head(_ number: Int, _ second: Int) -> String {
        """
        HTTP/1.1 200 OK\r
        Content-Type: application/json\r
        X-Gatehouse-Request-Id: req-00000000-0000-4000-8000-00000000\(1_000 + number)\r
        X-Custom-Name: Value \(number & 1)\r
        Set-Cookie: session=\(number)\r
        Connection: keep-alive\r
        Keep-Alive: timeout=5\r
        Date: Sun, 22 Nov 2026 11:10:\(10 + second) GMT\r
        Content-Length: 2\r
        \r

        """
    }

    @Test func `a hundred streams at once get their responses, lower-case and without connection fields`()
        throws
    {
        let (peer, bed) = (Nghttp2Peer(), SessionBed())
        bed.answer = { bed, stream in
            let user = 1_000 + UInt64(stream)
            bed.contents[user] = Array(repeating: UInt8(stream & 127), count: 20_000)
            bed.lastUsers.insert(user)
            #expect(
                bed.respond(
                    stream, "HTTP/1.1 200 OK\r\nX-Stream: \(stream)\r\nConnection: close\r\n\r\n",
                    hasContent: true))
        }
        let streams = (0..<100).map { _ in peer.request(Self.fields) }
        talk(peer, bed)
        for stream in streams {
            #expect(peer.closed[stream] == 0)
            #expect(
                peer.fields[stream]?.map { "\($0.name): \($0.value)" } == [
                    ":status: 200", "x-stream: \(stream)",
                ])
            #expect(peer.content[stream] == Array(repeating: UInt8(stream & 127), count: 20_000))
        }
        let count = bed.session.openStreamCount
        #expect(count == 0)
    }

    @Test func `what does not come again and what is secret is never indexed, and the table serves the rest`()
        throws
    {
        let (peer, bed) = (Nghttp2Peer(), SessionBed())
        bed.answer = { bed, stream in
            let number = Int(stream) / 2
            let text = head(number, number / 40)
            bed.contents[1_000 + UInt64(stream)] = Array("{}".utf8)
            bed.lastUsers.insert(1_000 + UInt64(stream))
            #expect(bed.respond(stream, text, hasContent: true))
        }
        var sizes: [Int] = []
        for number in 0..<80 {
            let stream = peer.request(Self.fields)
            bed.feed(peer.write())
            sizes.append(
                Wire.frames(bed.written).frames.filter { $0.kind == .headers }.last?.payload.count ?? 0)
            talk(peer, bed)
            let fields = try #require(peer.fields[stream])
            #expect(
                fields.map(\.name) == [
                    ":status", "content-type", "x-gatehouse-request-id", "x-custom-name", "set-cookie",
                    "date",
                    "content-length",
                ])
            #expect(fields[2].value.hasSuffix("\(1_000 + number)"))
            #expect(fields.first { $0.name == "set-cookie" }?.isNeverIndexed == true)
            if number > 2, number != 40, number != 41 { #expect(fields[2].isNeverIndexed) }
        }
        print("response field blocks, bytes: first \(sizes[0]), third \(sizes[2]), last \(sizes[79])")
        // An id of 40 bytes stays; everything else is a byte or three.
        #expect(sizes[79] < 60)
        #expect(sizes[79] < sizes[0] / 2)
    }

    @Test func `a client whose table is larger does not make ours larger`() {
        let (peer, bed) = (Nghttp2Peer(), SessionBed())
        bed.feed(Wire.preface + Wire.settings([(1, 1_000_000)]))
        bed.answer = { bed, stream in _ = bed.respond(stream, "HTTP/1.1 200 OK\r\nX-A: \(stream)\r\n\r\n") }
        _ = peer
        bed.feed(Wire.headers(1, Wire.get))
        let block = bed.takeFrames().last { $0.kind == .headers }?.payload ?? []
        // No dynamic table size update above 4,096: either none or one that says so (RFC 7541 §6.3).
        if let first = block.first, first & 0xE0 == 0x20 {
            #expect(Array(block.prefix(3)) == [0x3F, 0xE1, 0x1F])
        }
        #expect(!block.isEmpty)
    }
}
