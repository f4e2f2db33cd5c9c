internal import Bytes
internal import Glibc
internal import Logging
internal import Loop
internal import Synchronization

/// A receiver of the trail's events besides its file, with the thread that serves it.
///
/// - Shape: the thread reads the trail's files behind their writers, each event at least once and in the order of the trail,
///   and notes in a file beside the trail how far the receiver has confirmed. No loop knows of it.
final class AuditSink: @unchecked Sendable {
    // Unchecked: after `start`, the destination is touched on the sink's thread alone.
    let settings: Settings.AuditSink
    let trail: AuditTrail
    let destination: any SinkDestination
    let log = Logger(label: "gatehouse.audit")
    private let stopBell: Bell
    private let wakeBell: Bell
    private let endBell: Bell
    /// What has to end before this one begins: both have one cursor.
    private var before: AuditSink?

    /// How a sink ends.
    enum Ending: UInt8 {
        case none
        /// What was sent is settled, once; nothing else is read.
        case settles
        /// All that is written is sent and settled.
        case drains
    }
    private let endingByte = Atomic<UInt8>(0)
    private let isStopped = Atomic<Bool>(false)
    private let hasLetGo = Atomic<Bool>(false)

    let settledCount = Atomic<UInt64>(0)
    let repeatedCount = Atomic<UInt64>(0)
    let failureCount = Atomic<UInt64>(0)
    let isFailing = Atomic<Bool>(false)
    /// Of the trail's written bytes, those that are settled; see `SinkReader.mark`.
    let settledMark = Atomic<Int64>(0)
    /// When the oldest event that is not settled happened, in microseconds since 1970; 0 for none.
    let oldestAt = Atomic<Int64>(0)

    /// - Errors: the process has no descriptors left.
    init(
        _ settings: Settings.AuditSink, _ trail: AuditTrail, _ destination: any SinkDestination
    ) throws(SystemError) {
        self.settings = settings
        self.trail = trail
        self.destination = destination
        stopBell = try Bell()
        wakeBell = try Bell()
        endBell = try Bell()
        // Until its thread knows where it is, nothing counts as confirmed.
        settledMark.store(SinkReader.mark(trail, nil, 0), ordering: .relaxed)
    }

    /// Says from which file on the trail has to stay as it is; nil for all of it.
    func hold(_ file: TrailEnds.Identity?) {
        trail.heldFiles.withLock {
            guard !hasLetGo.load(ordering: .relaxed) else { return }
            _ = $0.updateValue(file, forKey: settings.name)
        }
    }

    /// Lets all files go, for good.
    func letGo() {
        trail.heldFiles.withLock {
            hasLetGo.store(true, ordering: .relaxed)
            _ = $0.removeValue(forKey: settings.name)
        }
        trail.removeOldest()
    }

    // MARK: - Life

    /// Begins to serve the receiver, once `before` has ended.
    ///
    /// - Errors: the process can have no more threads.
    func start(after before: AuditSink? = nil) throws(SystemError) {
        self.before = before
        // Until its thread knows where it is, all files stay.
        hold(nil)
        // Signals are for the threads that ask for them.
        var all = sigset_t()
        var old = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &old)
        defer { pthread_sigmask(SIG_SETMASK, &old, nil) }
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { own in
                Unmanaged<AuditSink>.fromOpaque(own!).takeRetainedValue().run()
                return nil
            }, own.toOpaque())
        guard code == 0 else {
            own.release()
            endBell.ring()
            throw SystemError(call: "pthread_create", code: code)
        }
        pthread_detach(thread)
    }

    private func run() {
        if let before { _ = waitForBell(before.endBell, until: .max, stopBell) }
        before = nil
        if !mustStop { AuditSinkDelivery(self).run() }
        destination.close()
        endBell.ring()
    }

    /// Has the sink end by itself, as soon as it can.
    func end(_ ending: Ending) {
        endingByte.store(ending.rawValue, ordering: .sequentiallyConsistent)
        wakeBell.ring()
    }

    /// Has the sink end now, whatever it waits for.
    func stop() {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        stopBell.ring()
    }

    /// Tells whether the sink ends before a moment of `MonotonicClock`, and waits for it so long.
    func waitForEnd(until time: UInt64) -> Bool { waitForBell(endBell, until: time, nil) }

    // MARK: - For its thread

    var ending: Ending { Ending(rawValue: endingByte.load(ordering: .sequentiallyConsistent)) ?? .none }

    /// Whether it is to end at once.
    var mustStop: Bool { isStopped.load(ordering: .sequentiallyConsistent) }

    var stopDescriptor: Int32 { stopBell.descriptor }

    /// Waits for so long, or until the sink is to end.
    func pause(_ nanoseconds: UInt64) {
        let time = MonotonicClock.now() + nanoseconds
        // Told to end by itself, it goes on at its own pace.
        _ = waitForBell(ending == .none ? wakeBell : stopBell, until: time, stopBell)
    }

    /// Tells whether the first bell rang; the second one ends the waiting too.
    private func waitForBell(_ bell: Bell, until time: UInt64, _ other: Bell?) -> Bool {
        while true {
            var places = [
                pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
                // poll(2) passes over what is negative.
                pollfd(fd: other?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            let now = MonotonicClock.now()
            let rest = now < time ? min((time - now) / 1_000_000 + 1, 60_000) : 0
            let count = poll(&places, 2, Int32(rest))
            if count < 0, errno == EINTR { continue }
            if count != 0 || now >= time { return places[0].revents != 0 }
        }
    }

    // MARK: - What it tells of itself

    var state: State {
        let written = Int64(trail.byteCount.load(ordering: .relaxed))
        let oldest = oldestAt.load(ordering: .relaxed)
        let wall = WallClock.now()
        let now = wall.seconds * 1_000_000 + Int64(wall.nanoseconds) / 1_000
        return State(
            name: settings.name, settledCount: settledCount.load(ordering: .relaxed),
            repeatedCount: repeatedCount.load(ordering: .relaxed),
            failureCount: failureCount.load(ordering: .relaxed),
            isFailing: isFailing.load(ordering: .relaxed),
            lagByteCount: max(0, written - settledMark.load(ordering: .relaxed)),
            lagMicroseconds: oldest == 0 ? 0 : max(0, now - oldest))
    }

    /// For metrics.
    struct State: Sendable {
        var name: String
        var settledCount: UInt64 = 0
        var repeatedCount: UInt64 = 0
        var failureCount: UInt64 = 0
        var isFailing = false
        var lagByteCount: Int64 = 0
        var lagMicroseconds: Int64 = 0
    }
}
