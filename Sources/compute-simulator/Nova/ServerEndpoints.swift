/// `/servers`: list, detail, show, create, update, delete.
enum ServerEndpoints {
    static let all: [Endpoint] = [
        Endpoint("GET", "servers", strictFrom: 75, query: ServerQuery.names, isLenient: true) {
            call throws(NovaFault) in
            try list(call, isDetail: false)
        },
        Endpoint("GET", "servers/detail", strictFrom: 75, query: ServerQuery.names, isLenient: true) {
            call throws(NovaFault) in
            try list(call, isDetail: true)
        },
        Endpoint("POST", "servers") { call throws(NovaFault) in try ServerCreation.answer(call) },
        Endpoint("GET", "servers/{}") { call throws(NovaFault) in
            let server = try call.server()
            return .json { writer in
                writer.member("server") { ServerView.write(&$0, server, call, form: .show) }
            }
        },
        Endpoint("PUT", "servers/{}") { call throws(NovaFault) in try update(call) },
        Endpoint("DELETE", "servers/{}") { call throws(NovaFault) in
            try call.require("member", "servers:delete")
            let server = try call.server()
            try ActionEndpoints.refuseLocked(server, call)
            remove(server, call, isSoft: false)
            return Response(204)
        },
    ]

    /// Starts the deletion of `server` and writes it into the action log.
    static func remove(_ server: Server, _ call: Call, isSoft: Bool) {
        ActionEndpoints.record(isSoft ? "softDelete" : "delete", server, call)
        call.cloud.start(
            isSoft ? "soft-deleting" : "deleting", on: server, endsIn: isSoft ? "soft-delete" : "deleted",
            power: server.powerState, effect: isSoft ? .softRemoval : .removal, now: call.now)
    }

    private static func list(_ call: Call, isDetail: Bool) throws(NovaFault) -> Response {
        let query = try ServerQuery(call)
        let (page, isFull) = try query.page(call)
        let path = isDetail ? "/servers/detail" : "/servers"
        return .json { writer in
            writer.list("servers") { servers in
                for server in page {
                    servers.object { item in
                        if isDetail {
                            ServerView.write(&item, server, call, form: .detail)
                        } else {
                            item.member("id", server.id)
                            item.member("name", server.name)
                            call.writeLinks(&item, "/servers/" + server.id)
                        }
                    }
                }
            }
            if isFull, let last = page.last {
                call.writeNext(
                    &writer, "servers_links", path: path, marker: last.id,
                    known: ServerQuery.names)
            }
        }
    }

    private static func update(_ call: Call) throws(NovaFault) -> Response {
        let body = try call.object("server")
        let known = ["name", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig", "description", "hostname"]
        for (name, value) in body.members ?? [] {
            guard known.contains(name) || call.isLegacy else {
                throw .badRequest(
                    "Invalid input for field/attribute server. Value: \(body.pythonText). "
                        + "Additional properties are not allowed ('\(name)' was unexpected)")
            }
            if name == "name" { _ = try call.text("name", of: body, in: "server") }
            if name != "description", value.string == nil {
                throw Call.invalid(name, value, "is not of type 'string'")
            }
        }
        try call.require("member", "servers:update")
        let server = try call.server()
        if let name = body["name"]?.string { server.name = name.trimmed }
        if let address = body["accessIPv4"]?.string { server.accessIPv4 = address }
        if let address = body["accessIPv6"]?.string { server.accessIPv6 = address }
        if let config = body["OS-DCF:diskConfig"]?.string { server.diskConfig = config }
        if let hostname = body["hostname"]?.string { server.hostname = hostname }
        if call.minor >= 19, let description = body["description"] { server.description = description.string }
        server.updated = call.now
        return .json { writer in
            writer.member("server") { ServerView.write(&$0, server, call, form: .update) }
        }
    }
}
