internal import TLS
internal import Yams

extension SettingsReading {
    /// Reads `listeners[].tls` and loads what it names; nil, with a mistake, when that cannot be.
    func serverTLS(_ group: SettingsMapping) -> Settings.ServerTLS? {
        let mistakeCount = mistakes.count
        var files = NamedFiles()
        var certificates = [certificate(group, &files)]
        for item in group.items("certificates", limit: 64, isRequired: false) {
            certificates.append(
                certificate(SettingsMapping(item, .certificate, "certificates", self), &files))
        }
        var tls = Settings.ServerTLS(certificates: certificates.compactMap { $0 })
        tls.clientCA = file(group, "client_ca", &files)
        let word = group.word("client_certificate", among: [("required", true), ("optional", false)])
        if let node = group.node("client_certificate"), group.node("client_ca") == nil {
            add(node.mark, "`client_certificate` has no use without `client_ca`")
        }
        tls.requiresClientCertificate = tls.clientCA != nil && word != false
        tls.minimumVersion =
            group.word("min_version", among: Settings.TLSVersion.allCases.map { ($0.rawValue, $0) })
            ?? tls.minimumVersion
        if case .scalar(let scalar)? = group.node("ticket_lifetime"), ["off", "no"].contains(scalar.string) {
            tls.ticketLifetime = nil
        } else {
            // RFC 8446 §4.6.1: a ticket is never used for longer than seven days.
            tls.ticketLifetime = group.duration(
                "ticket_lifetime", in: .seconds(60) ... .seconds(7 * 86_400), or: .seconds(12 * 3_600))
        }
        guard mistakes.count == mistakeCount, !tls.certificates.isEmpty else { return nil }
        do throws(TLSFault) {
            _ = try tls.makeContext(tickets: nil, offersHTTP2: true)
        } catch {
            add(files.mark(of: error) ?? group.mark, "`tls`: \(error.reason)")
            return nil
        }
        return tls
    }

    /// Reads the `tls` group of an upstream, of Keystone or of a Redis and loads what it names.
    ///
    /// - Parameters:
    ///   - owner: the mapping that has the key `tls`.
    ///   - usesTLS: whether its endpoints are `https`; nil when they could not be read.
    ///   - plain: what they are otherwise.
    /// - Shape: nil for `http` endpoints; the defaults for `https` endpoints without the group.
    func clientTLS(
        _ owner: SettingsMapping, _ group: SettingsGroup, usesTLS: Bool?, plain: String = "http"
    ) -> Settings.ClientTLS? {
        let mistakeCount = mistakes.count
        var files = NamedFiles()
        var tls = Settings.ClientTLS()
        let node = owner.node("tls")
        let mapping = owner.subgroup("tls", group)
        tls.ca = file(mapping, "ca", &files)
        tls.serverName = mapping.scalar("server_name", SettingsScalars.serverName)
        tls.isInsecure = mapping.bool("insecure", or: tls.isInsecure)
        if tls.isInsecure, let ca = mapping.node("ca") {
            add(ca.mark, "`ca` has no use beside `insecure`, which believes whoever answers")
        }
        if mapping.node("certificate") != nil || mapping.node("private_key") != nil {
            tls.certificate = certificate(mapping, &files)
        }
        if let node, usesTLS == false { add(node.mark, "`tls` has no use for \(plain)") }
        guard usesTLS == true, mistakes.count == mistakeCount else { return nil }
        // The system's authorities are there or not, whatever these settings say: they are loaded at the start.
        guard tls.ca != nil || tls.certificate != nil else { return tls }
        do throws(TLSFault) {
            _ = try tls.makeContext(offersHTTP2: false)
        } catch {
            add(files.mark(of: error) ?? mapping.mark, "`tls`: \(error.reason)")
            return nil
        }
        return tls
    }

    /// Reads `http2` of the root.
    func http2(_ group: SettingsMapping) -> Settings.HTTP2 {
        var http2 = Settings.HTTP2()
        http2.maxStreamCount = group.count("max_streams", in: 1...10_000, or: http2.maxStreamCount)
        let budgets = group.subgroup("budgets", .http2Budgets)
        var values = Settings.HTTP2Budgets()
        values.resets = budget(budgets.subgroup("resets", .resets), or: values.resets)
        values.provokedResets = budget(
            budgets.subgroup("provoked_resets", .provokedResets), or: values.provokedResets)
        values.controlFrames = budget(
            budgets.subgroup("control_frames", .controlFrames), or: values.controlFrames)
        values.emptyFrames = budget(budgets.subgroup("empty_frames", .emptyFrames), or: values.emptyFrames)
        values.smallWindows = budget(
            budgets.subgroup("small_windows", .smallWindows), or: values.smallWindows)
        http2.budgets = values
        return http2
    }

    /// `rate` and `burst`, each with its default.
    func budget(_ group: SettingsMapping, or fallback: Settings.Budget) -> Settings.Budget {
        let rate = group.scalar("rate", SettingsScalars.rate) ?? fallback.rate
        let burst = group.count("burst", in: 1...1_000_000, or: fallback.burst)
        checkSpan(rate, burst, (group.node("burst") ?? group.node("rate"))?.mark)
        return Settings.Budget(rate: rate, burst: burst)
    }

    private func certificate(_ group: SettingsMapping, _ files: inout NamedFiles) -> Settings.Certificate? {
        let certificate = group.requiredNode("certificate").flatMap { file($0, "certificate", &files) }
        let key = group.requiredNode("private_key").flatMap { file($0, "private_key", &files) }
        // Only a listener's certificates have it.
        let response =
            group.group.keys.contains("ocsp_response") ? file(group, "ocsp_response", &files) : nil
        guard let certificate, let key else { return nil }
        return Settings.Certificate(certificate: certificate, privateKey: key, ocspResponse: response)
    }

    private func file(_ group: SettingsMapping, _ key: String, _ files: inout NamedFiles) -> String? {
        group.node(key).flatMap { file($0, key, &files) }
    }

    private func file(_ node: Node, _ key: String, _ files: inout NamedFiles) -> String? {
        guard let path = scalar(node, key, readableFile) else { return nil }
        files.places.append((path, node.mark))
        return path
    }
}

/// The files that a group names and where, so that a fault of one is told at its place.
private struct NamedFiles {
    var places: [(path: String, mark: Mark?)] = []

    /// The place of the file that `fault` is about: the longest path it names.
    func mark(of fault: TLSFault) -> Mark? {
        places.filter { fault.reason.contains($0.path) }.max { $0.path.count < $1.path.count }?.mark
    }
}
