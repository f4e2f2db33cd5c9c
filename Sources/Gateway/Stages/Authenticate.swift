internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Authenticate: the token's identity, or 401 in the one form that tells nothing of why.
    ///
    /// Version discovery is without a token (facts §3.2); two tokens are none.
    func authenticate(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.route.isDiscovery { return .next }
        let fields = exchange.pointee.head.fields.count(of: .xAuthToken)
        guard fields == 1, let range = exchange.pointee.head.fields.find(.xAuthToken) else {
            return fail(exchange, .unauthorized)
        }
        let token = exchange.pointee.headBytes.view(range)
        guard token.count > 0, token.count <= 8_192 else { return fail(exchange, .unauthorized) }
        // Without a provider the upstream judges the token; nothing here may then depend on who asks.
        guard let tokens = configuration(of: exchange).tokens else { return .next }
        guard let identity = tokens.find(token, wallSeconds: wallSeconds) else {
            return fail(exchange, .unauthorized)
        }
        exchange.pointee.identity = identity
        return .next
    }
}
