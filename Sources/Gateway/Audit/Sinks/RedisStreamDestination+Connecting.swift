internal import Bytes
internal import TLS

extension RedisStreamDestination {
    /// What one of several servers may take, so that there is time for the next one.
    private static let turn = Duration.seconds(2)
    private static let maxLinkCount = 96

    /// Connects to the one that is to take events.
    func connect(_ deadline: SinkDeadline) throws(SinkFailure) {
        if setup.master != nil { return try reach(askForMaster(deadline), deadline) }
        var failure = SinkFailure.late
        for _ in places.indices {
            let turn = places.count > 1 ? deadline.atMost(Self.turn) : deadline
            do throws(SinkFailure) {
                return try reach(places[placeIndex], turn)
            } catch {
                failure = error
                disconnect()
                placeIndex = (placeIndex + 1) % places.count
                if deadline.isOver { break }
            }
        }
        throw failure
    }

    /// Connects to a server and tells it who we are.
    ///
    /// - Errors: it is not there, does not let us in, or a Sentinel named it and it is no master.
    func reach(_ address: NetworkAddress, _ deadline: SinkDeadline) throws(SinkFailure) {
        let link = link(to: address)
        try link.open(deadline)
        // Set before all is well, so that a failure closes it.
        node = link
        // Only a cluster that is no master's answers has nodes to learn, and it has one database.
        let nodes = setup.master == nil && setup.select == nil ? setup.nodes : nil
        let commands = [setup.authenticate, setup.select, setup.role, nodes].compactMap(\.self).joined()
        if !commands.isEmpty { try link.send(Array(commands), deadline) }
        if setup.authenticate != nil {
            let reply = try link.next(deadline)
            if reply.pointee.kind == .error {
                throw link.described(SinkFailure(RedisError.refusal(reply.pointee.text())))
            }
        }
        if setup.select != nil {
            let reply = try link.next(deadline)
            if reply.pointee.kind == .error { throw link.failure(of: reply.pointee) }
        }
        if setup.role != nil {
            let reply = try link.next(deadline)
            if reply.pointee.kind == .error { throw link.failure(of: reply.pointee) }
            guard reply.pointee.isOfMaster else { throw link.described(SinkFailure("it is no master")) }
        }
        if nodes != nil {
            // One that is no node of a cluster answers with an error.
            try link.next(deadline).pointee.forEachNode(from: address.host) { _ = places.remember($0) }
        }
    }

    /// Asks the Sentinels in turn where the master is; the first one that knows it is asked the next time too.
    func askForMaster(_ deadline: SinkDeadline) throws(SinkFailure) -> NetworkAddress {
        var failure = SinkFailure.late
        // One whose connection was there is asked twice: it may have ended long ago.
        for _ in 0..<places.count + (sentinel == nil ? 0 : 1) {
            let wasOpen = sentinel != nil
            do throws(SinkFailure) {
                return try askSentinel(deadline.atMost(Self.turn))
            } catch {
                failure = error
                sentinel?.close()
                sentinel = nil
                if !wasOpen { placeIndex = (placeIndex + 1) % places.count }
                if deadline.isOver { break }
            }
        }
        throw failure
    }

    private func askSentinel(_ deadline: SinkDeadline) throws(SinkFailure) -> NetworkAddress {
        guard let question = setup.master else { throw SinkFailure("there is no Sentinel") }
        let link = sentinel ?? link(to: places[placeIndex])
        if sentinel == nil {
            try link.open(deadline)
            sentinel = link
            if let authenticate = setup.authenticate {
                try link.send(authenticate, deadline)
                // A Sentinel may have no password of its own; what it says to one then is not looked at.
                _ = try link.next(deadline)
            }
        }
        try link.send(question, deadline)
        let reply = try link.next(deadline)
        if reply.pointee.kind == .error { throw link.failure(of: reply.pointee) }
        guard let master = reply.pointee.master else {
            throw link.described(SinkFailure("the Sentinel knows no such master"))
        }
        return master
    }

    /// Makes sure that who answered is still the master: an old one takes orders for seconds after a fail-over, and then
    /// what it took is lost.
    func confirmMaster(_ deadline: SinkDeadline) throws(SinkFailure) {
        let master = try askForMaster(deadline)
        guard let node, node.address != master else { return }
        throw node.described(SinkFailure("another one is the master now, \(master)"))
    }

    /// The connection to `address`, which stays the same object: it may still look for the address of its name.
    private func link(to address: NetworkAddress) -> RedisStreamLink {
        if let link = links[address] { return link }
        if links.count >= Self.maxLinkCount { links = links.filter { $0.value.isOpen } }
        let link = RedisStreamLink(address, tls: tls, serverName: settings.tls?.serverName)
        links[address] = link
        return link
    }
}
