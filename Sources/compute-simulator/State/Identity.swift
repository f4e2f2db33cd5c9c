/// A project of the identity service.
struct Project {
    var id: String
    var name: String
}

/// A user of the identity service, with the roles it has by project, in the domain and on the system.
struct User {
    var id: String
    var name: String
    var password: String
    var roles: [String: [String]] = [:]
    var domainRoles: [String] = []
    var systemRoles: [String] = []
    var credentials: [ApplicationCredential] = []
}

/// One request that an application credential allows; a token with such rules allows nothing else.
struct AccessRule: Equatable {
    var service: String
    var method: String
    /// A path with `{name}` and `*` for one segment, `**` for the rest.
    var path: String

    var id: String { Seed.compactID("access rule \(service) \(method) \(path)") }
}

/// A secret that stands for a user in one project.
struct ApplicationCredential {
    var id: String
    var name: String
    var secret: String
    var project: String
    /// Nil allows everything that the user may do.
    var accessRules: [AccessRule]?
}

/// A token of the identity service.
struct Token {
    /// What a token is for; one without a scope says who its user is, and that is all.
    enum Scope: Equatable {
        case unscoped, system
        case project(String)
        /// The one domain there is.
        case domain
    }

    var id: String
    var user: String
    var scope: Scope
    var roles: [String]
    var issued: Moment
    var expires: Moment
    var methods: [String]
    var auditID: String
    var isRevoked = false
    /// The application credential it was got with.
    var credential: ApplicationCredential?

    var project: String? {
        guard case .project(let id) = scope else { return nil }
        return id
    }

    func isValid(at now: Moment) -> Bool { !isRevoked && now < expires }

    /// Whether it may still be fetched with `allow_expired`: for two days (Keystone's `allow_expired_window`).
    func isWithinWindow(at now: Moment) -> Bool { !isRevoked && now < expires.adding(seconds: 172_800) }

    var isAdmin: Bool { roles.contains("admin") }

    /// The roles with those that they imply: admin, member, reader.
    static func implied(_ roles: [String]) -> [String] {
        var all = roles
        if all.contains("admin") || all.contains("manager"), !all.contains("member") { all.append("member") }
        if all.contains("member"), !all.contains("reader") { all.append("reader") }
        return all
    }
}
