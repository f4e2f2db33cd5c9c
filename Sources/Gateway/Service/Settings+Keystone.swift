extension Settings {
    /// The Keystone that judges tokens.
    public struct Keystone: Sendable, Equatable {
        /// Scheme, host and port of `url`.
        public var endpoint: Endpoint
        /// The path of `url` without a slash at the end, as `/v3`.
        public var path: String
        /// `public_url`: where `WWW-Authenticate` sends clients; `url` without its version unless set.
        public var publicURL: String
        /// Whom Keystone takes this proxy for; the role must allow to validate tokens.
        public var credential: Credential
        /// Not nil exactly when `url` is `https`.
        public var tls: ClientTLS?
        public var cache = TokenCache()
        /// `service_token_roles`: roles of which a service token needs one to vouch for an expired user token.
        public var serviceRoles = ["service"]
        /// `project_lookup`: tell a project that does not exist (404) from one that is another's (400).
        public var looksUpProjects = false
        public var connectTimeout: Duration = .seconds(2)
        /// From the request's last byte to the response head's last, and between two pieces of content.
        public var responseTimeout: Duration = .seconds(5)
        /// `max_connections`, per worker.
        public var maxConnectionCount = 8

        public init(endpoint: Endpoint, path: String, publicURL: String, credential: Credential) {
            self.endpoint = endpoint
            self.path = path
            self.publicURL = publicURL
            self.credential = credential
        }
    }

    /// What this proxy proves itself to Keystone with.
    public enum Credential: Sendable, Equatable {
        case password(Login)
        case application(id: String, secret: String)
    }

    /// A user, a password and the project to act for, all by name.
    public struct Login: Sendable, Equatable {
        public var username: String
        public var password: String
        public var userDomain: String
        public var project: String
        public var projectDomain: String

        public init(
            username: String, password: String, userDomain: String, project: String, projectDomain: String
        ) {
            self.username = username
            self.password = password
            self.userDomain = userDomain
            self.project = project
            self.projectDomain = projectDomain
        }
    }

    /// How long Keystone's word is taken for.
    public struct TokenCache: Sendable, Equatable {
        /// A revoked token works that long at most while Keystone answers.
        public var maxAge: Duration = .seconds(300)
        public var negativeMaxAge: Duration = .seconds(10)
        /// After `max_age`: known tokens still read while Keystone is in trouble.
        public var staleMaxAge: Duration = .seconds(3_600)
        /// `max_tokens`: known tokens, good and bad, of the whole process.
        public var maxTokenCount = 65_536

        public init() {}
    }

    /// So many in a unit of time, as `60/min`.
    public struct Rate: Sendable, Equatable {
        /// The closed list of units, with the seconds each has.
        public enum Unit: Int, Sendable, CaseIterable {
            case second = 1
            case minute = 60
            case hour = 3_600
            case day = 86_400
        }
        public var count: Int
        public var unit: Unit

        public init(count: Int, per unit: Unit) {
            self.count = count
            self.unit = unit
        }

        /// Nanoseconds between two when they come evenly.
        public var intervalNanoseconds: UInt64 { UInt64(unit.rawValue) * 1_000_000_000 / UInt64(count) }
    }
}
