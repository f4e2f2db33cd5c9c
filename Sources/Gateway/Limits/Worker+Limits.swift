internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Lends who asks for what; the views are good within `body` alone.
    @inline(__always)
    func withSubject<Result>(
        _ exchange: ExchangePointer, _ table: LimitTable, _ body: (LimitSubject) -> Result
    ) -> Result {
        var subject = LimitSubject()
        subject.address = exchange.pointee.client
        subject.api = exchange.pointee.api
        subject.operation = exchange.pointee.operation
        subject.action = exchange.pointee.action
        if table.usesTokens, let token = userToken(exchange) { subject.token = table.hash.hash(token) }
        guard let identity = exchange.pointee.identity else { return body(subject) }
        return identity._withUnsafeGuaranteedRef { identity in
            subject.hasIdentity = true
            return identity.withProjectID { project in
                identity.withUserID { user in
                    identity.withRolesKey { roles in
                        subject.project = project
                        subject.user = user
                        subject.roles = roles
                        return body(subject)
                    }
                }
            }
        }
    }

    /// Gives back what the exchange did not cost in the end; part of Record.
    func settleLimits(_ exchange: ExchangePointer) {
        guard let table = configuration(of: exchange).limitTable else { return }
        let outcome: LimitOutcome
        if exchange.pointee.status == 304 {
            outcome = .notModified
        } else if exchange.pointee.reply.stored != nil, exchange.pointee.isServedByOthers {
            outcome = .hit
        } else {
            outcome = .request
        }
        if store != nil, outcome != .request { giveBackToStore(exchange, table, outcome) }
        exchange.pointee.charges.settle(shared.buckets, table, as: outcome, now: now)
    }

    /// `RateLimit-Policy` and `RateLimit` of the enforced rules that are about the request.
    ///
    /// - Shape: `"create";q=20;w=120` is a bucket of 20 that fills in 120 seconds; `"create";r=12;t=48` that 12 are left and
    ///   that it is full again in 48 seconds. What counts at once has no window.
    /// - Source: draft-ietf-httpapi-ratelimit-headers; facts §1.3.
    func appendLimitFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        guard let table = configuration(of: exchange).limitTable, table.sendsFields,
            exchange.pointee.charges.count > 0, !exchange.pointee.charges[0].isShadow
        else { return }
        output.append("RateLimit-Policy: ")
        for index in 0..<exchange.pointee.charges.count where !exchange.pointee.charges[index].isShadow {
            if index > 0 { output.append(", ") }
            table.appendPolicy(exchange.pointee.charges[index], to: &output)
        }
        output.append("\r\nRateLimit: ")
        for index in 0..<exchange.pointee.charges.count where !exchange.pointee.charges[index].isShadow {
            if index > 0 { output.append(", ") }
            table.appendRemaining(exchange.pointee.charges[index], now: now, to: &output)
        }
        output.append("\r\n")
    }

    /// What Nova said of the limit that was reached, in its words of old: how many, of what, how often.
    func appendLimitDetails(_ exchange: ExchangePointer, to output: inout Buffer) {
        guard let table = configuration(of: exchange).limitTable, exchange.pointee.limitedBy >= 0 else {
            return
        }
        for index in 0..<exchange.pointee.charges.count
        where Int(exchange.pointee.charges[index].rule) == exchange.pointee.limitedBy {
            table.appendDetails(
                exchange.pointee.charges[index],
                method: exchange.pointee.headBytes.view(exchange.pointee.head.methodName), to: &output)
        }
    }

    /// The members of the access line: the rule that refused, and those that would have.
    func appendLimits(_ exchange: ExchangePointer, to line: inout Buffer) {
        guard let table = configuration(of: exchange).limitTable else { return }
        if exchange.pointee.limitedBy >= 0 {
            line.append(",\"limited\":\"")
            table.appendName(exchange.pointee.limitedBy, to: &line)
            line.append("\"")
        }
        var isFirst = true
        for index in 0..<exchange.pointee.charges.count
        where exchange.pointee.charges[index].isShadow && exchange.pointee.charges[index].state == .refused {
            line.append(isFirst ? ",\"shadowed\":[\"" : ",\"")
            table.appendName(Int(exchange.pointee.charges[index].rule), to: &line)
            line.append("\"")
            isFirst = false
        }
        if !isFirst { line.append("]") }
    }
}

extension Exchange {
    /// It cost the upstream nothing: the store had it, or the fetch of another brought it.
    var isServedByOthers: Bool {
        isCollapsed || cacheVerdict == .hit || cacheVerdict == .stale || cacheVerdict == .collapsed
    }
}
