/// One thing that is to go wrong: which requests, how many of them, and how.
///
/// - Shape: read from JSON, see `FaultRule.init(reading:)`; unknown members are mistakes.
struct FaultRule: Equatable {
    enum Action: String, CaseIterable {
        /// Only waits `delay_ms`, then answers as usual.
        case delay
        /// Sends `at` bytes of the message, then ends the connection.
        case cutAt = "cut_at"
        /// Sends `at` bytes of the message (0: none), then resets the connection.
        case reset
        /// Announces `delta` bytes more (or fewer) than come.
        case wrongLength = "wrong_length"
        /// Sends `bytes` at a time, `interval_ms` apart.
        case trickle
        /// A Nova fault with `status`.
        case status
        /// A balancer's HTML page with `status`.
        case html
        /// `status` without content.
        case empty
        /// WebOb's page with `status`, in the form that Accept asks for.
        case webob
        /// keystonemiddleware's 401.
        case unauthorized
        /// Bytes that are no HTTP at all.
        case garbage
        /// Reads the request and never answers.
        case hang
        /// Reads the request and ends the connection.
        case closeBeforeAnswer = "close_before_answer"
        /// Answers, then ends the connection `after_ms` later without having said so.
        case closeIdle = "close_idle"
        /// Reads the head, and never another byte.
        case stallReading = "stall_reading"
        /// Answers with `status`, `fields` and `content` as given.
        case literal
        /// Answers as usual, but for `fields`, each in place of those of its name.
        case overrideFields = "override_fields"
        /// Answers as usual with `bytes` more white space behind the content.
        case pad
        /// Answers as usual in the chunked coding, `bytes` in a chunk.
        case chunked
    }

    static let byteLimit = 64 << 20

    var action: Action
    var method: String?
    var path = ""
    var listener: String?
    /// A field line that the request must have.
    var field: (name: String, value: String)?
    /// How many requests pass untouched first.
    var skip = 0
    /// How many requests it still applies to; nil is no end.
    var remaining: Int? = 1
    var applied = 0
    var delay = 0
    var at = 0
    var delta = 10
    var bytes = 1
    var interval = 100
    var status = 503
    var after = 0
    var message = "The service is currently unavailable."
    var content = ""
    var fields: [(name: String, value: String)] = []

    static func == (left: FaultRule, right: FaultRule) -> Bool {
        left.action == right.action && left.method == right.method && left.path == right.path
            && left.remaining == right.remaining && left.delay == right.delay && left.status == right.status
    }

    init(_ action: Action) { self.action = action }

    /// Why a rule could not be read.
    struct Mistake: Error, Equatable { var text: String }

    /// Reads `{"match": {"method", "path", "listener", "field"}, "count", "skip", "action", ...}`.
    ///
    /// - Shape: `count` 0 is no end; `path` is a prefix of the request target, `field` a line `Name: value`. Each action has its own
    ///   numbers, named at
    ///   `Action`; `delay_ms` goes with any.
    init(reading value: JSONValue) throws(Mistake) {
        guard let members = value.members else { throw Mistake(text: "a rule is an object") }
        guard let name = value["action"]?.string, let action = Action(rawValue: name) else {
            let known = Action.allCases.map(\.rawValue).joined(separator: ", ")
            throw Mistake(text: "\"action\" is one of \(known)")
        }
        self.init(action)
        for (key, item) in members {
            switch key {
            case "action": break
            case "match": try readMatch(item)
            case "message": message = item.plainText
            case "content": content = item.plainText
            case "fields":
                fields = (item.array ?? []).compactMap { pair in
                    guard let pair = pair.array, pair.count == 2 else { return nil }
                    return (pair[0].plainText, pair[1].plainText)
                }
            default: try readNumber(key, item)
            }
        }
    }

    private mutating func readNumber(_ key: String, _ item: JSONValue) throws(Mistake) {
        guard let number = item.integer, key == "delta" || number >= 0 else {
            throw Mistake(text: "\"\(key)\" is not known or not a number")
        }
        switch key {
        case "count": remaining = number == 0 ? nil : number
        case "skip": skip = number
        case "delay_ms": delay = number
        case "at": at = number
        case "delta": delta = number
        case "bytes":
            guard number <= Self.byteLimit else {
                throw Mistake(text: "\"bytes\" is at most \(Self.byteLimit)")
            }
            bytes = max(1, number)
        case "interval_ms": interval = max(10, number)
        case "status":
            guard (200...599).contains(number) else { throw Mistake(text: "\"status\" is from 200 to 599") }
            status = number
        case "after_ms": after = number
        default: throw Mistake(text: "\"\(key)\" is not known")
        }
    }

    private mutating func readMatch(_ value: JSONValue) throws(Mistake) {
        guard let members = value.members else { throw Mistake(text: "\"match\" is an object") }
        for (key, item) in members {
            guard let text = item.string else { throw Mistake(text: "\"\(key)\" is a string") }
            switch key {
            case "method": method = text
            case "path": path = text
            case "listener": listener = text
            case "field":
                guard let colon = text.firstIndex(of: ":") else {
                    throw Mistake(text: "\"field\" is a line, Name: value")
                }
                field = (
                    text[..<colon].lowercased(), String(text[text.index(after: colon)...]).trimmed
                )
            default: throw Mistake(text: "\"match\" has method, path, listener and field, not \"\(key)\"")
            }
        }
    }

    /// Whether something in front of the API answers, so that the request changes nothing.
    var replacesAnswer: Bool {
        switch action {
        case .status, .html, .empty, .webob, .unauthorized, .literal: true
        default: false
        }
    }

    func matches(_ entry: RequestLog.Entry) -> Bool {
        (method == nil || method == entry.method) && entry.target.hasPrefix(path)
            && (listener ?? "nova") == entry.listener
            && field.map { wanted in
                entry.fields.contains { $0.name.lowercased() == wanted.name && $0.value == wanted.value }
            } ?? true
    }

    func write(_ writer: inout JSONWriter) {
        writer.member("match") { match in
            if let method { match.member("method", method) }
            if !path.isEmpty { match.member("path", path) }
            match.member("listener", listener ?? "nova")
            if let field { match.member("field", "\(field.name): \(field.value)") }
        }
        writer.member("action", action.rawValue)
        writer.member("count", remaining ?? 0)
        writer.member("skip", skip)
        writer.member("applied", applied)
    }
}
