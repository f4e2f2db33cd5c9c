internal import Bytes
internal import HTTP
internal import Loop

// Streams of HTTP/2 connections. To the stages each is a connection with one exchange: its head is read from HTTP/1.1
// form and its answer's head written in it, so that there is one strict reader and one writer.

extension Worker {
    /// Makes the slot of a stream; nil, and the stream refused, when there are too many.
    private func makeStream(_ carrier: DownstreamPointer, _ stream: Int32) -> DownstreamPointer? {
        guard
            let handle = downstreams.insert(
                DownstreamConnection(
                    stream: stream, of: carrier.pointee.handle, peer: carrier.pointee.peer,
                    isSecure: carrier.pointee.isSecure)),
            let slot = downstreams.find(handle)
        else {
            carrier.pointee.session.reset(stream: stream, code: HTTP2Code.refusedStream)
            return nil
        }
        slot.pointee.handle = handle
        slot.pointee.certificate = carrier.pointee.certificate
        slot.pointee.nextStream = carrier.pointee.firstStream
        if let next = downstreams.find(carrier.pointee.firstStream) { next.pointee.previousStream = handle }
        carrier.pointee.firstStream = handle
        carrier.pointee.streamCount += 1
        carrier.pointee.wasBusy = true
        carrier.pointee.exchangeCount += 1
        counters.http2Streams += 1
        guard carrier.pointee.session.attach(stream: stream, user: handle.bits) else {
            closeDownstream(slot, .clientGone)
            return nil
        }
        return slot
    }

    /// Begins the exchange of a stream whose head has come.
    func beginStream(_ carrier: DownstreamPointer, _ stream: Int32, isEnd: Bool) {
        guard let slot = makeStream(carrier, stream) else { return }
        let head = carrier.pointee.session.head
        if isEnd, head.count <= BlockPools.smallByteCount {
            blocks.attachSmall(to: &slot.pointee.input)
        } else {
            blocks.attach(to: &slot.pointee.input)
        }
        // Fits: a block is twice the largest head.
        slot.pointee.input.append(head)
        slot.pointee.peerEnded = isEnd
        guard beginExchange(slot) else { return }
        if !readHead(slot), slot.pointee.state == .head {
            // The session gives whole heads; one that the reader would wait for more of cannot be answered.
            slot.pointee.isBroken = true
            return closeDownstream(slot, .unreadableRequest)
        }
        if slot.pointee.state != .closed, !slot.pointee.exchange.isNone { touch(slot) }
    }

    /// Answers a head that was too large to be kept.
    func refuseStream(_ carrier: DownstreamPointer, _ stream: Int32) {
        guard let slot = makeStream(carrier, stream) else { return }
        blocks.attachSmall(to: &slot.pointee.input)
        guard beginExchange(slot), let exchange = exchanges.find(slot.pointee.exchange) else { return }
        refuseHead(slot, exchange, .headTooLarge)
    }

    /// What a head means on a stream besides what the reader made of its HTTP/1.1 form.
    func takeStreamHead(_ slot: DownstreamPointer, _ exchange: ExchangePointer) {
        exchange.pointee.head.version = .http2
        if case .chunked = exchange.pointee.head.framing {
            // Content without a length: its frames say where it ends, and only the next hop sees chunks.
            slot.pointee.content = ContentReader(.untilClose)
        }
    }

    /// Gives a stream's exchange the content that came for it.
    func takeStreamContent(
        _ carrier: DownstreamPointer, _ stream: Int32, _ user: UInt64, _ bytes: ByteView, isEnd: Bool
    ) {
        guard let slot = downstreams.find(Handle(bits: user)), slot.pointee.state != .closed,
            let exchange = exchanges.find(slot.pointee.exchange), !slot.pointee.content.isEnded
        else {
            // Answered already: what still comes is dropped, and its room given to other streams.
            carrier.pointee.session.consume(stream: stream, byteCount: bytes.count)
            if isEnd { endStreamContent(user) }
            return
        }
        if slot.pointee.input.room < bytes.count {
            slot.pointee.input.compact(to: min(slot.pointee.input.start, exchange.pointee.head.byteCount))
        }
        if slot.pointee.input.room < bytes.count { enlarge(slot, exchange) }
        guard bytes.count <= slot.pointee.input.room else {
            // More than its window allowed, which the session does not let through.
            slot.pointee.isBroken = true
            return closeDownstream(slot, .unreadableRequest)
        }
        slot.pointee.input.append(bytes)
        slot.pointee.progressByteCount += bytes.count
        if isEnd { slot.pointee.peerEnded = true }
        continueExchange(slot, exchange)
    }

    /// Moves what a stream was sent to a large block: until a client knows our window it may use the protocol's own.
    private func enlarge(_ slot: DownstreamPointer, _ exchange: ExchangePointer) {
        var larger = Buffer()
        blocks.attachLarge(to: &larger)
        larger.append(slot.pointee.input.all)
        larger.consume(slot.pointee.input.start)
        swap(&slot.pointee.input, &larger)
        blocks.release(&larger)
        // The head stands at the block's start, and all that is known of it are places in it.
        exchange.pointee.headBase = slot.pointee.input.all.baseAddress
    }

    /// The client's side of a stream is over.
    func endStreamContent(_ user: UInt64) {
        guard let slot = downstreams.find(Handle(bits: user)), slot.pointee.state != .closed else { return }
        slot.pointee.peerEnded = true
        guard let exchange = exchanges.find(slot.pointee.exchange), !slot.pointee.content.isEnded else {
            return
        }
        continueExchange(slot, exchange)
    }

    private func continueExchange(_ slot: DownstreamPointer, _ exchange: ExchangePointer) {
        guard slot.pointee.state == .exchange, exchange.pointee.wait != .nothing else { return }
        contentArrived(slot, exchange)
        settleStream(slot)
    }

    /// Opens the stream's window by what was used of its content.
    func openWindow(_ slot: DownstreamPointer, by byteCount: Int) {
        guard byteCount > 0, let carrier = downstreams.find(slot.pointee.carrier) else { return }
        carrier.pointee.session.consume(stream: slot.pointee.streamID, byteCount: byteCount)
        settleLater(carrier)
    }

    // MARK: - Answers

    /// Hands the head of an answer, which stands in the output, to the session.
    func finishStreamHead(_ exchange: ExchangePointer, _ slot: DownstreamPointer) {
        slot.pointee.output.append("\r\n")
        exchange.pointee.responseHeadSent = true
        guard let carrier = downstreams.find(slot.pointee.carrier) else { return }
        let status = exchange.pointee.status
        let hasContent = !(status == 204 || status == 304 || exchange.pointee.head.method == .head)
        let isTaken = carrier.pointee.session.respond(
            stream: slot.pointee.streamID, head: slot.pointee.output.readable, hasContent: hasContent)
        slot.pointee.output.removeAll()
        if !hasContent { slot.pointee.isEndGiven = true }
        if !isTaken { slot.pointee.isBroken = true }
    }

    /// Hands an interim head, which stands alone in the output, to the session.
    func sendInterimHead(_ slot: DownstreamPointer) {
        guard let carrier = downstreams.find(slot.pointee.carrier) else { return }
        _ = carrier.pointee.session.respond(
            stream: slot.pointee.streamID, head: slot.pointee.output.readable, hasContent: true)
        slot.pointee.output.removeAll()
        blocks.release(&slot.pointee.output)
        settleLater(carrier)
    }

    /// Sends a stream's content now, where its output is full; false when the stream is gone.
    func flushStream(_ slot: DownstreamPointer) -> Bool {
        guard let carrier = downstreams.find(slot.pointee.carrier), carrier.pointee.state == .session else {
            return slot.pointee.state != .closed
        }
        if slot.pointee.plainByteCount > 0 {
            carrier.pointee.session.resume(stream: slot.pointee.streamID)
            touch(slot)
            guard flushSession(carrier) else { return false }
            settleLater(carrier)
        }
        return slot.pointee.state != .closed
    }

    /// Ends the exchange's hold on its stream: what is left of its answer goes out as the client takes it.
    func releaseStream(_ slot: DownstreamPointer) {
        slot.pointee.exchange = .none
        slot.pointee.continueOwed = false
        slot.pointee.state = .idle
        // Content that came and that nobody wants any more.
        openWindow(slot, by: slot.pointee.input.count)
        blocks.release(&slot.pointee.input)
        if slot.pointee.output.isEmpty { blocks.release(&slot.pointee.output) }
        clearDeadline(slot)
        settleStream(slot)
    }

    /// After something happened to a stream: its frames are sent with those of its siblings.
    func settleStream(_ slot: DownstreamPointer) {
        guard slot.pointee.state != .closed else { return }
        if slot.pointee.isBroken { return closeDownstream(slot, .none) }
        guard let carrier = downstreams.find(slot.pointee.carrier) else { return }
        if slot.pointee.plainByteCount > 0 || slot.pointee.exchange.isNone {
            carrier.pointee.session.resume(stream: slot.pointee.streamID)
        }
        touch(slot)
        settleLater(carrier)
    }

    /// Has a stream looked at when the frames of this round were sent.
    func touch(_ slot: DownstreamPointer) {
        guard !slot.pointee.isTouched else { return }
        slot.pointee.isTouched = true
        touchedStreams.append(slot.pointee.handle)
    }

    /// Looks at the streams of this round: what waits for room goes on, what is unsent gets its time.
    func settleTouchedStreams() {
        while let handle = touchedStreams.popLast() {
            guard let slot = downstreams.find(handle), slot.pointee.state != .closed else { continue }
            slot.pointee.isTouched = false
            if slot.pointee.output.isEmpty { blocks.release(&slot.pointee.output) }
            if slot.pointee.plainByteCount > 0 || (slot.pointee.exchange.isNone && !slot.pointee.isEndGiven) {
                if slot.pointee.deadline == 0 {
                    setDeadline(slot, now + configuration.contentProgressNanoseconds)
                }
            } else if slot.pointee.exchange.isNone, !slot.pointee.peerEnded,
                let carrier = downstreams.find(slot.pointee.carrier)
            {
                // Answered before all content came: the client need not send the rest (RFC 9113 §8.1).
                carrier.pointee.session.reset(stream: slot.pointee.streamID, code: HTTP2Code.noError)
                slot.pointee.peerEnded = true
                settleLater(carrier)
            }
            if let exchange = exchanges.find(slot.pointee.exchange), exchange.pointee.wait == .room,
                hasRoom(slot)
            {
                resume(slot.pointee.exchange)
            }
        }
    }

    // MARK: - Ends

    /// Takes a stream that is being closed from its connection, and tells the client unless it knows.
    func leaveCarrier(_ slot: DownstreamPointer, _ failure: Failure) {
        guard let carrier = downstreams.find(slot.pointee.carrier) else { return }
        if let next = downstreams.find(slot.pointee.nextStream) {
            next.pointee.previousStream = slot.pointee.previousStream
        }
        if let previous = downstreams.find(slot.pointee.previousStream) {
            previous.pointee.nextStream = slot.pointee.nextStream
        } else {
            carrier.pointee.firstStream = slot.pointee.nextStream
        }
        carrier.pointee.streamCount -= 1
        guard carrier.pointee.session.isActive else { return }
        openWindow(slot, by: slot.pointee.input.count)
        if !slot.pointee.isStreamOver {
            slot.pointee.isStreamOver = true
            let code =
                switch failure {
                case .tooManyExchanges, .draining: HTTP2Code.refusedStream
                case .writeTimeout: HTTP2Code.cancel
                default: slot.pointee.isBroken ? HTTP2Code.internalError : HTTP2Code.cancel
                }
            carrier.pointee.session.reset(stream: slot.pointee.streamID, code: code)
            settleLater(carrier)
        }
    }

    /// Ends all streams of a connection.
    func closeStreams(_ carrier: DownstreamPointer, _ failure: Failure) {
        while let slot = downstreams.find(carrier.pointee.firstStream) {
            slot.pointee.isStreamOver = true
            closeDownstream(slot, failure == .none ? .clientGone : failure)
        }
    }
}
