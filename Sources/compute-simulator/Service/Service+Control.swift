import HTTP
import Loop

// The control listener: faults, what arrived, and the state of the cloud, for tests to set and judge.

extension Service {
    /// Answers one control request.
    ///
    /// - Errors: 400 with a plain message for content that is not understood, 404 and 405 as usual.
    func control(_ request: Request, now: Moment) -> Response {
        var response = route(request, now: now)
        if !response.content.isEmpty, response.value("Content-Type") == nil {
            response.fields.append(("Content-Type", "application/json"))
        }
        response.fields.append(("Content-Length", String(response.content.count)))
        return response
    }

    private func route(_ request: Request, now: Moment) -> Response {
        let path = request.path.split(separator: "/").joined(separator: "/")
        switch (request.method, path) {
        case ("GET", "healthcheck"): return .json { $0.member("status", "OK") }
        case ("GET", "faults"): return faults()
        case ("POST", "faults"), ("PUT", "faults"):
            do {
                let rules = try FaultPlan.read(request.content)
                if request.method == "PUT" { plan.removeAll() }
                plan.add(rules)
                return faults()
            } catch { return Self.mistake(error.text) }
        case ("DELETE", "faults"):
            plan.removeAll()
            return Response(204)
        case ("GET", "requests"): return requests(request)
        case ("DELETE", "requests"):
            log.reset()
            return Response(204)
        case ("DELETE", "connections"): return endConnections(request)
        case ("POST", "projects"): return addProject(request, now: now)
        case ("DELETE", "tokens"):
            guard let text = Text.queryPairs(request.query)?.first(where: { $0.name == "token" })?.value,
                cloud.tokens[text] != nil
            else { return Self.mistake("no such token", status: 404) }
            cloud.tokens[text]?.isRevoked = true
            return Response(204)
        case ("GET", "identity"): return identityCounts()
        case ("PUT", "settings"): return attempt { () throws(Mistake) in try takeSettings(request) }
        case ("POST", "users"): return attempt { () throws(Mistake) in try addUser(request, now: now) }
        case ("POST", "tokens"): return attempt { () throws(Mistake) in try addTokens(request, now: now) }
        case (_, "healthcheck"), (_, "faults"), (_, "requests"), (_, "connections"), (_, "projects"),
            (_, "tokens"), (_, "settings"), (_, "users"), (_, "identity"):
            return Self.mistake("method not allowed", status: 405)
        default: return Self.mistake("no such resource", status: 404)
        }
    }

    private func attempt(_ body: () throws(Mistake) -> Response) -> Response {
        do { return try body() } catch { return Self.mistake(error.text) }
    }

    private static func mistake(_ text: String, status: Int = 400) -> Response {
        .json(status) { $0.member("error", text) }
    }

    private func faults() -> Response {
        .json { writer in
            writer.list("faults") { items in for rule in plan.rules { items.object { rule.write(&$0) } } }
            writer.member("applied", plan.appliedCount)
        }
    }

    private func requests(_ request: Request) -> Response {
        let query = Text.queryPairs(request.query) ?? []
        let prefix = query.last { $0.name == "prefix" }?.value ?? ""
        let listener = query.last { $0.name == "listener" }?.value
        let limit = query.last { $0.name == "limit" }.flatMap { Int($0.value) } ?? log.capacity
        return .json { log.write(&$0, prefix: prefix, listener: listener, limit: max(0, limit)) }
    }

    /// `DELETE /connections`: ends those of a listener (`?listener=nova`), by reset with `?how=reset`.
    private func endConnections(_ request: Request) -> Response {
        let query = Text.queryPairs(request.query) ?? []
        let name = query.last { $0.name == "listener" }?.value ?? "nova"
        let withReset = query.contains { $0.name == "how" && $0.value == "reset" }
        var count = 0
        for index in 0..<connections.usedCount {
            guard let slot = connections.find(index: UInt32(index)), slot.pointee.listener.name == name,
                slot.pointee.listener != .control
            else { continue }
            count += 1
            close(slot.pointee, withReset: withReset)
        }
        return .json { $0.member("ended", count) }
    }

    /// `POST /projects`: `{"tokens": ["TOKEN:PROJECT:ROLE", ...], "servers": n}`; a new project gets n
    /// servers.
    private func addProject(_ request: Request, now: Moment) -> Response {
        let body = JSONParser.read(request.content)
        guard let tokens = body?["tokens"]?.array?.compactMap(\.string), !tokens.isEmpty else {
            return Self.mistake("\"tokens\" is a list of TOKEN:PROJECT:ROLE")
        }
        let count = body?["servers"]?.integer ?? 3
        guard (0...100_000).contains(count) else { return Self.mistake("\"servers\" is from 0 to 100000") }
        for text in tokens {
            guard Seed.addToken(cloud, specification: text, serverCount: count, now: now) else {
                return Self.mistake("not TOKEN:PROJECT:ROLE: \(text)")
            }
        }
        return .json { writer in
            writer.list("projects") { items in
                for text in tokens {
                    let name = text.split(separator: ":").first.map(String.init) ?? ""
                    items.object { item in
                        item.member("token", name)
                        item.member("project", cloud.tokens[name]?.project)
                    }
                }
            }
        }
    }
}
