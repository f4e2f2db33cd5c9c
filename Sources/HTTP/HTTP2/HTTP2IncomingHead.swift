import Bytes
import CNghttp2

/// The head that is being received, field by field; its bytes in HTTP/1.1 form are in `HTTP2State.head`.
///
/// - Shape: pseudo-fields come first, in any order, and are kept at the front of the block; the start line is written
///   behind them when the first other field or the end comes, and then the field lines as they come.
struct HTTP2IncomingHead {
    enum Kind: UInt8 {
        case none, request, response, trailers
    }

    var kind = Kind.none
    var stream: HTTP2StreamPointer?
    /// The field section's size as RFC 9113 §10.5.1 counts it.
    var sectionByteCount = 0
    var isMalformed = false
    var isTooLarge = false
    var hasLine = false
    var hasLength = false
    var length: Int64 = -1
    /// END_STREAM is on the HEADERS.
    var isEnd = false
    /// A response's, not an interim one's.
    var isFinal = false
    var method = ByteRange.empty
    var path = ByteRange.empty
    var authority = ByteRange.empty

    static let firstByteCount = 1_000
    static let keptByteCount = 2_000
}

extension UnsafeMutablePointer where Pointee == HTTP2State {
    func beginHead(_ kind: HTTP2IncomingHead.Kind, _ stream: HTTP2StreamPointer, isEnd: Bool) {
        pointee.incoming = HTTP2IncomingHead(kind: kind, stream: stream, isEnd: isEnd)
        pointee.head.removeAll()
        pointee.cookies.removeAll()
    }

    /// Takes one field, which nghttp2 found well-formed; false when the section is so large that it is an attack.
    func takeField(_ name: ByteView, _ value: ByteView) -> Bool {
        pointee.incoming.sectionByteCount += name.count + value.count + 32
        let limit = pointee.limits.headByteCount
        guard pointee.incoming.sectionByteCount <= limit * 4 else { return false }
        guard pointee.incoming.kind != .trailers, !pointee.incoming.isTooLarge else { return true }
        // Twice: pseudo-fields and cookies are copied once more at the end.
        let byteCount = name.count + value.count + 64
        guard makeRoom(byteCount) else {
            pointee.incoming.isTooLarge = true
            return true
        }
        if name[0] == UInt8(ascii: ":") {
            takePseudoField(name, value)
        } else {
            if !pointee.incoming.hasLine { writeRequestLine() }
            takeOrdinaryField(name, value)
        }
        return true
    }

    /// Makes the head's block have room for `byteCount` more; false when the head would be over its limit.
    private func makeRoom(_ byteCount: Int) -> Bool {
        if pointee.head.room >= byteCount { return true }
        let needed = pointee.head.end + byteCount
        guard needed <= pointee.limits.headByteCount * 2 + 256 else { return false }
        pointee.head.enlarge(
            to: Swift.max(HTTP2IncomingHead.firstByteCount, Swift.max(needed, pointee.head.capacity * 2)))
        return true
    }

    private func takePseudoField(_ name: ByteView, _ value: ByteView) {
        let range = ByteRange(start: pointee.head.end, count: value.count)
        switch name[1] {
        case UInt8(ascii: "m"):
            pointee.head.append(value)
            pointee.incoming.method = range
        case UInt8(ascii: "p"):
            pointee.head.append(value)
            pointee.incoming.path = range
        case UInt8(ascii: "a"):
            pointee.head.append(value)
            pointee.incoming.authority = range
            // RFC 9113 §8.3.1: no user information.
            if value.contains(UInt8(ascii: "@")) { pointee.incoming.isMalformed = true }
        case UInt8(ascii: "s"):
            if pointee.incoming.kind == .response { return writeStatusLine(value) }
            if !value.equalsIgnoringCase("https"), !value.equalsIgnoringCase("http") {
                pointee.incoming.isMalformed = true
            }
        default: pointee.incoming.isMalformed = true
        }
    }

    private func writeStatusLine(_ value: ByteView) {
        pointee.incoming.hasLine = true
        guard let status = Decimal.read(value), value.count == 3 else {
            pointee.incoming.isMalformed = true
            return
        }
        pointee.incoming.isFinal = status >= 200
        pointee.head.appendStatusLine(Int(status))
    }

    private func writeRequestLine() {
        let incoming = pointee.incoming
        pointee.incoming.hasLine = true
        guard makeRoom(pointee.head.count + 64) else {
            pointee.incoming.isTooLarge = true
            return
        }
        let pseudo = pointee.head.all
        // CONNECT has an authority and no path; the request reader refuses it.
        let method = pseudo.view(incoming.method)
        let path = method.equals("CONNECT") ? incoming.authority : incoming.path
        let start = pointee.head.end
        pointee.head.append(method)
        pointee.head.append(0x20)
        pointee.head.append(pseudo.view(path))
        pointee.head.append(" HTTP/1.1\r\n")
        if !incoming.authority.isEmpty {
            pointee.head.append("host: ")
            pointee.head.append(pseudo.view(incoming.authority))
            pointee.head.appendLineEnd()
        }
        pointee.head.consume(start)
    }

    private func takeOrdinaryField(_ name: ByteView, _ value: ByteView) {
        if pointee.incoming.kind == .request {
            switch name.count {
            case 4 where name.equals("host"):
                guard !pointee.incoming.authority.isEmpty else { break }
                // RFC 9113 §8.3.1: a host that is not the authority makes the request malformed.
                let authority = pointee.head.all.view(pointee.incoming.authority)
                if !value.equalsIgnoringCase(authority) { pointee.incoming.isMalformed = true }
                return
            case 6 where name.equals("cookie"):
                // RFC 9113 §8.2.3: crumbs become one line before anything but HTTP/2 sees them.
                let needed = pointee.cookies.end + value.count + 2
                if needed > pointee.cookies.capacity { pointee.cookies.enlarge(to: needed * 2) }
                if !pointee.cookies.isEmpty { pointee.cookies.append("; ") }
                pointee.cookies.append(value)
                if pointee.cookies.count > pointee.limits.headByteCount { pointee.incoming.isTooLarge = true }
                return
            default: break
            }
        }
        if name.count == 14, name.equals("content-length"), let length = Decimal.read(value) {
            // Whoever reads «0» takes the request for ended: it is not before END_STREAM.
            if length == 0, !pointee.incoming.isEnd, pointee.incoming.kind == .request { return }
            pointee.incoming.hasLength = true
            pointee.incoming.length = Int64(clamping: length)
        }
        // Room was made for the whole line: one check instead of five.
        guard pointee.head.room >= name.count + value.count + 4,
            let start = pointee.head.writable.baseAddress,
            let nameStart = name.baseAddress
        else { return }
        start.update(from: nameStart, count: name.count)
        start[name.count] = 0x3A
        start[name.count + 1] = 0x20
        let place = start + name.count + 2
        if let valueStart = value.baseAddress { place.update(from: valueStart, count: value.count) }
        place[value.count] = 0x0D
        place[value.count + 1] = 0x0A
        pointee.head.grow(by: name.count + value.count + 4)
    }

    /// Ends the head and marks what it came to.
    func endHead(isEnd: Bool) {
        guard pointee.incoming.kind != .none, let stream = pointee.incoming.stream else { return }
        let kind = pointee.incoming.kind
        pointee.incoming.kind = .none
        pointee.mark.stream = stream
        pointee.mark.isEnd = isEnd
        guard kind != .trailers else {
            pointee.mark.kind = .end
            return
        }
        if pointee.incoming.isFinal { stream.pointee.hasFinalHead = true }
        stream.pointee.contentLeft = pointee.incoming.length
        finishHead(kind, isEnd)
        if pointee.incoming.isMalformed {
            pointee.mark.kind = .malformed
        } else if pointee.incoming.isTooLarge || pointee.head.count > pointee.limits.headByteCount {
            pointee.mark.kind = .tooLarge
            pointee.head.removeAll()
        } else {
            pointee.mark.kind = .head
        }
    }

    private func finishHead(_ kind: HTTP2IncomingHead.Kind, _ isEnd: Bool) {
        guard !pointee.incoming.isTooLarge, !pointee.incoming.isMalformed else { return }
        if !pointee.incoming.hasLine { writeRequestLine() }
        guard !pointee.incoming.isTooLarge, makeRoom(pointee.cookies.count + 64) else {
            pointee.incoming.isTooLarge = true
            return
        }
        if !pointee.cookies.isEmpty {
            pointee.head.append("cookie: ")
            pointee.head.append(pointee.cookies.readable)
            pointee.head.appendLineEnd()
        }
        if kind == .request, !isEnd, !pointee.incoming.hasLength {
            pointee.head.append("transfer-encoding: chunked\r\n")
        }
        pointee.head.appendHeadEnd()
    }

    /// Gives large blocks back, once nobody reads the head any more: an idle connection keeps a small one.
    func releaseLargeHead() {
        guard pointee.incoming.kind == .none,
            pointee.head.capacity + pointee.cookies.capacity > HTTP2IncomingHead.keptByteCount
        else { return }
        pointee.head.free()
        pointee.cookies.free()
    }
}
