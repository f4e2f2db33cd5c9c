import Bytes
import CNghttp2

// Frames are divided here and judged by their headers before nghttp2 sees them: it forgets closed streams and ignores
// most of what then comes for them, and it knows no budgets.

extension UnsafeMutablePointer where Pointee == HTTP2State {
    /// What to do with a frame whose header is known.
    private enum Judgement {
        case feed
        case skip
        case fail(HTTP2Failure)
    }

    /// Feeds `bytes` up to the first event; answers how many were taken.
    func receive(_ bytes: ByteView, now: UInt64) -> (consumed: Int, event: HTTP2Event) {
        pointee.mark.kind = .none
        pointee.mark.contentStream = nil
        releaseLargeHead()
        var place = 0
        while !pointee.isFailed {
            if pointee.input.prefaceLeft > 0 {
                guard place < bytes.count else { return (place, .none) }
                readPreface(bytes, &place)
            } else if pointee.input.payloadLeft > 0 {
                guard place < bytes.count else { return (place, .none) }
                let count = Swift.min(pointee.input.payloadLeft, bytes.count - place)
                pointee.input.payloadLeft -= count
                if !pointee.input.isSkipping { feed(bytes.baseAddress! + place, count, now) }
                place += count
            } else {
                guard readFrameStart(bytes, &place, now) else { return (place, .none) }
            }
            if let event = takeEvent(now) { return (place, event) }
        }
        return (bytes.count, .failed)
    }

    private func readPreface(_ bytes: ByteView, _ place: inout Int) {
        let preface = HTTP2Input.preface
        while pointee.input.prefaceLeft > 0, place < bytes.count {
            let index = preface.utf8CodeUnitCount - pointee.input.prefaceLeft
            guard bytes[place] == preface.utf8Start[index] else { return fail(.badPreface) }
            pointee.input.prefaceLeft -= 1
            place += 1
        }
    }

    /// Judges the next frame and feeds what of it is there; false when its start is not all there yet.
    private func readFrameStart(_ bytes: ByteView, _ place: inout Int, _ now: UInt64) -> Bool {
        if pointee.input.heldCount == 0, bytes.count - place >= 9 {
            // The usual case: the frame's start lies in `bytes` and is fed with its payload at once.
            let frame = HTTP2FrameStart(bytes.baseAddress! + place)
            if bytes.count - place >= frame.judgedCount, !isSelfDependent(frame) {
                let count = Swift.min(9 + frame.length, bytes.count - place)
                begin(frame, now)
                pointee.input.payloadLeft = 9 + frame.length - count
                if !pointee.input.isSkipping, !pointee.isFailed {
                    feed(bytes.baseAddress! + place, count, now)
                }
                place += count
                return true
            }
        }
        return withUnsafeMutablePointer(to: &pointee.input.held) { held in
            let start = UnsafeMutableRawPointer(held).assumingMemoryBound(to: UInt8.self)
            var needed = 9
            while true {
                if pointee.input.heldCount >= 9 { needed = HTTP2FrameStart(start).judgedCount }
                if pointee.input.heldCount == needed { break }
                guard place < bytes.count else { return false }
                start[pointee.input.heldCount] = bytes[place]
                pointee.input.heldCount += 1
                place += 1
            }
            let frame = HTTP2FrameStart(start)
            begin(frame, now)
            // nghttp2 would end the connection; on stream 0 it lets it pass, and the callback resets the stream.
            if isSelfDependent(frame) { for index in needed - 4..<needed { start[index] = 0 } }
            pointee.input.heldCount = 0
            pointee.input.payloadLeft = 9 + frame.length - needed
            if !pointee.input.isSkipping, !pointee.isFailed { feed(start, needed, now) }
            return true
        }
    }

    private func isSelfDependent(_ frame: HTTP2FrameStart) -> Bool {
        frame.type == .headers && frame.stream != 0 && frame.dependency == frame.stream
    }

    private func begin(_ frame: HTTP2FrameStart, _ now: UInt64) {
        pointee.mark.frameHasContent = false
        pointee.input.isSkipping = false
        switch judge(frame, now) {
        case .feed: break
        case .skip: pointee.input.isSkipping = true
        case .fail(let failure): fail(failure)
        }
    }

    private func judge(_ frame: HTTP2FrameStart, _ now: UInt64) -> Judgement {
        let block = pointee.input.blockStream
        // What breaks a header block or comes before SETTINGS is nghttp2's to refuse.
        if !pointee.input.sawSettings {
            pointee.input.sawSettings = true
            return .feed
        }
        if block != 0 {
            return frame.type == .continuation && frame.stream == block
                ? judgeContinuation(frame, now) : .feed
        }
        guard frame.length <= Int(pointee.limits.maxFrameByteCount) else { return .fail(.frameSizeError) }
        switch frame.type {
        case .headers: return judgeHeaders(frame, now)
        case .data: return judgeData(frame, now)
        case .priority: return judgePriority(frame, now)
        case .resetStream:
            return pointee.usages.resets.take(pointee.limits.budgets.resets, now: now)
                ? .feed : .fail(.resets)
        case .windowUpdate:
            if frame.length == 4, frame.increment == 0, let stream = stream(frame.stream) {
                return reset(stream, HTTP2Code.protocolError, now) ? .skip : .fail(.provokedResets)
            }
            if frame.length == 4, frame.increment < 64, frame.increment > 0,
                !pointee.usages.smallWindows.take(pointee.limits.budgets.smallWindows, now: now)
            {
                return .fail(.smallWindows)
            }
            return .feed
        case .settings:
            pointee.windowsBefore = widestWindows()
            return pointee.usages.controlFrames.take(pointee.limits.budgets.controlFrames, now: now)
                ? .feed : .fail(.controlFrames)
        case .priorityUpdate where frame.length >= 4 && frame.prioritized == 0:
            return .fail(.protocolError)
        case .continuation: return .feed
        // No client may, and a server may not after ENABLE_PUSH 0, which goes before any request.
        case .pushPromise: return .fail(.protocolError)
        default:
            return pointee.usages.controlFrames.take(pointee.limits.budgets.controlFrames, now: now)
                ? .feed : .fail(.controlFrames)
        }
    }

    private func judgeHeaders(_ frame: HTTP2FrameStart, _ now: UInt64) -> Judgement {
        pointee.input.continuationCount = 0
        if !frame.has(.endHeaders) { pointee.input.blockStream = frame.stream }
        if frame.length == 0, !pointee.usages.emptyFrames.take(pointee.limits.budgets.emptyFrames, now: now) {
            return .fail(.emptyFrames)
        }
        guard pointee.role == .server, frame.isOfClient else { return .feed }
        pointee.mark.isSelfDependent = isSelfDependent(frame)
        if pointee.history.isNew(frame.stream) {
            // Until nghttp2 takes it: one it refuses counts as reset by us.
            pointee.history.note(frame.stream, .ignored)
            return .feed
        }
        if let stream = stream(frame.stream), !stream.pointee.isResetCounted {
            guard pointee.mark.isSelfDependent else { return .feed }
            pointee.mark.isSelfDependent = false
            return reset(stream, HTTP2Code.protocolError, now) ? .feed : .fail(.provokedResets)
        }
        switch pointee.history.find(frame.stream) {
        case .skipped: return .fail(.protocolError)
        case .ended: return .fail(.streamClosed)
        case .ignored, .open:
            // One field section may be late for a stream, its trailers.
            return pointee.usages.emptyFrames.take(pointee.limits.budgets.emptyFrames, now: now)
                ? .feed : .fail(.emptyFrames)
        }
    }

    private func judgeContinuation(_ frame: HTTP2FrameStart, _ now: UInt64) -> Judgement {
        if frame.has(.endHeaders) { pointee.input.blockStream = 0 }
        pointee.input.continuationCount += 1
        guard pointee.input.continuationCount <= pointee.limits.continuationCount else {
            return .fail(.continuations)
        }
        if frame.length == 0, !pointee.usages.emptyFrames.take(pointee.limits.budgets.emptyFrames, now: now) {
            return .fail(.emptyFrames)
        }
        return frame.length <= Int(pointee.limits.maxFrameByteCount) ? .feed : .fail(.frameSizeError)
    }

    private func judgeData(_ frame: HTTP2FrameStart, _ now: UInt64) -> Judgement {
        if frame.length == 0, !frame.has(.endStream),
            !pointee.usages.emptyFrames.take(pointee.limits.budgets.emptyFrames, now: now)
        {
            return .fail(.emptyFrames)
        }
        guard pointee.role == .server, frame.isOfClient, !pointee.history.isNew(frame.stream),
            stream(frame.stream)?.pointee.isResetCounted != false
        else { return .feed }
        switch pointee.history.find(frame.stream) {
        case .skipped, .ended: return .fail(.streamClosed)
        case .ignored, .open:
            // nghttp2 ignores it without a word, so what has no content is counted here.
            guard frame.has(.padded) || frame.length == 0 && frame.has(.endStream) else { return .feed }
            return pointee.usages.emptyFrames.take(pointee.limits.budgets.emptyFrames, now: now)
                ? .feed : .fail(.emptyFrames)
        }
    }

    /// PRIORITY means nothing under RFC 9218: only its form is judged.
    private func judgePriority(_ frame: HTTP2FrameStart, _ now: UInt64) -> Judgement {
        guard pointee.usages.controlFrames.take(pointee.limits.budgets.controlFrames, now: now) else {
            return .fail(.controlFrames)
        }
        guard frame.stream != 0 else { return .fail(.protocolError) }
        let failure: HTTP2Failure
        if frame.length != 5 {
            failure = .frameSizeError
        } else if frame.dependency == frame.stream {
            failure = .protocolError
        } else {
            return .skip
        }
        // RST_STREAM may not be sent for an idle stream (RFC 9113 §6.4): then the connection ends.
        guard let stream = stream(frame.stream) else { return .fail(failure) }
        return reset(stream, failure.code, now) ? .skip : .fail(.provokedResets)
    }

    /// The peer's initial window and the widest of its streams' windows.
    private func widestWindows() -> (initial: Int64, widest: Int64) {
        let initial = nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
        var widest: Int64 = 0
        pointee.streams.forEachOpen { stream in
            let window = nghttp2_session_get_stream_remote_window_size(session, stream.pointee.id)
            widest = Swift.max(widest, Int64(window))
        }
        return (Int64(initial), widest)
    }

    /// Tells whether the SETTINGS that nghttp2 just took widened a window past 2^31 - 1: for nghttp2 that ends the stream,
    /// for RFC 9113 §6.9.2 the connection.
    func settingsOverflowed() -> Bool {
        let before = pointee.windowsBefore
        let initial = nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
        return before.widest > 0 && before.widest + Int64(initial) - before.initial > Int64(Int32.max)
    }

    /// Resets a stream for a mistake of the peer; false when it made too many.
    private func reset(_ stream: HTTP2StreamPointer, _ code: UInt32, _ now: UInt64) -> Bool {
        stream.pointee.isResetCounted = true
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.pointee.id, code)
        return pointee.usages.provokedResets.take(pointee.limits.budgets.provokedResets, now: now)
    }

    private func feed(_ start: UnsafePointer<UInt8>, _ count: Int, _ now: UInt64) {
        var place = 0
        while place < count, !pointee.isFailed {
            let taken = nghttp2_session_mem_recv(session, start + place, count - place)
            if taken < 0 { return failReceiving(taken) }
            place += taken
            if pointee.mark.kind == .headBomb { return fail(.headTooLarge) }
            if pointee.mark.kind == .windowOverflow { return fail(.flowControlError) }
        }
        if pointee.provokedCount > 0 { countProvokedResets(now) }
        if nghttp2_session_get_outbound_queue_size(session) > pointee.limits.waitingFrameCount {
            fail(.unreadFrames)
        }
    }

    func countProvokedResets(_ now: UInt64) {
        let count = pointee.provokedCount
        pointee.provokedCount = 0
        if !pointee.usages.provokedResets.take(pointee.limits.budgets.provokedResets, now: now, count: count)
        {
            fail(.provokedResets)
        }
    }

    @inline(never) private func failReceiving(_ error: Int) {
        switch Int32(error) {
        case NGHTTP2_ERR_FLOODED.rawValue: fail(.controlFrames)
        case NGHTTP2_ERR_TOO_MANY_SETTINGS.rawValue: fail(.controlFrames)
        default: fail(.internalError)
        }
    }

    /// Turns what the callbacks marked into an event.
    private func takeEvent(_ now: UInt64) -> HTTP2Event? {
        if pointee.isFailed { return .failed }
        let mark = pointee.mark
        if mark.kind == .none, mark.contentStream == nil { return nil }
        pointee.mark.kind = .none
        switch mark.kind {
        case .malformed:
            guard let stream = mark.stream else { return nil }
            guard reset(stream, HTTP2Code.protocolError, now) else {
                fail(.provokedResets)
                return .failed
            }
            return nil
        case .emptyData:
            guard pointee.usages.emptyFrames.take(pointee.limits.budgets.emptyFrames, now: now) else {
                fail(.emptyFrames)
                return .failed
            }
            return nil
        default: break
        }
        if let stream = mark.contentStream {
            pointee.mark.contentStream = nil
            return takeContent(stream, mark.content, isEnd: mark.kind == .end)
        }
        guard let stream = mark.stream else { return nil }
        switch mark.kind {
        case .head: return .head(stream: stream.pointee.id, user: stream.pointee.user, isEnd: mark.isEnd)
        case .tooLarge: return .tooLarge(stream: stream.pointee.id)
        default:
            guard stream.pointee.hasKeptByte else {
                return .end(stream: stream.pointee.id, user: stream.pointee.user)
            }
            stream.pointee.hasKeptByte = false
            let place = UnsafeRawPointer(stream) + MemoryLayout<HTTP2Stream>.offset(of: \.keptByte)!
            let byte = ByteView(start: place.assumingMemoryBound(to: UInt8.self), count: 1)
            return .content(stream: stream.pointee.id, user: stream.pointee.user, byte, isEnd: true)
        }
    }

    /// Gives content out, but the last byte of a length only with END_STREAM: whoever counts takes the message for whole then,
    /// and it is malformed if more comes (RFC 9113 §8.1.1).
    private func takeContent(_ stream: HTTP2StreamPointer, _ bytes: ByteView, isEnd: Bool) -> HTTP2Event? {
        var bytes = bytes
        if stream.pointee.contentLeft >= 0 {
            // nghttp2 has refused what is past the length.
            stream.pointee.contentLeft -= Int64(bytes.count)
            if stream.pointee.contentLeft == 0, !isEnd, let last = bytes.last {
                stream.pointee.keptByte = last
                stream.pointee.hasKeptByte = true
                bytes = bytes.view(0, bytes.count - 1)
                if bytes.isEmpty { return nil }
            }
        }
        return .content(stream: stream.pointee.id, user: stream.pointee.user, bytes, isEnd: isEnd)
    }
}
