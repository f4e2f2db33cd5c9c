internal import Dispatch
internal import Glibc
internal import Loop

extension Service {
    /// The trail that the settings name.
    static func auditTrail(_ settings: Settings) throws -> AuditTrail? {
        guard let audit = settings.audit else { return nil }
        let key = try audit.key.map { path -> [UInt8] in
            switch FileContent.read(path, limit: Settings.Audit.keyByteCounts.upperBound + 1) {
            case .success(let bytes) where Settings.Audit.keyByteCounts.contains(bytes.count): return bytes
            case .success: throw ServiceError("audit: \(path) does not have the length of a key")
            case .failure(let failure): throw ServiceError("audit: \(path): \(failure.reason)")
            }
        }
        return try named("audit: \(audit.file.path)") {
            do {
                return try AuditTrail(audit, key: key, workerCount: settings.workers)
            } catch let error as SystemError where error.code == EWOULDBLOCK {
                throw ServiceError("another process writes this trail")
            }
        }
    }

    /// Policies, the window of folding and sinks are taken by a reload, nothing else of the trail is.
    static func isSameTrail(_ old: Settings.Audit?, _ new: Settings.Audit?) -> Bool {
        guard var old, let new else { return old == nil && new == nil }
        old.policies = new.policies
        old.fold = new.fold
        old.sinks = new.sinks
        return old == new
    }

    /// Has each loop end its part of the trail.
    func endAudit() {
        guard auditTrail != nil else { return }
        let ended = DispatchGroup()
        for worker in shared.workers {
            ended.enter()
            // A turn later, so that exchanges that this turn cuts off still have their events.
            worker.mail {
                $0.mail {
                    $0.endAudit()
                    ended.leave()
                }
            }
        }
        _ = ended.wait(timeout: .now() + .seconds(5))
    }
}

extension Settings {
    /// The same with the trail that runs: whether there is one, only a restart changes.
    func keepingTrail(of running: Settings) -> Settings {
        guard (audit == nil) != (running.audit == nil) else { return self }
        var kept = self
        kept.audit = running.audit
        return kept
    }
}
