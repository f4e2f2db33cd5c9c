import CNghttp2
import Foundation
import Glibc

/// Where an upstream or a Keystone of a scenario is reached.
class Listener: @unchecked Sendable {
    // Unchecked: used by the thread of its role; what a subclass shares is behind its lock.
    let port: UInt16
    let isTLS: Bool
    fileprivate let descriptor: Int32
    fileprivate let tls: TLSSettings?

    init(tls: TLSSettings?) throws {
        (descriptor, port) = try PlainSocket.bind()
        self.tls = tls
        isTLS = tls != nil
    }

    deinit { Glibc.close(descriptor) }

    /// Bound but not listening, the kernel refuses for it.
    func listen(backlog: Int32 = 128) { Glibc.listen(descriptor, backlog) }

    /// Listens so that there is room for next to none.
    func fill() { Glibc.listen(descriptor, 0) }

    /// Wakes whoever waits for a connection that will not come.
    func stop() { Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// The next connection, or what stands for one; nil when none came in time.
    func accept(patience: TimeInterval = Wire.patience) throws -> Wire? {
        try PlainSocket.accept(descriptor, patience: patience, tls: tls)
    }

    /// How many connections there are; nil when only those accepted are known.
    var openCount: Int? { nil }

    func close() {}
}

/// A listener whose peers speak HTTP/2: it takes every connection at once and gives out one stream after the other.
final class StreamListener: Listener, @unchecked Sendable {
    typealias Arrival = (connection: HTTP2Connection, stream: HTTP2Stream)

    // Taken under a connection's lock, so never the other way round.
    private let lock = NSCondition()
    private var arrivals: [Arrival] = []
    private var connections: [HTTP2Connection] = []
    private var isStopped = false
    private var problem: String?

    override func listen(backlog: Int32 = 128) {
        super.listen(backlog: backlog)
        Thread.detachNewThread { [self] in run() }
    }

    private func run() {
        while !lock.withLock({ isStopped }) {
            do {
                guard let socket = try PlainSocket.accept(descriptor, patience: 0.1, tls: tls) else {
                    continue
                }
                let made = try HTTP2Connection(socket, isServer: true) { [weak self] in
                    self?.arrived(($0, $1))
                }
                lock.withLock { connections.append(made) }
            } catch {
                lock.withLock { if problem == nil { problem = "\(error)" } }
            }
        }
    }

    private func arrived(_ arrival: Arrival) {
        lock.lock()
        defer { lock.unlock() }
        arrivals.append(arrival)
        lock.broadcast()
    }

    /// The oldest request that nobody has taken yet.
    func next(patience: TimeInterval) -> Arrival? {
        let end = Date(timeIntervalSinceNow: patience)
        while let arrival = oldest(until: end) {
            // One that a GOAWAY or a close of this side left out is as if it had never come.
            let (connection, stream) = arrival
            let isLeftOut = connection.observe { stream.closeCode == NGHTTP2_REFUSED_STREAM.rawValue }
            if !isLeftOut, !connection.isClosedHere { return arrival }
        }
        return nil
    }

    private func oldest(until end: Date) -> Arrival? {
        lock.lock()
        defer { lock.unlock() }
        while arrivals.isEmpty {
            guard !isStopped, lock.wait(until: end) else { return nil }
        }
        return arrivals.removeFirst()
    }

    override func accept(patience: TimeInterval = Wire.patience) throws -> Wire? {
        next(patience: patience).map { HTTP2ServerLine($0, self) }
    }

    override var openCount: Int? { lock.withLock { connections }.count { !$0.hasEnded } }

    override func stop() {
        lock.withLock {
            isStopped = true
            lock.broadcast()
        }
    }

    override func close() {
        stop()
        for connection in lock.withLock({ connections }) { connection.close(politely: false) }
    }
}
