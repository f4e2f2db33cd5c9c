import Dispatch
import Foundation
import Glibc

/// An upstream that says what the scenario says, over connections in the order in which they came.
class UpstreamRole: Role, @unchecked Sendable {
    private let listener: Listener
    var port: UInt16 { listener.port }
    var url: String { "\(listener.isTLS ? "https" : "http")://127.0.0.1:\(port)" }
    private let isDown: Bool
    /// Keeps the queue of waiting connections full, so that further ones get no answer at all.
    private var fillers: [PlainSocket] = []
    private(set) var connections: [Wire] = []
    private let group = DispatchGroup()

    /// - Parameters:
    ///   - state: `down` refuses connections, `full` leaves them without an answer; `HTTP/1.1` knows no other protocol,
    ///     `with CERTIFICATE` shows that one and `trusting AUTHORITY` wants one, where upstreams are reached over TLS.
    ///   - speaksHTTP2: where the transport has it; else HTTP/1.1.
    init(_ name: String, play: Play, state: [String], speaksHTTP2: Bool = true) throws {
        let isStream = play.transport.hasHTTP2Upstreams && speaksHTTP2 && !state.contains("HTTP/1.1")
        var tls: TLSSettings?
        if play.transport.hasTLSUpstreams {
            func word(behind name: String) -> String? { state.firstIndex(of: name).map { state[$0 + 1] } }
            tls = .server(
                [isStream ? "h2" : "http/1.1"], certificate: word(behind: "with") ?? "localhost-ecdsa")
            tls?.authority = word(behind: "trusting")
        }
        listener = try isStream ? StreamListener(tls: tls) : Listener(tls: tls)
        let isFull = state.contains("full")
        isDown = isFull || state.contains("down")
        super.init(name, play: play)
        // Bound but not listening, the kernel refuses for it.
        if isFull {
            listener.fill()
            fillers.append(try PlainSocket.connect(port: port))
        } else if !isDown {
            listener.listen()
        }
    }

    func start(_ steps: [Step]) { start(steps, group) }
    func join() { group.wait() }

    /// Wakes the role when it waits for a connection that will not come.
    func stop() { listener.stop() }

    override func open() throws -> Wire {
        if let socket { return socket }
        return try accept()
    }

    private func accept() throws -> Wire {
        guard let made = try listener.accept() else { throw SocketFailure("no connection came") }
        connections.append(made)
        socket = made
        return made
    }

    override func perform(_ step: Step, words: [String]) throws {
        switch words[0] {
        case "accept": _ = try accept()
        case "on":
            guard let place = Int(words[1]), connections.indices.contains(place - 1) else {
                throw Mismatch(step.line, "no such connection")
            }
            socket = connections[place - 1]
        case "listen": listener.listen()
        case "respond": try respond(step, words)
        case "serve": try serve(step, words)
        default: try super.perform(step, words: words)
        }
    }

    /// `respond 200 [content "…"]` with the `|` lines, and Content-Length unless they frame it themselves.
    private func respond(_ step: Step, _ words: [String]) throws {
        let lines = step.fields.map { String(decoding: expand($0, step), as: UTF8.self) }
        var content: [UInt8] = []
        if let place = step.words.firstIndex(where: { !$0.isQuoted && $0.string == "content" }) {
            content = step.words[(place + 1)...].flatMap { expand($0, step) }
        }
        try respond(words[1], lines, content, step, isFramed: words.contains("unframed"))
    }

    /// Sends an answer; its length is added unless its lines have one or it is said to need none.
    func respond(
        _ status: String, _ given: [String], _ content: [UInt8], _ step: Step, isFramed: Bool = false
    ) throws {
        var lines = given
        let hasLength = lines.contains {
            ["content-length", "transfer-encoding"].contains($0.prefix { $0 != ":" }.lowercased())
        }
        if !isFramed, !hasLength, !["204", "304"].contains(status) {
            lines.append("Content-Length: \(content.count)")
        }
        let bytes =
            Array("HTTP/1.1 \(status) Made up\r\n".utf8) + lines.flatMap { Array("\($0)\r\n".utf8) } + [
                0x0D, 0x0A,
            ] + content
        try send(bytes, step)
    }

    /// `serve until MARK 200 content "…"`, or `close`, or `silence`: to whatever comes until the mark is announced.
    private func serve(_ step: Step, _ words: [String]) throws {
        guard words.count > 3, words[1] == "until" else {
            throw Mismatch(step.line, "serve until which mark, and what?")
        }
        var answer = step
        answer.words = [Word(bytes: Array("respond".utf8), isQuoted: false)] + step.words.dropFirst(3)
        while let found = try findRequest(unless: words[2]) {
            message = try PlainMessage.read(found, isAnswer: false)
            play.note(name, "< \(message.line)")
            if let text = try broken(message) { throw Mismatch(step.line, "\(name): \(text)") }
            switch words[3] {
            case "close":
                found.close()
                connections.removeAll { $0 === found }
                socket = nil
            case "silence": break
            default: try perform(answer, words: ["respond"] + words.dropFirst(3))
            }
        }
    }

    /// The connection on which something comes next, whichever that is; it is the current one then.
    ///
    /// - Returns: nil when `mark` was announced before anything came.
    @discardableResult
    func findRequest(unless mark: String? = nil) throws -> Wire? {
        var found: Wire?
        let came = try until {
            try play.stopIfFailed()
            if let next = try listener.accept(patience: 0) { connections.append(next) }
            found = connections.first { $0.hasInput() }
            connections.removeAll { $0.isEnded && $0.unread.isEmpty }
            return found != nil || mark.map(play.isAnnounced) ?? false
        }
        guard came else { throw SocketFailure("no request came") }
        if let found { socket = found }
        return found
    }

    /// `expect request GET /path` reads the next request on the current connection.
    override func expect(_ step: Step, _ words: [String]) throws {
        if words[1] == "open" {
            let text = try Expectation.mismatch("open connections", "\(try openCount())", words[2], words[3])
            if let text { throw Mismatch(step.line, "\(name): \(text)") }
            return
        }
        guard words[1] == "request" else { return try super.expect(step, words) }
        try readRequest(step, words[2], words[3], headOnly: words.contains("only"))
    }

    func readRequest(_ step: Step, _ method: String, _ target: String, headOnly: Bool = false) throws {
        do {
            message = try PlainMessage.read(open(), isAnswer: false, headOnly: headOnly)
        } catch {
            throw Mismatch(step.line, "\(name): \(error)")
        }
        let fields = message.fields.map { "\($0.name): \($0.value)" }.joined(separator: " | ")
        play.note(name, "< \(message.line) | \(fields) \(printable(message.content))")
        guard message.line == "\(method) \(target) HTTP/1.1" else {
            throw Mismatch(step.line, "\(name): request «\(message.line)», expected \(method) \(target)")
        }
        if let text = try broken(message) { throw Mismatch(step.line, "\(name): \(text)") }
    }

    /// How many connections the gateway has to this server now.
    private func openCount() throws -> Int {
        if let count = listener.openCount { return count }
        while let next = try listener.accept(patience: 0) { connections.append(next) }
        return connections.count { !$0.isClosed && ($0.hasInput() || !$0.isEnded) }
    }

    /// What is wrong with a request whatever the scenario says of it.
    func broken(_ message: PlainMessage) throws -> String? {
        try Invariant.broken(request: message, mayIdentify: play.identifiesUsers, over: play.transport)
    }

    /// Fails when a connection or a byte came that the scenario does not know of.
    func expectNothingLeft() throws {
        if !isDown, let extra = try listener.accept(patience: 0) {
            extra.receive(patience: 1)
            let head = extra.isStream ? try extra.readHead().line : printable(extra.unread)
            throw Mismatch(0, "\(name): a connection came that the scenario does not expect, with \(head)")
        }
        for connection in connections where connection.hasInput() {
            throw Mismatch(
                0, "\(name): bytes came that the scenario does not expect: \(printable(connection.unread))")
        }
    }

    func close() {
        for connection in connections { connection.close() }
        connections = []
        socket = nil
        listener.close()
    }
}
