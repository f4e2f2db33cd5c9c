import CZlib
import Foundation

/// A value from the wire against what a scenario says of it.
enum Expectation {
    /// Compares by `==`, `!=`, `~` (regular expression, anywhere), `!~`, `<`, `<=`, `>`, `>=`; nil when it holds.
    static func mismatch(_ name: String, _ actual: String?, _ sign: String, _ wanted: String) throws
        -> String?
    {
        let shown = actual.map { "«\($0.prefix(2_000))»" } ?? "absent"
        let holds: Bool
        switch sign {
        case "==": holds = actual == wanted
        case "!=": holds = actual != wanted
        case "~": holds = try actual.map { try matches($0, wanted) } ?? false
        case "!~": holds = try !(actual.map { try matches($0, wanted) } ?? false)
        case "<", "<=", ">", ">=":
            guard let left = actual.flatMap(Double.init), let right = Double(wanted) else {
                return "\(name) is \(shown), not a number to compare with \(wanted)"
            }
            holds =
                sign == "<"
                ? left < right : sign == "<=" ? left <= right : sign == ">" ? left > right : left >= right
        default: throw SocketFailure("unknown comparison \(sign)")
        }
        return holds ? nil : "\(name) is \(shown), expected \(sign) «\(wanted.prefix(2_000))»"
    }

    private static func matches(_ text: String, _ pattern: String) throws -> Bool {
        try text.contains(Regex(pattern))
    }

    /// Checks `expect field …`, `expect no field …`, `expect content …` and `expect line …` on a message.
    static func check(_ words: [String], _ message: PlainMessage) throws -> String? {
        // What HTTP/1.1 says with these HTTP/2 has no field for, and must not have (RFC 9113 §8.2.2).
        if message.isStream, words[1] == "field", words.count > 2,
            ["connection", "transfer-encoding"].contains(words[2].lowercased())
        {
            return message.value(words[2]).map { "field \(words[2]) is there: «\($0)»" }
        }
        switch (words[1], words.count) {
        case ("no", 4...) where words[2] == "field":
            return message.value(words[3]).map { "field \(words[3]) is there: «\($0)»" }
        case ("field", 3): return message.value(words[2]) == nil ? "field \(words[2]) is absent" : nil
        case ("field", 4) where words[3] == "once":
            let count = message.values(words[2]).count
            return count == 1 ? nil : "field \(words[2]) is there \(count) times"
        case ("field", 5):
            return try mismatch("field \(words[2])", message.value(words[2]), words[3], words[4])
        case ("lines", 5):
            return try mismatch(
                "count of \(words[2])", "\(message.values(words[2]).count)", words[3], words[4])
        case ("line", 4): return try mismatch("line", message.line, words[2], words[3])
        case ("content", 4): return try mismatch("content", message.contentText, words[2], words[3])
        case ("json", 4) where words[2] == "==":
            return try sorted(message.contentText) == sorted(words[3])
                ? nil : "content is «\(message.contentText)», expected the JSON of «\(words[3])»"
        case ("content", 5) where words[2] == "length":
            return try mismatch("content length", "\(message.content.count)", words[3], words[4])
        case ("content", 5) where words[2] == "gzip" || words[2] == "deflate":
            let plain = inflated(message.content, windowBits: words[2] == "gzip" ? 31 : 15)
            return try mismatch(
                "decoded content", plain.map { String(decoding: $0, as: UTF8.self) }, words[3], words[4])
        default: throw SocketFailure("unknown expectation: \(words.joined(separator: " "))")
        }
    }

    /// JSON with its members in one order and without white space.
    private static func sorted(_ text: String) throws -> Data {
        let options: JSONSerialization.ReadingOptions = .fragmentsAllowed
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: options)
        return try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .fragmentsAllowed])
    }

    private static func inflated(_ coded: [UInt8], windowBits: Int32) -> [UInt8]? {
        var stream = z_stream()
        guard CZlib_inflateInit2(&stream, windowBits) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var input = coded
        var output = [UInt8](repeating: 0, count: 4 << 20)
        let outputCount = output.count
        return input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(outputCount)
                guard CZlib.inflate(&stream, Z_FINISH) == Z_STREAM_END, stream.avail_in == 0 else {
                    return nil
                }
                return Array(output[..<Int(stream.total_out)])
            }
        }
    }
}

/// What every message must be, whatever its scenario says.
enum Invariant {
    private static let requestID = "req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    private static let hopByHop = [
        "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade", "Proxy-Authenticate",
        "Proxy-Authorization",
    ]

    /// Of an answer of the gateway: ids, one Date, Via, framing that cannot be misread, errors in one form.
    static func broken(answer message: PlainMessage, hasContent: Bool, over transport: Transport) throws
        -> String?
    {
        guard message.line.wholeMatch(of: #/HTTP/1\.1 [1-5]\d\d( [\x21-\x7E ]+)?/#) != nil else {
            return "status line «\(message.line)»"
        }
        guard message.status >= 200 else { return nil }
        for name in ["X-Gatehouse-Request-Id", "X-Compute-Request-Id", "X-OpenStack-Request-Id", "Date"]
        where message.values(name).count != 1 { return "\(name) stands \(message.values(name).count) times" }
        let id = message.value("X-Gatehouse-Request-Id")
        if let text = try Expectation.mismatch("X-Gatehouse-Request-Id", id, "~", "^\(requestID)$") {
            return text
        }
        // What is answered here has come by no protocol, and says HTTP/1.1.
        let versions = ["1.1", transport.upstreamVersion]
        guard versions.contains(where: { message.value("Via")?.hasSuffix("\($0) gatehouse") == true }) else {
            return "Via is \(message.value("Via") ?? "absent")"
        }
        for name in hopByHop where message.value(name) != nil { return "\(name) was passed on" }
        let lengths = message.values("Content-Length").count
        let codings = message.values("Transfer-Encoding").count
        if lengths + codings > 1 { return "\(lengths) Content-Length and \(codings) Transfer-Encoding lines" }
        if message.status == 204, lengths + codings > 0 { return "a 204 with a length" }
        if message.status >= 400, hasContent, !message.isCut { return brokenFault(message) }
        return nil
    }

    /// An error is a JSON object of one member, a fault with its code and message.
    private static func brokenFault(_ message: PlainMessage) -> String? {
        guard message.value("Content-Type")?.hasPrefix("application/json") == true else {
            return "an error that is no JSON"
        }
        guard let object = try? JSONSerialization.jsonObject(with: Data(message.content)) as? [String: Any],
            object.count == 1, let fault = object.values.first as? [String: Any],
            fault["code"] as? Int == message.status, fault["message"] is String
        else { return "no fault of its status: «\(message.contentText)»" }
        return nil
    }

    /// Of a request of the gateway: what it must say, and what must never get through.
    ///
    /// - Parameter mayIdentify: the settings have the gateway say who the user is.
    static func broken(request message: PlainMessage, mayIdentify: Bool, over transport: Transport) throws
        -> String?
    {
        guard message.line.wholeMatch(of: #/[A-Z]+ \/[\x21-\x7E]* HTTP/1\.1/#) != nil else {
            return "request line «\(message.line)»"
        }
        guard message.values("Host").count == 1, message.value("Host") != "" else { return "Host" }
        guard message.value("Via")?.hasSuffix("\(transport.clientVersion) gatehouse") == true else {
            return "Via is \(message.value("Via") ?? "absent")"
        }
        let ids = message.values("X-OpenStack-Request-ID")
        guard ids.count == 1 else { return "\(ids.count) global request ids" }
        if let text = try Expectation.mismatch("global id", ids[0], "~", "^req-[0-9a-f-]{36}$") {
            return text
        }
        if message.values("Content-Length").count + message.values("Transfer-Encoding").count > 1 {
            return "two lengths"
        }
        for name in hopByHop + ["Expect"] where message.value(name) != nil { return "\(name) was forwarded" }
        for (name, _) in message.fields {
            if name.contains("_") { return "\(name) was forwarded" }
            let lower = name.lowercased()
            let isIdentity =
                [
                    "x-identity-status", "x-roles", "x-role", "x-user", "x-tenant", "x-is-admin-project",
                    "x-service-catalog",
                ]
                .contains(lower)
                || [
                    "x-user-", "x-project-", "x-tenant-", "x-domain-", "x-service-roles", "x-service-user",
                    "x-service-project",
                ]
                .contains { lower.hasPrefix($0) }
            if isIdentity, !mayIdentify { return "\(name) was forwarded" }
        }
        return nil
    }
}
