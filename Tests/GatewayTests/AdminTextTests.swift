import Foundation
import Testing

@testable import Gateway

/// The admin listener's texts against what is written in `Tests/Golden/admin`.
///
/// `GATEHOUSE_ACCEPT=1 swift test --filter AdminTextTests` rewrites the files.
struct AdminTextTests {
    private static func report(worker: Int, isEjected: Bool, isDraining: Bool = false) -> WorkerReport {
        var counters = Counters()
        counters.connectionsAccepted = 10
        counters.fetches = UInt64(worker)
        var exchanges = ExchangeCounters(operationCount: 2)
        exchanges.count(
            operation: 0, status: 200, microseconds: 40, source: .store, verdict: .hit, failure: .none)
        exchanges.count(
            operation: 1, status: 502, microseconds: 3_000, source: .upstream, verdict: .none,
            failure: .upstreamClosed)
        exchanges.count(
            operation: -1, status: 418, microseconds: 20_000_000, source: .here, verdict: .none,
            failure: .none)
        exchanges.count(
            operation: 0, status: 200, microseconds: 900, source: .translation, verdict: .none,
            failure: .none)
        var limits = LimitCounters(names: ["create", "all"])
        limits.count(0, .limited)
        limits.count(1, .allowed)
        return WorkerReport(
            counters: [counters], exchangeCounters: exchanges, limitCounters: limits,
            buckets: .init(capacity: 64, usedCount: 3, evictedInDebtCount: 2, unplacedCount: 1),
            stores: [WorkerReport.StoreState(counters: StoreCounters(), isUp: !isEjected)],
            audit: WorkerReport.AuditState(
                eventCount: 5, lostCount: 1, writeCount: 2, openFoldCount: 3, waitingByteCount: 4,
                byteCount: 600,
                failureCount: 1, rotationCount: 2, isFailing: isEjected),
            operationIDs: ["servers.list", "servers.create"],
            endpoints: [
                .init(
                    url: "http://a:1", isEjected: isEjected, busyCount: 1, idleCount: 2, connectsCount: 3,
                    failuresCount: 4,
                    ejectionsCount: 5)
            ],
            inFlight: [
                .init(
                    requestID: "req-\(worker)", operation: "servers.list", stage: "receive",
                    wait: "response_head",
                    ageMilliseconds: 1_500, waitingMilliseconds: 1_400, worker: worker, client: "::1",
                    upstream: "http://a:1")
            ],
            exchangeCount: 1, downstreamCount: 2, upstreamCount: 3, lentBlockCount: 4, isDraining: isDraining)
    }

    private static func whole(isDraining: Bool = false) -> WorkerReport {
        var whole = report(worker: 0, isEjected: true)
        whole.add(report(worker: 1, isEjected: false, isDraining: isDraining))
        return whole
    }

    private func check(_ name: String, _ found: String) throws {
        let path = SettingsPlaces.root + "/Tests/Golden/admin/" + name
        if ProcessInfo.processInfo.environment["GATEHOUSE_ACCEPT"] != nil {
            try found.write(toFile: path, atomically: true, encoding: .utf8)
            return
        }
        #expect(
            found == (try String(contentsOfFile: path, encoding: .utf8)),
            "to accept: GATEHOUSE_ACCEPT=1 swift test --filter AdminTextTests")
    }

    @Test func `the metrics of two workers are told as one`() throws {
        let (status, type, text) = AdminText.render(
            .metrics, Self.whole(), cache: (count: 7, byteCount: 8, evictedCount: 9),
            sinks: [
                AuditSink.State(
                    name: "syslog", settledCount: 3, repeatedCount: 1, failureCount: 2, isFailing: true,
                    lagByteCount: 4_096, lagMicroseconds: 1_500_000),
                AuditSink.State(name: "far.away-2"),
            ])
        #expect(status == 200)
        #expect("\(type)" == "text/plain; version=0.0.4; charset=utf-8")
        try check("metrics.txt", text)
    }

    @Test func `without a cache there are no metrics of one`() {
        let text = AdminText.render(.metrics, Self.whole(), cache: nil).text
        #expect(!text.contains("gatehouse_cache_stored"))
    }

    @Test func `a metric is described before its samples and only once`() {
        let text = AdminText.render(.metrics, Self.whole(), cache: (count: 7, byteCount: 8, evictedCount: 9))
            .text
        var described: Set<String> = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                let name = String(line.split(separator: " ")[2])
                #expect(described.insert(name).inserted, "\(name) is described twice")
            } else if !line.hasPrefix("#") {
                let name = String(line.prefix { $0 != "{" && $0 != " " })
                let family = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }.map {
                    String(name.dropLast($0.count))
                }
                #expect(
                    described.contains(name) || family.map(described.contains) == true,
                    "\(name) is not described")
            }
        }
    }

    @Test func `buckets of the histogram only grow and end in the count`() {
        let text = AdminText.render(.metrics, Self.whole(), cache: nil).text
        for source in ["here", "store", "upstream", "translation"] {
            let values = text.split(separator: "\n")
                .filter {
                    $0.hasPrefix("gatehouse_exchange_duration_seconds_bucket{answered_by=\"\(source)\"")
                }
                .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
            #expect(values.count == ExchangeCounters.bounds.count + 1)
            #expect(values == values.sorted())
            #expect(values.last == 2)
        }
    }

    @Test func `the healthcheck is 503 once a worker drains`() throws {
        let ready = AdminText.render(.healthcheck, Self.whole(), cache: nil)
        #expect(ready.status == 200)
        try check("healthcheck.json", ready.text)
        let draining = AdminText.render(.healthcheck, Self.whole(isDraining: true), cache: nil)
        #expect(draining.status == 503)
        #expect(draining.text.contains("\"draining\""))
    }

    @Test func `an endpoint counts as ejected when all workers leave it alone`() {
        var both = Self.report(worker: 0, isEjected: true)
        both.add(Self.report(worker: 1, isEjected: true))
        #expect(both.endpoints.map(\.isEjected) == [true])
        #expect(Self.whole().endpoints.map(\.isEjected) == [false])
    }

    @Test func `the exchanges of all workers are listed`() throws {
        let (status, _, text) = AdminText.render(.exchanges, Self.whole(), cache: nil)
        #expect(status == 200)
        try check("exchanges.json", text)
    }
}
