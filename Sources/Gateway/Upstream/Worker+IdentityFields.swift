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
        append(identity, prefix: "X-", to: &output)
        output.append(
            identity.isAdminProject ? "X-Is-Admin-Project: True\r\n" : "X-Is-Admin-Project: False\r\n")
        if identity.isOfSystem { output.append("OpenStack-System-Scope: all\r\n") }
        guard let service = exchange.pointee.service?.takeUnretainedValue() else { return }
        output.append("X-Service-Identity-Status: Confirmed\r\n")
        append(service, prefix: "X-Service-", to: &output)
    }

    private func append(_ identity: Identity, prefix: StaticString, to output: inout Buffer) {
        append(prefix, "User-Id: ", identity.userID, to: &output)
        append(prefix, "User-Name: ", identity.userName, to: &output)
        append(prefix, "User-Domain-Id: ", identity.userDomainID, to: &output)
        append(prefix, "User-Domain-Name: ", identity.userDomainName, to: &output)
        append(prefix, "Domain-Id: ", identity.domainID, to: &output)
        append(prefix, "Domain-Name: ", identity.domainName, to: &output)
        append(prefix, "Project-Id: ", identity.projectID, to: &output)
        append(prefix, "Project-Name: ", identity.projectName, to: &output)
        append(prefix, "Project-Domain-Id: ", identity.projectDomainID, to: &output)
        append(prefix, "Project-Domain-Name: ", identity.projectDomainName, to: &output)
        append(prefix, "Roles: ", identity.rolesText, to: &output)
    }

    /// Whether the API's upstream is to be told.
    func sendsIdentity(_ exchange: ExchangePointer) -> Bool {
        exchange.pointee.site?._withUnsafeGuaranteedRef { $0.sendsIdentity } ?? false
    }

    private func append(
        _ prefix: StaticString, _ name: StaticString, _ value: [UInt8], to output: inout Buffer
    ) {
        guard !value.isEmpty else { return }
        output.append(prefix)
        output.append(name)
        value.withUnsafeBufferPointer { output.append($0) }
        output.append("\r\n")
    }
}
