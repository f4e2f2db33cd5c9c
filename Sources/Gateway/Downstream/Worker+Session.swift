internal import Bytes
internal import HTTP
internal import Loop

// An HTTP/2 connection: frames in, frames out; its streams are slots of their own.

extension Worker {
    /// Whether the first bytes of a connection without TLS begin HTTP/2; nil when they do not, false while too few came.
    ///
    /// A client that cannot ask by ALPN begins with the preface (RFC 9113 §3.3). Whatever begins like a line of no HTTP
    /// version is a broken preface, and gets no answer.
    func beginsSession(_ connection: DownstreamPointer) -> Bool? {
        guard !connection.pointee.isAdmin, !connection.pointee.isSecure, configuration.http2Limits != nil
        else {
            return nil
        }
        switch HTTP2Preface.judge(connection.pointee.input.readable) {
        case .absent: return nil
        case .partial: return false
        case .present:
            beginSession(connection)
            return true
        case .broken:
            counters.unreadableRequests += 1
            closeDownstream(connection, .clientGone)
            return false
        }
    }

    /// Makes a connection an HTTP/2 one.
    func beginSession(_ connection: DownstreamPointer) {
        guard let limits = configuration.http2Limits,
            let session = HTTP2Session(
                role: .server, limits: limits, source: streamSource, memory: http2Memory)
        else { return closeDownstream(connection, .tooManyExchanges) }
        connection.pointee.session = session
        connection.pointee.state = .session
        counters.http2Connections += 1
        if isDraining { connection.pointee.session.drain() }
        settleLater(connection)
    }

    /// Gives the session what came, and its streams what they were sent.
    func processSession(_ connection: DownstreamPointer) {
        let handle = connection.pointee.handle
        while !connection.pointee.input.isEmpty {
            let (consumed, event) = connection.pointee.session.receive(
                connection.pointee.input.readable, now: now)
            connection.pointee.input.consume(consumed)
            switch event {
            case .none: break
            case .head(let stream, _, let isEnd): beginStream(connection, stream, isEnd: isEnd)
            case .tooLarge(let stream): refuseStream(connection, stream)
            case .content(let stream, let user, let bytes, let isEnd):
                takeStreamContent(connection, stream, user, bytes, isEnd: isEnd)
            case .end(_, let user): endStreamContent(user)
            case .failed: failSession(connection)
            }
            reapStreams(connection)
            guard connection.pointee.state == .session else { return }
            if case .none = event, consumed == 0 { break }
        }
        // The next read begins at the block's start again.
        if connection.pointee.input.isEmpty { connection.pointee.input.removeAll() }
        // Without its windows and resets no stream can go on; what it asked for is nobody's any more.
        if connection.pointee.peerEnded { return closeDownstream(connection, .clientGone) }
        if downstreams.find(handle) != nil { settleLater(connection) }
    }

    /// The session is over: what it says of it is sent, what its streams wait for is not.
    private func failSession(_ connection: DownstreamPointer) {
        closeStreams(connection, .clientGone)
        connection.pointee.input.removeAll()
        connection.pointee.closesAfterOutput = true
    }

    /// Lets the session go, and counts why it ended where that was a failure.
    func endSession(_ connection: DownstreamPointer) {
        guard connection.pointee.session.isActive else { return }
        let reason = connection.pointee.session.reason
        if reason != .none, reason != .terminated { counters.http2Failures[Int(reason.rawValue)] += 1 }
        connection.pointee.session = HTTP2Session()
    }

    /// Ends the slots of streams that the session has ended.
    private func reapStreams(_ connection: DownstreamPointer) {
        while let (user, _, _) = connection.pointee.session.popClosed() {
            guard let stream = downstreams.find(Handle(bits: user)), stream.pointee.state != .closed else {
                continue
            }
            stream.pointee.isStreamOver = true
            closeDownstream(stream, .clientGone)
        }
    }

    /// Sends frames as far as the kernel takes them; false when the connection broke and is gone.
    func flushSession(_ connection: DownstreamPointer) -> Bool {
        while true {
            if connection.pointee.sealedOutput.isEmpty {
                blocks.attachLarge(to: &connection.pointee.output)
                connection.pointee.output.compact()
                _ = connection.pointee.session.send(into: &connection.pointee.output, now: now)
                reapStreams(connection)
            }
            guard connection.pointee.unsentByteCount > 0 else { break }
            guard send(connection) else { return false }
            // The kernel's buffer is full.
            if connection.pointee.unsentByteCount > 0 { break }
            guard connection.pointee.session.wantsToSend else { break }
        }
        if !connection.pointee.output.hasBlock || connection.pointee.output.isEmpty {
            blocks.release(&connection.pointee.output)
        }
        return connection.pointee.state != .closed
    }

    /// Has a connection's frames sent at the end of this round, when all its streams have had their turn.
    func settleLater(_ connection: DownstreamPointer) {
        guard !connection.pointee.isSettling else { return }
        connection.pointee.isSettling = true
        settling.append(connection.pointee.handle)
    }

    /// After all events of an HTTP/2 connection: sends, closes, gives blocks back, and sets what is waited for.
    func settleSession(_ connection: DownstreamPointer) {
        connection.pointee.isSettling = false
        guard flushSession(connection) else { return }
        if connection.pointee.unsentByteCount > 0 {
            if connection.pointee.deadline == 0 {
                setDeadline(connection, now + configuration.contentProgressNanoseconds)
            }
            return
        }
        if connection.pointee.session.isOver || connection.pointee.closesAfterOutput
            || (connection.pointee.saidGoodbye && connection.pointee.streamCount == 0)
        {
            closeStreams(connection, .clientGone)
            endSession(connection)
            return beginLingering(connection)
        }
        if connection.pointee.input.isEmpty { blocks.release(&connection.pointee.input) }
        if connection.pointee.streamCount > 0 {
            if !isDraining { clearDeadline(connection) }
        } else if connection.pointee.wasBusy || connection.pointee.deadline == 0 {
            connection.pointee.wasBusy = false
            if !isDraining {
                setDeadline(connection, now + configuration.idleNanoseconds)
            } else if connection.pointee.deadline == 0 || connection.pointee.deadline > now + Self.farewell {
                setDeadline(connection, now + Self.farewell)
            }
        }
        startReading(connection)
    }

    /// What a client sent before it heard of the end arrives within this time.
    private static var farewell: UInt64 { 250_000_000 }

    /// Tells a client that no further stream will be served (RFC 9113 §6.8), in two steps so that none is lost.
    func drainSession(_ connection: DownstreamPointer) {
        connection.pointee.session.drain()
        setDeadline(connection, now + Self.farewell)
        settleLater(connection)
    }

    func sessionExpired(_ connection: DownstreamPointer) {
        if isDraining, !connection.pointee.saidGoodbye {
            connection.pointee.saidGoodbye = true
            connection.pointee.session.drain()
        } else if connection.pointee.streamCount == 0 {
            connection.pointee.session.terminate(code: HTTP2Code.noError)
            connection.pointee.closesAfterOutput = true
        }
        settle(connection)
    }
}
