internal import Bytes
internal import Loop
internal import TLS

extension LimitStoreClient {
    private static let connectNanoseconds: UInt64 = 1_000_000_000
    private static let firstBackoff: UInt64 = 100_000_000
    private static let longestBackoff: UInt64 = 2_000_000_000
    private static let masterNanoseconds: UInt64 = 1_000_000_000

    var place: NetworkAddress { places[placeIndex % places.count] }

    /// The time of a phase other than `up` is over.
    func phaseExpired(_ poller: borrowing Poller, now: UInt64) {
        switch phase {
        case .resting: if !isLeaving { reach(place, poller, now: now) }
        case .resolving: failed("no address within a second", now: now)
        case .seeking: failed("the Sentinel does not answer", now: now)
        case .connecting: failed("not connected within a second", now: now)
        case .probing: failed("no answer within the deadline", now: now)
        case .up: lookForMaster(poller, now: now)
        }
    }

    /// Asks a Sentinel whether the master is still the one: an old one takes orders for seconds after a fail-over, and then
    /// what it counted is lost.
    private func lookForMaster(_ poller: borrowing Poller, now: UInt64) {
        phaseDeadline = now + Self.masterNanoseconds
        if let sentinel, !sentinel.questions.isEmpty {
            end(sentinel)
            placeIndex = (placeIndex + 1) % places.count
        }
        if let sentinel, let master = setup.master {
            _ = sentinel.append(RedisQuestion(kind: .master), master)
            return
        }
        // One that is named by a name is asked when the connection ends, as every Sentinel is then.
        guard let ip = Self.address(place.host) else { return }
        var code: Int32 = 0
        let address = SocketAddress(ip: ip, port: place.port)
        guard let connection = open(address, place.host, poller, now: now, code: &code) else { return }
        sentinel = connection
        askForMaster(connection)
    }

    private func askForMaster(_ connection: RedisConnection) {
        guard let master = setup.master else { return }
        // A Sentinel may have no password of its own; what it says to one then is not looked at.
        if let authenticate = setup.authenticate {
            _ = connection.append(.init(kind: .ignored), authenticate)
        }
        _ = connection.append(RedisQuestion(kind: .master), master)
    }

    // MARK: - An attempt

    /// Begins to connect to a place, once its address is known.
    func reach(_ place: NetworkAddress, _ poller: borrowing Poller, now: UInt64) {
        phaseDeadline = now + Self.connectNanoseconds
        if let ip = Self.address(place.host) {
            return connect(SocketAddress(ip: ip, port: place.port), place.host, poller, now: now)
        }
        resolve(place)
    }

    private func resolve(_ place: NetworkAddress) {
        phase = .resolving
        wanted = place
        guard resolving == nil else { return }
        resolving = place
        nameToResolve = place
    }

    /// The address that a text is; nil for a name.
    static func address(_ host: String) -> IPAddress? { IPAddress(parsing: host) }

    /// What became of the look-up of a name; one that was given up meanwhile means nothing.
    func resolved(
        _ place: NetworkAddress, _ addresses: [SocketAddress]?, _ poller: borrowing Poller, now: UInt64
    ) {
        resolving = nil
        guard phase == .resolving, let wanted else { return }
        guard wanted == place else { return resolve(wanted) }
        if let addresses, !addresses.isEmpty {
            connect(addresses[addressIndex % addresses.count], place.host, poller, now: now)
        } else {
            failed("no address for \(place.host)", now: now)
        }
        if let sentinel, phase == .connecting { end(sentinel) }
    }

    private func connect(
        _ address: SocketAddress, _ host: String, _ poller: borrowing Poller, now: UInt64
    ) {
        let asksSentinel = setup.master != nil && phaseIsFirst
        var code: Int32 = 0
        guard let connection = open(address, host, poller, now: now, code: &code) else {
            return failed(RedisConnection.Failure.refused(code).description, now: now)
        }
        if asksSentinel {
            phase = .seeking
            sentinel = connection
            return askForMaster(connection)
        }
        phase = .connecting
        node = connection
        begin(connection)
        appendProbe(to: connection, script: takeScript.shortHead)
    }

    /// Whether what is connected next is what the settings name, not what a Sentinel or a node named.
    private var phaseIsFirst: Bool { sentinel == nil }

    private func open(
        _ address: SocketAddress, _ host: String, _ poller: borrowing Poller, now: UInt64, code: inout Int32
    ) -> RedisConnection? {
        lastSerial += 1
        var key = address.ip.high ^ address.ip.low
        key = key &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(address.port)
        let secret = tls.map {
            RedisConnection.Secret(
                context: $0, serverName: store.settings.tls?.serverName ?? host, key: key)
        }
        return RedisConnection(
            to: address, host: host, secret: secret, serial: lastSerial, tag: tag(lastSerial), poller: poller,
            now: now, code: &code)
    }

    /// What every node is told first; it has room for all of it.
    private func begin(_ connection: RedisConnection) {
        if let command = setup.authenticate { _ = connection.append(.init(kind: .authenticate), command) }
        if let command = setup.select { _ = connection.append(.init(kind: .select), command) }
        if let command = setup.role { _ = connection.append(.init(kind: .role), command) }
        _ = connection.append(.init(kind: .ignored), takeScript.load)
        _ = connection.append(.init(kind: .ignored), giveBackScript.load)
    }

    /// A request's own question, of a bucket that nobody uses: a server that answers it in time can do what it is for, which
    /// a PING does not tell of a replica or a server that is full.
    func appendProbe(to connection: RedisConnection, script: [UInt8]) {
        guard connection.hasRoom(script.count + prefix.bytes.count + 128) else { return }
        connection.append(RedisQuestion(kind: .probe)) { commands in
            commands.appendRedisCommand(argumentCount: 7)
            script.withUnsafeBufferPointer { commands.append($0) }
            commands.appendRedis("1")
            commands.appendRedis(byteCount: prefix.bytes.count + 5)
            commands.append(prefix.bytes)
            commands.append("probe\r\n")
            commands.appendRedis("1000")
            commands.appendRedis("1000000")
            commands.appendRedis("1")
        }
    }

    /// The socket is open: what it was asked has to be answered within the deadline.
    func connected(now: UInt64) {
        phase = .probing
        phaseDeadline = now + max(deadlineNanoseconds, 10_000_000)
        wake(at: phaseDeadline)
    }

    /// The probe was answered as it should be.
    func probed(now: UInt64) {
        phase = .up
        phaseDeadline = now + Self.masterNanoseconds
        if setup.master != nil { wake(at: phaseDeadline) }
        backoff = 0
        redirectCount = 0
        if hasBeenUp { counters.reconnects += 1 }
        hasBeenUp = true
        if health == .away, let node { store.noteBack(node.address.description, isGone: false) }
        health = .up
        if setup.master == nil, let node {
            _ = node.append(RedisQuestion(kind: .nodes, sentAt: now), setup.nodes)
        }
    }

    /// An attempt came to nothing: the next one is at another place, a while later.
    func failed(_ reason: String, now: UInt64) {
        let place = node.map { $0.address.description } ?? place.description
        for connection in [node, other, sentinel] { if let connection { end(connection) } }
        redirectCount = 0
        placeIndex = (placeIndex + 1) % places.count
        if placeIndex == 0 { addressIndex &+= 1 }
        if health != .away {
            health = .away
            store.noteAway(place, reason)
        }
        rest(now: now)
    }

    private func rest(now: UInt64) {
        phase = .resting
        // A Sentinel or a node that is not there is no reason to wait before the next one is asked.
        let goesOn = placeIndex != 0 && backoff > 0
        if !goesOn { backoff = min(max(backoff * 2, Self.firstBackoff), Self.longestBackoff) }
        phaseDeadline = now + (goesOn ? 1_000_000 : backoff)
        wake(at: phaseDeadline)
    }

    // MARK: - Ends and changes

    /// A connection is of no more use.
    func lost(_ connection: RedisConnection, _ reason: String, isEnd: Bool, now: UInt64) {
        if connection === sentinel, phase == .up {
            placeIndex = (placeIndex + 1) % places.count
            return end(connection)
        }
        guard connection === node || connection === sentinel else { return end(connection) }
        guard phase == .up, isEnd, connection.questions.isEmpty else { return failed(reason, now: now) }
        // A server may close what is idle for long; that is no reason for an alarm, unless it does not come back.
        renew(at: nil, now: now)
    }

    /// Connects anew at once, at `place` where one is given, and is only away if that fails.
    func renew(at place: NetworkAddress?, now: UInt64) {
        for connection in [node, other, sentinel] { if let connection { end(connection) } }
        if let place { placeIndex = learn(place) }
        phase = .resting
        phaseDeadline = now
        wake(at: now)
    }

    /// Remembers a place, and answers its index.
    @discardableResult
    func learn(_ place: NetworkAddress) -> Int { places.remember(place) }

    /// The connection to a node of the cluster that a reply named, made if need be; nil when its address has to be looked up
    /// first, or cannot be reached.
    func node(
        of redirect: RedisRedirect, from connection: RedisConnection, _ poller: borrowing Poller, now: UInt64
    ) -> RedisConnection? {
        let host = redirect.host.isEmpty ? connection.host : redirect.host
        let ip = redirect.host.isEmpty ? connection.address.ip : Self.address(redirect.host)
        guard let ip else { return nil }
        let address = SocketAddress(ip: ip, port: redirect.port)
        if let node, node.address == address { return node }
        if let other, other.address == address { return other }
        if let other {
            // Not the one whose reply is being read.
            guard other !== connection else { return nil }
            end(other)
        }
        var code: Int32 = 0
        guard let opened = open(address, host, poller, now: now, code: &code) else { return nil }
        other = opened
        begin(opened)
        return opened
    }

    /// Goes on at the master that a Sentinel named.
    func found(master place: NetworkAddress, _ poller: borrowing Poller, now: UInt64) {
        guard let ip = Self.address(place.host) else {
            phaseDeadline = now + Self.connectNanoseconds
            return resolve(place)
        }
        connect(SocketAddress(ip: ip, port: place.port), place.host, poller, now: now)
        if let sentinel { end(sentinel) }
    }
}
