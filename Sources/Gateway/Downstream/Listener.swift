internal import Bytes
internal import Glibc
internal import Loop
internal import TLS

/// A listening socket of one worker; every worker has its own on the same address (SO_REUSEPORT).
struct Listener {
    let descriptor: Int32
    let address: SocketAddress
    /// The address in the settings, whose port may be 0: the one by which `Configuration.listenerTLS` knows it.
    let named: SocketAddress
    let isAdmin: Bool
    var isPaused = false
}

extension Worker {
    /// Accepts what waits, at most 64 a turn, and pauses when descriptors or slots run out.
    func acceptConnections(_ index: Int) {
        for _ in 0..<64 {
            let isAdmin = listeners[index].isAdmin
            guard isAdmin || clientConnectionCount < maxClientConnectionCount else {
                return pauseAccepting(clientsOnly: true)
            }
            var peer = SocketAddress.none
            let descriptor = Socket.accept(listeners[index].descriptor, from: &peer)
            if descriptor < 0 {
                switch -descriptor {
                case EAGAIN: return
                case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                    counters.acceptPauses += 1
                    return pauseAccepting(clientsOnly: false)
                default:
                    // The peer gave up between its SYN and our accept; the next one may be fine.
                    counters.acceptErrors += 1
                    continue
                }
            }
            _ = Socket.setNoDelay(descriptor)
            admit(descriptor, peer: peer, listener: index)
        }
    }

    private func admit(_ descriptor: Int32, peer: SocketAddress, listener index: Int) {
        let isAdmin = listeners[index].isAdmin
        let context = isAdmin ? nil : configuration.listenerTLS[listeners[index].named]
        guard
            let handle = downstreams.insert(
                DownstreamConnection(
                    descriptor: descriptor, peer: peer, isAdmin: isAdmin, isSecure: context != nil)),
            let connection = downstreams.find(handle)
        else { return Socket.close(descriptor) }
        connection.pointee.handle = handle
        if let context {
            guard let tls = TLSConnection(server: context) else {
                downstreams.remove(handle)
                return Socket.close(descriptor)
            }
            connection.pointee.tls = tls
            connection.pointee.state = .handshake
        }
        guard poller.add(descriptor, [.read], tag: Tag.downstream(handle)) == 0 else {
            downstreams.remove(handle)
            return Socket.close(descriptor)
        }
        counters.connectionsAccepted += 1
        if !isAdmin { clientConnectionCount += 1 }
        // A fresh connection has the head's time for its first byte too: silence is no reason to hold a slot for 75 s.
        setDeadline(
            connection, now + (context == nil ? configuration.headNanoseconds : Self.handshakeNanoseconds))
    }

    /// A whole handshake's time; a client that needs longer only holds the connection.
    private static var handshakeNanoseconds: UInt64 { 10_000_000_000 }

    /// Stops taking connections until one ends or 200 ms have passed.
    private func pauseAccepting(clientsOnly: Bool) {
        acceptPausedUntil = now + 200_000_000
        for index in listeners.indices
        where !listeners[index].isPaused && !(clientsOnly && listeners[index].isAdmin) {
            listeners[index].isPaused = true
            _ = poller.remove(listeners[index].descriptor)
        }
    }

    /// Takes connections again when there is room.
    func resumeAcceptingIfPossible() {
        guard acceptPausedUntil != 0, !isDraining, acceptPausedUntil <= now || hasClosed,
            clientConnectionCount < maxClientConnectionCount
        else { return }
        hasClosed = false
        acceptPausedUntil = 0
        for index in listeners.indices where listeners[index].isPaused && listeners[index].descriptor >= 0 {
            listeners[index].isPaused = false
            _ = poller.add(listeners[index].descriptor, [.read], tag: Tag.listener(index))
        }
    }
}

/// What an epoll event belongs to: three bits above the slab's 29 index bits.
enum Tag {
    enum Kind: UInt32 { case downstream = 0, upstream, listener, waker, store }

    private static let shift: UInt32 = 29

    private static func make(_ kind: Kind, _ handle: Handle) -> UInt64 {
        Handle(index: handle.index | kind.rawValue << shift, generation: handle.generation).bits
    }

    static func downstream(_ handle: Handle) -> UInt64 { make(.downstream, handle) }
    static func upstream(_ handle: Handle) -> UInt64 { make(.upstream, handle) }
    /// `handle` holds which of the worker's stores it is, and which of its descriptors.
    static func store(_ handle: Handle) -> UInt64 { make(.store, handle) }
    static var waker: UInt64 { make(.waker, Handle(index: 0, generation: 1)) }
    static func listener(_ index: Int) -> UInt64 {
        make(.listener, Handle(index: UInt32(index), generation: 1))
    }

    static func read(_ tag: UInt64) -> (kind: Kind, handle: Handle) {
        let raw = Handle(bits: tag)
        // Only `make` writes tags, so the three bits always hold a kind.
        return (
            Kind(rawValue: raw.index >> shift)!,
            Handle(index: raw.index & (1 << shift - 1), generation: raw.generation)
        )
    }
}
