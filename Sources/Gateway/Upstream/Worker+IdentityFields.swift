internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Tells the upstream who asks, besides the token; a client's own fields of these names never pass.
    ///
    /// - Source: keystonemiddleware, the fields that auth_token sets.
    func appendIdentityFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        guard let identity = exchange.pointee.identity?.takeUnretainedValue() else { return }
        output.append("X-Identity-Status: Confirmed\r\n")
        append("X-User-Id: ", identity.userID, to: &output)
        append("X-User-Name: ", identity.userName, to: &output)
        append("X-User-Domain-Id: ", identity.userDomainID, to: &output)
        append("X-User-Domain-Name: ", identity.userDomainName, to: &output)
        append("X-Project-Id: ", identity.projectID, to: &output)
        append("X-Project-Name: ", identity.projectName, to: &output)
        append("X-Project-Domain-Id: ", identity.projectDomainID, to: &output)
        append("X-Project-Domain-Name: ", identity.projectDomainName, to: &output)
        append("X-Roles: ", identity.rolesText, to: &output)
    }

    /// Whether the API's upstream is to be told.
    func sendsIdentity(_ exchange: ExchangePointer) -> Bool {
        exchange.pointee.api >= 0 && configuration(of: exchange).apis[exchange.pointee.api].sendsIdentity
    }

    private func append(_ name: StaticString, _ value: [UInt8], to output: inout Buffer) {
        guard !value.isEmpty else { return }
        output.append(name)
        value.withUnsafeBufferPointer { output.append($0) }
        output.append("\r\n")
    }
}
