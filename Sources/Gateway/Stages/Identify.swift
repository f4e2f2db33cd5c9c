internal import Bytes
internal import HTTP
internal import Loop

extension Worker {
    /// Identify: gives the exchange its id and decides whose word counts for where it comes from.
    func identify(_ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.requestID.renew(&random)
        if isTrusted(exchange.pointee.client, exchange) {
            exchange.pointee.peerIsTrusted = true
            exchange.pointee.client = forwardedClient(exchange)
        }
        // Without a trail nothing is answered that could not be recorded.
        if auditRefusesAll {
            return fail(exchange, .auditUnavailable, retryAfterSeconds: 1)
        }
        return .next
    }

    private func isTrusted(_ address: IPAddress, _ exchange: ExchangePointer) -> Bool {
        withHouse(of: exchange) { house in
            guard !house.trustedProxies.isEmpty else { return false }
            return house.trustedProxies.contains { $0.contains(address.unmapped) }
        }
    }

    /// The last address of X-Forwarded-For that is no trusted proxy's: what stands before it anybody could have written.
    private func forwardedClient(_ exchange: ExchangePointer) -> IPAddress {
        let bytes = exchange.pointee.headBytes
        var client = exchange.pointee.client
        for index in (0..<exchange.pointee.head.fields.count).reversed() {
            let line = exchange.pointee.head.fields[index]
            guard line.known == .xForwardedFor else { continue }
            let value = bytes.view(line.value)
            var end = value.count
            while end >= 0 {
                var start = end
                while start > 0, value[start - 1] != 0x2C { start -= 1 }
                guard let address = Self.address(value.view(start, end - start).trimmed()) else {
                    return client
                }
                client = address
                guard isTrusted(address, exchange) else { return client }
                end = start - 1
            }
        }
        return client
    }

    /// An address as proxies write it, with or without a port.
    private static func address(_ text: ByteView) -> IPAddress? {
        IPAddress(parsing: text) ?? SocketAddress(parsing: text)?.ip
    }
}
