internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

/// What became of a token.
enum TokenVerdict {
    case identity(Identity)
    case verdict(Verdict)
}

extension Worker {
    /// How long a read with a token that was good a while ago waits for Keystone before it is served all the same.
    private static var patienceNanoseconds: UInt64 { 500_000_000 }

    /// Adopts whom a known token stands for; false where there is more to it, which `judge` then finds out.
    func adoptKnown(_ token: ByteView, _ exchange: ExchangePointer, _ client: KeystoneClient) -> Bool {
        guard exchange.pointee.judgement == nil, exchange.pointee.waitDeadline == 0,
            !exchange.pointee.awaitsBudget
        else { return false }
        let digest = client.digester._withUnsafeGuaranteedRef { $0.digest(token) }
        let (now, wallSeconds) = (now, wallSeconds)
        let known = client.judgements._withUnsafeGuaranteedRef {
            $0.lend(digest, now: now, wallSeconds: wallSeconds)
        }
        guard let identity = known else { return false }
        counters.identityHits += 1
        exchange.pointee.adopt(lent: identity)
        return true
    }

    /// Judges a token by what is known, or has the exchange wait until Keystone has.
    ///
    /// Known and fresh costs a digest and a look-up. A read with a token past its time waits half a second at most, and not
    /// at all while Keystone is in trouble, as long as `stale_max_age` lasts.
    func judge(
        _ token: ByteView, allowsExpired: Bool, _ exchange: ExchangePointer, _ client: KeystoneClient
    ) -> TokenVerdict {
        var isUnavailable = false
        var retryAfter = 1
        if let judgement = exchange.pointee.judgement {
            exchange.pointee.judgement = nil
            switch judgement {
            case .identity(let identity): return .identity(identity)
            case .invalid, .project: return .verdict(refuseToken(exchange))
            case .unavailable(let seconds):
                isUnavailable = true
                retryAfter = seconds
            }
        } else if exchange.pointee.waitDeadline != 0 {
            // Its time is up, unless it only waited for its address's budget.
            exchange.pointee.waitDeadline = 0
            isUnavailable = !exchange.pointee.awaitsBudget
        }
        exchange.pointee.awaitsBudget = false
        if isUnavailable { client.troubledUntil = now + KeystoneClient.troubleNanoseconds }
        let plain = client.shared.digester.digest(token)
        let digest = allowsExpired ? plain.variant(1) : plain
        let isRead = exchange.pointee.head.method.isSafe
        let waiter = Waiter(worker: index, exchange: exchange.pointee.handle)
        func look(mayAsk: Bool) -> Known {
            client.shared.judgements.look(
                digest, now: now, wallSeconds: allowsExpired ? nil : wallSeconds,
                mayUseStale: isRead && client.troubledUntil > now, mayAsk: mayAsk, waiter: waiter)
        }
        var known = look(mayAsk: false)
        if isUnavailable {
            switch known {
            case .unknown, .asked:
                return .verdict(fail(exchange, .identityUnavailable, retryAfterSeconds: retryAfter))
            case .judgement, .stale: break
            }
        }
        var charge: BadTokens.Charge?
        if case .unknown(let hasStale) = known {
            // What was good once is not guessed, so only what was never seen is charged to its address.
            if !hasStale {
                switch chargeInAdvance(exchange, patience: client.pool.responseNanoseconds) {
                case .charged(let taken): charge = taken
                case .verdict(let verdict): return .verdict(verdict)
                }
            }
            known = look(mayAsk: true)
        }
        switch known {
        case .judgement(let judgement, let renews):
            giveBack(charge, exchange)
            counters.identityHits += 1
            if renews { ask(digest, token, allowsExpired, charge: nil, exchange, client) }
            guard case .identity(let identity) = judgement else {
                return .verdict(refuseToken(exchange))
            }
            return .identity(identity)
        case .stale(let identity, let renews):
            giveBack(charge, exchange)
            counters.identityStale += 1
            if renews { ask(digest, token, allowsExpired, charge: nil, exchange, client) }
            return .identity(identity)
        case .unknown(let hasStale):
            wait(exchange, digest, client, isShort: hasStale && isRead)
            ask(digest, token, allowsExpired, charge: charge, exchange, client)
        case .asked(let hasStale):
            giveBack(charge, exchange)
            counters.identityCollapsed += 1
            wait(exchange, digest, client, isShort: hasStale && isRead)
        }
        return .verdict(.wait(.identity))
    }

    /// Bounds the wait: Keystone's own time limits, with room for one repetition, end it otherwise.
    private func wait(
        _ exchange: ExchangePointer, _ digest: TokenDigest, _ client: KeystoneClient, isShort: Bool
    ) {
        let long = 3 * (client.pool.connectNanoseconds + client.pool.responseNanoseconds)
        exchange.pointee.waitDeadline = now + (isShort ? Self.patienceNanoseconds : long)
        exchangeTimers.set(exchange.pointee.handle.index, deadline: exchange.pointee.waitDeadline)
        // Before the question is asked, which may fail at once and then looks for those who wait.
        exchange.pointee.wait = .identity
        exchange.pointee.awaited = digest
    }

    private func ask(
        _ digest: TokenDigest, _ token: ByteView, _ allowsExpired: Bool, charge: BadTokens.Charge?,
        _ exchange: ExchangePointer, _ client: KeystoneClient
    ) {
        ask(
            Question(digest, .token(Content(token), allowsExpired: allowsExpired), charge: charge), client,
            configuration(of: exchange))
    }

    /// Hands a judgement to an exchange of this worker that waits for it.
    ///
    /// It may have stopped waiting for this one and wait for another.
    func judgementCame(_ handle: Handle, _ digest: TokenDigest, _ judgement: Judgement) {
        guard let exchange = exchanges.find(handle), exchange.pointee.wait == .identity,
            exchange.pointee.awaited == digest
        else { return }
        exchange.pointee.judgement = judgement
        exchange.pointee.waitDeadline = 0
        exchangeTimers.clear(handle.index)
        resume(handle)
    }

    /// The upstream did not take the token that Keystone called good: it is judged anew at its next use.
    func forgetToken(_ exchange: ExchangePointer) {
        guard let client = configuration(of: exchange).keystone, exchange.pointee.call == nil,
            let token = userToken(exchange)
        else { return }
        let digest = client.shared.digester.digest(token)
        client.shared.judgements.drop(digest, now: now)
        client.shared.judgements.drop(digest.variant(1), now: now)
    }

    /// Whether the project in the path exists; nil when nobody can tell, or nobody is to be asked.
    ///
    /// - Returns: a verdict when the exchange has to wait first.
    func lookUpProject(_ project: ByteView, _ exchange: ExchangePointer) -> (exists: Bool?, wait: Verdict?) {
        guard let client = configuration(of: exchange).keystone, client.shared.settings.looksUpProjects else {
            return (nil, nil)
        }
        if let judgement = exchange.pointee.judgement {
            exchange.pointee.judgement = nil
            guard case .project(let exists) = judgement else { return (nil, nil) }
            return (exists, nil)
        }
        // Its time is up: then it is as if nobody could tell.
        guard exchange.pointee.waitDeadline == 0 else {
            exchange.pointee.waitDeadline = 0
            return (nil, nil)
        }
        let digest = client.shared.digester.digest(project).variant(2)
        let waiter = Waiter(worker: index, exchange: exchange.pointee.handle)
        switch client.shared.judgements.look(
            digest, now: now, wallSeconds: nil, mayUseStale: false, mayAsk: true, waiter: waiter)
        {
        case .judgement(.project(let exists), _): return (exists, nil)
        case .judgement, .stale: return (nil, nil)
        case .unknown:
            wait(exchange, digest, client, isShort: false)
            ask(
                Question(digest, .project(Content(project)), charge: nil), client,
                configuration(of: exchange))
        case .asked: wait(exchange, digest, client, isShort: false)
        }
        return (nil, .wait(.identity))
    }
}
