internal import Bytes
internal import Dispatch
internal import Glibc
internal import Loop

/// What a sink's connection asks of its socket besides bytes.
enum SinkSocket {
    /// Lets the kernel find out about a peer that is gone without a word, while nothing is sent and while something is.
    static func watch(_ descriptor: Int32) {
        set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
        set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 30_000)
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        // One that the kernel does not know leaves the deadlines to find out.
        _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether both sides have ended, each has said that it got all of the other's, and there was no reset.
    static func isOver(_ descriptor: Int32) -> Bool {
        // The state is the first byte of `struct tcp_info`. One whose end was answered is TIME_WAIT on the wire and
        // closed here; after an end that overtook our bytes it is still LAST_ACK.
        var state: UInt64 = 0
        var byteCount = socklen_t(MemoryLayout<UInt64>.size)
        guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &state, &byteCount) == 0 else {
            return false
        }
        return withUnsafeBytes(of: state) { $0[0] } == UInt8(TCP_CLOSE)
            && Socket.connectError(descriptor) == 0
    }
}

/// Finds the addresses of a sink's receiver without being held up by a name service that is away.
///
/// - Limits: one question at a time: one that is late is waited for again by the next call.
final class SinkLookup {
    private typealias Answer = Result<[SocketAddress], ResolveError>

    private final class Question: Sendable {
        let host: String
        let answer = Guarded<Answer?>(nil)
        /// Ends, and so is readable, from the answer on.
        let signal: Int32
        private let signalling: Int32

        init?(_ host: String) {
            self.host = host
            var ends: [Int32] = [-1, -1]
            let made = socketpair(
                AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
            (signal, signalling) = (ends[0], ends[1])
            if made != 0 { return nil }
        }

        deinit { if signal >= 0 { Glibc.close(signal) } }

        /// Asks; called once.
        func ask(_ port: UInt16) {
            let found: Answer
            do throws(ResolveError) {
                found = .success(try Resolver.resolve(host: host, port: port))
            } catch { found = .failure(error) }
            answer.withLock { $0 = found }
            Glibc.close(signalling)
        }
    }

    private var question: Question?

    /// Every address of `address`, at most 16.
    ///
    /// - Errors: the name has none, or the name service does not answer in time.
    func resolve(_ address: NetworkAddress, _ deadline: SinkDeadline) throws(SinkFailure) -> [SocketAddress] {
        if let ip = IPAddress(parsing: address.host) { return [SocketAddress(ip: ip, port: address.port)] }
        let asked: Question
        if let question {
            asked = question
        } else {
            guard let made = Question(address.host) else { throw SinkFailure("socketpair", code: errno) }
            asked = made
            question = made
            // getaddrinfo cannot be interrupted: it waits on a thread of Dispatch's.
            DispatchQueue.global().async { made.ask(address.port) }
        }
        _ = try deadline.wait(asked.signal, Int16(POLLIN))
        question = nil
        switch asked.answer.withLock({ $0 }) {
        case .success(let addresses): return Array(addresses.prefix(16))
        case .failure(let error): throw SinkFailure(error.description)
        case nil: throw .late
        }
    }
}

extension SinkDeadline {
    /// The same with one `count`-th of the time that is left.
    func part(of count: Int) -> SinkDeadline {
        let now = MonotonicClock.now()
        let left = at > now ? (at - now) / UInt64(max(count, 1)) : 0
        return SinkDeadline(.nanoseconds(left), stopDescriptor: stopDescriptor)
    }

    /// Whether a wait would end at once: the time is over, or the sink is to stop.
    var isOver: Bool {
        var place = pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0)
        return MonotonicClock.now() >= at || poll(&place, 1, 0) > 0
    }
}
