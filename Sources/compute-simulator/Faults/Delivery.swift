/// How one answer goes out: its bytes, their pace, and what happens to the connection after them.
struct Delivery {
    enum End: Equatable {
        case keep, close, reset
        /// Stays open and silent.
        case hang
        /// Ends without having been announced, so many milliseconds later.
        case closeAfter(Int)
    }

    var bytes: [UInt8] = []
    /// Content that is made while it is sent.
    var stream: PatternStream?
    var end = End.keep
    /// Bytes at a time and milliseconds between; nil is as fast as it goes.
    var pace: (bytes: Int, milliseconds: Int)?
    var delay = 0
    var status = 0

    /// The answer as it should be.
    init(_ response: Response, _ exchange: ExchangeFacts) {
        let hasContent = exchange.method != "HEAD" && response.status != 204 && response.status != 304
        status = response.status
        bytes = Self.head(response, closes: !exchange.keepsAlive)
        if hasContent { bytes += response.content }
        end = exchange.keepsAlive ? .keep : .close
    }

    /// What a delivery needs to know of the request.
    struct ExchangeFacts {
        var method: String
        var accept: String?
        var keepsAlive: Bool
        /// The id under which a made-up answer goes.
        var requestID = ""
        /// Whether the identity service was asked, whose errors have a form of their own.
        var isIdentity = false
    }

    static func head(_ response: Response, closes: Bool) -> [UInt8] {
        var text = "HTTP/1.1 \(response.status) \(Phrases.phrase(response.status))\r\n"
        for (name, value) in response.fields { text += "\(name): \(value)\r\n" }
        if closes { text += "Connection: close\r\n" }
        return latin1(text + "\r\n")
    }

    /// Text that was Latin-1 bytes, as those bytes; anything wider as UTF-8.
    private static func latin1(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if scalar.value < 0x100 {
                bytes.append(UInt8(scalar.value))
            } else {
                bytes += Array(String(scalar).utf8)
            }
        }
        return bytes
    }

    // MARK: - Faults

    /// The answer as `rule` spoils it.
    init(_ response: Response, _ exchange: ExchangeFacts, spoiledBy rule: FaultRule, identityURL: String) {
        let given = Self.replacement(for: response, rule, exchange, identityURL: identityURL)
        self.init(given, exchange)
        defer { delay = rule.delay }
        switch rule.action {
        case .cutAt, .reset:
            bytes = Array(bytes.prefix(rule.at))
            end = rule.action == .reset ? .reset : .close
        case .wrongLength:
            var wrong = given
            let count = max(0, given.content.count + rule.delta)
            wrong.fields.removeAll { $0.name.lowercased() == "content-length" }
            wrong.fields.append(("Content-Length", String(count)))
            self = Delivery(wrong, exchange)
            if rule.delta > 0 { end = .close }
        case .trickle: pace = (rule.bytes, rule.interval)
        case .garbage:
            bytes = Array("\u{1}\u{2}\u{3} this is not HTTP \u{0}\r\n\r\nat all\r\n".utf8)
            end = .close
        case .hang, .stallReading: (bytes, end) = ([], .hang)
        case .closeBeforeAnswer: (bytes, end) = ([], .close)
        case .closeIdle: if exchange.keepsAlive { end = .closeAfter(rule.after) }
        case .overrideFields, .pad, .chunked: self = Delivery(Self.altered(given, rule), exchange)
        case .delay, .status, .html, .empty, .webob, .unauthorized, .literal: break
        }
    }

    /// The usual answer with other fields, more content or another framing.
    private static func altered(_ given: Response, _ rule: FaultRule) -> Response {
        var response = given
        func replace(_ name: String, _ value: String) {
            response.fields.removeAll { $0.name.lowercased() == name.lowercased() }
            response.fields.append((name, value))
        }
        switch rule.action {
        case .overrideFields: for (name, value) in rule.fields { replace(name, value) }
        case .pad:
            response.content += [UInt8](repeating: 0x20, count: rule.bytes)
            replace("Content-Length", String(response.content.count))
        default:
            response.fields.removeAll { $0.name.lowercased() == "content-length" }
            response.fields.append(("Transfer-Encoding", "chunked"))
            var rest = response.content[...]
            response.content = []
            while !rest.isEmpty {
                let piece = rest.prefix(rule.bytes)
                rest = rest.dropFirst(piece.count)
                response.content +=
                    Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [0x0D, 0x0A]
            }
            response.content += Array("0\r\n\r\n".utf8)
        }
        return response
    }

    private static func replacement(
        for response: Response, _ rule: FaultRule, _ exchange: ExchangeFacts, identityURL: String
    ) -> Response {
        let content: [UInt8]
        var fields: [(name: String, value: String)] = []
        var status = rule.status
        switch rule.action {
        case .status where exchange.isIdentity:
            content = Keystone.refusalContent(rule.status, rule.message)
            fields = [("Content-Type", "application/json"), ("Vary", "X-Auth-Token")]
        case .unauthorized where exchange.isIdentity:
            status = 401
            content = Keystone.refusalContent(401, Keystone.Refusal.unauthorized.message)
            fields = [
                ("Content-Type", "application/json"), ("Vary", "X-Auth-Token"),
                ("WWW-Authenticate", "Keystone uri=\"\(identityURL)/v3\""),
            ]
        case .status:
            content = NovaFault.novaContent(rule.status, rule.message)
            fields = [("Content-Type", "application/json; charset=UTF-8")]
        case .html:
            // HAProxy's own page, as nothing in between would write Nova's form.
            let phrase = Phrases.phrase(rule.status)
            let page =
                "<html><body><h1>\(rule.status) \(phrase)</h1>\n"
                + "No server is available to handle this request.\n</body></html>\n"
            content = Array(page.utf8)
            fields = [("Cache-Control", "no-cache"), ("Content-Type", "text/html")]
        case .empty: content = []
        case .webob:
            let page = NovaFault.webobContent(rule.status, rule.message, accept: exchange.accept)
            content = page.content
            fields = [("Content-Type", page.type)]
        case .unauthorized:
            status = 401
            content = NovaFault.unauthorizedContent
            fields = [
                ("Content-Type", "application/json"), ("WWW-Authenticate", "Keystone uri=\"\(identityURL)\""),
            ]
        case .literal:
            content = Array(rule.content.utf8)
        default: return response
        }
        // Balancers in between know no request id; everything that claims to be Nova carries it twice.
        if rule.action != .html, rule.action != .empty, rule.action != .literal {
            fields.append(("x-openstack-request-id", exchange.requestID))
            if !exchange.isIdentity { fields.append(("x-compute-request-id", exchange.requestID)) }
        }
        return Response(
            status, fields + rule.fields + [("Content-Length", String(content.count))], content: content)
    }
}

/// Content of any size made of the numbers 0 to 250 over and over, with a length or in the chunked coding.
///
/// - Shape: 251 is prime, so that a piece lost or repeated shows wherever it was cut.
struct PatternStream {
    static let period = 251
    static let block: [UInt8] = (0..<period * 257).map { UInt8($0 % period) }

    let byteCount: UInt64
    let isChunked: Bool
    private(set) var offset: UInt64 = 0
    private var hasEnded = false

    init(byteCount: UInt64, isChunked: Bool) {
        self.byteCount = byteCount
        self.isChunked = isChunked
    }

    /// The next bytes to send, at most 64 KiB, or nil at the end.
    mutating func next() -> [UInt8]? {
        let count = Int(min(byteCount - offset, UInt64(Self.block.count - Self.period)))
        guard count > 0 else {
            guard isChunked, !hasEnded else { return nil }
            hasEnded = true
            return Array("0\r\nX-Simulator-Bytes: \(byteCount)\r\n\r\n".utf8)
        }
        let start = Int(offset % UInt64(Self.period))
        offset += UInt64(count)
        let piece = Self.block[start..<start + count]
        guard isChunked else { return Array(piece) }
        return Array((String(count, radix: 16) + "\r\n").utf8) + piece + [0x0D, 0x0A]
    }
}
