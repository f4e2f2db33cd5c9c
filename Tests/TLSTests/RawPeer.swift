import Bytes
import COpenSSL
import TLS

/// OpenSSL without anything of ours, as the other side of a connection: it can be told to do what our own never does.
final class RawPeer {
    let context: OpaquePointer
    let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private(set) var content: [UInt8] = []
    private(set) var isEstablished = false
    /// The peer's close_notify came.
    private(set) var hasEnded = false
    private(set) var hasFailed = false

    /// Makes a client, or with the names of a fixture a server.
    init(server name: String? = nil, _ prepare: (_ context: OpaquePointer) -> Void = { _ in }) {
        context = SSL_CTX_new(name == nil ? TLS_client_method() : TLS_server_method())
        if let name {
            SSL_CTX_use_certificate_chain_file(context, Fixture.path(name + ".crt"))
            SSL_CTX_use_PrivateKey_file(context, Fixture.path(name + ".key"), SSL_FILETYPE_PEM)
        }
        prepare(context)
        ssl = SSL_new(context)
        input = BIO_new(BIO_s_mem())
        output = BIO_new(BIO_s_mem())
        SSL_set_bio(ssl, input, output)
        if name == nil { SSL_set_connect_state(ssl) } else { SSL_set_accept_state(ssl) }
    }

    /// Makes another connection of the server that `other` is of.
    init(sharing other: RawPeer) {
        context = other.context
        SSL_CTX_up_ref(context)
        ssl = SSL_new(context)
        input = BIO_new(BIO_s_mem())
        output = BIO_new(BIO_s_mem())
        SSL_set_bio(ssl, input, output)
        SSL_set_accept_state(ssl)
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    static func setVersions(_ context: OpaquePointer, _ least: Int32, _ most: Int32) {
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(least), nil)
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(most), nil)
    }

    static func offer(_ context: OpaquePointer, _ protocols: [String]) {
        let list = protocols.flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
        SSL_CTX_set_alpn_protos(context, list, UInt32(list.count))
    }

    static func use(_ context: OpaquePointer, client name: String) {
        SSL_CTX_use_certificate_chain_file(context, Fixture.path(name + ".crt"))
        SSL_CTX_use_PrivateKey_file(context, Fixture.path(name + ".key"), SSL_FILETYPE_PEM)
    }

    func name(_ server: String) { _ = COpenSSL_set_server_name(ssl, server) }

    /// Gives it ciphertext and answers what it sends in return.
    @discardableResult func feed(_ bytes: [UInt8]) -> [UInt8] {
        ERR_clear_error()
        if !bytes.isEmpty { BIO_write(input, bytes, Int32(bytes.count)) }
        if !isEstablished {
            let result = SSL_do_handshake(ssl)
            isEstablished = result == 1
            if result != 1 { hasFailed = SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ }
        }
        if isEstablished {
            var room = [UInt8](repeating: 0, count: 1 << 15)
            while true {
                let count = SSL_read(ssl, &room, Int32(room.count))
                guard count > 0 else {
                    switch SSL_get_error(ssl, count) {
                    case SSL_ERROR_WANT_READ: break
                    case SSL_ERROR_ZERO_RETURN: hasEnded = true
                    default: hasFailed = true
                    }
                    break
                }
                content += room[..<Int(count)]
            }
        }
        return drain()
    }

    /// What it has to send.
    func drain() -> [UInt8] {
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 1 << 15)
        while case let count = BIO_read(output, &room, Int32(room.count)), count > 0 {
            bytes += room[..<Int(count)]
        }
        return bytes
    }

    func send(_ bytes: [UInt8]) -> [UInt8] {
        _ = SSL_write(ssl, bytes, Int32(bytes.count))
        return drain()
    }

    func takeContent() -> [UInt8] {
        defer { content = [] }
        return content
    }

    /// Runs the handshake, and what follows it, with `end` until both are silent.
    func run(with end: End) {
        var toEnd = feed([])
        while true {
            Link.feed(toEnd, to: end)
            let toPeer = end.takeOutgoing()
            toEnd = feed(toPeer)
            if toEnd.isEmpty, toPeer.isEmpty { return }
        }
    }
}

extension End {
    /// The server's end of a connection.
    static func server(_ context: TLSContext) throws -> End {
        guard let made = TLSConnection(server: context) else { throw TLSFault("no connection") }
        return End(made)
    }

    /// The client's end, its first flight waiting.
    static func client(_ context: TLSContext, name: String = "localhost", session: UInt64 = 1) throws -> End {
        guard let made = TLSConnection(client: context, serverName: name, session: session) else {
            throw TLSFault("no connection")
        }
        let end = End(made)
        _ = end.connection.start(reply: &end.outgoing)
        return end
    }
}
