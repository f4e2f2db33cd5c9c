/// The token with which Keystone is asked: got with the credential of the settings, renewed before it ends.
struct OwnToken: Sendable {
    /// What the one who wants to ask can do.
    enum Use {
        /// `renews`: it is time for the next one, and whoever got this shall fetch it.
        case token(Content, renews: Bool)
        /// There is none: whoever got this shall fetch one.
        case fetch
        /// Another one fetches it.
        case wait
        /// There is none, and the last try was too short a time ago.
        case unavailable(retryAfterSeconds: Int)
    }

    private var token: Content?
    private var renewAt: UInt64 = 0
    private var usableUntil: UInt64 = 0
    private var isBeingFetched = false
    private var failureCount = 0
    private var retryAt: UInt64 = 0

    mutating func use(now: UInt64) -> Use {
        if let token, now < usableUntil {
            let renews = now >= renewAt && !isBeingFetched && now >= retryAt
            if renews { isBeingFetched = true }
            return .token(token, renews: renews)
        }
        if isBeingFetched { return .wait }
        if now < retryAt {
            return .unavailable(retryAfterSeconds: Int((retryAt - now) / 1_000_000_000) + 1)
        }
        isBeingFetched = true
        return .fetch
    }

    /// Takes a token in that ends in `lifetime` nanoseconds; the last fifth, at most ten minutes, is for the next one.
    mutating func take(_ token: Content, lifetime: UInt64, now: UInt64) {
        self.token = token
        isBeingFetched = false
        failureCount = 0
        retryAt = 0
        // Some seconds early: clocks differ, and a question takes its time.
        usableUntil = now + lifetime - min(lifetime / 10, 10_000_000_000)
        renewAt = now + lifetime - min(lifetime / 5, 600_000_000_000)
    }

    /// Fetching failed; the next try is 1 s away, doubled each time up to 30 s.
    mutating func fail(now: UInt64) {
        isBeingFetched = false
        retryAt = now + min(30_000_000_000, 1_000_000_000 << UInt64(min(failureCount, 5)))
        failureCount += 1
    }

    /// Keystone does not take this token any more.
    mutating func reject(_ rejected: Content) {
        if token === rejected { token = nil }
    }
}
