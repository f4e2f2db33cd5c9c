internal import Bytes
internal import Dispatch
internal import Foundation
internal import Logging
internal import Loop
internal import OpenStack

/// A running gateway: its workers, its listeners, its signals.
public final class Service: @unchecked Sendable {
    // Unchecked: after `start`, everything mutable is touched on `control` alone.
    private let file: String
    private let log = Logger(label: "gatehouse.service")
    private let control = DispatchQueue(label: "gatehouse.control")
    private let over = DispatchSemaphore(value: 0)
    private var settings: Settings
    private(set) var shared: Shared!
    private var signals: [SignalSource] = []
    private var accessLog: AppendFile?
    var auditTrail: AuditTrail?
    /// The listeners as the settings name them, with the addresses they got.
    private var bound: [SocketAddress: SocketAddress] = [:]
    private var isDraining = false
    private var keystone: Keystone?
    private var limitStore: LimitStore?
    private var tickets = SessionTickets()
    /// Names the limits' buckets for as long as the process lives, so that they outlast a reload.
    private let hash = KeyedHash.random()

    private init(settings: Settings, file: String) {
        self.settings = settings
        self.file = file
    }

    /// Serves until a signal ends it; returns when everything in flight is finished or cut off.
    ///
    /// - Errors: `ServiceError` when an address cannot be bound, a name not resolved, a definition or log not opened.
    public static func run(settings: Settings, file: String) throws {
        let service = Service(settings: settings, file: file)
        try service.start()
        service.over.wait()
        service.closeLogs()
    }

    private func start() throws {
        SignalSource.ignore(SIGPIPE)
        // A limit of file sizes is an error of a write then, as a full disk is.
        SignalSource.ignore(SIGXFSZ)
        let descriptors = DescriptorLimit.raise()
        let definitions = try Self.readDefinitions(settings)
        noteUnused(settings, definitions)
        keystone = try Self.keystone(settings, replacing: nil)
        limitStore = LimitStore.make(settings.limits, replacing: nil)
        tickets = tickets.renewed(for: settings)
        if let path = settings.accessLog?.path {
            accessLog = try Self.named("access_log") { try AppendFile(path: path) }
        }
        let cache = settings.cache.map {
            ResponseCache(maxByteCount: $0.maxByteCount, maxObjectByteCount: $0.maxObjectByteCount)
        }
        auditTrail = try Self.auditTrail(settings)
        let buckets = Buckets(capacity: settings.limits.maxBucketCount)
        let auditSinks = auditTrail.map { AuditSinks($0) }
        let firstSinks = try auditSinks?.prepare(settings.audit?.sinks ?? [])
        shared = Shared(cache: cache, buckets: buckets, auditSinks: auditSinks) { [over] in
            _ = over.signal()
        }
        // Two descriptors an exchange, and some for the rest; asking for more slots than that only hides the shortage.
        let perWorker = max(16, min(settings.http.maxConnectionCount, Int(descriptors)) / settings.workers)
        var workers: [Worker] = []
        for index in 0..<settings.workers {
            let configuration = try Configuration(
                settings, definitions: definitions, hash: hash, keystone: keystone,
                limitStore: limitStore, ticketKeys: tickets.keys)
            let worker = try Worker(
                index: index, shared: shared, configuration: configuration, maxConnectionCount: perWorker)
            worker.accessLog = accessLog?.makeLineBuffer(queue: worker.loop.queue)
            workers.append(worker)
        }
        if let auditTrail { try Self.named("audit") { try Worker.beginAudit(auditTrail, workers) } }
        if let auditSinks, let firstSinks { adopt(firstSinks, of: auditSinks) }
        shared.adopt(workers)
        warnOfTrust(settings, workers[0].configuration.tlsWarnings)
        // Started before anything is mailed to them, since their sources are made on this thread.
        for worker in workers { worker.start() }
        for listener in settings.listeners {
            bound[listener.address] = try open(listener.address, isAdmin: false)
        }
        let admin = try open(settings.admin.address, isAdmin: true)
        installSignals()
        rotateTickets()
        log.notice(
            "serving",
            metadata: [
                "listeners": .string(bound.values.map(\.description).sorted().joined(separator: " ")),
                "admin": "\(admin)", "workers": "\(settings.workers)", "version": .string(Version.text),
            ])
    }

    /// Listens on `address` with every worker (the admin one with the first alone).
    private func open(_ address: SocketAddress, isAdmin: Bool) throws -> SocketAddress {
        var target = address
        let workers = isAdmin ? Array(shared.workers.prefix(1)) : shared.workers
        var listeners: [Listener] = []
        do {
            for _ in workers {
                let (descriptor, actual) = try Self.named("cannot listen on \(address)") {
                    try Socket.listen(target, backlog: 4_096, reusePort: true)
                }
                // Port 0 is chosen by the first one and shared by the rest.
                target = actual
                listeners.append(
                    Listener(descriptor: descriptor, address: actual, named: address, isAdmin: isAdmin))
            }
        } catch {
            for listener in listeners { Socket.close(listener.descriptor) }
            throw error
        }
        for (worker, listener) in zip(workers, listeners) { worker.mail { $0.adopt(listener) } }
        return target
    }

    /// Looks every few seconds whether session tickets need another key: often enough for the shortest lifetime, 1 min.
    private func rotateTickets() {
        control.asyncAfter(deadline: .now() + .seconds(10)) { [self] in
            tickets.rotate()
            rotateTickets()
        }
    }

    // MARK: - Signals

    private func installSignals() {
        for number in [SIGTERM, SIGINT] {
            signals.append(SignalSource(number, queue: control) { [unowned self] in drain() })
        }
        signals.append(SignalSource(SIGHUP, queue: control) { [unowned self] in reload() })
    }

    private func drain() {
        if isDraining {
            log.notice("ending now")
            for worker in shared.workers { worker.mail { $0.cutOff() } }
            over.signal()
            return
        }
        isDraining = true
        log.notice("draining", metadata: ["drain_timeout": "\(settings.drainTimeout)"])
        for worker in shared.workers { worker.mail { $0.drain() } }
        let time = DispatchTime.now() + .nanoseconds(Int(settings.drainTimeout.nanoseconds))
        control.asyncAfter(deadline: time) { [self] in
            log.warning("drain time is up, cutting off what is left")
            for worker in shared.workers { worker.mail { $0.cutOff() } }
            control.asyncAfter(deadline: .now() + .seconds(1)) { [self] in _ = over.signal() }
        }
    }

    /// Re-reads the settings; whatever is wrong with them leaves the running ones in force.
    private func reload() {
        guard !isDraining else { return }
        accessLog?.reopen { [log] error in
            if let error { log.error("access log not opened again", metadata: ["reason": "\(error)"]) }
        }
        reopenAudit()
        let named: Settings
        let fresh: Settings
        let configurations: [Configuration]
        let keystone: Keystone?
        let limitStore: LimitStore?
        let tickets: SessionTickets
        let sinks: AuditSinks.Change?
        do {
            named = try SettingsReader().read(file: file)
            fresh = named.keepingTrail(of: settings)
            let definitions = try Self.readDefinitions(fresh)
            noteUnused(fresh, definitions)
            let found = try Self.keystone(fresh, replacing: self.keystone)
            keystone = found
            let store = LimitStore.make(fresh.limits, replacing: self.limitStore)
            limitStore = store
            let renewed = self.tickets.renewed(for: fresh)
            tickets = renewed
            configurations = try shared.workers.map { _ in
                try Configuration(
                    fresh, definitions: definitions, hash: hash, keystone: found, limitStore: store,
                    ticketKeys: renewed.keys)
            }
            sinks = try shared.auditSinks?.prepare(fresh.audit?.sinks ?? [])
        } catch {
            let reason = (error as? RuleMistakes)?.text(file: file) ?? "\(error)"
            return log.error(
                "settings not changed: the new ones are wrong", metadata: ["reason": "\(reason)"])
        }
        let added = fresh.listeners.filter { bound[$0.address] == nil }
        for listener in added {
            do { bound[listener.address] = try open(listener.address, isAdmin: false) } catch {
                log.error(
                    "listener not added", metadata: ["address": "\(listener.address)", "reason": "\(error)"])
            }
        }
        for (named, address) in bound where !fresh.listeners.contains(where: { $0.address == named }) {
            bound[named] = nil
            for worker in shared.workers { worker.mail { $0.dropListener(address, isAdmin: false) } }
        }
        for key in Self.fixedKeys(settings, named) {
            log.warning("a change that needs a restart was not taken", metadata: ["key": "\(key)"])
        }
        let warnings = configurations[0].tlsWarnings
        for (worker, configuration) in zip(shared.workers, configurations) {
            // Made here, used there alone from now on.
            nonisolated(unsafe) let configuration = configuration
            worker.mail { $0.adopt(configuration) }
        }
        if let auditSinks = shared.auditSinks, let sinks { adopt(sinks, of: auditSinks) }
        settings = fresh
        self.keystone = keystone
        self.limitStore = limitStore
        self.tickets = tickets
        warnOfTrust(fresh, warnings)
        log.notice("settings read again", metadata: ["file": "\(file)"])
    }

    /// Keys that are looked at when the service starts and never again.
    private static func fixedKeys(_ old: Settings, _ new: Settings) -> [String] {
        var keys: [String] = []
        if old.workers != new.workers { keys.append("workers") }
        if old.log != new.log { keys.append("log") }
        if old.admin != new.admin { keys.append("admin") }
        if old.accessLog != new.accessLog { keys.append("access_log") }
        if !Self.isSameTrail(old.audit, new.audit) { keys.append("audit") }
        if old.limits.maxBucketCount != new.limits.maxBucketCount { keys.append("limits.max_buckets") }
        if old.http.maxConnectionCount != new.http.maxConnectionCount { keys.append("http.max_connections") }
        if (old.cache == nil) && (new.cache != nil) { keys.append("cache") }
        if old.cache?.maxByteCount != new.cache?.maxByteCount { keys.append("cache.max_size") }
        if old.cache?.maxObjectByteCount != new.cache?.maxObjectByteCount {
            keys.append("cache.max_object_size")
        }
        return keys
    }

    private func closeLogs() {
        endAudit()
        shared.auditSinks?.end()
        guard let accessLog else { return }
        let closed = DispatchSemaphore(value: 0)
        accessLog.close { closed.signal() }
        _ = closed.wait(timeout: .now() + .seconds(5))
    }

    // MARK: - What the settings name

    private static func readDefinitions(_ settings: Settings) throws -> [Configuration.Source] {
        try settings.apis.map { api in
            let definition = try DefinitionFiles.read(api.definition, overlay: api.overlay)
            var addresses: [Settings.Endpoint: [SocketAddress]] = [:]
            for endpoint in api.upstream.endpoints {
                addresses[endpoint] = try named(endpoint.url) {
                    try Resolver.resolve(host: endpoint.address.host, port: endpoint.address.port)
                }
            }
            return Configuration.Source(definition: definition, addresses: addresses)
        }
    }

    /// What the workers share of the Keystone that the settings name; the old one where they still name it.
    private static func keystone(_ settings: Settings, replacing old: Keystone?) throws -> Keystone? {
        guard let named = settings.identity.keystone else { return nil }
        let addresses = try self.named(named.endpoint.url) {
            try Resolver.resolve(host: named.endpoint.address.host, port: named.endpoint.address.port)
        }
        let adminRoles = settings.identity.adminRoles
        if let old, old.serves(named, adminRoles: adminRoles, addresses: addresses) {
            return old
        }
        return Keystone(named, adminRoles: adminRoles, addresses: addresses)
    }

    /// Says in a line that a definition has parts without effect; `gatehouse check` lists them.
    private func noteUnused(_ settings: Settings, _ sources: [Configuration.Source]) {
        for (api, source) in zip(settings.apis, sources) where source.definition.unused.count > 0 {
            let unused = source.definition.unused
            log.notice(
                "parts of a definition have no effect",
                metadata: [
                    "definition": "\(api.definition)", "count": "\(unused.count)",
                    "kinds": "\(unused.kinds.count)", "first": "\(unused.lines.first ?? "")",
                ])
        }
    }

    /// Says where connections are believed unseen, which keys others on this machine can read, and what is wrong with
    /// certificates.
    private func warnOfTrust(_ settings: Settings, _ warnings: [String]) {
        for warning in warnings { log.warning("\(warning)") }
        var clients = settings.apis.map { ("upstream of \($0.definition)", $0.upstream.tls) }
        if let keystone = settings.identity.keystone { clients.append(("identity.keystone", keystone.tls)) }
        if case .redis(let redis) = settings.limits.store { clients.append(("limits.redis", redis.tls)) }
        for sink in settings.audit?.sinks ?? [] { clients.append(("audit.sinks: \(sink.name)", sink.tls)) }
        for (name, tls) in clients where tls?.isInsecure == true {
            log.warning(
                "certificates are not verified: whoever answers is believed",
                metadata: ["of": "\(name)", "key": "tls.insecure"])
        }
        let certificates =
            settings.listeners.flatMap { $0.tls?.certificates ?? [] } + clients.compactMap { $1?.certificate }
        for path in Set(certificates.map(\.privateKey)).sorted() where FileContent.isReadableByAll(path) {
            log.warning("everybody on this machine can read a private key", metadata: ["file": "\(path)"])
        }
        if let path = settings.audit?.key, FileContent.isReadableByAll(path) {
            log.warning(
                "everybody on this machine can read the audit trail's key", metadata: ["file": "\(path)"])
        }
    }

    static func named<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch { throw ServiceError("\(name): \(error)") }
    }
}

/// Why the service cannot start, in one line.
public struct ServiceError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The version of this build.
public enum Version {
    public static let text = "0.1.0"
}
