internal import Bytes
internal import Glibc
internal import Loop

/// A socket that sends syslog messages to one receiver, a datagram each.
///
/// - Shape: connected, so that the kernel says when the receiver's machine has nobody at the port, which is all that is
///   ever heard of it.
/// - Ownership: of one thread; the descriptor is closed by `close` or with it.
/// - Source: RFC 5426.
final class SyslogDatagrams {
    /// As long as a refusal may be on its way.
    private static let refusalDuration: Duration = .milliseconds(200)
    /// A pause of a millisecond after so many: the kernel of a receiver keeps about a hundred until they are read.
    private static let burstCount = 32

    private let address: NetworkAddress
    private let lookup = SinkLookup()
    private var descriptor: Int32 = -1
    private var sentCount = 0

    init(_ address: NetworkAddress) { self.address = address }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Socket.close(descriptor) }
        descriptor = -1
    }

    /// Sends one message, of at most 65,507 bytes.
    ///
    /// - Errors: the receiver's machine refused an earlier one; no address of the receiver can be reached.
    func send(_ message: ByteView, _ deadline: SinkDeadline) throws(SinkFailure) {
        if descriptor < 0 { try open(deadline) }
        while true {
            let count = Socket.send(descriptor, message)
            if count >= 0 { break }
            guard count == -Int(EAGAIN) || count == -Int(ENOBUFS) else { throw failure(Int32(-count)) }
            if try pauses(.milliseconds(1), deadline) { throw failure(-Socket.connectError(descriptor)) }
            if deadline.isOver { throw .late }
        }
        sentCount += 1
        if sentCount % Self.burstCount == 0, try pauses(.milliseconds(1), deadline) {
            throw failure(-Socket.connectError(descriptor))
        }
    }

    /// Waits for a refusal of what was sent; that none comes means nothing.
    func settle(_ deadline: SinkDeadline) throws(SinkFailure) {
        guard descriptor >= 0 else { return }
        if try pauses(Self.refusalDuration, deadline) { throw failure(-Socket.connectError(descriptor)) }
    }

    /// Waits so long; true when an error of the socket came before.
    private func pauses(_ duration: Duration, _ deadline: SinkDeadline) throws(SinkFailure) -> Bool {
        let short = SinkDeadline(duration, stopDescriptor: deadline.stopDescriptor)
        do throws(SinkFailure) {
            // Errors are told without being asked for.
            _ = try short.wait(descriptor, 0)
            return true
        } catch {
            guard MonotonicClock.now() >= short.at else { throw error }
            return false
        }
    }

    private func failure(_ code: Int32) -> SinkFailure { SinkFailure("datagrams to \(address)", code: code) }

    /// Makes a socket for the first address that the machine has a way to.
    private func open(_ deadline: SinkDeadline) throws(SinkFailure) {
        var code: Int32 = 0
        for candidate in try lookup.resolve(address, deadline) {
            let isV4 = candidate.ip.family == .v4
            descriptor = socket(
                isV4 ? AF_INET : AF_INET6,
                Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            guard descriptor >= 0 else { throw SinkFailure("socket", code: errno) }
            if (isV4 ? connectV4(candidate) : connectV6(candidate)) == 0 {
                sentCount = 0
                return
            }
            code = errno
            close()
        }
        throw failure(code)
    }

    private func connectV4(_ candidate: SocketAddress) -> Int32 {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = candidate.port.bigEndian
        name.sin_addr.s_addr = UInt32(truncatingIfNeeded: candidate.ip.low).bigEndian
        return connect(&name, MemoryLayout<sockaddr_in>.size)
    }

    private func connectV6(_ candidate: SocketAddress) -> Int32 {
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = candidate.port.bigEndian
        name.sin6_scope_id = candidate.scopeID
        withUnsafeMutableBytes(of: &name.sin6_addr) {
            $0.storeBytes(of: candidate.ip.high.bigEndian, as: UInt64.self)
            $0.storeBytes(of: candidate.ip.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return connect(&name, MemoryLayout<sockaddr_in6>.size)
    }

    private func connect<Name>(_ name: inout Name, _ byteCount: Int) -> Int32 {
        withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(byteCount))
            }
        }
    }
}
