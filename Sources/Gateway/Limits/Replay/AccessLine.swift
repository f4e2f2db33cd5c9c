internal import Bytes
internal import Loop
internal import OpenStack

/// What an access line tells of an exchange, as far as limits ask.
///
/// - Ownership: the views are of the line, or of the reader that made it; valid until its next line.
struct AccessLine {
    /// Nanoseconds since 1970 at which it ended, and for how many it lasted; never longer than that.
    var endedAt: UInt64 = 0
    var lasted: UInt64 = 0
    var address = IPAddress(v4: 0)
    var hasIdentity = false
    var project = ByteView(start: nil, count: 0)
    var user = ByteView(start: nil, count: 0)
    /// nil in the lines of older versions.
    var roles: ByteView?
    /// Its id; empty where nothing matched.
    var operation = ByteView(start: nil, count: 0)
    /// Its key; empty where the content has none, and in the lines of older versions.
    var action = ByteView(start: nil, count: 0)
    var method = ByteView(start: nil, count: 0)
    var requestID = ByteView(start: nil, count: 0)
    var outcome = LimitOutcome.request
    /// It was refused by the limits of then.
    var wasLimited = false
    /// It ended before anybody could say who asks, so that no rule was asked.
    var endedBeforeLimits = false
    /// The request was `OPTIONS *`, which is answered before anything else.
    var isAsterisk = false

    var startedAt: UInt64 { endedAt - lasted }
}

/// Reads access lines as `writeAccessLine` has them; members that it does not know are passed over.
struct AccessLineReader {
    /// Why a line could not be read.
    struct Mistake: Error, Equatable {
        var reason: StaticString
        static func == (left: Mistake, right: Mistake) -> Bool {
            left.reason.utf8Start == right.reason.utf8Start
        }
    }

    /// What escaped values become.
    private var unescaped = [UInt8]()
    /// The second that the last line ended in, and how it was written: most lines share it.
    private var second: (text: [UInt8], value: UInt64) = ([], 0)

    /// Reads a line without its end and lends what it says to `body`.
    mutating func read<Result>(
        _ bytes: ByteView, _ body: (AccessLine) -> Result
    ) throws(Mistake) -> Result {
        var line = AccessLine()
        var time = ByteView(start: nil, count: 0)
        var client = ByteView(start: nil, count: 0)
        var durations = ByteView(start: nil, count: 0)
        var status = ByteView(start: nil, count: 0)
        var cache = ByteView(start: nil, count: 0)
        var error = ByteView(start: nil, count: 0)
        var target = ByteView(start: nil, count: 0)
        var isCollapsed = false
        let isObject = JSONScanner.forEachMember(of: bytes) { key, value in
            switch key {
            case _ where key.equals("time"): time = Self.inside(value)
            case _ where key.equals("client"): client = Self.inside(value)
            case _ where key.equals("project"):
                line.project = Self.inside(value)
                line.hasIdentity = true
            case _ where key.equals("user"):
                line.user = Self.inside(value)
                line.hasIdentity = true
            case _ where key.equals("roles"): line.roles = Self.inside(value)
            case _ where key.equals("operation"): line.operation = Self.inside(value)
            case _ where key.equals("action"): line.action = Self.inside(value)
            case _ where key.equals("method"): line.method = Self.inside(value)
            case _ where key.equals("target"): target = Self.inside(value)
            case _ where key.equals("request_id"): line.requestID = Self.inside(value)
            case _ where key.equals("status"): status = value
            case _ where key.equals("cache"): cache = Self.inside(value)
            case _ where key.equals("collapsed"): isCollapsed = value.equals("true")
            case _ where key.equals("error"): error = Self.inside(value)
            case _ where key.equals("microseconds"): durations = value
            default: break
            }
        }
        guard isObject else { throw Mistake(reason: "not a JSON object") }
        guard !time.isEmpty, !client.isEmpty, !status.isEmpty, !durations.isEmpty else {
            throw Mistake(reason: "without time, client, status or microseconds")
        }
        guard let endedAt = nanoseconds(time) else { throw Mistake(reason: "its time is none") }
        guard let total = JSONScanner.member("total", of: durations),
            let microseconds = Decimal.read(durations.view(total))
        else { throw Mistake(reason: "its microseconds have no total") }
        guard let address = IPAddress(parsing: client) else { throw Mistake(reason: "its client is none") }
        line.endedAt = endedAt
        line.lasted = min(microseconds, endedAt / 1_000) * 1_000
        line.address = address
        if status.equals("304") {
            line.outcome = .notModified
        } else if isCollapsed || cache.equals("hit") || cache.equals("stale") || cache.equals("collapsed") {
            line.outcome = .hit
        }
        line.wasLimited = error.equals("rate_limited")
        line.endedBeforeLimits = !line.hasIdentity && Self.isEarly(error)
        line.isAsterisk = target.equals("*") && line.method.equals("OPTIONS")
        return unescaping(&line, body)
    }

    /// Of failures, those that come before limits are asked.
    private static func isEarly(_ error: ByteView) -> Bool {
        error.equals("unauthorized") || error.equals("too_many_bad_tokens")
            || error.equals("identity_unavailable") || error.equals("http_request_error")
            || error.equals("request_head_timeout") || error.equals("request_too_large")
            || error.equals("connection_limit_reached")
    }

    /// The inside of a string; empty for any other value.
    private static func inside(_ value: ByteView) -> ByteView {
        guard value.count >= 2, value[0] == 0x22 else { return ByteView(start: nil, count: 0) }
        return value.view(1, value.count - 2)
    }

    /// Nanoseconds since 1970 of `2026-11-22T05:01:06.721Z`; nil after 2286, when they are too many.
    private mutating func nanoseconds(_ text: ByteView) -> UInt64? {
        guard text.count >= 20, text[text.count - 1] == UInt8(ascii: "Z") else { return nil }
        let whole = text.view(0, 19)
        if !second.text.elementsEqual(whole) {
            guard let seconds = UTCTime.seconds(Array(whole) + [UInt8(ascii: "Z")]),
                seconds < 10_000_000_000
            else { return nil }
            second = (Array(whole), UInt64(seconds) * 1_000_000_000)
        }
        guard text.count > 20 else { return second.value }
        let digits = text.view(20, text.count - 21)
        guard text[19] == UInt8(ascii: "."), (1...9).contains(digits.count), var part = Decimal.read(digits)
        else { return nil }
        for _ in digits.count..<9 { part *= 10 }
        return second.value + part
    }

    // MARK: - Escapes

    /// Replaces what is escaped in the members that name somebody: each `\u00XX` is the byte XX, as it is written.
    private mutating func unescaping<Result>(
        _ line: inout AccessLine, _ body: (AccessLine) -> Result
    ) -> Result {
        let isPlain =
            !Self.isEscaped(line.project) && !Self.isEscaped(line.user)
            && !(line.roles.map(Self.isEscaped) ?? false) && !Self.isEscaped(line.action)
        if isPlain { return body(line) }
        unescaped.removeAll(keepingCapacity: true)
        let project = append(line.project)
        let user = append(line.user)
        let action = append(line.action)
        let roles = line.roles.map { append($0) }
        return unescaped.withUnsafeBufferPointer { bytes in
            line.project = bytes.view(project)
            line.user = bytes.view(user)
            line.action = bytes.view(action)
            line.roles = roles.map { bytes.view($0) }
            return body(line)
        }
    }

    private static func isEscaped(_ text: ByteView) -> Bool { text.contains(0x5C) }

    private mutating func append(_ text: ByteView) -> ByteRange {
        let start = unescaped.count
        var index = 0
        while index < text.count {
            if text[index] == 0x5C, index + 5 < text.count, text[index + 1] == 0x75, text[index + 2] == 0x30,
                text[index + 3] == 0x30, let high = ASCII.hexValue(text[index + 4]),
                let low = ASCII.hexValue(text[index + 5])
            {
                unescaped.append(high << 4 | low)
                index += 6
            } else {
                unescaped.append(text[index])
                index += 1
            }
        }
        return ByteRange(start: start, count: unescaped.count - start)
    }
}
