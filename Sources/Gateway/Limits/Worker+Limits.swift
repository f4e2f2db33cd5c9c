internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Who asks for what; its views are good for as long as the exchange has its identity.
    func limitSubject(_ exchange: ExchangePointer, _ table: LimitTable) -> LimitSubject {
        var subject = LimitSubject()
        subject.address = exchange.pointee.client
        if table.usesAddresses {
            subject.addressHash = addressNames.name(exchange.pointee.client, table.hash)
        }
        subject.api = exchange.pointee.api
        subject.operation = exchange.pointee.operation
        subject.action = exchange.pointee.action
        if table.usesTokens, let token = userToken(exchange) { subject.token = table.hash.hash(token) }
        exchange.pointee.identity?._withUnsafeGuaranteedRef { identity in
            subject.hasIdentity = true
            subject.project = identity.projectIDBytes
            subject.user = identity.userIDBytes
            subject.roles = identity.rolesKeyBytes
            subject.projectHash = identity.projectHash
            subject.userHash = identity.userHash
        }
        return subject
    }

    /// The limits that the exchange is judged by; nil without any. Charges name rules and quotas by their places there.
    ///
    /// Not counted: the house holds it, and the exchange its house.
    @inline(__always)
    func limitTable(of exchange: ExchangePointer) -> Unmanaged<LimitTable>? {
        let house = exchange.pointee.configuration ?? .passUnretained(configuration)
        return house._withUnsafeGuaranteedRef { $0.limitTable.map { .passUnretained($0) } }
    }

    /// Gives back what the exchange did not cost in the end; part of Record.
    func settleLimits(_ exchange: ExchangePointer) {
        let outcome: LimitOutcome
        if exchange.pointee.status == 304 {
            outcome = .notModified
        } else if exchange.pointee.reply.stored != nil, exchange.pointee.isServedByOthers {
            outcome = .hit
        } else {
            outcome = .request
        }
        limitTable(of: exchange)?._withUnsafeGuaranteedRef { table in
            if store != nil, outcome != .request { giveBackToStore(exchange, table, outcome) }
            Unmanaged.passUnretained(shared.buckets)._withUnsafeGuaranteedRef { buckets in
                exchange.pointee.charges.settle(buckets, table, as: outcome, now: now)
            }
        }
    }

    /// `RateLimit-Policy` and `RateLimit` of the enforced rules that are about the request.
    ///
    /// - Shape: `"create";q=20;w=120` is a bucket of 20 that fills in 120 seconds; `"create";r=12;t=48` that 12 are left and
    ///   that it is full again in 48 seconds. What counts at once has no window.
    /// - Source: draft-ietf-httpapi-ratelimit-headers; facts §1.3.
    func appendLimitFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        limitTable(of: exchange)?._withUnsafeGuaranteedRef { table in
            guard table.sendsFields else { return }
            // Those of enforced rules stand first.
            var count = 0
            while count < exchange.pointee.charges.count, !exchange.pointee.charges[count].isShadow {
                count += 1
            }
            guard count > 0 else { return }
            output.append("RateLimit-Policy: ")
            let policies = exchange.pointee.charges.policies
            if policies.isEmpty {
                for index in 0..<count {
                    table.appendPolicy(exchange.pointee.charges[index], isFirst: index == 0, to: &output)
                }
            } else {
                output.append(table.text(policies))
            }
            output.append("\r\nRateLimit: ")
            for index in 0..<count {
                table.appendRemaining(
                    exchange.pointee.charges[index], now: now, isFirst: index == 0, to: &output)
            }
            output.append("\r\n")
        }
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
        // Shadow rules stand last, so that most requests have nothing to tell.
        guard
            exchange.pointee.limitedBy >= 0
                || exchange.pointee.charges[exchange.pointee.charges.count - 1].isShadow,
            let table = configuration(of: exchange).limitTable
        else { return }
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
