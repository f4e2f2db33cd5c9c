internal import Bytes
internal import HTTP

extension LimitTable {
    /// Appends a rule's name, which needs no escaping anywhere.
    func appendName(_ rule: Int, to output: inout Buffer) { output.append(text(facts(of: rule).name)) }

    /// Appends `"create";q=20;w=120`, behind a comma unless it is the first.
    func appendPolicy(_ charge: LimitCharges.Charge, isFirst: Bool, to output: inout Buffer) {
        appendMember(quotas[Int(charge.quota)].policy, isFirst, to: &output)
    }

    /// Appends `"create";r=12;t=48`, behind a comma unless it is the first.
    func appendRemaining(
        _ charge: LimitCharges.Charge, now: UInt64, isFirst: Bool, to output: inout Buffer
    ) {
        let quota = quotas + Int(charge.quota)
        appendMember(quota.pointee.rest, isFirst, to: &output)
        if charge.isAtOnce {
            return output.appendDecimal(max(0, quota.pointee.count - Int(charge.paidAt)))
        }
        output.appendDecimal(quota.pointee.remaining(paidAt: charge.paidAt, now: now))
        output.append(";t=")
        let debt = charge.paidAt - min(charge.paidAt, now)
        output.appendDecimal((debt + 999_999_999) / 1_000_000_000)
    }

    /// Members of a list are kept with the comma and the space before them.
    private func appendMember(_ member: ByteRange, _ isFirst: Bool, to output: inout Buffer) {
        let text = text(member)
        output.append(isFirst ? text.view(2, text.count - 2) : text)
    }

    /// Appends `Only 10 POST request(s) can be made to */servers every minute.`
    ///
    /// - Source: Nova's words until 2016; facts §1.3.
    func appendDetails(_ charge: LimitCharges.Charge, method: ByteView, to output: inout Buffer) {
        let quota = quota(charge.quota)
        output.append("Only ")
        output.appendDecimal(quota.count)
        output.append(" ")
        output.append(method)
        output.append(charge.isAtOnce ? " request(s) can be in progress to " : " request(s) can be made to ")
        output.append(text(facts(of: Int(charge.rule)).uri))
        switch quota.unitSeconds {
        case 0: output.append(" at once.")
        case 1: output.append(" every second.")
        case 60: output.append(" every minute.")
        case 3_600: output.append(" every hour.")
        default: output.append(" every day.")
        }
    }
}

extension LimitQuotaFacts {
    /// How many requests of cost 1 the bucket has left.
    func remaining(paidAt: UInt64, now: UInt64) -> Int {
        let debt = paidAt - min(paidAt, now)
        return Int((tolerance - min(tolerance, debt)) / interval)
    }

    /// How long an empty bucket takes to fill.
    var windowSeconds: UInt64 { (tolerance + 999_999_999) / 1_000_000_000 }
}
