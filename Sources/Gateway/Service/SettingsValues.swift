internal import Glibc

/// A host and a port, as `127.0.0.1:8774`, `[::1]:8774` or `name:8774`.
public struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an IP address; IPv6 without brackets.
    public var host: String
    /// 0 lets the kernel choose; only where an address is listened on.
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// The form that the settings have, and that `SocketAddress(parsing:)` reads.
    public var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// A block of IP addresses, as `10.0.0.0/8`, `fd00::/8`, or one address.
public struct CIDRBlock: Sendable, Hashable, CustomStringConvertible {
    /// Four or sixteen bytes in network order; the bits after the prefix are zero.
    public var bytes: [UInt8]
    /// 0 to 32 or 0 to 128.
    public var prefixBitCount: Int
    /// As the operator wrote it.
    public var description: String

    public init(bytes: [UInt8], prefixBitCount: Int, description: String) {
        self.bytes = bytes
        self.prefixBitCount = prefixBitCount
        self.description = description
    }
}

extension Settings {
    /// One worker a core that is online, at least one.
    public static var defaultWorkerCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
