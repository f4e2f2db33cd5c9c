internal import Bytes
internal import OpenStack

extension Worker {
    /// Authorize: what a role may not ask, where the request alone shows it.
    func authorize(_ exchange: ExchangePointer) -> Verdict {
        guard exchange.pointee.queryFacts.asksDeleted, let identity = exchange.pointee.identity else {
            return .next
        }
        guard !identity._withUnsafeGuaranteedRef({ $0.isAdmin }) else { return .next }
        exchange.pointee.failure = .forbidden
        message.removeAll()
        message.append("Only administrators may list deleted instances")
        return refuse(exchange, status: 403)
    }
}
