internal import Bytes
internal import HTTP

extension Worker {
    /// Moves an exchange until it waits or is over; the one place where stages follow each other.
    ///
    /// Stages never call this: what they wake goes on the ready list of the turn, so it is not entered twice.
    func advance(_ exchange: ExchangePointer) {
        exchange.pointee.isAdvancing = true
        while true {
            let verdict: Verdict
            switch exchange.pointee.stage {
            case .identify: verdict = identify(exchange)
            case .match: verdict = match(exchange)
            case .authenticate: verdict = authenticate(exchange)
            case .limit: verdict = limit(exchange)
            case .validate: verdict = validate(exchange)
            case .authorize: verdict = authorize(exchange)
            case .lookup: verdict = lookup(exchange)
            case .forward: verdict = forward(exchange)
            case .receive: verdict = receive(exchange)
            case .deliver: verdict = deliver(exchange)
            case .record:
                exchange.pointee.isAdvancing = false
                record(exchange)
                return
            }
            switch verdict {
            case .next:
                // Record is the last stage and is handled above, so there is always a next one.
                exchange.pointee.stage = Stage(rawValue: exchange.pointee.stage.rawValue + 1)!
                exchange.pointee.wait = .nothing
            case .wait(let reason):
                exchange.pointee.wait = reason
                exchange.pointee.waitingSince = now
                exchange.pointee.isAdvancing = false
                if !exchange.pointee.upstream.isNone { touchUpstream(exchange.pointee.upstream) }
                return
            case .reply:
                exchange.pointee.wait = .nothing
                if exchange.pointee.responseHeadSent {
                    // Too late for an answer of ours: the broken message is all the client can be told.
                    abortDownstream(exchange)
                } else {
                    writeReply(exchange)
                }
                exchange.pointee.stage = .record
            case .finish:
                exchange.pointee.wait = .nothing
                exchange.pointee.stage = .record
            }
        }
    }

    /// Puts an exchange on this turn's ready list; a stale handle is harmless.
    func resume(_ handle: Handle) { ready.append(handle) }

    /// Runs what became ready during this turn, until nothing is.
    func runReady() {
        while !ready.isEmpty {
            swap(&ready, &running)
            // By index: going through the array itself would count a reference to it.
            for index in running.indices {
                let handle = running[index]
                if let exchange = exchanges.find(handle) {
                    advance(exchange)
                    flushAfterAdvance(handle)
                }
            }
            running.removeAll(keepingCapacity: true)
        }
    }

    /// Answers with `failure`'s own status and message.
    func fail(_ exchange: ExchangePointer, _ failure: Failure, retryAfterSeconds: Int = 0) -> Verdict {
        exchange.pointee.failure = failure
        // Nobody is left to be answered.
        if failure == .clientGone { return .finish }
        let answer = failure.answer ?? (500, "Unexpected API Error.")
        message.removeAll()
        message.append(answer.message)
        return refuse(exchange, status: answer.status, retryAfterSeconds: retryAfterSeconds)
    }

    /// Answers with `status` and the text that the stage left in `message`.
    func refuse(_ exchange: ExchangePointer, status: Int, retryAfterSeconds: Int = 0) -> Verdict {
        exchange.pointee.reply.kind = .fault
        exchange.pointee.reply.status = status
        exchange.pointee.reply.retryAfterSeconds = retryAfterSeconds
        return .reply
    }
}
