import Foundation
import Testing

/// The runner's own peers against each other: what one side says is what the other hears.
struct BridgeTests {
    /// A client's line and a server's that it reaches, over HTTP/2.
    private final class Ends {
        let listener: StreamListener
        let client: HTTP2ClientLine

        init(tls: Bool) throws {
            listener = try StreamListener(tls: tls ? .server(["h2"]) : nil)
            listener.listen()
            let socket = try PlainSocket.connect(port: listener.port, tls: tls ? .client(["h2"]) : nil)
            client = try HTTP2ClientLine(HTTP2Connection(socket, isServer: false))
        }

        func accept() throws -> Wire { try #require(try listener.accept()) }

        deinit {
            client.close()
            listener.close()
        }
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(arguments: [false, true]) func `a request and its answer pass`(tls: Bool) throws {
        let ends = try Ends(tls: tls)
        try ends.client.send(
            bytes(
                "POST /a HTTP/1.1\r\nHost: h\r\nX-A: b\r\nConnection: X-C\r\nX-C: d\r\nContent-Length: 3\r\n\r\na"
            ))
        try ends.client.send(bytes("bc"))
        let server = try ends.accept()
        let request = try PlainMessage.read(server, isAnswer: false)
        #expect(request.line == "POST /a HTTP/1.1")
        #expect(
            request.fields.map { "\($0.name): \($0.value)" } == ["Host: h", "x-a: b", "content-length: 3"])
        #expect(request.contentText == "abc")
        #expect(!request.isCut)
        try server.send(
            bytes("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
        let early = try PlainMessage.read(ends.client, isAnswer: true)
        #expect(early.status == 103)
        let answer = try PlainMessage.read(ends.client, isAnswer: true)
        #expect(answer.status == 200)
        #expect(answer.value("Content-Length") == "2")
        #expect(answer.contentText == "{}")
        #expect(!answer.isCut)
        #expect(server.awaitEnd())
    }

    @Test func `chunks and trailers become frames`() throws {
        let ends = try Ends(tls: false)
        try ends.client.send(
            bytes(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX-T: 1\r\n\r\n"
            ))
        let server = try ends.accept()
        let request = try PlainMessage.read(server, isAnswer: false)
        #expect(request.contentText == "abc")
        #expect(request.value("Transfer-Encoding") == nil)
        try server.send(bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"))
        #expect(try PlainMessage.read(ends.client, isAnswer: true).contentText == "hi")
    }

    @Test func `an answer that is broken off is cut`() throws {
        let ends = try Ends(tls: true)
        for ending in ["reset", "close"] {
            try ends.client.send(bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
            let server = try ends.accept()
            _ = try PlainMessage.read(server, isAnswer: false)
            try server.send(bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
            if ending == "reset" { server.reset() } else { server.close() }
            let answer = try PlainMessage.read(ends.client, isAnswer: true)
            #expect(answer.isCut, "\(ending)")
        }
        #expect(ends.client.awaitEnd())
    }

    @Test func `a reader that stops holds the writer up, and loses nothing`() throws {
        let ends = try Ends(tls: true)
        try ends.client.send(bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
        let server = try ends.accept()
        _ = try PlainMessage.read(server, isAnswer: false)
        let count = 3_000_000
        let sent = DispatchGroup()
        DispatchQueue.global().async(group: sent) {
            let content = [UInt8](repeating: 0x78, count: count)
            try? server.send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n".utf8) + content)
        }
        #expect(sent.wait(timeout: .now() + 0.2) == .timedOut)
        let answer = try PlainMessage.read(ends.client, isAnswer: true)
        #expect(answer.content.count == count)
        #expect(!answer.isCut)
        #expect(sent.wait(timeout: .now() + Wire.patience) == .success)
    }

    @Test func `a reset of the client ends the server's side`() throws {
        let ends = try Ends(tls: true)
        try ends.client.send(bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
        let server = try ends.accept()
        _ = try PlainMessage.read(server, isAnswer: false)
        ends.client.reset()
        #expect(server.awaitEnd())
        // The connection goes on.
        try ends.client.send(bytes("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"))
        #expect(try PlainMessage.read(server, isAnswer: false).line == "GET /2 HTTP/1.1")
    }

    @Test func `a refused stream and GOAWAY are seen`() throws {
        let ends = try Ends(tls: false)
        try ends.client.send(bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
        let server = try ends.accept()
        _ = try PlainMessage.read(server, isAnswer: false)
        try server.refuse()
        #expect(throws: SocketFailure.self) { try PlainMessage.read(ends.client, isAnswer: true) }
        try server.leave(refusing: false)
        #expect(try ends.client.awaitLeaving())
    }

    @Test func `another protocol or certificate than the client's own is a failure`() throws {
        let listener = try Listener(tls: .server(["http/1.1"]))
        listener.listen()
        let socket = try PlainSocket.connect(port: listener.port, tls: .client(["h2"]))
        let client = try HTTP2ClientLine(HTTP2Connection(socket, isServer: false))
        let server = try #require(try listener.accept())
        while server.receive() {}
        #expect(client.awaitEnd())
        #expect(client.connection.problem?.contains("ALPN") == true)

        let other = try Listener(tls: .server([], certificate: "nova"))
        other.listen()
        let wrong = try PlainSocket.connect(port: other.port, tls: .client([]))
        try DispatchQueue.global().sync {
            let server = try #require(try other.accept())
            // The handshake needs both sides; the client's part is made while this one waits.
            for _ in 0..<200 where wrong.failure == nil {
                wrong.receive(patience: 0.01)
                server.receive(patience: 0.01)
            }
        }
        #expect(wrong.failure?.contains("certificate verify failed") == true)
    }

    @Test func `HTTP/1.1 over TLS passes both ways, and its end is orderly`() throws {
        let listener = try Listener(tls: .server(["http/1.1"]))
        listener.listen()
        let client = try PlainSocket.connect(port: listener.port, tls: .client(["http/1.1"]))
        let server = try #require(try listener.accept())
        let said = DispatchGroup()
        DispatchQueue.global().async(group: said) {
            try? client.send(Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        }
        #expect(try PlainMessage.read(server, isAnswer: false).line == "GET / HTTP/1.1")
        said.wait()
        try server.send(bytes("HTTP/1.1 200 OK\r\n\r\nuntil the end"))
        server.close()
        let answer = try PlainMessage.read(client, isAnswer: true)
        #expect(answer.contentText == "until the end")
        #expect(!answer.isCut)
        #expect(client.awaitPeerSubject()?.contains("CN=localhost") == true)
    }

    @Test func `what only HTTP/1.1 can say is an error`() throws {
        for text in ["GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] {
            let ends = try Ends(tls: false)
            #expect(throws: SocketFailure.self) { try ends.client.send(bytes(text)) }
        }
    }
}
