/// What a list of servers asks for: filters, order and page.
///
/// - Errors: 400 and 403 in Nova's words and order: schema first, then policy, then the marker.
struct ServerQuery {
    private static let patterns = [
        "name", "flavor", "ip", "ip6", "hostname", "key_name", "power_state", "availability_zone",
        "created_at",
        "description", "display_name", "display_description", "node", "reservation_id", "access_ip_v4",
        "access_ip_v6",
        "kernel_id", "ramdisk_id", "root_device_name", "config_drive", "progress", "launched_at",
        "terminated_at",
        "locked_by", "auto_disk_config", "instance_type_id", "updated_at", "architecture", "cleaned",
        "internal_id",
        "tags", "tags-any", "not-tags", "not-tags-any",
    ]
    private static let texts = [
        "user_id", "project_id", "tenant_id", "image", "image_ref", "uuid", "host", "vm_state", "task_state",
        "launch_index", "soft_deleted", "locked", "status", "deleted", "all_tenants", "changes-since",
        "changes-before", "limit", "marker", "sort_key", "sort_dir",
    ]
    /// All query names that the list knows.
    static let names = Set(patterns + texts)
    private static let sortKeys = [
        "access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at",
        "display_description", "display_name", "host", "hostname", "image_ref", "instance_type_id",
        "kernel_id",
        "key_name", "launch_index", "launched_at", "locked_by", "node", "power_state", "progress",
        "project_id",
        "ramdisk_id", "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid",
        "vm_state",
    ]
    private static let ignoredSortKeys = [
        "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted",
        "deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data",
        "launched_on", "locked", "memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate",
        "user_data", "vcpus", "vm_mode",
    ]

    private var limit = 0
    private var isAllTenants = false
    private var since: Moment?
    private var before: Moment?
    private var statuses: Set<String>?
    private var wantsDeleted = false
    private var sort: [(key: String, isAscending: Bool)] = []

    init(_ call: Call) throws(NovaFault) {
        limit = try Self.readLimit(call)
        try checkSchema(call)
        try checkPolicy(call)
        try readStatuses(call)
    }

    private static func readLimit(_ call: Call) throws(NovaFault) -> Int {
        guard call.isLegacy else { return try call.limit() }
        guard let text = call.queryValue("limit") else { return call.cloud.maximumPage }
        guard let number = Int(text.trimmed) else {
            throw .badRequest("Invalid input received: limit must be an integer")
        }
        guard number >= 0 else { throw .badRequest("Invalid input received: limit must be >= 0") }
        return min(number, call.cloud.maximumPage)
    }

    private mutating func checkSchema(_ call: Call) throws(NovaFault) {
        for pair in call.query {
            let start = "Invalid input for query parameters \(pair.name). Value: \(pair.value). "
            let quoted = JSONValue.string(pair.value).pythonText
            if pair.name == "changes-since" || (pair.name == "changes-before" && call.minor >= 66) {
                guard let moment = Moment(reading: pair.value) else {
                    throw .badRequest(start + "\(quoted) is not a 'date-time'")
                }
                if pair.name == "changes-since" { since = moment } else { before = moment }
            } else if Self.patterns.contains(pair.name) {
                guard !pair.value.isEmpty, (try? Regex(pair.value)) != nil else {
                    throw .badRequest(start + "\(quoted) is not a 'regex'")
                }
            } else if pair.name == "sort_key", !call.isLegacy {
                let known = Self.sortKeys + (call.minor < 75 ? Self.ignoredSortKeys : ["locked"])
                guard known.contains(pair.value) else {
                    let list = known.map { "'\($0)'" }.joined(separator: ", ")
                    throw .badRequest(start + "\(quoted) is not one of [\(list)]")
                }
            }
        }
        if let since, let before, before < since {
            throw .badRequest("The value of changes-since must be less than or equal to changes-before.")
        }
    }

    private mutating func checkPolicy(_ call: Call) throws(NovaFault) {
        if let value = call.queryValue("all_tenants") { isAllTenants = try Self.flag(value) }
        if call.minor >= 73, let value = call.queryValue("locked") { _ = try Self.flag(value) }
        if isAllTenants, !call.token.isAdmin { throw .forbidden("servers:index:get_all_tenants") }
        let directions = call.queryValues("sort_dir")
        for (index, key) in call.queryValues("sort_key").enumerated() {
            if key == "host" || key == "node", !call.token.isAdmin {
                throw .nova(403, "Only administrators can sort servers by host")
            }
            sort.append((key, index < directions.count && directions[index] == "asc"))
        }
        if directions.contains(where: { $0 != "asc" && $0 != "desc" }) {
            throw .badRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
        }
    }

    private static func flag(_ value: String) throws(NovaFault) -> Bool {
        switch value.lowercased().trimmed {
        case "", "1", "t", "true", "on", "y", "yes": return true
        case "0", "f", "false", "off", "n", "no": return false
        default:
            throw .badRequest(
                "Unrecognized value '\(value)', acceptable values are: '0', '1', 'f', 'false', 'n', "
                    + "'no', 'off', "
                    + "'on', 't', 'true', 'y', 'yes'")
        }
    }

    private mutating func readStatuses(_ call: Call) throws(NovaFault) {
        let asked = call.queryValues("status").map { $0.uppercased() }
        if let flag = call.queryValue("deleted"), call.token.isAdmin {
            wantsDeleted = (try? Self.flag(flag)) ?? false
        }
        guard !asked.isEmpty else { return }
        let known = asked.filter { Server.statuses.contains($0) && $0 != "UNKNOWN" }
        if known.isEmpty, call.minor >= 38 { throw .badRequest("Invalid status value") }
        if known.contains("DELETED") {
            guard call.token.isAdmin else {
                throw .nova(403, "Only administrators may list deleted instances")
            }
            wantsDeleted = true
        }
        statuses = Set(known)
    }

    // MARK: - Selection

    /// The page of servers, and whether it is full.
    func page(_ call: Call) throws(NovaFault) -> (servers: ArraySlice<Server>, isFull: Bool) {
        var found =
            isAllTenants ? Array(call.cloud.servers.values) : call.cloud.serversByProject[call.project] ?? []
        if isAllTenants { found.sort(by: Self.isNewer) }
        let patterns = self.patterns(call)
        found = found.filter { isWanted($0, call) && Self.matches($0, patterns) }
        for (key, isAscending) in sort.reversed() where Self.value(found.first, key) != nil {
            found = Self.stablySorted(found) { left, right in
                let (first, second) = (Self.value(left, key) ?? "", Self.value(right, key) ?? "")
                return isAscending ? first < second : second < first
            }
        }
        var start = 0
        if let asked = call.queryValue("marker"), !asked.isEmpty {
            let marker = asked.trimmed.lowercased()
            guard let server = call.cloud.servers[marker] else {
                throw .badRequest("marker [\(asked)] not found")
            }
            // The marker need not be in the list itself: the page goes on after where it would stand.
            start =
                found.firstIndex { $0 === server }.map { $0 + 1 }
                ?? found.firstIndex { Self.isNewer(server, $0) } ?? found.count
        }
        let page = found[start...].prefix(limit)
        return (page, limit > 0 && page.count == limit)
    }

    private static func isNewer(_ left: Server, _ right: Server) -> Bool {
        left.created == right.created ? left.number > right.number : right.created < left.created
    }

    private static func stablySorted(_ servers: [Server], _ isBefore: (Server, Server) -> Bool) -> [Server] {
        servers.enumerated().sorted { left, right in
            if isBefore(left.element, right.element) { return true }
            return !isBefore(right.element, left.element) && left.offset < right.offset
        }.map(\.element)
    }

    private static func value(_ server: Server?, _ key: String) -> String? {
        guard let server else { return nil }
        switch key {
        case "created_at": return Text.padded(server.created.microseconds, 20)
        case "updated_at": return Text.padded(server.updated.microseconds, 20)
        case "launched_at": return Text.padded(server.launched?.microseconds ?? 0, 20)
        case "display_name", "hostname": return server.name
        case "uuid": return server.id
        case "vm_state": return server.vmState
        case "task_state": return server.taskState ?? ""
        case "project_id": return server.project
        case "user_id": return server.user
        case "host", "node": return server.host ?? ""
        case "image_ref": return server.image ?? ""
        case "power_state": return String(server.powerState)
        case "key_name": return server.keyName ?? ""
        default: return nil
        }
    }

    private func isWanted(_ server: Server, _ call: Call) -> Bool {
        if server.isDeleted, !(wantsDeleted || since != nil) { return false }
        if wantsDeleted, statuses == ["DELETED"] || statuses == nil, !server.isDeleted { return false }
        if server.vmState == "soft-delete", since == nil, !call.token.isAdmin { return false }
        if let statuses, !statuses.contains(server.status) { return false }
        if let since, server.updated < since { return false }
        if let before, before < server.updated { return false }
        return true
    }

    private enum Pattern {
        case expression((Server) -> [String], Regex<AnyRegexOutput>)
        case equal((Server) -> String?, String)
        case tags([String], all: Bool, negated: Bool)
    }

    /// The filters that count for the token: others are dropped silently, as Nova drops them.
    private func patterns(_ call: Call) -> [Pattern] {
        var found: [Pattern] = []
        for pair in call.query {
            switch pair.name {
            case "name": add(&found, pair.value) { [$0.name] }
            case "ip": add(&found, pair.value) { $0.interfaces.flatMap(\.addresses).map(\.address) }
            case "flavor": found.append(.equal(\.flavor, pair.value))
            case "image": found.append(.equal(\.image, pair.value))
            case "reservation_id": add(&found, pair.value) { [$0.reservation] }
            case "tags" where call.minor >= 26: found.append(Self.tags(pair.value, all: true, negated: false))
            case "tags-any" where call.minor >= 26:
                found.append(Self.tags(pair.value, all: false, negated: false))
            case "not-tags" where call.minor >= 26:
                found.append(Self.tags(pair.value, all: true, negated: true))
            case "not-tags-any" where call.minor >= 26:
                found.append(Self.tags(pair.value, all: false, negated: true))
            case "locked" where call.minor >= 73:
                let isLocked = (try? Self.flag(pair.value)) ?? false
                found.append(.equal({ $0.isLocked ? "yes" : "no" }, isLocked ? "yes" : "no"))
            case "vm_state" where call.minor >= 83 || call.token.isAdmin:
                found.append(.equal(\.vmState, pair.value))
            case "user_id" where call.minor >= 83 || call.token.isAdmin:
                found.append(.equal(\.user, pair.value))
            case "key_name" where call.minor >= 83 || call.token.isAdmin:
                add(&found, pair.value) { [$0.keyName ?? ""] }
            case "hostname" where call.minor >= 90 || call.token.isAdmin:
                add(&found, pair.value) { [$0.hostname] }
            case "host" where call.token.isAdmin: found.append(.equal(\.host, pair.value))
            case "uuid" where call.token.isAdmin: found.append(.equal(\.id, pair.value))
            case "project_id" where call.token.isAdmin && isAllTenants,
                "tenant_id" where call.token.isAdmin && isAllTenants:
                found.append(.equal(\.project, pair.value))
            default: break
            }
        }
        return found
    }

    private func add(_ patterns: inout [Pattern], _ text: String, _ values: @escaping (Server) -> [String]) {
        if let expression = try? Regex(text) {
            patterns.append(.expression(values, expression.ignoresCase()))
        }
    }

    private static func tags(_ text: String, all: Bool, negated: Bool) -> Pattern {
        .tags(text.split(separator: ",").map(String.init), all: all, negated: negated)
    }

    private static func matches(_ server: Server, _ patterns: [Pattern]) -> Bool {
        patterns.allSatisfy { pattern in
            switch pattern {
            case .expression(let values, let expression):
                values(server).contains { $0.firstMatch(of: expression) != nil }
            case .equal(let value, let wanted): value(server) == wanted
            case .tags(let wanted, let all, let negated):
                (all ? wanted.allSatisfy(server.tags.contains) : wanted.contains(where: server.tags.contains))
                    != negated
            }
        }
    }
}
