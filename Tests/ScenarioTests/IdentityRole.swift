import Foundation

/// A Keystone that says what the scenario says, whichever connection a question comes on.
///
/// `issue own for 60` expects the request for a token of the gateway's own and gives it; `validate demo …` expects the
/// question about a token and answers it, `refuse demo` answers that there is none. `expect issue`, `expect validation of`
/// and `respond token …` are the halves of these, `answer demo` goes back to the question about `demo`.
final class IdentityRole: UpstreamRole, @unchecked Sendable {
    /// The gateway's own token, as it was given last.
    private var own = ""
    /// The questions about tokens, and the connection that each came on.
    private var asked: [String: (socket: Wire?, message: PlainMessage)] = [:]
    /// The token that the current question is about.
    private var subject: String { message.value("X-Subject-Token") ?? "" }

    init(_ name: String, play: Play, state: [String]) throws {
        try super.init(name, play: play, state: state, speaksHTTP2: false)
    }

    override func perform(_ step: Step, words: [String]) throws {
        switch words[0] {
        case "issue":
            try expectIssue(step)
            own = words[1]
            try respondToken(step, Array(words.dropFirst(2)), status: 201, id: own)
        case "validate":
            try expectValidation(step, of: words[1], expired: words.contains("expired"))
            try respondToken(step, Array(words.dropFirst(2)), status: 200, id: subject)
        case "refuse":
            try expectValidation(step, of: words[1], expired: words.contains("expired"))
            try respondRefusal(step, "404", "Failed to validate token")
        case "answer":
            guard let question = asked[words[1]] else {
                throw Mismatch(step.line, "\(name): nobody asked about \(words[1])")
            }
            (socket, message) = question
        case "respond" where words[1] == "token":
            try respondToken(step, Array(words.dropFirst(2)), status: 200, id: subject)
        case "respond" where words[1] == "refusal":
            try respondRefusal(step, words[2], "Made up")
        default: try super.perform(step, words: words)
        }
    }

    override func expect(_ step: Step, _ words: [String]) throws {
        switch words[1] {
        case "issue": try expectIssue(step)
        case "validation":
            try expectValidation(step, of: words[3], expired: words.contains("expired"))
        case "request":
            try findRequest()
            try super.expect(step, words)
        default: try super.expect(step, words)
        }
    }

    /// What each question to Keystone must be: for this host, in one form, with no more than it needs.
    override func broken(_ message: PlainMessage) throws -> String? {
        guard message.values("Host") == ["127.0.0.1:\(port)"] else {
            return "Host is \(message.values("Host"))"
        }
        guard message.value("Accept") == "application/json" else {
            return "Accept is \(message.value("Accept") ?? "absent")"
        }
        if message.values("X-Auth-Token").count > 1 || message.values("X-Subject-Token").count > 1 {
            return "a token stands there twice"
        }
        if message.values("Content-Length").count + message.values("Transfer-Encoding").count > 1 {
            return "two lengths"
        }
        for name in ["X-Forwarded-For", "Forwarded", "Cookie", "X-Service-Token"]
        where message.value(name) != nil { return "\(name) was sent to Keystone" }
        return nil
    }

    private func expectIssue(_ step: Step) throws {
        try findRequest()
        try readRequest(step, "POST", "/v3/auth/tokens?nocatalog")
        guard message.value("X-Auth-Token") == nil else {
            throw Mismatch(step.line, "\(name): a request for a token with a token")
        }
        guard message.value("Content-Type") == "application/json" else {
            throw Mismatch(step.line, "\(name): Content-Type \(message.value("Content-Type") ?? "absent")")
        }
    }

    private func expectValidation(_ step: Step, of token: String, expired: Bool) throws {
        try findRequest()
        try readRequest(step, "GET", "/v3/auth/tokens?nocatalog" + (expired ? "&allow_expired=1" : ""))
        let wanted = [
            ("X-Auth-Token", own), ("X-Subject-Token", token), ("OpenStack-Identity-Access-Rules", "1"),
        ]
        for (field, value) in wanted where message.value(field) != value {
            throw Mismatch(
                step.line, "\(name): \(field) is \(message.value(field) ?? "absent"), expected \(value)")
        }
        asked[token] = (socket, message)
    }

    private func respondRefusal(_ step: Step, _ status: String, _ text: String) throws {
        let content = "{\"error\":{\"code\":\(status),\"message\":\"\(text)\",\"title\":\"Made up\"}}\n"
        let lines = step.fields.map { String(decoding: expand($0, step), as: UTF8.self) }
        try respond(
            status, lines + ["Content-Type: application/json", "Vary: X-Auth-Token"], Array(content.utf8),
            step)
    }

    /// `[for SECONDS] [user NAME] [project ID|none|domain|system] [roles a,b] [rules "GET /path" …]`.
    private func respondToken(_ step: Step, _ words: [String], status: Int, id: String) throws {
        func value(_ name: String) -> String? {
            words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
        }
        let seconds = value("for").flatMap(Double.init) ?? (words.contains("expired") ? -60 : 3_600)
        let user = value("user") ?? id
        let domain = "\"domain\": {\"id\": \"default\", \"name\": \"Default\"}"
        var members = [
            "\"methods\": [\"password\"]",
            "\"user\": {\(domain), \"id\": \"id-of-\(user)\", \"name\": \"\(user)\", \"password_expires_at\": null}",
            "\"audit_ids\": [\"audit-of-\(user)\"]", "\"expires_at\": \"\(Self.time(seconds))\"",
            "\"issued_at\": \"\(Self.time(min(0, seconds) - 60))\"",
        ]
        switch value("project") ?? ScenarioSettings.project {
        case "none": break
        case "domain": members.append(domain)
        case "system": members.append("\"system\": {\"all\": true}")
        case let project:
            members += [
                "\"project\": {\(domain), \"id\": \"\(project)\", \"name\": \"name-of-\(project.prefix(4))\"}",
                "\"is_domain\": false",
            ]
        }
        if value("project") != "none" {
            let roles = (value("roles") ?? "member,reader").split(separator: ",").map {
                "{\"id\": \"role-\($0)\", \"name\": \"\($0)\"}"
            }
            members.append("\"roles\": [\(roles.joined(separator: ", "))]")
        }
        if let place = words.firstIndex(of: "rules") {
            let rules = words[(place + 1)...].map { rule in
                let parts = rule.split(separator: " ").map(String.init)
                let service = parts.count > 2 ? parts[2] : "compute"
                return
                    "{\"id\": \"r\", \"service\": \"\(service)\", \"path\": \"\(parts[1])\", \"method\": \"\(parts[0])\"}"
            }
            members.append(
                "\"application_credential\": {\"id\": \"c\", \"name\": \"c\", \"restricted\": true, \"access_rules\": "
                    + "[\(rules.joined(separator: ", "))]}")
        }
        let content = "{\"token\": {\(members.joined(separator: ", "))}}"
        let lines = step.fields.map { String(decoding: expand($0, step), as: UTF8.self) }
        try respond(
            "\(status)",
            lines + ["Content-Type: application/json", "X-Subject-Token: \(id)", "Vary: X-Auth-Token"],
            Array(content.utf8), step)
    }

    /// A time so many seconds from now, as Keystone writes it.
    private static func time(_ seconds: Double) -> String {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: false)
        return String(Date(timeIntervalSinceNow: seconds).formatted(style).dropLast()) + ".000000Z"
    }
}
