import Bytes
import CNghttp2

#if canImport(Glibc)
    import Glibc
#endif

/// A head in HTTP/1.1 form on its way to HPACK: the fields of one at a time, in memory that is reused.
struct HTTP2OutgoingHead: ~Copyable {
    var fields: UnsafeMutablePointer<nghttp2_nv>?
    var capacity = 0
    var count = 0
    /// The date in the response before, its last eight bytes but the zone: minutes and seconds.
    var dateTail: UInt64 = 0
    var dateCount: UInt32 = 0

    deinit { fields?.deallocate() }

    mutating func removeAll() { count = 0 }

    /// Adds a field; nghttp2 copies the value, and the name when it is not one of ours.
    mutating func append(_ name: ByteView, isOurs: Bool, _ value: ByteView, isIndexed: Bool) {
        if count == capacity { enlarge() }
        var flags = isIndexed ? NGHTTP2_NV_FLAG_NONE.rawValue : NGHTTP2_NV_FLAG_NO_INDEX.rawValue
        if isOurs { flags |= NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue }
        fields![count] = nghttp2_nv(
            name: UnsafeMutablePointer(mutating: name.baseAddress),
            value: UnsafeMutablePointer(mutating: value.baseAddress),
            namelen: name.count, valuelen: value.count, flags: UInt8(flags))
        count += 1
    }

    mutating func append(_ name: StaticString, _ value: ByteView) {
        append(
            ByteView(start: name.utf8Start, count: name.utf8CodeUnitCount), isOurs: true, value,
            isIndexed: true)
    }

    private mutating func enlarge() {
        let larger = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: max(24, capacity * 2))
        if let fields {
            larger.update(from: fields, count: count)
            fields.deallocate()
        }
        fields = larger
        capacity = max(24, capacity * 2)
    }

    /// Adds the field lines that stand between `start` and the empty line; false when they are none.
    ///
    /// - Source: RFC 9113 §8.2.2: fields of one connection are left out.
    mutating func appendLines(_ head: ByteView, from start: Int, skipsHost: Bool) -> Bool {
        guard let base = head.baseAddress else { return false }
        var place = start
        while true {
            let line = place
            // The C library looks at many bytes at once.
            guard line < head.count, let end = memchr(base + line, 0x0D, head.count - line) else {
                return false
            }
            place = UnsafeRawPointer(end) - UnsafeRawPointer(base)
            guard place + 1 < head.count, base[place + 1] == 0x0A else { return false }
            if place == line { return true }
            guard let mark = memchr(base + line, 0x3A, place - line) else { return false }
            let colon = UnsafeRawPointer(mark) - UnsafeRawPointer(base)
            guard colon > line else { return false }
            var first = colon + 1
            while first < place, base[first] == 0x20 || base[first] == 0x09 { first += 1 }
            appendLine(
                ByteView(start: base + line, count: colon - line),
                ByteView(start: base + first, count: place - first), skipsHost)
            place += 2
        }
    }

    private mutating func appendLine(_ name: ByteView, _ value: ByteView, _ skipsHost: Bool) {
        let known = FieldName.find(name)
        switch known {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .http2Settings: return
        case .host where skipsHost: return
        case .te where !value.equalsIgnoringCase("trailers"): return
        case .other: append(name, isOurs: false, value, isIndexed: true)
        default:
            append(HTTP2FieldNames.lowerCase(known), isOurs: true, value, isIndexed: isIndexed(known, value))
        }
    }

    /// Tells whether a value may enter the peer's table: never one that does not come again, which would only push out
    /// what does, and never a secret (RFC 7541 §7.1.3).
    private mutating func isIndexed(_ name: FieldName, _ value: ByteView) -> Bool {
        switch name {
        case .date:
            noteDate(value)
            return true
        case .xGatehouseRequestID, .xComputeRequestID, .xOpenStackRequestID:
            // Now and then one is, so that the table has at least the name.
            return dateCount & 15 == 1
        default: return !name.isSensitive
        }
    }

    private mutating func noteDate(_ value: ByteView) {
        guard value.count > 12, let base = value.baseAddress else { return }
        let tail = UnsafeRawPointer(base).loadUnaligned(fromByteOffset: value.count - 12, as: UInt64.self)
        guard tail != dateTail else {
            // The second response of a date: the names are in the table.
            if dateCount & 15 == 1 { dateCount &+= 1 }
            return
        }
        dateTail = tail
        dateCount &+= 1
    }
}

/// The known field names in lower case, as HTTP/2 has them.
enum HTTP2FieldNames {
    /// Written once, never freed, never changed: nghttp2 points into it.
    nonisolated(unsafe) private static let names: UnsafePointer<ByteView> = {
        let table = UnsafeMutablePointer<ByteView>.allocate(capacity: FieldName.knownCount)
        for name in FieldName.allCases {
            let spelling = name.canonical
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: spelling.utf8CodeUnitCount + 1)
            for index in 0..<spelling.utf8CodeUnitCount {
                bytes[index] = ASCII.lowercased(spelling.utf8Start[index])
            }
            bytes[spelling.utf8CodeUnitCount] = 0
            table[Int(name.rawValue)] = ByteView(start: bytes, count: spelling.utf8CodeUnitCount)
        }
        return UnsafePointer(table)
    }()

    static func lowerCase(_ name: FieldName) -> ByteView { names[Int(name.rawValue)] }
}
