import Bytes
import CNghttp2

// What nghttp2 calls while it reads and writes. They copy and mark; what follows from it is decided after nghttp2 returned.

enum HTTP2Callbacks {
    static func install(_ callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
            guard let frame, let core = core(user) else { return failed }
            return beginHeaders(core, frame)
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameCount, value, valueCount, _, user in
            guard let core = core(user) else { return failed }
            let isTaken = core.takeField(
                ByteView(start: name, count: nameCount), ByteView(start: value, count: valueCount))
            if isTaken { return 0 }
            core.pointee.mark.kind = .headBomb
            return Int32(NGHTTP2_ERR_PAUSE.rawValue)
        }
        // A field that nghttp2 would leave out makes the message malformed (RFC 9113 §8.2.1).
        nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) { _, _, _, _, _, _, _, _ in
            Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            guard let frame, let core = core(user) else { return failed }
            frameReceived(core, frame)
            return 0
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, _, user in
            guard let frame, let core = core(user) else { return failed }
            core.pointee.provokedCount += 1
            core.stream(frame.pointee.hd.stream_id)?.pointee.isResetCounted = true
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, user in
            guard let core = core(user) else { return failed }
            guard let stream = core.stream(id), count > 0 else { return 0 }
            stream.pointee.unconsumed += Int32(truncatingIfNeeded: count)
            core.pointee.mark.frameHasContent = true
            core.pointee.mark.contentStream = stream
            core.pointee.mark.content = ByteView(start: bytes, count: count)
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            guard let core = core(user) else { return failed }
            core.closeStream(id, code)
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            guard let frame, let core = core(user) else { return failed }
            core.frameSent(frame)
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, _, header, count, source, user in
            guard let header, let source, let core = core(user) else { return failed }
            core.writeData(header, count, source.pointee.ptr)
            return 0
        }
    }
}

private var failed: Int32 { Int32(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }

private func core(_ user: UnsafeMutableRawPointer?) -> HTTP2Core? {
    user?.assumingMemoryBound(to: HTTP2State.self)
}

private func beginHeaders(_ core: HTTP2Core, _ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
    let id = frame.pointee.hd.stream_id
    let isEnd = frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    if core.pointee.role == .server, frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
        let stream = core.pointee.streams.open(id, user: 0)
        nghttp2_session_set_stream_user_data(core.session, id, stream)
        core.pointee.history.note(id, .open)
        core.beginHead(.request, stream, isEnd: isEnd)
        let isOneTooMany = core.pointee.streams.openCount > Int(core.pointee.limits.maxConcurrentStreams)
        guard isOneTooMany || core.pointee.mark.isSelfDependent else { return 0 }
        core.pointee.provokedCount += 1
        stream.pointee.isResetCounted = true
        nghttp2_submit_rst_stream(
            core.session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id,
            isOneTooMany ? HTTP2Code.refusedStream : HTTP2Code.protocolError)
        return Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    guard let stream = core.stream(id) else {
        return Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    let isHead = core.pointee.role == .client && !stream.pointee.hasFinalHead
    core.beginHead(isHead ? .response : .trailers, stream, isEnd: isEnd)
    return 0
}

private func frameReceived(_ core: HTTP2Core, _ frame: UnsafePointer<nghttp2_frame>) {
    let header = frame.pointee.hd
    let isEnd = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue: core.endHead(isEnd: isEnd)
    case NGHTTP2_DATA.rawValue:
        if isEnd {
            core.pointee.mark.stream = core.stream(header.stream_id)
            core.pointee.mark.kind = .end
        } else if header.length > 0, !core.pointee.mark.frameHasContent {
            // Padding alone; a frame without a byte was counted by its header.
            core.pointee.mark.kind = .emptyData
        }
    case NGHTTP2_SETTINGS.rawValue:
        if core.settingsOverflowed() { core.pointee.mark.kind = .windowOverflow }
    case NGHTTP2_GOAWAY.rawValue: core.pointee.peerIsLeaving = true
    default: break
    }
}

extension UnsafeMutablePointer where Pointee == HTTP2State {
    func closeStream(_ id: Int32, _ code: UInt32) {
        if pointee.role == .server, id & 1 == 1, pointee.history.find(id) == .open {
            pointee.history.note(id, .ended)
        }
        guard let stream = stream(id) else { return }
        if pointee.incoming.stream == stream {
            pointee.incoming.stream = nil
            pointee.incoming.kind = .none
        }
        // What nobody will consume any more must not narrow the connection's window.
        if stream.pointee.unconsumed > 0 {
            nghttp2_session_consume_connection(session, Int(stream.pointee.unconsumed))
            stream.pointee.unconsumed = 0
        }
        pointee.streams.close(stream, code: code)
    }

    func frameSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            guard let stream = stream(header.stream_id) else { return }
            stream.pointee.isSent = true
            guard header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 else { return }
            stream.pointee.isLocallyEnded = true
            if stream.pointee.resetsAtEnd {
                stream.pointee.isResetCounted = true
                nghttp2_submit_rst_stream(
                    session, UInt8(NGHTTP2_FLAG_NONE.rawValue), header.stream_id, HTTP2Code.noError)
            }
        case NGHTTP2_RST_STREAM.rawValue:
            // Some mistakes, content past its length among them, nghttp2 answers without a word to us.
            if let stream = stream(header.stream_id), !stream.pointee.isResetCounted {
                pointee.provokedCount += 1
            }
            if pointee.role == .server, header.stream_id & 1 == 1, !pointee.history.isNew(header.stream_id) {
                pointee.history.note(header.stream_id, .ignored)
            }
        case NGHTTP2_GOAWAY.rawValue:
            let code = frame.pointee.goaway.error_code
            guard code != HTTP2Code.noError, !pointee.isFailed else { return }
            pointee.isFailed = true
            pointee.failure = HTTP2Failure(code: code)
        default: break
        }
    }

    /// Writes a whole DATA frame, for which the reading callback saw room.
    func writeData(_ header: UnsafePointer<UInt8>, _ count: Int, _ place: UnsafeMutableRawPointer?) {
        guard let output = pointee.output, let stream = place?.assumingMemoryBound(to: HTTP2Stream.self)
        else { return }
        output.pointee.append(ByteView(start: header, count: 9))
        guard count > 0, let room = output.pointee.writable.baseAddress else { return }
        pointee.source.take(pointee.source.owner, stream.pointee.user, room, count)
        output.pointee.grow(by: count)
    }
}
