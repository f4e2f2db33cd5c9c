import Bytes
import CLinux
import Glibc

/// Calls on TCP sockets; all sockets are non-blocking and closed on exec.
///
/// - Errors: zero or more is success, below zero is −errno, without exceptions on the way. `-EAGAIN` means
///   «wait for the poller». EINTR never shows; EBADF and EFAULT trap, since they mean a bug here.
/// - Ownership: a descriptor is a number; whoever holds the slot closes it, once. Closing takes it out of its
///   epoll set by itself.
public enum Socket {
    /// Opens a listening socket on `address` (port 0: the kernel picks one), and says where it is bound.
    ///
    /// With `reusePort` each loop has a listener of its own on the same port, and the kernel spreads
    /// connections by the hash of their addresses. IPv6 listeners take IPv6 only, so that `0.0.0.0` and `::`
    /// can stand side by side.
    ///
    /// - Errors: `EADDRINUSE`, `EACCES` (a port below 1024), `EADDRNOTAVAIL`, `EMFILE`.
    public static func listen(
        _ address: SocketAddress, backlog: Int32 = 1024, reusePort: Bool = true
    ) throws(SystemError) -> (descriptor: Int32, address: SocketAddress) {
        var kernelForm = address.kernelForm
        let descriptor = try SystemError.check("socket", CLinux_socket(kernelForm.family))
        do throws(SystemError) {
            try SystemError.check("setsockopt", CLinux_setReuseAddress(descriptor))
            if reusePort { try SystemError.check("setsockopt", CLinux_setReusePort(descriptor)) }
            if address.ip.family == .v6 {
                try SystemError.check("setsockopt", CLinux_setOnlyIPv6(descriptor))
            }
            try SystemError.check("bind", CLinux_bind(descriptor, &kernelForm))
            try SystemError.check("listen", CLinux_listen(descriptor, backlog))
            var bound = CLinux_address()
            try SystemError.check("getsockname", CLinux_localAddress(descriptor, &bound))
            return (descriptor, SocketAddress(bound) ?? address)
        } catch {
            _ = CLinux_close(descriptor)
            throw error
        }
    }

    /// Takes one connection off a listener and says who it is from; answers its descriptor or −errno.
    ///
    /// - Errors: `-EAGAIN`: none waits. `-ECONNABORTED` and the network errors of accept(2): that one is
    ///   gone, go on. `-EMFILE`, `-ENFILE`, `-ENOBUFS`, `-ENOMEM`: the connection still waits and the
    ///   listener stays readable, so take its interest back for a while or the loop spins.
    public static func accept(_ listener: Int32, from peer: inout SocketAddress) -> Int32 {
        var kernelForm = CLinux_address()
        let answer = CLinux_accept(listener, &kernelForm)
        if answer >= 0 { peer = SocketAddress(kernelForm) ?? .none }
        return answer
    }

    /// Starts a connection; `descriptor` is −errno when that failed at once.
    ///
    /// While it is in progress, wait for the descriptor to be writable, then ask `connectError`. TCP_NODELAY
    /// is set.
    public static func connect(_ address: SocketAddress) -> (descriptor: Int32, isInProgress: Bool) {
        var kernelForm = address.kernelForm
        let descriptor = CLinux_socket(kernelForm.family)
        guard descriptor >= 0 else { return (descriptor, false) }
        _ = CLinux_setNoDelay(descriptor)
        let answer = CLinux_connect(descriptor, &kernelForm)
        if answer == 0 { return (descriptor, false) }
        if answer == -EINPROGRESS { return (descriptor, true) }
        _ = CLinux_close(descriptor)
        return (answer, false)
    }

    /// How a connect ended, or the pending error of a socket, which is thereby taken: 0 or −errno.
    public static func connectError(_ descriptor: Int32) -> Int32 { CLinux_takeError(descriptor) }

    /// Reads into `room`; answers the byte count, 0 at the peer's end, or −errno.
    ///
    /// - Limits: `room` must not be empty, since 0 would then not mean the end.
    public static func receive(_ descriptor: Int32, into room: UnsafeMutableBufferPointer<UInt8>) -> Int {
        precondition(!room.isEmpty)
        return Int(CLinux_receive(descriptor, room.baseAddress, room.count))
    }

    /// Writes as much of `bytes` as the kernel has room for; answers the byte count or −errno, never a
    /// signal.
    public static func send(_ descriptor: Int32, _ bytes: ByteView) -> Int {
        Int(CLinux_send(descriptor, bytes.baseAddress, bytes.count))
    }

    /// Writes `head`, then `content`, in one call; answers how many bytes of both together were taken, or
    /// −errno.
    public static func send(_ descriptor: Int32, head: ByteView, content: ByteView) -> Int {
        Int(CLinux_sendTwo(descriptor, head.baseAddress, head.count, content.baseAddress, content.count))
    }

    /// Sends segments as they are written (RFC 896 off); 0 or −errno.
    public static func setNoDelay(_ descriptor: Int32) -> Int32 { CLinux_setNoDelay(descriptor) }

    /// Ends what this side sends (FIN), the other direction stays; 0 or −errno (`-ENOTCONN` after a reset).
    public static func shutdownWrite(_ descriptor: Int32) -> Int32 { CLinux_shutdownWrite(descriptor) }

    /// Closes the descriptor; unread bytes make the kernel send a reset instead of an orderly end.
    public static func close(_ descriptor: Int32) { _ = CLinux_close(descriptor) }

    /// Closes with a reset, unsent bytes dropped: for a cut response, which must not look complete.
    public static func reset(_ descriptor: Int32) { _ = CLinux_resetAndClose(descriptor) }

    /// Where this side of the socket is; nil when the kernel does not say.
    public static func localAddress(_ descriptor: Int32) -> SocketAddress? {
        var kernelForm = CLinux_address()
        return CLinux_localAddress(descriptor, &kernelForm) == 0 ? SocketAddress(kernelForm) : nil
    }

    /// Where the other side is; nil after a reset.
    public static func peerAddress(_ descriptor: Int32) -> SocketAddress? {
        var kernelForm = CLinux_address()
        return CLinux_peerAddress(descriptor, &kernelForm) == 0 ? SocketAddress(kernelForm) : nil
    }
}
