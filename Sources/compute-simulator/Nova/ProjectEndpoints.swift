/// What belongs to a project as a whole: limits, quotas, server groups, usage, images, zones, extensions.
enum ProjectEndpoints {
    static let all: [Endpoint] = accounts + groups + images + zones

    // MARK: - Limits and quotas

    private static let accounts: [Endpoint] = [
        Endpoint("GET", "limits", strictFrom: 75, query: ["tenant_id"]) { call throws(NovaFault) in
            try limits(call)
        },
        Endpoint("GET", "os-quota-sets/{}", strictFrom: 75, query: ["user_id"]) { call throws(NovaFault) in
            try quotas(call)
        },
        Endpoint("GET", "os-quota-sets/{}/defaults", strictFrom: 75) { call throws(NovaFault) in
            try quotas(call)
        },
        Endpoint("GET", "os-quota-sets/{}/detail", strictFrom: 75, query: ["user_id"]) {
            call throws(NovaFault) in
            try quotas(call)
        },
        Endpoint(
            "GET", "os-simple-tenant-usage", strictFrom: 75,
            query: ["start", "end", "detailed", "limit", "marker"]
        ) { call throws(NovaFault) in
            try call.require("admin", "os-simple-tenant-usage:list")
            let projects = call.cloud.serversByProject.keys.sorted()
            return .json { writer in
                writer.list("tenant_usages") { items in
                    for project in projects { items.object { usage(&$0, project, call) } }
                }
            }
        },
        Endpoint(
            "GET", "os-simple-tenant-usage/{}", strictFrom: 75, query: ["start", "end", "limit", "marker"]
        ) {
            call throws(NovaFault) in
            let project = call.parameters[0]
            if project != call.project { try call.require("admin", "os-simple-tenant-usage:show") }
            return .json { writer in writer.member("tenant_usage") { usage(&$0, project, call) } }
        },
        Endpoint("GET", "extensions/{}") { _ throws(NovaFault) in throw .notAtThisVersion },
        Endpoint("GET", "extensions") { _ throws(NovaFault) in
            .json { writer in
                writer.list("extensions") { items in
                    for (alias, name) in [
                        ("NMN", "Multinic"), ("OS-DCF", "DiskConfig"), ("os-keypairs", "Keypairs"),
                    ] {
                        items.object { item in
                            item.member("alias", alias)
                            item.member("description", name + ".")
                            item.list("links") { _ in }
                            item.member("name", name)
                            item.member("namespace", "http://docs.openstack.org/compute/ext/fake_xml")
                            item.member("updated", "2014-12-03T00:00:00Z")
                        }
                    }
                }
            }
        },
    ]

    private static func live(_ project: String, _ call: Call) -> [Server] {
        (call.cloud.serversByProject[project] ?? []).filter { !$0.isDeleted }
    }

    private static func sizes(_ servers: [Server], _ call: Call) -> (ram: Int, cores: Int) {
        servers.reduce(into: (ram: 0, cores: 0)) { sum, server in
            guard let flavor = call.cloud.flavors.first(where: { $0.id == server.flavor }) else { return }
            sum.ram += flavor.ram
            sum.cores += flavor.vcpus
        }
    }

    private static func limits(_ call: Call) throws(NovaFault) -> Response {
        var project = call.project
        if let asked = call.queryValue("tenant_id"), asked != project {
            try call.require("admin", "limits:other_project")
            project = asked
        }
        let servers = live(project, call)
        let used = sizes(servers, call)
        return .json { writer in
            writer.member("limits") { limits in
                limits.list("rate") { _ in }
                limits.member("absolute") { absolute in
                    absolute.member("maxTotalCores", -1)
                    if call.minor < 57 {
                        absolute.member("maxPersonality", 5)
                        absolute.member("maxPersonalitySize", 10_240)
                    }
                    absolute.member("maxTotalInstances", -1)
                    absolute.member("maxTotalKeypairs", 1000)
                    absolute.member("maxServerMeta", 128)
                    if call.minor < 39 { absolute.member("maxImageMeta", 128) }
                    absolute.member("maxTotalRAMSize", -1)
                    absolute.member("maxServerGroups", 1000)
                    absolute.member("maxServerGroupMembers", 10)
                    if call.minor < 36 {
                        absolute.member("maxTotalFloatingIps", -1)
                        absolute.member("maxSecurityGroups", -1)
                        absolute.member("maxSecurityGroupRules", -1)
                    }
                    absolute.member("totalRAMUsed", used.ram)
                    absolute.member("totalCoresUsed", used.cores)
                    absolute.member("totalInstancesUsed", servers.count)
                    if call.minor < 36 {
                        absolute.member("totalFloatingIpsUsed", 0)
                        absolute.member("totalSecurityGroupsUsed", 0)
                    }
                    absolute.member(
                        "totalServerGroupsUsed",
                        call.cloud.serverGroups.filter { $0.project == project }.count)
                }
            }
        }
    }

    private static func quotas(_ call: Call) throws(NovaFault) -> Response {
        let project = call.parameters[0]
        if project != call.project { try call.require("admin", "os-quota-sets:show") }
        let isDetail = call.request.path.hasSuffix("/detail")
        let used = sizes(live(project, call), call)
        var rows: [(String, Int, Int)] = [("cores", -1, used.cores)]
        if call.minor < 36 { rows += [("fixed_ips", -1, 0), ("floating_ips", -1, 0)] }
        if call.minor < 57 {
            rows += [
                ("injected_file_content_bytes", 10_240, 0), ("injected_file_path_bytes", 255, 0),
                ("injected_files", 5, 0),
            ]
        }
        rows += [
            ("instances", -1, live(project, call).count), ("key_pairs", 1000, 0), ("metadata_items", 128, 0),
            ("ram", -1, used.ram),
        ]
        if call.minor < 36 { rows += [("security_group_rules", -1, 0), ("security_groups", -1, 0)] }
        rows += [("server_group_members", 10, 0), ("server_groups", 1000, 0)]
        return .json { writer in
            writer.member("quota_set") { set in
                set.member("id", project)
                for (name, limit, inUse) in rows {
                    guard isDetail else {
                        set.member(name, limit)
                        continue
                    }
                    set.member(name) { row in
                        row.member("in_use", inUse)
                        row.member("limit", limit)
                        row.member("reserved", 0)
                    }
                }
            }
        }
    }

    private static func usage(_ writer: inout JSONWriter, _ project: String, _ call: Call) {
        writer.member("tenant_id", project)
        writer.member("total_local_gb_usage", .number("1.0"))
        writer.member("total_vcpus_usage", .number("1.0"))
        writer.member("total_memory_mb_usage", .number("512.0"))
        writer.member("total_hours", .number("1.0"))
        writer.member("start", call.now.adding(seconds: -3600).fractionText)
        writer.member("stop", call.now.fractionText)
    }

    // MARK: - Server groups

    private static let groups: [Endpoint] = [
        Endpoint("GET", "os-server-groups", strictFrom: 75, query: ["all_projects", "limit", "offset"]) {
            call throws(NovaFault) in
            for name in ["limit", "offset"] {
                for value in call.queryValues(name) { try Call.checkNumber(value, name) }
            }
            let isAll = call.token.isAdmin && call.queryValue("all_projects") != nil
            let groups = call.cloud.serverGroups.filter { isAll || $0.project == call.project }
            let page = groups.dropFirst(Int(call.queryValue("offset") ?? "0") ?? groups.count)
                .prefix(try call.limit())
            return .json { writer in
                writer.list("server_groups") { items in
                    for group in page { items.object { write(&$0, group, call) } }
                }
            }
        },
        Endpoint("GET", "os-server-groups/{}") { call throws(NovaFault) in
            let group = try group(call)
            return .json { writer in writer.member("server_group") { write(&$0, group, call) } }
        },
        Endpoint("POST", "os-server-groups") { call throws(NovaFault) in
            let body = try call.object("server_group")
            let name = try call.text("name", of: body, in: "server_group")
            guard let policy = body["policy"]?.string ?? body["policies"]?.array?.first?.string else {
                throw .badRequest(
                    "Invalid input for field/attribute server_group. Value: \(body.plainText). "
                        + "'\(call.minor >= 64 ? "policy" : "policies")' is a required property")
            }
            try call.require("member", "os-server-groups:create")
            guard call.cloud.serverGroups.count < 1000 else {
                throw .nova(403, "Quota exceeded, too many server groups.")
            }
            let group = ServerGroup(
                id: call.cloud.ids.uuid(), name: name, policy: policy, project: call.project,
                user: call.token.user)
            call.cloud.serverGroups.append(group)
            return .json { writer in writer.member("server_group") { write(&$0, group, call) } }
        },
        Endpoint("DELETE", "os-server-groups/{}") { call throws(NovaFault) in
            try call.require("member", "os-server-groups:delete")
            let group = try group(call)
            call.cloud.serverGroups.removeAll { $0.id == group.id }
            return Response(204)
        },
    ]

    private static func group(_ call: Call) throws(NovaFault) -> ServerGroup {
        let id = call.parameters[0]
        guard
            let group = call.cloud.serverGroups.first(where: {
                $0.id == id && ($0.project == call.project || call.token.isAdmin)
            })
        else { throw .notFound("Instance group \(id) could not be found.") }
        return group
    }

    private static func write(_ writer: inout JSONWriter, _ group: ServerGroup, _ call: Call) {
        writer.member("id", group.id)
        writer.member("name", group.name)
        if call.minor >= 64 {
            writer.member("policy", group.policy)
            writer.member("rules") { _ in }
        } else {
            writer.member("policies", strings: [group.policy])
            writer.member("metadata") { _ in }
        }
        writer.member("members", strings: group.members)
        if call.minor >= 13 {
            writer.member("project_id", group.project)
            writer.member("user_id", group.user)
        }
    }

    // MARK: - Images (until 2.35)

    private static let images: [Endpoint] = [
        Endpoint("GET", "os-tenant-networks", until: 35) { call throws(NovaFault) in
            .json { writer in
                writer.list("networks") { items in
                    for network in call.cloud.networks(of: call.project) {
                        items.object { item in
                            item.member("id", network.id)
                            item.member("cidr", "None")
                            item.member("label", network.name)
                        }
                    }
                }
            }
        },
        Endpoint("GET", "os-security-groups", until: 35) { _ throws(NovaFault) in
            .json { $0.list("security_groups") { _ in } }
        },
        Endpoint("GET", "os-floating-ips", until: 35) { _ throws(NovaFault) in
            .json { $0.list("floating_ips") { _ in } }
        },
        Endpoint("GET", "os-volumes", until: 35) { _ throws(NovaFault) in
            throw .nova(
                500,
                "Unexpected API Error. Please contact the administrator\n"
                    + "<class 'keystoneauth1.exceptions.catalog.EndpointNotFound'>")
        },
        Endpoint("GET", "images", until: 35) { call throws(NovaFault) in
            try listImages(call, isDetail: false)
        },
        Endpoint("GET", "images/detail", until: 35) { call throws(NovaFault) in
            try listImages(call, isDetail: true)
        },
        Endpoint("GET", "images/{}", until: 35) { call throws(NovaFault) in
            guard let image = call.cloud.images.first(where: { $0.id == call.parameters[0] }) else {
                throw .notFound("Image not found.")
            }
            return .json { writer in writer.member("image") { writeImage(&$0, image, call, isDetail: true) } }
        },
    ]

    private static func listImages(_ call: Call, isDetail: Bool) throws(NovaFault) -> Response {
        var limit = call.cloud.maximumPage
        for name in ["limit", "page_size"] {
            for value in call.queryValues(name) { try Call.checkNumber(value, name) }
        }
        if let text = call.queryValue("limit") { limit = min(Int(text.trimmedNewline) ?? Int.max, limit) }
        let (page, isFull) = try call.page(
            call.cloud.images, limit: limit, missing: { .badRequest("marker [\($0)] not found") }, key: \.id)
        return .json { writer in
            writer.list("images") { items in
                for image in page { items.object { writeImage(&$0, image, call, isDetail: isDetail) } }
            }
            if isFull, call.queryValue("limit") != nil, let last = page.last {
                call.writeNext(
                    &writer, "images_links", path: isDetail ? "/images/detail" : "/images", marker: last.id,
                    known: ["limit", "name", "status"])
            }
        }
    }

    private static func writeImage(_ writer: inout JSONWriter, _ image: Image, _ call: Call, isDetail: Bool) {
        writer.member("id", image.id)
        writer.member("name", image.name)
        if isDetail {
            writer.member("minRam", 0)
            writer.member("minDisk", 0)
            writer.member("metadata") { _ in }
            writer.member("created", image.created.text)
            writer.member("updated", image.created.text)
            writer.member("status", image.status.uppercased())
            writer.member("progress", 100)
            writer.member("OS-EXT-IMG-SIZE:size", image.byteCount)
        }
        call.writeLinks(&writer, "/images/" + image.id)
    }

    // MARK: - Zones

    private static let zones: [Endpoint] = [
        Endpoint("GET", "os-availability-zone") { call throws(NovaFault) in
            .json { writer in
                writer.list("availabilityZoneInfo") { zones in
                    zones.object { zone in
                        zone.member("zoneName", "nova")
                        zone.member("zoneState") { $0.member("available", true) }
                        zone.member("hosts", .null)
                    }
                }
            }
        },
        Endpoint("GET", "os-availability-zone/detail") { call throws(NovaFault) in
            try call.require("admin", "os-availability-zone:detail")
            return .json { writer in
                writer.list("availabilityZoneInfo") { zones in
                    zones.object { zone in
                        zone.member("zoneName", "nova")
                        zone.member("zoneState") { $0.member("available", true) }
                        zone.member("hosts") { hosts in
                            for host in AdminEndpoints.hosts {
                                hosts.member(host) { services in
                                    services.member("nova-compute") { service in
                                        service.member("available", true)
                                        service.member("active", true)
                                        service.member("updated_at", call.now.fractionText)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
    ]
}
