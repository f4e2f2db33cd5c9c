internal import Bytes
internal import Loop

/// What one worker tells about itself, as values that may leave it; several add up.
struct WorkerReport: Sendable {
    struct InFlight: Sendable {
        let requestID: String
        let operation: String
        let stage: String
        let wait: String
        let ageMilliseconds: UInt64
        let waitingMilliseconds: UInt64
        let worker: Int
        let client: String
        let upstream: String
    }

    struct EndpointState: Sendable {
        let url: String
        var isEjected: Bool
        var busyCount: Int
        var idleCount: Int
        var connectsCount: UInt64
        var failuresCount: UInt64
        var ejectionsCount: UInt64
    }

    struct StoreState: Sendable {
        let counters: StoreCounters
        let isUp: Bool
    }

    /// Of the audit trail; one of a worker, or the sum of several.
    struct AuditState: Sendable {
        var eventCount: UInt64 = 0
        var lostCount: UInt64 = 0
        var writeCount: UInt64 = 0
        var openFoldCount = 0
        var waitingByteCount = 0
        // Of all workers together.
        var byteCount: UInt64 = 0
        var failureCount: UInt64 = 0
        var rotationCount: UInt64 = 0
        var isFailing = false
    }

    var counters: [Counters]
    var exchangeCounters: ExchangeCounters
    var limitCounters: LimitCounters
    /// Of the limits' buckets, which all workers share.
    var buckets: Buckets.Occupation
    /// Of the shared store; empty without one.
    var stores: [StoreState]
    /// nil while nothing is recorded.
    var audit: AuditState?
    var operationIDs: [String]
    var endpoints: [EndpointState]
    var inFlight: [InFlight]
    var exchangeCount: Int
    var downstreamCount: Int
    var upstreamCount: Int
    var lentBlockCount: Int
    var isDraining: Bool

    mutating func add(_ other: WorkerReport) {
        counters += other.counters
        exchangeCounters.add(other.exchangeCounters)
        limitCounters.add(other.limitCounters)
        stores += other.stores
        if let more = other.audit {
            audit?.eventCount += more.eventCount
            audit?.lostCount += more.lostCount
            audit?.writeCount += more.writeCount
            audit?.openFoldCount += more.openFoldCount
            audit?.waitingByteCount += more.waitingByteCount
            if more.isFailing { audit?.isFailing = true }
        }
        for state in other.endpoints {
            guard let place = endpoints.firstIndex(where: { $0.url == state.url }) else {
                endpoints.append(state)
                continue
            }
            // An endpoint counts as ejected when every loop leaves it alone.
            endpoints[place].isEjected = endpoints[place].isEjected && state.isEjected
            endpoints[place].busyCount += state.busyCount
            endpoints[place].idleCount += state.idleCount
            endpoints[place].connectsCount += state.connectsCount
            endpoints[place].failuresCount += state.failuresCount
            endpoints[place].ejectionsCount += state.ejectionsCount
        }
        inFlight += other.inFlight
        exchangeCount += other.exchangeCount
        downstreamCount += other.downstreamCount
        upstreamCount += other.upstreamCount
        lentBlockCount += other.lentBlockCount
        isDraining = isDraining || other.isDraining
    }
}

extension Worker {
    /// At most this many exchanges are listed per worker; the count is always whole.
    private static var listedCount: Int { 1_000 }

    func report(_ kind: AdminReport) -> WorkerReport {
        var endpoints: [WorkerReport.EndpointState] = []
        for endpoint in configuration.endpoints {
            endpoints.append(
                WorkerReport.EndpointState(
                    url: endpoint.url.bytes.string, isEjected: endpoint.isEjected(now),
                    busyCount: endpoint.busyCount,
                    idleCount: endpoint.idle.count + endpoint.idleCarrierCount,
                    connectsCount: endpoint.connectsCount,
                    failuresCount: endpoint.failuresCount, ejectionsCount: endpoint.ejectionsCount))
        }
        return WorkerReport(
            counters: [counters], exchangeCounters: exchangeCounters, limitCounters: limitCounters,
            buckets: shared.buckets.occupation,
            stores: store.map { [WorkerReport.StoreState(counters: $0.counters, isUp: $0.isUp)] } ?? [],
            audit: audit.map(\.state),
            operationIDs: kind == .metrics
                ? configuration.apis.flatMap { $0.table.operations.map(\.id) } : [],
            endpoints: endpoints, inFlight: kind == .exchanges ? inFlight() : [],
            exchangeCount: exchanges.count - adminExchangeCount(), downstreamCount: clientConnectionCount,
            upstreamCount: upstreams.count - streamSlotCount, lentBlockCount: blocks.lentCount,
            isDraining: isDraining)
    }

    private func adminExchangeCount() -> Int {
        var count = 0
        for index in 0..<downstreams.usedCount {
            guard let connection = downstreams.find(index: UInt32(index)), connection.pointee.isAdmin else {
                continue
            }
            if !connection.pointee.exchange.isNone { count += 1 }
        }
        return count
    }

    private func inFlight() -> [WorkerReport.InFlight] {
        var list: [WorkerReport.InFlight] = []
        for place in 0..<exchanges.usedCount where list.count < Self.listedCount {
            guard let exchange = exchanges.find(index: UInt32(place)), !isAdminExchange(exchange) else {
                continue
            }
            scratch.removeAll()
            exchange.pointee.requestID.append(to: &scratch)
            let id = scratch.readable.string
            scratch.removeAll()
            downstreams.find(exchange.pointee.downstream)?.pointee.peer.append(to: &scratch)
            list.append(
                WorkerReport.InFlight(
                    requestID: exchange.pointee.wait == .head ? "" : id,
                    operation: operation(of: exchange).map { $0.idBytes.string } ?? "",
                    stage: exchange.pointee.wait == .head ? "head" : "\(exchange.pointee.stage.name)",
                    wait: "\(exchange.pointee.wait.name)",
                    ageMilliseconds: (now - min(now, exchange.pointee.startedAt)) / 1_000_000,
                    waitingMilliseconds: (now - min(now, exchange.pointee.waitingSince)) / 1_000_000,
                    worker: index, client: scratch.readable.string,
                    upstream: exchange.pointee.endpoint.map { $0.takeUnretainedValue().url.bytes.string }
                        ?? ""))
        }
        return list
    }
}
