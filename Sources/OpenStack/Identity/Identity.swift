/// Who a token stands for.
///
/// - Shape: immutable, shared by both loops with one retain; texts that the hot path compares or writes are bytes.
/// - Source: identity API v3, `GET /v3/auth/tokens`; facts §1.5.
public final class Identity: Sendable {
    public let userID: [UInt8]
    public let userName: [UInt8]
    public let userDomainID: [UInt8]
    public let userDomainName: [UInt8]
    /// Empty when the token is scoped to no project.
    public let projectID: [UInt8]
    public let projectName: [UInt8]
    public let projectDomainID: [UInt8]
    public let projectDomainName: [UInt8]
    /// The domain of a token that is scoped to one; else empty.
    public let domainID: [UInt8]
    public let domainName: [UInt8]
    /// The token is scoped to the whole system.
    public let isOfSystem: Bool
    /// True unless Keystone says that the project is not the one of administrators.
    public let isAdminProject: Bool
    public let roles: [String]
    public let isAdmin: Bool
    /// The roles in order, once each, joined by commas: what a role class is in a cache key.
    public let rolesKey: [UInt8]
    /// The roles as they came, joined by commas.
    public let rolesText: [UInt8]
    /// Seconds since 1970 at which the token ends; nil for a token without an end.
    public let expiresAt: Int64?
    /// What the application credential behind the token may be used for; nil when that is not restricted.
    public let accessRules: [AccessRule]?
    /// By what the token was got; nil where nobody says.
    public let origin: TokenOrigin?

    /// Makes an identity; `adminRoles` are the roles that make an administrator, `admin` by Nova's default policy.
    public init(
        userID: String, userName: String = "", userDomainID: String = "", userDomainName: String = "",
        projectID: String = "", projectName: String = "", projectDomainID: String = "",
        projectDomainName: String = "", domainID: String = "", domainName: String = "",
        isOfSystem: Bool = false, isAdminProject: Bool = true, roles: [String],
        adminRoles: [String] = ["admin"],
        expiresAt: Int64? = nil, accessRules: [AccessRule]? = nil, origin: TokenOrigin? = nil
    ) {
        self.userID = Array(userID.utf8)
        self.userName = Array(userName.utf8)
        self.userDomainID = Array(userDomainID.utf8)
        self.userDomainName = Array(userDomainName.utf8)
        self.projectID = Array(projectID.utf8)
        self.projectName = Array(projectName.utf8)
        self.projectDomainID = Array(projectDomainID.utf8)
        self.projectDomainName = Array(projectDomainName.utf8)
        self.domainID = Array(domainID.utf8)
        self.domainName = Array(domainName.utf8)
        self.isOfSystem = isOfSystem
        self.isAdminProject = isAdminProject
        self.roles = roles
        rolesText = Array(roles.joined(separator: ",").utf8)
        // oslo.policy compares role names in lower case.
        let lowered = Set(roles.map { $0.lowercased() })
        isAdmin = adminRoles.contains { lowered.contains($0.lowercased()) }
        rolesKey = Array(lowered.sorted().joined(separator: ",").utf8)
        self.expiresAt = expiresAt
        self.accessRules = accessRules
        self.origin = origin
    }

    /// Tells whether the token has ended at `now`, in seconds since 1970.
    public func hasExpired(at now: Int64) -> Bool { expiresAt.map { $0 <= now } ?? false }
}
