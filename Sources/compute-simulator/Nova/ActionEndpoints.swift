/// `POST /servers/{id}/action`.
enum ActionEndpoints {
    static let all: [Endpoint] = [
        Endpoint("POST", "servers/{}/action") { call throws(NovaFault) in try answer(call) }
    ]

    /// One action that moves a server from one of some states to another.
    private struct Move {
        var word: String
        var from: [String]
        var task: String
        var to: String
        var power: Int
        var effect: Server.Effect = .none
        var status = 202
    }

    private static let moves: [String: Move] = [
        "os-start": Move(word: "start", from: ["stopped"], task: "powering-on", to: "active", power: 1),
        "os-stop": Move(
            word: "stop", from: ["active", "error"], task: "powering-off", to: "stopped", power: 4),
        "pause": Move(word: "pause", from: ["active"], task: "pausing", to: "paused", power: 3),
        "unpause": Move(word: "unpause", from: ["paused"], task: "unpausing", to: "active", power: 1),
        "suspend": Move(word: "suspend", from: ["active"], task: "suspending", to: "suspended", power: 4),
        "resume": Move(word: "resume", from: ["suspended"], task: "resuming", to: "active", power: 1),
        "shelve": Move(
            word: "shelve", from: ["active", "stopped", "paused", "suspended"], task: "shelving",
            to: "shelved_offloaded", power: 4),
        "shelveOffload": Move(
            word: "shelve_offload", from: ["shelved"], task: "shelving_offloading", to: "shelved_offloaded",
            power: 4),
        "unshelve": Move(
            word: "unshelve", from: ["shelved", "shelved_offloaded"], task: "unshelving", to: "active",
            power: 1),
        "unrescue": Move(word: "unrescue", from: ["rescued"], task: "unrescuing", to: "active", power: 1),
        "restore": Move(word: "restore", from: ["soft-delete"], task: "restoring", to: "active", power: 1),
        "confirmResize": Move(
            word: "confirm_resize", from: ["resized"], task: "resize_confirming", to: "active", power: 1,
            effect: .dropOldFlavor, status: 204),
        "revertResize": Move(
            word: "revert_resize", from: ["resized"], task: "resize_reverting", to: "active", power: 1,
            effect: .restoreOldFlavor),
        "os-migrateLive": Move(
            word: "live_migrate", from: ["active", "paused"], task: "migrating", to: "active", power: 1),
        "migrate": Move(
            word: "migrate", from: ["active", "stopped"], task: "resize_prep", to: "resized", power: 1),
        "evacuate": Move(
            word: "evacuate", from: ["active", "stopped", "error"], task: "rebuilding", to: "active", power: 1
        ),
    ]
    private static let adminActions: Set<String> = [
        "os-migrateLive", "migrate", "evacuate", "os-resetState", "injectNetworkInfo", "resetNetwork",
    ]
    /// Actions that leave the states as they are.
    private static let quiet: Set<String> = [
        "changePassword", "addSecurityGroup", "removeSecurityGroup", "trigger_crash_dump", "createBackup",
        "addFixedIp", "removeFixedIp", "addFloatingIp", "removeFloatingIp", "injectNetworkInfo",
    ]
    private static let special: Set<String> = [
        "reboot", "rebuild", "resize", "rescue", "lock", "unlock", "createImage", "forceDelete",
        "os-resetState",
        "os-getConsoleOutput", "os-getVNCConsole", "os-getSPICEConsole", "os-getSerialConsole",
        "resetNetwork",
    ]

    private static func answer(_ call: Call) throws(NovaFault) -> Response {
        guard let members = call.body?.members, members.count == 1, let (name, argument) = members.first
        else {
            throw .badRequest("Malformed request body")
        }
        guard moves[name] != nil || quiet.contains(name) || special.contains(name) else {
            throw .badRequest("There is no such action: \(name)")
        }
        try call.require(adminActions.contains(name) ? "admin" : "member", "servers:\(name)")
        let server = try call.server()
        if name != "lock", name != "unlock" { try refuseLocked(server, call) }
        if let move = moves[name] {
            try check(server, move.from, move.word)
            record(move.word, server, call)
            if name == "migrate" { server.previousFlavor = server.flavor }
            let to = name == "evacuate" && server.vmState == "stopped" ? "stopped" : move.to
            call.cloud.start(
                move.task, on: server, endsIn: to, power: move.power, effect: move.effect, now: call.now)
            return Response(move.status)
        }
        if quiet.contains(name) {
            record(name, server, call)
            server.actions[0].finish = call.now
            return Response(202)
        }
        return try answer(name, argument, server, call)
    }

    private static func answer(
        _ name: String, _ argument: JSONValue, _ server: Server, _ call: Call
    ) throws(NovaFault) -> Response {
        switch name {
        case "reboot":
            guard let type = argument["type"]?.string?.uppercased(), type == "SOFT" || type == "HARD" else {
                throw .badRequest(
                    "Invalid input for field/attribute reboot. Value: \(argument.plainText). 'type' is "
                        + "a required property"
                )
            }
            try check(
                server, type == "SOFT" ? ["active"] : ["active", "stopped", "paused", "suspended", "error"],
                "reboot")
            record("reboot", server, call)
            call.cloud.start(
                type == "SOFT" ? "rebooting" : "rebooting_hard", on: server, endsIn: "active", power: 1,
                now: call.now)
            return Response(202)
        case "rebuild": return try rebuild(argument, server, call)
        case "resize": return try resize(argument, server, call)
        case "rescue":
            try check(server, ["active", "stopped", "error"], "rescue")
            record("rescue", server, call)
            call.cloud.start("rescuing", on: server, endsIn: "rescued", power: 1, now: call.now)
            let password = argument["adminPass"]?.string ?? call.cloud.ids.password()
            return .json { $0.member("adminPass", password) }
        case "lock":
            server.isLocked = true
            server.lockedReason = argument["locked_reason"]?.string
            return Response(202)
        case "unlock":
            (server.isLocked, server.lockedReason) = (false, nil)
            return Response(202)
        case "createImage": return try createImage(argument, server, call)
        case "forceDelete":
            ServerEndpoints.remove(server, call, isSoft: false)
            return Response(202)
        case "os-resetState":
            guard let state = argument["state"]?.string, state == "active" || state == "error" else {
                throw Call.invalid("os-resetState", argument, "is not valid")
            }
            (server.vmState, server.taskState, server.pending) = (state, nil, nil)
            return Response(202)
        case "os-getConsoleOutput":
            return .json { $0.member("output", "SIMULATED CONSOLE OUTPUT\nLAST LINE") }
        case "resetNetwork": throw .gone
        default:
            guard call.minor < 6 else { throw .badRequest("There is no such action: \(name)") }
            return .json { writer in
                writer.member("console") { console in
                    console.member("type", argument["type"]?.string ?? "novnc")
                    console.member(
                        "url", "http://127.0.0.1:6080/vnc_auto.html?token=\(call.cloud.ids.uuid())")
                }
            }
        }
    }

    private static func rebuild(
        _ argument: JSONValue, _ server: Server, _ call: Call
    ) throws(NovaFault) -> Response {
        let image = try call.text("imageRef", of: argument, in: "rebuild")
        guard call.cloud.images.contains(where: { $0.id == image }) else {
            throw .badRequest("Cannot find image for rebuild")
        }
        try check(server, ["active", "stopped", "error"], "rebuild")
        server.image = image
        if let name = argument["name"]?.string { server.name = name }
        if let metadata = argument["metadata"]?.members {
            server.metadata = metadata.map { ($0.0, $0.1.plainText) }
        }
        record("rebuild", server, call)
        let endsIn = server.vmState == "stopped" ? "stopped" : "active"
        call.cloud.start(
            "rebuilding", on: server, endsIn: endsIn, power: endsIn == "active" ? 1 : 4, effect: .launch,
            now: call.now)
        let password = argument["adminPass"]?.string ?? call.cloud.ids.password()
        var response = Response.json(202) { writer in
            writer.member("server") { item in
                ServerView.write(&item, server, call, form: .update)
                item.member("adminPass", password)
            }
        }
        response.fields = [("location", call.link("/servers/" + server.id))]
        return response
    }

    private static func resize(
        _ argument: JSONValue, _ server: Server, _ call: Call
    ) throws(NovaFault) -> Response {
        guard let reference = argument["flavorRef"], reference.string != nil || reference.integer != nil
        else {
            throw .badRequest(
                "Invalid input for field/attribute resize. Value: \(argument.plainText). "
                    + "'flavorRef' is a required property")
        }
        guard let flavor = try? call.flavor(reference.plainText) else {
            throw .badRequest("Unable to locate requested flavor.")
        }
        guard flavor.id != server.flavor else {
            throw .badRequest("When resizing, instances must change flavor!")
        }
        try check(server, ["active", "stopped"], "resize")
        record("resize", server, call)
        server.previousFlavor = server.flavor
        server.flavor = flavor.id
        call.cloud.start(
            "resize_prep", on: server, endsIn: "resized", power: 1, effect: .takeFlavor, now: call.now)
        return Response(202)
    }

    private static func createImage(
        _ argument: JSONValue, _ server: Server, _ call: Call
    ) throws(NovaFault) -> Response {
        let name = try call.text("name", of: argument, in: "createImage")
        try check(server, ["active", "stopped", "paused", "suspended"], "createImage")
        let image = Image(id: call.cloud.ids.uuid(), name: name, owner: call.project, created: call.now)
        if call.cloud.images.count < 1000 { call.cloud.images.append(image) }
        record("createImage", server, call)
        server.actions[0].finish = call.now
        guard call.minor < 45 else { return .json(202) { $0.member("image_id", image.id) } }
        return Response(202, [("location", call.link("/images/" + image.id))])
    }

    // MARK: - Rules

    /// 409 when the server is locked and the token may not override that.
    static func refuseLocked(_ server: Server, _ call: Call) throws(NovaFault) {
        if server.isLocked, !call.token.isAdmin { throw .conflict("Instance \(server.id) is locked") }
    }

    private static func check(_ server: Server, _ states: [String], _ word: String) throws(NovaFault) {
        guard states.contains(server.vmState) else {
            throw .conflict(
                "Cannot '\(word)' instance \(server.id) while it is in vm_state \(server.vmState)")
        }
        if let task = server.taskState {
            throw .conflict("Cannot '\(word)' instance \(server.id) while it is in task_state \(task)")
        }
    }

    /// Writes one row of the action log, the newest first; at most 100 are kept.
    static func record(_ action: String, _ server: Server, _ call: Call) {
        server.actions.insert(
            InstanceAction(
                action: action, request: call.requestID, user: call.token.user, project: call.project,
                start: call.now,
                finish: nil), at: 0)
        if server.actions.count > 100 { server.actions.removeLast() }
    }
}
