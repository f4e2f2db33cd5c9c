internal import Loop
internal import Yams

extension SettingsReading {
    /// Reads `audit.sinks`: the file, nil with a mistake when there is none, and the others.
    func auditSinks(
        _ group: SettingsMapping, besides accessLog: Settings.AccessLog?
    ) -> (file: Settings.AuditFile?, sinks: [Settings.AuditSink]) {
        let items = group.items("sinks", limit: 16, isRequired: true)
        var files: [Settings.AuditFile?] = []
        var sinks: [Settings.AuditSink] = []
        var names: Set<String> = []
        var isToldMissing = items.isEmpty
        for item in items {
            let mapping = SettingsMapping(item, .auditSink, "sinks", self)
            let kinds = mapping.group.keys.compactMap { key in mapping.node(key).map { (key, $0) } }
            guard let (kind, node) = kinds.first else {
                mapping.addMissing("`file`, `syslog`, `rabbitmq` or `redis`")
                isToldMissing = true
                continue
            }
            for (other, node) in kinds.dropFirst() {
                add(node.mark, "`\(other)`: an item is one sink, and this one is `\(kind)`")
            }
            guard kind != "file" else {
                if !files.isEmpty { add(node.mark, "`file`: there is one already, and a trail is one file") }
                files.append(auditFile(SettingsMapping(node, .auditFile, "file", self), besides: accessLog))
                continue
            }
            let (sink, nameMark) = auditSink(kind, node)
            if let sink { sinks.append(sink) }
            if let name = sink?.name, !names.insert(name).inserted {
                add(
                    nameMark ?? node.mark,
                    "`name`: `\(name)` is the name of an earlier sink; each has one of its own")
            }
        }
        if files.isEmpty, !isToldMissing {
            add(group.node("sinks")?.mark, "`sinks` needs a `file`: the trail itself")
        }
        return (files.first ?? nil, sinks)
    }

    private func auditSink(_ kind: String, _ node: Node) -> (sink: Settings.AuditSink?, nameMark: Mark?) {
        let group: SettingsMapping
        let destination: Settings.AuditSink.Destination?
        switch kind {
        case "syslog":
            group = SettingsMapping(node, .auditSyslog, kind, self)
            destination = syslog(group).map { .syslog($0) }
        case "rabbitmq":
            group = SettingsMapping(node, .auditRabbitMQ, kind, self)
            destination = rabbitMQ(group).map { .rabbitMQ($0) }
        default:
            group = SettingsMapping(node, .auditRedis, kind, self)
            destination = redisStream(group).map { .redis($0) }
        }
        let name = group.node("name") == nil ? kind : group.scalar("name", Self.sinkName)
        guard let name, let destination else { return (nil, nil) }
        return (Settings.AuditSink(name: name, destination: destination), group.node("name")?.mark)
    }

    /// Names stand in metrics and in the name of a file.
    private static func sinkName(_ text: String) throws(ScalarMistake) -> String {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isNameByte) else {
            throw ScalarMistake(reason: "is not a sink's name: 1 to 64 of A-Z a-z 0-9 . _ -")
        }
        return text
    }

    private func syslog(_ group: SettingsMapping) -> Settings.Syslog? {
        let url = group.requiredNode("url").flatMap { scalar($0, "url", SettingsScalars.syslogURL) }
        let place = NetworkAddress(host: "", port: 0)
        var syslog = Settings.Syslog(transport: url?.transport ?? .udp, address: url?.address ?? place)
        syslog.tls = clientTLS(
            group, .auditSyslogTLS, usesTLS: url.map { $0.transport == .tls },
            plain: "udp:// and tcp://; write tls://")
        syslog.facility =
            group.word("facility", among: SettingsScalars.syslogFacilities) ?? syslog.facility
        syslog.appName =
            group.scalar("app_name") { text throws(ScalarMistake) in
                try SettingsScalars.visible(text, upTo: 48)
            } ?? syslog.appName
        syslog.hostname = group.scalar("hostname") { text throws(ScalarMistake) in
            try SettingsScalars.visible(text, upTo: 255)
        }
        syslog.maxMessageByteCount = group.byteCount(
            "max_message", in: 1_024...1 << 20, or: syslog.maxMessageByteCount)
        if syslog.maxMessageByteCount > Self.maxDatagramByteCount, url?.transport == .udp {
            add(
                group.node("max_message")?.mark,
                "`max_message` has to fit a datagram: at most \(Self.maxDatagramByteCount) over udp://")
        }
        return url == nil ? nil : syslog
    }

    /// What a UDP datagram over IPv4 holds: 65,535 bytes less both headers.
    private static let maxDatagramByteCount = 65_507

    private func rabbitMQ(_ group: SettingsMapping) -> Settings.RabbitMQ? {
        let url = group.requiredNode("url").flatMap { scalar($0, "url", SettingsScalars.rabbitMQURL) }
        var rabbit = Settings.RabbitMQ(address: url?.address ?? NetworkAddress(host: "", port: 0))
        rabbit.virtualHost = url?.virtualHost ?? rabbit.virtualHost
        var (username, password) = (url?.username, url?.password)
        credentials(group, &username, &password)
        rabbit.username = username ?? rabbit.username
        rabbit.password = password ?? rabbit.password
        rabbit.tls = clientTLS(
            group, .auditRabbitMQTLS, usesTLS: url?.usesTLS, plain: "amqp://; write amqps://")
        func visible(_ key: String, upTo count: Int) -> String? {
            group.scalar(key) { text throws(ScalarMistake) in
                try SettingsScalars.visible(text, upTo: count)
            }
        }
        rabbit.exchange = visible("exchange", upTo: 255) ?? rabbit.exchange
        // Its queue has `.info` behind it, and AMQP's short strings have 255 bytes.
        rabbit.topic = visible("topic", upTo: 250) ?? rabbit.topic
        rabbit.isDurable = group.bool("durable", or: rabbit.isDurable)
        rabbit.eventType = visible("event_type", upTo: 255) ?? rabbit.eventType
        rabbit.publisherID = visible("publisher_id", upTo: 255)
        return url == nil ? nil : rabbit
    }

    private func redisStream(_ group: SettingsMapping) -> Settings.RedisStream? {
        let (redis, isThere) = redisPlace(group, .auditRedisTLS)
        var stream = Settings.RedisStream(redis: redis)
        stream.key =
            group.scalar("stream") { text throws(ScalarMistake) in
                try SettingsScalars.visible(text, upTo: 512)
            } ?? stream.key
        if group.node("max_length") != nil {
            stream.maxEntryCount = group.count("max_length", in: 1...1_000_000_000_000, or: 1)
        }
        return isThere ? stream : nil
    }
}

extension SettingsScalars {
    /// The words of `facility`: those of syslog.conf(5), and RFC 5424's own for 12 to 15.
    ///
    /// - Source: RFC 5424 §6.2.1, table 1.
    static let syslogFacilities: [(String, UInt8)] = [
        ("kern", 0), ("user", 1), ("mail", 2), ("daemon", 3), ("auth", 4), ("syslog", 5), ("lpr", 6),
        ("news", 7), ("uucp", 8), ("cron", 9), ("authpriv", 10), ("ftp", 11), ("ntp", 12), ("audit", 13),
        ("alert", 14), ("clock", 15), ("local0", 16), ("local1", 17), ("local2", 18), ("local3", 19),
        ("local4", 20), ("local5", 21), ("local6", 22), ("local7", 23),
    ]

    /// `udp://host`, `tcp://host` or `tls://host`, each with its port unless it is the registered one.
    static func syslogURL(
        _ text: String
    ) throws(ScalarMistake) -> (transport: Settings.Syslog.Transport, address: NetworkAddress) {
        let url = try urlParts(
            text, schemes: ["udp", "tcp", "tls"],
            wrong: "is not the URL of a syslog receiver: udp://host, tcp://host or tls://host, "
                + "with :port unless it is 514, 601 or 6514")
        guard !url.hidesValue else {
            throw ScalarMistake(reason: "has a user name or password; syslog knows none", hidesValue: true)
        }
        guard url.path == "" || url.path == "/" else {
            throw ScalarMistake(reason: "has a path or a query; syslog knows none")
        }
        let transport = Settings.Syslog.Transport(rawValue: url.scheme) ?? .udp
        let port: UInt16 =
            switch transport {
            case .udp: 514
            case .tcp: 601
            case .tls: 6_514
            }
        return (transport, try addressToConnectTo(url.host, defaultPort: port, hidesValue: false))
    }

    /// What a URL says of a RabbitMQ.
    struct RabbitMQURL {
        var address: NetworkAddress
        var usesTLS: Bool
        var username: String?
        var password: String?
        /// nil for none, and for a slash alone.
        var virtualHost: String?
    }

    /// `amqp://user:password@host:5672/virtual-host` or `amqps://…`; all but scheme and host may be left out.
    ///
    /// - Source: RabbitMQ's URI specification; but a slash with nothing behind it is the virtual host `/`, as OpenStack's
    ///   `transport_url` has it, and not one without a name.
    static func rabbitMQURL(_ text: String) throws(ScalarMistake) -> RabbitMQURL {
        let url = try urlParts(
            text, schemes: ["amqp", "amqps"],
            wrong: "is not the URL of a RabbitMQ, as amqp://rabbit.example/nova or amqps://rabbit.example")
        let usesTLS = url.scheme == "amqps"
        var virtualHost: String?
        if url.path != "", url.path != "/" {
            let name = url.path.dropFirst()
            guard url.path.hasPrefix("/"), !name.contains(where: { $0 == "/" || $0 == "?" || $0 == "#" })
            else {
                throw ScalarMistake(
                    reason:
                        "has more than a virtual host behind its host; what is special in a password or a "
                        + "virtual host is percent-encoded, as %2F", hidesValue: url.hidesValue)
            }
            let decoded = try percentDecoded(name, of: "virtual host")
            guard decoded.utf8.count <= 255, !decoded.utf8.contains(0) else {
                throw ScalarMistake(
                    reason: "has a virtual host that is not 1 to 255 bytes, none of them NUL",
                    hidesValue: url.hidesValue)
            }
            virtualHost = decoded
        }
        return RabbitMQURL(
            address: try addressToConnectTo(
                url.host, defaultPort: usesTLS ? 5_671 : 5_672, hidesValue: url.hidesValue),
            usesTLS: usesTLS, username: url.username, password: url.password, virtualHost: virtualHost)
    }

    /// 1 to `count` visible ASCII characters.
    static func visible(_ text: String, upTo count: Int) throws(ScalarMistake) -> String {
        guard (1...count).contains(text.utf8.count), text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw ScalarMistake(reason: "is not 1 to \(count) visible ASCII characters")
        }
        return text
    }
}
