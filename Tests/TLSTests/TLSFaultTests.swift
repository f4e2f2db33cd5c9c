import TLS
import Testing

@Suite struct TLSFaultTests {
    @Test func `a fault keeps the words it was made with`() {
        #expect(TLSFault("server.crt has no certificate").reason == "server.crt has no certificate")
    }
}
