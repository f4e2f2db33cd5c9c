internal import Yams

extension SettingsReading {
    /// Reads `identity.keystone`; nil, with a mistake, when it has no address or no credential.
    func keystone(_ group: SettingsMapping) -> Settings.Keystone? {
        let url = group.requiredNode("url").flatMap { scalar($0, "url", SettingsScalars.versionedURL) }
        let publicURL = group.scalar("public_url", SettingsScalars.publicURL)
        var credential: Settings.Credential?
        if group.requiredNode("credential") != nil {
            credential = self.credential(group.subgroup("credential", .credential))
        }
        // Without the two there is nothing to give back, but the other keys' mistakes are told all the same.
        var keystone = Settings.Keystone(
            endpoint: url?.endpoint ?? Settings.Endpoint(address: NetworkAddress(host: "", port: 0), url: ""),
            path: url?.path ?? "", publicURL: publicURL ?? url?.endpoint.url ?? "",
            credential: credential ?? .application(id: "", secret: ""))
        keystone.tls = clientTLS(group, .keystoneTLS, usesTLS: url?.endpoint.usesTLS)
        keystone.cache = tokenCache(group.subgroup("cache", .tokenCache))
        if let node = group.node("service_token_roles"), !SettingsReading.isNull(node) {
            keystone.serviceRoles = roles(group, "service_token_roles")
        }
        keystone.looksUpProjects = group.bool("project_lookup", or: keystone.looksUpProjects)
        keystone.connectTimeout = group.duration(
            "connect_timeout", in: timeLimits, or: keystone.connectTimeout)
        keystone.responseTimeout = group.duration(
            "response_timeout", in: timeLimits, or: keystone.responseTimeout)
        keystone.maxConnectionCount = group.count(
            "max_connections", in: 1...4_096, or: keystone.maxConnectionCount)
        return url == nil || credential == nil ? nil : keystone
    }

    private func credential(_ group: SettingsMapping) -> Settings.Credential? {
        let isApplication =
            group.node("application_credential_id") != nil
            || group.node("application_credential_secret") != nil
        let others = ["username", "password", "user_domain", "project", "project_domain"]
        guard isApplication else {
            let username = group.requiredNode("username").flatMap { scalar($0, "username", Self.name) }
            let password = group.requiredNode("password").flatMap {
                scalar($0, "password", isSecret: true, Self.secret)
            }
            let project = group.requiredNode("project").flatMap { scalar($0, "project", Self.name) }
            let userDomain = group.scalar("user_domain", Self.name)
            let projectDomain = group.scalar("project_domain", Self.name)
            guard let username, let password, let project else { return nil }
            return .password(
                Settings.Login(
                    username: username, password: password, userDomain: userDomain ?? "Default",
                    project: project, projectDomain: projectDomain ?? "Default"))
        }
        for key in others where group.node(key) != nil {
            add(group.node(key)?.mark, "`\(key)` has no use beside an application credential")
        }
        let id = group.requiredNode("application_credential_id").flatMap {
            scalar($0, "application_credential_id", Self.name)
        }
        let secret = group.requiredNode("application_credential_secret").flatMap {
            scalar($0, "application_credential_secret", isSecret: true, Self.secret)
        }
        guard let id, let secret else { return nil }
        return .application(id: id, secret: secret)
    }

    private func tokenCache(_ group: SettingsMapping) -> Settings.TokenCache {
        var cache = Settings.TokenCache()
        cache.maxAge = group.duration("max_age", in: timeLimits, or: cache.maxAge)
        cache.negativeMaxAge = group.duration(
            "negative_max_age", in: .zero ... .seconds(3_600), or: cache.negativeMaxAge)
        cache.staleMaxAge = group.duration(
            "stale_max_age", in: .zero ... .seconds(86_400), or: cache.staleMaxAge)
        cache.maxTokenCount = group.count("max_tokens", in: 128...1 << 24, or: cache.maxTokenCount)
        return cache
    }

    private static func secret(_ text: String) throws(ScalarMistake) -> String {
        guard (1...1_024).contains(text.utf8.count) else {
            throw ScalarMistake(reason: "is not 1 to 1024 bytes")
        }
        return text
    }
}

extension SettingsScalars {
    /// `http://host:port/v3`: an endpoint with the path under which the API is.
    static func versionedURL(_ text: String) throws(ScalarMistake) -> (
        endpoint: Settings.Endpoint, path: String
    ) {
        let scheme = text.firstRange(of: "://")
        let slash = scheme.flatMap { text[$0.upperBound...].firstIndex(of: "/") } ?? text.endIndex
        let endpoint = try endpoint(String(text[..<slash]))
        var path = text[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        let isPlain = path.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "/"), UInt8(ascii: "-"),
                UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                true
            default: false
            }
        }
        guard isPlain, path.utf8.count <= 255, path.hasSuffix("/v3") else {
            throw ScalarMistake(
                reason:
                    "is not the URL of an identity API, as http://127.0.0.1:5000/v3 or http://host/identity/v3"
            )
        }
        return (endpoint, String(path))
    }

    /// A URL that stands between quotes in a field.
    static func publicURL(_ text: String) throws(ScalarMistake) -> String {
        let lowered = text.lowercased()
        guard lowered.hasPrefix("http://") || lowered.hasPrefix("https://"), text.utf8.count <= 512,
            text.utf8.allSatisfy({ 0x21...0x7E ~= $0 && $0 != 0x22 && $0 != 0x5C })
        else { throw ScalarMistake(reason: "is not a URL, as https://cloud.example:5000") }
        return text
    }

    /// `60/min`: a whole number and `s`, `min`, `h` or `day`.
    static func rate(_ text: String) throws(ScalarMistake) -> Settings.Rate {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let units: [Substring: Settings.Rate.Unit] = ["s": .second, "min": .minute, "h": .hour, "day": .day]
        guard parts.count == 2, let unit = units[parts[1]], let count = Int(parts[0]),
            (1...1_000_000).contains(count), parts[0].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
        else { throw ScalarMistake(reason: "is not a rate, as 10/s, 60/min, 1000/h or 1000/day") }
        return Settings.Rate(count: count, per: unit)
    }
}
