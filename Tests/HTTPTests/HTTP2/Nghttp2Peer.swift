import CNghttp2

/// A client made of nghttp2 alone, to read what a session of ours writes.
final class Nghttp2Peer {
    struct Field: Equatable {
        var name: String
        var value: String
        /// The representation says that nobody may index it (RFC 7541 §6.2.3).
        var isNeverIndexed: Bool
    }

    var session: OpaquePointer?
    var fields: [Int32: [Field]] = [:]
    var content: [Int32: [UInt8]] = [:]
    var closed: [Int32: UInt32] = [:]
    var goneAway: UInt32?

    init() {
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, valueCount, flags, user in
            Nghttp2Peer.find(user).fields[frame!.pointee.hd.stream_id, default: []].append(
                Field(
                    name: UnsafeBufferPointer(start: name, count: nameCount).latin1,
                    value: UnsafeBufferPointer(start: value, count: valueCount).latin1,
                    isNeverIndexed: UInt32(flags) & NGHTTP2_NV_FLAG_NO_INDEX.rawValue != 0))
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, user in
            Nghttp2Peer.find(user).content[id, default: []] += UnsafeBufferPointer(start: bytes, count: count)
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, user in
            Nghttp2Peer.find(user).closed[id] = code
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            if UInt32(frame!.pointee.hd.type) == NGHTTP2_GOAWAY.rawValue {
                Nghttp2Peer.find(user).goneAway = frame!.pointee.goaway.error_code
            }
            return 0
        }
        nghttp2_session_client_new(&session, callbacks, Unmanaged.passUnretained(self).toOpaque())
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_submit_settings(session, 0, nil, 0)
    }

    deinit { nghttp2_session_del(session) }

    private static func find(_ user: UnsafeMutableRawPointer?) -> Nghttp2Peer {
        Unmanaged<Nghttp2Peer>.fromOpaque(user!).takeUnretainedValue()
    }

    /// Opens a stream without content.
    func request(_ fields: [(String, String)]) -> Int32 {
        var bytes = fields.map { (Array($0.0.utf8), Array($0.1.utf8)) }
        return withUnsafeMutablePointer(to: &bytes) { bytes in
            let places = bytes.pointee.map { name, value in
                let name = UnsafeMutablePointer<UInt8>.allocate(copying: name)
                let value = UnsafeMutablePointer<UInt8>.allocate(copying: value)
                return (name, value)
            }
            defer {
                for place in places {
                    place.0.deallocate()
                    place.1.deallocate()
                }
            }
            let lines = zip(places, bytes.pointee).map { place, line in
                nghttp2_nv(
                    name: place.0, value: place.1, namelen: line.0.count, valuelen: line.1.count, flags: 0)
            }
            return nghttp2_submit_request(session, nil, lines, lines.count, nil, nil)
        }
    }

    /// What it wants to send.
    func write() -> [UInt8] {
        var written: [UInt8] = []
        while true {
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &bytes)
            guard count > 0 else { return written }
            written += UnsafeBufferPointer(start: bytes, count: count)
        }
    }

    /// Reads what a session of ours wrote; false when nghttp2 refuses it.
    func read(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer {
            nghttp2_session_mem_recv(session, $0.baseAddress, $0.count) == $0.count
        }
    }
}

extension UnsafeMutablePointer where Pointee == UInt8 {
    fileprivate static func allocate(copying bytes: [UInt8]) -> Self {
        let place = Self.allocate(capacity: max(bytes.count, 1))
        for (index, byte) in bytes.enumerated() { place[index] = byte }
        return place
    }
}
