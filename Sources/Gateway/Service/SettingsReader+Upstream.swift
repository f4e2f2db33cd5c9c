internal import Yams

extension SettingsReading {
    /// Reads `apis[].upstream`.
    func upstream(_ group: SettingsMapping) -> Settings.Upstream {
        var endpoints: [Settings.Endpoint] = []
        for item in group.items("endpoints", limit: 64, isRequired: true) {
            guard let endpoint = scalar(item, "endpoints", SettingsScalars.endpoint) else { continue }
            if endpoints.contains(where: { $0.address == endpoint.address }) {
                add(item.mark, "`endpoints`: \(Self.written(item)) is there already")
            } else if let first = endpoints.first, first.usesTLS != endpoint.usesTLS {
                add(item.mark, "`endpoints`: http and https do not go together in one API")
            }
            endpoints.append(endpoint)
        }
        var upstream = Settings.Upstream(endpoints: endpoints)
        let usesTLS = endpoints.first?.usesTLS
        upstream.tls = clientTLS(group, .upstreamTLS, usesTLS: usesTLS)
        upstream.keepsAlive = group.bool("keep_alive", or: upstream.keepsAlive)
        upstream.http2 = http2(group, usesTLS: usesTLS, keepsAlive: upstream.keepsAlive)
        upstream.connectTimeout = group.duration(
            "connect_timeout", in: timeLimits, or: upstream.connectTimeout)
        upstream.responseTimeout = group.duration(
            "response_timeout", in: timeLimits, or: upstream.responseTimeout)
        upstream.progressTimeout = group.duration(
            "progress_timeout", in: timeLimits, or: upstream.progressTimeout)
        upstream.idleTimeout = group.duration("idle_timeout", in: timeLimits, or: upstream.idleTimeout)
        upstream.maxConnectionCount = group.count(
            "max_connections", in: 1...65_536, or: upstream.maxConnectionCount)
        let idleFallback = min(upstream.maxIdleConnectionCount, upstream.maxConnectionCount)
        upstream.maxIdleConnectionCount = group.count(
            "max_idle_connections", in: 0...65_536, or: idleFallback)
        if upstream.maxIdleConnectionCount > upstream.maxConnectionCount {
            add(
                group.node("max_idle_connections")?.mark,
                "`max_idle_connections` is larger than `max_connections`")
        }
        upstream.sendsIdentity = group.bool("identity_fields", or: upstream.sendsIdentity)
        let ejection = group.subgroup("ejection", .ejection)
        var values = Settings.Ejection()
        values.failureCount = ejection.count("failures", in: 0...1_000, or: values.failureCount)
        values.baseTime = ejection.duration("base_time", in: timeLimits, or: values.baseTime)
        values.maxTime = ejection.duration(
            "max_time", in: timeLimits, or: max(values.maxTime, values.baseTime))
        if values.baseTime > values.maxTime {
            add(ejection.node("max_time")?.mark, "`max_time` is shorter than `base_time`")
        }
        upstream.ejection = values
        return upstream
    }

    /// What is spoken with the endpoints: what they choose on `https`, HTTP/1.1 on `http`, unless the key says otherwise.
    private func http2(_ group: SettingsMapping, usesTLS: Bool?, keepsAlive: Bool) -> Settings.UpstreamHTTP2 {
        let word = group.word("http2", among: Settings.UpstreamHTTP2.allCases.map { ($0.rawValue, $0) })
        guard let word else { return usesTLS == true && keepsAlive ? .negotiated : .never }
        if word == .negotiated, usesTLS == false {
            add(
                group.node("http2")?.mark,
                "`http2`: `negotiated` needs https; http has never, or always where that is known")
        }
        if word != .never, !keepsAlive {
            add(group.node("http2")?.mark, "`http2` has no use with `keep_alive: off`")
        }
        return word
    }
}
