import Bytes
import Dispatch
import HTTP
import Loop

/// The simulator's one loop: listeners, connections and their deadlines.
///
/// - Shape: everything runs on `loop.queue`; level-triggered readiness, at most 64 accepts and 16 reads a
///   turn.
/// - Limits: `connectionLimit` connections; more are closed at once. An idle one is closed after
///   `idleSeconds`.
final class Service {
    struct Settings {
        var nova = SocketAddress.loopback(port: 18_774)
        var identity = SocketAddress.loopback(port: 15_000)
        var control: SocketAddress?
        var catalogComputeURL: String?
        var identityURL: String?
        var serverCount = 25
        var transitionSeconds = 1.0
        var tokenSeconds = 3600.0
        var idleSeconds = 75.0
        var requestLogCapacity = 2000
        var tokens: [String] = []
        var faults: [FaultRule] = []
    }

    static let connectionLimit = 20_000
    private static let listenerBit: UInt64 = 1 << 63

    let settings: Settings
    let cloud: Cloud
    let loop = LoopQueue(label: "simulator")
    var nova: Nova
    var keystone: Keystone
    var plan = FaultPlan()
    var log: RequestLog
    private(set) var ports: [Listener: UInt16] = [:]

    let poller: Poller
    var connections = Slab<Connection>(capacity: Service.connectionLimit)
    var timers: TimerWheel
    private var listeners: [Int32] = []
    private var round = [Readiness](repeating: Readiness(), count: Poller.roundCapacity)
    private var serial: UInt64 = 0

    /// Opens the listeners; the loop is not started yet.
    ///
    /// - Errors: `SystemError` when an address cannot be bound.
    init(_ settings: Settings) throws(SystemError) {
        self.settings = settings
        poller = try Poller()
        timers = TimerWheel(now: MonotonicClock.now())
        log = RequestLog(capacity: settings.requestLogCapacity)
        let now = Self.now()
        cloud = Seed.cloud(
            serverCount: settings.serverCount, transitionSeconds: settings.transitionSeconds, now: now)
        cloud.tokenSeconds = settings.tokenSeconds
        for specification in settings.tokens {
            _ = Seed.addToken(cloud, specification: specification, serverCount: 3, now: now)
        }
        nova = Nova(cloud: cloud, identityURL: "")
        keystone = Keystone(cloud: cloud, computeURL: "")
        plan.add(settings.faults)
        let addresses: [(Listener, SocketAddress?)] = [
            (.nova, settings.nova), (.identity, settings.identity), (.control, settings.control),
        ]
        for (listener, address) in addresses {
            guard let address else { continue }
            let (descriptor, bound) = try Socket.listen(address, reusePort: false)
            listeners.append(descriptor)
            ports[listener] = bound.port
            _ = poller.add(
                descriptor, .read,
                tag: Self.listenerBit | UInt64(listener.rawValue) << 32 | UInt64(descriptor))
        }
        nova = Nova(
            cloud: cloud, identityURL: settings.identityURL ?? "http://127.0.0.1:\(ports[.identity] ?? 0)")
        keystone = Keystone(
            cloud: cloud,
            computeURL: settings.catalogComputeURL ?? "http://127.0.0.1:\(ports[.nova] ?? 0)/v2.1")
    }

    /// Starts the loop; answers at once.
    func start() {
        loop.tick(every: .milliseconds(10)) { [unowned self] in expire() }
        loop.watch(poller.descriptor) { [unowned self] in drain() }
    }

    /// Ends the loop and all connections, then runs `ended`.
    func stop(_ ended: @escaping @Sendable () -> Void) {
        for index in 0..<connections.usedCount {
            if let slot = connections.find(index: UInt32(index)) { close(slot.pointee) }
        }
        for descriptor in listeners { Socket.close(descriptor) }
        listeners = []
        loop.cancel(ended)
    }

    /// The time of day, for the domain.
    static func now() -> Moment {
        let (seconds, nanoseconds) = WallClock.now()
        return Moment(microseconds: seconds * 1_000_000 + Int64(nanoseconds / 1000))
    }

    // MARK: - Events

    private func drain() {
        for _ in 0..<8 {
            let count = round.withUnsafeMutableBufferPointer { poller.collect(into: $0) }
            for index in 0..<count { handle(round[index]) }
            if count < round.count { return }
        }
    }

    private func handle(_ event: Readiness) {
        if event.tag & Self.listenerBit != 0 {
            let descriptor = Int32(truncatingIfNeeded: event.tag & 0xFFFF_FFFF)
            let listener = Listener(rawValue: Int((event.tag & ~Self.listenerBit) >> 32)) ?? .nova
            return accept(descriptor, listener)
        }
        guard let slot = connections.find(Handle(bits: event.tag)) else { return }
        let connection = slot.pointee
        if event.isBroken, connection.stage != .sending, !event.isReadable { return close(connection) }
        if event.isHungUp { connection.hasPeerEnded = true }
        switch connection.stage {
        case .head, .content: if event.isReadable || event.isBroken { receive(connection) }
        case .sending: event.isBroken && !event.isWritable ? close(connection) : send(connection)
        case .delayed: event.isBroken ? close(connection) : updateInterest(connection)
        case .closing, .silent: close(connection)
        }
    }

    private func accept(_ descriptor: Int32, _ listener: Listener) {
        var peer = SocketAddress.none
        for _ in 0..<64 {
            let accepted = Socket.accept(descriptor, from: &peer)
            guard accepted >= 0 else { return }
            serial += 1
            log.acceptedCount += 1
            _ = Socket.setNoDelay(accepted)
            let connection = Connection(descriptor: accepted, listener: listener, serial: serial)
            guard let handle = connections.insert(connection) else {
                Socket.close(accepted)
                continue
            }
            connection.handle = handle
            log.openCount += 1
            guard poller.add(accepted, .read, tag: handle.bits) == 0 else {
                close(connection)
                continue
            }
            setDeadline(connection, seconds: settings.idleSeconds)
        }
    }

    // MARK: - Deadlines

    func setDeadline(_ connection: Connection, seconds: Double) {
        let deadline = MonotonicClock.now() + UInt64(max(0, seconds) * 1_000_000_000)
        connection.dueAt = deadline
        timers.set(connection.handle.index, deadline: deadline)
        loop.startTicking()
    }

    private func expire() {
        let now = MonotonicClock.now()
        while let index = timers.popExpired(now: now) {
            guard let slot = connections.find(index: index), let dueAt = slot.pointee.dueAt else { continue }
            let connection = slot.pointee
            // The wheel may fire early when a later deadline has replaced the one it knew.
            if dueAt > now {
                timers.set(index, deadline: dueAt)
                continue
            }
            connection.dueAt = nil
            switch connection.stage {
            case .delayed: beginSending(connection)
            case .sending where connection.delivery?.pace != nil:
                connection.allowedCount += connection.delivery?.pace?.bytes ?? 0
                send(connection)
            default: close(connection)
            }
        }
        if timers.isEmpty { loop.stopTicking() }
    }

    // MARK: - Ends

    /// Watches for what the stage needs and nothing else.
    func updateInterest(_ connection: Connection) {
        let wanted: Interest
        switch connection.stage {
        case .head, .content: wanted = .read
        case .sending:
            wanted =
                connection.sentCount < min(connection.output.count, connection.allowedCount) ? .write : []
        case .delayed: wanted = connection.hasPeerEnded ? [] : .hangUp
        case .closing, .silent: wanted = .hangUp
        }
        guard wanted != connection.interest else { return }
        connection.interest = wanted
        _ = poller.change(connection.descriptor, wanted, tag: connection.handle.bits)
    }

    func close(_ connection: Connection, withReset: Bool = false) {
        guard connections.find(connection.handle) != nil else { return }
        timers.clear(connection.handle.index)
        connections.remove(connection.handle)
        connection.handle = .none
        log.openCount -= 1
        if withReset { Socket.reset(connection.descriptor) } else { Socket.close(connection.descriptor) }
    }
}
