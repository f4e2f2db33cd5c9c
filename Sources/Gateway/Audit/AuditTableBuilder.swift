internal import Bytes
internal import HTTP
internal import OpenStack

/// Puts an `AuditTable` together; for start, reload and `gatehouse check`.
struct AuditTableBuilder {
    let audit: Settings.Audit
    let tables: [OperationTable]
    private(set) var mistakes: [RuleMistakes.Mistake] = []
    private(set) var unmatched = (read: AuditRule(), other: AuditRule())
    private(set) var operations: [AuditRule] = []
    private(set) var actions: [AuditRule] = []
    private(set) var bases: [(operations: Int32, actions: Int32)] = []
    private(set) var secrets: [AuditTable.SecretPath] = []
    private(set) var words: [ByteRange] = []
    private(set) var bytes: [UInt8] = []
    private var places: [String: ByteRange] = [:]

    init(_ audit: Settings.Audit, tables: [OperationTable]) {
        self.audit = audit
        self.tables = tables
    }

    mutating func build() {
        let scopes = audit.policies.map { OperationScope($0.operations, tables: tables) }
        for scope in scopes { mistakes += scope.mistakes }
        unmatched.other.action = add("unknown")
        unmatched.other.typeURI = add("unknown")
        unmatched.read = unmatched.other
        unmatched.read.changesState = false
        unmatched.read.record = .folded
        for (api, table) in tables.enumerated() {
            bases.append((Int32(operations.count), Int32(actions.count)))
            let paths = AuditTargets(table)
            var ofActions = [AuditRule](repeating: AuditRule(), count: table.actionCount)
            for (index, operation) in table.operations.enumerated() {
                var rule = rule(of: operation, paths)
                let ofOperation = rule
                apply(scopes.firstIndex { $0.hasOperation(api, index) }, to: &rule)
                operations.append(rule)
                for (action, place) in zip(operation.actions, table.actions(of: index)) {
                    rule = self.rule(of: action, operation, ofOperation)
                    apply(scopes.firstIndex { $0.hasAction(api, place) }, to: &rule)
                    ofActions[place] = rule
                }
            }
            actions += ofActions
        }
        for (policy, scope) in zip(audit.policies, scopes) where policy.record != .each {
            refuseChanges(policy, scope)
        }
    }

    /// The first policy that names something counts; without one, reads are folded.
    private func apply(_ policy: Int?, to rule: inout AuditRule) {
        guard let policy else { return rule.record = rule.changesState ? .each : .folded }
        rule.record = audit.policies[policy].record
        rule.recordsContent = audit.policies[policy].recordsContent && rule.record == .each
    }

    /// What changes state has an event for each exchange, whatever other policies say of it.
    private mutating func refuseChanges(_ policy: Settings.AuditPolicy, _ scope: OperationScope) {
        for (api, table) in tables.enumerated() {
            for (index, operation) in table.operations.enumerated() {
                var changed: String?
                if scope.hasOperation(api, index), operations[Int(bases[api].operations) + index].changesState
                {
                    changed = operation.id
                }
                for (action, place) in zip(operation.actions, table.actions(of: index))
                where changed == nil && scope.hasAction(api, place)
                    && actions[Int(bases[api].actions) + place].changesState
                {
                    changed = "\(operation.id):\(action.key)"
                }
                guard let changed else { continue }
                mistakes.append(
                    RuleMistakes.Mistake(
                        line: policy.line, column: policy.column,
                        message: "`record`: `\(policy.record.rawValue)` is not for what changes state, as "
                            + "\(changed) does"))
                return
            }
        }
    }

    // MARK: - Rules

    private mutating func rule(of operation: OpenStack.Operation, _ paths: AuditTargets) -> AuditRule {
        let target = paths.target(of: operation)
        var rule = AuditRule()
        rule.changesState = operation.isWrite || !Self.isRead(operation.auditAction)
        rule.operation = add(operation.id)
        rule.action = add(operation.auditAction)
        rule.typeURI = add(target.typeURI)
        rule.targetParameter = Int8(target.parameter ?? -1)
        rule.parentParameter = Int8(target.parent ?? -1)
        for place in target.secretParameters { rule.secretParameters |= 1 << UInt8(place) }
        if let name = target.idName { rule.idName = add(name) }
        addSecrets(operation.secrets, to: &rule)
        return rule
    }

    private mutating func rule(
        of action: Action, _ operation: OpenStack.Operation, _ ofOperation: AuditRule
    ) -> AuditRule {
        var rule = ofOperation
        // An action may be a reading, though every action is a POST.
        rule.changesState = !Self.isRead(action.auditAction)
        rule.operation = add("\(operation.id):\(action.key)")
        rule.action = add(action.auditAction)
        if let created = AuditTargets.created(by: action, of: operation) {
            rule.createdTypeURI = add(created.typeURI)
            rule.idName = add(created.idName)
        }
        addSecrets(operation.secrets + action.secrets, to: &rule)
        return rule
    }

    private static func isRead(_ action: String) -> Bool {
        let stem = action.split(separator: "/").first
        return stem == "read" || stem == "list" || stem == "monitor"
    }

    private mutating func addSecrets(_ paths: [String], to rule: inout AuditRule) {
        rule.firstSecret = Int32(secrets.count)
        for path in paths {
            let names = path.split(separator: ".").map(String.init)
            secrets.append(AuditTable.SecretPath(first: Int32(words.count), count: Int32(names.count)))
            for name in names.reversed() { words.append(add(name)) }
        }
        rule.secretCount = Int32(paths.count)
    }

    private mutating func add(_ text: String) -> ByteRange {
        if let place = places[text] { return place }
        let place = ByteRange(start: bytes.count, count: text.utf8.count)
        bytes += Array(text.utf8)
        places[text] = place
        return place
    }
}

/// What the operations of an API are about, told from their paths and ids.
///
/// - Shape: an id is a resource and a verb, `server_migrations.list`; a path alternates words and `{parameters}`.
struct AuditTargets {
    struct Target {
        var typeURI: String
        var parameter: Int?
        var parent: Int?
        var secretParameters: [Int] = []
        var idName: String?
    }

    /// The resource of each path that ends with a parameter, whatever the parameter's name.
    private var resources: [[Substring]: String] = [:]

    /// Resources that are another one by a path of their own.
    private static let aliases = ["volumes_boot": "servers"]
    /// How answers name what was made where it is not `id`; nil where they do not.
    private static let idNames: [String: String?] = [
        "interfaces": "port_id", "keypairs": "name", "shares": "share_id",
        "volume_attachments": "volumeId", "remote_consoles": nil, "consoles": nil,
    ]

    /// Actions that make something out of their target. Before 2.45 its reference is in `Location`, from then on its id in
    /// the content's one member.
    private static let created: [String: (typeURI: String, idName: String)] = [
        "servers.action:createImage": ("compute/images", "image_id"),
        "servers.action:createBackup": ("compute/images", "image_id"),
    ]

    /// What an action makes that is not its target.
    static func created(by action: Action, of operation: OpenStack.Operation)
        -> (typeURI: String, idName: String)?
    {
        created["\(operation.id):\(action.key)"]
    }

    init(_ table: OperationTable) {
        for operation in table.operations {
            let form = Self.form(operation.path)
            if form.last == "{}" { resources[form] = Self.resource(operation) }
        }
    }

    func target(of operation: OpenStack.Operation) -> Target {
        let segments = operation.path.split(separator: "/")
        let form = Self.form(operation.path)
        let resource = Self.resource(operation)
        let parameters = segments.filter { $0.hasPrefix("{") }
        var target = Target(typeURI: typeURI(form, resource))
        // A path that ends with a word is about what the last parameter names, or about a list within it.
        let isWithin = form.last != "{}" && lastResource(form) != resource
        let last = parameters.isEmpty ? nil : parameters.count - 1
        target.parameter = isWithin ? nil : last
        target.parent = isWithin ? last : last.flatMap { $0 > 0 ? $0 - 1 : nil }
        for place in parameters.indices {
            let index = segments.indices.filter { segments[$0].hasPrefix("{") }[place]
            let isSecret =
                operation.secretParameters & 1 << UInt8(place) != 0
                || index > 0 && SecretNames.contains(String(segments[index - 1]))
            if isSecret { target.secretParameters.append(place) }
        }
        if operation.method == .post, operation.id.hasSuffix(".create"),
            operation.auditAction.split(separator: "/").first == "create"
        {
            target.idName = Self.idNames[resource] ?? "id"
        }
        return target
    }

    private static func resource(_ operation: OpenStack.Operation) -> String {
        operation.id.split(separator: ".").first.map(String.init) ?? operation.id
    }

    /// The path's segments, those of parameters as `{}`.
    private static func form(_ path: String) -> [Substring] {
        path.split(separator: "/").map { $0.hasPrefix("{") ? "{}" : $0 }
    }

    /// What the last parameter of a path that ends with a word names.
    private func lastResource(_ form: [Substring]) -> String? {
        guard let end = form.lastIndex(of: "{}") else { return nil }
        return resources[Array(form[...end])]
    }

    private func typeURI(_ form: [Substring], _ resource: String) -> String {
        for end in form.indices.reversed().dropFirst(form.last == "{}" ? 1 : 0) where form[end] == "{}" {
            let prefix = Array(form[...end])
            guard let holder = resources[prefix] else { continue }
            if holder == resource { return typeURI(prefix, resource) }
            return typeURI(prefix, holder) + "/" + Self.name(resource, within: holder)
        }
        return "compute/" + (Self.aliases[resource] ?? resource)
    }

    /// `server_migrations` within `servers` are `migrations`.
    private static func name(_ resource: String, within holder: String) -> String {
        for prefix in [holder + "_", holder.hasSuffix("s") ? holder.dropLast() + "_" : holder + "_"]
        where resource.hasPrefix(prefix) && resource.count > prefix.count {
            return String(resource.dropFirst(prefix.count))
        }
        return resource
    }
}
