internal import Bytes
internal import OpenStack

/// The tokens written in the settings, found by keyed hash.
///
/// - Shape: open addressing over a power of two, at most half full; each worker has its own.
final class TokenTable {
    private struct Slot {
        var hash: UInt64 = 0
        var token: Content?
        var identity: Identity?
        var expiresAt = Int64.max
    }

    private var slots: [Slot]
    private let hash = KeyedHash.random()

    init(_ tokens: [Settings.StaticToken], adminRoles: [String]) {
        var capacity = 8
        while capacity < tokens.count * 2 { capacity *= 2 }
        slots = Array(repeating: Slot(), count: capacity)
        for token in tokens {
            var text = token.token
            let content = text.withUTF8 { Content($0) }
            let identity = Identity(token, adminRoles: adminRoles)
            let hashed = hash.hash(content.bytes)
            var index = Int(truncatingIfNeeded: hashed) & (capacity - 1)
            while slots[index].token != nil { index = (index + 1) & (capacity - 1) }
            slots[index] = Slot(
                hash: hashed, token: content, identity: identity, expiresAt: token.expiresAt ?? Int64.max)
        }
    }

    /// The identity of `token`, or nil when it is unknown or expired.
    func find(_ token: ByteView, wallSeconds: Int64) -> Identity? {
        let hashed = hash.hash(token)
        var index = Int(truncatingIfNeeded: hashed) & (slots.count - 1)
        while let known = slots[index].token {
            // The keyed hash is compared first, so that how far the bytes agree cannot be timed from outside.
            if slots[index].hash == hashed, known.bytes.equals(token) {
                guard slots[index].expiresAt > wallSeconds, let identity = slots[index].identity else {
                    return nil
                }
                return identity
            }
            index = (index + 1) & (slots.count - 1)
        }
        return nil
    }
}
