internal import Bytes
internal import HTTP
internal import Loop

// Streams of HTTP/2 connections to endpoints. To the stages each is a connection that carries one exchange: its request's
// head is written in HTTP/1.1 form and its answer's read from it, so that there is one writer and one strict reader.

extension Worker {
    /// Makes the slot of a stream; nil when there are too many.
    func makeStream(_ carrier: UpstreamPointer, _ exchange: ExchangePointer) -> Handle? {
        let endpoint = carrier.pointee.endpoint.takeUnretainedValue()
        guard
            let handle = takeSlot(
                endpoint, carrier.pointee.pool.takeUnretainedValue(),
                carrier.pointee.configuration.takeUnretainedValue()),
            let stream = upstreams.find(handle)
        else { return nil }
        stream.pointee.carrier = carrier.pointee.handle
        stream.pointee.state = .busy
        // The first stream's fate is the connection's own.
        stream.pointee.isReused = true
        stream.pointee.startedAt = now
        stream.pointee.nextStream = carrier.pointee.firstStream
        if let next = upstreams.find(carrier.pointee.firstStream) { next.pointee.previousStream = handle }
        carrier.pointee.firstStream = handle
        if carrier.pointee.streamCount == 0 {
            endpoint.idleCarrierCount -= 1
            endpoint.busyCount += 1
            carrier.pointee.deadline = 0
        }
        carrier.pointee.streamCount += 1
        endpoint.streamCount += 1
        streamSlotCount += 1
        counters.upstreamStreams += 1
        return handle
    }

    // MARK: - Requests

    /// Hands the request's head, which stands in the output, to the session, or says that more of its content came; false
    /// when the stream failed.
    func sendStream(_ stream: UpstreamPointer, _ exchange: ExchangePointer) -> Bool {
        guard let carrier = upstreams.find(stream.pointee.carrier), carrier.pointee.state == .session else {
            upstreamFailed(stream, .upstreamClosed)
            return false
        }
        if stream.pointee.streamID != 0 {
            carrier.pointee.session.resume(stream: stream.pointee.streamID)
            touch(carrier)
            return true
        }
        let pool = stream.pointee.pool.takeUnretainedValue()
        // A call's content stands behind its head; everybody else's output is the head alone.
        let headByteCount = stream.pointee.output.readable.headByteCount
        let hasContent =
            !exchange.pointee.contentComplete || exchange.pointee.content.count > 0
            || stream.pointee.output.count > headByteCount
        let id = carrier.pointee.session.request(
            head: stream.pointee.output.readable.view(0, headByteCount),
            scheme: pool.tls == nil ? "http" : "https", hasContent: hasContent,
            user: stream.pointee.handle.bits)
        guard id > 0 else {
            // The connection took its last stream meanwhile; nothing of this one was sent.
            streamRefused(stream)
            return false
        }
        stream.pointee.streamID = id
        stream.pointee.output.consume(headByteCount)
        if stream.pointee.output.isEmpty { blocks.release(&stream.pointee.output) }
        touch(carrier)
        if !hasContent {
            stream.pointee.requestComplete = true
            setDeadline(stream, now + pool.responseNanoseconds)
        } else {
            setDeadline(stream, now + pool.progressNanoseconds)
            if !exchange.pointee.contentComplete { pumpRequestContent(exchange) }
        }
        // Whoever waited behind this one may have a place too.
        serveQueue(pool)
        return stream.pointee.state != .closed
    }

    /// Where sessions get the content of requests from: the output of the stream's slot, then the exchange's collected
    /// content.
    ///
    /// Called by a session in the middle of its sending, so nothing here may end a connection or run a stage.
    var requestSource: HTTP2Source {
        HTTP2Source(
            owner: Unmanaged.passUnretained(self).toOpaque(),
            available: { owner, user, limit in
                Unmanaged<Worker>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                    $0.requestContentCount(user, limit)
                }
            },
            take: { owner, user, place, count in
                Unmanaged<Worker>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                    $0.takeRequestContent(user, to: place, count)
                }
            })
    }

    private func requestContentCount(_ user: UInt64, _ limit: Int) -> Int {
        guard let stream = upstreams.find(Handle(bits: user)), stream.pointee.state == .busy,
            let exchange = exchanges.find(stream.pointee.exchange)
        else { return HTTP2Source.broken }
        let count =
            stream.pointee.output.count + exchange.pointee.content.count - stream.pointee.collectedOffset
        if count > limit { return limit }
        guard exchange.pointee.contentComplete else {
            if count == 0 { touch(stream) }
            return count > 0 ? count : HTTP2Source.later
        }
        stream.pointee.isEndGiven = true
        touch(stream)
        return count | HTTP2Source.lastBit
    }

    private func takeRequestContent(_ user: UInt64, to place: UnsafeMutablePointer<UInt8>, _ count: Int) {
        guard let stream = upstreams.find(Handle(bits: user)),
            let exchange = exchanges.find(stream.pointee.exchange)
        else { return }
        let output = stream.pointee.output.readable
        let fromOutput = min(count, output.count)
        if fromOutput > 0 {
            place.update(from: output.baseAddress!, count: fromOutput)
            stream.pointee.output.consume(fromOutput)
            if stream.pointee.output.isEmpty { stream.pointee.output.removeAll() }
        }
        if count > fromOutput {
            // There is as much as was said to be: nothing else takes from a stream.
            let collected = exchange.pointee.content.readable
            place.advanced(by: fromOutput).update(
                from: collected.baseAddress! + stream.pointee.collectedOffset, count: count - fromOutput)
            stream.pointee.collectedOffset += count - fromOutput
        }
        touch(stream)
    }

    /// After the session took of a request's content: its end begins the wait for the answer, else more is fetched.
    func continueRequest(_ stream: UpstreamPointer) {
        guard let exchange = exchanges.find(stream.pointee.exchange), !stream.pointee.requestComplete else {
            return
        }
        if stream.pointee.output.isEmpty { blocks.release(&stream.pointee.output) }
        let pool = stream.pointee.pool.takeUnretainedValue()
        if stream.pointee.isEndGiven {
            stream.pointee.requestComplete = true
            if !stream.pointee.headRead { setDeadline(stream, now + pool.responseNanoseconds) }
        } else if stream.pointee.output.isEmpty, !exchange.pointee.contentComplete {
            // While the client owes content, its own deadline runs.
            stream.pointee.deadline = 0
            pumpRequestContent(exchange)
        } else {
            setDeadline(stream, now + pool.progressNanoseconds)
        }
    }

    // MARK: - Answers

    /// Takes a head, interim or final, in HTTP/1.1 form.
    func takeStreamHead(_ carrier: UpstreamPointer, _ user: UInt64, isEnd: Bool) {
        guard let stream = upstreams.find(Handle(bits: user)), stream.pointee.state == .busy else { return }
        let head = carrier.pointee.session.head
        stream.pointee.receivedAny = true
        // Interim heads that nobody read yet may stand before it.
        guard makeRoom(stream, for: head.count) else {
            return upstreamFailed(stream, .responseInvalid)
        }
        stream.pointee.input.append(head)
        if isEnd { stream.pointee.peerEnded = true }
        resume(stream.pointee.exchange)
    }

    func takeStreamContent(
        _ carrier: UpstreamPointer, _ id: Int32, _ user: UInt64, _ bytes: ByteView, isEnd: Bool
    ) {
        guard let stream = upstreams.find(Handle(bits: user)), stream.pointee.state == .busy else {
            // Nobody wants it any more; its room is other streams'.
            return carrier.pointee.session.consume(stream: id, byteCount: bytes.count)
        }
        guard makeRoom(stream, for: bytes.count) else {
            // More than its window allowed, which the session does not let through.
            return upstreamFailed(stream, .responseInvalid)
        }
        stream.pointee.input.append(bytes)
        stream.pointee.unconsumedByteCount += bytes.count
        if stream.pointee.requestComplete { setDeadline(stream, progress(stream)) }
        if isEnd { stream.pointee.peerEnded = true }
        resume(stream.pointee.exchange)
    }

    func endStream(_ user: UInt64) {
        guard let stream = upstreams.find(Handle(bits: user)), stream.pointee.state == .busy else { return }
        stream.pointee.peerEnded = true
        resume(stream.pointee.exchange)
    }

    /// An answer's head that no limit allows.
    func refuseStreamHead(_ carrier: UpstreamPointer, _ id: Int32) {
        var place = carrier.pointee.firstStream
        while let stream = upstreams.find(place) {
            if stream.pointee.streamID == id { return upstreamFailed(stream, .responseInvalid) }
            place = stream.pointee.nextStream
        }
    }

    /// Makes room for `byteCount` bytes behind what is not taken yet: an ordinary block for most answers, a large one for
    /// what comes faster than it is taken.
    private func makeRoom(_ stream: UpstreamPointer, for byteCount: Int) -> Bool {
        blocks.attach(to: &stream.pointee.input)
        if stream.pointee.input.isEmpty { stream.pointee.input.removeAll() }
        if stream.pointee.input.room < byteCount { stream.pointee.input.compact() }
        if stream.pointee.input.room < byteCount {
            var larger = Buffer()
            blocks.attachLarge(to: &larger)
            guard larger.room >= stream.pointee.input.count + byteCount else {
                blocks.release(&larger)
                return false
            }
            larger.append(stream.pointee.input.readable)
            swap(&stream.pointee.input, &larger)
            blocks.release(&larger)
        }
        return true
    }

    /// Opens the stream's window by what its exchange has taken.
    func openWindow(_ stream: UpstreamPointer) {
        // A head that is not taken yet stands before all content.
        let left = min(stream.pointee.input.count, stream.pointee.unconsumedByteCount)
        let taken = stream.pointee.unconsumedByteCount - left
        guard taken > 0, let carrier = upstreams.find(stream.pointee.carrier) else { return }
        stream.pointee.unconsumedByteCount = left
        carrier.pointee.session.consume(stream: stream.pointee.streamID, byteCount: taken)
        touch(carrier)
    }

    // MARK: - Ends

    /// The session has no such stream any more.
    func streamClosed(_ stream: UpstreamPointer, code: UInt32, wasRefused: Bool) {
        stream.pointee.isStreamOver = true
        guard stream.pointee.state == .busy, !stream.pointee.peerEnded else { return }
        if wasRefused, !stream.pointee.receivedAny { return streamRefused(stream) }
        // An answer that cannot be read is one; the request is not repeated for it.
        if code == HTTP2Code.protocolError { stream.pointee.receivedAny = true }
        streamBroke(stream, code == HTTP2Code.protocolError ? .responseInvalid : .upstreamClosed)
    }

    /// The endpoint did nothing with the request, so that it may go to it again (RFC 9113 §8.7).
    private func streamRefused(_ stream: UpstreamPointer) {
        counters.upstreamRefusals += 1
        stream.pointee.isStreamOver = true
        upstreamFailed(stream, .upstreamClosed, wasRefused: true)
    }

    /// No more will come: an answer that began ends here, and its framing says whether that is all of it.
    func streamBroke(_ stream: UpstreamPointer, _ failure: Failure) {
        guard stream.pointee.state == .busy, !stream.pointee.peerEnded else { return }
        // A head that came just before is still to be read.
        guard stream.pointee.headRead || !stream.pointee.input.isEmpty else {
            return upstreamFailed(stream, failure)
        }
        stream.pointee.isTruncated = true
        stream.pointee.peerEnded = true
        resume(stream.pointee.exchange)
    }

    /// Ends a stream: the endpoint is told unless it knows, and its connection may rest.
    func closeStream(_ stream: UpstreamPointer) {
        let handle = stream.pointee.handle
        let pool = stream.pointee.pool.takeUnretainedValue()
        stream.pointee.endpoint._withUnsafeGuaranteedRef { $0.streamCount -= 1 }
        stream.pointee.state = .closed
        streamSlotCount -= 1
        upstreamTimers.clear(handle.index)
        releaseBlocks(stream)
        closedUpstreams.append(handle)
        if let carrier = upstreams.find(stream.pointee.carrier), carrier.pointee.state == .session {
            if !stream.pointee.isStreamOver, stream.pointee.streamID != 0 {
                carrier.pointee.session.reset(stream: stream.pointee.streamID, code: HTTP2Code.cancel)
            }
            unlink(stream, carrier)
            touch(carrier)
            if carrier.pointee.streamCount == 0 {
                let endpoint = carrier.pointee.endpoint.takeUnretainedValue()
                endpoint.busyCount -= 1
                endpoint.idleCarrierCount += 1
            }
        }
        serveQueue(pool)
    }

    /// Takes a stream from its connection's list.
    func unlink(_ stream: UpstreamPointer, _ carrier: UpstreamPointer) {
        if let next = upstreams.find(stream.pointee.nextStream) {
            next.pointee.previousStream = stream.pointee.previousStream
        }
        if let previous = upstreams.find(stream.pointee.previousStream) {
            previous.pointee.nextStream = stream.pointee.nextStream
        } else {
            carrier.pointee.firstStream = stream.pointee.nextStream
        }
        carrier.pointee.streamCount -= 1
    }

    /// An answer did not come in time. Nothing else did either: then it is the connection that is dead, and no further
    /// request shall find that out.
    func doubt(_ stream: UpstreamPointer) {
        guard let carrier = upstreams.find(stream.pointee.carrier),
            carrier.pointee.receivedAt < stream.pointee.startedAt
        else { return }
        leave(carrier)
    }

    // MARK: - This round's

    /// Has a connection or stream looked at again in this round.
    func touch(_ connection: UpstreamPointer) {
        guard !connection.pointee.isTouched else { return }
        connection.pointee.isTouched = true
        touchedUpstreams.append(connection.pointee.handle)
    }

    /// After an exchange took what there was: there is room again.
    func touchUpstream(_ handle: Handle) {
        guard let connection = upstreams.find(handle) else { return }
        if connection.pointee.isStream {
            if connection.pointee.unconsumedByteCount > 0 { openWindow(connection) }
        } else if connection.pointee.holdsMore,
            connection.pointee.input.count < connection.pointee.input.capacity
        {
            touch(connection)
        }
    }

    /// Looks at what was touched: sends frames, fetches content, opens what waited for room.
    func settleTouchedUpstreams() {
        while let handle = touchedUpstreams.popLast() {
            guard let connection = upstreams.find(handle), connection.pointee.state != .closed else {
                continue
            }
            connection.pointee.isTouched = false
            if connection.pointee.isStream {
                continueRequest(connection)
            } else if connection.pointee.state == .session {
                settleCarrier(connection)
            } else if connection.pointee.holdsMore {
                openSealed(connection)
            }
        }
    }

    private func settleCarrier(_ connection: UpstreamPointer) {
        guard flushSession(connection) else { return }
        // A stream that the session broke off itself is closed once its RST_STREAM was written.
        takeClosedStreams(connection)
        guard connection.pointee.state == .session else { return }
        if connection.pointee.session.isOver { return closeCarrier(connection, .upstreamClosed) }
        if connection.pointee.streamCount == 0,
            connection.pointee.deadline == 0 || connection.pointee.isLeaving
        {
            rest(connection)
        }
    }
}

extension ByteView {
    /// Bytes up to and with the empty line that ends a head; all of them when there is none.
    fileprivate var headByteCount: Int {
        guard count >= 4, let base = baseAddress else { return count }
        var place = 3
        while place < count {
            // Most bytes are no line feed, so one look at a time is enough.
            if base[place] == 0x0A, base[place - 1] == 0x0D, base[place - 2] == 0x0A, base[place - 3] == 0x0D
            {
                return place + 1
            }
            place += 1
        }
        return count
    }
}
