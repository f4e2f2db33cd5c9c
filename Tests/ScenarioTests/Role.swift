import Dispatch
import Foundation

/// What clients and upstreams have in common: a socket, the message read last, and the steps both know.
class Role: @unchecked Sendable {
    // Unchecked: everything mutable belongs to the role's own thread while its steps run, and to the play's after.
    let name: String
    unowned let play: Play
    var socket: Wire?
    var message = PlainMessage()
    private let queue: DispatchQueue

    init(_ name: String, play: Play) {
        self.name = name
        self.play = play
        queue = DispatchQueue(label: "scenario.\(name)")
    }

    /// Runs `steps` on the role's own thread.
    func start(_ steps: [Step], _ group: DispatchGroup) {
        queue.async(group: group) { [self] in
            for step in steps {
                do {
                    try play.stopIfFailed()
                    try perform(
                        step, words: step.words.map { String(decoding: expand($0, step), as: UTF8.self) })
                } catch let error as Mismatch {
                    return play.fail(error)
                } catch {
                    return play.fail(Mismatch(step.line, "\(name): \(error)"))
                }
            }
        }
    }

    func expand(_ word: Word, _ step: Step) -> [UInt8] { play.expand(word.bytes, it: step.it) }

    func open() throws -> Wire { throw SocketFailure("not connected") }

    func perform(_ step: Step, words: [String]) throws {
        switch words[0] {
        case "send":
            let bytes = step.quoted.flatMap { expand($0, step) }
            try send(bytes, step)
        case "close":
            socket?.close()
            socket = nil
        case "reset" where words.count > 1 && words[1] == "refused": try open().refuse()
        case "reset":
            socket?.reset()
            // A stream is broken off, its connection stays.
            if socket?.isStream != true { socket = nil }
        case "goaway": try open().leave(refusing: words.contains("refusing"))
        case "shutdown": try open().shutdownWrite()
        case "announce": play.announce(words[1])
        case "await": try play.awaitMark(words[1], step.line)
        case "remember": try remember(words, step)
        case "expect": try expect(step, words)
        default: throw Mismatch(step.line, "unknown step \(words[0])")
        }
    }

    /// Sends; `lossy` is for a peer that may end the connection in the middle of it.
    func send(_ bytes: [UInt8], _ step: Step) throws {
        play.note(name, "> \(printable(bytes))")
        let socket = try open()
        do { try socket.send(bytes) } catch  where step.plain.contains("lossy") {}
    }

    /// `remember tag field ETag`, `remember id content "…(…)…"`.
    private func remember(_ words: [String], _ step: Step) throws {
        var value: String?
        if words[2] == "field" {
            value = message.value(words[3])
        } else if let match = try message.contentText.firstMatch(of: Regex(words[3])), match.count > 1 {
            value = match[1].substring.map(String.init)
        }
        guard let value else { throw Mismatch(step.line, "nothing to remember") }
        play.set(words[1], value)
    }

    func expect(_ step: Step, _ words: [String]) throws {
        switch words[1] {
        case "closed":
            let socket = try open()
            let hasEnded = socket.awaitEnd()
            guard socket.unread.isEmpty else {
                throw Mismatch(step.line, "\(name): unexpected bytes \(printable(socket.unread))")
            }
            guard hasEnded else { throw Mismatch(step.line, "\(name): the connection stays open") }
            socket.forget()
            self.socket = nil
        case "subject", "failure":
            let socket = try open()
            if words[1] == "failure" { _ = socket.awaitEnd() }
            let found = words[1] == "subject" ? socket.awaitPeerSubject() : socket.failure
            play.note(name, "< \(words[1]) \(found ?? "none")")
            if let text = try Expectation.mismatch(words[1], found, words[2], words[3]) {
                throw Mismatch(step.line, "\(name): \(text)")
            }
        case "goaway":
            guard try open().awaitLeaving() else { throw Mismatch(step.line, "\(name): no GOAWAY came") }
        case "bytes":
            let wanted = step.quoted.flatMap { expand($0, step) }
            let socket = try open()
            while socket.unread.count < wanted.count, socket.receive() {}
            let found = socket.take(wanted.count)
            play.note(name, "< \(printable(found))")
            guard found == wanted else {
                throw Mismatch(
                    step.line, "\(name): bytes are \(printable(found)), expected \(printable(wanted))")
            }
        default:
            if let text = try Expectation.check(words, message) {
                throw Mismatch(step.line, "\(name): \(text)")
            }
        }
    }
}

/// A client of the gateway, or of its admin listener.
final class ClientRole: Role, @unchecked Sendable {
    private let isAdmin: Bool
    /// Connections that do nothing but be there.
    private var crowd: [PlainSocket] = []
    /// The last `request` was a HEAD.
    private var asksHeadOnly = false

    init(_ name: String, play: Play, isAdmin: Bool) {
        self.isAdmin = isAdmin
        super.init(name, play: play)
    }

    override func open() throws -> Wire {
        if let socket { return socket }
        let made = try connect([])
        socket = made
        return made
    }

    /// `connect [slow] [plain [HTTP/2]] [offering PROTOCOL] [showing CERTIFICATE] [asking NAME]`: the transport's own way
    /// unless told otherwise.
    private func connect(_ words: [String]) throws -> Wire {
        if isAdmin { return try PlainSocket.connect(port: play.gateway.adminPort) }
        func word(behind name: String) -> String? {
            words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
        }
        var tls: TLSSettings?
        if play.transport.hasTLSClients, !words.contains("plain") {
            tls = .client([word(behind: "offering") ?? (play.transport.hasHTTP2Clients ? "h2" : "http/1.1")])
            tls?.certificate = word(behind: "showing")
            tls?.serverName = word(behind: "asking") ?? "localhost"
        }
        // With a small receive buffer the gateway soon finds that the client does not take what it sends.
        let socket = try PlainSocket.connect(
            port: play.gateway.port, receiveBuffer: words.contains("slow") ? 4_096 : nil, tls: tls)
        guard tls?.protocols == ["h2"] || word(behind: "plain") == "HTTP/2" else { return socket }
        return try HTTP2ClientLine(HTTP2Connection(socket, isServer: false))
    }

    override func perform(_ step: Step, words: [String]) throws {
        switch words[0] {
        case "connect":
            if socket == nil || words.count > 1 { socket = try connect(words) }
        case "reconnect":
            socket?.close()
            socket = nil
            _ = try open()
        case "crowd":
            for _ in 0..<(Int(words[1]) ?? 0) {
                crowd.append(try PlainSocket.connect(port: play.gateway.port))
            }
        case "leave":
            for socket in crowd { socket.close() }
            crowd = []
        case "request" where step.plain.contains("until"): try request(until: step, words)
        case "request": try request(step, words)
        default: try super.perform(step, words: words)
        }
    }

    /// `request METHOD TARGET until status 503 [content "…"]`, or `until announced MARK`: asks again and again; the last
    /// answer stays.
    private func request(until step: Step, _ words: [String]) throws {
        guard let place = words.firstIndex(of: "until"), place + 2 < words.count else {
            throw Mismatch(step.line, "until which status or mark?")
        }
        let wanted = words[place + 2]
        var once = step
        once.words.removeSubrange(place...(place + 2))
        let came = try until {
            try play.stopIfFailed()
            let isAnnounced = play.isAnnounced(wanted)
            try request(once, once.words.map { String(decoding: expand($0, step), as: UTF8.self) })
            message = try PlainMessage.read(open(), isAnswer: true, hasContent: !asksHeadOnly)
            if message.value("Connection") == "close" || socket?.isEnded == true && socket?.isStream == false
            {
                socket?.close()
                socket = nil
            }
            return words[place + 1] == "announced" ? isAnnounced : "\(message.status)" == wanted
        }
        guard came else {
            throw Mismatch(step.line, "\(name): status \(message.status) to the end, expected \(wanted)")
        }
        if let text = try Invariant.broken(answer: message, hasContent: !asksHeadOnly, over: play.transport) {
            throw Mismatch(step.line, "\(name): \(text)")
        }
    }

    /// `request METHOD TARGET [content "…"]` with Host and a token unless the `|` lines say otherwise.
    private func request(_ step: Step, _ words: [String]) throws {
        var lines = step.fields.flatMap {
            String(decoding: expand($0, step), as: UTF8.self).components(separatedBy: "\r\n")
        }
        // A line `no X-Auth-Token` leaves that field out.
        let names = lines.map {
            ($0.hasPrefix("no ") ? $0.dropFirst(3) : $0[...]).prefix { $0 != ":" }.lowercased()
        }
        lines.removeAll { $0.hasPrefix("no ") }
        if !names.contains("x-auth-token"), !isAdmin { lines.insert("X-Auth-Token: demo", at: 0) }
        if !names.contains("host") { lines.insert("Host: compute.test", at: 0) }
        var content: [UInt8] = []
        if let place = step.words.firstIndex(where: { !$0.isQuoted && $0.string == "content" }) {
            content = step.words[(place + 1)...].flatMap { expand($0, step) }
            if !names.contains("content-length"), !names.contains("transfer-encoding") {
                lines.append("Content-Length: \(content.count)")
            }
        }
        let bytes =
            Array("\(words[1]) \(words[2]) HTTP/1.1\r\n".utf8) + lines.flatMap { Array("\($0)\r\n".utf8) } + [
                0x0D, 0x0A,
            ] + content
        asksHeadOnly = words[1] == "HEAD"
        play.note(name, "> \(printable(bytes))")
        try open().send(bytes)
    }

    /// `expect status 200 [to HEAD] [cut] [head only]` reads the next answer; a cut one may be gone altogether.
    override func expect(_ step: Step, _ words: [String]) throws {
        if words[1] == "refused" {
            guard (try? open()) == nil else {
                throw Mismatch(step.line, "\(name): the connection was accepted")
            }
            return
        }
        guard words[1] == "status" else { return try super.expect(step, words) }
        let hasContent = !(asksHeadOnly || words.contains("HEAD"))
        do {
            message = try PlainMessage.read(
                open(), isAnswer: true, hasContent: hasContent, headOnly: words.contains("only"))
        } catch {
            // A reset may overtake the bytes before it; then nothing of the answer is left to look at.
            if words.contains("cut"), socket?.isEnded == true { return message = PlainMessage() }
            throw Mismatch(step.line, "\(name): \(error)")
        }
        let fields = message.fields.map { "\($0.name): \($0.value)" }.joined(separator: " | ")
        play.note(
            name, "< \(message.line) | \(fields) \(printable(message.content))\(message.isCut ? " cut" : "")")
        guard "\(message.status)" == words[2] else {
            throw Mismatch(step.line, "\(name): status \(message.status), expected \(words[2])")
        }
        guard message.isCut == words.contains("cut") else {
            throw Mismatch(step.line, "\(name): the content is \(message.isCut ? "cut" : "whole")")
        }
        guard !isAdmin, !words.contains("only") else { return }
        if let text = try Invariant.broken(answer: message, hasContent: hasContent, over: play.transport) {
            throw Mismatch(step.line, "\(name): \(text)")
        }
    }

    func close() {
        socket?.close()
        socket = nil
        for socket in crowd { socket.close() }
    }
}
