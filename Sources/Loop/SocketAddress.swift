import Bytes
import CLinux

/// Where a TCP socket is, or is to be: address, port and, for link-local IPv6, the zone's number.
public struct SocketAddress: Equatable, Hashable, Sendable {
    public var ip: IPAddress
    public var port: UInt16
    /// The zone (interface number) of a link-local IPv6 address, else 0; never read from text.
    public var scopeID: UInt32

    public init(ip: IPAddress, port: UInt16, scopeID: UInt32 = 0) {
        self.ip = ip
        self.port = port
        self.scopeID = scopeID
    }

    /// The address nobody has, for a peer that is not known.
    public static var none: SocketAddress { SocketAddress(ip: IPAddress(v4: 0), port: 0) }

    /// 127.0.0.1 with `port`.
    public static func loopback(port: UInt16) -> SocketAddress {
        SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: port)
    }

    /// Reads `127.0.0.1:8774` or `[::1]:8774`; the port is needed, a name is not taken (see `Resolver`).
    public init?(parsing bytes: ByteView) {
        guard let colon = bytes.lastIndex(of: 0x3A) else { return nil }
        var host = bytes.view(0, colon)
        let digits = bytes.view(colon + 1, bytes.count - colon - 1)
        guard digits.count <= 5, let number = Decimal.read(digits), let port = UInt16(exactly: number) else {
            return nil
        }
        let isBracketed = host.first == 0x5B
        if isBracketed {
            guard host.count > 2, host.last == 0x5D else { return nil }
            host = host.view(1, host.count - 2)
        }
        // Without brackets, `::1:80` could mean two things; with them, IPv4 is no URI host either.
        guard let ip = IPAddress(parsing: host), isBracketed == (ip.family == .v6) else { return nil }
        self.init(ip: ip, port: port)
    }

    /// Reads `text` as the other initializer does; for cold paths.
    public init?(parsing text: String) {
        var text = text
        guard let address = text.withUTF8({ SocketAddress(parsing: $0) }) else { return nil }
        self = address
    }

    public var isLoopback: Bool { ip.isLoopback }

    /// Appends the address without the port.
    public func append(to buffer: inout Buffer) { ip.append(to: &buffer) }

    init?(_ address: CLinux_address) {
        switch address.family {
        case 4: ip = IPAddress(v4: UInt32(truncatingIfNeeded: address.low))
        case 6: ip = IPAddress(v6: address.high, address.low)
        default: return nil
        }
        port = address.port
        scopeID = address.scope
    }

    var kernelForm: CLinux_address {
        CLinux_address(
            high: ip.high, low: ip.low, scope: scopeID, port: port, family: UInt16(ip.family.rawValue))
    }
}

extension SocketAddress: CustomStringConvertible {
    public var description: String { ip.family == .v4 ? "\(ip):\(port)" : "[\(ip)]:\(port)" }
}
