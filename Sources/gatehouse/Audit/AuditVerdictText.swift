import Gateway

/// The end of what `gatehouse audit verify` prints: what was read, what came out, and what that proves.
enum AuditVerdictText {
    static func text(
        _ verdict: TrailVerdict, fileCount: Int, keys: [TrailKey], after duration: Duration
    ) -> String {
        let read =
            "\(count(fileCount, "file")), \(count(verdict.lineCount, "line")), \(count(verdict.eventCount, "event")), "
            + "\(count(verdict.writerCount, "writer")), \(AuditSpeed.text(verdict.byteCount, duration))"
        let outcome = verdict.isWhole ? "whole" : "broken: \(count(verdict.breakCount, "break"))"
        return "\(read)\n\(proof(verdict, keys: keys))\n\(outcome)"
    }

    private static func proof(_ verdict: TrailVerdict, keys: [TrailKey]) -> String {
        guard !keys.isEmpty else {
            return
                "chained only: no key was given, so whoever can write the files could have made the chains anew"
                + (verdict.uncheckedSignatureCount > 0
                    ? "; \(count(verdict.uncheckedSignatureCount, "signature")) not checked" : "")
        }
        let names = keys.map(\.text).joined(separator: ", ")
        let signatures = "\(count(verdict.signatureCount, "signature")) by \(names)"
        // What a signature says of the lines before it holds where the chain to it does.
        guard verdict.isWhole else { return signatures }
        let proven = verdict.lineCount - verdict.unprovenLineCount
        return "\(signatures): \(count(proven, "line")) proven, "
            + "\(verdict.unprovenLineCount) behind their writer's last signature"
    }

    private static func count(_ number: Int, _ thing: String) -> String {
        "\(number) \(thing)\(number == 1 ? "" : "s")"
    }
}

/// How much was read in how long.
enum AuditSpeed {
    /// `12.3 MB in 0.01 s: 1230 MB/s`, in millions of bytes.
    static func text(_ byteCount: UInt64, _ duration: Duration) -> String {
        let seconds = duration / .seconds(1)
        let megabytes = Double(byteCount) / 1_000_000
        let rate = seconds > 0 ? megabytes / seconds : 0
        return "\(tenths(megabytes)) MB in \(hundredths(seconds)) s: \(Int(rate.rounded())) MB/s"
    }

    private static func tenths(_ value: Double) -> String {
        let number = Int((value * 10).rounded())
        return "\(number / 10).\(number % 10)"
    }

    private static func hundredths(_ value: Double) -> String {
        let number = Int((value * 100).rounded())
        return "\(number / 100).\(number % 100 < 10 ? "0" : "")\(number % 100)"
    }
}
