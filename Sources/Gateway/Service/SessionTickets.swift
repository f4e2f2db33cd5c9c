internal import Loop
internal import TLS

/// The keys of the listeners' session tickets, which all loops share and which outlive reloads.
///
/// - Shape: a listener keeps its keys while the same clients are let in: a session that is resumed shows no certificate
///   again, so other authorities, or a certificate asked for anew, begin with other keys.
struct SessionTickets {
    private struct Trust: Equatable {
        var lifetime: Duration?
        var requiresCertificate: Bool
        /// The authorities themselves, since the file may change under its name.
        var clientCA: [UInt8]
    }

    private var trusts: [SocketAddress: Trust] = [:]
    /// By the listener's address as the settings name it.
    private(set) var keys: [SocketAddress: TLSTicketKeys] = [:]

    /// The keys for other settings: the same where they still fit.
    func renewed(for settings: Settings) -> SessionTickets {
        var renewed = SessionTickets()
        for listener in settings.listeners {
            guard let tls = listener.tls else { continue }
            let trust = Trust(
                lifetime: tls.ticketLifetime, requiresCertificate: tls.requiresClientCertificate,
                clientCA: tls.clientCA.map(Self.content) ?? [])
            let kept = trusts[listener.address] == trust ? keys[listener.address] : nil
            renewed.trusts[listener.address] = trust
            renewed.keys[listener.address] = kept ?? tls.makeTicketKeys()
        }
        return renewed
    }

    /// Replaces keys that have had their time.
    func rotate() {
        let seconds = MonotonicClock.now() / 1_000_000_000
        for key in keys.values { key.rotate(nowSeconds: seconds) }
    }

    private static func content(_ path: String) -> [UInt8] {
        // What cannot be read is refused by the context that is made from it.
        if case .success(let bytes) = FileContent.read(path, limit: 1 << 24) { bytes } else { [] }
    }
}
