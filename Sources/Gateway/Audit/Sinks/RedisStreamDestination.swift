internal import Bytes
internal import TLS

/// Adds events to a stream of a Redis, many of them on their way at once.
///
/// An event is settled when its `XADD` was answered with an entry's id and, where Sentinels name the server, one of them
/// still does. What is not answered may have been added all the same, and is added again after a failure: the field `id`
/// tells.
///
/// - Shape: one connection to the node that has the key, one to a Sentinel. In a cluster redirections are followed with
///   everything that was not taken, in its order; its nodes are remembered, so that any of them leads there.
/// - Limits: what `RedisStreamPipeline` holds is on its way; `maxHopCount` redirections without an event taken between.
/// - Errors: of the initializer: as for `Settings.ClientTLS.makeContext`.
/// - Source: Redis' documentation of XADD; «Redis cluster specification»; «Guidelines for Redis clients with support for
///   Redis Sentinel».
final class RedisStreamDestination: SinkDestination {
    static let maxHopCount = 5
    /// Commands are collected to as much before they are sent.
    private static let writeByteCount = 65_536

    let settings: Settings.Redis
    let setup: RedisSetup
    let tls: TLSContext?
    private var pipeline: RedisStreamPipeline
    /// The one that takes events.
    var node: RedisStreamLink?
    var sentinel: RedisStreamLink?
    /// Connections that were made, by what they are to; most are closed.
    var links: [NetworkAddress: RedisStreamLink] = [:]
    /// What is asked, in turn: what the settings name, then what was learnt of a cluster.
    var places: [NetworkAddress]
    var placeIndex = 0
    /// The node does not have the key for good yet: `ASKING` goes before each command.
    private var isAsking = false
    private var hopCount = 0
    /// Something was sent since the last `settle`.
    private var hasUnsettled = false
    private let asking: [UInt8]

    init(_ settings: Settings.RedisStream) throws(TLSFault) {
        self.settings = settings.redis
        setup = RedisSetup(settings.redis)
        tls = try settings.redis.tls?.makeContext(offersHTTP2: false)
        pipeline = RedisStreamPipeline(key: settings.key, maxEntryCount: settings.maxEntryCount)
        places = settings.redis.endpoints.map(\.address)
        asking = RedisSetup.asking
    }

    // MARK: - The sink's steps

    func send(_ events: [SinkEvent], _ deadline: SinkDeadline) throws(SinkFailure) {
        hasUnsettled = true
        if pipeline.isEmpty, let node, !node.isQuiet(deadline) { disconnect() }
        if node == nil { try connect(deadline) }
        for event in events {
            if !pipeline.hasRoom(for: event) {
                // Half of it, so that the bytes left are moved once for as many new ones.
                try take(
                    downTo: RedisStreamPipeline.maxCommandCount / 2, RedisStreamPipeline.maxByteCount / 2,
                    deadline)
                while !pipeline.hasRoom(for: event) { try take(downTo: pipeline.count - 1, .max, deadline) }
            }
            pipeline.append(event)
            if pipeline.unsentByteCount >= Self.writeByteCount { try flush(deadline) }
        }
        try flush(deadline)
    }

    func settle(_ deadline: SinkDeadline) throws(SinkFailure) {
        guard hasUnsettled else { return }
        try take(downTo: 0, 0, deadline)
        if setup.master != nil { try confirmMaster(deadline) }
        hasUnsettled = false
    }

    func close() {
        disconnect()
        sentinel?.close()
        sentinel = nil
        pipeline.removeAll()
        hasUnsettled = false
        hopCount = 0
        // Whatever was wrong with this one, another one may do.
        placeIndex = (placeIndex + 1) % places.count
    }

    /// Ends the connection to the node.
    func disconnect() {
        node?.close()
        node = nil
        isAsking = false
    }

    // MARK: - Commands

    /// Sends every command that was not sent.
    private func flush(_ deadline: SinkDeadline) throws(SinkFailure) {
        guard pipeline.unsentByteCount > 0 else { return }
        guard let node else { throw SinkFailure("there is no connection") }
        guard isAsking else {
            try node.send(pipeline.unsent, deadline)
            return pipeline.markSent()
        }
        while pipeline.unsentByteCount > 0 {
            try node.send(asking, deadline)
            try node.send(pipeline.firstUnsent, deadline)
            pipeline.markFirstSent()
        }
    }

    /// Reads replies until at most so many commands of so many bytes have none.
    private func take(downTo count: Int, _ byteCount: Int, _ deadline: SinkDeadline) throws(SinkFailure) {
        while pipeline.count > count || pipeline.byteCount > byteCount {
            try flush(deadline)
            if let redirect = try takeReply(deadline) { try follow(redirect, deadline) }
        }
    }

    /// Where an error reply sends a command to.
    private struct Redirection {
        var address: NetworkAddress
        var asks: Bool
    }

    /// Reads the reply of the first command, which is over then.
    ///
    /// - Returns: where the command has to go instead, if it was not taken for that; it was returned to the pipeline.
    private func takeReply(_ deadline: SinkDeadline) throws(SinkFailure) -> Redirection? {
        guard let node else { throw SinkFailure("there is no connection") }
        if isAsking {
            let reply = try node.next(deadline)
            if reply.pointee.kind == .error { throw node.failure(of: reply.pointee) }
        }
        let reply = try node.next(deadline)
        switch reply.pointee.kind {
        case .string:
            pipeline.removeFirst()
            hopCount = 0
            return nil
        case .error:
            let text = reply.pointee.text()
            let error = RedisError(text)
            guard error == .moved || error == .ask, let redirect = RedisRedirect(text) else {
                throw node.failure(of: reply.pointee)
            }
            pipeline.returnFirst()
            return Redirection(address: redirect.address(from: node.address.host), asks: error == .ask)
        default: throw node.described(SinkFailure("the reply is no entry's id"))
        }
    }

    /// Goes on at the node that an error reply named, with everything that was not taken.
    private func follow(_ redirection: Redirection, _ deadline: SinkDeadline) throws(SinkFailure) {
        hopCount += 1
        guard hopCount <= Self.maxHopCount else { throw SinkFailure("the nodes send each other on") }
        let count = hopCount
        // What follows was answered by the same node, most likely alike.
        while pipeline.sentCount > 0 { _ = try takeReply(deadline) }
        hopCount = count
        pipeline.takeBack()
        disconnect()
        // Sentinels stay what is asked where there are any.
        if setup.master == nil { placeIndex = places.remember(redirection.address) }
        try reach(redirection.address, deadline)
        isAsking = redirection.asks
    }
}
