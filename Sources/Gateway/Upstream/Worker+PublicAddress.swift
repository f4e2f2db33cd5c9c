internal import Bytes
internal import HTTP

extension Worker {
    /// The host that links must name: a trusted proxy's word, else the request's own.
    ///
    /// - Source: X-Forwarded-Host, or where no such field is there Forwarded (RFC 7239): proxies that set both agree,
    ///   and one that sets neither may pass on what a client wrote into the other.
    func publicHost(_ exchange: ExchangePointer) -> ByteView {
        let bytes = exchange.pointee.headBytes
        if exchange.pointee.peerIsTrusted {
            if let host = lastMember(of: .xForwardedHost, exchange) {
                if !host.isEmpty { return host }
            } else if let host = forwardedParameter("host", exchange), !host.isEmpty {
                return host
            }
        }
        return bytes.view(exchange.pointee.head.host)
    }

    /// The scheme that links must name.
    func publicScheme(_ exchange: ExchangePointer) -> StaticString {
        if exchange.pointee.peerIsTrusted,
            let scheme = lastMember(of: .xForwardedProto, exchange) ?? forwardedParameter("proto", exchange)
        {
            if scheme.equalsIgnoringCase("https") { return "https" }
            if scheme.equalsIgnoringCase("http") { return "http" }
        }
        // A proxy in front that says nothing of use is believed to have passed on what it got.
        return exchange.pointee.isSecure ? "https" : "http"
    }

    /// The member that the nearest proxy added: the last one of the last line.
    private func lastMember(of name: FieldName, _ exchange: ExchangePointer) -> ByteView? {
        guard let value = lastLine(of: name, exchange) else { return nil }
        var start = value.count
        while start > 0, value[start - 1] != 0x2C { start -= 1 }
        return value.view(start, value.count - start).trimmed()
    }

    private func lastLine(of name: FieldName, _ exchange: ExchangePointer) -> ByteView? {
        var last: ByteRange?
        var next = exchange.pointee.head.fields.index(of: name)
        while let index = next {
            last = exchange.pointee.head.fields[index].value
            next = exchange.pointee.head.fields.index(of: name, from: index + 1)
        }
        return last.map { exchange.pointee.headBytes.view($0) }
    }

    /// A parameter of the last element of Forwarded; nil where it is absent or not plain enough to be believed.
    private func forwardedParameter(_ name: StaticString, _ exchange: ExchangePointer) -> ByteView? {
        guard let value = lastLine(of: .forwarded, exchange) else { return nil }
        var list = FieldList(value)
        var element = ByteView(start: nil, count: 0)
        while let member = list.next() { element = value.view(member) }
        var start = 0
        while start < element.count {
            var end = start
            var isQuoted = false
            while end < element.count, isQuoted || element[end] != 0x3B {
                if element[end] == 0x22 { isQuoted.toggle() }
                end += 1
            }
            let pair = element.view(start, end - start).trimmed()
            if let equals = pair.firstIndex(of: 0x3D), pair.view(0, equals).equalsIgnoringCase(name) {
                return Self.plainValue(pair.view(equals + 1, pair.count - equals - 1))
            }
            start = end + 1
        }
        return nil
    }

    /// A token or a quoted string without its quotes, of such bytes as hosts and schemes have.
    private static func plainValue(_ value: ByteView) -> ByteView? {
        var plain = value
        if value.count >= 2, value[0] == 0x22, value[value.count - 1] == 0x22 {
            plain = value.view(1, value.count - 2)
        }
        for byte in plain {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x3A, 0x5B, 0x5D, 0x5F: continue
            default: return nil
            }
        }
        return plain
    }
}
