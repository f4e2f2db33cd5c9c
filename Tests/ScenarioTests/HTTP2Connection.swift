import CNghttp2
import Foundation
import Glibc

/// A message each way of one HTTP/2 stream, as far as it has come.
final class HTTP2Stream: @unchecked Sendable {
    // Unchecked: guarded by its connection's lock.
    let id: Int32
    /// Heads that nobody has read yet, interim ones among them.
    var heads: [(line: String, fields: [(name: String, value: String)])] = []
    var block: [(name: String, value: String)] = []
    var content: [UInt8] = []
    /// The peer has said everything.
    var isWhole = false
    /// Nothing more comes or goes; with an error's code, when it was broken off.
    var closeCode: UInt32?
    /// A slice, so that taking from its front moves nothing.
    var outgoing: ArraySlice<UInt8> = []
    var outgoingEnds = false
    var outgoingTrailers: [(name: String, value: String)] = []

    init(_ id: Int32) { self.id = id }
}

/// An HTTP/2 connection on libnghttp2 directly, driven by a thread of its own so that it answers whatever its role does.
///
/// Windows are nghttp2's first ones (65,535 bytes); a stream's opens again as its content is taken, the connection's at once.
final class HTTP2Connection: @unchecked Sendable {
    // Unchecked: everything mutable is behind `lock`; nghttp2's callbacks run under it.
    private let lock = NSCondition()
    private let socket: PlainSocket
    private let isServer: Bool
    /// The two ends of a pipe that wakes the thread.
    private let wake: (read: Int32, write: Int32)
    private var session: OpaquePointer?
    private var streams: [Int32: HTTP2Stream] = [:]
    private var pending: [UInt8] = []
    private var isStopping = false
    private var isOver = false
    private var endsWithGoaway = false
    private var firstProblem: String?
    private var goaway: (last: Int32, code: UInt32)?
    /// A request came; called under the lock.
    private let arrived: @Sendable (HTTP2Connection, HTTP2Stream) -> Void

    init(
        _ socket: PlainSocket, isServer: Bool,
        arrived: @escaping @Sendable (HTTP2Connection, HTTP2Stream) -> Void = { _, _ in }
    ) throws {
        self.socket = socket
        self.isServer = isServer
        self.arrived = arrived
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw SocketFailure("pipe: \(errno)") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        wake = (ends[0], ends[1])
        try makeSession()
        Thread.detachNewThread { [self] in run() }
    }

    deinit {
        nghttp2_session_del(session)
        Glibc.close(wake.read)
        Glibc.close(wake.write)
    }

    private func makeSession() throws {
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&option) == 0 else {
            throw SocketFailure("no memory for HTTP/2")
        }
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(option)
        }
        HTTP2Callbacks.set(callbacks)
        nghttp2_option_set_no_auto_window_update(option, 1)
        let me = Unmanaged.passUnretained(self).toOpaque()
        let result =
            isServer
            ? nghttp2_session_server_new2(&session, callbacks, me, option)
            : nghttp2_session_client_new2(&session, callbacks, me, option)
        guard result == 0 else { throw SocketFailure("HTTP/2: \(Self.text(result))") }
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: 100)
        ]
        if !isServer {
            settings.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        }
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    }

    static func text(_ result: Int32) -> String { String(cString: nghttp2_strerror(result)) }

    var isTLS: Bool { socket.tls != nil }

    func awaitPeerSubject() -> String? {
        _ = wait(patience: Wire.patience) { socket.tls?.isEstablished != false }
        return observe { socket.tls?.peerSubject }
    }

    // MARK: - The connection's own thread

    private func run() {
        lock.lock()
        while !isOver {
            var events = Int16(POLLIN)
            receive(&events)
            if !isOver { transmit(&events) }
            lock.broadcast()
            if isOver { break }
            lock.unlock()
            var entries = [
                pollfd(fd: socket.descriptor, events: events, revents: 0),
                pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0),
            ]
            poll(&entries, 2, -1)
            lock.lock()
            var bytes = [UInt8](repeating: 0, count: 64)
            while Glibc.read(wake.read, &bytes, bytes.count) == bytes.count {}
        }
        socket.beginEnd()
        lock.broadcast()
        lock.unlock()
        socket.awaitPeersEnd()
        observe { socket.close() }
    }

    private func receive(_ events: inout Int16) {
        var block = [UInt8](repeating: 0, count: 65_536)
        for _ in 0..<16 {
            switch socket.readSome(&block) {
            case .bytes(let count):
                let result = nghttp2_session_mem_recv(session, block, count)
                guard result >= 0 else { return end("HTTP/2: \(Self.text(Int32(result)))") }
            case .wait(let wanted):
                events |= wanted
                return
            case .ended: return end(nil)
            case .failed: return end(socket.tls?.failure ?? "reset")
            }
        }
        // There may be more; the poll sees it at once, but not what TLS has read already.
        wakeUp()
    }

    private func transmit(_ events: inout Int16) {
        if let tls = socket.tls, tls.isEstablished, tls.chosenProtocol != "h2" {
            return end("ALPN chose «\(tls.chosenProtocol)», not h2")
        }
        while true {
            while pending.count < 65_536 {
                var bytes: UnsafePointer<UInt8>?
                let count = nghttp2_session_mem_send(session, &bytes)
                guard count >= 0 else { return end("HTTP/2: \(Self.text(Int32(count)))") }
                guard count > 0 else { break }
                pending += UnsafeBufferPointer(start: bytes, count: count)
            }
            guard !pending.isEmpty else { break }
            switch socket.writeSome(pending[...]) {
            case .bytes(let count): pending.removeFirst(count)
            case .wait(let wanted):
                events |= wanted
                if isStopping { end(nil) }
                return
            case .ended, .failed:
                // What the peer said before it closed may still be there to be read.
                return pending = []
            }
        }
        // Whoever said GOAWAY, it is the gateway that ends the connection; unless it broke a rule.
        let isDone = nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
        if isStopping || isDone && firstProblem != nil { end(nil) }
    }

    private func end(_ text: String?) {
        isOver = true
        if firstProblem == nil { firstProblem = text }
    }

    private func wakeUp() {
        // A full pipe wakes just as well.
        var byte: UInt8 = 1
        _ = Glibc.write(wake.write, &byte, 1)
    }

    // MARK: - What nghttp2 tells, under the lock

    func stream(_ id: Int32) -> HTTP2Stream? { streams[id] }

    func heard(_ id: Int32, name: String, value: String) {
        if streams[id] == nil, isServer { streams[id] = HTTP2Stream(id) }
        streams[id]?.block.append((name, value))
    }

    /// A field section is whole: a request, an answer, an interim one, or trailers.
    func heardHead(_ id: Int32) {
        guard let stream = streams[id] else { return }
        let pseudo = Dictionary(
            stream.block.filter { $0.name.hasPrefix(":") }.map { ($0.name, $0.value) },
            uniquingKeysWith: { $0 + "," + $1 })
        var fields = stream.block.filter { !$0.name.hasPrefix(":") }
        stream.block = []
        if let status = pseudo[":status"] {
            stream.heads.append(("HTTP/1.1 \(status)", fields))
        } else if let method = pseudo[":method"] {
            if let authority = pseudo[":authority"] { fields.insert(("Host", authority), at: 0) }
            let wanted = isTLS ? "https" : "http"
            if pseudo[":scheme"] != wanted { fields.append(("Wrong_Scheme", pseudo[":scheme"] ?? "none")) }
            stream.heads.append(("\(method) \(pseudo[":path"] ?? "") HTTP/1.1", fields))
            arrived(self, stream)
        }
    }

    func heard(_ id: Int32, content: UnsafeBufferPointer<UInt8>) {
        streams[id]?.content += content
        nghttp2_session_consume_connection(session, content.count)
    }

    func heardEnd(_ id: Int32) { streams[id]?.isWhole = true }
    func heardClose(_ id: Int32, code: UInt32) { streams[id]?.closeCode = code }
    func heardLeaving(last: Int32, code: UInt32) { goaway = (last, code) }
    func heardInvalid(_ text: String) { if firstProblem == nil { firstProblem = text } }

    // MARK: - What roles do

    /// Runs `body` under the lock, then lets the connection's thread send what came of it.
    private func change<Result>(_ body: (OpaquePointer?) throws -> Result) rethrows -> Result {
        lock.lock()
        defer {
            wakeUp()
            lock.unlock()
        }
        return try body(session)
    }

    func observe<Result>(_ body: () throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body()
    }

    /// Waits until `condition` holds or the connection is over; false when it did neither in time.
    func wait(patience: TimeInterval, until condition: () -> Bool) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        let end = Date(timeIntervalSinceNow: patience)
        while !condition() {
            if isOver { return condition() }
            guard lock.wait(until: end) else { return condition() }
        }
        return true
    }

    /// What went wrong first, if anything did.
    var problem: String? { observe { firstProblem } }
    /// A role has closed it.
    var isClosedHere: Bool { observe { isStopping } }
    /// No byte goes either way any more.
    var hasEnded: Bool { observe { isOver } }
    /// Of a lock's holder: the same.
    var isOverNow: Bool { isOver }
    var openStreamCount: Int { observe { streams.values.count { $0.closeCode == nil } } }
    /// Of a lock's holder: the peer's GOAWAY.
    var leavingNow: (last: Int32, code: UInt32)? { goaway }

    /// Opens a stream with a request's head.
    func request(_ fields: [(name: String, value: String)], hasContent: Bool) throws -> HTTP2Stream {
        try change { session in
            guard !isOver else { throw SocketFailure("the connection is over: \(firstProblem ?? "closed")") }
            let id = HTTP2Callbacks.withFields(fields) { list, count in
                withProvider(hasContent) { nghttp2_submit_request(session, nil, list, count, $0, nil) }
            }
            guard id > 0 else { throw SocketFailure("HTTP/2: \(Self.text(id))") }
            let stream = HTTP2Stream(id)
            streams[id] = stream
            return stream
        }
    }

    /// Answers on a stream; `isInterim` for 1xx.
    func respond(
        _ stream: HTTP2Stream, _ fields: [(name: String, value: String)], hasContent: Bool, isInterim: Bool
    ) throws {
        let result = change { session in
            HTTP2Callbacks.withFields(fields) { list, count in
                isInterim
                    ? nghttp2_submit_headers(
                        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, nil, list, count, nil)
                    : withProvider(hasContent) {
                        nghttp2_submit_response(session, stream.id, list, count, $0)
                    }
            }
        }
        guard result == 0 else { throw SocketFailure("HTTP/2: \(Self.text(result))") }
    }

    private func withProvider(
        _ hasContent: Bool, _ body: (UnsafePointer<nghttp2_data_provider>?) -> Int32
    ) -> Int32 {
        guard hasContent else { return body(nil) }
        var provider = HTTP2Callbacks.provider
        return body(&provider)
    }

    func append(_ bytes: [UInt8], to stream: HTTP2Stream) {
        change { session in
            stream.outgoing += bytes
            nghttp2_session_resume_data(session, stream.id)
        }
    }

    func finish(_ stream: HTTP2Stream, trailers: [(name: String, value: String)] = []) {
        change { session in
            stream.outgoingEnds = true
            stream.outgoingTrailers = trailers
            nghttp2_session_resume_data(session, stream.id)
        }
    }

    /// Waits until everything said on `stream` has been handed to the kernel.
    func flush(_ stream: HTTP2Stream) throws {
        func left() -> Int {
            stream.outgoing.count + pending.count + (nghttp2_session_want_write(session) == 0 ? 0 : 1)
        }
        while true {
            let (before, code, isDone) = observe { (left(), stream.closeCode, self.isOver) }
            if before == 0 { return }
            // As on a connection that the peer has closed, what is said then is lost.
            if code != nil { return }
            if isDone { throw SocketFailure("the connection is over: \(problem ?? "closed")") }
            let hasMoved = wait(patience: Wire.patience) { left() != before || stream.closeCode != nil }
            if !hasMoved, !hasEnded {
                throw SocketFailure("the peer takes no more bytes (\(before) were not sent)")
            }
        }
    }

    /// Takes what came of the content, and lets the peer send as much more.
    func takeContent(of stream: HTTP2Stream) -> [UInt8] {
        change { session in
            let taken = stream.content
            stream.content = []
            if stream.closeCode == nil, !taken.isEmpty {
                nghttp2_session_consume_stream(session, stream.id, taken.count)
            }
            return taken
        }
    }

    func reset(_ stream: HTTP2Stream, code: nghttp2_error_code) {
        change { session in
            guard stream.closeCode == nil else { return }
            nghttp2_submit_rst_stream(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, UInt32(code.rawValue))
        }
    }

    func leave(last: Int32) {
        change { session in
            _ = nghttp2_submit_goaway(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, UInt32(NGHTTP2_NO_ERROR.rawValue), nil, 0)
        }
    }

    /// Ends the connection once what was said is sent; `politely` with a GOAWAY, as clients do.
    func close(politely: Bool) {
        change { session -> Void in
            if politely { _ = nghttp2_session_terminate_session(session, NGHTTP2_NO_ERROR.rawValue) }
            isStopping = true
        }
        // A peer that takes nothing gets no more time than this.
        if !wait(patience: 2, until: { isOver }) {
            change { _ in end("given up") }
            Glibc.shutdown(socket.descriptor, Int32(SHUT_RDWR))
        }
    }
}
