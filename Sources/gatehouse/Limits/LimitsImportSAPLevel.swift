import OpenStack
import Yams

/// The limits of one level of `rates`: `global`, of all requests together, or `default`, of each client.
struct SAPLevel {
    private struct Entry {
        var key: String
        var action: String
        /// Where it says how much: `limit`, or a bucket's.
        var limit: String?
        var bucket: String?
        var line: Int
        /// Units by the target type URI they have.
        var units: [(unit: Int, target: String)] = []
    }

    private let isGlobal: Bool
    private var keys: [String] = []
    private var entries: [Entry] = []

    private static let maxEntryCount = 1_000

    static func read(
        _ node: Node, isGlobal: Bool, into importing: inout SAPImport
    ) throws(LimitsImportMistake) {
        var level = SAPLevel(isGlobal: isGlobal)
        try level.read(node, &importing)
        level.match(importing)
        level.addRules(&importing)
    }

    private init(isGlobal: Bool) { self.isGlobal = isGlobal }

    private var name: String { isGlobal ? "global" : "default" }

    private mutating func read(_ node: Node, _ importing: inout SAPImport) throws(LimitsImportMistake) {
        for (key, value) in node.mapping ?? [:] {
            let target = key.string ?? ""
            guard let list = value.sequence else {
                importing.result.leaveOut(
                    key.mark?.line ?? 1, "\(name): \(target)", "it is no list of actions and limits")
                continue
            }
            keys.append(target)
            for item in list {
                guard entries.count < Self.maxEntryCount else {
                    throw LimitsImportMistake(
                        file: importing.file, line: item.mark?.line ?? 1, column: item.mark?.column ?? 1,
                        message: "there are more than \(Self.maxEntryCount) limits")
                }
                read(item, target, &importing)
            }
        }
    }

    private mutating func read(_ item: Node, _ target: String, _ importing: inout SAPImport) {
        let line = item.mark?.line ?? 1
        guard let action = item["action"]?.string else {
            importing.result.leaveOut(
                line, "\(name): \(target)", "the middleware reads nothing without an `action`")
            return
        }
        var entry = Entry(key: target, action: action, line: line)
        let limit = item["limit"]?.string ?? ""
        let bucket = item["bucket"]?.string ?? ""
        if !limit.isEmpty {
            entry.limit = limit
        } else if !bucket.isEmpty {
            entry.bucket = bucket
            entry.limit = importing.buckets[bucket]?["limit"]?.string
        }
        if let strategy = item["strategy"]?.string, strategy != "slidingwindow" {
            importing.result.choices.append(
                "line \(line): strategy \(strategy) is read as a sliding window, without its waiting: a request over "
                    + "the limit is refused at once")
        }
        if entries.contains(where: { $0.key == target && $0.action == action }) {
            importing.result.leaveOut(line, source(entry), "another one of this action stands before it")
        } else if importing.group(of: action) != action,
            !importing.groups.contains(where: { $0.name == action })
        {
            importing.result.leaveOut(
                line, source(entry),
                "the action is in the group \(importing.group(of: action)), so the middleware does not find it here"
            )
        } else {
            entries.append(entry)
        }
    }

    private func source(_ entry: Entry) -> String {
        let amount = entry.bucket.map { "bucket: \($0)" + (entry.limit.map { ", limit: \($0)" } ?? "") }
        return "\(name): \(entry.key): action: \(entry.action), "
            + (amount ?? "limit: \(entry.limit ?? "none")")
    }

    // MARK: - Requests

    /// Gives every operation and action to the entry that the middleware finds for it.
    private mutating func match(_ importing: SAPImport) {
        let operations = importing.result.operations
        var left: [(unit: Int, target: String)] = []
        for (index, unit) in operations.units.enumerated() {
            let target = SAPNames.target(unit.operation)
            guard let key = key(for: target) else { continue }
            let found = entries.firstIndex {
                $0.key == key && $0.action == importing.group(of: SAPNames.action(unit))
            }
            if let found {
                entries[found].units.append((index, target))
            } else {
                left.append((index, target))
            }
        }
        // The watcher's settings can name actions otherwise; the definition's own names are the likely ones.
        let empty = Set(entries.indices.filter { entries[$0].units.isEmpty })
        for (index, target) in left {
            let unit = operations.units[index]
            let action = importing.group(of: unit.action?.auditAction ?? unit.operation.auditAction)
            guard let key = key(for: target),
                let found = entries.firstIndex(where: { $0.key == key && $0.action == action }),
                empty.contains(found)
            else { continue }
            entries[found].units.append((index, target))
        }
    }

    /// The key that counts for a target: itself, or the first one that ends in `*` and begins as it does.
    private func key(for target: String) -> String? {
        if keys.contains(target) { return target }
        return keys.first { $0.hasSuffix("*") && target.hasPrefix($0.dropLast()) }
    }

    // MARK: - Rules

    private func addRules(_ importing: inout SAPImport) {
        var done: Set<String> = []
        for entry in entries {
            guard !entry.units.isEmpty else {
                importing.result.leaveOut(
                    entry.line, source(entry), "no request to Nova is known by these names")
                continue
            }
            guard let text = entry.limit else {
                importing.result.leaveOut(
                    entry.line, source(entry),
                    entry.bucket == nil ? "it has no limit" : "there is no such bucket, so it is not limited")
                continue
            }
            // Unlimited, which keeps a pattern from being asked; no rule is the same.
            if text == "-1" { continue }
            guard let limit = SAPLimit(text) else {
                importing.result.leaveOut(
                    entry.line, source(entry), "the middleware does not read this limit")
                continue
            }
            guard let rate = ImportRate(limit.count, seconds: limit.seconds)
            else {
                importing.result.leaveOut(entry.line, source(entry), "there is no such rate")
                continue
            }
            var rule = ImportedRule(
                name: "\(name)-\(entry.key)-\(entry.action)", units: Set(entry.units.map(\.unit)),
                per: isGlobal ? [] : [importing.scope], rate: rate, burst: limit.burst, line: entry.line,
                source: source(entry))
            rule.exemptProjects = importing.exemptProjects
            if limit.hasBurst { rule.remarks.append("a token bucket, as here: the same rate and burst") }
            if let bucket = entry.bucket {
                guard done.insert(bucket).inserted else { continue }
                let sharing = entries.filter { $0.bucket == bucket }
                rule.name = "\(name)-\(bucket)"
                rule.units = Set(sharing.flatMap { $0.units.map(\.unit) })
                if sharing.count > 1 {
                    rule.remarks.append(
                        "with the bucket of "
                            + sharing.dropFirst().map { "line \($0.line)" }.joined(separator: ", "))
                }
                importing.result.add(rule)
            } else {
                add(rule, entry, &importing.result)
            }
        }
    }

    /// Adds a rule, or several: the middleware has a bucket for each target.
    private func add(_ rule: ImportedRule, _ entry: Entry, _ result: inout ImportResult) {
        let targets = Dictionary(grouping: entry.units, by: \.target)
        guard targets.count > 1 else {
            result.add(rule)
            return
        }
        // One operation each is what `per: operation` tells apart.
        if targets.values.allSatisfy({ $0.count == 1 })
            || targets.count > ImportResult.maxRuleCountOfOperation
        {
            var rule = rule
            rule.per.insert("operation")
            if !targets.values.allSatisfy({ $0.count == 1 }) {
                rule.remarks.append("each target had a bucket, with all its methods; here each operation has")
            }
            result.add(rule)
            return
        }
        for (target, units) in targets.sorted(by: { $0.value[0].unit < $1.value[0].unit }) {
            var one = rule
            one.name = "\(name)-\(target)-\(entry.action)"
            one.units = Set(units.map(\.unit))
            result.add(one)
        }
    }
}

/// The names that openstack-watcher-middleware gives requests to Nova, without their prefix `service/compute/`.
enum SAPNames {
    /// What stands for the part after another one, where that is not its singular.
    private static let names = [
        "os-floating-ip-dns": "domain", "os-floating-ips": "floating-ip", "os-extra_specs": "key",
        "entries": "entry", "os-hosts": "host", "os-hypervisors": "hypervisor",
        "os-instance-actions": "instance-action", "os-keypairs": "keypair", "os-networks": "network",
        "os-security-group-rules": "rule", "os-security-groups": "security-group",
        "os-simple-tenant-usage": "tenant", "os-volume_attachments": "attachment", "metadata": "key",
        "tags": "tag",
    ]

    /// `servers/server/os-interface/interface` for the path below a project.
    static func target(_ operation: OpenStack.Operation) -> String {
        var parts: [String] = []
        var previous = ""
        for segment in operation.path.split(separator: "/").map(String.init) {
            if segment.hasPrefix("{") {
                var singular = previous
                while singular.last == "s" { singular.removeLast() }
                parts.append(names[previous] ?? singular)
            } else {
                parts.append(segment)
            }
            previous = segment
        }
        return parts.joined(separator: "/")
    }

    /// The CADF action: of an action its key, of a list `read/list`, else the method's.
    static func action(_ unit: ImportOperations.Unit) -> String {
        if let action = unit.action { return "update/\(action.key)" }
        switch unit.operation.method {
        case .get: return unit.operation.auditAction == "read/list" ? "read/list" : "read"
        case .post: return "create"
        case .put: return "update"
        case .delete: return "delete"
        default: return "unknown"
        }
    }
}

/// An amount as the middleware writes it: `100r/m`, `5r/15m`, `100r/m,burst=3`.
struct SAPLimit {
    var count: Int
    var seconds: Int
    var burst: Int
    var hasBurst = false

    init?(_ text: String) {
        guard
            let parts = text.wholeMatch(
                of: /\s*(\d{1,9})(?:\.0+)?r\/(\d{0,6})(s|m|h|d)(?:,burst=(\d{1,7}))?\s*/),
            let count = Int(parts.1), count > 0
        else { return nil }
        let number = parts.2.isEmpty ? 1 : Int(parts.2) ?? 0
        guard number > 0 else { return nil }
        self.count = count
        let units: [Substring: Int] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        seconds = number * (units[parts.3] ?? 1)
        burst = count
        guard let wanted = parts.4 else { return }
        guard let wanted = Int(wanted), wanted > 0 else { return nil }
        burst = wanted
        hasBurst = true
    }
}
