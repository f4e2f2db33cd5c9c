/// What a fresh simulator holds.
///
/// - Shape: ids depend on names alone, so that a token, a project or a seeded server keeps its id over
///   restarts.
enum Seed {
    static let demoProject = "6f70656e737461636b20342065766572"
    static let otherProject = "b322a85578de48beba0f92acce57869b"
    static let imageName = "cirros-0.6.2-x86_64"
    /// The longest time that a token or a change of state may take: a hundred years.
    static let secondsLimit: Double = 3_153_600_000
    /// Fixed tokens outlive every run.
    static let farEnd = Moment(reading: "2099-12-31T23:59:59Z") ?? Moment(seconds: 4_102_444_799)

    /// A cloud with the demo project (with `serverCount` servers), a second project, users, flavors and
    /// images.
    static func cloud(serverCount: Int, transitionSeconds: Double, now: Moment) -> Cloud {
        let cloud = Cloud(transitionSeconds: transitionSeconds)
        for (id, name) in [
            (demoProject, "demo"), (otherProject, "other"), (compactID("project service"), "service"),
        ] {
            cloud.projects[id] = Project(id: id, name: name)
        }
        addUser(cloud, "demo", roles: [demoProject: ["member"]])
        addUser(cloud, "admin", roles: [demoProject: ["admin"]])
        addUser(cloud, "other", roles: [otherProject: ["member"]])
        addUser(cloud, "nova", roles: [compactID("project service"): ["admin", "service"]])
        cloud.users[userID("admin")]?.domainRoles = ["admin"]
        cloud.users[userID("admin")]?.systemRoles = ["admin"]
        addToken(
            cloud, "demo", user: userID("demo"), project: demoProject, roles: ["member"], now: now)
        addToken(
            cloud, "demo-admin", user: userID("admin"), project: demoProject, roles: ["admin"],
            now: now)
        addToken(
            cloud, "other", user: userID("other"), project: otherProject, roles: ["member"], now: now)
        cloud.users[userID("demo")]?.credentials = [
            ApplicationCredential(id: "demo-credential", name: "demo", secret: "secret", project: demoProject)
        ]
        addCatalog(cloud)
        addServers(cloud, project: demoProject, count: serverCount, now: now)
        addServers(cloud, project: otherProject, count: min(serverCount, 3), now: now)
        return cloud
    }

    /// 128 bits of `name` in 32 hexadecimal digits, the form of project and user ids.
    static func compactID(_ name: String) -> String { Ids.fixed(name).filter { $0 != "-" } }

    /// The id of a user; those of the three demo users are the ones that the example settings name.
    static func userID(_ name: String) -> String {
        switch name {
        case "demo": "0ca8f6a31d5a4e52a5d3a3e8f9a1c001"
        case "admin": "0ca8f6a31d5a4e52a5d3a3e8f9a1c002"
        case "other": "0ca8f6a31d5a4e52a5d3a3e8f9a1c003"
        default: compactID("user " + name)
        }
    }

    static func addUser(_ cloud: Cloud, _ name: String, roles: [String: [String]]) {
        let id = userID(name)
        cloud.users[id] = User(id: id, name: name, password: "secret", roles: roles)
    }

    static func addToken(
        _ cloud: Cloud, _ text: String, user: String, project: String, roles: [String], now: Moment
    ) {
        cloud.tokens[text] = Token(
            id: text, user: user, scope: .project(project), roles: Token.implied(roles), issued: now,
            expires: farEnd, methods: ["password"], auditID: String(compactID("audit " + text).prefix(22)))
    }

    /// A token given as `TOKEN:PROJECT:ROLE[,ROLE...]`; the project is made when it is not known, by id or
    /// name.
    ///
    /// - Errors: false when the text has another shape or names something empty.
    static func addToken(_ cloud: Cloud, specification: String, serverCount: Int, now: Moment) -> Bool {
        let parts = specification.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, !parts.contains("") else { return false }
        let roles = parts[2].split(separator: ",").map(String.init)
        let project = cloud.projects[parts[1]] ?? cloud.project(named: parts[1])
        let id = project?.id ?? (isProjectID(parts[1]) ? parts[1] : compactID("project " + parts[1]))
        if project == nil {
            cloud.projects[id] = Project(id: id, name: parts[1])
            addServers(cloud, project: id, count: serverCount, now: now)
        }
        let user = userID(parts[0])
        if cloud.users[user] == nil { addUser(cloud, parts[0], roles: [id: roles]) }
        addToken(cloud, parts[0], user: user, project: id, roles: roles, now: now)
        return true
    }

    static func isProjectID(_ text: String) -> Bool {
        text.utf8.count == 32
            && text.utf8.allSatisfy { Text.hexValue($0) != nil && !(0x41...0x46).contains($0) }
    }

    private static func addCatalog(_ cloud: Cloud) {
        cloud.flavors = [
            Flavor(id: "1", name: "m1.tiny", ram: 512, disk: 1, vcpus: 1),
            Flavor(id: "2", name: "m1.small", ram: 2048, disk: 20, vcpus: 1),
            Flavor(id: "3", name: "m1.medium", ram: 4096, disk: 40, vcpus: 2),
            Flavor(id: "4", name: "m1.large", ram: 8192, disk: 80, vcpus: 4),
            Flavor(id: "42", name: "m1.nano", ram: 128, disk: 1, vcpus: 1),
            Flavor(
                id: "5", name: "m1.xlarge", ram: 16_384, disk: 160, vcpus: 8,
                extraSpecs: [("hw:cpu_policy", "dedicated")]),
        ]
        let created = Moment(reading: "2024-01-01T00:00:00Z") ?? Moment(seconds: 1_704_067_200)
        cloud.images = [imageName, "debian-12-generic"].map {
            Image(id: Ids.fixed("image " + $0), name: $0, owner: demoProject, created: created)
        }
        cloud.networks = [
            Network(
                id: Ids.fixed("network private"), name: "private", subnet: Ids.fixed("subnet private"),
                project: demoProject, prefix: "10.0", isShared: true),
            Network(
                id: Ids.fixed("network public"), name: "public", subnet: Ids.fixed("subnet public"),
                project: compactID("project service"), prefix: "203.0", isExternal: true),
        ]
    }

    /// Adds `count` servers to `project`: mostly ACTIVE, each tenth SHUTOFF, a few in other states.
    static func addServers(_ cloud: Cloud, project: String, count: Int, now: Moment) {
        guard count > 0 else { return }
        let start = Moment(reading: "2024-01-01T00:00:00Z") ?? now
        let label = cloud.projects[project]?.name ?? project
        let owner =
            cloud.users.values.filter { $0.roles[project] != nil }.map(\.id).min() ?? userID("demo")
        var seeded: [Server] = []
        seeded.reserveCapacity(count)
        for index in 0..<count {
            let name = "\(label)-web-" + Text.padded(Int64(index), 4)
            let server = Server(
                id: Ids.fixed("server \(project) \(index)"), project: project, user: owner,
                created: Moment(microseconds: start.microseconds + Int64(index) * 600_000_000),
                number: cloud.nextServerNumber(), name: name, flavor: cloud.flavors[index % 3].id,
                image: cloud.images[index % cloud.images.count].id)
            server.vmState = "active"
            server.powerState = 1
            if index % 10 == 9 { (server.vmState, server.powerState) = ("stopped", 4) }
            if index % 50 == 47 { (server.vmState, server.powerState) = ("error", 0) }
            if index % 50 == 23 { (server.vmState, server.powerState) = ("paused", 3) }
            server.launched = server.created.adding(seconds: 20)
            server.updated = server.created.adding(seconds: 40)
            server.host = "host-\(index % 3 + 1)"
            server.metadata = [("role", "web"), ("n", String(index))]
            server.tags = index % 4 == 0 ? ["bed", "gold"] : []
            server.interfaces = [
                cloud.makeInterface(
                    on: cloud.networks[0], number: server.number, port: Ids.fixed("port \(server.id)"))
            ]
            server.actions = [
                InstanceAction(
                    action: "create", request: "req-" + Ids.fixed("request \(server.id)"), user: owner,
                    project: project, start: server.created, finish: server.launched)
            ]
            seeded.append(server)
        }
        cloud.seed(seeded.reversed(), project: project)
    }
}
