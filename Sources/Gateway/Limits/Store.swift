internal import Bytes
internal import Logging

/// What all loops share of one store of limits: what the settings say of it, and whether it is of use.
///
/// - Shape: outlives a reload that leaves `limits.redis` as it is, so that its connections stay.
final class LimitStore: Sendable {
    let settings: Settings.Redis
    /// Clients of it that cannot use it now.
    private let awayCount = Guarded(0)
    private let log = Logger(label: "gatehouse.limits")

    init(_ settings: Settings.Redis) { self.settings = settings }

    /// The store that the settings name, if any; the old one where they still name it.
    static func make(_ settings: Settings.Limits, replacing old: LimitStore?) -> LimitStore? {
        guard case .redis(let redis) = settings.store else { return nil }
        if let old, old.settings == redis { return old }
        return LimitStore(redis)
    }

    /// Notes that one more client cannot use it; the first one is a log line.
    func noteAway(_ place: String, _ reason: String) {
        let isFirst = awayCount.withLock { count in
            count += 1
            return count == 1
        }
        guard isFirst else { return }
        log.error(
            "the store of limits cannot be used, local limits decide",
            metadata: ["redis": "\(place)", "reason": "\(reason)"])
    }

    /// Notes that a client can use it again, or is gone; the last one is a log line, unless it is gone.
    func noteBack(_ place: String, isGone: Bool) {
        let isLast = awayCount.withLock { count in
            count -= 1
            return count == 0
        }
        guard isLast, !isGone else { return }
        log.notice("the store of limits is used again", metadata: ["redis": "\(place)"])
    }
}

/// What one loop's client of the store counted.
struct StoreCounters {
    /// Questions of requests.
    var calls: UInt64 = 0
    /// Those answered within the deadline.
    var answers: UInt64 = 0
    /// Those whose deadline passed.
    var late: UInt64 = 0
    /// Those answered by an error, or by the connection's end.
    var errors: UInt64 = 0
    /// Connections made after the first one.
    var reconnects: UInt64 = 0

    /// Names of the counters as `/metrics` shows them, beside their values.
    var named: [(name: String, help: String, value: UInt64)] {
        [
            ("gatehouse_limit_store_calls_total", "Requests that the shared store was asked about.", calls),
            ("gatehouse_limit_store_answers_total", "Those it answered within the deadline.", answers),
            ("gatehouse_limit_store_late_total", "Those it did not answer within the deadline.", late),
            (
                "gatehouse_limit_store_errors_total",
                "Those it answered with an error, or whose connection ended.", errors
            ),
            ("gatehouse_limit_store_reconnects_total", "Connections made after the first one.", reconnects),
        ]
    }
}
