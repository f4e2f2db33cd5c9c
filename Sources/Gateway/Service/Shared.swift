internal import Bytes
internal import Dispatch
internal import Loop

/// What all workers of one service share: the stores, each other, and when the service is over.
final class Shared: @unchecked Sendable {
    // Unchecked: `workers` is written once, before any loop starts.
    private(set) var workers: [Worker] = []
    let cache: ResponseCache?
    let buckets: Buckets
    /// nil where there is no audit trail.
    let auditSinks: AuditSinks?
    let generations = Generations()
    private let done = Guarded<(indices: Set<Int>, isOver: Bool)>(([], false))
    private let ended: @Sendable () -> Void

    init(
        cache: ResponseCache?, buckets: Buckets, auditSinks: AuditSinks? = nil,
        ended: @escaping @Sendable () -> Void
    ) {
        self.cache = cache
        self.buckets = buckets
        self.auditSinks = auditSinks
        self.ended = ended
    }

    func adopt(_ workers: [Worker]) { self.workers = workers }

    /// A draining worker looks whether it was the last with connections.
    func workerMayBeDone(_ worker: Worker) {
        guard worker.clientConnectionCount == 0 else { return }
        let isOver = done.withLock { done in
            done.indices.insert(worker.index)
            guard done.indices.count == workers.count, !done.isOver else { return false }
            done.isOver = true
            return true
        }
        if isOver { ended() }
    }
}
