internal import COpenSSL
internal import Glibc

/// Why certificates, keys or trust could not be taken, for whoever reads the settings.
public struct TLSFault: Error, Sendable {
    /// One sentence without its full stop, with the name of the file it is about.
    public let reason: String

    public init(_ reason: String) { self.reason = reason }

    /// What OpenSSL queued last, after `lead` and a colon.
    static func openSSL(_ lead: String) -> TLSFault {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return TLSFault(lead) }
        return TLSFault("\(lead): \(String(cString: text))")
    }

    /// Memory is short.
    static var memory: TLSFault { TLSFault("no memory for TLS") }
}

/// Reading of the small files that settings name.
enum SmallFile {
    static let maxByteCount = 4 << 20

    /// All bytes of the file at `path`.
    ///
    /// - Errors: it cannot be opened or read, is no file, or is larger than 4 MiB.
    static func read(_ path: String) throws(TLSFault) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault(path) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw fault(path) }
        guard facts.st_mode & S_IFMT == S_IFREG else { throw TLSFault("\(path) is not a file") }
        guard facts.st_size <= maxByteCount else { throw TLSFault("\(path) is larger than 4 MiB") }
        var bytes = [UInt8](repeating: 0, count: Int(facts.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + filled, $0.count - filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw fault(path) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    private static func fault(_ path: String) -> TLSFault {
        TLSFault("cannot read \(path): \(String(cString: strerror(errno)))")
    }

    /// Lends `bytes` to `body` as a BIO to read PEM from, without a copy.
    static func withBIO<Value>(
        _ bytes: [UInt8], _ body: (OpaquePointer) throws(TLSFault) -> Value
    ) throws(TLSFault) -> Value {
        ERR_clear_error()
        return try bytes.withUnsafeBytes { view -> Result<Value, TLSFault> in
            guard
                let bio = BIO_new_mem_buf(
                    view.baseAddress ?? UnsafeRawPointer(bitPattern: 1), Int32(view.count))
            else { return .failure(.memory) }
            defer { BIO_free(bio) }
            do throws(TLSFault) { return .success(try body(bio)) } catch { return .failure(error) }
        }.get()
    }
}
