internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Authenticate: the token's identity, or 401 in the one form that tells nothing of why.
    ///
    /// Version discovery is without a token (facts §3.2); two tokens are none. A service's token beside it lets the user's
    /// be over; one that is bad, or no service's, spoils the request, as keystonemiddleware has it.
    func authenticate(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.route.isDiscovery { return .next }
        guard let token = userToken(exchange) else { return refuseToken(exchange) }
        return withHouse(of: exchange) { house in
            if let tokens = house.lentTokens {
                let wallSeconds = wallSeconds
                let found = tokens._withUnsafeGuaranteedRef { $0.find(token, wallSeconds: wallSeconds) }
                guard let identity = found else { return refuseToken(exchange) }
                exchange.pointee.adopt(identity)
                return .next
            }
            // Without a provider the upstream judges the token; nothing here may then depend on who asks.
            guard let client = house.lentKeystone else { return .next }
            return client._withUnsafeGuaranteedRef { authenticate(exchange, token, $0) }
        }
    }

    /// By what Keystone says of the token, and of a service's beside it.
    private func authenticate(
        _ exchange: ExchangePointer, _ token: ByteView, _ client: KeystoneClient
    ) -> Verdict {
        if exchange.pointee.service == nil, hasServiceToken(exchange) {
            guard let service = onlyToken(.xServiceToken, exchange) else {
                return refuseToken(exchange)
            }
            switch judge(service, allowsExpired: false, exchange, client) {
            case .identity(let identity):
                guard identity.roles.contains(where: { client.shared.settings.serviceRoles.contains($0) })
                else { return refuseToken(exchange) }
                exchange.pointee.adoptService(identity)
            case .verdict(let verdict): return verdict
            }
        }
        if exchange.pointee.service != nil || !adoptKnown(token, exchange, client) {
            switch judge(token, allowsExpired: exchange.pointee.service != nil, exchange, client) {
            case .identity(let identity): exchange.pointee.adopt(identity)
            case .verdict(let verdict): return verdict
            }
        }
        return mayUse(exchange) ? .next : refuseUse(exchange)
    }

    /// The user's token, in X-Auth-Token; without that field, in X-Storage-Token, its name of old.
    ///
    /// - Source: keystonemiddleware takes either, in this order, and a real Nova with it.
    func userToken(_ exchange: ExchangePointer) -> ByteView? {
        let isOld = exchange.pointee.head.fields.count(of: .xAuthToken) == 0
        return onlyToken(isOld ? .xStorageToken : .xAuthToken, exchange)
    }

    /// An empty field is none (keystonemiddleware asks whether the value is true).
    private func hasServiceToken(_ exchange: ExchangePointer) -> Bool {
        let count = exchange.pointee.head.fields.count(of: .xServiceToken)
        return count > 1 || exchange.pointee.head.fields.find(.xServiceToken).map { $0.count > 0 } ?? false
    }

    /// The one value of a token's field, at most 8 KiB.
    private func onlyToken(_ name: FieldName, _ exchange: ExchangePointer) -> ByteView? {
        guard exchange.pointee.head.fields.count(of: name) == 1,
            let range = exchange.pointee.head.fields.find(name)
        else { return nil }
        let token = exchange.pointee.headBytes.view(range)
        return token.count > 0 && token.count <= 8_192 ? token : nil
    }

    /// Application credentials may be bound to some requests; with a service token it is no user who asks.
    ///
    /// - Source: keystonemiddleware, `validate_allowed_request`; the service type is the one this proxy stands for.
    private func mayUse(_ exchange: ExchangePointer) -> Bool {
        guard exchange.pointee.service == nil, let identity = exchange.pointee.identity else { return true }
        return identity._withUnsafeGuaranteedRef { identity in
            guard let rules = identity.accessRules else { return true }
            let bytes = exchange.pointee.headBytes
            let method = bytes.view(exchange.pointee.head.methodName)
            scratch.removeAll()
            _ = PercentCoding.decode(
                bytes.view(exchange.pointee.head.target.path), plusIsSpace: false, into: &scratch)
            key.removeAll()
            PercentCoding.appendEncodedPath(scratch.readable, to: &key)
            return rules.contains { $0.allows(service: "compute", method: method, path: key.readable) }
        }
    }

    /// The token was good, but not for this: nothing is said or kept of whom it stands for.
    private func refuseUse(_ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.adopt(nil)
        return fail(exchange, .unauthorized)
    }
}
