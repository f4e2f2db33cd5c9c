internal import Bytes
internal import Loop

extension Worker {
    /// Takes the settings of a reload; connections and exchanges under the old ones finish under them.
    func adopt(_ fresh: Configuration) {
        retired.append(configuration)
        for endpoint in configuration.endpoints {
            for handle in endpoint.idle {
                if let connection = upstreams.find(handle) { closeUpstream(connection) }
            }
            for handle in endpoint.carriers {
                if let connection = upstreams.find(handle) { leave(connection) }
            }
        }
        if fresh.operationCount != configuration.operationCount {
            exchangeCounters = ExchangeCounters(operationCount: fresh.operationCount)
        }
        limitCounters = limitCounters.renewed(fresh.limitTable)
        configuration = fresh
        adoptStore(of: fresh)
    }

    /// Lets replaced configurations go whose last exchange and connection have ended.
    func retireConfigurations() {
        var inUse: Set<ObjectIdentifier> = []
        for index in 0..<upstreams.usedCount {
            if let connection = upstreams.find(index: UInt32(index)) {
                inUse.insert(ObjectIdentifier(connection.pointee.configuration.takeUnretainedValue()))
            }
        }
        retired.removeAll {
            $0.exchangeCount == 0 && !inUse.contains(ObjectIdentifier($0))
                && $0.keystone?.waiting.isEmpty != false
        }
    }

    /// Listens on an address; the descriptor is this worker's from now on.
    func adopt(_ listener: Listener) {
        let place = listeners.firstIndex { $0.descriptor < 0 } ?? listeners.count
        if place == listeners.count { listeners.append(listener) } else { listeners[place] = listener }
        _ = poller.add(listener.descriptor, [.read], tag: Tag.listener(place))
    }

    /// Stops listening on an address, after taking what had already arrived.
    func dropListener(_ address: SocketAddress, isAdmin: Bool) {
        for place in listeners.indices
        where listeners[place].descriptor >= 0 && listeners[place].address == address
            && listeners[place].isAdmin == isAdmin
        {
            closeListener(place)
        }
    }

    private func closeListener(_ place: Int) {
        if !listeners[place].isPaused { acceptConnections(place) }
        Socket.close(listeners[place].descriptor)
        listeners[place] = Listener(
            descriptor: -1, address: .none, named: .none, isAdmin: false, isPaused: true)
    }

    /// Begins to end: no new connections, idle ones closed, answers say `Connection: close`.
    func drain() {
        // The admin listener stays, so that it can be seen how far the drain is.
        for place in listeners.indices where listeners[place].descriptor >= 0 && !listeners[place].isAdmin {
            closeListener(place)
        }
        isDraining = true
        for index in 0..<downstreams.usedCount {
            guard let connection = downstreams.find(index: UInt32(index)) else { continue }
            if connection.pointee.state == .session { drainSession(connection) }
            if !connection.pointee.isAdmin, !connection.pointee.isStream, connection.pointee.state == .idle,
                connection.pointee.input.isEmpty,
                connection.pointee.unsentByteCount == 0, connection.pointee.exchangeCount > 0
            {
                // One that was just accepted has a request on its way; it gets its answer, with `Connection: close`.
                closeDownstream(connection, .draining)
            }
        }
    }

    /// The drain's time is up: what is left is cut off.
    func cutOff() {
        for index in 0..<downstreams.usedCount {
            guard let connection = downstreams.find(index: UInt32(index)) else { continue }
            closeDownstream(connection, .draining)
        }
    }
}
