import Dispatch
import Foundation
import Glibc

/// An upstream that says what the scenario says, over connections in the order in which they came.
final class UpstreamRole: Role, @unchecked Sendable {
    let port: UInt16
    private let listener: Int32
    private let isDown: Bool
    /// Keeps the queue of waiting connections full, so that further ones get no answer at all.
    private var fillers: [PlainSocket] = []
    private var connections: [PlainSocket] = []
    private let group = DispatchGroup()

    /// - Parameter state: `down` refuses connections, `full` leaves them without an answer.
    init(_ name: String, play: Play, state: [String]) throws {
        (listener, port) = try PlainSocket.bind()
        let isFull = state.contains("full")
        isDown = isFull || state.contains("down")
        super.init(name, play: play)
        // Bound but not listening, the kernel refuses for it.
        if isFull {
            listen(listener, 0)
            fillers.append(try PlainSocket.connect(port: port))
        } else if !isDown {
            listen(listener, 128)
        }
    }

    deinit { Glibc.close(listener) }

    func start(_ steps: [Step]) { start(steps, group) }
    func join() { group.wait() }

    /// Wakes the role when it waits for a connection that will not come.
    func stop() { Glibc.shutdown(listener, Int32(SHUT_RDWR)) }

    override func open() throws -> PlainSocket {
        if let socket { return socket }
        return try accept()
    }

    private func accept() throws -> PlainSocket {
        guard let made = try PlainSocket.accept(listener) else { throw SocketFailure("no connection came") }
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
        case "listen": listen(listener, 128)
        case "respond": try respond(step, words)
        default: try super.perform(step, words: words)
        }
    }

    /// `respond 200 [content "…"]` with the `|` lines, and Content-Length unless they frame it themselves.
    private func respond(_ step: Step, _ words: [String]) throws {
        var lines = step.fields.map { String(decoding: expand($0, step), as: UTF8.self) }
        var content: [UInt8] = []
        if let place = step.words.firstIndex(where: { !$0.isQuoted && $0.string == "content" }) {
            content = step.words[(place + 1)...].flatMap { expand($0, step) }
        }
        let isFramed = lines.contains {
            ["content-length", "transfer-encoding"].contains($0.prefix { $0 != ":" }.lowercased())
        }
        if !isFramed, !["204", "304"].contains(words[1]), !words.contains("unframed") {
            lines.append("Content-Length: \(content.count)")
        }
        let bytes =
            Array("HTTP/1.1 \(words[1]) Made up\r\n".utf8) + lines.flatMap { Array("\($0)\r\n".utf8) } + [
                0x0D, 0x0A,
            ] + content
        try send(bytes, step)
    }

    /// `expect request GET /path` reads the next request on the current connection.
    override func expect(_ step: Step, _ words: [String]) throws {
        guard words[1] == "request" else { return try super.expect(step, words) }
        do {
            message = try PlainMessage.read(open(), isAnswer: false, headOnly: words.contains("only"))
        } catch {
            throw Mismatch(step.line, "\(name): \(error)")
        }
        let fields = message.fields.map { "\($0.name): \($0.value)" }.joined(separator: " | ")
        play.note(name, "< \(message.line) | \(fields) \(printable(message.content))")
        guard message.line == "\(words[2]) \(words[3]) HTTP/1.1" else {
            throw Mismatch(step.line, "\(name): request «\(message.line)», expected \(words[2]) \(words[3])")
        }
        if let text = try Invariant.broken(request: message) { throw Mismatch(step.line, "\(name): \(text)") }
    }

    /// Fails when a connection or a byte came that the scenario does not know of.
    func expectNothingLeft() throws {
        if !isDown, let extra = try PlainSocket.accept(listener, patience: 0) {
            extra.receive(patience: 1)
            throw Mismatch(
                0,
                "\(name): a connection came that the scenario does not expect, with \(printable(extra.unread))"
            )
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
    }
}
