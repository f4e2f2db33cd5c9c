internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Writes the cache key of a list request into `key`; its hash, or nil when the request cannot have one.
    ///
    /// - Shape: project and roles; the project's generation, microversion, scope, version and scheme in 16 bytes; user or
    ///   cloud with a generation of its own (where the operation is per user or everybody's); host, prefix, Accept (unless
    ///   it is an ordinary one), path, query pairs sorted by name. Texts end in a zero byte, which none of them can hold:
    ///   fields and targets with control bytes were refused. The token is never a part.
    func appendCacheKey(_ exchange: ExchangePointer, _ operation: OperationFacts) -> UInt64? {
        guard exchange.pointee.head.fields.count(of: .accept) <= 1,
            exchange.pointee.head.fields.count(of: .xForwardedPrefix) <= 1,
            let identity = exchange.pointee.identity, let version = keyVersion(exchange),
            let scope = identity._withUnsafeGuaranteedRef({ identity in
                appendScope(exchange, identity, operation.cacheScope, version)
            })
        else { return nil }
        let bytes = exchange.pointee.headBytes
        let fields = { (name: FieldName) in exchange.pointee.head.fields.find(name).map { bytes.view($0) } }
        key.append(publicHost(exchange))
        key.append(0)
        if exchange.pointee.peerIsTrusted, let prefix = fields(.xForwardedPrefix) { key.append(prefix) }
        key.append(0)
        if let accept = fields(.accept), !accept.equals("application/json"), !accept.equals("*/*") {
            key.append(accept)
        }
        key.append(0)
        key.append(bytes.view(exchange.pointee.head.target.path))
        key.append(0)
        guard appendCanonicalQuery(bytes.view(exchange.pointee.head.target.query)), !key.hasOverflowed,
            let cache = shared.cache
        else { return nil }
        let rest = key.readable.view(scope.byteCount, key.count - scope.byteCount)
        // Both are keyed; a sum that two keys have in common costs a comparison of theirs, no more. Wraps, as sums of
        // hashes do.
        return Unmanaged.passUnretained(cache)._withUnsafeGuaranteedRef { $0.hash(rest) } &+ scope.hash
    }

    /// Begins the key with whose list it is, as of the last write seen for them, and what is asked for in numbers.
    ///
    /// - Returns: how many bytes of it are the identity's, and their hash; nil where nobody can tell whose it is.
    private func appendScope(
        _ exchange: ExchangePointer, _ identity: Identity, _ scope: CacheScope, _ version: UInt32
    ) -> (byteCount: Int, hash: UInt64)? {
        // A token without a project may be of the system or of a domain, which its roles do not tell.
        guard !identity.projectIDBytes.isEmpty else { return nil }
        key.removeAll()
        key.append(identity.scopeBytes)
        let marks =
            UInt64(version) << 32 | UInt64(scope.rawValue) << 16
            | UInt64(exchange.pointee.route.version.rawValue) << 8
            // The two schemes differ in their count.
            | UInt64(truncatingIfNeeded: publicScheme(exchange).utf8CodeUnitCount)
        appendKeyNumbers(shared.generations.current(identity.projectHash), marks)
        switch scope {
        case .project: break
        case .user:
            appendKeyNumbers(shared.generations.current(identity.userHash), identity.userHash)
            key.append(identity.userIDBytes)
            key.append(0)
        case .cloud: appendKeyNumbers(shared.generations.current(shared.generations.cloud), 0)
        }
        return (identity.scopeBytes.count, identity.scopeHash)
    }

    /// The microversion that is asked for; nil where it is none.
    private func keyVersion(_ exchange: ExchangePointer) -> UInt32? {
        guard exchange.pointee.route.version == .v21 else { return 0 }
        let version: Microversion
        switch exchange.pointee.microversion {
        case .absent: version = .base
        case .version(let asked): version = asked
        // No version has this number.
        case .latest: version = Microversion(major: .max, minor: .max)
        case .malformed, .outOfRange: return nil
        }
        return UInt32(version.major) << 16 | UInt32(version.minor)
    }

    private func appendKeyNumbers(_ first: UInt64, _ second: UInt64) {
        withUnsafeBytes(of: (first, second)) { key.append($0.bindMemory(to: UInt8.self)) }
    }

    /// Appends a query's pairs, each with `&` behind it, in the order of their names.
    private func appendCanonicalQuery(_ query: ByteView) -> Bool {
        guard !query.isEmpty else { return true }
        // A query of one pair is in order.
        guard let isPlain = Self.isOnePair(query) else { return appendSortedQuery(query) }
        guard isPlain else { return false }
        key.append(query)
        key.append(0x26)
        return true
    }

    /// Whether the name of a query's only pair is spelled as it is; nil where there is more than one pair.
    private static func isOnePair(_ query: ByteView) -> Bool? {
        var isPlain = true
        var place = 0
        while place < query.count, query[place] != 0x3D {
            let byte = query[place]
            if byte == 0x26 || byte == 0x3B { return nil }
            if byte == 0x25 || byte == 0x2B { isPlain = false }
            place += 1
        }
        while place < query.count {
            if query[place] == 0x26 || query[place] == 0x3B { return nil }
            place += 1
        }
        return isPlain
    }

    /// Query pairs in the order of their names; values of one name stay in their order, since the last may count.
    private func appendSortedQuery(_ query: ByteView) -> Bool {
        var reader = QueryReader(query)
        var pairs: InlineArray<24, ByteRange> = .init(repeating: .empty)
        var names: InlineArray<24, ByteRange> = .init(repeating: .empty)
        var count = 0
        while let pair = reader.next() {
            // A name spelled two ways would sort apart, and the last value of a parameter counts.
            guard count < 24, !query.view(pair.name).contains("%"), !query.view(pair.name).contains("+")
            else {
                return false
            }
            var place = count
            while place > 0, Self.isLess(query.view(pair.name), query.view(names[place - 1])) {
                names[place] = names[place - 1]
                pairs[place] = pairs[place - 1]
                place -= 1
            }
            names[place] = pair.name
            pairs[place] = ByteRange(
                start: pair.name.lower,
                count: pair.hasEquals ? pair.value.upper - pair.name.lower : Int(pair.name.count))
            count += 1
        }
        for place in 0..<count {
            key.append(query.view(pairs[place]))
            key.append(0x26)
        }
        return true
    }

    private static func isLess(_ left: ByteView, _ right: ByteView) -> Bool {
        let shared = min(left.count, right.count)
        for index in 0..<shared where left[index] != right[index] { return left[index] < right[index] }
        return left.count < right.count
    }
}
