internal import Loop
internal import Yams

extension SettingsReading {
    /// Reads `limits.redis`; nil, with a mistake, when it says not where the Redis is.
    func redis(_ group: SettingsMapping) -> Settings.Redis? {
        var (redis, isThere) = redisPlace(group, .redisTLS)
        redis.prefix =
            group.scalar("prefix") { text throws(ScalarMistake) in
                guard (1...64).contains(text.utf8.count),
                    text.utf8.allSatisfy({ Self.isNameByte($0) || $0 == UInt8(ascii: ":") })
                else { throw ScalarMistake(reason: "is not a prefix: 1 to 64 of A-Z a-z 0-9 . _ - :") }
                return text
            } ?? redis.prefix
        redis.deadline = group.duration(
            "deadline", in: .milliseconds(10) ... .seconds(10), or: redis.deadline)
        redis.instanceCount = group.count("instances", in: 1...10_000, or: redis.instanceCount)
        return isThere ? redis : nil
    }

    /// Reads where a Redis is and who we are there: the keys from `url` to `tls`.
    ///
    /// Without a place, which is a mistake then, there is none in what is given back either; the other keys' mistakes are
    /// told all the same.
    func redisPlace(
        _ group: SettingsMapping, _ tlsGroup: SettingsGroup
    ) -> (redis: Settings.Redis, isThere: Bool) {
        let urlNode = group.node("url")
        let sentinelsNode = group.node("sentinels")
        var redis: Settings.Redis?
        if let urlNode {
            if let sentinelsNode { add(sentinelsNode.mark, "`sentinels` has no use beside `url`") }
            redis = named(group, urlNode)
        } else if sentinelsNode != nil {
            redis = foundBySentinels(group)
        } else {
            group.addMissing("`url`, or `sentinels` and `master`,")
        }
        if let node = group.node("master"), sentinelsNode == nil {
            add(node.mark, "`master` has no use without `sentinels`")
        }
        let database = group.count("database", in: 0...65_535, or: 0)
        if let node = group.node("database"), urlNode != nil {
            add(node.mark, "`database` has no use beside `url`, which has it as redis://host:6379/2")
        }
        var found = redis ?? Settings.Redis(endpoints: [])
        if urlNode == nil { found.database = database }
        credentials(group, &found.username, &found.password)
        let usesTLS = urlNode == nil ? group.node("tls") != nil : redis.map { $0.endpoints[0].usesTLS }
        found.tls = clientTLS(group, tlsGroup, usesTLS: usesTLS, plain: "redis://; write rediss://")
        return (found, redis != nil)
    }

    private func named(_ group: SettingsMapping, _ node: Node) -> Settings.Redis? {
        guard let url = scalar(node, "url", SettingsScalars.redisURL) else { return nil }
        var redis = Settings.Redis(endpoints: [url.endpoint])
        redis.database = url.database
        redis.username = url.username
        redis.password = url.password
        return redis
    }

    private func foundBySentinels(_ group: SettingsMapping) -> Settings.Redis? {
        let usesTLS = group.node("tls") != nil
        var endpoints: [Settings.Endpoint] = []
        for item in group.items("sentinels", limit: 64, isRequired: true) {
            let endpoint = scalar(item, "sentinels") { text throws(ScalarMistake) in
                try SettingsScalars.sentinel(text, usesTLS: usesTLS)
            }
            guard let endpoint else { continue }
            if endpoints.contains(where: { $0.address == endpoint.address }) {
                add(item.mark, "`sentinels`: \(Self.written(item)) is there already")
            }
            endpoints.append(endpoint)
        }
        let master = group.requiredNode("master").flatMap { node in
            scalar(node, "master") { text throws(ScalarMistake) in
                guard (1...255).contains(text.utf8.count), text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
                    throw ScalarMistake(reason: "is not a master's name: 1 to 255 visible ASCII characters")
                }
                return text
            }
        }
        guard let master, !endpoints.isEmpty else { return nil }
        var redis = Settings.Redis(endpoints: endpoints)
        redis.master = master
        return redis
    }

    /// Reads `username` and `password`, each here or in the URL.
    func credentials(
        _ group: SettingsMapping, _ usernameOfURL: inout String?, _ passwordOfURL: inout String?
    ) {
        if let username = group.scalar("username", SettingsScalars.credentialPart) {
            if usernameOfURL != nil {
                add(group.node("username")?.mark, "`username` has no use beside the one in `url`")
            }
            usernameOfURL = username
        }
        let password = group.scalar("password", isSecret: true, SettingsScalars.credentialPart)
        if let password {
            if passwordOfURL != nil {
                add(group.node("password")?.mark, "`password` has no use beside the one in `url`")
            }
            passwordOfURL = password
        }
        if usernameOfURL != nil, passwordOfURL == nil, group.node("password") == nil {
            add((group.node("username") ?? group.node("url"))?.mark, "a user name without a password")
        }
    }
}

extension SettingsScalars {
    /// What a URL says of a Redis.
    struct RedisURL {
        var endpoint: Settings.Endpoint
        var username: String?
        var password: String?
        var database = 0
    }

    /// `redis://user:password@host:6379/0` or `rediss://…`; all but scheme and host may be left out.
    ///
    /// - Source: the registrations of the schemes `redis` and `rediss` with IANA; RFC 3986 §3.2.
    static func redisURL(_ text: String) throws(ScalarMistake) -> RedisURL {
        let parts = try urlParts(
            text, schemes: ["redis", "rediss"],
            wrong: "is not the URL of a Redis, as redis://127.0.0.1:6379/0 or rediss://redis.example")
        let usesTLS = parts.scheme == "rediss"
        var url = RedisURL(endpoint: Settings.Endpoint(address: NetworkAddress(host: "", port: 0), url: ""))
        url.username = parts.username
        url.password = parts.password
        if parts.path != "", parts.path != "/" {
            let number = parts.path.dropFirst()
            guard parts.path.hasPrefix("/"), !number.isEmpty, number.utf8.allSatisfy({ 0x30...0x39 ~= $0 })
            else {
                throw ScalarMistake(
                    reason: "has more than a database behind its host; what is special in a password is "
                        + "percent-encoded", hidesValue: parts.hidesValue)
            }
            guard let database = Int(number), database <= 65_535 else {
                throw ScalarMistake(
                    reason: "has a database that is not 0 to 65535", hidesValue: parts.hidesValue)
            }
            url.database = database
        }
        url.endpoint = try redisEndpoint(
            parts.host, scheme: parts.scheme + "://", defaultPort: 6_379, usesTLS: usesTLS,
            hidesValue: parts.hidesValue)
        return url
    }

    /// `host:port` or `redis://host:port`; the port is 26379 unless said.
    static func sentinel(_ text: String, usesTLS: Bool) throws(ScalarMistake) -> Settings.Endpoint {
        let lowered = text.lowercased()
        var rest = Substring(text)
        if lowered.hasPrefix("redis://") {
            rest = rest.dropFirst(8)
        } else if text.contains("://") {
            throw ScalarMistake(
                reason: "is not host:port; TLS is `tls` beside `sentinels`, for all of them",
                hidesValue: text.contains("@"))
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.contains("@") else {
            throw ScalarMistake(reason: "has a user name or password; they stand beside it", hidesValue: true)
        }
        return try redisEndpoint(
            String(rest), scheme: usesTLS ? "rediss://" : "redis://", defaultPort: 26_379, usesTLS: usesTLS,
            hidesValue: false)
    }

    private static func redisEndpoint(
        _ text: String, scheme: String, defaultPort: UInt16, usesTLS: Bool, hidesValue: Bool
    ) throws(ScalarMistake) -> Settings.Endpoint {
        let address = try addressToConnectTo(text, defaultPort: defaultPort, hidesValue: hidesValue)
        return Settings.Endpoint(address: address, url: "\(scheme)\(address)", usesTLS: usesTLS)
    }
}
