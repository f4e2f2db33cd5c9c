import Foundation

/// Splits what a role says in HTTP/1.1's form into what HTTP/2 has for it: heads, content, ends.
///
/// It takes bytes as they come. What only HTTP/1.1 can say (another version, broken framing, bytes behind a message) is an
/// error: a scenario that is about such things is only for HTTP/1.1.
struct MessageSplitter {
    enum Piece {
        case head(line: String, fields: [(name: String, value: String)], hasContent: Bool)
        case content([UInt8])
        case end(trailers: [(name: String, value: String)])
    }

    private enum State { case head, content(Int), chunkSize, chunk(Int), chunkEnd, trailers, untilClose }

    let isAnswer: Bool
    /// The next answer is to HEAD, so that it has no content.
    var answersHead = false
    private var state = State.head
    private var rest: [UInt8] = []

    init(isAnswer: Bool) { self.isAnswer = isAnswer }

    /// A head has been said, but not all that belongs to it.
    var isInMessage: Bool {
        if case .head = state { return false }
        return true
    }
    /// The content goes on until this side closes.
    var endsByClose: Bool {
        if case .untilClose = state { return true }
        return false
    }

    mutating func feed(_ bytes: [UInt8]) throws -> [Piece] {
        rest += bytes
        var pieces: [Piece] = []
        while try step(&pieces) {}
        return pieces
    }

    /// One step; false when more bytes are needed.
    private mutating func step(_ pieces: inout [Piece]) throws -> Bool {
        switch state {
        case .head:
            guard let end = PlainMessage.find([0x0D, 0x0A, 0x0D, 0x0A], in: rest) else { return false }
            let (line, fields) = try PlainMessage.head(rest[..<end])
            rest.removeFirst(end + 4)
            try begin(line, fields, &pieces)
        case .content(let left):
            let count = min(left, rest.count)
            guard count > 0 else { return false }
            pieces.append(.content(Array(rest.prefix(count))))
            rest.removeFirst(count)
            state = .content(left - count)
            if count == left { finish([], &pieces) }
        case .chunkSize:
            guard let line = line() else { return false }
            guard let size = Int(line, radix: 16) else {
                throw SocketFailure("HTTP/2 has no chunk «\(line)»")
            }
            state = size == 0 ? .trailers : .chunk(size)
        case .chunk(let left):
            let count = min(left, rest.count)
            guard count > 0 else { return false }
            pieces.append(.content(Array(rest.prefix(count))))
            rest.removeFirst(count)
            state = count == left ? .chunkEnd : .chunk(left - count)
        case .chunkEnd:
            guard let line = line() else { return false }
            guard line.isEmpty else { throw SocketFailure("HTTP/2 has no chunk that ends in «\(line)»") }
            state = .chunkSize
        case .trailers:
            if rest.starts(with: [0x0D, 0x0A]) {
                rest.removeFirst(2)
                finish([], &pieces)
                return true
            }
            guard let end = PlainMessage.find([0x0D, 0x0A, 0x0D, 0x0A], in: rest) else { return false }
            let (_, fields) = try PlainMessage.head(Array("\r\n".utf8) + rest[..<end])
            rest.removeFirst(end + 4)
            finish(fields, &pieces)
        case .untilClose:
            guard !rest.isEmpty else { return false }
            pieces.append(.content(rest))
            rest = []
        }
        return true
    }

    private mutating func begin(
        _ line: String, _ fields: [(name: String, value: String)], _ pieces: inout [Piece]
    ) throws {
        func value(_ name: String) -> String? {
            let all = fields.filter { $0.name.lowercased() == name }.map(\.value)
            return all.isEmpty ? nil : all.joined(separator: ", ")
        }
        let status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        if isAnswer, (100..<200).contains(status) {
            pieces.append(.head(line: line, fields: fields, hasContent: false))
            return
        }
        let isBare = isAnswer && (answersHead || status == 204 || status == 304)
        if isBare || isAnswer && status == 0 {
            state = .head
        } else if let coding = value("transfer-encoding") {
            guard coding == "chunked" else { throw SocketFailure("HTTP/2 has no coding \(coding)") }
            state = .chunkSize
        } else if let text = value("content-length") {
            guard let length = Int(text), length >= 0 else { throw SocketFailure("Content-Length \(text)") }
            state = length > 0 ? .content(length) : .head
        } else {
            state = isAnswer ? .untilClose : .head
        }
        var hasContent = true
        if case .head = state { hasContent = false }
        pieces.append(.head(line: line, fields: fields, hasContent: hasContent))
        if !hasContent { finish([], &pieces) }
    }

    private mutating func finish(_ trailers: [(name: String, value: String)], _ pieces: inout [Piece]) {
        state = .head
        pieces.append(.end(trailers: trailers))
    }

    private mutating func line() -> String? {
        guard let end = PlainMessage.find([0x0D, 0x0A], in: rest) else { return nil }
        defer { rest.removeFirst(end + 2) }
        return String(decoding: rest[..<end], as: UTF8.self)
    }

    /// Fields as HTTP/2 carries them (RFC 9113 §8.2): in lower case, without those of the connection and those it names.
    static func carried(_ fields: [(name: String, value: String)]) -> [(name: String, value: String)] {
        let named = fields.filter { $0.name.lowercased() == "connection" }
            .flatMap { $0.value.split(separator: ",") }
            .map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        let dropped =
            ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
            + named.filter { $0 != "te" }
        return fields.compactMap { field in
            let name = field.name.lowercased()
            if dropped.contains(name) || name == "te" && field.value != "trailers" { return nil }
            return (name, field.value)
        }
    }

    /// The pseudo-fields of a request line (RFC 9113 §8.3.1), and its fields without Host.
    static func request(_ line: String, _ fields: [(name: String, value: String)], scheme: String) throws
        -> [(name: String, value: String)]
    {
        let words = line.components(separatedBy: " ")
        guard words.count == 3, words[2] == "HTTP/1.1" else {
            throw SocketFailure("HTTP/2 has no request line «\(line)»")
        }
        let hosts = fields.filter { $0.name.lowercased() == "host" }.map(\.value)
        guard hosts.count < 2 else { throw SocketFailure("HTTP/2 has one :authority, not \(hosts.count)") }
        var authority = hosts.first
        var pseudo: [(name: String, value: String)] = [(":method", words[0])]
        if words[0] == "CONNECT" {
            authority = words[1]
        } else {
            var path = words[1]
            if path.hasPrefix("http://") || path.hasPrefix("https://") {
                let rest = path.components(separatedBy: "://")[1]
                authority = String(rest.prefix { $0 != "/" })
                path = String(rest.drop { $0 != "/" })
            }
            pseudo += [(":scheme", scheme), (":path", path)]
        }
        if let authority { pseudo.append((":authority", authority)) }
        return pseudo + carried(fields.filter { $0.name.lowercased() != "host" })
    }
}
