internal import Foundation
internal import HTTP
internal import TLS

/// Words the admin listener's answers.
enum AdminText {
    static func render(
        _ report: AdminReport, _ whole: WorkerReport,
        cache: (count: Int, byteCount: Int, evictedCount: UInt64)?, sinks: [AuditSink.State] = []
    ) -> (status: Int, type: StaticString, text: String) {
        switch report {
        case .healthcheck: (whole.isDraining ? 503 : 200, "application/json", healthcheck(whole))
        case .exchanges: (200, "application/json", exchanges(whole))
        case .metrics: (200, "text/plain; version=0.0.4; charset=utf-8", metrics(whole, cache, sinks))
        }
    }

    private struct Health: Encodable {
        struct Upstream: Encodable { let url: String, ejected: Bool, busy: Int, idle: Int }
        let state: String
        let upstreams: [Upstream]
    }

    private static func healthcheck(_ whole: WorkerReport) -> String {
        encode(
            Health(
                state: whole.isDraining ? "draining" : "ready",
                upstreams: whole.endpoints.map {
                    Health.Upstream(
                        url: $0.url, ejected: $0.isEjected, busy: $0.busyCount, idle: $0.idleCount)
                }))
    }

    private struct InFlight: Encodable {
        struct Item: Encodable {
            let request_id: String, operation: String, stage: String, wait: String, age_milliseconds: UInt64
            let waiting_milliseconds: UInt64, worker: Int, client: String, upstream: String
        }
        let count: Int
        let exchanges: [Item]
    }

    private static func exchanges(_ whole: WorkerReport) -> String {
        encode(
            InFlight(
                count: whole.exchangeCount,
                exchanges: whole.inFlight.map {
                    InFlight.Item(
                        request_id: $0.requestID, operation: $0.operation, stage: $0.stage, wait: $0.wait,
                        age_milliseconds: $0.ageMilliseconds, waiting_milliseconds: $0.waitingMilliseconds,
                        worker: $0.worker, client: $0.client, upstream: $0.upstream)
                }))
    }

    private static func encode(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and numbers always encode; an empty object would only hide a fault of ours.
        guard let data = try? encoder.encode(value) else { preconditionFailure("plain values encode") }
        return String(decoding: data, as: UTF8.self) + "\n"
    }

    // MARK: - Prometheus text format 0.0.4

    private static func metrics(
        _ whole: WorkerReport, _ cache: (count: Int, byteCount: Int, evictedCount: UInt64)?,
        _ sinks: [AuditSink.State]
    ) -> String {
        var text = ""
        func head(_ name: String, _ type: String, _ help: String) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        }
        func single(_ name: String, _ type: String, _ help: String, _ value: some BinaryInteger) {
            head(name, type, help)
            text += "\(name) \(value)\n"
        }
        exchangeMetrics(whole, head: head) { text += $0 }
        let lists = whole.counters.map(\.named)
        for (place, counter) in lists[0].enumerated() {
            single(counter.name, "counter", counter.help, lists.reduce(UInt64(0)) { $0 + $1[place].value })
        }
        single("gatehouse_exchanges_in_flight", "gauge", "Exchanges now in progress.", whole.exchangeCount)
        single(
            "gatehouse_connections_open", "gauge", "Downstream connections now open.", whole.downstreamCount)
        single(
            "gatehouse_upstream_connections_open", "gauge", "Upstream connections now open.",
            whole.upstreamCount)
        single("gatehouse_blocks_lent", "gauge", "Buffer blocks now in use.", whole.lentBlockCount)
        single("gatehouse_workers", "gauge", "Loops of this process.", whole.counters.count)
        if let cache {
            single("gatehouse_cache_stored_responses", "gauge", "Lists now stored.", cache.count)
            single(
                "gatehouse_cache_stored_bytes", "gauge", "Bytes the stored lists are charged with.",
                cache.byteCount)
            single(
                "gatehouse_cache_evictions_total", "counter", "Lists that left for want of room.",
                cache.evictedCount)
        }
        head("gatehouse_tls_failures_total", "counter", "TLS connections with clients by why they failed.")
        for failure in TLSFailure.allCases {
            let count = whole.counters.reduce(UInt64(0)) { $0 + $1.tlsFailures[Int(failure.rawValue)] }
            if count > 0 { text += "gatehouse_tls_failures_total{reason=\"\(failure.word)\"} \(count)\n" }
        }
        head(
            "gatehouse_http2_failures_total", "counter",
            "HTTP/2 connections of clients by why they were ended.")
        for failure in HTTP2Failure.allCases {
            let count = whole.counters.reduce(UInt64(0)) { $0 + $1.http2Failures[Int(failure.rawValue)] }
            if count > 0 { text += "gatehouse_http2_failures_total{reason=\"\(failure.word)\"} \(count)\n" }
        }
        limitMetrics(whole, head: head) { text += $0 }
        if let audit = whole.audit { auditMetrics(audit, head: head) { text += $0 } }
        if !sinks.isEmpty { sinkMetrics(sinks, head: head) { text += $0 } }
        upstreamMetrics(whole, head: head) { text += $0 }
        return text
    }

    private static func exchangeMetrics(
        _ whole: WorkerReport, head: (String, String, String) -> Void, add: (String) -> Void
    ) {
        let counters = whole.exchangeCounters
        head("gatehouse_exchanges_total", "counter", "Exchanges by operation and status.")
        let statuses = ExchangeCounters.statuses
        for row in 0...counters.operationCount {
            let operation = row < whole.operationIDs.count ? whole.operationIDs[row] : ""
            for (column, status) in statuses.enumerated() {
                let value = counters.byStatus[row * statuses.count + column]
                guard value > 0 else { continue }
                let word = status == 0 ? "other" : "\(status)"
                add("gatehouse_exchanges_total{operation=\"\(operation)\",status=\"\(word)\"} \(value)\n")
            }
        }
        head(
            "gatehouse_reported_refusals_total", "counter",
            "Requests forwarded that the rules would have refused, by operation.")
        for row in 0...counters.operationCount where counters.reported[row] > 0 {
            let operation = row < whole.operationIDs.count ? whole.operationIDs[row] : ""
            add(
                "gatehouse_reported_refusals_total{operation=\"\(operation)\"} \(counters.reported[row])\n")
        }
        head(
            "gatehouse_exchange_duration_seconds", "histogram",
            "Time from the first byte to the record, by who answered.")
        for source in ExchangeCounters.Source.allCases {
            var sum: UInt64 = 0
            let first = source.rawValue * (ExchangeCounters.bounds.count + 1)
            for (bucket, bound) in ExchangeCounters.bounds.enumerated() {
                sum += counters.histogram[first + bucket]
                let seconds = Double(bound) / 1_000_000
                add(
                    "gatehouse_exchange_duration_seconds_bucket{answered_by=\"\(source)\",le=\"\(seconds)\"} \(sum)\n"
                )
            }
            sum += counters.histogram[first + ExchangeCounters.bounds.count]
            let total = Double(counters.totalMicroseconds[source.rawValue]) / 1_000_000
            add("gatehouse_exchange_duration_seconds_bucket{answered_by=\"\(source)\",le=\"+Inf\"} \(sum)\n")
            add("gatehouse_exchange_duration_seconds_sum{answered_by=\"\(source)\"} \(total)\n")
            add("gatehouse_exchange_duration_seconds_count{answered_by=\"\(source)\"} \(sum)\n")
        }
        head("gatehouse_cache_verdicts_total", "counter", "How the list cache served exchanges (RFC 9211).")
        for raw in 1..<UInt8(counters.verdicts.count) {
            guard let verdict = CacheVerdict(rawValue: raw) else { break }
            add(
                "gatehouse_cache_verdicts_total{verdict=\"\(verdict.name)\"} \(counters.verdicts[Int(raw)])\n"
            )
        }
        head("gatehouse_exchange_errors_total", "counter", "Exchanges by the error they ended in.")
        for failure in Failure.allCases where failure != .none && counters.failures[Int(failure.rawValue)] > 0
        {
            let value = counters.failures[Int(failure.rawValue)]
            add("gatehouse_exchange_errors_total{error=\"\(failure.error)\"} \(value)\n")
        }
    }

    private static func auditMetrics(
        _ audit: WorkerReport.AuditState, head: (String, String, String) -> Void, add: (String) -> Void
    ) {
        for (name, type, help, value) in [
            ("gatehouse_audit_events_total", "counter", "Events of the audit trail.", audit.eventCount),
            (
                "gatehouse_audit_lost_total", "counter",
                "Events that were lost, since they could not be kept.",
                audit.lostCount
            ),
            ("gatehouse_audit_writes_total", "counter", "Batches of events written.", audit.writeCount),
            ("gatehouse_audit_bytes_total", "counter", "Bytes written.", audit.byteCount),
            (
                "gatehouse_audit_failures_total", "counter", "Writes and synchronizations that failed.",
                audit.failureCount
            ),
            ("gatehouse_audit_rotations_total", "counter", "Files begun.", audit.rotationCount),
            (
                "gatehouse_audit_failing", "gauge", "1 while the trail cannot be written.",
                audit.isFailing ? 1 : 0
            ),
            (
                "gatehouse_audit_waiting_bytes", "gauge", "Bytes of events that are not written yet.",
                UInt64(audit.waitingByteCount)
            ),
            (
                "gatehouse_audit_open_folds", "gauge", "Windows in which equal reads are counted.",
                UInt64(audit.openFoldCount)
            ),
        ] as [(String, String, String, UInt64)] {
            head(name, type, help)
            add("\(name) \(value)\n")
        }
    }

    private static func sinkMetrics(
        _ sinks: [AuditSink.State], head: (String, String, String) -> Void, add: (String) -> Void
    ) {
        func each(
            _ name: String, _ type: String, _ help: String,
            _ value: (AuditSink.State) -> some CustomStringConvertible
        ) {
            head("gatehouse_audit_sink_\(name)", type, help)
            for sink in sinks { add("gatehouse_audit_sink_\(name){sink=\"\(sink.name)\"} \(value(sink))\n") }
        }
        each("events_total", "counter", "Events that the receiver has confirmed.") { $0.settledCount }
        each("repeated_total", "counter", "Events sent again, since the receiver had not confirmed them.") {
            $0.repeatedCount
        }
        each("failures_total", "counter", "Times the receiver, the trail or the cursor failed.") {
            $0.failureCount
        }
        each("failing", "gauge", "1 while the receiver does not take events.") { $0.isFailing ? 1 : 0 }
        each("lag_bytes", "gauge", "Bytes of the trail that are not confirmed yet.") { $0.lagByteCount }
        each("lag_seconds", "gauge", "Age of the oldest event that is not confirmed yet.") {
            Double($0.lagMicroseconds) / 1_000_000
        }
    }

    private static func limitMetrics(
        _ whole: WorkerReport, head: (String, String, String) -> Void, add: (String) -> Void
    ) {
        let counters = whole.limitCounters
        head("gatehouse_limit_requests_total", "counter", "Requests by what a rule of the limits said.")
        for (rule, name) in counters.names.enumerated() {
            for outcome in LimitCounters.Outcome.allCases {
                add(
                    "gatehouse_limit_requests_total{rule=\"\(name)\",outcome=\"\(outcome)\"} "
                        + "\(counters.value(rule, outcome))\n")
            }
        }
        let buckets = whole.buckets
        for (name, type, help, value) in [
            (
                "gatehouse_limit_buckets_capacity", "gauge", "Places for buckets of the limits.",
                buckets.capacity
            ),
            (
                "gatehouse_limit_buckets_used", "gauge", "Those of them that ever had a bucket.",
                buckets.usedCount
            ),
            (
                "gatehouse_limit_buckets_evicted_in_debt_total", "counter",
                "Buckets that made room for others before their debt was paid.", buckets.evictedInDebtCount
            ),
            (
                "gatehouse_limit_buckets_unplaced_total", "counter",
                "Requests that were not limited because no place was free.", buckets.unplacedCount
            ),
        ] {
            head(name, type, help)
            add("\(name) \(value)\n")
        }
        guard !whole.stores.isEmpty else { return }
        head(
            "gatehouse_limit_store_up", "gauge", "0 while a loop's limits are local, since the store is away."
        )
        add("gatehouse_limit_store_up \(whole.stores.allSatisfy(\.isUp) ? 1 : 0)\n")
        let lists = whole.stores.map(\.counters.named)
        for (place, counter) in lists[0].enumerated() {
            head(counter.name, "counter", counter.help)
            add("\(counter.name) \(lists.reduce(UInt64(0)) { $0 + $1[place].value })\n")
        }
    }

    private static func upstreamMetrics(
        _ whole: WorkerReport, head: (String, String, String) -> Void, add: (String) -> Void
    ) {
        func each(
            _ name: String, _ type: String, _ help: String, _ value: (WorkerReport.EndpointState) -> UInt64
        ) {
            head(name, type, help)
            for state in whole.endpoints { add("\(name){upstream=\"\(state.url)\"} \(value(state))\n") }
        }
        each("gatehouse_upstream_up", "gauge", "0 while every loop leaves the endpoint alone.") {
            $0.isEjected ? 0 : 1
        }
        each("gatehouse_upstream_busy_connections", "gauge", "Connections with an exchange.") {
            UInt64($0.busyCount)
        }
        each("gatehouse_upstream_idle_connections", "gauge", "Connections kept for the next one.") {
            UInt64($0.idleCount)
        }
        each("gatehouse_upstream_connects_total", "counter", "Connections made.") { $0.connectsCount }
        each("gatehouse_upstream_failures_total", "counter", "Failures counted against the endpoint.") {
            $0.failuresCount
        }
        each("gatehouse_upstream_ejections_total", "counter", "Times the endpoint was ejected.") {
            $0.ejectionsCount
        }
    }
}
