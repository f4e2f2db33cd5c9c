internal import Bytes
internal import Logging
internal import Loop

/// The sinks that run, beside the trail's file; started with the service, and changed by a reload.
///
/// - Ownership: `prepare`, `adopt` and `end` are for one thread at a time; `states` is for any.
final class AuditSinks: Sendable {
    /// What all of them together have at the end to send what is left.
    static let endDuration: Duration = .seconds(3)

    private let trail: AuditTrail
    private let running = Guarded<[AuditSink]>([])
    private let log = Logger(label: "gatehouse.audit")

    init(_ trail: AuditTrail) { self.trail = trail }

    /// Sinks that are ready to begin, and those that have to end for them.
    struct Change {
        var kept: [AuditSink] = []
        var begun: [AuditSink] = []
        var ended: [AuditSink] = []
    }

    /// Makes what `fresh` has and does not run yet; nothing runs otherwise before `adopt`.
    ///
    /// A sink with certificates of its own begins anew, so that new files under the old names are taken.
    /// - Errors: `ServiceError` when certificates cannot be loaded, or descriptors are short.
    func prepare(_ fresh: [Settings.AuditSink]) throws -> Change {
        let running = running.withLock { $0 }
        var change = Change()
        for settings in fresh {
            if let same = running.first(where: { $0.settings == settings }), !settings.namesFiles {
                change.kept.append(same)
                continue
            }
            try Service.named("audit.sinks: \(settings.name)") {
                let destination = try AuditSink.destination(of: settings.destination)
                change.begun.append(try AuditSink(settings, trail, destination))
            }
        }
        change.ended = running.filter { old in !change.kept.contains { $0 === old } }
        return change
    }

    /// Has sinks begin and end.
    ///
    /// - Returns: those that end by themselves now; to be stopped when they take too long.
    func adopt(_ change: Change) -> [AuditSink] {
        var all = change.kept
        for sink in change.ended { sink.end(.settles) }
        for sink in change.begun {
            let before = change.ended.first { $0.settings.name == sink.settings.name }
            do throws(SystemError) {
                try sink.start(after: before)
                all.append(sink)
            } catch {
                sink.letGo()
                log.error(
                    "audit sink not started",
                    metadata: ["sink": "\(sink.settings.name)", "reason": "\(error)"])
            }
        }
        let names = Set(all.map(\.settings.name))
        // What nobody reads any more holds no files.
        for sink in change.ended where !names.contains(sink.settings.name) { sink.letGo() }
        running.withLock { $0 = all }
        return change.ended
    }

    /// Has all sinks send what is left, and end.
    func end() {
        let sinks = running.withLock { $0 }
        let time = MonotonicClock.now() + Self.endDuration.nanoseconds
        for sink in sinks { sink.end(.drains) }
        for sink in sinks where !sink.waitForEnd(until: time) {
            sink.stop()
            log.warning(
                "events are left for the audit sink at its next start",
                metadata: ["sink": "\(sink.settings.name)", "bytes": "\(sink.state.lagByteCount)"])
        }
        // A name service may keep a thread longer than that; nothing of it is lost with the process.
        let last = MonotonicClock.now() + 1_000_000_000
        for sink in sinks { _ = sink.waitForEnd(until: last) }
    }

    var states: [AuditSink.State] { running.withLock { $0 }.map(\.state) }
}

extension Settings.AuditSink {
    /// What its connections are opened with; nil for plain ones.
    var tls: Settings.ClientTLS? {
        switch destination {
        case .syslog(let syslog): syslog.tls
        case .rabbitMQ(let rabbit): rabbit.tls
        case .redis(let stream): stream.redis.tls
        }
    }

    fileprivate var namesFiles: Bool { tls?.ca != nil || tls?.certificate != nil }
}
