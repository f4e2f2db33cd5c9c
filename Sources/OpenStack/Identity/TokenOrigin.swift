internal import Foundation

/// By what a token was got: none of it decides anything here, all of it says whose deed a request is.
///
/// - Shape: bytes that stand in audit events, at most 255 each and none of them a control character; empty where Keystone
///   says nothing, or something else.
/// - Source: identity API v3, «Validate and show information for token».
public struct TokenOrigin: Sendable, Equatable {
    /// Such as `password` and `token`, joined by commas.
    public var methods: [UInt8] = []
    /// Keystone's own name of the token, which its events have too; not a secret.
    public var auditID: [UInt8] = []
    public var applicationCredentialID: [UInt8] = []
    public var applicationCredentialName: [UInt8] = []
    public var trustID: [UInt8] = []
    /// Who acts for the user by a trust.
    public var trusteeUserID: [UInt8] = []
    /// Who vouched for a federated user.
    public var identityProvider: [UInt8] = []

    public init() {}

    /// Reads a token's document. What has not the form it should have counts as not said: a token is good without it.
    init?(_ data: Data) {
        guard let token = try? JSONDecoder().decode(Document.self, from: data).token else { return nil }
        methods = Self.bytes((token.methods ?? []).joined(separator: ","))
        auditID = Self.bytes(token.audit_ids?.first)
        applicationCredentialID = Self.bytes(token.application_credential?.id)
        applicationCredentialName = Self.bytes(token.application_credential?.name)
        trustID = Self.bytes(token.trust?.id)
        trusteeUserID = Self.bytes(token.trust?.trustee_user?.id)
        identityProvider = Self.bytes(token.user?.federation?.identity_provider?.id)
    }

    private static func bytes(_ text: String?) -> [UInt8] {
        guard let text, text.utf8.count <= 255, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            return []
        }
        return Array(text.utf8)
    }

    private struct Document: Decodable { let token: Token }

    private struct Token: Decodable {
        let methods: [String]?
        let audit_ids: [String]?
        let application_credential: Named?
        let trust: Trust?
        let user: User?

        private enum CodingKeys: String, CodingKey {
            case methods, audit_ids, application_credential, user
            case trust = "OS-TRUST:trust"
        }
    }

    private struct Named: Decodable {
        let id: String?
        let name: String?
    }

    private struct Trust: Decodable {
        let id: String?
        let trustee_user: Named?
    }

    private struct User: Decodable {
        let federation: Federation?

        private enum CodingKeys: String, CodingKey { case federation = "OS-FEDERATION" }
    }

    private struct Federation: Decodable { let identity_provider: Named? }
}
