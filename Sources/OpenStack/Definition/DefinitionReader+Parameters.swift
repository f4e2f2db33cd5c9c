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
                default: add("scope is project or user", at: value)
                }
            case "limit": operation.limitClass = limitClass(value) ?? operation.limitClass
            case "audit": operation.auditAction = auditAction(value) ?? operation.auditAction
            case "min": operation.minimum = version(value, key)
            case "max": operation.maximum = version(value, key)
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
            case "actions": operation.actions = readActions(value)
            default: add("unknown key in x-gatehouse: \(key)", at: keyNode(key, of: node))
            }
        }
    }

    private mutating func readActions(_ node: Node) -> [Action] {
        if node.sequence != nil {
            return strings(node, "actions").map { Action(key: $0, auditAction: "update") }
        }
        var actions: [Action] = []
        for (name, value) in pairs(node, "actions") {
            var action = Action(key: name, auditAction: "update")
            for (key, value) in pairs(value, name) {
                switch key {
                case "audit": action.auditAction = auditAction(value) ?? action.auditAction
                case "limit": action.limitClass = limitClass(value)
                case "min": action.minimum = version(value, key)
                case "max": action.maximum = version(value, key)
                case "admin": action.requiresAdmin = bool(value, key) ?? false
                case "ended": action.ended = ended(value)
                case "secrets": action.secrets = strings(value, key)
                default: add("unknown key of an action: \(key)", at: value)
                }
            }
            actions.append(action)
        }
        return actions
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
        var implied = Rule.any
        for (key, value) in pairs(node, "a parameter") {
            switch key {
            case "name": parameter.name = string(value, key) ?? ""
            case "in":
                guard let place = string(value, key).flatMap(Parameter.Place.init(rawValue:)) else {
                    add("in is query, path or header", at: value)
                    return nil
                }
                parameter.place = place
            case "required": parameter.isRequired = bool(value, key) ?? false
            case "schema": implied = readSchema(value, into: &parameter)
            case "x-gatehouse": extra = value
            default: break
            }
        }
        if parameter.name.isEmpty { add("a parameter needs a name", at: node) }
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

    /// Reads what a schema says about a text, and the rule that follows when none is named.
    private mutating func readSchema(_ node: Node, into parameter: inout Parameter) -> Rule {
        var rule = Rule.any
        for (key, value) in pairs(node, "schema") {
            switch key {
            case "type": if value.string == "array" { parameter.isList = true }
            case "items":
                let inner = readSchema(value, into: &parameter)
                if inner != .any { rule = inner }
            case "pattern": if value.string == "^[0-9]*$" { rule = .digits }
            case "format":
                switch value.string {
                case "date-time": rule = .dateTime
                case "uuid": rule = .uuid
                case "regex": rule = .regex
                default: break
                }
            case "enum":
                for item in list(value, key) {
                    guard let choice = item.scalar?.string else {
                        add("enum holds plain values", at: item)
                        continue
                    }
                    // Written without quotes, true and false are no strings; Nova's message shows them as Python does.
                    if item.bool != nil, item.scalar?.style == .plain {
                        parameter.truthChoices.insert(parameter.choices.count)
                    }
                    parameter.choices.append(choice)
                }
                rule = .choice
            default: break
            }
        }
        return rule
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
            case "min": parameter.minimum = version(value, key)
            case "max": parameter.maximum = version(value, key)
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
