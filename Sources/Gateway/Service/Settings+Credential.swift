internal import Foundation

extension Settings.Credential {
    /// The content of `POST /v3/auth/tokens`.
    ///
    /// - Source: identity API v3, «Password authentication with scoped authorization» and «Authenticating with an
    ///   Application Credential».
    var requestContent: String {
        let auth: Auth
        switch self {
        case .password(let login):
            let user = User(
                name: login.username, password: login.password, domain: Domain(name: login.userDomain))
            let project = Project(name: login.project, domain: Domain(name: login.projectDomain))
            auth = Auth(
                identity: Method(
                    methods: ["password"], password: Password(user: user), application_credential: nil),
                scope: Scope(project: project))
        case .application(let id, let secret):
            auth = Auth(
                identity: Method(
                    methods: ["application_credential"], password: nil,
                    application_credential: ApplicationCredential(id: id, secret: secret)), scope: nil)
        }
        guard let data = try? JSONEncoder().encode(["auth": auth]) else {
            preconditionFailure("plain strings encode")
        }
        return String(decoding: data, as: UTF8.self)
    }

    private struct Auth: Encodable { let identity: Method, scope: Scope? }
    private struct Method: Encodable {
        let methods: [String], password: Password?, application_credential: ApplicationCredential?
    }
    private struct Password: Encodable { let user: User }
    private struct User: Encodable { let name: String, password: String, domain: Domain }
    private struct Domain: Encodable { let name: String }
    private struct Scope: Encodable { let project: Project }
    private struct Project: Encodable { let name: String, domain: Domain }
    private struct ApplicationCredential: Encodable { let id: String, secret: String }
}
