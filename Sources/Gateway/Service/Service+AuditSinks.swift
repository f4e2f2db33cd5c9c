internal import Dispatch

extension Service {
    /// Begins and ends the sinks that settings change; what takes its time to end is stopped later, beside `control`.
    func adopt(_ change: AuditSinks.Change, of sinks: AuditSinks) {
        let ended = sinks.adopt(change)
        guard !ended.isEmpty else { return }
        let time = DispatchTime.now() + .nanoseconds(Int(AuditSinks.endDuration.nanoseconds))
        SideQueue.run(at: time) { for sink in ended { sink.stop() } }
    }
}
