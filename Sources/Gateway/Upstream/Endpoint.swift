internal import Bytes
internal import Loop
internal import TLS

/// One endpoint of an upstream, as one worker sees it; never shared between loops.
final class Endpoint {
    let url: Content
    let addresses: [SocketAddress]
    /// The name that its certificate must have, a host name or an IP address.
    let serverName: String
    /// Its place among the pool's, which its TLS sessions are kept by.
    var index: UInt64 = 0
    /// Why its last handshake failed, so that each change is one log line.
    var tlsFailure = TLSFailure.none
    private var addressIndex = 0
    /// Connections that carry an exchange, or are being made for one.
    var busyCount = 0
    /// HTTP/2 connections that take further streams, and how many streams there are on all of them.
    var carriers: [Handle] = []
    var streamCount = 0
    /// Carriers among them without a stream.
    var idleCarrierCount = 0
    /// The one connection that is being made and may turn out to be a carrier.
    var pioneer = Handle.none
    /// What its last connection spoke; nil before the first.
    var speaksHTTP2: Bool?
    /// Idle connections, the last used last: the freshest is the least likely to be closed already.
    var idle: [Handle] = []
    private(set) var failuresInRow = 0
    private(set) var ejectionsInRow = 0
    private(set) var ejectedUntil: UInt64 = 0

    // Totals for /metrics.
    var connectsCount: UInt64 = 0
    var failuresCount: UInt64 = 0
    var ejectionsCount: UInt64 = 0

    init(url: String, addresses: [SocketAddress], serverName: String = "") {
        var text = url
        self.serverName = serverName
        self.url = text.withUTF8 { Content($0) }
        self.addresses = addresses
    }

    /// The address to try now; failures move on to the next one that the name resolved to.
    var address: SocketAddress { addresses[addressIndex] }

    /// Exchanges on their way, for choosing among endpoints.
    var load: Int { busyCount + streamCount }

    func isEjected(_ now: UInt64) -> Bool { ejectedUntil > now }

    func succeeded() {
        guard failuresInRow > 0 || ejectionsInRow > 0 else { return }
        failuresInRow = 0
        ejectionsInRow = 0
    }

    /// Counts a failure; enough of them in a row leave the endpoint alone for a while, longer each time.
    func failed(_ now: UInt64, _ pool: UpstreamPool) {
        failuresCount += 1
        failuresInRow += 1
        addressIndex = (addressIndex + 1) % addresses.count
        guard pool.ejectionFailureCount > 0, failuresInRow >= pool.ejectionFailureCount, !isEjected(now)
        else { return }
        let doubled = pool.ejectionBaseNanoseconds << UInt64(min(ejectionsInRow, 20))
        ejectedUntil = now + min(doubled, pool.ejectionMaxNanoseconds)
        ejectionsInRow += 1
        ejectionsCount += 1
    }
}

/// The endpoints of one API and how this worker uses them.
final class UpstreamPool {
    let endpoints: [Endpoint]
    /// What connections to them are opened with; nil for plain ones.
    let tls: TLSContext?
    let http2: Settings.UpstreamHTTP2
    let keepsAlive: Bool
    let maxIdleCount: Int
    let maxConnectionCount: Int
    let connectNanoseconds: UInt64
    let responseNanoseconds: UInt64
    let progressNanoseconds: UInt64
    let idleNanoseconds: UInt64
    let ejectionFailureCount: Int
    let ejectionBaseNanoseconds: UInt64
    let ejectionMaxNanoseconds: UInt64
    /// Exchanges that wait for a connection, first come first served.
    var queue: [Handle] = []
    static let maxQueueCount = 4_096

    init(_ settings: Settings.Upstream, endpoints: [Endpoint], tls: TLSContext? = nil) {
        self.endpoints = endpoints
        for (index, endpoint) in endpoints.enumerated() { endpoint.index = UInt64(index) }
        self.tls = tls
        http2 = settings.http2
        keepsAlive = settings.keepsAlive
        maxIdleCount = settings.maxIdleConnectionCount
        maxConnectionCount = settings.maxConnectionCount
        connectNanoseconds = settings.connectTimeout.nanoseconds
        responseNanoseconds = settings.responseTimeout.nanoseconds
        progressNanoseconds = settings.progressTimeout.nanoseconds
        idleNanoseconds = settings.idleTimeout.nanoseconds
        ejectionFailureCount = settings.ejection.failureCount
        ejectionBaseNanoseconds = settings.ejection.baseTime.nanoseconds
        ejectionMaxNanoseconds = settings.ejection.maxTime.nanoseconds
    }

    /// Whether requests to `endpoint` go on streams, as far as is known.
    func multiplexes(_ endpoint: Endpoint) -> Bool {
        switch http2 {
        case .never: false
        case .always: true
        case .negotiated: endpoint.speaksHTTP2 != false
        }
    }

    /// The less busy of two endpoints chosen by chance, among those not ejected; nil when all are.
    ///
    /// - Parameter failed: the endpoint of the attempt before, taken only when there is no other.
    func choose(_ random: inout RandomSource, now: UInt64, avoiding failed: Endpoint? = nil) -> Endpoint? {
        if endpoints.count == 1 { return endpoints[0].isEjected(now) ? nil : endpoints[0] }
        let start = Int(random.next() % UInt64(endpoints.count))
        var first: Endpoint?
        for step in 0..<endpoints.count {
            let candidate = endpoints[(start + step) % endpoints.count]
            guard candidate !== failed, !candidate.isEjected(now) else { continue }
            guard let chosen = first else {
                first = candidate
                continue
            }
            return candidate.load < chosen.load ? candidate : chosen
        }
        if first == nil, let failed, !failed.isEjected(now) { return failed }
        return first
    }

    /// Whole seconds until the first ejected endpoint is tried again, at least 1.
    func retryAfterSeconds(_ now: UInt64) -> Int {
        let soonest = endpoints.map { $0.ejectedUntil > now ? $0.ejectedUntil - now : 0 }.min() ?? 0
        return max(1, Int((soonest + 999_999_999) / 1_000_000_000))
    }
}

extension Duration {
    /// Nanoseconds, for the hot path's plain arithmetic; settings bound durations far below the overflow.
    var nanoseconds: UInt64 {
        UInt64(components.seconds) * 1_000_000_000 + UInt64(components.attoseconds / 1_000_000_000)
    }
}
