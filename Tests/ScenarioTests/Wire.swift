import Foundation

/// One end of a conversation as roles see it: what HTTP/1.1 would say, whatever carries it.
///
/// `PlainSocket` carries it byte by byte, over TLS or not; `HTTP2ClientLine` and `HTTP2ServerLine` as streams.
class Wire: @unchecked Sendable {
    // Unchecked: each is used by the one thread of its role.
    var unread: [UInt8] = []
    var isEnded = false
    /// The end was no orderly one.
    var isReset = false
    private(set) var isClosed = false

    /// How long a peer may take; long, because a busy machine with sanitizers is slow, and only failures wait for it.
    static let patience: TimeInterval =
        ProcessInfo.processInfo.environment["SCENARIO_PATIENCE"].flatMap(TimeInterval.init) ?? 20

    /// Messages are streams: their end needs no framing, and an answer may end without its connection.
    var isStream: Bool { false }

    func send(_ bytes: [UInt8]) throws { throw SocketFailure("nothing to send on") }

    /// Receives what comes next; false at the end, after a reset, or when nothing came in time.
    @discardableResult
    func receive(patience: TimeInterval = Wire.patience) -> Bool { false }

    /// Something to read is there already, or the end.
    func hasInput() -> Bool { !unread.isEmpty || !isClosed && receive(patience: 0) }

    func take(_ count: Int) -> [UInt8] {
        let taken = Array(unread.prefix(count))
        unread.removeFirst(taken.count)
        return taken
    }

    /// Reads the next head: its first line and its field lines.
    func readHead() throws -> (line: String, fields: [(name: String, value: String)]) {
        let end: Int
        while true {
            if let found = PlainMessage.find([0x0D, 0x0A, 0x0D, 0x0A], in: unread) {
                end = found
                break
            }
            guard receive() else {
                let how = isReset ? "reset" : isEnded ? "end of connection" : "nothing more came"
                throw SocketFailure("\(how) instead of a whole head, after \(printable(unread))")
            }
        }
        return try PlainMessage.head(take(end + 4).dropLast(4))
    }

    /// Waits for the end of the connection; answers whether it came. What came before it is in `unread`.
    func awaitEnd() -> Bool {
        while receive() {}
        return isEnded
    }

    /// Says that nothing more will be sent.
    func shutdownWrite() {}

    /// Ends so that the peer sees a reset.
    func reset() { close() }

    func close() { isClosed = true }

    /// The peer has ended it, and this side has nothing more to do with it.
    func forget() { close() }

    /// For the step `goaway`: the connection takes no more requests; with `refusing`, not even the one being read.
    func leave(refusing: Bool) throws { throw SocketFailure("HTTP/1.1 has no GOAWAY") }

    /// For the step `reset refused`: the request was not looked at.
    func refuse() throws { throw SocketFailure("HTTP/1.1 has no REFUSED_STREAM") }

    /// For the step `expect goaway`: the peer says that it takes no more requests.
    func awaitLeaving() throws -> Bool { throw SocketFailure("HTTP/1.1 has no GOAWAY") }

    /// Waits until TLS's handshake has been made, and answers the subject of the peer's certificate; nil without.
    func awaitPeerSubject() -> String? { nil }

    /// Why the connection ended, when TLS or HTTP/2 says so.
    var failure: String? { nil }
}

struct SocketFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
