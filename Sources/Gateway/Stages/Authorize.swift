internal import Bytes
internal import OpenStack

extension Worker {
    /// Authorize: what a role may not ask, where the request alone shows it.
    func authorize(_ exchange: ExchangePointer) -> Verdict {
        // What changes state goes no further while nobody can say afterwards that it did.
        if audit?.isFailing == true, auditRule(of: exchange)?.changesState != false,
            auditRefuses(isWrite: true)
        {
            return fail(exchange, .auditUnavailable, retryAfterSeconds: 1)
        }
        guard exchange.pointee.queryFacts.asksDeleted, let identity = exchange.pointee.identity,
            rulesCount(exchange), !identity._withUnsafeGuaranteedRef({ $0.isAdmin })
        else { return .next }
        message.removeAll()
        message.append(Messages.deletedListingForbidden)
        return refuseByRule(exchange, .forbidden, status: 403) ?? .next
    }
}
