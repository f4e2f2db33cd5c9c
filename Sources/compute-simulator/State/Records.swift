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
