/// `POST /servers`.
enum ServerCreation {
    private static let known: Set<String> = [
        "name", "imageRef", "flavorRef", "adminPass", "metadata", "networks", "OS-DCF:diskConfig",
        "accessIPv4",
        "accessIPv6", "personality", "availability_zone", "block_device_mapping", "block_device_mapping_v2",
        "config_drive", "min_count", "max_count", "return_reservation_id", "key_name", "security_groups",
        "user_data",
        "description", "tags", "trusted_image_certificates", "host", "hypervisor_hostname", "hostname",
        "os:scheduler_hints",
    ]

    /// Makes one server or `max_count` of them; they are building at first.
    static func answer(_ call: Call) throws(NovaFault) -> Response {
        let body = try call.object("server")
        let name = try call.text("name", of: body, in: "server")
        try checkSchema(body, call)
        try call.require("member", "servers:create")
        let flavor = try chooseFlavor(body, call)
        let image = try chooseImage(body, call)
        let interfaces = try chooseNetworks(body, call)
        if let zone = body["availability_zone"]?.string, zone.split(separator: ":").first != "nova" {
            throw .badRequest("The requested availability zone is not available")
        }
        let groups = (body["security_groups"]?.array ?? []).compactMap { $0["name"]?.string }
        for group in groups where group != "default" && group != Ids.fixed("group default \(call.project)") {
            throw .badRequest("Unable to find security_group with name or id '\(group)'")
        }
        let count = max(1, Int(body["max_count"]?.plainText ?? body["min_count"]?.plainText ?? "1") ?? 1)
        guard count <= 100 else {
            throw .nova(
                403, "Quota exceeded for instances: Requested \(count), but already used 0 of 100 instances")
        }
        let password = body["adminPass"]?.string ?? call.cloud.ids.password()
        var servers: [Server] = []
        for index in 1...count {
            let server = call.cloud.addServer(
                name: count == 1 ? name.trimmed : "\(name.trimmed)-\(index)", project: call.project,
                user: call.token.user, flavor: flavor.id, image: image, created: call.now)
            fill(server, from: body, call)
            if !groups.isEmpty { server.securityGroups = groups }
            server.interfaces = interfaces.map {
                call.cloud.makeInterface(
                    on: $0.network, number: server.number, port: $0.port, address: $0.address)
            }
            ActionEndpoints.record("create", server, call)
            call.cloud.start(
                "spawning", on: server, endsIn: "active", power: 1, effect: .launch, now: call.now)
            servers.append(server)
        }
        if let group = body["os:scheduler_hints"]?["group"]?.string
            ?? call.body?["os:scheduler_hints"]?["group"]?.string,
            let index = call.cloud.serverGroups.firstIndex(where: { $0.id == group })
        {
            call.cloud.serverGroups[index].members += servers.map(\.id)
        }
        return answer(servers[0], body, password, call)
    }

    private static func answer(_ server: Server, _ body: JSONValue, _ password: String, _ call: Call)
        -> Response
    {
        if body["return_reservation_id"]?.bool == true {
            return .json(202) { $0.member("reservation_id", server.reservation) }
        }
        var response = Response.json(202) { writer in
            writer.member("server") { item in
                item.member("id", server.id)
                call.writeLinks(&item, "/servers/" + server.id)
                item.member("OS-DCF:diskConfig", server.diskConfig)
                item.list("security_groups") { groups in
                    for name in server.securityGroups { groups.object { $0.member("name", name) } }
                }
                item.member("adminPass", password)
            }
        }
        response.fields = [("location", call.link("/servers/" + server.id))]
        return response
    }

    private static func checkSchema(_ body: JSONValue, _ call: Call) throws(NovaFault) {
        let start = "Invalid input for field/attribute server. Value: \(body.pythonText). "
        let later: [String: Int] = [
            "description": 19, "tags": 52, "trusted_image_certificates": 63, "host": 74,
            "hypervisor_hostname": 74,
            "hostname": 90,
        ]
        for (name, _) in body.members ?? []
        where (!known.contains(name) || later[name, default: 0] > call.minor) && !call.isLegacy {
            throw .badRequest(start + "Additional properties are not allowed ('\(name)' was unexpected)")
        }
        guard let flavor = body["flavorRef"] else {
            throw .badRequest(start + "'flavorRef' is a required property")
        }
        guard flavor.string != nil || flavor.integer != nil else {
            throw Call.invalid("flavorRef", flavor, "is not of type 'string', 'integer'")
        }
        if call.minor >= 37, body["networks"] == nil {
            throw .badRequest(start + "'networks' is a required property")
        }
        if let metadata = body["metadata"] {
            guard let pairs = metadata.members else {
                throw Call.invalid("metadata", metadata, "is not of type 'object'")
            }
            for (key, value) in pairs where value.string == nil {
                throw Call.invalid(key, value, "is not of type 'string'")
            }
        }
        if let text = body["name"]?.string, text.utf8.count > 255 {
            throw Call.invalid("name", .string(text), "is too long")
        }
        for name in ["min_count", "max_count"] {
            guard let value = body[name] else { continue }
            guard let count = Int(value.plainText) else {
                throw Call.invalid(name, value, "does not match '^[0-9]*$'")
            }
            guard count >= 1 else { throw Call.invalid(name, value, "is less than the minimum of 1") }
        }
        if let networks = body["networks"], networks.array == nil {
            let mayBeWord = call.minor >= 37 && ["auto", "none"].contains(networks.string)
            guard mayBeWord else { throw Call.invalid("networks", networks, "is not of type 'array'") }
        }
        if let image = body["imageRef"]?.string, !image.isEmpty, !Text.isUUID(lastPart(image)) {
            throw Call.invalid("imageRef", .string(image), "is not valid under any of the given schemas")
        }
    }

    private static func lastPart(_ link: String) -> String {
        link.split(separator: "/").last.map(String.init) ?? link
    }

    private static func chooseFlavor(_ body: JSONValue, _ call: Call) throws(NovaFault) -> Flavor {
        // A reference may be a whole link; its last part counts.
        let id = lastPart(body["flavorRef"]?.plainText ?? "")
        do { return try call.flavor(id) } catch { throw .badRequest("Flavor \(id) could not be found.") }
    }

    private static func chooseImage(_ body: JSONValue, _ call: Call) throws(NovaFault) -> String? {
        let text = body["imageRef"]?.string ?? ""
        if text.isEmpty {
            let mappings =
                (body["block_device_mapping_v2"]?.array ?? []) + (body["block_device_mapping"]?.array ?? [])
            guard !mappings.isEmpty else { throw .badRequest("Missing imageRef attribute") }
            return nil
        }
        let id = lastPart(text)
        guard call.cloud.images.contains(where: { $0.id == id }) else {
            throw .badRequest("Can not find requested image")
        }
        return id
    }

    private static func chooseNetworks(
        _ body: JSONValue, _ call: Call
    ) throws(NovaFault) -> [(network: Network, port: String?, address: String?)] {
        let usual = call.cloud.networks(of: call.project)
        guard let asked = body["networks"] else { return usual.prefix(1).map { ($0, nil, nil) } }
        if asked.string == "none" { return [] }
        guard let list = asked.array, !list.isEmpty else { return usual.prefix(1).map { ($0, nil, nil) } }
        var chosen: [(network: Network, port: String?, address: String?)] = []
        for item in list {
            let address = item["fixed_ip"]?.string
            if let id = item["uuid"]?.string {
                guard let network = call.cloud.networks.first(where: { $0.id == id }) else {
                    throw .badRequest("Network \(id) could not be found.")
                }
                chosen.append((network, nil, address))
            } else if let port = item["port"]?.string, let network = usual.first {
                chosen.append((network, port, address))
            }
        }
        return chosen
    }

    private static func fill(_ server: Server, from body: JSONValue, _ call: Call) {
        server.metadata = (body["metadata"]?.members ?? []).map { ($0.0, $0.1.plainText) }
        server.keyName = body["key_name"]?.string
        server.accessIPv4 = body["accessIPv4"]?.string ?? ""
        server.accessIPv6 = body["accessIPv6"]?.string ?? ""
        server.diskConfig = body["OS-DCF:diskConfig"]?.string ?? "MANUAL"
        server.configDrive = body["config_drive"]?.bool == true ? "True" : ""
        server.zone = body["availability_zone"]?.string ?? "nova"
        server.userData = body["user_data"]?.string
        server.host = "host-\(server.number % 3 + 1)"
        if call.minor >= 19 { server.description = body["description"]?.string }
        if call.minor >= 52 { server.tags = (body["tags"]?.array ?? []).compactMap(\.string) }
        if call.minor >= 90, let hostname = body["hostname"]?.string { server.hostname = hostname }
        for item in body["block_device_mapping_v2"]?.array ?? [] {
            guard let volume = item["volume_id"]?.string ?? item["uuid"]?.string else { continue }
            guard item["source_type"]?.string ?? "volume" == "volume" else { continue }
            server.volumes.append(
                VolumeAttachment(
                    volume: volume, device: "/dev/vda", attachment: call.cloud.ids.uuid(),
                    mapping: call.cloud.ids.uuid(), tag: nil,
                    endsWithServer: item["delete_on_termination"]?.bool ?? false))
        }
    }
}
