import Bytes
import Glibc

/// A name that no address was found for.
public struct ResolveError: Error, Equatable, Sendable, CustomStringConvertible {
    public let host: String
    /// The answer of getaddrinfo, `EAI_NONAME` and so on.
    public let code: Int32

    public var description: String {
        let reason = gai_strerror(code).map { String(cString: $0) } ?? "error \(code)"
        return "cannot resolve \(host): \(reason)"
    }
}

/// Turns host names into addresses.
public enum Resolver {
    /// Gives every address of `host`, in the order the system prefers; never an empty list.
    ///
    /// - Limits: blocks, for seconds when the name service is away; for start-up and side queues, never on a
    ///   loop.
    /// - Shape: `host` is a name or an address, IPv6 with or without brackets.
    /// - Source: RFC 6724 for the order, which getaddrinfo applies.
    public static func resolve(host: String, port: UInt16) throws(ResolveError) -> [SocketAddress] {
        var plain = host
        if plain.hasPrefix("["), plain.hasSuffix("]") { plain = String(plain.dropFirst().dropLast()) }
        if let ip = IPAddress(parsing: plain) { return [SocketAddress(ip: ip, port: port)] }

        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(plain, nil, &hints, &list)
        guard code == 0 else { throw ResolveError(host: host, code: code) }
        defer { freeaddrinfo(list) }

        var addresses: [SocketAddress] = []
        var item = list
        while let current = item {
            if let address = read(current.pointee, port: port), !addresses.contains(address) {
                addresses.append(address)
            }
            item = current.pointee.ai_next
        }
        guard !addresses.isEmpty else { throw ResolveError(host: host, code: EAI_NONAME) }
        return addresses
    }

    private static func read(_ info: addrinfo, port: UInt16) -> SocketAddress? {
        guard let raw = UnsafeRawPointer(info.ai_addr) else { return nil }
        switch info.ai_family {
        case AF_INET:
            let four = raw.loadUnaligned(as: sockaddr_in.self)
            return SocketAddress(ip: IPAddress(v4: UInt32(bigEndian: four.sin_addr.s_addr)), port: port)
        case AF_INET6:
            let six = raw.loadUnaligned(as: sockaddr_in6.self)
            let halves = withUnsafeBytes(of: six.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            return SocketAddress(
                ip: IPAddress(v6: UInt64(bigEndian: halves.0), UInt64(bigEndian: halves.1)), port: port,
                scopeID: six.sin6_scope_id)
        default: return nil
        }
    }
}
