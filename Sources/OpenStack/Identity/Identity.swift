public import Bytes

/// Who a token stands for.
///
/// - Shape: immutable, shared by both loops with one retain; texts that the hot path compares or writes are bytes, and what
///   it would hash anew for each request is hashed when the identity is made.
/// - Source: identity API v3, `GET /v3/auth/tokens`; facts §1.5.
// Unchecked because of the pointer: what it points to is never written after `init`.
public final class Identity: @unchecked Sendable {
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
    /// What `hash(of:)` makes of the project's and the user's id.
    public let projectHash: UInt64
    public let userHash: UInt64
    /// What it makes of `scopeBytes`.
    public let scopeHash: UInt64
    /// The project's id, the roles' key and the user's id, a zero byte behind each of the first two, and the members of
    /// access lines; lent by `projectIDBytes` and its like.
    private let block: UnsafeMutablePointer<UInt8>
    private let blockByteCount: Int

    /// The key under which ids are hashed, so that nobody outside can choose two with one hash; one for the process.
    private static let key = KeyedHash.random()

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
        let members = Self.accessMembers(project: self.projectID, user: self.userID, roles: rolesKey)
        let texts = [self.projectID, [0], rolesKey, [0], self.userID, members].flatMap { $0 }
        blockByteCount = texts.count
        block = .allocate(capacity: texts.count)
        block.initialize(from: texts, count: texts.count)
        projectHash = self.projectID.withUnsafeBufferPointer { Identity.hash(of: $0) }
        userHash = self.userID.withUnsafeBufferPointer { Identity.hash(of: $0) }
        scopeHash = Identity.hash(
            of: ByteView(start: block, count: self.projectID.count + rolesKey.count + 2))
    }

    deinit { block.deallocate() }

    /// The hash by which an id is known for the process's life: of a project, a user or whatever counts beside them.
    public static func hash(of id: ByteView) -> UInt64 { key.hash(id) }

    /// Makes `,"project":"…","user":"…","roles":"…"`, of the roles as many as have room in 512 bytes; all but printable
    /// ASCII is escaped byte by byte, as everywhere in access lines.
    private static func accessMembers(project: [UInt8], user: [UInt8], roles: [UInt8]) -> [UInt8] {
        var end = min(roles.count, 512)
        if end < roles.count { while end > 0, roles[end] != 0x2C { end -= 1 } }
        var members: [UInt8] = []
        for (name, value) in [("project", project[...]), ("user", user[...]), ("roles", roles[..<end])] {
            members += Array(",\"\(name)\":\"".utf8)
            for byte in value {
                if byte >= 0x20, byte < 0x7F, byte != 0x22, byte != 0x5C {
                    members.append(byte)
                } else {
                    let digits = String(byte, radix: 16)
                    members += Array((byte < 0x10 ? "\\u000" : "\\u00").utf8) + Array(digits.utf8)
                }
            }
            members.append(0x22)
        }
        return members
    }

    // MARK: - Bytes

    /// The project's id; valid while the identity is held.
    public var projectIDBytes: ByteView { ByteView(start: block, count: projectID.count) }

    /// The roles in order, joined by commas; valid while the identity is held.
    public var rolesKeyBytes: ByteView {
        ByteView(start: block + projectID.count + 1, count: rolesKey.count)
    }

    /// The user's id; valid while the identity is held.
    public var userIDBytes: ByteView { ByteView(start: block + scopeByteCount, count: userID.count) }

    /// What may be seen with the token as far as project and roles decide it: both, each with a zero byte behind it; valid
    /// while the identity is held.
    public var scopeBytes: ByteView { ByteView(start: block, count: scopeByteCount) }

    /// The members of an access line that tell who asked, each with a comma before it; valid while the identity is held.
    public var accessMemberBytes: ByteView {
        let start = scopeByteCount + userID.count
        return ByteView(start: block + start, count: blockByteCount - start)
    }

    private var scopeByteCount: Int { projectID.count + rolesKey.count + 2 }

    /// Tells whether the token has ended at `now`, in seconds since 1970.
    public func hasExpired(at now: Int64) -> Bool { expiresAt.map { $0 <= now } ?? false }
}
