internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Larger than any token's document without a catalog, at tens of roles and rules.
    private static var maxAnswerByteCount: Int { 131_072 }

    /// Asks Keystone, with a token of our own, which may have to be got first.
    func ask(_ question: Question, _ client: KeystoneClient, _ configuration: Configuration) {
        let pausedUntil = client.shared.pausedUntil.withLock { $0 }
        guard pausedUntil <= now else {
            let seconds = Int((pausedUntil - now) / 1_000_000_000) + 1
            return judged(question, .unavailable(retryAfterSeconds: seconds), client)
        }
        switch client.shared.ownToken.withLock({ $0.use(now: now) }) {
        case .token(let own, let renews):
            if renews { fetchOwnToken(client, configuration) }
            send(question, own, client, configuration)
        case .fetch:
            client.waiting.append(question)
            fetchOwnToken(client, configuration)
        case .wait: client.waiting.append(question)
        case .unavailable(let seconds):
            judged(question, .unavailable(retryAfterSeconds: seconds), client)
        }
    }

    /// - Source: identity API v3, `GET /v3/auth/tokens` and `GET /v3/projects/{project_id}`; facts §1.5.
    private func send(
        _ question: Question, _ own: Content, _ client: KeystoneClient, _ configuration: Configuration
    ) {
        var request = Buffer(capacity: 20_480)
        request.append("GET ")
        switch question.subject {
        case .token(let token, let allowsExpired):
            counters.identityValidations += 1
            request.append(client.shared.tokensTarget.bytes)
            if allowsExpired { request.append("&allow_expired=1") }
            request.append(" HTTP/1.1\r\n")
            request.append(client.shared.commonFields.bytes)
            request.append("X-Subject-Token: ")
            request.append(token.bytes)
            // Without it Keystone hides credentials that are bound by access rules.
            request.append("\r\nOpenStack-Identity-Access-Rules: 1\r\n")
        case .project(let project):
            counters.identityProjectLookups += 1
            request.append(client.shared.projectsTarget.bytes)
            request.append(project.bytes)
            request.append(" HTTP/1.1\r\n")
            request.append(client.shared.commonFields.bytes)
        }
        request.append("X-Auth-Token: ")
        request.append(own.bytes)
        request.append("\r\n\r\n")
        let call = Call(client.pool, .get, request.readable, maxByteCount: Self.maxAnswerByteCount) {
            worker, call in
            worker.answered(question, own, call, client, configuration)
        }
        start(call, configuration)
    }

    private func answered(
        _ question: Question, _ own: Content, _ call: Call, _ client: KeystoneClient,
        _ configuration: Configuration
    ) {
        let (judgement, reason) = read(call, question, client)
        if call.status == 401 {
            client.shared.ownToken.withLock { $0.reject(own) }
            if !question.isRepeated {
                question.isRepeated = true
                return ask(question, client, configuration)
            }
        }
        if let reason { trouble(reason, client) } else { client.shared.note(trouble: nil) }
        // Nobody asks until the pause it wants is over.
        if call.status == 429 || call.status == 503 && call.retryAfterSeconds != nil {
            let seconds = UInt64(max(1, min(call.retryAfterSeconds ?? 1, 60)))
            client.shared.pausedUntil.withLock { $0 = max($0, now + seconds * 1_000_000_000) }
        }
        client.troubledUntil = reason == nil ? 0 : now + KeystoneClient.troubleNanoseconds
        judged(question, judgement, client)
    }

    /// What an answer says; `reason` is why it says nothing.
    private func read(_ call: Call, _ question: Question, _ client: KeystoneClient) -> (Judgement, String?) {
        let content = call.content.readable
        switch (call.status, question.subject) {
        case (200, .token(_, let allowsExpired)):
            guard let document = TokenDocument(content, adminRoles: client.shared.adminRoles) else {
                return (.unavailable(retryAfterSeconds: 1), "an answer that is no token's")
            }
            if !allowsExpired, document.expiresAt <= wallSeconds { return (.invalid, nil) }
            return (.identity(document.identity), nil)
        case (200, .project): return (.project(exists: true), nil)
        case (404, let subject):
            // Only in Keystone's own form: the 404 of something else in its place says nothing of the token.
            guard JSONScanner.scan(content) != nil, JSONScanner.member("error", of: content) != nil else {
                return (.unavailable(retryAfterSeconds: 1), "404 in a form that is not Keystone's")
            }
            if case .project = subject { return (.project(exists: false), nil) }
            return (.invalid, nil)
        case (0, _):
            return (.unavailable(retryAfterSeconds: 1), "\(call.failure.error)")
        default:
            let seconds = max(1, min(call.retryAfterSeconds ?? 1, 60))
            return (.unavailable(retryAfterSeconds: seconds), "status \(call.status)")
        }
    }

    /// Keeps the judgement and tells everybody who waits for it.
    private func judged(_ question: Question, _ judgement: Judgement, _ client: KeystoneClient) {
        // Only a token that proved bad was a guess.
        if let charge = question.charge { settle(charge, isBad: judgement.isInvalid) }
        let jitter = Double(random.next() % 1_024) / 1_024
        let waiters = client.shared.judgements.complete(question.digest, judgement, now: now, jitter: jitter)
        let digest = question.digest
        for waiter in waiters {
            if waiter.worker == index {
                judgementCame(waiter.exchange, digest, judgement)
            } else {
                shared.workers[waiter.worker].mail { $0.judgementCame(waiter.exchange, digest, judgement) }
            }
        }
    }

    private func trouble(_ reason: String, _ client: KeystoneClient) {
        counters.identityFailures += 1
        client.shared.note(trouble: reason)
    }

    // MARK: - Our own token

    /// - Source: identity API v3, `POST /v3/auth/tokens`.
    private func fetchOwnToken(_ client: KeystoneClient, _ configuration: Configuration) {
        var request = Buffer(capacity: 4_096 + client.shared.credential.count)
        request.append("POST ")
        request.append(client.shared.tokensTarget.bytes)
        request.append(" HTTP/1.1\r\n")
        request.append(client.shared.commonFields.bytes)
        request.append("Content-Type: application/json\r\n")
        request.appendContentLength(UInt64(client.shared.credential.count))
        request.append("\r\n")
        request.append(client.shared.credential.bytes)
        let call = Call(client.pool, .post, request.readable, maxByteCount: Self.maxAnswerByteCount) {
            worker, call in
            worker.ownTokenAnswered(call, client)
        }
        start(call, configuration)
    }

    private func ownTokenAnswered(_ call: Call, _ client: KeystoneClient) {
        if call.status == 201 || call.status == 200, let own = call.subjectToken, own.count > 0,
            own.count <= 8_192,
            let document = TokenDocument(call.content.readable, adminRoles: []),
            document.expiresAt > wallSeconds
        {
            counters.identityCredentialRenewals += 1
            // A token's life is bounded by the year 9999, its nanoseconds by what is sensible.
            let seconds = UInt64(min(document.expiresAt - wallSeconds, 86_400 * 365))
            client.shared.ownToken.withLock { $0.take(own, lifetime: seconds * 1_000_000_000, now: now) }
        } else {
            let reason = call.status > 0 ? "status \(call.status)" : "\(call.failure.error)"
            trouble("no token for our credential: \(reason)", client)
            client.troubledUntil = now + KeystoneClient.troubleNanoseconds
            client.shared.ownToken.withLock { $0.fail(now: now) }
        }
        let shared = client.shared
        for worker in self.shared.workers where worker !== self {
            worker.mail { $0.ownTokenCame(shared) }
        }
        ownTokenCame(shared)
    }

    /// Goes on with what waited for a token of our own, or for the news that there is none.
    private func ownTokenCame(_ shared: Keystone) {
        for house in [configuration] + retired {
            guard let client = house.keystone, client.shared === shared else { continue }
            let waiting = client.waiting
            client.waiting = []
            for question in waiting { ask(question, client, house) }
        }
    }
}
