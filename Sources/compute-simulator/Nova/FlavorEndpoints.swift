/// `/flavors`, extra specs and access.
enum FlavorEndpoints {
    private static let names: Set<String> = [
        "limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir", "name",
    ]

    static let all: [Endpoint] = [
        Endpoint("GET", "flavors", strictFrom: 75, query: names) { call throws(NovaFault) in
            try list(call, isDetail: false)
        },
        Endpoint("GET", "flavors/detail", strictFrom: 75, query: names) { call throws(NovaFault) in
            try list(call, isDetail: true)
        },
        Endpoint("GET", "flavors/{}") { call throws(NovaFault) in
            let flavor = try call.flavor(call.parameters[0])
            return .json { writer in writer.member("flavor") { write(&$0, flavor, call) } }
        },
        Endpoint("POST", "flavors") { call throws(NovaFault) in try create(call) },
        Endpoint("DELETE", "flavors/{}") { call throws(NovaFault) in
            try call.require("admin", "os-flavor-manage:delete")
            let flavor = try call.flavor(call.parameters[0])
            call.cloud.flavors.removeAll { $0.id == flavor.id }
            return Response(202)
        },
        Endpoint("GET", "flavors/{}/os-extra_specs") { call throws(NovaFault) in
            let flavor = try call.flavor(call.parameters[0])
            return .json { $0.member("extra_specs", pairs: flavor.extraSpecs) }
        },
        Endpoint("POST", "flavors/{}/os-extra_specs") { call throws(NovaFault) in
            let given = try call.object("extra_specs")
            try call.require("admin", "os-flavor-extra-specs:create")
            let flavor = try call.flavor(call.parameters[0])
            for (key, value) in given.members ?? [] { set(call, flavor.id, key, value.plainText) }
            return .json { $0.member("extra_specs", given) }
        },
        Endpoint("GET", "flavors/{}/os-extra_specs/{}") { call throws(NovaFault) in
            let flavor = try call.flavor(call.parameters[0])
            let key = call.parameters[1]
            guard let pair = flavor.extraSpecs.first(where: { $0.0 == key }) else {
                throw .notFound("Flavor \(flavor.id) has no extra specs with key \(key).")
            }
            return .json { $0.member(pair.0, pair.1) }
        },
        Endpoint("DELETE", "flavors/{}/os-extra_specs/{}") { call throws(NovaFault) in
            try call.require("admin", "os-flavor-extra-specs:delete")
            let flavor = try call.flavor(call.parameters[0])
            let key = call.parameters[1]
            guard let index = call.cloud.flavors.firstIndex(where: { $0.id == flavor.id }),
                let row = flavor.extraSpecs.firstIndex(where: { $0.0 == key })
            else { throw .notFound("Flavor \(flavor.id) has no extra specs with key \(key).") }
            call.cloud.flavors[index].extraSpecs.remove(at: row)
            return Response(200)
        },
        Endpoint("GET", "flavors/{}/os-flavor-access") { call throws(NovaFault) in
            try call.require("admin", "os-flavor-access")
            let flavor = try call.flavor(call.parameters[0])
            guard !flavor.isPublic else { throw .notFound("Access list not available for public flavors.") }
            return .json { writer in
                writer.list("flavor_access") { items in
                    for project in flavor.access {
                        items.object { item in
                            item.member("flavor_id", flavor.id)
                            item.member("tenant_id", project)
                        }
                    }
                }
            }
        },
    ]

    private static func set(_ call: Call, _ id: String, _ key: String, _ text: String) {
        guard let index = call.cloud.flavors.firstIndex(where: { $0.id == id }) else { return }
        call.cloud.flavors[index].extraSpecs.removeAll { $0.0 == key }
        call.cloud.flavors[index].extraSpecs.append((key, text))
    }

    private static func list(_ call: Call, isDetail: Bool) throws(NovaFault) -> Response {
        let limit = try call.limit()
        var flavors = call.cloud.flavors.filter {
            $0.isPublic || $0.access.contains(call.project) || call.token.isAdmin
        }
        if let text = call.queryValue("minRam") {
            guard let minimum = Int(text) else { throw .badRequest("Invalid minRam filter [\(text)]") }
            flavors.removeAll { $0.ram < minimum }
        }
        if let text = call.queryValue("minDisk") {
            guard let minimum = Int(text) else { throw .badRequest("Invalid minDisk filter [\(text)]") }
            flavors.removeAll { $0.disk < minimum }
        }
        if let text = call.queryValue("is_public"), call.token.isAdmin {
            switch text.lowercased() {
            case "none": break
            case "1", "t", "true", "on", "y", "yes": flavors.removeAll { !$0.isPublic }
            case "0", "f", "false", "off", "n", "no": flavors.removeAll(where: \.isPublic)
            default: throw .badRequest("Invalid is_public filter [\(text)]")
            }
        }
        flavors.sort { $0.id < $1.id }
        let (page, isFull) = try call.page(
            flavors, limit: limit, missing: { .badRequest("marker [\($0)] not found") }, key: \.id)
        return .json { writer in
            writer.list("flavors") { items in
                for flavor in page {
                    items.object { item in
                        if isDetail { return write(&item, flavor, call) }
                        item.member("id", flavor.id)
                        item.member("name", flavor.name)
                        call.writeLinks(&item, "/flavors/" + flavor.id)
                        if call.minor >= 55 { item.member("description", flavor.description) }
                    }
                }
            }
            if isFull, let last = page.last {
                call.writeNext(
                    &writer, "flavors_links", path: isDetail ? "/flavors/detail" : "/flavors",
                    marker: last.id,
                    known: names)
            }
        }
    }

    private static func write(_ writer: inout JSONWriter, _ flavor: Flavor, _ call: Call) {
        writer.member("id", flavor.id)
        writer.member("name", flavor.name)
        writer.member("ram", flavor.ram)
        writer.member("disk", flavor.disk)
        if call.minor >= 75 {
            writer.member("swap", flavor.swap)
        } else {
            writer.member("swap", flavor.swap == 0 ? "" : String(flavor.swap))
        }
        writer.member("OS-FLV-EXT-DATA:ephemeral", flavor.ephemeral)
        if call.minor < 102 { writer.member("OS-FLV-DISABLED:disabled", flavor.isDisabled) }
        writer.member("vcpus", flavor.vcpus)
        writer.member("os-flavor-access:is_public", flavor.isPublic)
        if call.minor < 102 { writer.member("rxtx_factor", .number("1.0")) }
        call.writeLinks(&writer, "/flavors/" + flavor.id)
        if call.minor >= 55 { writer.member("description", flavor.description) }
        if call.minor >= 61 { writer.member("extra_specs", pairs: flavor.extraSpecs) }
    }

    private static func create(_ call: Call) throws(NovaFault) -> Response {
        let body = try call.object("flavor")
        let name = try call.text("name", of: body, in: "flavor")
        try call.require("admin", "os-flavor-manage:create")
        var numbers: [Int] = []
        for key in ["ram", "vcpus", "disk"] {
            guard let value = body[key] else {
                throw .badRequest(
                    "Invalid input for field/attribute flavor. Value: \(body.plainText). '\(key)' is a "
                        + "required property"
                )
            }
            guard let number = Int(value.plainText), number >= 0 else {
                throw Call.invalid(key, value, "is not valid")
            }
            numbers.append(number)
        }
        let id = body["id"]?.plainText ?? call.cloud.ids.uuid()
        guard !call.cloud.flavors.contains(where: { $0.id == id || $0.name == name }) else {
            throw .conflict("Flavor with name \(name) already exists.")
        }
        guard call.cloud.flavors.count < 1000 else { throw .nova(403, "Quota exceeded for flavors") }
        let flavor = Flavor(
            id: id, name: name, ram: numbers[0], disk: numbers[2], vcpus: numbers[1],
            isPublic: body["os-flavor-access:is_public"]?.bool ?? true,
            description: body["description"]?.string)
        call.cloud.flavors.append(flavor)
        return .json { writer in writer.member("flavor") { write(&$0, flavor, call) } }
    }
}
