import CNghttp2
import Glibc

private func connection(_ user: UnsafeMutableRawPointer?) -> HTTP2Connection {
    // The connection made its session and outlives it.
    Unmanaged<HTTP2Connection>.fromOpaque(user!).takeUnretainedValue()
}

/// What nghttp2 calls; every function copies and marks, decisions are its connection's.
enum HTTP2Callbacks {
    static func set(_ callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, valueCount, _, user in
            connection(user).heard(
                frame!.pointee.hd.stream_id,
                name: String(decoding: UnsafeBufferPointer(start: name, count: nameCount), as: UTF8.self),
                value: String(decoding: UnsafeBufferPointer(start: value, count: valueCount), as: UTF8.self))
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            let header = frame!.pointee.hd
            let connection = connection(user)
            switch UInt32(header.type) {
            case NGHTTP2_HEADERS.rawValue: connection.heardHead(header.stream_id)
            case NGHTTP2_GOAWAY.rawValue:
                let goaway = frame!.pointee.goaway
                connection.heardLeaving(last: goaway.last_stream_id, code: goaway.error_code)
            default: break
            }
            let carriesContent = [NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue].contains(
                UInt32(header.type))
            if carriesContent, UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0 {
                connection.heardEnd(header.stream_id)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, id, bytes, count, user in
            connection(user).heard(id, content: UnsafeBufferPointer(start: bytes, count: count))
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            connection(user).heardClose(id, code: code)
            return 0
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, code, user in
            connection(user).heardInvalid(
                "frame of type \(frame!.pointee.hd.type) broke a rule: \(HTTP2Connection.text(code))")
            return 0
        }
    }

    /// Content comes from the stream's `outgoing`.
    static var provider: nghttp2_data_provider {
        nghttp2_data_provider(source: nghttp2_data_source(ptr: nil)) {
            session, id, place, room, flags, _, user in
            guard let stream = connection(user).stream(id) else {
                return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
            }
            let count = min(room, stream.outgoing.count)
            if count == 0, !stream.outgoingEnds { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
            if count > 0 { _ = stream.outgoing.withUnsafeBytes { memcpy(place!, $0.baseAddress!, count) } }
            stream.outgoing = stream.outgoing.dropFirst(count)
            if stream.outgoing.isEmpty, stream.outgoingEnds {
                flags!.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
                if !stream.outgoingTrailers.isEmpty {
                    flags!.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                    HTTP2Callbacks.withFields(stream.outgoingTrailers) {
                        nghttp2_submit_trailer(session, id, $0, $1)
                    }
                }
            }
            return count
        }
    }

    /// Lends fields in nghttp2's form; it copies them.
    @discardableResult
    static func withFields(
        _ fields: [(name: String, value: String)], _ body: (UnsafePointer<nghttp2_nv>, Int) -> Int32
    ) -> Int32 {
        var bytes: [UInt8] = []
        var places: [(name: Int, value: Int, end: Int)] = []
        for field in fields {
            let start = bytes.count
            bytes += field.name.utf8
            let middle = bytes.count
            bytes += field.value.utf8
            places.append((start, middle, bytes.count))
        }
        // So that there is an address even for nothing but empty ones.
        bytes.append(0)
        return bytes.withUnsafeMutableBufferPointer { buffer in
            let base = buffer.baseAddress!
            let list = places.map {
                nghttp2_nv(
                    name: base + $0.name, value: base + $0.value, namelen: $0.value - $0.name,
                    valuelen: $0.end - $0.value, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            return list.withUnsafeBufferPointer { body($0.baseAddress!, $0.count) }
        }
    }
}
