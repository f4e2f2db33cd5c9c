internal import Bytes
internal import Logging
internal import Loop

private let log = Logger(label: "gatehouse.limits")

extension Worker {
    /// Asks the shared store about what stands in `storeDemand`; false when local limits have to decide at once.
    ///
    /// With true, `storeAnswered` is called exactly once for the handle, later in this round or in another.
    func askStore(_ handle: Handle) -> Bool {
        guard let store, store.ask(handle, storeDemand, now: now) else { return false }
        storeIsTouched = true
        return true
    }

    /// Gives back to the shared store what stands in `storeDemand`; nobody waits for it.
    func giveBackToStore() {
        guard let store else { return }
        store.giveBack(storeDemand, now: now)
        storeIsTouched = true
    }

    /// Acts on what the kernel says of a descriptor of a store's.
    func storeReady(_ handle: Handle, _ readiness: Readiness) {
        guard let client = storeClient(handle.index) else { return }
        client.ready(handle.generation, readiness, poller, now: now)
        storeIsTouched = true
    }

    private func storeClient(_ slot: UInt32) -> LimitStoreClient? {
        if let store, store.slot == slot { return store }
        return leavingStores.first { $0.slot == slot }
    }

    /// Sends what was asked in this round, and tells exchanges what came.
    func settleStores() {
        storeIsTouched = false
        if let store { settle(store) }
        guard !leavingStores.isEmpty else { return }
        for client in leavingStores { settle(client) }
        leavingStores.removeAll { $0.hasLeft() }
    }

    private func settle(_ client: LimitStoreClient) {
        if client.hasUnsent { client.flush(poller, now: MonotonicClock.now()) }
        if let place = client.nameToResolve {
            client.nameToResolve = nil
            let slot = client.slot
            SideQueue.runSlowly { [self] in
                let addresses = try? Resolver.resolve(host: place.host, port: place.port)
                mail { worker in
                    guard let client = worker.storeClient(slot) else { return }
                    client.resolved(place, addresses, worker.poller, now: worker.now)
                    worker.storeIsTouched = true
                }
            }
        }
        guard !client.answered.isEmpty else { return }
        for (handle, answers) in client.answered { storeAnswered(handle, answers) }
        client.answered.removeAll(keepingCapacity: true)
    }

    /// Uses the store that a configuration names: the one there is, if it is the same, else a new one while the old one
    /// answers what it was asked.
    func adoptStore(of configuration: Configuration) {
        let named = configuration.limitStore
        guard store?.store !== named?.store else {
            store?.tls = named?.tls
            return
        }
        if let old = store {
            old.leave()
            leavingStores.append(old)
            storeIsTouched = true
        }
        let counters = store?.counters
        store = nil
        guard let named else { return }
        lastStoreSlot += 1
        // Without a descriptor for its alarm there is no store, and local limits decide: the next reload may have one.
        guard
            let client = try? LimitStoreClient(named.store, tls: named.tls, slot: lastStoreSlot, now: now),
            poller.add(client.alarm.descriptor, .read, tag: client.tag(0)) == 0
        else { return log.error("no store of limits: no descriptors are left") }
        if let counters { client.counters = counters }
        store = client
    }
}
