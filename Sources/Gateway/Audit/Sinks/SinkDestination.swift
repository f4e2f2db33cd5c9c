internal import Bytes
internal import Glibc
internal import Loop
internal import OpenStack

/// A receiver of the trail's events, as a sink's own thread uses it.
///
/// A step may wait as long as its deadline allows, and ends soon after the sink is to stop. After any failure the sink
/// calls `close`, and later gives the events that were not settled again.
protocol SinkDestination: AnyObject {
    /// Takes events in the order of the trail; they may be on their way when it returns, and nothing of them is kept.
    ///
    /// Connects first where it has to.
    func send(_ events: [SinkEvent], _ deadline: SinkDeadline) throws(SinkFailure)

    /// Returns once the receiver has all that was sent.
    func settle(_ deadline: SinkDeadline) throws(SinkFailure)

    /// Ends the connection, if there is one, without a wait.
    func close()
}

/// An event of the trail.
///
/// - Ownership: views are of the sink's buffer, for one call.
struct SinkEvent {
    /// 16 hexadecimal digits.
    var writer: ByteView
    /// Its place in the chain of its writer.
    var sequence: UInt64
    /// The CADF object, JSON without a line feed.
    var content: ByteView
}

extension SinkEvent {
    /// The inside of a member that is a text, escaped as it is; nil when there is none, or nothing in it.
    func text(_ name: StaticString) -> ByteView? {
        guard let place = JSONScanner.member(name, of: content) else { return nil }
        let value = content.view(place)
        guard value.count > 2, value[0] == 0x22 else { return nil }
        return value.view(1, value.count - 2)
    }
}

/// What receivers are told of where events come from.
enum SinkMachine {
    /// The machine's name as the kernel has it; nil when it has none.
    static var name: String? {
        var name = [CChar](repeating: 0, count: 257)
        // One byte less, so that it ends in any case.
        guard gethostname(&name, 256) == 0, name[0] != 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Why a receiver does not take events; for the log.
struct SinkFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(_ what: String, code: Int32) { description = "\(what): \(SystemError.describe(code))" }

    static let late = SinkFailure("no answer in time")
}

/// When a step of a sink has taken too long.
struct SinkDeadline {
    /// Of `MonotonicClock`.
    let at: UInt64
    /// Readable once the sink is to stop at once; to be watched beside the socket.
    let stopDescriptor: Int32

    init(_ duration: Duration, stopDescriptor: Int32) {
        at = MonotonicClock.now() + duration.nanoseconds
        self.stopDescriptor = stopDescriptor
    }

    /// Waits until `descriptor` is ready for `events` of poll(2).
    ///
    /// - Returns: what it is ready for, with `POLLERR` and `POLLHUP`.
    /// - Errors: the time is over, or the sink is to stop.
    func wait(_ descriptor: Int32, _ events: Int16) throws(SinkFailure) -> Int16 {
        while true {
            let now = MonotonicClock.now()
            guard now < at else { throw .late }
            var places = [
                pollfd(fd: descriptor, events: events, revents: 0),
                pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&places, 2, Int32(min((at - now) / 1_000_000 + 1, 1_000_000)))
            if count < 0, errno != EINTR { throw SinkFailure("poll", code: errno) }
            if count > 0, places[1].revents != 0 { throw SinkFailure("Gatehouse stops") }
            if count > 0, places[0].revents != 0 { return places[0].revents }
        }
    }
}
