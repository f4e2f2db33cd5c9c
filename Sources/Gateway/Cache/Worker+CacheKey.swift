internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Writes the cache key of a list request into `key`; false when the request cannot have one.
    ///
    /// - Shape: generation, version, microversion, roles, project, user (where the operation is per user), scheme, host,
    ///   prefix, Accept (unless it is an ordinary one), path, query pairs sorted by name. Parts end in a zero byte, which
    ///   no part can hold: fields and targets with control bytes were refused. The token is never a part.
    func appendCacheKey(_ exchange: ExchangePointer, _ operation: OperationFacts) -> Bool {
        // A token without a project may be of the system or of a domain, which its roles do not tell.
        guard let identity = exchange.pointee.identity,
            !identity._withUnsafeGuaranteedRef({ $0.projectID.isEmpty }),
            exchange.pointee.head.fields.count(of: .accept) <= 1,
            exchange.pointee.head.fields.count(of: .xForwardedPrefix) <= 1
        else { return false }
        let bytes = exchange.pointee.headBytes
        let fields = { (name: FieldName) in exchange.pointee.head.fields.find(name).map { bytes.view($0) } }
        key.removeAll()
        identity._withUnsafeGuaranteedRef { identity in
            identity.withProjectID { project in
                key.appendHexadecimal(shared.generations.current(project), width: 16)
                key.append(project)
            }
            key.append(0)
            identity.withRolesKey { key.append($0) }
            key.append(0)
            if operation.cacheScope == .user {
                identity.withUserID { user in
                    key.appendHexadecimal(shared.generations.current(user), width: 16)
                    key.append(user)
                }
            } else if operation.cacheScope == .cloud {
                key.appendHexadecimal(shared.generations.current(Generations.cloud), width: 16)
            }
            key.append(0)
        }
        key.append(exchange.pointee.route.version.rawValue)
        if exchange.pointee.route.version == .v21 {
            switch exchange.pointee.microversion {
            case .absent: Microversion.base.append(to: &key)
            case .version(let version): version.append(to: &key)
            case .latest: key.append("latest")
            case .malformed, .outOfRange: return false
            }
        }
        key.append(0)
        key.append(publicScheme(exchange))
        key.append(0)
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
        guard appendSortedQuery(bytes.view(exchange.pointee.head.target.query)) else { return false }
        return !key.hasOverflowed
    }

    /// Query pairs in the order of their names; values of one name stay in their order, since the last may count.
    private func appendSortedQuery(_ query: ByteView) -> Bool {
        guard !query.isEmpty else { return true }
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
