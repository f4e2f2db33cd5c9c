import Bytes
import TLS
import Testing

@Suite struct TLSConnectionTests {
    @Test func `two ends agree, say what they agreed on, and pass content both ways`() throws {
        let link = try Link(Fixture.client(), Fixture.server())
        link.run()
        #expect(link.isEstablished)
        #expect(link.client.agreed == .http2)
        #expect(link.server.agreed == .http2)
        #expect(link.server.version == "TLSv1.3")
        #expect(link.server.cipherSuite == "TLS_AES_128_GCM_SHA256")
        link.client.send(bytes("GET / HTTP/1.1\r\n\r\n"))
        link.run()
        #expect(link.server.take() == bytes("GET / HTTP/1.1\r\n\r\n"))
        link.server.send(bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        link.run()
        #expect(link.client.take() == bytes("HTTP/1.1 204 No Content\r\n\r\n"))
        link.server.close()
        link.run()
        #expect(link.client.hasEnded)
        #expect(link.client.steps.last == .ended)
        #expect(!link.server.hasEnded)
    }
}
