import Foundation

/// What the roles of a scenario speak with the gateway: a choice of the run, not of the scenario.
enum Transport: String, CaseIterable, Sendable {
    case http1 = "HTTP/1.1"
    /// On both sides, and to Keystone.
    case tls = "HTTP/1.1 over TLS"
    case http2 = "HTTP/2 over TLS"
    /// Over TLS; Keystone is spoken to in HTTP/1.1 over TLS.
    case upstream = "HTTP/2 upstream"

    /// Without `TRANSPORT="HTTP/2 over TLS"` in the environment, which plays that one.
    private static let usual = allCases

    static let played: [Transport] = {
        guard let wanted = ProcessInfo.processInfo.environment["TRANSPORT"], !wanted.isEmpty else {
            return usual
        }
        return allCases.filter { $0.rawValue == wanted }
    }()

    /// Clients reach the gateway over TLS.
    var hasTLSClients: Bool { self == .tls || self == .http2 }
    var hasHTTP2Clients: Bool { self == .http2 }
    /// Upstreams and Keystone are reached over TLS.
    var hasTLSUpstreams: Bool { self == .upstream || self == .tls }
    var hasHTTP2Upstreams: Bool { self == .upstream }

    var clientScheme: String { hasTLSClients ? "https" : "http" }
    var upstreamScheme: String { hasTLSUpstreams ? "https" : "http" }

    /// The versions that Via names (RFC 9110 §7.6.3).
    var clientVersion: String { hasHTTP2Clients ? "2.0" : "1.1" }
    var upstreamVersion: String { hasHTTP2Upstreams ? "2.0" : "1.1" }

    /// What `only … clients` and `only … upstreams` at the top of a scenario ask for.
    func fits(_ kind: String, _ side: String) -> Bool? {
        let (isTLS, isHTTP2) =
            side == "clients" ? (hasTLSClients, hasHTTP2Clients) : (hasTLSUpstreams, hasHTTP2Upstreams)
        switch kind {
        case "HTTP/1.1": return !isHTTP2
        case "HTTP/2": return isHTTP2
        case "TLS": return isTLS
        case "plain": return !isTLS
        default: return nil
        }
    }
}
