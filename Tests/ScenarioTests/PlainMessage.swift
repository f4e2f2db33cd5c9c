import Foundation

/// A message as its lines say, read by nothing but splitting at CRLF; shares no code with the gateway.
struct PlainMessage: Sendable {
    var line = ""
    var fields: [(name: String, value: String)] = []
    var content: [UInt8] = []
    /// The content ended before its framing said so.
    var isCut = false
    /// It came as an HTTP/2 stream, so that fields of the connection and codings of the transfer have no meaning.
    var isStream = false

    func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    func value(_ name: String) -> String? {
        let all = values(name)
        return all.isEmpty ? nil : all.joined(separator: ", ")
    }

    var status: Int { line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0 }
    var contentText: String { String(decoding: content, as: UTF8.self) }

    /// Reads a head and its content from `wire`.
    ///
    /// - Parameters:
    ///   - isAnswer: without a length the content goes on to the connection's end.
    ///   - hasContent: false for an answer to HEAD.
    ///   - headOnly: leaves the content unread.
    static func read(
        _ wire: Wire, isAnswer: Bool, hasContent: Bool = true, headOnly: Bool = false
    ) throws -> PlainMessage {
        var message = PlainMessage()
        (message.line, message.fields) = try wire.readHead()
        message.isStream = wire.isStream
        if headOnly { return message }
        let status = message.status
        if isAnswer, wire.isStream, status >= 200, !hasContent || status == 204 || status == 304 {
            while wire.receive() {}
            guard wire.unread.isEmpty else { throw SocketFailure("content where there can be none") }
            message.isCut = wire.isReset
            return message
        }
        if isAnswer, !hasContent || status < 200 || status == 204 || status == 304 { return message }
        if wire.isStream {
            while wire.receive() {}
            message.isCut = wire.isReset
            message.content = wire.take(wire.unread.count)
        } else if message.value("Transfer-Encoding") == "chunked" {
            try message.readChunks(wire)
        } else if let text = message.value("Content-Length") {
            guard let length = Int(text) else { throw SocketFailure("Content-Length \(text)") }
            while wire.unread.count < length, wire.receive() {}
            message.isCut = wire.unread.count < length
            message.content = wire.take(length)
        } else if isAnswer {
            while wire.receive() {}
            guard wire.isEnded else { throw SocketFailure("neither a length nor the connection's end") }
            message.isCut = wire.isReset
            message.content = wire.take(wire.unread.count)
        }
        return message
    }

    /// Splits a head without its empty line into its first line and its field lines.
    static func head(_ bytes: some Sequence<UInt8>) throws -> (String, [(name: String, value: String)]) {
        let head = String(decoding: Array(bytes), as: UTF8.self)
        let lines = head.components(separatedBy: "\r\n")
        guard !head.replacingOccurrences(of: "\r\n", with: "").contains(where: { $0 == "\r" || $0 == "\n" })
        else {
            throw SocketFailure("a CR or LF stands alone in the head \(printable(Array(head.utf8)))")
        }
        let fields = try lines.dropFirst().map { line in
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else {
                throw SocketFailure("no field line: \(line)")
            }
            let value = line[line.index(after: colon)...]
            return (String(line[..<colon]), value.trimmingCharacters(in: CharacterSet(charactersIn: " \t")))
        }
        return (lines[0], fields)
    }

    private mutating func readChunks(_ wire: Wire) throws {
        while true {
            guard let line = Self.line(wire) else {
                isCut = true
                return
            }
            guard let size = Int(line, radix: 16) else { throw SocketFailure("chunk size \(line)") }
            if size == 0 {
                while let trailer = Self.line(wire), !trailer.isEmpty {}
                return
            }
            while wire.unread.count < size + 2, wire.receive() {}
            guard wire.unread.count >= size + 2 else {
                content += wire.take(size)
                isCut = true
                return
            }
            content += wire.take(size)
            guard wire.take(2) == [0x0D, 0x0A] else { throw SocketFailure("no CRLF behind a chunk") }
        }
    }

    private static func line(_ wire: Wire) -> String? {
        while true {
            if let end = find([0x0D, 0x0A], in: wire.unread) {
                return String(decoding: wire.take(end + 2).dropLast(2), as: UTF8.self)
            }
            guard wire.receive() else { return nil }
        }
    }

    static func find(_ wanted: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= wanted.count else { return nil }
        return bytes.withUnsafeBufferPointer { bytes in
            (0...(bytes.count - wanted.count)).first { place in
                wanted.indices.allSatisfy { bytes[place + $0] == wanted[$0] }
            }
        }
    }
}

/// Bytes as a transcript shows them, at most 2,000 of them.
func printable(_ bytes: [UInt8]) -> String {
    var text = ""
    for byte in bytes.prefix(2_000) {
        switch byte {
        case 0x0D: text += "\\r"
        case 0x0A: text += "\\n"
        case 0x20...0x7E: text += String(UnicodeScalar(byte))
        default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
    }
    return "«\(text)»" + (bytes.count > 2_000 ? " and \(bytes.count - 2_000) more" : "")
}
