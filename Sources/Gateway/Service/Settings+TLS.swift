extension Settings {
    /// What one listener proves itself with, and whom it asks to prove themselves.
    public struct ServerTLS: Sendable, Equatable {
        /// `certificate` and `private_key` first, then `certificates`, of which the client's server name chooses; at
        /// least one.
        public var certificates: [Certificate]
        /// `client_ca`: absolute path of the authorities, in PEM, whose certificates clients may show; nil asks for
        /// none.
        public var clientCA: String?
        /// `client_certificate: required`: a client without one is refused in its handshake; needs `clientCA`.
        public var requiresClientCertificate = false
        public var minimumVersion = TLSVersion.tls12
        /// How long the key of session tickets is used; nil gives no tickets.
        public var ticketLifetime: Duration? = .seconds(12 * 3_600)

        public init(certificates: [Certificate]) { self.certificates = certificates }
    }

    /// A certificate with its chain and its key; paths are absolute.
    public struct Certificate: Sendable, Equatable {
        /// In PEM, the chain behind it.
        public var certificate: String
        /// In PEM, not encrypted.
        public var privateKey: String
        /// In DER: the OCSP response that is stapled; nil for none.
        public var ocspResponse: String?

        public init(certificate: String, privateKey: String, ocspResponse: String? = nil) {
            self.certificate = certificate
            self.privateKey = privateKey
            self.ocspResponse = ocspResponse
        }
    }

    /// The closed list of `listeners[].tls.min_version`.
    public enum TLSVersion: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    /// How the endpoints of an upstream, or Keystone, are made to prove themselves.
    public struct ClientTLS: Sendable, Equatable {
        /// `ca`: absolute path of the authorities in PEM; nil means the system's.
        public var ca: String?
        /// The name that certificates must have; nil means each endpoint's host.
        public var serverName: String?
        /// What is shown to a server that asks; nil shows nothing.
        public var certificate: Certificate?
        /// `insecure`: whoever answers is believed.
        public var isInsecure = false

        public init() {}
    }

    /// What one HTTP/2 connection of a client may cost.
    public struct HTTP2: Sendable, Equatable {
        /// `max_streams`: open at once on one connection.
        public var maxStreamCount = 128
        public var budgets = HTTP2Budgets()

        public init() {}
    }

    /// What a client may do to one HTTP/2 connection, beyond which it ends with ENHANCE_YOUR_CALM.
    public struct HTTP2Budgets: Sendable, Equatable {
        /// Streams that the client takes back.
        public var resets = Budget(rate: Rate(count: 30, per: .second), burst: 200)
        /// Streams that the client's mistakes make us reset.
        public var provokedResets = Budget(rate: Rate(count: 10, per: .second), burst: 100)
        /// SETTINGS, PING, PRIORITY and PRIORITY_UPDATE frames.
        public var controlFrames = Budget(rate: Rate(count: 50, per: .second), burst: 500)
        /// DATA frames without content or end, HEADERS and CONTINUATION frames without bytes.
        public var emptyFrames = Budget(rate: Rate(count: 10, per: .second), burst: 100)
        /// DATA frames of under 64 bytes that the client's windows force, and WINDOW_UPDATE frames of under 64 bytes.
        public var smallWindows = Budget(rate: Rate(count: 100, per: .second), burst: 1_000)

        public init() {}
    }

    /// So many at once, and so many more with time.
    public struct Budget: Sendable, Equatable {
        public var rate: Rate
        public var burst: Int

        public init(rate: Rate, burst: Int) {
            self.rate = rate
            self.burst = burst
        }
    }

    /// The closed list of `apis[].upstream.http2`.
    public enum UpstreamHTTP2: String, Sendable, CaseIterable {
        /// HTTP/1.1 alone.
        case never
        /// As the endpoint chooses in the handshake (ALPN); for `https` endpoints.
        case negotiated
        /// HTTP/2 alone; on `http` endpoints with prior knowledge.
        case always
    }
}
