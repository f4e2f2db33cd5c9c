import Bytes
import HTTP
import Testing

@Suite struct HTTP2PrefaceTests {
    private func judge(_ text: String) -> HTTP2Preface {
        Array(text.utf8).withUnsafeBufferPointer {
            HTTP2Preface.judge(ByteView(start: $0.baseAddress, count: $0.count))
        }
    }

    @Test(arguments: ["P", "PR", "PRI"])
    func `a beginning that may still become the preface is waited for`(text: String) {
        #expect(judge(text) == .partial)
    }

    @Test func `four bytes of the preface are enough`() {
        #expect(judge("PRI ") == .present)
        #expect(judge("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == .present)
        #expect(judge("PRI * HTTP/3.0\r\n") == .present)
    }

    @Test(arguments: [
        "G", "PUT /", "POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / http/1.1\r\n", "GET /\r\n",
        "\r\nGET / HTTP/1.1\r\n", "\u{1}\u{2} a b\r\n", "INVALID CONNECTION PREFACE",
    ])
    func `what may be HTTP 1 is left to its reader`(text: String) {
        #expect(judge(text) == .absent)
    }

    @Test(arguments: ["INVALID CONNECTION PREFACE\r\n\r\n", "A B C\n", "PRI* HTTP 2.0\r\n"])
    func `a whole first line of three words without a version is broken`(text: String) {
        #expect(judge(text) == .broken)
    }
}
