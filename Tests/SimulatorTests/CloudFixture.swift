@testable import compute_simulator

/// A cloud whose clock the test moves, with short ways to ask it.
final class CloudFixture {
    static let demo = Seed.demoProject
    var now = Moment(seconds: 1_790_000_000)
    let cloud: Cloud
    let nova: Nova
    let keystone: Keystone

    init(servers: Int = 5) {
        cloud = Seed.cloud(serverCount: servers, transitionSeconds: 10, now: now)
        nova = Nova(cloud: cloud, identityURL: "http://127.0.0.1:15000")
        keystone = Keystone(cloud: cloud, computeURL: "http://compute.example/v2.1/%(project_id)s")
    }

    /// Asks the compute API; `path` goes below `/v2.1/{demo project}` unless it is whole.
    func ask(
        _ method: String, _ path: String, token: String? = "demo", version: String? = nil,
        body: String? = nil,
        fields: [(name: String, value: String)] = []
    ) -> Response {
        let target = path.hasPrefix("/v") || path == "/" ? path : "/v2.1/\(Self.demo)\(path)"
        var lines = fields + [("Host", "cloud.example:8774"), ("Accept", "application/json")]
        if let token { lines.append(("X-Auth-Token", token)) }
        if let version { lines.append(("OpenStack-API-Version", "compute \(version)")) }
        if body != nil { lines.append(("Content-Type", "application/json")) }
        return nova.answer(Request(method, target, lines, content: Array((body ?? "").utf8)), now: now)
    }

    func identify(
        _ method: String, _ path: String, body: String? = nil, fields: [(name: String, value: String)] = []
    ) -> Response {
        keystone.answer(
            Request(method, path, fields + [("Host", "id.example")], content: Array((body ?? "").utf8)),
            now: now)
    }

    /// Makes a server and gives its id.
    func create(_ name: String = "new") -> String {
        let body =
            "{\"server\": {\"name\": \"\(name)\", \"flavorRef\": \"1\", \"imageRef\": "
            + "\"\(cloud.images[0].id)\"}}"
        return ask("POST", "/servers", body: body).json?["server"]?["id"]?.string ?? ""
    }

    func status(of id: String) -> String? {
        ask("GET", "/servers/\(id)").json?["server"]?["status"]?.string
    }

    func pass(seconds: Double) { now = now.adding(seconds: seconds) }
}

extension Response {
    var json: JSONValue? { JSONParser.read(content) }
    var message: String? { json?.members?.first?.1["message"]?.string }
    func count(of name: String) -> Int { json?[name]?.array?.count ?? -1 }
}
