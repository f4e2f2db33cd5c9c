internal import Bytes
internal import COpenSSL
internal import OpenStack

/// Limits that several processes share: what the store of this worker is asked, and what its answers mean here.
///
/// What it said of a bucket is noted in the bucket of the same name here. So a request that it would refuse for sure is
/// refused without asking, and local limits go on from there while it is away.
extension Worker {
    /// Takes what counts at once here, and asks the store about the rest; nil while the exchange waits for it.
    func begin(_ exchange: ExchangePointer, _ table: LimitTable) -> LimitVerdict? {
        if let refused = shared.buckets.look(&exchange.pointee.charges, now: now) { return refused }
        if let refused = shared.buckets.enterAll(&exchange.pointee.charges, now: now) { return refused }
        storeDemand.removeAll()
        let subject = limitSubject(exchange, table)
        for index in 0..<exchange.pointee.charges.count where !exchange.pointee.charges[index].isAtOnce {
            let charge = exchange.pointee.charges[index]
            appendKey(table, Int(charge.rule), subject, exchange)
            _ = storeDemand.add(
                StoreDemand.Bucket(
                    cost: Self.microseconds(charge.cost),
                    tolerance: Self.microseconds(charge.tolerance), isShadow: charge.isShadow))
        }
        guard storeDemand.count > 0 else { return .allowed }
        guard storeDemand.isWhole, askStore(exchange.pointee.handle) else {
            return takeLocally(exchange, table)
        }
        exchange.pointee.limitStep = .taking
        return nil
    }

    /// Takes the store's answer, or decides without one.
    func finish(_ exchange: ExchangePointer, _ table: LimitTable) -> LimitVerdict {
        guard let answers = exchange.pointee.storeAnswers else { return takeLocally(exchange, table) }
        exchange.pointee.storeAnswers = nil
        var place = 0
        var longest: (rule: Int, wait: UInt64)?
        for index in 0..<exchange.pointee.charges.count where !exchange.pointee.charges[index].isAtOnce {
            guard place < answers.count else { break }
            let answer = answers[place]
            place += 1
            let charge = exchange.pointee.charges[index]
            // Cannot overflow: debts are at most two years.
            let paidAt = now + min(answer.paidIn, Self.longestMicroseconds) * 1_000
            exchange.pointee.charges[index].paidAt = paidAt
            exchange.pointee.charges[index].storePaidAt = answer.paidAt
            exchange.pointee.charges[index].state = answer.wait == 0 ? .taken : .refused
            shared.buckets.note(charge.key, paidAt: paidAt, now: now)
            if answer.wait > 0, !charge.isShadow, answer.wait > longest?.wait ?? 0 {
                longest = (Int(charge.rule), answer.wait)
            }
        }
        guard let longest else { return .allowed }
        // Nothing was taken from the others, and what counts at once is left again.
        for index in 0..<exchange.pointee.charges.count where exchange.pointee.charges[index].state == .taken
        {
            if exchange.pointee.charges[index].isAtOnce {
                shared.buckets.leave(exchange.pointee.charges[index].key)
            }
            exchange.pointee.charges[index].state = .asked
        }
        return .refused(
            rule: longest.rule, wait: min(longest.wait, Self.longestMicroseconds) * 1_000)
    }

    /// Two years, as the longest debt.
    private static var longestMicroseconds: UInt64 { 2 * 366 * 86_400 * 1_000_000 }

    /// Rounded up, as debts are.
    private static func microseconds(_ nanoseconds: UInt64) -> UInt64 { (nanoseconds + 999) / 1_000 }

    /// Decides by the buckets of this process, each of which gives its part: a request costs it as much as it costs all.
    private func takeLocally(_ exchange: ExchangePointer, _ table: LimitTable) -> LimitVerdict {
        for index in 0..<exchange.pointee.charges.count where !exchange.pointee.charges[index].isAtOnce {
            let charge = exchange.pointee.charges[index]
            // Two years times 10,000 processes are more nanoseconds than a word has.
            let (cost, overflows) = charge.cost.multipliedReportingOverflow(by: table.instanceCount)
            // A bucket of less than one request gives one when it is full.
            let most = max(charge.tolerance, charge.cost)
            exchange.pointee.charges[index].cost = overflows ? most : min(cost, most)
        }
        return shared.buckets.take(&exchange.pointee.charges, now: now)
    }

    /// Gives back to the store what the exchange did not cost in the end.
    func giveBackToStore(_ exchange: ExchangePointer, _ table: LimitTable, _ outcome: LimitOutcome) {
        storeDemand.removeAll()
        let subject = limitSubject(exchange, table)
        for index in 0..<exchange.pointee.charges.count {
            let charge = exchange.pointee.charges[index]
            guard charge.state == .taken, charge.storePaidAt > 0 else { continue }
            let due = table.quota(charge.quota).cost(outcome)
            guard due < charge.cost else { continue }
            appendKey(table, Int(charge.rule), subject, exchange)
            _ = storeDemand.add(
                StoreDemand.Bucket(
                    cost: (charge.cost - due) / 1_000, tolerance: 0, paidAt: charge.storePaidAt))
        }
        if storeDemand.count > 0, storeDemand.isWhole { giveBackToStore() }
    }

    /// The shared store answered an exchange, or did not in time.
    func storeAnswered(_ handle: Handle, _ answers: StoreAnswers?) {
        guard let exchange = exchanges.find(handle), exchange.pointee.wait == .limits else { return }
        exchange.pointee.storeAnswers = answers
        resume(handle)
    }

    // MARK: - The list of rates

    /// Asks the store about the next of the caller's buckets that the list of rates tells of; false when it knows all.
    func asksForRates(_ exchange: ExchangePointer, _ table: LimitTable) -> Bool {
        guard store != nil, isRatesRequest(exchange) else { return false }
        storeDemand.removeAll()
        let entries = table.document.entries[exchange.pointee.api]
        var next = Int(exchange.pointee.ratesAsked)
        var subject = limitSubject(exchange, table)
        var names = LimitTable.SubjectNames()
        subject.action = -1
        while next < entries.count, storeDemand.count < StoreDemand.maxCount {
            subject.operation = entries[next].operation
            next += 1
            guard let charge = table.charge(entries[next - 1].rule, subject, &names) else { continue }
            appendKey(table, Int(charge.rule), subject, exchange)
            // A cost of nothing only looks.
            _ = storeDemand.add(
                StoreDemand.Bucket(cost: 0, tolerance: Self.microseconds(charge.tolerance)))
        }
        guard storeDemand.count > 0, storeDemand.isWhole, askStore(exchange.pointee.handle) else {
            return false
        }
        exchange.pointee.limitStep = .rates
        return true
    }

    /// Notes what the store said of the buckets that it was asked about last.
    func noteRates(_ exchange: ExchangePointer, _ table: LimitTable) {
        let entries = table.document.entries[exchange.pointee.api]
        guard let answers = exchange.pointee.storeAnswers else {
            // It does not answer now: what is known has to do.
            exchange.pointee.ratesAsked = UInt16(entries.count)
            return
        }
        exchange.pointee.storeAnswers = nil
        var next = Int(exchange.pointee.ratesAsked)
        var subject = limitSubject(exchange, table)
        var names = LimitTable.SubjectNames()
        subject.action = -1
        var place = 0
        while next < entries.count, place < answers.count {
            subject.operation = entries[next].operation
            next += 1
            guard let charge = table.charge(entries[next - 1].rule, subject, &names) else { continue }
            let paidIn = min(answers[place].paidIn, Self.longestMicroseconds)
            shared.buckets.note(charge.key, paidAt: now + paidIn * 1_000, now: now)
            place += 1
        }
        exchange.pointee.ratesAsked = UInt16(next)
    }

    // MARK: - Names

    /// Appends a bucket's name as the store has it, but for the prefix: `create:project=ID:user=ID`.
    private func appendKey(
        _ table: LimitTable, _ rule: Int, _ subject: LimitSubject, _ exchange: ExchangePointer
    ) {
        let per = table.facts(of: rule).per
        table.appendName(rule, to: &storeDemand.keys)
        if per.contains(.project) {
            storeDemand.keys.append(subject.project.isEmpty ? ":project-of=" : ":project=")
            storeDemand.keys.append(subject.project.isEmpty ? subject.user : subject.project)
        }
        if per.contains(.user) {
            storeDemand.keys.append(":user=")
            storeDemand.keys.append(subject.user)
        }
        if per.contains(.address) {
            storeDemand.keys.append(":address=")
            LimitSubject.network(subject.address).append(to: &storeDemand.keys)
        }
        if per.contains(.token) {
            storeDemand.keys.append(":token=")
            if let token = userToken(exchange) { appendDigest(token) }
        }
        if per.contains(.operation) {
            storeDemand.keys.append(":operation=")
            let operations = configuration(of: exchange).apis[max(0, subject.api)].table
            if subject.operation >= 0 { storeDemand.keys.append(operations[subject.operation].idBytes) }
            if subject.action >= 0 {
                storeDemand.keys.append(":")
                storeDemand.keys.append(operations.action(subject.action).key)
            }
        }
    }

    /// Half of a SHA-256: processes that share a store name the token alike, and the store never sees it.
    private func appendDigest(_ token: ByteView) {
        var digest: InlineArray<32, UInt8> = .init(repeating: 0)
        withUnsafeMutableBytes(of: &digest) {
            _ = COpenSSL_sha256(
                token.baseAddress, token.count, $0.bindMemory(to: UInt8.self).baseAddress)
        }
        for index in 0..<16 { storeDemand.keys.appendHexadecimal(UInt64(digest[index]), width: 2) }
    }
}
