import CLinux

/// What a descriptor is watched for.
///
/// - Shape: bits as epoll_ctl(2) has them, asserted against the system's header in CLinux.c; level-triggered,
///   so whatever is left unread is reported again.
public struct Interest: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bytes, a connection to accept, or the end of what the peer sends (then also `Readiness.isHungUp`).
    public static var read: Interest { Interest(rawValue: 0x2001) }

    /// Room in the send buffer, or a connect that ended; ask for it only while a write is short.
    public static var write: Interest { Interest(rawValue: 0x0004) }

    /// Only the end of what the peer sends, for a connection whose bytes are not wanted now.
    ///
    /// - Limits: stays reported while the peer's end stays read or not; take it back once it was seen.
    public static var hangUp: Interest { Interest(rawValue: 0x2000) }
}

/// One ready descriptor, known by the tag it was added with.
public struct Readiness: Sendable {
    public var tag: UInt64
    public var events: UInt32

    public init(tag: UInt64 = 0, events: UInt32 = 0) {
        self.tag = tag
        self.events = events
    }

    /// A read will not block: there are bytes, the end, or an error to be told.
    public var isReadable: Bool { events & 0x001 != 0 }

    /// A write will not block, or a connect ended (ask `Socket.connectError`).
    public var isWritable: Bool { events & 0x004 != 0 }

    /// The peer sends nothing more; what it sent before may still be unread.
    public var isHungUp: Bool { events & 0x2000 != 0 }

    /// The connection is over in both directions (reset, or both sides ended).
    ///
    /// Told even when the interest is empty, and told again until the descriptor is closed or removed.
    public var isBroken: Bool { events & 0x018 != 0 }
}

/// The epoll set of one loop.
///
/// - Shape: level-triggered. A tag is usually `Handle.bits`, so that an event for a slot that was released
///   since finds nothing: a descriptor closed earlier in a round may still appear later in that round.
/// - Ownership: closes the set at its end. A `LoopQueue` that watches the set must have ended its watch
///   before.
/// - Errors: `EMFILE`, `ENFILE`, `ENOMEM` when it is made.
public struct Poller: ~Copyable {
    /// The set itself, for `LoopQueue.watch`; it is readable while any descriptor in it is ready.
    public let descriptor: Int32

    /// The most events one `collect` gives.
    public static var roundCapacity: Int { 256 }

    private let round: UnsafeMutablePointer<CLinux_event>

    public init() throws(SystemError) {
        descriptor = try SystemError.check("epoll_create1", CLinux_epollCreate())
        round = .allocate(capacity: Self.roundCapacity)
    }

    deinit {
        _ = CLinux_close(descriptor)
        round.deallocate()
    }

    /// Watches `fd`; answers 0, or −errno (`ENOSPC` and `ENOMEM` are possible, `EEXIST` is a bug).
    public func add(_ fd: Int32, _ interest: Interest, tag: UInt64) -> Int32 {
        CLinux_epollAdd(descriptor, fd, interest.rawValue, tag)
    }

    /// Watches `fd`, which is in the set, for `interest` from now on; answers 0 or −errno.
    public func change(_ fd: Int32, _ interest: Interest, tag: UInt64) -> Int32 {
        CLinux_epollChange(descriptor, fd, interest.rawValue, tag)
    }

    /// Forgets `fd`, for a descriptor that lives on; closing does that too.
    ///
    /// But not while a child process holds a copy (between fork and exec): the set then tells of a descriptor
    /// that is closed here. Gatehouse starts no processes; tests that do remove before they close.
    public func remove(_ fd: Int32) -> Int32 { CLinux_epollRemove(descriptor, fd) }

    /// Takes what is ready, and answers how much of it was written to `places`; waits for it at most `milliseconds`.
    ///
    /// - Limits: `roundCapacity` a call. A full answer means that more may be ready: collect again, a bounded
    ///   number of rounds, then return from the handler; the source fires again by itself.
    public func collect(
        into places: UnsafeMutableBufferPointer<Readiness>, waiting milliseconds: Int32 = 0
    ) -> Int {
        let capacity = min(places.count, Self.roundCapacity)
        guard capacity > 0 else { return 0 }
        let count = Int(CLinux_epollCollect(descriptor, round, Int32(capacity), milliseconds))
        // Only a planned failure gets here: the kernel has nothing to refuse.
        guard count > 0 else { return 0 }
        for index in 0..<count {
            places[index] = Readiness(tag: round[index].tag, events: round[index].events)
        }
        return count
    }
}
