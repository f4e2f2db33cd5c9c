internal import Loop
internal import Yams

extension SettingsReading {
    /// Reads `limits.redis`; nil, with a mistake, when it says not where the Redis is.
    func redis(_ group: SettingsMapping) -> Settings.Redis? {
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
        // Without a place there is nothing to give back, but the other keys' mistakes are told all the same.
        var found = redis ?? Settings.Redis(endpoints: [])
        if urlNode == nil { found.database = database }
        credentials(group, &found)
        let usesTLS = urlNode == nil ? group.node("tls") != nil : redis.map { $0.endpoints[0].usesTLS }
        found.tls = clientTLS(group, .redisTLS, usesTLS: usesTLS, plain: "redis://; write rediss://")
        found.prefix =
            group.scalar("prefix") { text throws(ScalarMistake) in
                guard (1...64).contains(text.utf8.count),
                    text.utf8.allSatisfy({ Self.isNameByte($0) || $0 == UInt8(ascii: ":") })
                else { throw ScalarMistake(reason: "is not a prefix: 1 to 64 of A-Z a-z 0-9 . _ - :") }
                return text
            } ?? found.prefix
        found.deadline = group.duration(
            "deadline", in: .milliseconds(10) ... .seconds(10), or: found.deadline)
        found.instanceCount = group.count("instances", in: 1...10_000, or: found.instanceCount)
        return redis == nil ? nil : found
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
    private func credentials(_ group: SettingsMapping, _ redis: inout Settings.Redis) {
        if let username = group.scalar("username", SettingsScalars.redisCredential) {
            if redis.username != nil {
                add(group.node("username")?.mark, "`username` has no use beside the one in `url`")
            }
            redis.username = username
        }
        let password = group.scalar("password", isSecret: true, SettingsScalars.redisCredential)
        if let password {
            if redis.password != nil {
                add(group.node("password")?.mark, "`password` has no use beside the one in `url`")
            }
            redis.password = password
        }
        if redis.username != nil, redis.password == nil, group.node("password") == nil {
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
        // Whatever is wrong with it, it may hold a password.
        let hides = text.contains("@")
        let lowered = text.lowercased()
        let usesTLS = lowered.hasPrefix("rediss://")
        guard usesTLS || lowered.hasPrefix("redis://") else {
            throw ScalarMistake(
                reason: "is not the URL of a Redis, as redis://127.0.0.1:6379/0 or rediss://redis.example",
                hidesValue: hides)
        }
        let scheme = usesTLS ? "rediss://" : "redis://"
        let rest = text.dropFirst(scheme.count)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        var host = rest[..<end]
        var url = RedisURL(endpoint: Settings.Endpoint(address: NetworkAddress(host: "", port: 0), url: ""))
        if let at = host.lastIndex(of: "@") {
            let parts = host[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            url.username = parts[0].isEmpty ? nil : try percentDecoded(parts[0])
            url.password = parts.count == 1 ? nil : try percentDecoded(parts[1])
            host = host[host.index(after: at)...]
        }
        let path = rest[end...]
        if path != "", path != "/" {
            let number = path.dropFirst()
            guard path.hasPrefix("/"), !number.isEmpty, number.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
                throw ScalarMistake(
                    reason: "has more than a database behind its host; what is special in a password is "
                        + "percent-encoded", hidesValue: hides)
            }
            guard let database = Int(number), database <= 65_535 else {
                throw ScalarMistake(reason: "has a database that is not 0 to 65535", hidesValue: hides)
            }
            url.database = database
        }
        url.endpoint = try redisEndpoint(
            String(host), scheme: scheme, defaultPort: 6_379, usesTLS: usesTLS, hidesValue: hides)
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

    /// 1 to 1,024 bytes without NUL.
    static func redisCredential(_ text: String) throws(ScalarMistake) -> String {
        guard (1...1_024).contains(text.utf8.count), !text.utf8.contains(0) else {
            throw ScalarMistake(reason: "is not 1 to 1024 bytes, none of them NUL")
        }
        return text
    }

    private static func redisEndpoint(
        _ text: String, scheme: String, defaultPort: UInt16, usesTLS: Bool, hidesValue: Bool
    ) throws(ScalarMistake) -> Settings.Endpoint {
        do throws(ScalarMistake) {
            let address = try hostAndPort(text, defaultPort: defaultPort)
            guard address.port != 0 else {
                throw ScalarMistake(reason: "has port 0, to which nothing can connect")
            }
            return Settings.Endpoint(address: address, url: "\(scheme)\(address)", usesTLS: usesTLS)
        } catch {
            throw ScalarMistake(reason: error.reason, hidesValue: hidesValue || error.hidesValue)
        }
    }

    /// RFC 3986 §2.1; what stands for no UTF-8 is none.
    private static func percentDecoded(_ text: Substring) throws(ScalarMistake) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(Substring(rest.prefix(2)))
            guard digits.utf8.count == 2, !digits.hasPrefix("+"), !digits.hasPrefix("-"),
                let value = UInt8(digits, radix: 16)
            else {
                throw ScalarMistake(
                    reason: "has a % without two hexadecimal digits in its user name or password; "
                        + "% itself is %25", hidesValue: true)
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw ScalarMistake(reason: "has a user name or password that is not UTF-8", hidesValue: true)
        }
        do throws(ScalarMistake) {
            return try redisCredential(decoded)
        } catch {
            throw ScalarMistake(
                reason: "has a user name or password that \(error.reason)", hidesValue: true)
        }
    }
}
