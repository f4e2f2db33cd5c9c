internal import Bytes
internal import HTTP
internal import TLS

/// What one worker counted; read by mail to the worker, so plain words do.
struct Counters {
    var connectionsAccepted: UInt64 = 0
    var connectionsClosed: UInt64 = 0
    var acceptPauses: UInt64 = 0
    var acceptErrors: UInt64 = 0
    var downstreamBytesReceived: UInt64 = 0
    var downstreamBytesSent: UInt64 = 0
    var upstreamBytesReceived: UInt64 = 0
    var upstreamBytesSent: UInt64 = 0
    var upstreamHandshakes: UInt64 = 0
    var upstreamResumptions: UInt64 = 0
    var upstreamStreams: UInt64 = 0
    var upstreamRefusals: UInt64 = 0
    var downstreamTimeouts: UInt64 = 0
    var unreadableRequests: UInt64 = 0
    var retries: UInt64 = 0
    var fetches: UInt64 = 0
    var staleOnError: UInt64 = 0
    var translations: UInt64 = 0
    var accessLinesDropped: UInt64 = 0
    var identityValidations: UInt64 = 0
    var identityCollapsed: UInt64 = 0
    var identityHits: UInt64 = 0
    var identityStale: UInt64 = 0
    var identityFailures: UInt64 = 0
    var refusedBadTokens: UInt64 = 0
    var identityCredentialRenewals: UInt64 = 0
    var identityProjectLookups: UInt64 = 0
    var tlsHandshakes: UInt64 = 0
    var tlsResumedHandshakes: UInt64 = 0
    var tlsHandshakesFailed: UInt64 = 0
    var plainRequestsOnTLS: UInt64 = 0
    var http2Connections: UInt64 = 0
    var http2Streams: UInt64 = 0
    /// HTTP/2 connections of clients by why they were ended.
    var http2Failures = [UInt64](repeating: 0, count: HTTP2Failure.allCases.count)
    /// TLS connections with clients by why they failed.
    var tlsFailures = [UInt64](repeating: 0, count: TLSFailure.allCases.count)
    var turns: UInt64 = 0
    var slowRounds: UInt64 = 0

    /// Names of the plain counters as `/metrics` shows them, beside their values.
    var named: [(name: String, help: String, value: UInt64)] {
        [
            ("gatehouse_connections_accepted_total", "Downstream connections accepted.", connectionsAccepted),
            ("gatehouse_connections_closed_total", "Downstream connections closed.", connectionsClosed),
            (
                "gatehouse_accept_pauses_total", "Times accepting paused for lack of descriptors.",
                acceptPauses
            ),
            (
                "gatehouse_accept_errors_total", "Connections that ended before they were accepted.",
                acceptErrors
            ),
            (
                "gatehouse_downstream_received_bytes_total", "Bytes received from clients.",
                downstreamBytesReceived
            ),
            ("gatehouse_downstream_sent_bytes_total", "Bytes sent to clients.", downstreamBytesSent),
            (
                "gatehouse_upstream_received_bytes_total", "Bytes received from upstreams.",
                upstreamBytesReceived
            ),
            ("gatehouse_upstream_sent_bytes_total", "Bytes sent to upstreams.", upstreamBytesSent),
            (
                "gatehouse_upstream_tls_handshakes_total", "TLS handshakes with upstreams that succeeded.",
                upstreamHandshakes
            ),
            (
                "gatehouse_upstream_tls_resumptions_total", "Those of them that resumed a session.",
                upstreamResumptions
            ),
            (
                "gatehouse_upstream_http2_streams_total", "HTTP/2 streams opened to upstreams.",
                upstreamStreams
            ),
            (
                "gatehouse_upstream_http2_refusals_total",
                "Those of them with which the upstream did nothing.", upstreamRefusals
            ),
            ("gatehouse_downstream_timeouts_total", "Clients whose time was up.", downstreamTimeouts),
            (
                "gatehouse_unreadable_requests_total", "Requests refused by the HTTP reader.",
                unreadableRequests
            ),
            ("gatehouse_upstream_retries_total", "Requests sent once more on another connection.", retries),
            ("gatehouse_cache_fetches_total", "Lists fetched for the cache.", fetches),
            (
                "gatehouse_cache_stale_on_error_total", "Stale lists served because the upstream failed.",
                staleOnError
            ),
            (
                "gatehouse_translations_total", "Lists of virtual interfaces made from the upstream's own.",
                translations
            ),
            (
                "gatehouse_access_lines_dropped_total", "Access lines dropped by a full buffer.",
                accessLinesDropped
            ),
            (
                "gatehouse_identity_validations_total", "Tokens that Keystone was asked about.",
                identityValidations
            ),
            (
                "gatehouse_identity_collapsed_total", "Tokens that waited for an equal question under way.",
                identityCollapsed
            ),
            (
                "gatehouse_identity_hits_total", "Tokens whose judgement was known, bad ones too.",
                identityHits
            ),
            (
                "gatehouse_identity_stale_total",
                "Reads with a token past its time, served while Keystone was in trouble.", identityStale
            ),
            (
                "gatehouse_identity_failures_total", "Questions to Keystone without an answer of use.",
                identityFailures
            ),
            (
                "gatehouse_limit_bad_tokens_total",
                "Requests without a good token refused because their address sent too many.",
                refusedBadTokens
            ),
            (
                "gatehouse_identity_credential_renewals_total", "Tokens of our own got from Keystone.",
                identityCredentialRenewals
            ),
            (
                "gatehouse_identity_project_lookups_total", "Projects that Keystone was asked about.",
                identityProjectLookups
            ),
            ("gatehouse_tls_handshakes_total", "TLS handshakes with clients, whole ones.", tlsHandshakes),
            (
                "gatehouse_tls_resumed_handshakes_total", "Those of them that went on with a ticket.",
                tlsResumedHandshakes
            ),
            (
                "gatehouse_tls_failed_handshakes_total", "TLS handshakes with clients that failed.",
                tlsHandshakesFailed
            ),
            (
                "gatehouse_tls_plain_requests_total", "Plain HTTP on a port with TLS.", plainRequestsOnTLS
            ),
            ("gatehouse_http2_connections_total", "Connections of clients with HTTP/2.", http2Connections),
            ("gatehouse_http2_streams_total", "Streams of clients.", http2Streams),
            ("gatehouse_loop_turns_total", "Turns of the loops.", turns),
            ("gatehouse_loop_slow_rounds_total", "Rounds of a loop of more than 5 ms.", slowRounds),
        ]
    }
}

/// Exchanges by operation and status, and how long they took; one per worker.
struct ExchangeCounters {
    /// Statuses with a column of their own; all others share the last one.
    static let statuses = [
        200, 201, 202, 204, 300, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 415, 429, 431, 499,
        500, 502,
        503, 504, 0,
    ]
    /// Upper bounds of the histogram in microseconds; the last bucket has none.
    static let bounds: [UInt64] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
        2_500_000,
        10_000_000,
    ]
    /// Histograms by what answered: here (refused, made here), the store, the upstream, or answers of it put together.
    enum Source: Int, CaseIterable { case here, store, upstream, translation }

    private var columns = [UInt8](repeating: 0, count: 600)
    private(set) var byStatus: [UInt64]
    private(set) var histogram: [UInt64]
    private(set) var totalMicroseconds: [UInt64]
    private(set) var verdicts = [UInt64](repeating: 0, count: 16)
    private(set) var failures = [UInt64](repeating: 0, count: 64)
    /// Refusals that were only reported, by operation.
    private(set) var reported: [UInt64]
    private(set) var operationCount: Int

    init(operationCount: Int) {
        // One more row for exchanges that matched no operation.
        self.operationCount = operationCount
        byStatus = Array(repeating: 0, count: (operationCount + 1) * Self.statuses.count)
        reported = Array(repeating: 0, count: operationCount + 1)
        histogram = Array(repeating: 0, count: Source.allCases.count * (Self.bounds.count + 1))
        totalMicroseconds = Array(repeating: 0, count: Source.allCases.count)
        for status in columns.indices { columns[status] = UInt8(Self.statuses.count - 1) }
        for (column, status) in Self.statuses.enumerated() where status > 0 {
            columns[status] = UInt8(column)
        }
    }

    mutating func count(
        operation: Int, status: Int, microseconds: UInt64, source: Source, verdict: CacheVerdict,
        failure: Failure
    ) {
        let row = operation >= 0 && operation < operationCount ? operation : operationCount
        let column = status > 0 && status < columns.count ? Int(columns[status]) : Self.statuses.count - 1
        // Counts cannot overflow in the life of a process.
        byStatus[row * Self.statuses.count + column] &+= 1
        var bucket = 0
        while bucket < Self.bounds.count, microseconds > Self.bounds[bucket] { bucket += 1 }
        histogram[source.rawValue * (Self.bounds.count + 1) + bucket] &+= 1
        totalMicroseconds[source.rawValue] &+= microseconds
        verdicts[Int(verdict.rawValue)] &+= 1
        failures[Int(failure.rawValue)] &+= 1
    }

    /// Counts what the rules would have refused.
    mutating func countReported(operation: Int) {
        reported[operation >= 0 && operation < operationCount ? operation : operationCount] &+= 1
    }

    /// Adds what another worker counted.
    mutating func add(_ other: ExchangeCounters) {
        guard other.byStatus.count == byStatus.count else { return }
        for index in byStatus.indices { byStatus[index] &+= other.byStatus[index] }
        for index in reported.indices { reported[index] &+= other.reported[index] }
        for index in histogram.indices { histogram[index] &+= other.histogram[index] }
        for index in totalMicroseconds.indices { totalMicroseconds[index] &+= other.totalMicroseconds[index] }
        for index in verdicts.indices { verdicts[index] &+= other.verdicts[index] }
        for index in failures.indices { failures[index] &+= other.failures[index] }
    }
}
