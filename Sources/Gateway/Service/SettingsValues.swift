internal import Glibc

/// A host and a port to connect to, as `127.0.0.1:8774`, `[::1]:8774` or `name:8774`.
public struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or an IP address; IPv6 without brackets.
    public var host: String
    /// Never 0.
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// The form that the settings have; `SocketAddress(parsing:)` reads it when the host is an IP address.
    public var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension Settings {
    /// One worker a core that is online, at least one.
    public static var defaultWorkerCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
