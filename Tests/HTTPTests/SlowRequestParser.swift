import Glibc
import HTTP

/// A second reader of request heads, slow and obvious, written from the grammar of RFC 9112 and RFC 3986
/// alone.
///
/// It works on a whole text of one scalar a byte, splits it into lines, and never resumes.
enum SlowRequestParser {
    enum Answer: Equatable {
        case incomplete
        case refused
        case accepted(Head)
    }

    struct Head: Equatable {
        var method = ""
        var target = ""
        var path = ""
        var query: String?
        var isOldVersion = false
        var fields: [String] = []
        var framing = Framing.none
        var keepsAlive = true
        var expectsContinue = false
        var host = ""
        var byteCount = 0
    }

    typealias Text = [UnicodeScalar]

    static let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".unicodeScalars)
    static let digits = Set("0123456789".unicodeScalars)
    static let tokens = letters.union(digits).union("!#$%&'*+-.^_`|~".unicodeScalars)
    static let unreserved = letters.union(digits).union("-._~".unicodeScalars)
    static let pathCharacters = unreserved.union("!$&'()*+,;=:@".unicodeScalars)
    static let hexadecimals = digits.union("abcdefABCDEF".unicodeScalars)

    static func parse(_ bytes: [UInt8]) -> Answer {
        var text = bytes.map { UnicodeScalar($0) }
        var skipped = 0
        while skipped < 4, text.starts(with: "\r\n".unicodeScalars) {
            text.removeFirst(2)
            skipped += 2
        }
        guard let end = find("\r\n\r\n", in: text) else { return .incomplete }
        guard var head = parseHead(Array(text[0..<end])) else { return .refused }
        head.byteCount = skipped + end + 4
        return .accepted(head)
    }

    static func find(_ pattern: String, in text: Text) -> Int? {
        let wanted = Text(pattern.unicodeScalars)
        guard text.count >= wanted.count else { return nil }
        return (0...(text.count - wanted.count)).first { Text(text[$0..<$0 + wanted.count]) == wanted }
    }

    static func string(_ text: some Sequence<UnicodeScalar>) -> String {
        var string = ""
        string.unicodeScalars.append(contentsOf: text)
        return string
    }

    static func lines(_ text: Text) -> [Text] {
        guard let end = find("\r\n", in: text) else { return [text] }
        return [Text(text[0..<end])] + lines(Text(text[(end + 2)...]))
    }

    static func parseHead(_ text: Text) -> Head? {
        let all = lines(text)
        let parts = all[0].split(separator: " ", omittingEmptySubsequences: false).map { Text($0) }
        guard parts.count == 3 else { return nil }
        guard !parts[0].isEmpty, parts[0].count <= 24, parts[0].allSatisfy(tokens.contains) else {
            return nil
        }
        guard !parts[1].isEmpty, parts[1].allSatisfy({ $0.value > 0x20 && $0.value < 0x7F && $0 != "#" })
        else {
            return nil
        }
        var head = Head()
        head.method = string(parts[0])
        head.target = string(parts[1])
        guard head.method != "CONNECT" else { return nil }
        switch string(parts[2]) {
        case "HTTP/1.1": head.isOldVersion = false
        case "HTTP/1.0": head.isOldVersion = true
        default: return nil
        }
        var fields: [(name: String, value: String)] = []
        for line in all.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), colon > 0 else { return nil }
            guard line[0..<colon].allSatisfy(tokens.contains) else { return nil }
            var value = Text(line[(colon + 1)...])
            guard value.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F || $0 == "\t" }) else { return nil }
            while let first = value.first, first == " " || first == "\t" { value.removeFirst() }
            while let last = value.last, last == " " || last == "\t" { value.removeLast() }
            fields.append((string(line[0..<colon]), string(value)))
        }
        guard fields.count <= 100 else { return nil }
        head.fields = fields.map { "\($0.name):\($0.value)" }
        let lowered = fields.map { (name: lowercase($0.name), value: $0.value) }
        return settleTarget(&head, lowered) && settleFraming(&head, lowered) ? head : nil
    }

    /// Lower case of ASCII letters only.
    static func lowercase(_ text: String) -> String {
        string(text.unicodeScalars.map { "A"..."Z" ~= $0 ? UnicodeScalar($0.value + 32)! : $0 })
    }

    static func values(_ name: String, _ fields: [(name: String, value: String)]) -> [String] {
        fields.filter { $0.name == name }.map(\.value)
    }

    static func settleTarget(_ head: inout Head, _ fields: [(name: String, value: String)]) -> Bool {
        var rest = Text(head.target.unicodeScalars)
        var authority: String?
        if head.target == "*" {
            guard head.method == "OPTIONS" else { return false }
            rest = []
        } else if rest.first != "/" {
            let lowered = Text(lowercase(head.target).unicodeScalars)
            guard
                let scheme = ["http://", "https://"].first(where: { lowered.starts(with: $0.unicodeScalars) })
            else {
                return false
            }
            rest.removeFirst(scheme.unicodeScalars.count)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.count
            authority = string(rest[0..<end])
            rest.removeFirst(end)
            guard isHost(Text((authority ?? "").unicodeScalars)) else { return false }
        }
        if let mark = rest.firstIndex(of: "?") {
            head.query = string(rest[(mark + 1)...])
            rest = Text(rest[0..<mark])
        }
        head.path = string(rest)
        guard rest.isEmpty || isNormal(rest) else { return false }
        let hosts = values("host", fields)
        guard hosts.count == 1 || (hosts.isEmpty && head.isOldVersion) else { return false }
        guard hosts.allSatisfy({ isHost(Text($0.unicodeScalars)) }) else { return false }
        head.host = authority ?? hosts.first ?? ""
        return true
    }

    static func isNormal(_ path: Text) -> Bool {
        var segments = path.split(separator: "/", omittingEmptySubsequences: false).map { Text($0) }
        guard segments.removeFirst().isEmpty, let last = segments.last else { return false }
        if last.isEmpty { segments.removeLast() }
        return segments.allSatisfy { segment in
            guard let decoded = decode(segment) else { return false }
            return !decoded.isEmpty && decoded != ["."] && decoded != [".", "."]
        }
    }

    /// The decoded segment, or nil when a byte or triple may not stand there.
    static func decode(_ segment: Text) -> Text? {
        guard let first = segment.first else { return [] }
        if pathCharacters.contains(first) { return decode(Text(segment.dropFirst())).map { [first] + $0 } }
        guard first == "%", segment.count >= 3, segment[1...2].allSatisfy(hexadecimals.contains),
            let value = UInt8(string(segment[1...2]), radix: 16)
        else { return nil }
        let decoded = UnicodeScalar(value)
        guard value >= 0x20, value != 0x7F, decoded != "/", decoded != "\\" else { return nil }
        return decode(Text(segment.dropFirst(3))).map { [decoded] + $0 }
    }

    static func isHost(_ text: Text) -> Bool {
        var name = text
        if let colon = text.lastIndex(of: ":"), text.last != "]" {
            let port = Text(text[(colon + 1)...])
            guard !port.isEmpty, port.count <= 5, port.allSatisfy(digits.contains) else { return false }
            guard let number = Int(string(port)), number <= 65_535 else { return false }
            name = Text(text[0..<colon])
        }
        guard name.first == "[" else { return !name.isEmpty && name.allSatisfy(unreserved.contains) }
        guard name.last == "]" else { return false }
        let address = string(name.dropFirst().dropLast())
        var storage = in6_addr()
        return !address.contains("\0") && inet_pton(AF_INET6, address, &storage) == 1
    }

    static func settleFraming(_ head: inout Head, _ fields: [(name: String, value: String)]) -> Bool {
        let lengths = values("content-length", fields)
        let codings = values("transfer-encoding", fields)
        guard lengths.count + codings.count <= 1 else { return false }
        if let length = lengths.first {
            guard !length.isEmpty, length.unicodeScalars.allSatisfy(digits.contains),
                let number = Int64(length)
            else {
                return false
            }
            head.framing = .length(UInt64(number))
        }
        if let coding = codings.first {
            guard lowercase(coding) == "chunked", !head.isOldVersion else { return false }
            head.framing = .chunked
        }
        let options = values("connection", fields).flatMap { value in
            value.unicodeScalars.split(separator: ",").map { option in
                lowercase(
                    string(
                        option.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }
                            .reversed()))
            }
        }
        head.keepsAlive = !options.contains("close") && (!head.isOldVersion || options.contains("keep-alive"))
        let expectations = values("expect", fields)
        guard expectations.allSatisfy({ lowercase($0) == "100-continue" }) else { return false }
        let hasContent = head.framing != .none && head.framing != .length(0)
        head.expectsContinue = !expectations.isEmpty && !head.isOldVersion && hasContent
        return true
    }
}
