internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

extension Worker {
    /// Writes the request as the upstream gets it: end-to-end fields, and what only a proxy may say.
    ///
    /// - Parameter part: what is asked for in place of the request's own target, on behalf of the same client; such a
    ///   request has no content, and none of the fields that speak of the other target's answer.
    /// - Source: RFC 9110 §7.6; facts §1.2 and §3.2 (Host unchanged, no identity fields, no names with `_`).
    func appendUpstreamHead(
        _ exchange: ExchangePointer, to output: inout Buffer, keepsAlive: Bool, part: ServerPart? = nil
    ) {
        let bytes = exchange.pointee.headBytes
        let isFetch = exchange.pointee.fetch != nil
        let target = exchange.pointee.head.target
        if let part {
            appendTarget(of: part, bytes.view(target.path), to: &output)
        } else {
            output.append(bytes.view(exchange.pointee.head.methodName))
            output.append(0x20)
            if target.path.isEmpty { output.append(0x2F) } else { output.append(bytes.view(target.path)) }
            if target.hasQuery {
                output.append(0x3F)
                output.append(bytes.view(target.query))
            }
        }
        output.append(" HTTP/1.1\r\n")
        output.appendField(.host, upstreamHost(exchange))

        let nominates = exchange.pointee.head.fields.count(of: .connection) > 0
        var hasGlobalID = false
        for index in 0..<exchange.pointee.head.fields.count {
            let line = exchange.pointee.head.fields[index]
            let known = line.known
            if line.hasUnderscore || known.isHopByHop || known.isIdentity { continue }
            switch known {
            case .host, .contentLength, .expect, .xGatehouseRequestID, .maxForwards: continue
            case .forwarded, .xForwardedFor, .xForwardedHost, .xForwardedProto, .xForwardedPort,
                .xForwardedServer, .xRealIP:
                continue
            case .xForwardedPrefix: if !exchange.pointee.peerIsTrusted { continue }
            case .xOpenStackRequestID:
                // Only a well-formed id counts, as in Nova; the first one wins.
                guard !hasGlobalID, RequestID.isValid(bytes.view(line.value)) else { continue }
                hasGlobalID = true
            case .ifNoneMatch, .ifMatch, .ifModifiedSince, .ifUnmodifiedSince, .ifRange, .range,
                .acceptEncoding:
                // A fetch wants the whole list, plain, whatever the one who asked first has already.
                if isFetch || part != nil { continue }
            case .accept, .contentType, .contentEncoding, .contentLanguage, .contentRange,
                .openStackAPIVersion, .xOpenStackNovaAPIVersion:
                if part != nil { continue }
            case .other:
                // Names that some servers read as the forwarded ones above.
                let name = bytes.view(line.name)
                if !exchange.pointee.peerIsTrusted, name.count > 12,
                    name.view(0, 12).equalsIgnoringCase("x-forwarded-")
                        || name.equalsIgnoringCase("x-url-scheme")
                {
                    continue
                }
            default: break
            }
            // Connection cannot take away what this request was judged by, so only unknown names are dropped for it.
            if nominates, known == .other,
                exchange.pointee.head.fields.nominates(bytes.view(line.name), in: bytes)
            {
                continue
            }
            output.appendField(bytes.view(line.name), bytes.view(line.value))
        }
        appendForwardedFor(exchange, to: &output)
        if sendsIdentity(exchange) { appendIdentityFields(exchange, to: &output) }
        if !hasGlobalID {
            output.append("X-OpenStack-Request-ID: ")
            exchange.pointee.requestID.append(to: &output)
            output.append("\r\n")
        }
        // The protocol is the one this request came by (RFC 9110 §7.6.3).
        output.append(
            exchange.pointee.head.version == .http2
                ? configuration.http2ViaLine.bytes : configuration.viaLine.bytes)
        if part != nil {
            // What is read of the answers has been the same since the first version.
            output.append("Accept: application/json\r\n")
            if exchange.pointee.route.version == .v21 {
                output.append("OpenStack-API-Version: compute 2.1\r\n")
            }
            output.append(keepsAlive ? "\r\n" : "Connection: close\r\n\r\n")
            return
        }
        switch exchange.pointee.head.framing {
        case .none, .untilClose: break
        case .length(let length): output.appendContentLength(length)
        case .chunked:
            if exchange.pointee.isCollected {
                output.appendContentLength(UInt64(exchange.pointee.content.count))
            } else {
                output.append("Transfer-Encoding: chunked\r\n")
            }
        }
        if !keepsAlive { output.append("Connection: close\r\n") }
        output.append("\r\n")
    }

    /// Who asked, by which scheme and host.
    ///
    /// A server behind believes the first address, so of what a trusted proxy passed on only the client it names is told.
    private func appendForwardedFor(_ exchange: ExchangePointer, to output: inout Buffer) {
        output.append("X-Forwarded-For: ")
        exchange.pointee.client.append(to: &output)
        if let connection = downstreams.find(exchange.pointee.downstream),
            connection.pointee.peer.ip != exchange.pointee.client
        {
            output.append(", ")
            connection.pointee.peer.append(to: &output)
        }
        output.append("\r\nX-Forwarded-Proto: ")
        output.append(publicScheme(exchange))
        output.append("\r\n")
        let host = publicHost(exchange)
        if !host.isEmpty { output.appendField(.xForwardedHost, host) }
    }

    /// The request's own Host; the endpoint's where an HTTP/1.0 client named none, since HTTP/1.1 needs one.
    private func upstreamHost(_ exchange: ExchangePointer) -> ByteView {
        let host = exchange.pointee.headBytes.view(exchange.pointee.head.host)
        guard host.isEmpty else { return host }
        // A call's endpoint is chosen later; any name of the service will do then.
        let pool = pool(of: exchange).takeUnretainedValue()
        let endpoint = exchange.pointee.endpoint?.takeUnretainedValue() ?? pool.endpoints[0]
        let scheme = pool.tls == nil ? "http://".utf8.count : "https://".utf8.count
        return endpoint.url.bytes.view(scheme, endpoint.url.count - scheme)
    }
}
