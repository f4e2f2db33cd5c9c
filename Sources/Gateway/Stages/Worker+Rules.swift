internal import Bytes
internal import Logging
internal import Loop
internal import OpenStack

extension Worker {
    /// Tells whether the rules of the definition are looked at; after one that was only reported they are not.
    func rulesCount(_ exchange: ExchangePointer) -> Bool {
        guard exchange.pointee.reportedStatus == 0, let site = exchange.pointee.site else { return false }
        return site._withUnsafeGuaranteedRef { $0.validation != .off }
    }

    /// Refuses by a rule, with the words in `message`; nil where it is only reported, and the request goes on.
    func refuseByRule(_ exchange: ExchangePointer, _ failure: Failure, status: Int) -> Verdict? {
        guard exchange.pointee.site?._withUnsafeGuaranteedRef({ $0.validation }) == .report else {
            exchange.pointee.failure = failure
            return refuse(exchange, status: status)
        }
        exchange.pointee.reportedStatus = UInt16(status)
        exchangeCounters.countReported(operation: globalOperation(exchange))
        logReported(exchange, status: status)
        message.removeAll()
        return nil
    }

    /// One line on what would have been refused; at most ten a second and worker, the words cut at 256 bytes.
    private func logReported(_ exchange: ExchangePointer, status: Int) {
        guard reportBudget.take(now) else { return }
        scratch.removeAll()
        exchange.pointee.requestID.append(to: &scratch)
        let words = Self.loggable(message.readable)
        reportLog.notice(
            "would be refused",
            metadata: [
                "request_id": .string(scratch.readable.string),
                "operation": .string(operation(of: exchange).map { $0.idBytes.string } ?? "-"),
                "status": .stringConvertible(status),
                "message": .string(words.view(0, min(256, words.count)).string),
            ])
    }
}

extension Worker {
    /// A message as the log may have it: one that names a secret, as far as the value that it quotes.
    private static func loggable(_ words: ByteView) -> ByteView {
        guard SecretNames.occur(in: words) else { return words }
        // `Invalid input for field/attribute adminPass. Value: …` is how Nova puts it; other words may be a value wholly.
        let mark: StaticString = ". Value: "
        let last = words.count - mark.utf8CodeUnitCount
        guard last >= 0,
            let end = (0...last).first(where: { words.view($0, mark.utf8CodeUnitCount).equals(mark) })
        else { return words.view(0, 0) }
        return words.view(0, end)
    }
}

/// How many lines may still be written in this second.
struct ReportBudget {
    private static var linesPerSecond: Int { 10 }
    private var second: UInt64 = 0
    private var taken = 0

    /// Takes a line's place, if there is one; `now` is in nanoseconds.
    mutating func take(_ now: UInt64) -> Bool {
        if now / 1_000_000_000 != second {
            second = now / 1_000_000_000
            taken = 0
        }
        guard taken < Self.linesPerSecond else { return false }
        taken += 1
        return true
    }
}
