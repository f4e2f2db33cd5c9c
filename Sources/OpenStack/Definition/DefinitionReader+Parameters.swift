internal import HTTP

extension DefinitionReader {
    /// Reads `x-gatehouse` of an operation.
    mutating func readExtension(_ node: Node, into operation: inout Operation) {
        for (key, value) in pairs(node, "x-gatehouse") {
            switch key {
            case "cache":
                switch string(value, key) {
                case "none": operation.cacheClass = .none
                case "list": operation.cacheClass = .list
                default: add("cache is none or list", at: value)
                }
                if operation.cacheClass == .list, operation.method != .get {
                    add("only GET is cached", at: value)
                }
            case "scope":
                switch string(value, key) {
                case "project": operation.cacheScope = .project
                case "user": operation.cacheScope = .user
                case "cloud": operation.cacheScope = .cloud
                default: add("scope is project, user or cloud", at: value)
                }
            case "limit": operation.limitClass = limitClass(value) ?? operation.limitClass
            case "audit": operation.auditAction = auditAction(value) ?? operation.auditAction
            case "min": operation.minimum = bound(value, key)
            case "max": operation.maximum = bound(value, key)
            case "strict": operation.strict = version(value, key)
            case "tolerated": operation.tolerated = string(value, key)
            case "admin": operation.requiresAdmin = bool(value, key) ?? false
            case "service": operation.requiresService = bool(value, key) ?? false
            case "discovery": operation.isDiscovery = bool(value, key) ?? false
            case "ended": operation.ended = ended(value)
            case "secrets": operation.secrets = strings(value, key)
            case "content": operation.content = contentMode(value) ?? operation.content
            case "max_content":
                operation.maxContentByteCount =
                    integer(value, key, in: 0...(1 << 40)) ?? operation.maxContentByteCount
            case "actions": readActions(value, into: &operation.actions)
            default: add("unknown key in x-gatehouse: \(key)", at: keyNode(key, of: node))
            }
        }
    }

    /// Reads `actions`, which says more of those that the document names itself, or names further ones.
    private mutating func readActions(_ node: Node, into actions: inout [Action]) {
        if node.sequence != nil {
            for name in strings(node, "actions") where !actions.contains(where: { $0.key == name }) {
                actions.append(Action(key: name, auditAction: "update"))
            }
            return
        }
        for (name, value) in pairs(node, "actions") {
            let index = actions.firstIndex { $0.key == name }
            var action = index.map { actions[$0] } ?? Action(key: name, auditAction: "update")
            for (key, value) in pairs(value, name) {
                switch key {
                case "audit": action.auditAction = auditAction(value) ?? action.auditAction
                case "limit": action.limitClass = limitClass(value)
                case "min": action.minimum = bound(value, key)
                case "max": action.maximum = bound(value, key)
                case "admin": action.requiresAdmin = bool(value, key) ?? false
                case "ended": action.ended = ended(value)
                case "secrets": action.secrets = strings(value, key)
                case "schema": action.schema = readSchema(value, depth: 0)
                case "unknown": action.unknownMessage = value.string == "none" ? "" : string(value, key)
                default: add("unknown key of an action: \(key)", at: value)
                }
            }
            if let index { actions[index] = action } else { actions.append(action) }
        }
    }

    private mutating func limitClass(_ node: Node) -> String? {
        guard let name = string(node, "limit") else { return nil }
        if !definition.limitClasses.isEmpty, !definition.limitClasses.contains(where: { $0.name == name }) {
            add("limit is none of x-gatehouse.limit_classes: \(name)", at: node)
        }
        return name
    }

    private mutating func auditAction(_ node: Node) -> String? {
        guard let action = string(node, "audit") else { return nil }
        // The stems of pycadf's taxonomy; what follows a slash is free.
        let stems: Set<String> = [
            "backup", "capture", "create", "configure", "read", "list", "update", "delete", "monitor",
            "start", "stop",
            "deploy", "undeploy", "enable", "disable", "send", "receive", "authenticate", "login", "revoke",
            "renew",
            "restore", "evaluate", "allow", "deny", "notify", "unknown",
        ]
        if !stems.contains(action.split(separator: "/").first.map(String.init) ?? "") {
            add("not an audit action: \(action)", at: node)
        }
        return action
    }

    private mutating func ended(_ node: Node) -> Ended? {
        var ended = Ended(status: 410, release: "")
        for (key, value) in pairs(node, "ended") {
            switch key {
            case "status": ended.status = integer(value, key, in: 400...599) ?? ended.status
            case "message": ended.message = string(value, key)
            case "release": ended.release = string(value, key) ?? ""
            default: add("unknown key of ended: \(key)", at: keyNode(key, of: node))
            }
        }
        return ended
    }

    mutating func contentMode(_ node: Node) -> ContentMode? {
        switch string(node, "content") {
        case "none": return ContentMode.none
        case "collected": return .collected
        case "streamed": return .streamed
        default:
            add("content is none, collected or streamed", at: node)
            return nil
        }
    }

    /// Reads `{action: terminate, status: 400}`; of a list of statuses the first counts.
    mutating func invalidStatus(_ node: Node) -> Int? {
        var status: Int?
        for (key, value) in pairs(node, "invalid") {
            switch key {
            case "action":
                if string(value, key) != "terminate" { add("action is terminate", at: value) }
            case "status": status = integer(value.sequence?.first ?? value, key, in: 400...499)
            default: add("unknown key of invalid: \(key)", at: keyNode(key, of: node))
            }
        }
        return status
    }

    mutating func readParameters(_ node: Node) -> [Parameter] {
        list(node, "parameters").compactMap { readParameter($0) }
    }

    private mutating func readParameter(_ node: Node) -> Parameter? {
        if let reference = node["$ref"] {
            let prefix = "#/components/parameters/"
            guard let target = reference.string, target.hasPrefix(prefix),
                let shared = sharedParameters[String(target.dropFirst(prefix.count))],
                shared["$ref"] == nil
            else {
                add("no such parameter: \(reference.string ?? "")", at: reference)
                return nil
            }
            return readParameter(shared)
        }
        var parameter = Parameter(name: "", place: .query)
        parameter.invalidStatus = defaultInvalidStatus
        var extra: Node?
        var versions: Node?
        var implied = Rule.any
        for (key, value) in pairs(node, "a parameter") {
            switch key {
            case "name": parameter.name = string(value, key) ?? ""
            case "in":
                guard let place = string(value, key).flatMap(Parameter.Place.init(rawValue:)) else {
                    if value.string == "cookie" {
                        note("a cookie", at: value)
                        return nil
                    }
                    add("in is query, path or header", at: value)
                    return nil
                }
                parameter.place = place
            case "required": parameter.isRequired = bool(value, key) ?? false
            case "schema": implied = readSchema(value, into: &parameter)
            case "x-gatehouse": extra = value
            case "x-openstack": versions = value
            default: break
            }
        }
        if let versions, isGenerated {
            let (minimum, maximum) = bounds(versions, "the parameter")
            parameter.minimum = minimum ?? parameter.minimum
            parameter.maximum = maximum ?? parameter.maximum
        }
        if parameter.name.isEmpty { add("a parameter needs a name", at: node) }
        if isGenerated, extra?["rule"] == nil {
            for (key, place) in unchecked { noteKeyword(key, at: place) }
            // Nova routes any text and looks it up; few endpoints have words of their own for a wrong one.
            if parameter.place == .path, implied != .any {
                note("a form for a parameter of the path; Nova judges it", at: node)
                implied = .any
            }
        }
        unchecked = []
        parameter.rule = implied
        var v2Rule: Rule?
        if let extra { readParameterExtension(extra, into: &parameter, &v2Rule) }
        if parameter.rule == .boolean, parameter.name == "all_tenants" { parameter.rule = .allTenants }
        if parameter.rule == .choice, parameter.choices.isEmpty {
            add("rule enum needs schema.enum", at: node)
        }
        parameter.novaRuleIsForV2 = v2Rule == nil
        parameter.v2Rule = v2Rule ?? parameter.rule
        return parameter
    }

    private mutating func readParameterExtension(
        _ node: Node, into parameter: inout Parameter, _ v2Rule: inout Rule?
    ) {
        for (key, value) in pairs(node, "x-gatehouse") {
            switch key {
            case "rule": parameter.rule = rule(value) ?? .any
            case "v2": v2Rule = rule(value)
            case "nova": parameter.novaRule = rule(value)
            case "not_before": parameter.notBefore = string(value, key)
            case "shortcut": parameter.shortcut = shortcut(value)
            case "invalid": parameter.invalidStatus = invalidStatus(value) ?? parameter.invalidStatus
            case "min": parameter.minimum = bound(value, key)
            case "max": parameter.maximum = bound(value, key)
            case "single": parameter.single = version(value, key)
            case "strict": parameter.strict = version(value, key)
            case "members": parameter.members = value.string == "never" ? .highest : version(value, key)
            case "message": parameter.message = string(value, key)
            case "admin_values": parameter.adminChoices = strings(value, key)
            case "retired":
                for (key, value) in pairs(value, "retired") {
                    switch key {
                    case "values": parameter.retired = strings(value, key)
                    case "max": parameter.retiredMaximum = version(value, key)
                    default: add("unknown key of retired: \(key)", at: value)
                    }
                }
            default: add("unknown key in x-gatehouse: \(key)", at: keyNode(key, of: node))
            }
        }
    }

    private mutating func shortcut(_ node: Node) -> Shortcut {
        switch string(node, "shortcut") {
        case "always": return .always
        case "zero": return .zero
        case "truth": return .truth
        default:
            add("shortcut is always, zero or truth", at: node)
            return .none
        }
    }

    private mutating func rule(_ node: Node) -> Rule? {
        guard let word = string(node, "rule") else { return nil }
        if let rule = Rule.find(word) { return rule }
        add("unknown rule: \(word)", at: node)
        return nil
    }
}
