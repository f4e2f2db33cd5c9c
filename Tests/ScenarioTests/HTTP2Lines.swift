import CNghttp2
import Foundation

/// What both ends of a stream have in common.
class HTTP2Line: Wire, @unchecked Sendable {
    fileprivate(set) var connection: HTTP2Connection
    /// The stream whose message is read.
    fileprivate(set) var current: HTTP2Stream?

    override var isStream: Bool { true }
    override var failure: String? { connection.problem }

    override func awaitPeerSubject() -> String? { connection.awaitPeerSubject() }

    init(_ connection: HTTP2Connection) {
        self.connection = connection
        super.init()
    }

    /// Waits for content of the current stream; false at its end, with `isReset` when it was broken off.
    @discardableResult
    override func receive(patience: TimeInterval = Wire.patience) -> Bool {
        guard let current, !isClosed else { return false }
        _ = connection.wait(patience: patience) {
            !current.content.isEmpty || current.isWhole || current.closeCode != nil
        }
        let taken = connection.takeContent(of: current)
        if !taken.isEmpty {
            unread += taken
            return true
        }
        (isEnded, isReset) = connection.observe {
            let isOver = current.closeCode != nil || connection.isOverNow
            return (isOver, isOver && !current.isWhole)
        }
        return false
    }

    /// Takes the next head of `stream`, waiting for it.
    fileprivate func head(of stream: HTTP2Stream) throws -> (
        line: String, fields: [(name: String, value: String)]
    ) {
        current = stream
        let came = connection.wait(patience: Self.patience) {
            !stream.heads.isEmpty || stream.closeCode != nil
        }
        guard came, let head = connection.observe({ stream.heads.isEmpty ? nil : stream.heads.removeFirst() })
        else {
            _ = receive(patience: 0)
            let code = connection.observe { stream.closeCode }
            let how =
                code.map { "the stream ended with \($0)" }
                ?? (came || connection.hasEnded ? "end" : "nothing")
            throw SocketFailure("\(how) instead of a head\(connection.problem.map { ": " + $0 } ?? "")")
        }
        return head
    }

    override func awaitLeaving() throws -> Bool {
        connection.wait(patience: Self.patience) { connection.leavingNow != nil }
    }
}

/// A client's side: each request it says is a stream of one connection; answers are read in the order of the requests.
final class HTTP2ClientLine: HTTP2Line, @unchecked Sendable {
    private var splitter = MessageSplitter(isAnswer: false)
    /// The streams whose answers have not been read to their end, and the one being written.
    private var streams: [HTTP2Stream] = []
    private var written: HTTP2Stream?
    /// All that may not have ended.
    private var opened: [HTTP2Stream] = []
    private var lastStatus = 0

    override func send(_ bytes: [UInt8]) throws {
        guard !isClosed else { throw SocketFailure("this side has closed the connection") }
        for piece in try splitter.feed(bytes) {
            switch piece {
            case .head(let line, let fields, let hasContent):
                let scheme = connection.isTLS ? "https" : "http"
                let stream = try connection.request(
                    MessageSplitter.request(line, fields, scheme: scheme), hasContent: hasContent)
                streams.append(stream)
                opened = opened.filter { stream in connection.observe { stream.closeCode == nil } } + [stream]
                written = stream
            case .content(let bytes): if let written { connection.append(bytes, to: written) }
            case .end(let trailers): if let written { connection.finish(written, trailers: trailers) }
            }
        }
        if let written { try connection.flush(written) }
    }

    override func readHead() throws -> (line: String, fields: [(name: String, value: String)]) {
        unread = []
        guard let stream = streams.first else {
            _ = connection.wait(patience: Self.patience) { false }
            throw SocketFailure("nothing was asked\(connection.problem.map { ": " + $0 } ?? "")")
        }
        let head = try head(of: stream)
        let status = head.line.split(separator: " ").last.flatMap { Int($0) } ?? 0
        if status >= 200 {
            streams.removeFirst()
            lastStatus = status
        }
        return head
    }

    override func hasInput() -> Bool { connection.observe { streams.first?.heads.isEmpty == false } }

    /// Answers after which HTTP/1.1 closes: there the end of the stream is what HTTP/2 has for it.
    private static let closing: Set = [400, 408, 413, 414, 417, 431, 501, 505]

    /// Waits for the end of what HTTP/1.1 would have ended: of every stream, when the last answer was such a refusal, the
    /// request was not said whole, or one was broken off; else of the connection.
    override func awaitEnd() -> Bool {
        while receive() {}
        let all = streams + [current, written].compactMap { $0 }
        let haveEnded = connection.wait(patience: Self.patience) { all.allSatisfy { $0.closeCode != nil } }
        for stream in all { unread += connection.takeContent(of: stream) }
        let isUnanswered = connection.observe { streams.contains { $0.heads.isEmpty } }
        if connection.observe({ streams.contains { !$0.heads.isEmpty } }) { unread += "an answer".utf8 }
        guard haveEnded || connection.hasEnded else { return false }
        let isBrokenOff = connection.observe {
            all.contains { $0.closeCode != nil && ($0.closeCode != 0 || !$0.outgoing.isEmpty) }
        }
        if !all.isEmpty,
            isUnanswered || isBrokenOff || Self.closing.contains(lastStatus) || splitter.isInMessage
        {
            return true
        }
        return connection.wait(patience: Self.patience) { connection.isOverNow } || connection.hasEnded
    }

    /// Every request says its own end; what this adds is that none will follow.
    override func shutdownWrite() { connection.leave(last: 0) }

    /// The answers that are still to come are not wanted; the connection stays.
    override func reset() {
        for stream in opened { connection.reset(stream, code: NGHTTP2_CANCEL) }
        (opened, streams) = ([], [])
        splitter = MessageSplitter(isAnswer: false)
        current = nil
        written = nil
    }

    override func close() {
        guard !isClosed else { return }
        super.close()
        connection.close(politely: true)
    }
}

/// A server's side: what a scenario calls a connection is one stream at a time, the next one once its request was read.
final class HTTP2ServerLine: HTTP2Line, @unchecked Sendable {
    private var splitter = MessageSplitter(isAnswer: true)
    private unowned let listener: StreamListener
    private var stream: HTTP2Stream
    private var isAnswered = false

    init(_ first: StreamListener.Arrival, _ listener: StreamListener) {
        self.listener = listener
        stream = first.stream
        super.init(first.connection)
        current = stream
    }

    override func readHead() throws -> (line: String, fields: [(name: String, value: String)]) {
        if connection.observe({ stream.heads.isEmpty }) {
            guard let next = listener.next(patience: Self.patience) else {
                throw SocketFailure("no request came")
            }
            (connection, stream) = (next.connection, next.stream)
            splitter = MessageSplitter(isAnswer: true)
            isAnswered = false
            (isEnded, isReset) = (false, false)
        }
        unread = []
        let head = try head(of: stream)
        splitter.answersHead = head.line.hasPrefix("HEAD ")
        return head
    }

    override func hasInput() -> Bool {
        !unread.isEmpty || connection.observe { !stream.heads.isEmpty || !stream.content.isEmpty }
    }

    override func send(_ bytes: [UInt8]) throws {
        guard !isClosed else { throw SocketFailure("this side has closed the connection") }
        for piece in try splitter.feed(bytes) {
            switch piece {
            case .head(let line, let fields, let hasContent):
                // What is no status line is no status either: an answer that breaks the rules (RFC 9113 §8.3.2).
                let words = line.split(separator: " ").map(String.init)
                let status = words.count > 1 && words[0].hasPrefix("HTTP/1.") ? words[1] : line
                let isInterim = status.count == 3 && status.hasPrefix("1")
                guard !isAnswered else { throw SocketFailure("HTTP/2 has no second answer on a stream") }
                isAnswered = !isInterim
                try connection.respond(
                    stream, [(":status", status)] + MessageSplitter.carried(fields), hasContent: hasContent,
                    isInterim: isInterim)
            case .content(let bytes): connection.append(bytes, to: stream)
            case .end(let trailers): connection.finish(stream, trailers: trailers)
            }
        }
        try connection.flush(stream)
    }

    /// Waits for the end of the stream, on both its sides.
    override func awaitEnd() -> Bool {
        while receive() {}
        return connection.wait(patience: Self.patience) { stream.closeCode != nil } || connection.hasEnded
    }

    override func reset() { end(NGHTTP2_INTERNAL_ERROR) }

    override func refuse() { end(NGHTTP2_REFUSED_STREAM) }

    /// Breaks the stream off; what came of its content is not looked at.
    private func end(_ code: nghttp2_error_code) {
        connection.reset(stream, code: code)
        _ = connection.takeContent(of: stream)
        unread = []
    }

    override func leave(refusing: Bool) throws {
        connection.leave(last: refusing ? stream.id - 2 : stream.id)
        try connection.flush(stream)
    }

    /// Its stream has ended; others of its connection may not have.
    override func forget() {}

    /// Ends an answer that goes on until then; else the connection without a word, or only the stream if it has others.
    override func close() {
        guard !isClosed else { return }
        super.close()
        if splitter.endsByClose {
            connection.finish(stream)
            try? connection.flush(stream)
            return
        }
        let isOpen = connection.observe { stream.closeCode == nil }
        if connection.openStreamCount > (isOpen ? 1 : 0) {
            connection.reset(stream, code: NGHTTP2_INTERNAL_ERROR)
        } else {
            connection.close(politely: false)
        }
    }
}
