public import Bytes
internal import Loop
public import OpenStack

/// Asks rules about exchanges that are over, with the clock of their access lines.
///
/// - Shape: lines come in as they were written, when their exchanges ended; the table and the buckets that serve are asked
///   in the order in which the exchanges began, and given back to when they ended. The clock never goes back.
/// - Limits: 65,536 exchanges are put in order, so that one that lasted longer than the next 65,536 comes late; as many
///   more may be in progress at once; of limited subjects see `LimitReplayReport`. All of it is under 150 MiB.
/// - Source: ours.
public final class LimitReplay {
    /// How many exchanges are put in order, and how many of those that were allowed may wait for their end.
    static let windowCount = 65_536

    /// An exchange that rules are about.
    struct Pending {
        var line: AccessLineFacts
        var charges: LimitCharges
    }

    /// What is kept of an access line.
    struct AccessLineFacts {
        var startedAt: UInt64
        var endedAt: UInt64
        var outcome: LimitOutcome
        var project: String
        var user: String
        var address: IPAddress
        var operation: String
        var method: String
        var requestID: String
        var file: Int
        var number: Int
    }

    private let table: LimitTable
    private let tables: [OperationTable]
    private let buckets: Buckets
    private let keepsRequests: Bool
    private var reader = AccessLineReader()
    /// Operations by the hash of their id.
    private var operations: [UInt64: (api: Int, operation: Int)] = [:]
    private var slots: [Pending?] = []
    private var free: [Int] = []
    private var starts = TimeHeap()
    private var ends = TimeHeap()
    private var clock: UInt64 = 0
    private var files: [String] = []
    private var report: LimitReplayReport
    private var subjects = LimitedSubjects()
    /// What each limited request is told to, in the order of their beginning.
    private let onLimited: ((LimitedRequest) -> Void)?

    /// - Parameters:
    ///   - limits: whose rules are asked, and whose `max_buckets` bound the memory.
    ///   - onLimited: told of each request that a rule refuses, or would refuse if it were enforced.
    /// - Errors: as `LimitTable.compile`.
    public init(
        _ limits: Settings.Limits, tables: [OperationTable], onLimited: ((LimitedRequest) -> Void)? = nil
    ) throws(RuleMistakes) {
        table = try LimitTable.compile(limits, tables: tables, hash: .random())
        self.tables = tables
        self.onLimited = onLimited
        keepsRequests = onLimited != nil
        buckets = Buckets(capacity: limits.maxBucketCount)
        report = LimitReplayReport(
            rules: zip(table.rules, limits.rules).map { LimitReplayReport.Rule($0, $1) })
        for (api, table) in tables.enumerated() {
            for index in table.operations.indices {
                let hash = self.table.hash.hash(table[index].idBytes)
                if operations[hash] == nil { operations[hash] = (api, index) }
            }
        }
        report.shares = if case .redis = limits.store { true } else { false }
    }

    /// Says that the lines from here on are of another file, by the name to tell it by.
    public func begin(file: String) { files.append(file) }

    /// Reads a line, without its end, and asks about what is known to come next.
    public func read(line bytes: ByteView, number: Int) {
        if files.isEmpty { files.append("") }
        report.lineCount += 1
        do throws(AccessLineReader.Mistake) {
            try reader.read(bytes) { add($0, number) }
        } catch {
            refuse(line: number, "\(error.reason)")
        }
    }

    /// Counts a line that could not be read; the first ten are named.
    public func refuse(line number: Int, _ reason: String) {
        report.unreadable.count += 1
        guard report.unreadable.first.count < 10 else { return }
        report.unreadable.first.append(
            LimitReplayReport.Unreadable(file: files.last ?? "", line: number, reason: reason))
    }

    /// Counts a line that was too long to be given.
    public func refuseLong(line number: Int, limit: Int) {
        report.lineCount += 1
        refuse(line: number, "longer than \(limit) bytes")
    }

    /// Asks about all that is left, and says what came out.
    ///
    /// - Parameter topCount: how many of the limited subjects are told of.
    public func finish(topCount: Int) -> LimitReplayReport {
        while let next = starts.takeFirst() { begin(next.slot) }
        while let next = ends.takeFirst() { end(next.slot) }
        subjects.conclude(&report, topCount: topCount)
        let occupation = buckets.occupation
        report.evictedInDebtCount = occupation.evictedInDebtCount
        report.unplacedCount = occupation.unplacedCount
        return report
    }

    // MARK: - Lines

    private func add(_ line: AccessLine, _ number: Int) {
        report.note(line)
        guard !line.endedBeforeLimits, !line.isAsterisk else {
            report.earlyCount += line.isAsterisk ? 0 : 1
            return
        }
        var subject = LimitSubject()
        guard find(line, &subject) else { return }
        report.requestCount += 1
        if line.wasLimited { report.limitedThenCount += 1 }
        subject.hasIdentity = line.hasIdentity
        subject.project = line.project
        subject.user = line.user
        subject.address = line.address
        if let roles = line.roles {
            subject.roles = roles
        } else if line.hasIdentity {
            report.withoutRolesCount += 1
        }
        if !line.hasIdentity { report.withoutIdentityCount += 1 }
        // A log has no tokens: all those of a user in a project count as one, or all those of an address.
        if table.usesTokens {
            subject.token =
                line.hasIdentity
                ? table.hash.hash(line.user) ^ (table.hash.hash(line.project) << 1 | 1)
                : LimitTable.name(line.address, table.hash)
        }
        var charges = LimitCharges()
        table.demand(subject, into: &charges)
        guard charges.count > 0 else { return }
        var operation = Self.text(line.operation, 128)
        if !line.action.isEmpty { operation += ":" + Self.text(line.action, 128) }
        let facts = AccessLineFacts(
            startedAt: line.startedAt, endedAt: line.endedAt, outcome: line.outcome,
            project: Self.text(line.project, 255), user: Self.text(line.user, 255), address: line.address,
            operation: operation, method: keepsRequests ? Self.text(line.method, 32) : "",
            requestID: keepsRequests ? Self.text(line.requestID, 64) : "", file: files.count - 1,
            number: number)
        hold(Pending(line: facts, charges: charges))
    }

    /// As many of the bytes as names may have: what is kept of a line is bounded.
    private static func text(_ bytes: ByteView, _ byteCount: Int) -> String {
        bytes.view(0, min(bytes.count, byteCount)).string
    }

    /// Finds the operation in the definitions of today, and the action where the rules depend on it.
    ///
    /// - Returns: false for version discovery, which is free.
    private func find(_ line: AccessLine, _ subject: inout LimitSubject) -> Bool {
        guard !line.operation.isEmpty else { return true }
        guard let found = operations[table.hash.hash(line.operation)] else {
            report.unknownOperationCount += 1
            if report.unknownOperation == nil { report.unknownOperation = Self.text(line.operation, 128) }
            return true
        }
        guard !tables[found.api][found.operation].isDiscovery else { return false }
        subject.api = found.api
        subject.operation = found.operation
        guard table.needsAction(api: found.api, operation: found.operation) else { return true }
        let known = tables[found.api].actions(of: found.operation).first {
            tables[found.api].action($0).key.equals(line.action)
        }
        if let known { subject.action = known } else { report.withoutActionCount += 1 }
        return true
    }

    // MARK: - Order

    private func hold(_ pending: Pending) {
        let slot: Int
        if let last = free.popLast() {
            slot = last
            slots[slot] = pending
        } else {
            slot = slots.count
            slots.append(pending)
        }
        starts.insert(pending.line.startedAt, slot)
        if starts.count > Self.windowCount, let next = starts.takeFirst() { begin(next.slot) }
    }

    /// Asks about an exchange at its beginning, after all that ended before it.
    private func begin(_ slot: Int) {
        guard var pending = slots[slot] else { return }
        if pending.line.startedAt < clock { report.lateCount += 1 }
        clock = max(clock, pending.line.startedAt)
        while let end = ends.first, end.time <= clock {
            _ = ends.takeFirst()
            self.end(end.slot)
        }
        let verdict = buckets.take(&pending.charges, now: clock)
        count(pending, verdict)
        guard case .allowed = verdict else { return release(slot) }
        slots[slot] = pending
        ends.insert(max(pending.line.endedAt, clock), slot)
        if ends.count > Self.windowCount, let next = ends.takeFirst() {
            report.endedEarlyCount += 1
            end(next.slot)
        }
    }

    private func end(_ slot: Int) {
        guard var pending = slots[slot] else { return }
        pending.charges.settle(
            buckets, table, as: pending.line.outcome, now: max(clock, pending.line.endedAt))
        release(slot)
    }

    private func release(_ slot: Int) {
        slots[slot] = nil
        free.append(slot)
    }

    // MARK: - Counting

    private func count(_ pending: Pending, _ verdict: LimitVerdict) {
        for index in 0..<pending.charges.count {
            let charge = pending.charges[index]
            let rule = Int(charge.rule)
            report.rules[rule].requests += 1
            switch verdict {
            case .allowed:
                if charge.state == .refused {
                    let due = charge.paidAt + charge.cost
                    let wait = charge.isAtOnce ? 0 : due - min(due, clock + charge.tolerance)
                    limited(pending, charge, wait: wait)
                } else {
                    report.rules[rule].allowed += 1
                }
            case .refused(let refusing, let wait):
                if refusing == rule {
                    limited(pending, charge, wait: wait)
                } else {
                    report.rules[rule].refusedByOthers += 1
                }
            }
        }
    }

    private func limited(_ pending: Pending, _ charge: LimitCharges.Charge, wait: UInt64) {
        let rule = Int(charge.rule)
        report.rules[rule].limited += 1
        report.rules[rule].longestWait = max(report.rules[rule].longestWait, wait)
        subjects.note(
            charge.key, rule: rule, name: pending.line.name(per: table.rules[rule].per), at: clock,
            wait: wait)
        guard let onLimited else { return }
        let line = pending.line
        onLimited(
            LimitedRequest(
                time: clock, rule: table.rules[rule].name, isShadow: charge.isShadow,
                subject: line.name(per: table.rules[rule].per), wait: wait, method: line.method,
                operation: line.operation, requestID: line.requestID, file: files[line.file],
                line: line.number))
    }
}

extension LimitReplay.AccessLineFacts {
    /// Whose bucket it is, as `project=… user=…`; `all` where a rule has one bucket.
    func name(per: Settings.LimitKey) -> String {
        var parts: [String] = []
        if per.contains(.project) {
            // As the table has it: a token without a project counts by its user.
            parts.append(project.isEmpty ? "project=none" : "project=\(Self.plain(project))")
        }
        if per.contains(.user) || per.contains(.token) || (per.contains(.project) && project.isEmpty) {
            parts.append("user=\(user.isEmpty ? "none" : Self.plain(user))")
        }
        if per.contains(.token), !per.contains(.project), !project.isEmpty {
            parts.append("project=\(Self.plain(project))")
        }
        if per.contains(.address) || (per.contains(.token) && user.isEmpty) {
            let network = LimitSubject.network(address)
            parts.append("address=\(network)\(network.family == .v4 ? "" : "/64")")
        }
        if per.contains(.operation) {
            parts.append("operation=\(operation.isEmpty ? "none" : Self.plain(operation))")
        }
        return parts.isEmpty ? "all" : parts.joined(separator: " ")
    }

    /// What would move the cursor of a terminal is written as its number.
    private static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            return text
        }
        return text.unicodeScalars.map {
            $0.properties.generalCategory == .control ? "\\u{\(String($0.value, radix: 16))}" : String($0)
        }.joined()
    }
}
