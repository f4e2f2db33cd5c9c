internal import Bytes
internal import COpenSSL

/// The keys that session tickets are sealed with, shared by every loop and context and kept across reloads.
///
/// - Shape: a current key, which seals new tickets, and the one before, whose tickets still resume and are then renewed.
/// - Limits: a key is in use for `lifetimeSeconds`, then good for as long again; a ticket for at most 7 days (RFC 8446
///   §4.6.1).
/// - Source: RFC 5077 §4 for the form of a ticket.
public final class TLSTicketKeys: Sendable {
    /// One key: the name that a ticket begins with, and the secrets that encrypt and authenticate it.
    struct Key {
        var name: (UInt64, UInt64) = (0, 0)
        var encryption: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var authentication: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        /// Makes a random key.
        static func make() -> Key {
            var key = Key()
            let isMade = withUnsafeMutableBytes(of: &key) {
                RAND_priv_bytes($0.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32($0.count)) == 1
            }
            precondition(isMade, "without random numbers there is no TLS at all")
            return key
        }

        func isNamed(_ other: (UInt64, UInt64)) -> Bool { name == other }
    }

    struct Keys {
        var current: Key
        var previous: Key?
        var startedAt: UInt64
        var lifetimeSeconds: UInt64
    }

    private let keys: Guarded<Keys>

    /// Makes a first key, in use from `nowSeconds` on.
    public init(lifetimeSeconds: UInt64, nowSeconds: UInt64) {
        keys = Guarded(
            Keys(
                current: .make(), previous: nil, startedAt: nowSeconds,
                lifetimeSeconds: max(1, lifetimeSeconds)))
    }

    /// How long a key seals tickets; a reload may change it.
    public var lifetimeSeconds: UInt64 {
        get { keys.withLock { $0.lifetimeSeconds } }
        set { keys.withLock { $0.lifetimeSeconds = max(1, newValue) } }
    }

    /// Replaces keys that have had their time; to be called every few seconds, by one loop or all.
    ///
    /// - Shape: `nowSeconds` is of any clock that does not go back, always the same one.
    public func rotate(nowSeconds: UInt64) {
        keys.withLock { keys in
            guard nowSeconds >= keys.startedAt else { return }
            let age = nowSeconds - keys.startedAt
            guard age >= keys.lifetimeSeconds else { return }
            // After a pause of two lifetimes, the key that was current is too old to open anything.
            keys.previous = age / 2 >= keys.lifetimeSeconds ? nil : keys.current
            keys.current = .make()
            keys.startedAt = nowSeconds
        }
    }

    /// The key to seal a ticket with.
    func current() -> Key { keys.withLock { $0.current } }

    /// The key that a ticket names, and whether the ticket is to be renewed.
    func find(_ name: (UInt64, UInt64)) -> (key: Key, isOld: Bool)? {
        keys.withLock { keys in
            if keys.current.isNamed(name) { return (keys.current, false) }
            if let previous = keys.previous, previous.isNamed(name) { return (previous, true) }
            return nil
        }
    }

    /// Seals or opens a ticket as OpenSSL asks, by SSL_CTX_set_tlsext_ticket_key_evp_cb: 1 done, 2 done but renew it,
    /// 0 no such key, -1 failed. `renews` asks for another ticket whatever the key.
    func prepare(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer,
        authentication: OpaquePointer, seals: Bool, renews: Bool
    ) -> Int32 {
        let sought = UnsafeRawPointer(name).loadUnaligned(as: (UInt64, UInt64).self)
        guard let found = seals ? (current(), false) : find(sought) else { return 0 }
        var key = found.key
        defer { OPENSSL_cleanse(&key, MemoryLayout<Key>.size) }
        if seals {
            withUnsafeBytes(of: key.name) {
                UnsafeMutableRawPointer(name).copyMemory(from: $0.baseAddress!, byteCount: 16)
            }
            guard RAND_bytes(vector, 16) == 1 else { return -1 }
        }
        let isReady = withUnsafeBytes(of: &key.encryption) { secret in
            EVP_CipherInit_ex(
                cipher, TicketCipher.shared, nil, secret.baseAddress?.assumingMemoryBound(to: UInt8.self),
                vector,
                seals ? 1 : 0) == 1
        }
        let isAuthenticated = withUnsafeMutableBytes(of: &key.authentication) { secret in
            COpenSSL_set_ticket_authentication(authentication, secret.baseAddress, secret.count) == 1
        }
        guard isReady, isAuthenticated else { return -1 }
        return found.isOld || renews ? 2 : 1
    }
}

/// AES-256-CBC, looked up once: each look-up by name takes locks that all threads share.
enum TicketCipher {
    // Never changed after it is made, and never freed.
    nonisolated(unsafe) static let shared: OpaquePointer? = EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)
}
