internal import Bytes
internal import Loop

extension LimitStoreClient {
    /// Acts on the reply of `question`, which is the first one of `connection`.
    func reply(
        _ question: RedisQuestion, _ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64
    ) {
        let reply = connection.reply
        switch question.kind {
        case .take: taken(question, connection, poller, now: now)
        case .giveBack:
            if reply.pointee.kind == .error { repeated(question, connection, poller, now: now) }
        case .probe: probeAnswered(question, connection, poller, now: now)
        case .authenticate:
            if reply.pointee.kind == .error {
                lost(connection, RedisError.refusal(reply.pointee.text()), isEnd: false, now: now)
            }
        case .select:
            if reply.pointee.kind == .error { refused(connection, now: now) }
        case .role:
            if reply.pointee.kind == .error {
                refused(connection, now: now)
            } else if !reply.pointee.isOfMaster {
                lost(connection, "it is no master", isEnd: false, now: now)
            }
        case .master: masterNamed(connection, poller, now: now)
        case .nodes: learnNodes(connection)
        case .ignored: break
        }
    }

    private func refused(_ connection: RedisConnection, now: UInt64) {
        lost(connection, connection.reply.pointee.text().string, isEnd: false, now: now)
    }

    // MARK: - Requests

    private func taken(
        _ question: RedisQuestion, _ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64
    ) {
        if connection.reply.pointee.kind == .error {
            if repeated(question, connection, poller, now: now) { return }
        } else if question.isAbandoned {
            return
        } else if let answers = StoreAnswers(connection.reply.pointee, count: Int(question.bucketCount)) {
            counters.answers += 1
            return answered.append((question.handle, answers))
        }
        guard !question.isAbandoned, self.isKnown(connection) else { return }
        counters.errors += 1
        answered.append((question.handle, nil))
    }

    /// Whether the connection is still in use: one that was ended has told its exchanges.
    private func isKnown(_ connection: RedisConnection) -> Bool { connection.state != .closed }

    /// Acts on an error reply; true when the question was sent again, and its answer is still to come.
    @discardableResult
    private func repeated(
        _ question: RedisQuestion, _ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64
    ) -> Bool {
        let text = connection.reply.pointee.text()
        let error = RedisError(text)
        switch error {
        case .noScript:
            guard mayRepeat(question, now: now) else { return false }
            return sendWhole(question, from: connection, to: connection)
        case .moved, .ask:
            guard let redirect = RedisRedirect(text) else { return false }
            return follow(redirect, asks: error == .ask, question, connection, poller, now: now)
        case .unusable:
            lost(connection, text.string, isEnd: false, now: now)
            return false
        case .tryAgain, .other: return false
        }
    }

    private func mayRepeat(_ question: RedisQuestion, now: UInt64) -> Bool {
        question.repeatCount < 4 && !question.isAbandoned && question.deadline > now
    }

    /// Sends a question again with its script, after `ASKING` where a node does not have the slot yet.
    private func sendWhole(_ question: RedisQuestion, from: RedisConnection, to: RedisConnection) -> Bool {
        let script = question.kind == .take ? takeScript : giveBackScript
        let command = from.firstCommand
        let head = Int(question.headByteCount)
        let count = command.count - head
        scratch.removeAll()
        guard scratch.makeRoom(count, limit: RedisConnection.maxCommandByteCount) else { return false }
        // Copied first: appending may move what `command` lends.
        scratch.append(command.view(head, count))
        let start = head - script.shortHead.count
        let lead = InlineArray<5, UInt8> { $0 < start ? command[$0] : 0 }
        guard to.hasRoom(32 + script.wholeHead.count + count, count: 2) else { return false }
        var again = question
        again.repeatCount += 1
        if question.isAsking { append(asking: to) }
        to.append(again) { commands in
            for index in 0..<start { commands.append(lead[index]) }
            script.wholeHead.withUnsafeBufferPointer { commands.append($0) }
            commands.append(scratch.readable)
        }
        return true
    }

    private func append(asking connection: RedisConnection) {
        connection.append(RedisQuestion(kind: .ignored)) { commands in
            commands.appendRedisCommand(argumentCount: 1)
            commands.appendRedis("ASKING")
        }
    }

    /// Sends a question to the node that an error reply named.
    private func follow(
        _ redirect: RedisRedirect, asks: Bool, _ question: RedisQuestion, _ connection: RedisConnection,
        _ poller: borrowing Poller, now: UInt64
    ) -> Bool {
        guard let target = node(of: redirect, from: connection, poller, now: now) else {
            // Only a name's address is worth a new start: what cannot be reached is found to be away by itself.
            if !asks, connection === node, !redirect.host.isEmpty, Self.address(redirect.host) == nil {
                renew(at: redirect.address(from: connection.host), now: now)
            }
            return false
        }
        if !asks {
            learn(NetworkAddress(host: target.host, port: redirect.port))
            // From now on it has the keys; who was asked before answers what it still owes.
            if connection === node, target === other { swap(&node, &other) }
        }
        guard mayRepeat(question, now: now) else { return false }
        let command = connection.firstCommand
        scratch.removeAll()
        guard scratch.makeRoom(command.count, limit: RedisConnection.maxCommandByteCount) else {
            return false
        }
        scratch.append(command)
        guard target.hasRoom(command.count + 32, count: 2) else { return false }
        if asks { append(asking: target) }
        var again = question
        again.repeatCount += 1
        again.isAsking = asks
        target.append(again) { $0.append(scratch.readable) }
        return true
    }

    // MARK: - Connecting

    private func probeAnswered(
        _ question: RedisQuestion, _ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64
    ) {
        guard connection === node, phase == .connecting || phase == .probing else { return }
        let reply = connection.reply
        guard reply.pointee.kind == .error else {
            guard StoreAnswers(reply.pointee, count: 1) != nil else {
                return lost(connection, "the reply is none of ours", isEnd: false, now: now)
            }
            return probed(now: now)
        }
        let text = reply.pointee.text()
        switch RedisError(text) {
        case .noScript where question.repeatCount == 0:
            appendProbe(to: connection, script: takeScript.wholeHead)
        case .ask, .tryAgain: probed(now: now)
        case .moved:
            guard let redirect = RedisRedirect(text) else { return refused(connection, now: now) }
            redirectCount += 1
            guard redirectCount <= 5 else { return failed("the nodes send each other on", now: now) }
            renew(at: redirect.address(from: connection.host), now: now)
        default: refused(connection, now: now)
        }
    }

    private func masterNamed(_ connection: RedisConnection, _ poller: borrowing Poller, now: UInt64) {
        guard connection === sentinel, phase == .seeking || phase == .up else { return }
        let reply = connection.reply
        guard reply.pointee.kind != .error else { return refused(connection, now: now) }
        guard let place = reply.pointee.master else {
            return lost(connection, "the Sentinel knows no such master", isEnd: false, now: now)
        }
        if phase == .seeking { return found(master: place, poller, now: now) }
        // A name's address is not known here; the connection to what it meant before ends by itself.
        guard let node, let ip = Self.address(place.host) else { return }
        if node.address != SocketAddress(ip: ip, port: place.port) { renew(at: nil, now: now) }
    }

    /// Remembers all nodes of a cluster, so that another one can be asked when this one is gone.
    private func learnNodes(_ connection: RedisConnection) {
        connection.reply.pointee.forEachNode(from: connection.host) { learn($0) }
    }
}
