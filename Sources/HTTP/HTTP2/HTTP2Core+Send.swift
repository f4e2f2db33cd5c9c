import Bytes
import CNghttp2

extension UnsafeMutablePointer where Pointee == HTTP2State {
    private static var none: UInt8 { UInt8(NGHTTP2_FLAG_NONE.rawValue) }

    // MARK: - Heads

    func respond(_ id: Int32, _ head: ByteView, hasContent: Bool) -> Bool {
        guard !pointee.isFailed, let stream = stream(id), !stream.pointee.hasAnswer,
            // «HTTP/1.1 200 …»: the status is what HTTP/2 keeps of the line.
            head.count > 16, head.starts(with: "HTTP/1.1 "), let base = head.baseAddress
        else { return false }
        let status = ByteView(start: base + 9, count: 3)
        guard let number = Decimal.read(status), number >= 100, number != 101 else { return false }
        var place = 12
        while place < head.count, base[place] != 0x0A { place += 1 }
        pointee.outgoing.removeAll()
        pointee.outgoing.append(":status", status)
        guard pointee.outgoing.appendLines(head, from: place + 1, skipsHost: true) else { return false }
        let result: Int32
        if number < 200 {
            result = nghttp2_submit_headers(
                session, Self.none, id, nil, pointee.outgoing.fields, pointee.outgoing.count, nil)
        } else if hasContent {
            var provider = dataProvider(stream)
            result = nghttp2_submit_response(
                session, id, pointee.outgoing.fields, pointee.outgoing.count, &provider)
        } else {
            result = nghttp2_submit_response(
                session, id, pointee.outgoing.fields, pointee.outgoing.count, nil)
        }
        if number >= 200, result == 0 { stream.pointee.hasAnswer = true }
        return result >= 0
    }

    func request(_ head: ByteView, _ scheme: StaticString, hasContent: Bool, _ user: UInt64) -> Int32 {
        guard mayRequest, let line = HTTP2RequestLine(head) else { return -1 }
        pointee.outgoing.removeAll()
        pointee.outgoing.append(":method", head.view(line.method))
        pointee.outgoing.append(":scheme", ByteView(start: scheme.utf8Start, count: scheme.utf8CodeUnitCount))
        if let authority = line.findHost(head) { pointee.outgoing.append(":authority", authority) }
        pointee.outgoing.append(":path", head.view(line.target))
        guard pointee.outgoing.appendLines(head, from: line.end, skipsHost: true) else { return -1 }
        let stream = pointee.streams.open(0, user: user)
        let id: Int32
        if hasContent {
            var provider = dataProvider(stream)
            id = nghttp2_submit_request(
                session, nil, pointee.outgoing.fields, pointee.outgoing.count, &provider, stream)
        } else {
            id = nghttp2_submit_request(
                session, nil, pointee.outgoing.fields, pointee.outgoing.count, nil, stream)
        }
        guard id > 0 else {
            pointee.streams.forget(stream)
            return -1
        }
        stream.pointee.id = id
        return id
    }

    var mayRequest: Bool {
        guard pointee.role == .client, !pointee.isFailed, !pointee.peerIsLeaving, pointee.drainStep == 0,
            nghttp2_session_check_request_allowed(session) != 0
        else { return false }
        let limit = nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return pointee.streams.openCount < Int(limit)
    }

    // MARK: - Content

    private func dataProvider(_ stream: HTTP2StreamPointer) -> nghttp2_data_provider {
        nghttp2_data_provider(source: nghttp2_data_source(ptr: UnsafeMutableRawPointer(stream))) {
            _, _, _, limit, flags, source, user in
            guard let core = user?.assumingMemoryBound(to: HTTP2State.self), let flags,
                let stream = source?.pointee.ptr?.assumingMemoryBound(to: HTTP2Stream.self)
            else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
            return core.announceData(stream, limit, flags)
        }
    }

    /// Says how long the next DATA frame of a stream is; nghttp2 then writes it at once.
    private func announceData(
        _ stream: HTTP2StreamPointer, _ limit: Int, _ flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        guard let output = pointee.output else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
        let room = output.pointee.room - 9
        // A short rest of the block is left empty: many small frames cost more than a second send.
        guard room >= Swift.min(limit, 2_048), room > 0 else {
            pointee.isFull = true
            return Int(NGHTTP2_ERR_PAUSE.rawValue)
        }
        let bound = Swift.min(limit, room)
        let answer = pointee.source.available(pointee.source.owner, stream.pointee.user, bound)
        guard answer >= 0 else {
            return answer == HTTP2Source.later ? Int(NGHTTP2_ERR_DEFERRED.rawValue) : breakOff(stream)
        }
        let isLast = answer & HTTP2Source.lastBit != 0
        let count = answer & ~HTTP2Source.lastBit
        guard count <= bound, count > 0 || isLast else {
            return count == 0 ? Int(NGHTTP2_ERR_DEFERRED.rawValue) : breakOff(stream)
        }
        if limit < 64, !isLast { pointee.smallFrameCount += 1 }
        flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if isLast { flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
        return count
    }

    /// Has nghttp2 reset the stream with INTERNAL_ERROR, which is not the peer's doing.
    private func breakOff(_ stream: HTTP2StreamPointer) -> Int {
        stream.pointee.isResetCounted = true
        return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }

    func send(into output: UnsafeMutablePointer<Buffer>, now: UInt64) -> Bool {
        pointee.output = output
        defer { pointee.output = nil }
        releaseLargeHead()
        pointee.isFull = false
        while true {
            if pointee.unsent.count > 0 {
                let count = Swift.min(pointee.unsent.count, output.pointee.room)
                output.pointee.append(pointee.unsent.view(0, count))
                pointee.unsent = pointee.unsent.view(count, pointee.unsent.count - count)
                if pointee.unsent.count > 0 { return true }
            }
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &bytes)
            if count < 0 {
                fail(.internalError)
                pointee.isBroken = true
                return false
            }
            if pointee.smallFrameCount > 0 { countSmallFrames(now) }
            if pointee.provokedCount > 0 { countProvokedResets(now) }
            if count == 0 { return pointee.isFull }
            pointee.unsent = ByteView(start: bytes, count: count)
            if !pointee.isGreeted { correctGreeting() }
        }
    }

    /// Puts the announced number of streams into the first SETTINGS, in nghttp2's own block.
    private func correctGreeting() {
        pointee.isGreeted = true
        guard pointee.role == .server, pointee.unsent.count >= 15, let start = pointee.unsent.baseAddress
        else { return }
        let value = UnsafeMutableRawPointer(mutating: start + 11)
        value.storeBytes(of: pointee.limits.maxConcurrentStreams.bigEndian, as: UInt32.self)
    }

    private func countSmallFrames(_ now: UInt64) {
        let count = pointee.smallFrameCount
        pointee.smallFrameCount = 0
        if !pointee.usages.smallWindows.take(pointee.limits.budgets.smallWindows, now: now, count: count) {
            fail(.smallWindows)
        }
    }

    func consume(_ id: Int32, _ byteCount: Int) {
        guard let stream = stream(id) else { return }
        let count = Swift.min(byteCount, Int(stream.pointee.unconsumed))
        guard count > 0 else { return }
        stream.pointee.unconsumed -= Int32(truncatingIfNeeded: count)
        nghttp2_session_consume(session, id, count)
    }

    // MARK: - Ends

    func reset(_ id: Int32, _ code: UInt32) {
        let stream = stream(id)
        if code == HTTP2Code.noError, let stream, stream.pointee.hasAnswer, !stream.pointee.isLocallyEnded {
            // nghttp2 would drop the rest of the answer.
            stream.pointee.resetsAtEnd = true
            return
        }
        // A request that waits to be sent is not open yet: nghttp2 takes it back.
        guard stream != nil || pointee.role == .client else { return }
        stream?.pointee.isResetCounted = true
        nghttp2_submit_rst_stream(session, Self.none, id, code)
    }

    func drain() {
        guard !pointee.isFailed, pointee.drainStep < 2 else { return }
        if pointee.role == .server, pointee.drainStep == 0 {
            pointee.drainStep = 1
            nghttp2_submit_shutdown_notice(session)
            return
        }
        pointee.drainStep = 2
        let last = nghttp2_session_get_last_proc_stream_id(session)
        nghttp2_submit_goaway(session, Self.none, last, HTTP2Code.noError, nil, 0)
    }
}

/// Where the parts of a request line stand that was written here.
struct HTTP2RequestLine {
    let method: ByteRange
    let target: ByteRange
    /// Where the field lines begin.
    let end: Int

    init?(_ head: ByteView) {
        var place = 0
        while place < head.count, head[place] != 0x20 { place += 1 }
        let targetStart = place + 1
        method = ByteRange(start: 0, count: place)
        place = targetStart
        while place < head.count, head[place] != 0x20 { place += 1 }
        guard place > targetStart, place + 11 <= head.count, head.view(place, 11).equals(" HTTP/1.1\r\n")
        else { return nil }
        target = ByteRange(start: targetStart, count: place - targetStart)
        end = place + 11
    }

    /// The value of the Host line.
    func findHost(_ head: ByteView) -> ByteView? {
        var place = end
        while place + 6 < head.count, head[place] != 0x0D {
            var stop = place
            while stop < head.count, head[stop] != 0x0D { stop += 1 }
            if head.view(place, 5).equalsIgnoringCase("host:") {
                var first = place + 5
                while first < stop, head[first] == 0x20 { first += 1 }
                return head.view(first, stop - first)
            }
            place = stop + 2
        }
        return nil
    }
}
