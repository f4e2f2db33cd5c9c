import COpenSSL
import Foundation
import Glibc

/// Who a peer of the gateway is in TLS, and whom it trusts.
struct TLSSettings: Sendable {
    var isServer: Bool
    /// Names of files in `Tests/Certificates`, without their ending.
    var certificate: String?
    /// Of servers: nil asks no client for a certificate.
    var authority: String?
    /// ALPN, in order of preference; empty: none.
    var protocols: [String] = []
    /// What the client asks for by SNI and checks the certificate against.
    var serverName = "localhost"

    static let directory = ScenarioFile.root + "/Tests/Certificates"

    static func server(_ protocols: [String], certificate: String = "localhost-ecdsa") -> TLSSettings {
        TLSSettings(isServer: true, certificate: certificate, protocols: protocols)
    }

    static func client(_ protocols: [String]) -> TLSSettings {
        TLSSettings(isServer: false, authority: "ca", protocols: protocols)
    }
}

/// TLS over one socket that does not block: OpenSSL as a program uses it, nothing of the gateway.
final class TLSLayer: @unchecked Sendable {
    // Unchecked: belongs to its socket.
    private let ssl: OpaquePointer
    /// What OpenSSL says of a connection that went wrong, an alert of the peer among it.
    private(set) var failure: String?
    /// The peer said that it was done.
    private(set) var isOrderly = false

    /// Once: OpenSSL writes without MSG_NOSIGNAL. A function that does nothing, unlike SIG_IGN, does not come down to a
    /// gateway.
    private static let isPrepared: Bool = {
        signal(SIGPIPE) { _ in }
        return true
    }()

    init(_ settings: TLSSettings, _ descriptor: Int32) throws {
        _ = Self.isPrepared
        guard let context = SSL_CTX_new(settings.isServer ? TLS_server_method() : TLS_client_method()) else {
            throw SocketFailure("no TLS: \(Self.reason() ?? "unknown")")
        }
        defer { SSL_CTX_free(context) }
        if let name = settings.certificate {
            let path = TLSSettings.directory + "/" + name
            guard SSL_CTX_use_certificate_chain_file(context, path + ".crt") == 1,
                SSL_CTX_use_PrivateKey_file(context, path + ".key", SSL_FILETYPE_PEM) == 1
            else { throw SocketFailure("certificate \(name): \(Self.reason() ?? "unknown")") }
        }
        if settings.isServer {
            // A static function for each, since a C callback has nothing of its own.
            let choice = settings.protocols.first == "h2" ? Self.onlyHTTP2 : Self.onlyHTTP11
            if !settings.protocols.isEmpty { SSL_CTX_set_alpn_select_cb(context, choice, nil) }
        }
        if let authority = settings.authority {
            let path = TLSSettings.directory + "/" + authority + ".crt"
            guard SSL_CTX_load_verify_locations(context, path, nil) == 1 else {
                throw SocketFailure("authority \(authority): \(Self.reason() ?? "unknown")")
            }
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        guard let ssl = SSL_new(context) else { throw SocketFailure("no TLS: \(Self.reason() ?? "unknown")") }
        self.ssl = ssl
        SSL_set_fd(ssl, descriptor)
        // What was not taken whole is said again from another place, with more behind it.
        let modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        SSL_ctrl(ssl, SSL_CTRL_MODE, Int(modes), nil)
        if settings.isServer {
            SSL_set_accept_state(ssl)
        } else {
            SSL_set1_host(ssl, settings.serverName)
            var name = Array(settings.serverName.utf8CString)
            SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), &name)
            let list = settings.protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            if !list.isEmpty { SSL_set_alpn_protos(ssl, list, UInt32(list.count)) }
            SSL_set_connect_state(ssl)
        }
    }

    deinit { SSL_free(ssl) }

    private typealias Choice =
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafeMutablePointer<UInt8>?,
            UnsafePointer<UInt8>?, UInt32, UnsafeMutableRawPointer?
        ) -> Int32
    private static let onlyHTTP2: Choice = { _, out, length, offered, count, _ in
        choose("h2", out, length, offered, count)
    }
    private static let onlyHTTP11: Choice = { _, out, length, offered, count, _ in
        choose("http/1.1", out, length, offered, count)
    }

    /// Finds `name` in what the client offers; without it the handshake goes on without a protocol.
    private static func choose(
        _ name: StaticString, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ length: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ count: UInt32
    ) -> Int32 {
        guard let offered else { return SSL_TLSEXT_ERR_NOACK }
        var place = 0
        while place < Int(count) {
            let size = Int(offered[place])
            let isIt =
                size == name.utf8CodeUnitCount && memcmp(offered + place + 1, name.utf8Start, size) == 0
            if isIt {
                out?.pointee = offered + place + 1
                length?.pointee = UInt8(size)
                return SSL_TLSEXT_ERR_OK
            }
            place += size + 1
        }
        return SSL_TLSEXT_ERR_NOACK
    }

    /// Goes on with the handshake, as reading and writing do too.
    func shakeHands() -> PlainSocket.Progress {
        ERR_clear_error()
        return progress(SSL_do_handshake(ssl))
    }

    func read(_ block: inout [UInt8]) -> PlainSocket.Progress {
        ERR_clear_error()
        return progress(SSL_read(ssl, &block, Int32(block.count)))
    }

    func write(_ bytes: ArraySlice<UInt8>) -> PlainSocket.Progress {
        ERR_clear_error()
        return progress(bytes.withUnsafeBytes { SSL_write(ssl, $0.baseAddress, Int32($0.count)) })
    }

    private func progress(_ result: Int32) -> PlainSocket.Progress {
        if result > 0 { return .bytes(Int(result)) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .wait(Int16(POLLIN))
        case SSL_ERROR_WANT_WRITE: return .wait(Int16(POLLOUT))
        case SSL_ERROR_ZERO_RETURN:
            isOrderly = true
            return .ended
        default:
            if failure == nil { failure = Self.reason() ?? String(cString: strerror(errno)) }
            return .failed
        }
    }

    /// Sends the alert that says this side is done.
    func sayEnd() {
        guard failure == nil, isEstablished else { return }
        ERR_clear_error()
        SSL_shutdown(ssl)
    }

    var isEstablished: Bool { SSL_is_init_finished(ssl) == 1 }

    /// The protocol that ALPN chose; empty without.
    var chosenProtocol: String {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

    /// The subject of the certificate that the peer showed, in OpenSSL's one-line form.
    var peerSubject: String? {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        guard let text = X509_NAME_oneline(X509_get_subject_name(certificate), nil, 0) else { return nil }
        defer { CRYPTO_free(text, #file, #line) }
        return String(cString: text)
    }

    /// The oldest error of this thread's queue.
    private static func reason() -> String? {
        let code = ERR_get_error()
        guard code != 0 else { return nil }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
