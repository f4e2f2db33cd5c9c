/// As much of the network API v2.0 as the compute clients ask for: networks, subnets, ports, security groups.
struct NetworkService {
    let cloud: Cloud

    func answer(_ request: Request, _ path: [String], now: Moment) -> Response {
        let base = LinkBase(request).text + "/network"
        guard request.method == "GET" else { return Response(405) }
        if path.isEmpty {
            return .json { writer in
                writer.list("versions") { versions in
                    versions.object { version in
                        version.member("id", "v2.0")
                        version.member("status", "CURRENT")
                        version.list("links") { links in
                            links.object { link in
                                link.member("rel", "self")
                                link.member("href", base + "/v2.0/")
                            }
                        }
                    }
                }
            }
        }
        guard let text = request.value("x-auth-token"), let token = cloud.validToken(text, at: now) else {
            return Response(401, content: NovaFault.unauthorizedContent)
        }
        guard path.count >= 2, path[0] == "v2.0" else { return missing("resource", path.last ?? "") }
        let query = Text.queryPairs(request.query) ?? []
        let rows: [JSONValue]
        switch path[1] {
        case "networks": rows = networks(token)
        case "subnets": rows = subnets()
        case "ports": rows = ports(token)
        case "security-groups": rows = [group(token)]
        case "extensions", "floatingips", "routers", "agents": rows = []
        default: return missing(path[1], path.last ?? "")
        }
        let plural = path[1].replacing("-", with: "_")
        if path.count == 2 {
            let found = rows.filter { row in query.allSatisfy { Self.matches(row, $0) } }
            return .json { $0.member(plural, .array(found)) }
        }
        guard let row = rows.first(where: { $0["id"]?.string == path[2] }) else {
            return missing(path[1], path[2])
        }
        return .json { $0.member(String(plural.dropLast()), row) }
    }

    /// Only members that rows have are compared; names of pages and of fields to show are not filters.
    private static func matches(_ row: JSONValue, _ pair: (name: String, value: String)) -> Bool {
        guard let value = row[pair.name] else { return true }
        return value.plainText.lowercased() == pair.value.lowercased()
    }

    private func missing(_ kind: String, _ id: String) -> Response {
        .json(404) { writer in
            writer.member("NeutronError") { error in
                error.member("type", "NotFound")
                error.member("message", "\(kind) \(id) could not be found.")
                error.member("detail", "")
            }
        }
    }

    private func networks(_ token: Token) -> [JSONValue] {
        cloud.networks.map { network in
            .members([
                ("id", .string(network.id)), ("name", .string(network.name)),
                ("tenant_id", .string(network.project)),
                ("project_id", .string(network.project)), ("admin_state_up", .bool(true)),
                ("status", .string("ACTIVE")), ("subnets", .array([.string(network.subnet)])),
                ("shared", .bool(network.isShared)), ("router:external", .bool(network.isExternal)),
                ("mtu", .number("1500")), ("description", .string("")), ("tags", .array([])),
            ])
        }
    }

    private func subnets() -> [JSONValue] {
        cloud.networks.map { network in
            .members([
                ("id", .string(network.subnet)), ("name", .string(network.name + "-subnet")),
                ("network_id", .string(network.id)), ("project_id", .string(network.project)),
                ("ip_version", .number("4")), ("cidr", .string(network.prefix + ".0.0/16")),
                ("gateway_ip", .string(network.prefix + ".0.1")), ("enable_dhcp", .bool(true)),
            ])
        }
    }

    private func ports(_ token: Token) -> [JSONValue] {
        let servers = (cloud.serversByProject[token.project ?? ""] ?? []).filter { !$0.isDeleted }
        return servers.flatMap { server in
            server.interfaces.map { interface in
                .members([
                    ("id", .string(interface.port)), ("name", .string("")),
                    ("network_id", .string(interface.network)), ("device_id", .string(server.id)),
                    ("device_owner", .string("compute:nova")), ("mac_address", .string(interface.mac)),
                    ("status", .string("ACTIVE")), ("admin_state_up", .bool(true)),
                    ("project_id", .string(server.project)),
                    (
                        "fixed_ips",
                        .array(
                            interface.addresses.map { address in
                                .members([
                                    ("subnet_id", .string(interface.subnet)),
                                    ("ip_address", .string(address.address)),
                                ])
                            })
                    ),
                ])
            }
        }
    }

    private func group(_ token: Token) -> JSONValue {
        let project = token.project ?? ""
        return .members([
            ("id", .string(Ids.fixed("group default \(project)"))), ("name", .string("default")),
            ("description", .string("Default security group")), ("project_id", .string(project)),
            ("tenant_id", .string(project)), ("security_group_rules", .array([])), ("stateful", .bool(true)),
        ])
    }
}
