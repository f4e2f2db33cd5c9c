public import Bytes
internal import Foundation

/// What Keystone says of a token: the content of `GET` and `POST /v3/auth/tokens`.
///
/// - Source: identity API v3, «Validate and show information for token»; facts §1.5.
public struct TokenDocument: Sendable {
    public let identity: Identity
    /// Seconds since 1970.
    public let expiresAt: Int64

    /// Reads `content`; nil when it is not what Keystone answers, down to every id and name that is used.
    ///
    /// Ids and names travel on in fields, keys and log lines, so one with a control character is no answer either.
    public init?(_ content: ByteView, adminRoles: [String]) {
        guard let base = content.baseAddress, JSONScanner.scan(content) != nil else { return nil }
        let data = Data(bytes: base, count: content.count)
        guard let token = try? JSONDecoder().decode(Wrapper.self, from: data).token,
            let expiresAt = UTCTime.seconds(token.expires_at.utf8)
        else { return nil }
        let project = token.project
        let roles = (token.roles ?? []).map(\.name)
        let texts =
            [token.user.id, token.user.name, token.user.domain?.id, token.user.domain?.name, project?.id]
            + [project?.name, project?.domain?.id, project?.domain?.name]
            + [token.domain?.id, token.domain?.name]
        for text in texts + roles.map(Optional.some) {
            guard (text ?? "").utf8.count <= 255, (text ?? "").utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else { return nil }
        }
        // An empty id would be that of everybody; a role's comma would be two roles.
        guard !token.user.id.isEmpty, project?.id.isEmpty != true,
            roles.allSatisfy({ !$0.isEmpty && !$0.contains(",") })
        else { return nil }
        let rules = token.application_credential?.access_rules.map { rules in
            rules.map { AccessRule(service: $0.service, method: $0.method, path: $0.path) }
        }
        self.expiresAt = expiresAt
        identity = Identity(
            userID: token.user.id, userName: token.user.name ?? "",
            userDomainID: token.user.domain?.id ?? "",
            userDomainName: token.user.domain?.name ?? "", projectID: project?.id ?? "",
            projectName: project?.name ?? "", projectDomainID: project?.domain?.id ?? "",
            projectDomainName: project?.domain?.name ?? "", domainID: token.domain?.id ?? "",
            domainName: token.domain?.name ?? "", isOfSystem: token.system?.all == true,
            isAdminProject: token.is_admin_project ?? true, roles: roles, adminRoles: adminRoles,
            expiresAt: expiresAt, accessRules: rules, origin: TokenOrigin(data))
    }

    private struct Wrapper: Decodable { let token: Token }

    private struct Token: Decodable {
        let expires_at: String
        let user: Named
        let project: Named?
        let domain: Domain?
        let system: System?
        let is_admin_project: Bool?
        let roles: [Role]?
        let application_credential: ApplicationCredential?
    }

    private struct Named: Decodable {
        let id: String
        let name: String?
        let domain: Domain?
    }

    private struct Domain: Decodable {
        let id: String?
        let name: String?
    }

    private struct System: Decodable { let all: Bool? }

    private struct Role: Decodable { let name: String }

    private struct ApplicationCredential: Decodable {
        let access_rules: [Rule]?
    }

    private struct Rule: Decodable {
        let service: String
        let method: String
        let path: String
    }
}
