import Bytes

// What a head means once its bytes are known to be well-formed: target, host, framing, persistence.

extension RequestHead {
    /// Divides the target and judges its parts.
    @inline(__always) mutating func settleTarget(_ base: UnsafePointer<UInt8>, _ whole: ByteRange) -> Refusal?
    {
        target.whole = whole
        if base[whole.lower] == UInt8(ascii: "/") {
            target.form = .origin
            return settlePath(base, from: whole.lower, to: whole.upper)
        }
        return settleOtherForm(base, whole)
    }

    @inline(__always) private mutating func settlePath(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) -> Refusal? {
        guard let pathEnd = PathForm.endOfNormalPath(base, from: start, to: end) else {
            return .pathNotNormal
        }
        target.path = ByteRange(start: start, count: pathEnd - start)
        if pathEnd < end {
            target.hasQuery = true
            target.query = ByteRange(start: pathEnd + 1, count: end - pathEnd - 1)
        }
        return nil
    }

    @inline(never) private mutating func settleOtherForm(
        _ base: UnsafePointer<UInt8>, _ whole: ByteRange
    ) -> Refusal? {
        let bytes = ByteView(start: base, count: whole.upper)
        let text = bytes.view(whole)
        if text.equals("*") {
            target.form = .asterisk
            return method == .options ? nil : .badTarget
        }
        let schemeCount: Int
        if text.count >= 7, text.view(0, 7).equalsIgnoringCase("http://") {
            schemeCount = 4
        } else if text.count >= 8, text.view(0, 8).equalsIgnoringCase("https://") {
            schemeCount = 5
        } else {
            return .badTarget
        }
        target.form = .absolute
        target.scheme = ByteRange(start: whole.lower, count: schemeCount)
        let authorityStart = whole.lower + schemeCount + 3
        var end = authorityStart
        while end < whole.upper, base[end] != UInt8(ascii: "/"), base[end] != UInt8(ascii: "?") { end += 1 }
        target.authority = ByteRange(start: authorityStart, count: end - authorityStart)
        guard Authority.isValid(bytes.view(target.authority)) else { return .badHost }
        if end < whole.upper, base[end] == UInt8(ascii: "/") {
            return settlePath(base, from: end, to: whole.upper)
        }
        target.path = ByteRange(start: end, count: 0)
        if end < whole.upper {
            target.hasQuery = true
            target.query = ByteRange(start: end + 1, count: whole.upper - end - 1)
        }
        return nil
    }

    /// Settles host, framing, persistence and expectation from the fields, in that order of refusals.
    mutating func settle(_ bytes: ByteView) -> Refusal? {
        if let refusal = settleHost(bytes) { return refusal }
        switch MessageFraming.read(fields, bytes, version) {
        case .refused(let refusal): return refusal
        case .absent: framing = .none
        case .length(let byteCount): framing = .length(byteCount)
        case .chunked: framing = .chunked
        }
        keepsAlive = MessageFraming.keepsAlive(fields, bytes, version)
        return fields.has(.expect) ? settleExpectation(bytes) : nil
    }

    @inline(__always) private mutating func settleHost(_ bytes: ByteView) -> Refusal? {
        guard let value = fields.find(.host) else {
            // RFC 9112 §3.2: only HTTP/1.0 may go without.
            if version == .http11 { return .missingHost }
            host = target.authority
            return nil
        }
        guard fields.count(of: .host) == 1 else { return .repeatedHost }
        guard Authority.isValid(bytes.view(value)) else { return .badHost }
        // RFC 9112 §3.2.2: the absolute-form's authority wins over the field.
        host = target.form == .absolute ? target.authority : value
        return nil
    }

    @inline(never) private mutating func settleExpectation(_ bytes: ByteView) -> Refusal? {
        var next = fields.index(of: .expect)
        while let index = next {
            guard bytes.view(fields[index].value).equalsIgnoringCase("100-continue") else {
                return .expectationFailed
            }
            next = fields.index(of: .expect, from: index + 1)
        }
        // RFC 9110 §10.1.1: ignored from HTTP/1.0, and pointless without content.
        expectsContinue = version == .http11 && framing != .none && framing != .length(0)
        return nil
    }
}

/// Judges the host of a request.
///
/// - Source: RFC 9110 §4.2, RFC 3986 §3.2.2. Ours: sub-delims, percent triples, user names and empty ports,
///   which no endpoint of a cloud has and which servers read differently, are refused.
public enum Authority {
    /// Tells whether the bytes are a host name, IPv4 address or `[IPv6 address]`, and perhaps `:` with a
    /// port.
    public static func isValid(_ bytes: ByteView) -> Bool {
        guard bytes.count > 0, bytes.count <= 270, let base = bytes.baseAddress else { return false }
        var index = 0
        if bytes[0] == UInt8(ascii: "[") {
            index = 1
            while index < bytes.count, bytes[index] != UInt8(ascii: "]") {
                let byte = bytes[index]
                guard ASCII.hexValue(byte) != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
                else {
                    return false
                }
                index += 1
            }
            guard index < bytes.count, isAddress(bytes.view(1, index - 1)) else { return false }
            index += 1
        } else {
            let end = bytes.count
            while index < end, ByteClass.is(base[index], ByteClass.unreserved) { index &+= 1 }
            guard index > 0 else { return false }
        }
        guard index < bytes.count else { return true }
        guard bytes[index] == UInt8(ascii: ":") else { return false }
        return isPort(bytes.view(index + 1, bytes.count - index - 1))
    }

    /// Tells whether the bytes are one to five digits, of a number that a port can have.
    @inline(__always) private static func isPort(_ digits: ByteView) -> Bool {
        guard digits.count > 0, digits.count <= 5 else { return false }
        var port: UInt32 = 0
        for byte in digits {
            guard ASCII.isDigit(byte) else { return false }
            port = port &* 10 &+ UInt32(byte &- 0x30)  // Cannot wrap: five digits.
        }
        return port <= 65_535
    }

    /// Tells whether the bytes are an IPv6 address (RFC 3986 §3.2.2), an IPv4 tail allowed.
    private static func isAddress(_ text: ByteView) -> Bool {
        var groupCount = 0
        var isShortened = false
        var index = 0
        if text.starts(with: "::") {
            isShortened = true
            index = 2
            if text.count == 2 { return true }
        }
        while true {
            let start = index
            while index < text.count, ASCII.hexValue(text[index]) != nil { index += 1 }
            if index < text.count, text[index] == UInt8(ascii: ".") {
                guard isDottedQuad(text.view(start, text.count - start)) else { return false }
                groupCount += 2
                break
            }
            guard index > start, index - start <= 4 else { return false }
            groupCount += 1
            if index == text.count { break }
            index += 1  // The colon: no other byte is left.
            if index < text.count, text[index] == UInt8(ascii: ":") {
                guard !isShortened else { return false }
                isShortened = true
                index += 1
                if index == text.count { break }
            }
        }
        return isShortened ? groupCount < 8 : groupCount == 8
    }

    private static func isDottedQuad(_ text: ByteView) -> Bool {
        var partCount = 0
        var start = 0
        for index in 0...text.count where index == text.count || text[index] == UInt8(ascii: ".") {
            let part = text.view(start, index - start)
            guard part.count <= 3, let value = Decimal.read(part), value <= 255 else { return false }
            guard part.count == 1 || part[0] != UInt8(ascii: "0") else { return false }
            partCount += 1
            start = index + 1
        }
        return partCount == 4
    }
}
