import OpenStack
import Yams

/// Reads the limits of `ratelimit.yaml`, as SAP's openstack-rate-limit-middleware has them.
///
/// - Shape: the middleware limits by target type URI and CADF action, as openstack-watcher-middleware names them.
/// - Source: the documentation of both.
struct SAPImport {
    let file: String
    var result: ImportResult
    /// Actions, or patterns of them, by the group that stands for them.
    var groups: [(name: String, actions: [String])] = []
    var buckets: [String: Node] = [:]
    /// What a client's buckets are of; the middleware's option `rate_limit_by`.
    var scope = "project"
    var exemptProjects: [String] = []

    static func read(
        _ text: String, file: String, into result: ImportResult
    ) throws(LimitsImportMistake) -> ImportResult {
        var reading = SAPImport(file: file, result: result)
        try reading.read(ImportYAML.read(text, file: file))
        return reading.result
    }

    private init(file: String, result: ImportResult) {
        self.file = file
        self.result = result
    }

    private mutating func read(_ root: Node) throws(LimitsImportMistake) {
        guard let root = root.mapping else {
            throw LimitsImportMistake(
                file: file, line: 1, column: 1, message: "this is no mapping of settings")
        }
        var rates: Node?
        for (key, value) in root {
            let name = key.string ?? ""
            switch name {
            case "rates": rates = value
            case "groups": readGroups(value)
            case "buckets": readBuckets(value)
            case "rate_limit_by": readScope(value)
            default: readOption(name, value, key.mark?.line ?? 1)
            }
        }
        if let buckets = rates?.mapping?["buckets"] { readBuckets(buckets) }
        guard let rates, let levels = rates.mapping else {
            throw LimitsImportMistake(
                file: file, line: rates?.mark?.line ?? 1, column: rates?.mark?.column ?? 1,
                message: "there are no `rates`")
        }
        result.choices.append(
            "the middleware counts in a sliding window; a burst of the window's number allows what an idle client had "
                + "there, and comes back evenly. Over any time that is the rate, in one window up to twice its number"
        )
        for (key, value) in levels {
            let line = key.mark?.line ?? 1
            switch key.string {
            case "global": try SAPLevel.read(value, isGlobal: true, into: &self)
            case "default": try SAPLevel.read(value, isGlobal: false, into: &self)
            case "buckets": break
            default:
                result.leaveOut(
                    line, "rates: \(key.string ?? "")",
                    "the middleware reads only what is in `global` and in `default`")
            }
        }
    }

    // MARK: - Beside the rates

    private mutating func readGroups(_ node: Node) {
        for (key, value) in node.mapping ?? [:] {
            groups.append((key.string ?? "", (value.sequence ?? []).compactMap(\.string)))
        }
    }

    private mutating func readBuckets(_ node: Node) {
        for (key, value) in node.mapping ?? [:] { buckets[key.string ?? ""] = value }
    }

    private mutating func readScope(_ node: Node) {
        switch node.string {
        case "initiator_host_address": scope = "address"
        case "target_project_id":
            result.choices.append("rate_limit_by: target_project_id is read as the token's project")
        default: break
        }
    }

    private mutating func readOption(_ name: String, _ value: Node, _ line: Int) {
        let what = "\(name): \(value.scalar?.string ?? "…")"
        switch name {
        case "service", "service_type", "cadf_service_name", "config_file": break
        case "whitelist": for item in value.sequence ?? [] { readWhitelisted(item) }
        case "whitelist_users":
            result.leaveOut(
                line, name, "rules have no exemptions by user; give them a role and `exempt: {roles: …}` it")
        case "blacklist", "blacklist_users":
            result.leaveOut(
                line, name,
                "nobody is refused by a list; disable the user or the project in Keystone, whose tokens end "
                    + "then")
        case "ratelimit_response", "rate_limit_response":
            result.leaveOut(line, name, "the answer is Nova's own: 429 overLimit with Retry-After")
        case "blacklist_response": result.leaveOut(line, name, "there is no list to refuse by")
        case "max_sleep_time_seconds", "log_sleep_time_seconds", "rate_buffer_seconds":
            result.leaveOut(line, what, "no request is put to sleep: it is refused at once, with Retry-After")
        case "backend_host", "backend_port", "backend_password", "backend_secret_file",
            "backend_timeout_seconds",
            "backend_max_connections", "redis_host", "redis_port", "clock_accuracy":
            result.leaveOut(
                line, name,
                "processes share limits through `store: redis` and `redis: {url: redis://HOST:PORT/0}`")
        case _ where name.hasPrefix("statsd_"):
            result.leaveOut(line, name, "counters are at /metrics of the admin listener")
        case _ where name.hasPrefix("limes_"):
            result.leaveOut(line, name, "limits of single projects are `overrides` of rules")
        default: result.leaveOut(line, name, "it is no setting of the middleware that has a meaning here")
        }
    }

    private mutating func readWhitelisted(_ node: Node) {
        guard let text = node.string else { return }
        let what = "whitelist: \(text)"
        if text.contains("/") {
            result.leaveOut(
                node.mark?.line ?? 1, what,
                "projects are known by id: add that to `exempt: {projects: …}` of the rules")
        } else if text == "localhost" || text.contains(":") || text.split(separator: ".").count == 4 {
            result.leaveOut(node.mark?.line ?? 1, what, "rules have no exemptions by address")
        } else if text.utf8.count <= 64, text.utf8.allSatisfy(Self.isOfProjectID),
            exemptProjects.count < ImportResult.maxProjectCount
        {
            if !exemptProjects.contains(text) { exemptProjects.append(text) }
        } else {
            result.leaveOut(
                node.mark?.line ?? 1, what, "it is no project's id, or there are too many of them")
        }
    }

    /// What Nova's own routes take for a project.
    private static func isOfProjectID(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x61...0x66 ~= byte || byte == 0x2D
    }

    /// The group that stands for an action, or the action.
    func group(of action: String) -> String {
        for group in groups where group.actions.contains(where: { Self.matches($0, action) }) {
            return group.name
        }
        return action
    }

    /// Whether a pattern, `*` for anything in it, is true of an action.
    private static func matches(_ pattern: String, _ action: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
        guard parts.count > 1, let first = parts.first, let last = parts.last else {
            return pattern == action
        }
        guard action.hasPrefix(first), action.count >= first.count + last.count, action.hasSuffix(last) else {
            return false
        }
        var rest = action.dropFirst(first.count).dropLast(last.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let place = rest.firstRange(of: part) else { return false }
            rest = rest[place.upperBound...]
        }
        return true
    }
}
