internal import Loop
internal import TLS

extension Settings.ServerTLS {
    /// Makes fresh keys for session tickets, which last as long as the settings say; nil when there are to be none.
    func makeTicketKeys() -> TLSTicketKeys? {
        ticketLifetime.map {
            TLSTicketKeys(
                lifetimeSeconds: $0.nanoseconds / 1_000_000_000,
                nowSeconds: MonotonicClock.now() / 1_000_000_000)
        }
    }

    /// Loads the certificates and makes what connections are accepted with.
    ///
    /// - Errors: `TLSFault` when a file cannot be read, or a key and its certificate do not belong together.
    func makeContext(tickets: TLSTicketKeys?, offersHTTP2: Bool) throws(TLSFault) -> TLSContext {
        try TLSContext.server(
            certificates: certificates.map {
                ServerCertificate(
                    certificate: $0.certificate, privateKey: $0.privateKey, ocspResponse: $0.ocspResponse)
            },
            clientCA: clientCA, requiresClientCertificate: requiresClientCertificate,
            minimumVersion: minimumVersion == .tls13 ? .tls13 : .tls12, tickets: tickets,
            offersHTTP2: offersHTTP2)
    }
}

extension Settings.ClientTLS {
    /// Loads the authorities and makes what connections are opened with.
    ///
    /// - Errors: as for `ServerTLS.makeContext`.
    func makeContext(offersHTTP2: Bool) throws(TLSFault) -> TLSContext {
        try TLSContext.client(
            caFile: ca, certificate: certificate.map { ($0.certificate, $0.privateKey) },
            verifies: !isInsecure, offersHTTP2: offersHTTP2)
    }
}
