/// What hangs below one server: metadata, tags, addresses, the action log and small read-only documents.
enum ServerPartEndpoints {
    static let all: [Endpoint] = metadata + tags + addresses + log + documents

    // MARK: - Metadata

    private static let metadata: [Endpoint] = [
        Endpoint("GET", "servers/{}/metadata") { call throws(NovaFault) in
            let server = try call.server()
            return .json { $0.member("metadata", pairs: server.metadata) }
        },
        Endpoint("POST", "servers/{}/metadata") { call throws(NovaFault) in
            try writeMetadata(call, keepsOthers: true)
        },
        Endpoint("PUT", "servers/{}/metadata") { call throws(NovaFault) in
            try writeMetadata(call, keepsOthers: false)
        },
        Endpoint("GET", "servers/{}/metadata/{}") { call throws(NovaFault) in
            let server = try call.server()
            let key = call.parameters[1]
            guard let pair = server.metadata.first(where: { $0.0 == key }) else {
                throw .notFound("Metadata item was not found")
            }
            return .json { $0.member("meta", pairs: [pair]) }
        },
        Endpoint("PUT", "servers/{}/metadata/{}") { call throws(NovaFault) in
            let meta = try call.object("meta")
            guard let (key, value) = meta.members?.first, meta.members?.count == 1, let text = value.string
            else {
                throw Call.invalid("meta", meta, "does not have enough properties")
            }
            guard key == call.parameters[1] else { throw .badRequest("Request body and URI mismatch") }
            try call.require("member", "server-metadata:update")
            let server = try call.server()
            set(server, key, text)
            return .json { $0.member("meta", pairs: [(key, text)]) }
        },
        Endpoint("DELETE", "servers/{}/metadata/{}") { call throws(NovaFault) in
            try call.require("member", "server-metadata:delete")
            let server = try call.server()
            let key = call.parameters[1]
            guard let index = server.metadata.firstIndex(where: { $0.0 == key }) else {
                throw .notFound("Metadata item was not found")
            }
            server.metadata.remove(at: index)
            return Response(204)
        },
    ]

    private static func writeMetadata(_ call: Call, keepsOthers: Bool) throws(NovaFault) -> Response {
        let given = try call.object("metadata")
        for (key, value) in given.members ?? [] where value.string == nil {
            throw Call.invalid(key, value, "is not of type 'string'")
        }
        try call.require("member", "server-metadata:" + (keepsOthers ? "create" : "update_all"))
        let server = try call.server()
        if !keepsOthers { server.metadata = [] }
        for (key, value) in given.members ?? [] { set(server, key, value.plainText) }
        return .json { $0.member("metadata", pairs: server.metadata) }
    }

    private static func set(_ server: Server, _ key: String, _ text: String) {
        if let index = server.metadata.firstIndex(where: { $0.0 == key }) {
            server.metadata[index].1 = text
        } else {
            server.metadata.append((key, text))
        }
    }

    // MARK: - Tags

    private static let tags: [Endpoint] = [
        Endpoint("GET", "servers/{}/tags", since: 26) { call throws(NovaFault) in
            let server = try call.server()
            return .json { $0.member("tags", strings: server.tags) }
        },
        Endpoint("PUT", "servers/{}/tags", since: 26) { call throws(NovaFault) in
            guard let list = call.body?["tags"]?.array else {
                throw .badRequest("'tags' is a required property")
            }
            guard list.count <= 50 else {
                throw .badRequest("The number of tags exceeded the per-server limit 50")
            }
            for item in list where item.string == nil {
                throw Call.invalid("tags", item, "is not of type 'string'")
            }
            try call.require("member", "os-server-tags:update_all")
            let server = try call.server()
            server.tags = list.compactMap(\.string).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
            return .json { $0.member("tags", strings: server.tags) }
        },
        Endpoint("DELETE", "servers/{}/tags", since: 26) { call throws(NovaFault) in
            try call.require("member", "os-server-tags:delete_all")
            try call.server().tags = []
            return Response(204)
        },
        Endpoint("GET", "servers/{}/tags/{}", since: 26) { call throws(NovaFault) in
            guard try call.server().tags.contains(call.parameters[1]) else { throw missingTag(call) }
            return Response(204)
        },
        Endpoint("PUT", "servers/{}/tags/{}", since: 26) { call throws(NovaFault) in
            try call.require("member", "os-server-tags:update")
            let server = try call.server()
            let tag = call.parameters[1]
            if server.tags.contains(tag) { return Response(204) }
            guard server.tags.count < 50 else {
                throw .badRequest("The number of tags exceeded the per-server limit 50")
            }
            server.tags.append(tag)
            return Response(201, [("location", call.link("/servers/\(server.id)/tags/\(tag)"))])
        },
        Endpoint("DELETE", "servers/{}/tags/{}", since: 26) { call throws(NovaFault) in
            try call.require("member", "os-server-tags:delete")
            let server = try call.server()
            guard let index = server.tags.firstIndex(of: call.parameters[1]) else { throw missingTag(call) }
            server.tags.remove(at: index)
            return Response(204)
        },
    ]

    private static func missingTag(_ call: Call) -> NovaFault {
        .notFound("Server \(call.parameters[0]) has no tag '\(call.parameters[1])'")
    }

    // MARK: - Addresses

    private static let addresses: [Endpoint] = [
        Endpoint("GET", "servers/{}/ips") { call throws(NovaFault) in
            let server = try call.server()
            return .json { writer in
                writer.member("addresses") { ServerView.writeAddresses(&$0, server, isExtended: false) }
            }
        },
        Endpoint("GET", "servers/{}/ips/{}") { call throws(NovaFault) in
            let server = try call.server()
            let label = call.parameters[1]
            guard server.interfaces.contains(where: { $0.networkLabel == label }) else {
                throw .notFound("Instance is not a member of specified network")
            }
            return .json { ServerView.writeAddresses(&$0, server, label: label, isExtended: false) }
        },
    ]

    // MARK: - The action log

    private static let log: [Endpoint] = [
        Endpoint(
            "GET", "servers/{}/os-instance-actions", strictFrom: 58,
            query: ["limit", "marker", "changes-since", "changes-before"]
        ) { call throws(NovaFault) in try listActions(call) },
        Endpoint("GET", "servers/{}/os-instance-actions/{}") { call throws(NovaFault) in
            let server = try call.server()
            let id = call.parameters[1]
            guard let action = server.actions.first(where: { $0.request == id }) else {
                throw .notFound("Action \(id) not found")
            }
            return .json { writer in
                writer.member("instanceAction") { item in
                    write(&item, action, server, call)
                    item.list("events") { events in
                        events.object { event in
                            event.member("event", "compute_\(action.action)")
                            event.member("start_time", action.start.fractionText)
                            event.member("finish_time", action.finish?.fractionText)
                            event.member("result", action.finish == nil ? nil : "Success")
                        }
                    }
                }
            }
        },
    ]

    private static func listActions(_ call: Call) throws(NovaFault) -> Response {
        let limit = call.minor >= 58 ? try call.limit() : call.cloud.maximumPage
        let server = try call.server()
        let (page, isFull) = try call.page(
            server.actions, limit: limit, missing: { _ in .badRequest("Marker None could not be found.") },
            key: \.request
        )
        return .json { writer in
            writer.list("instanceActions") { items in
                for action in page { items.object { write(&$0, action, server, call) } }
            }
            if isFull, call.minor >= 58, let last = page.last {
                call.writeNext(
                    &writer, "links", path: "/servers/\(server.id)/os-instance-actions", marker: last.request,
                    known: ["limit", "changes-since", "changes-before"])
            }
        }
    }

    private static func write(
        _ writer: inout JSONWriter, _ action: InstanceAction, _ server: Server, _ call: Call
    ) {
        writer.member("action", action.action)
        writer.member("instance_uuid", server.id)
        writer.member("request_id", action.request)
        writer.member("user_id", action.user)
        writer.member("project_id", action.project)
        writer.member("start_time", action.start.fractionText)
        writer.member("message", .null)
        if call.minor >= 58 { writer.member("updated_at", (action.finish ?? action.start).fractionText) }
    }

    // MARK: - Small documents

    private static let documents: [Endpoint] = [
        Endpoint("GET", "servers/{}/shares", since: 97) { call throws(NovaFault) in
            _ = try call.server()
            return .json { $0.list("shares") { _ in } }
        },
        Endpoint("GET", "servers/{}/os-security-groups") { call throws(NovaFault) in
            let server = try call.server()
            return .json { writer in
                writer.list("security_groups") { groups in
                    for name in server.securityGroups {
                        groups.object { group in
                            group.member("id", Ids.fixed("group \(name) \(server.project)"))
                            group.member("description", "Default security group")
                            group.member("name", name)
                            group.member("tenant_id", server.project)
                            group.list("rules") { _ in }
                        }
                    }
                }
            }
        },
        Endpoint("GET", "servers/{}/os-server-password") { call throws(NovaFault) in
            _ = try call.server()
            return .json { $0.member("password", "") }
        },
        Endpoint("DELETE", "servers/{}/os-server-password") { call throws(NovaFault) in
            try call.require("member", "os-server-password:clear")
            _ = try call.server()
            return Response(204)
        },
        Endpoint("GET", "servers/{}/topology", since: 78) { call throws(NovaFault) in
            _ = try call.server()
            return .json { writer in
                writer.list("nodes") { _ in }
                writer.member("pagesize_kb", .null)
            }
        },
        Endpoint("GET", "servers/{}/diagnostics") { call throws(NovaFault) in
            try call.require("admin", "os-server-diagnostics")
            _ = try call.server()
            return .json { writer in
                writer.member("cpu0_time", 17_300_000_000)
                writer.member("memory", 524_288)
                writer.member("vda_errors", -1)
            }
        },
        Endpoint("GET", "servers/{}/migrations", since: 23) { call throws(NovaFault) in
            try call.require("admin", "servers:migrations:index")
            _ = try call.server()
            return .json { $0.list("migrations") { _ in } }
        },
        Endpoint("POST", "servers/{}/remote-consoles", since: 6) { call throws(NovaFault) in
            let asked = try call.object("remote_console")
            try call.require("member", "os-remote-consoles")
            _ = try call.server()
            let address = "http://127.0.0.1:6080/vnc_auto.html?path=%3Ftoken%3D\(call.cloud.ids.uuid())"
            return .json { writer in
                writer.member("remote_console") { console in
                    console.member("protocol", asked["protocol"]?.string ?? "vnc")
                    console.member("type", asked["type"]?.string ?? "novnc")
                    console.member("url", address)
                }
            }
        },
    ]
}
