// The bodies of tokens and catalogs, members in Keystone's order.

extension Keystone {
    func tokenResponse(_ token: Token, _ status: Int, hasCatalog: Bool, _ request: Request) -> Response {
        var response = Response.json(status) { writer in
            writer.member("token") { writeToken(&$0, token, hasCatalog: hasCatalog, base: LinkBase(request)) }
        }
        response.fields = [("X-Subject-Token", token.id)]
        return response
    }

    private static func writeDomain(_ writer: inout JSONWriter) {
        writer.member("domain") { domain in
            domain.member("id", "default")
            domain.member("name", "Default")
        }
    }

    private func writeToken(_ writer: inout JSONWriter, _ token: Token, hasCatalog: Bool, base: LinkBase) {
        writer.member("methods", strings: token.methods)
        writer.member("user") { user in
            Self.writeDomain(&user)
            user.member("id", token.user)
            user.member("name", cloud.users[token.user]?.name ?? token.user)
            user.member("password_expires_at", .null)
        }
        writer.member("audit_ids", strings: [token.auditID])
        writer.member("expires_at", token.expires.tokenText)
        writer.member("issued_at", token.issued.tokenText)
        switch token.scope {
        case .unscoped: return
        case .project(let project):
            writer.member("project") { item in
                Self.writeDomain(&item)
                item.member("id", project)
                item.member("name", cloud.projects[project]?.name ?? project)
            }
            writer.member("is_domain", false)
            writeRoles(&writer, token)
        case .domain:
            Self.writeDomain(&writer)
            writeRoles(&writer, token)
        case .system:
            writeRoles(&writer, token)
            writer.member("system") { $0.member("all", true) }
        }
        if hasCatalog {
            writer.list("catalog") { writeCatalog(&$0, project: token.project ?? "", base: base) }
        }
        if let credential = token.credential { Self.write(&writer, credential) }
    }

    private func writeRoles(_ writer: inout JSONWriter, _ token: Token) {
        writer.list("roles") { roles in
            for name in token.roles {
                roles.object { role in
                    role.member("id", Seed.compactID("role " + name))
                    role.member("name", name)
                }
            }
        }
    }

    /// An empty list of rules is left out, as Keystone leaves it out.
    private static func write(_ writer: inout JSONWriter, _ credential: ApplicationCredential) {
        writer.member("application_credential") { item in
            item.member("id", credential.id)
            item.member("name", credential.name)
            item.member("restricted", true)
            guard let rules = credential.accessRules, !rules.isEmpty else { return }
            item.list("access_rules") { list in
                for rule in rules {
                    list.object { member in
                        member.member("id", rule.id)
                        member.member("service", rule.service)
                        member.member("path", rule.path)
                        member.member("method", rule.method)
                    }
                }
            }
        }
    }

    func writeCatalog(_ writer: inout JSONWriter, project: String, base: LinkBase) {
        let compute = computeURL.replacing("%(project_id)s", with: project).replacing(
            "$(project_id)s", with: project)
        let services = [
            ("nova", "compute", compute), ("keystone", "identity", base.text + "/v3"),
            ("glance", "image", base.text + "/image"), ("neutron", "network", base.text + "/network"),
        ]
        for (name, type, address) in services {
            writer.object { service in
                service.list("endpoints") { endpoints in
                    for interface in ["public", "internal", "admin"] {
                        endpoints.object { endpoint in
                            endpoint.member("id", Seed.compactID("endpoint \(interface) \(type)"))
                            endpoint.member("interface", interface)
                            endpoint.member("region_id", "RegionOne")
                            endpoint.member("url", address)
                            endpoint.member("region", "RegionOne")
                        }
                    }
                }
                service.member("id", Seed.compactID("service " + type))
                service.member("type", type)
                service.member("name", name)
            }
        }
    }
}
