internal import Yams

extension SettingsReading {
    /// Reads `identity`: the provider and, for `static`, its tokens.
    func identity(_ root: SettingsMapping) -> Settings.IdentitySource {
        var source = Settings.IdentitySource()
        guard let node = root.requiredNode("identity") else { return source }
        let group = SettingsMapping(node, .identity, "identity", self)
        let provider = group.requiredNode("provider").flatMap { node in
            scalar(node, "provider") { text throws(ScalarMistake) in
                guard let provider = Settings.IdentityProvider(rawValue: text) else {
                    throw ScalarMistake(reason: "is none of keystone, static, none")
                }
                return provider
            }
        }
        source.provider = provider ?? .none
        if let node = group.node("admin_roles"), !SettingsReading.isNull(node) {
            source.adminRoles = roles(group, "admin_roles")
        }
        if provider == .static {
            if group.requiredNode("static") != nil {
                source.staticTokens = tokens(group.subgroup("static", .staticIdentity))
            }
        } else if let node = group.node("static") {
            // Its own mistakes are told all the same; tokens that nobody reads are one.
            _ = tokens(group.subgroup("static", .staticIdentity))
            if provider != nil { add(node.mark, "`static` has no use unless `provider` is static") }
        }
        if provider == .keystone {
            if group.requiredNode("keystone") != nil {
                source.keystone = keystone(group.subgroup("keystone", .keystone))
            }
        } else if let node = group.node("keystone") {
            _ = keystone(group.subgroup("keystone", .keystone))
            if provider != nil { add(node.mark, "`keystone` has no use unless `provider` is keystone") }
        }
        return source
    }

    private func tokens(_ group: SettingsMapping) -> [Settings.StaticToken] {
        var tokens: [Settings.StaticToken] = []
        var known: Set<String> = []
        for item in group.items("tokens", limit: 10_000, isRequired: true) {
            let group = SettingsMapping(item, .token, "tokens", self)
            let tokenNode = group.requiredNode("token")
            let token = tokenNode.flatMap { scalar($0, "token", isSecret: true, Self.token) }
            if let token, !known.insert(token).inserted {
                add(tokenNode?.mark, "`token`: the value is another token's already")
            }
            let user = principal(group, "user", .user, .userDomain, isProject: false)
            let project = principal(group, "project", .project, .projectDomain, isProject: true)
            let roles = group.requiredNode("roles") == nil ? [] : roles(group, "roles")
            let expiresAt = group.scalar("expires_at", SettingsScalars.moment)
            guard let token, let user, let project else { continue }
            tokens.append(
                Settings.StaticToken(
                    token: token, user: user.principal, userDomain: user.domain, project: project.principal,
                    projectDomain: project.domain, roles: roles, expiresAt: expiresAt))
        }
        return tokens
    }

    /// A user or a project with its domain; a name that is not there is the id.
    private func principal(
        _ token: SettingsMapping, _ key: String, _ group: SettingsGroup, _ domainGroup: SettingsGroup,
        isProject: Bool
    ) -> (principal: Settings.NamedID, domain: Settings.NamedID)? {
        guard let node = token.requiredNode(key) else { return nil }
        let mapping = SettingsMapping(node, group, key, self)
        let domain =
            mapping.node("domain").map { namedID(SettingsMapping($0, domainGroup, "domain", self), Self.id) }
            ?? .defaultDomain
        guard let principal = namedID(mapping, isProject ? Self.projectID : Self.id), let domain else {
            return nil
        }
        return (principal, domain)
    }

    private func namedID(
        _ group: SettingsMapping, _ readID: (String) throws(ScalarMistake) -> String
    ) -> Settings.NamedID? {
        guard let node = group.requiredNode("id"), let id = scalar(node, "id", readID) else { return nil }
        return Settings.NamedID(id: id, name: group.scalar("name", Self.name) ?? id)
    }

    func roles(_ group: SettingsMapping, _ key: String) -> [String] {
        var roles: [String] = []
        for item in group.items(key, limit: 64, isRequired: false) {
            guard let role = scalar(item, key, Self.role) else { continue }
            if roles.contains(where: { $0.lowercased() == role.lowercased() }) {
                add(item.mark, "`\(key)`: \(Self.written(item)) is there already")
            }
            roles.append(role)
        }
        return roles
    }

    private static func token(_ text: String) throws(ScalarMistake) -> String {
        guard (1...8_192).contains(text.utf8.count), text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw ScalarMistake(reason: "is not 1 to 8192 visible ASCII characters")
        }
        return text
    }

    /// Ids travel in field values and cache keys.
    private static func id(_ text: String) throws(ScalarMistake) -> String {
        guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw ScalarMistake(reason: "is not an id: 1 to 255 visible ASCII characters")
        }
        return text
    }

    /// Nova routes a project in a path only when it is lower-case hexadecimal digits and dashes.
    static func projectID(_ text: String) throws(ScalarMistake) -> String {
        let isRoutable = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard (1...255).contains(text.utf8.count), isRoutable else {
            throw ScalarMistake(reason: "is not a project id: lower-case hexadecimal digits and dashes")
        }
        return text
    }

    static func name(_ text: String) throws(ScalarMistake) -> String {
        guard (1...255).contains(text.utf8.count),
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { throw ScalarMistake(reason: "is not a name: 1 to 255 bytes without control characters") }
        return text
    }

    /// Roles are joined by commas on the wire.
    private static func role(_ text: String) throws(ScalarMistake) -> String {
        guard (1...255).contains(text.utf8.count),
            text.utf8.allSatisfy({ 0x20...0x7E ~= $0 && $0 != UInt8(ascii: ",") }),
            !text.hasPrefix(" "), !text.hasSuffix(" ")
        else { throw ScalarMistake(reason: "is not a role: 1 to 255 ASCII characters without a comma") }
        return text
    }
}
