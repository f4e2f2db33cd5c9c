/// How often something a peer can do for little, and that costs us more, may happen on one connection.
///
/// - Shape: a token bucket written as a rate: `burst` at once, then one each `interval` nanoseconds.
/// - Limits: a `burst` of 0 allows nothing.
public struct HTTP2Budget: Equatable, Sendable {
    public var burst: UInt32
    /// Nanoseconds until one more is allowed.
    public var interval: UInt64

    /// Allows `count` in each `seconds` seconds, and `burst` at once.
    public init(_ count: UInt32, perSeconds seconds: UInt32 = 1, burst: UInt32) {
        self.burst = burst
        interval = UInt64(max(seconds, 1)) * 1_000_000_000 / UInt64(max(count, 1))
    }
}

/// What one connection has used of one `HTTP2Budget`.
///
/// - Shape: the theoretical arrival time of the next conforming event, one word (the generic cell rate
///   algorithm, ITU-T I.371), so that nothing has to be filled up in the background.
public struct HTTP2Usage: Sendable {
    var arrival: UInt64 = 0

    /// Makes a usage of nothing.
    public init() {}

    /// Counts one event at `now` nanoseconds; false when the budget is used up.
    public mutating func take(_ budget: HTTP2Budget, now: UInt64, count: UInt32 = 1) -> Bool {
        let tolerance = UInt64(budget.burst) * budget.interval
        let next = max(arrival, now) + UInt64(count) * budget.interval
        guard next <= now + tolerance else { return false }
        arrival = next
        return true
    }
}

/// The budgets of one HTTP/2 connection; past any of them it ends with ENHANCE_YOUR_CALM.
///
/// - Limits: the settings `http2.budgets.*`; the defaults are theirs.
/// - Source: RFC 9113 §10.5; the floods of CVE-2019-9511 to 9518, CVE-2023-44487 and CVE-2025-8671.
public struct HTTP2Budgets: Equatable, Sendable {
    /// Streams that the peer takes back by RST_STREAM.
    public var resets = HTTP2Budget(30, burst: 200)
    /// Streams that the peer's mistakes make us reset.
    public var provokedResets = HTTP2Budget(10, burst: 100)
    /// SETTINGS, PING, PRIORITY, PRIORITY_UPDATE and frames of unknown types.
    public var controlFrames = HTTP2Budget(50, burst: 500)
    /// DATA that brings neither content nor the end; HEADERS and CONTINUATION without a byte.
    public var emptyFrames = HTTP2Budget(10, burst: 100)
    /// DATA of under 64 bytes that the peer's windows force, and WINDOW_UPDATEs by under 64 bytes.
    public var smallWindows = HTTP2Budget(100, burst: 1_000)

    /// Makes the default budgets.
    public init() {}
}

/// What one connection has used of its `HTTP2Budgets`.
struct HTTP2Usages {
    var resets = HTTP2Usage()
    var provokedResets = HTTP2Usage()
    var controlFrames = HTTP2Usage()
    var emptyFrames = HTTP2Usage()
    var smallWindows = HTTP2Usage()
}
