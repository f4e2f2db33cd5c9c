/// A project of the identity service.
struct Project {
    var id: String
    var name: String
}

/// A user of the identity service, with the roles it has by project.
struct User {
    var id: String
    var name: String
    var password: String
    var roles: [String: [String]] = [:]
    var credentials: [ApplicationCredential] = []
}

/// A secret that stands for a user in one project.
struct ApplicationCredential {
    var id: String
    var name: String
    var secret: String
    var project: String
}

/// A token of the identity service; without a project it is unscoped.
struct Token {
    var id: String
    var user: String
    var project: String?
    var roles: [String]
    var issued: Moment
    var expires: Moment
    var methods: [String]
    var auditID: String
    var isRevoked = false

    func isValid(at now: Moment) -> Bool { !isRevoked && now < expires }

    var isAdmin: Bool { roles.contains("admin") }

    /// The roles with those that they imply: admin, member, reader.
    static func implied(_ roles: [String]) -> [String] {
        var all = roles
        if all.contains("admin") || all.contains("manager"), !all.contains("member") { all.append("member") }
        if all.contains("member"), !all.contains("reader") { all.append("reader") }
        return all
    }
}

struct Flavor {
    var id: String
    var name: String
    var ram: Int
    var disk: Int
    var vcpus: Int
    var ephemeral = 0
    var swap = 0
    var isPublic = true
    var isDisabled = false
    var description: String?
    var extraSpecs: [(String, String)] = []
    var access: [String] = []
}

struct Image {
    var id: String
    var name: String
    var owner: String
    var byteCount = 65_536
    var created: Moment
    var status = "active"
}

struct Keypair {
    var number: Int
    var name: String
    var type: String
    var publicKey: String
    var fingerprint: String
    var user: String
    var created: Moment
}

struct ServerGroup {
    var id: String
    var name: String
    var policy: String
    var project: String
    var user: String
    var members: [String] = []
}

struct Network {
    var id: String
    var name: String
    var subnet: String
    var project: String
    var prefix: String
    var isShared = false
    var isExternal = false
}

struct SecurityGroup {
    var id: String
    var name: String
    var project: String
}
