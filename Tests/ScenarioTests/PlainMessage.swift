import Foundation

/// A message as its lines say, read by nothing but splitting at CRLF; shares no code with the gateway.
struct PlainMessage: Sendable {
    var line = ""
    var fields: [(name: String, value: String)] = []
    var content: [UInt8] = []
    /// The content ended before its framing said so.
    var isCut = false

    func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    func value(_ name: String) -> String? {
        let all = values(name)
        return all.isEmpty ? nil : all.joined(separator: ", ")
    }

    var status: Int { line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0 }
    var contentText: String { String(decoding: content, as: UTF8.self) }

    /// Reads a head and its content from `socket`.
    ///
    /// - Parameters:
    ///   - isAnswer: without a length the content goes on to the connection's end.
    ///   - hasContent: false for an answer to HEAD.
    ///   - headOnly: leaves the content unread.
    static func read(
        _ socket: PlainSocket, isAnswer: Bool, hasContent: Bool = true, headOnly: Bool = false
    ) throws -> PlainMessage {
        var message = PlainMessage()
        let end: Int
        while true {
            if let found = find([0x0D, 0x0A, 0x0D, 0x0A], in: socket.unread) {
                end = found
                break
            }
            guard socket.receive() else {
                let how =
                    socket.isReset ? "reset" : socket.isEnded ? "end of connection" : "nothing more came"
                throw SocketFailure("\(how) instead of a whole head, after \(printable(socket.unread))")
            }
        }
        let head = String(decoding: socket.take(end + 4).dropLast(4), as: UTF8.self)
        let lines = head.components(separatedBy: "\r\n")
        guard !head.replacingOccurrences(of: "\r\n", with: "").contains(where: { $0 == "\r" || $0 == "\n" })
        else {
            throw SocketFailure("a CR or LF stands alone in the head \(printable(Array(head.utf8)))")
        }
        message.line = lines[0]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else {
                throw SocketFailure("no field line: \(line)")
            }
            message.fields.append(
                (
                    String(line[..<colon]),
                    line[line.index(after: colon)...].trimmingCharacters(
                        in: CharacterSet(charactersIn: " \t"))
                ))
        }
        if headOnly { return message }
        let status = message.status
        if isAnswer, !hasContent || status < 200 || status == 204 || status == 304 { return message }
        if message.value("Transfer-Encoding") == "chunked" {
            try message.readChunks(socket)
        } else if let text = message.value("Content-Length") {
            guard let length = Int(text) else { throw SocketFailure("Content-Length \(text)") }
            while socket.unread.count < length, socket.receive() {}
            message.isCut = socket.unread.count < length
            message.content = socket.take(length)
        } else if isAnswer {
            while socket.receive() {}
            guard socket.isEnded else { throw SocketFailure("neither a length nor the connection's end") }
            message.isCut = socket.isReset
            message.content = socket.take(socket.unread.count)
        }
        return message
    }

    private mutating func readChunks(_ socket: PlainSocket) throws {
        while true {
            guard let line = Self.line(socket) else {
                isCut = true
                return
            }
            guard let size = Int(line, radix: 16) else { throw SocketFailure("chunk size \(line)") }
            if size == 0 {
                while let trailer = Self.line(socket), !trailer.isEmpty {}
                return
            }
            while socket.unread.count < size + 2, socket.receive() {}
            guard socket.unread.count >= size + 2 else {
                content += socket.take(size)
                isCut = true
                return
            }
            content += socket.take(size)
            guard socket.take(2) == [0x0D, 0x0A] else { throw SocketFailure("no CRLF behind a chunk") }
        }
    }

    private static func line(_ socket: PlainSocket) -> String? {
        while true {
            if let end = find([0x0D, 0x0A], in: socket.unread) {
                return String(decoding: socket.take(end + 2).dropLast(2), as: UTF8.self)
            }
            guard socket.receive() else { return nil }
        }
    }

    private static func find(_ wanted: [UInt8], in bytes: [UInt8]) -> Int? {
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
