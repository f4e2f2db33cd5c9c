internal import Bytes
internal import Dispatch
internal import HTTP
internal import Logging
internal import Loop
internal import OpenStack

/// One loop and all it owns: listeners, connections, exchanges, pools, timers, counters.
///
/// Everything here is touched on the loop's serial queue alone. Unchecked Sendable: Dispatch moves the queue between
/// threads, and other loops hold a reference only to mail closures to that queue.
final class Worker: @unchecked Sendable {
    let index: Int
    let shared: Shared
    let loop: LoopQueue
    let waker: Waker
    var poller: Poller
    var configuration: Configuration
    /// Configurations that were replaced and still have exchanges or connections.
    var retired: [Configuration] = []

    var listeners: [Listener] = []
    var downstreams: Slab<DownstreamConnection>
    var upstreams: RecycledSlab<UpstreamConnection>
    var exchanges: RecycledSlab<Exchange>
    var downstreamTimers: TimerWheel
    var upstreamTimers: TimerWheel
    var exchangeTimers: TimerWheel
    var blocks: BlockPools
    let http2Memory = HTTP2Memory()

    // Of this turn.
    var now: UInt64
    var wallSeconds: Int64 = 0
    var wallNanoseconds: Int32 = 0
    /// What the wall's clock is ahead of the monotonic one.
    private var wallOffset: Int64 = 0
    var ready: [Handle] = []
    var running: [Handle] = []
    var again: [Handle] = []
    var settling: [Handle] = []
    var touchedStreams: [Handle] = []
    var closedDownstreams: [Handle] = []
    var closedUpstreams: [Handle] = []
    /// Upstream connections and streams that are looked at again in this round.
    var touchedUpstreams: [Handle] = []
    /// Slots of upstreams that are streams, not connections.
    var streamSlotCount = 0
    var isInTurn = false
    let events: UnsafeMutableBufferPointer<Readiness>

    // Written and read within one stage.
    var message = Buffer(capacity: 65_536)
    var scratch = Buffer(capacity: 131_072)
    var tape = JSONTape()
    var key = Buffer(capacity: 32_768)
    var faultContent = Buffer(capacity: 131_072)
    var line = Buffer(capacity: 16_384)
    /// For the audit trail alone, whose events are made while `scratch` and `key` may be in use.
    var auditText = Buffer(capacity: 131_072)
    var auditScratch = Buffer(capacity: 131_072)
    var auditKey = Buffer(capacity: 32_768)
    /// The Date line of this second, and the same second as the access line has it.
    var dateLine = Buffer(capacity: 64)
    var ownLines = OwnLines()
    var timeText = Buffer(capacity: 32)

    // The shared store of limits.
    var store: LimitStoreClient?
    /// Those that the settings name no more, until they answered what they were asked.
    var leavingStores: [LimitStoreClient] = []
    /// One of them has something to send or to tell.
    var storeIsTouched = false
    var storeDemand = StoreDemand()
    var lastStoreSlot: UInt32 = 0

    var random = RandomSource()
    var counters = Counters()
    var exchangeCounters: ExchangeCounters
    var limitCounters: LimitCounters
    let addressNames = AddressNames()
    var accessLog: LineBuffer? { didSet { lentAccessLog = accessLog.map { .passUnretained($0) } } }
    /// nil while nothing is recorded.
    var audit: AuditWriter? { didSet { lentAudit = audit.map { .passUnretained($0) } } }
    /// The same two for each exchange, without counting references: they stay what they are once the worker runs.
    private(set) var lentAccessLog: Unmanaged<LineBuffer>?
    private(set) var lentAudit: Unmanaged<AuditWriter>?
    /// Names tokens in audit events; nil where there is no trail.
    var auditDigester: AuditDigester?
    let reportLog = Logger(label: "gatehouse.validation")
    var reportBudget = ReportBudget()

    /// Downstream connections of clients, those of the admin listener not counted.
    var clientConnectionCount = 0
    let maxClientConnectionCount: Int
    var isDraining = false
    var acceptPausedUntil: UInt64 = 0
    /// A connection ended since accepting paused, so there is a descriptor again.
    var hasClosed = false
    /// The last connect failed for want of descriptors or memory here.
    var lacksDescriptors = false
    var flushesAt: UInt64 = 0

    /// HTTP/2 streams at once on one loop; the next ones are refused, and may be tried again.
    static let maxStreamCount = 65_536

    static let responseLimits = HeadLimits(headByteCount: 20_480, targetByteCount: 0, fieldCount: 128)

    init(index: Int, shared: Shared, configuration: Configuration, maxConnectionCount: Int)
        throws(SystemError)
    {
        self.index = index
        self.shared = shared
        self.configuration = configuration
        loop = LoopQueue(label: "gatehouse.worker.\(index)")
        poller = try Poller()
        waker = try Waker()
        now = MonotonicClock.now()
        maxClientConnectionCount = maxConnectionCount
        // Some slots are the admin listener's alone, so that a full house can still be looked at; streams have their own.
        downstreams = Slab(capacity: maxConnectionCount + 64 + Self.maxStreamCount)
        upstreams = RecycledSlab(capacity: 65_536)
        // Every connection and stream has at most one exchange; the rest is for fetches.
        exchanges = RecycledSlab(capacity: maxConnectionCount + 64 + Self.maxStreamCount + 4_096)
        downstreamTimers = TimerWheel(now: now)
        upstreamTimers = TimerWheel(now: now)
        exchangeTimers = TimerWheel(now: now)
        blocks = BlockPools(
            blockByteCount: max(32_768, 2 * configuration.limits.headByteCount), keptCount: 256)
        events = .allocate(capacity: Poller.roundCapacity)
        events.initialize(repeating: Readiness())
        exchangeCounters = ExchangeCounters(operationCount: configuration.operationCount)
        limitCounters = LimitCounters(configuration.limitTable)
    }

    deinit { events.deallocate() }

    /// Starts the loop; the handlers are made here once and live as long as it does.
    func start() {
        loop.tick(every: .milliseconds(50)) { [unowned self] in
            turn { $0.tick() }
            if nothingIsDue { loop.stopTicking() }
        }
        _ = poller.add(waker.descriptor, [.read], tag: Tag.waker)
        adoptStore(of: configuration)
        loop.watch(poller.descriptor) { [unowned self] in turn { $0.takeEvents() } }
    }

    /// Runs `body` on this worker's queue within a turn; for reloads, drains, reports and what another loop fetched.
    func mail(_ body: @escaping @Sendable (Worker) -> Void) {
        waker.announce()
        loop.queue.async { [self] in
            waker.take()
            turn { body($0) }
        }
    }

    /// The clock alone makes nothing happen, so that it need not tick.
    private var nothingIsDue: Bool {
        downstreamTimers.isEmpty && upstreamTimers.isEmpty && exchangeTimers.isEmpty && flushesAt == 0
            && acceptPausedUntil == 0 && audit?.isQuiet != false
    }

    /// One turn: reads the clock once, runs `body`, then everything it made ready, then cleans up.
    private func turn(_ body: (Worker) -> Void) {
        now = MonotonicClock.now()
        let wall = WallClock.now()
        wallOffset = wall.seconds * 1_000_000_000 + Int64(wall.nanoseconds) - Int64(now)
        renewWall()
        body(self)
        finishTurn()
        if !loop.isTicking, !nothingIsDue { loop.startTicking() }
        counters.turns += 1
        beginRound()
    }

    /// Takes what the kernel reports, round after round while there is more, for at most 5 ms.
    ///
    /// While one round is worked on, the next one's requests arrive, or arrive a moment later; going back to Dispatch
    /// between them would cost a wake-up of its manager and of a thread each time (25 µs of CPU, as much as three cached
    /// hits). So a loop that had work waits for more here, a while that mail ends.
    private func takeEvents() {
        let began = now
        for round in 0..<1_024 {
            var count = poller.collect(into: events)
            if count > 0 {
                if round > 0 { beginRound() }
            } else {
                guard round > 0, ready.isEmpty, again.isEmpty, settling.isEmpty, waker.mayWait() else {
                    return
                }
                count = poller.collect(into: events, waiting: Self.waitMilliseconds)
                waker.hasWaited()
                now = MonotonicClock.now()
                renewWall()
                guard count > 0 else { return }
            }
            for place in 0..<count {
                let event = events[place]
                let (kind, handle) = Tag.read(event.tag)
                switch kind {
                case .downstream: downstreamReady(handle, event)
                case .upstream: upstreamReady(handle, event)
                case .listener:
                    if Int(handle.index) < listeners.count { acceptConnections(Int(handle.index)) }
                case .waker: waker.clear()
                case .store: storeReady(handle, event)
                }
                if !ready.isEmpty { runReady() }
            }
            finishRound()
            if now - began > 5_000_000 { return }
        }
    }

    /// Longer than the pauses of a loop that is worth keeping awake; short beside the tick, which it holds up.
    private static let waitMilliseconds: Int32 = 10

    /// Reads the clock between rounds; one that took more than 5 ms held up every other connection of the loop.
    private func beginRound() {
        let later = MonotonicClock.now()
        if later - now > 5_000_000 { counters.slowRounds += 1 }
        now = later
        renewWall()
    }

    /// Brings the wall's time to `now`, by what both clocks said at the turn's beginning.
    private func renewWall() {
        let wall = wallOffset + Int64(now)
        wallNanoseconds = Int32(wall % 1_000_000_000)
        let seconds = wall / 1_000_000_000
        if seconds != wallSeconds { renewDate(seconds) }
    }

    /// Runs what this round made ready, and settles the connections it touched.
    private func finishRound() {
        // Each pass can wake others; what is left after the bound goes on in the next turn.
        var rest = 64
        while true {
            while rest > 0, hasWork {
                rest -= 1
                pass()
            }
            guard audit != nil else { break }
            // The events of all passes in one piece; the answers that go then can make more work.
            settleAudit()
            if rest == 0 || !hasWork { break }
        }
        if !closedDownstreams.isEmpty || !closedUpstreams.isEmpty { hasClosed = true }
        while let handle = closedDownstreams.popLast() { downstreams.remove(handle) }
        while let handle = closedUpstreams.popLast() {
            upstreams.find(handle)?.pointee.reset()
            upstreams.release(handle)
        }
    }

    private var hasWork: Bool {
        !ready.isEmpty || !settling.isEmpty || !again.isEmpty || !touchedStreams.isEmpty
            || !touchedUpstreams.isEmpty || storeIsTouched
    }

    private func pass() {
        runReady()
        if storeIsTouched { settleStores() }
        if !touchedUpstreams.isEmpty { settleTouchedUpstreams() }
        while let handle = settling.popLast() {
            if let connection = downstreams.find(handle) { settle(connection) }
        }
        settleTouchedStreams()
        guard !again.isEmpty else { return }
        let waiting = again
        again.removeAll(keepingCapacity: true)
        for handle in waiting {
            guard let connection = downstreams.find(handle), connection.pointee.state != .closed
            else { continue }
            openSealed(connection)
            process(connection)
            openMoreSoon(connection)
            settle(connection)
        }
    }

    private func finishTurn() {
        finishRound()
        if !again.isEmpty || !ready.isEmpty || !settling.isEmpty || !touchedUpstreams.isEmpty
            || storeIsTouched
        {
            mail { _ in }
        }
        resumeAcceptingIfPossible()
        if isDraining { shared.workerMayBeDone(self) }
    }

    /// What is due by the clock.
    private func tick() {
        while let node = downstreamTimers.popExpired(now: now) { downstreamExpired(node) }
        while let node = upstreamTimers.popExpired(now: now) { upstreamExpired(node) }
        while let node = exchangeTimers.popExpired(now: now) { exchangeExpired(node) }
        if flushesAt != 0, flushesAt <= now {
            accessLog?.flush()
            flushesAt = 0
        }
        if audit != nil { tickAudit() }
        if !retired.isEmpty { retireConfigurations() }
    }

    private func renewDate(_ seconds: Int64) {
        wallSeconds = seconds
        dateLine.removeAll()
        dateLine.append("Date: ")
        HTTPDate.append(seconds, to: &dateLine)
        dateLine.append("\r\n")
        timeText.removeAll()
        Self.appendTime(seconds, to: &timeText)
        timeText.append(0x2E)
    }

    /// Appends `2026-09-01T10:00:00` for seconds since 1970 (RFC 3339).
    static func appendTime(_ seconds: Int64, to buffer: inout Buffer) {
        var text = Buffer(capacity: 40)
        HTTPDate.append(seconds, to: &text)
        // From «Sun, 06 Nov 1994 08:49:37 GMT», whose fields have fixed places.
        let date = text.readable
        let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
        var month = 0
        for index in 0..<12
        where ByteView(start: months.utf8Start + index * 3, count: 3).equals(date.view(8, 3)) {
            month = index + 1
        }
        buffer.append(date.view(12, 4))
        buffer.append(month < 10 ? "-0" : "-")
        buffer.appendDecimal(month)
        buffer.append(0x2D)
        buffer.append(date.view(5, 2))
        buffer.append(0x54)
        buffer.append(date.view(17, 8))
    }

    // MARK: - Of an exchange

    func configuration(of exchange: ExchangePointer) -> Configuration {
        exchange.pointee.configuration?.takeUnretainedValue() ?? configuration
    }

    /// Lends the configuration that the exchange began under; no reference is counted, since the exchange itself is.
    @inline(__always)
    func withHouse<Result>(of exchange: ExchangePointer, _ body: (Configuration) -> Result) -> Result {
        let house = exchange.pointee.configuration ?? .passUnretained(configuration)
        return house._withUnsafeGuaranteedRef(body)
    }

    func table(of exchange: ExchangePointer) -> OperationTable? {
        exchange.pointee.site?._withUnsafeGuaranteedRef { $0.table }
    }

    /// The operation the exchange matched; nil before Match, or when the route is unknown.
    @inline(__always)
    func operation(of exchange: ExchangePointer) -> OperationFacts? { exchange.pointee.facts?.pointee }

    func isAdminExchange(_ exchange: ExchangePointer) -> Bool {
        downstreams.find(exchange.pointee.downstream)?.pointee.isAdmin ?? false
    }
}
