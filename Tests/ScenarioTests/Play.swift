import Dispatch
import Foundation

/// One run of a scenario: the gateway, its clients and upstreams, and what all of them saw.
final class Play: @unchecked Sendable {
    // Unchecked: what several roles touch is behind `lock`; the rest belongs to the thread of `run`.
    let file: ScenarioFile
    let transport: Transport
    let gateway: GatewayProcess
    private let lock = NSCondition()
    private var variables: [String: [UInt8]] = [:]
    private var marks: Set<String> = []
    private var transcript: [String] = []
    private var firstMismatch: Mismatch?

    private var upstreams: [UpstreamRole] = []
    private var keystones: [IdentityRole] = []
    private var clients: [String: ClientRole] = [:]
    private var background: [String: DispatchGroup] = [:]
    private var fragment: [String] = []
    private var hasEnded = false

    init(_ file: ScenarioFile, _ transport: Transport) throws {
        self.file = file
        self.transport = transport
        gateway = try GatewayProcess()
    }

    /// Plays the scenario over `transport`; answers what went wrong with the transcript, or nil.
    static func run(_ file: ScenarioFile, _ transport: Transport) -> String? {
        do {
            let play = try Play(file, transport)
            do {
                try play.act()
            } catch let error as Mismatch {
                play.fail(error)
            } catch {
                play.fail(Mismatch(0, "\(error)"))
            }
            play.finish()
            return play.verdict()
        } catch {
            return "\(file.path): \(error)"
        }
    }

    /// Lets no role outlive the play, whatever it waits for.
    private func finish() {
        lock.lock()
        let hasFailed = firstMismatch != nil
        lock.unlock()
        if hasFailed {
            gateway.signal(SIGKILL)
            for server in servers { server.stop() }
        }
        for name in background.keys { join(name) }
        for server in servers { server.join() }
    }

    private func verdict() -> String? {
        lock.lock()
        defer { lock.unlock() }
        guard let firstMismatch else { return nil }
        return "\(file.path):\(firstMismatch.line): over \(transport.rawValue): \(firstMismatch.text)\n"
            + transcript.joined(separator: "\n")
            + "\nlog of the gateway:\n\(gateway.log)"
    }

    /// Upstreams and Keystones: everybody that listens.
    private var servers: [UpstreamRole] { upstreams + keystones }

    /// The settings have the gateway say to upstreams who the user is.
    var identifiesUsers: Bool { fragment.contains { $0.contains("identity_fields: on") } }

    private func act() throws {
        let steps = try file.steps()
        for step in steps where step.verb == "gateway" { fragment += step.text }
        for step in steps where step.verb == "identity" {
            keystones.append(try IdentityRole(step.words[1].string, play: self, state: step.plain))
        }
        for step in steps where step.verb == "upstream" {
            upstreams.append(
                try UpstreamRole(step.words[1].string, play: self, state: step.plain))
        }
        // Without one of its own, a scenario has an upstream that must not be asked anything.
        if upstreams.isEmpty { upstreams.append(try UpstreamRole("u1", play: self, state: [])) }
        set("project", ScenarioSettings.project)
        set("other", ScenarioSettings.other)
        set("server", "9168b536-cd40-4630-b43f-b259807c6e87")
        set("creation", "{\"server\": {\"name\": \"n\", \"flavorRef\": \"1\"}}")
        set("directory", gateway.directory)
        set("root", ScenarioFile.root)
        set("certificates", TLSSettings.directory)
        set("scheme", transport.clientScheme)
        set("client_version", transport.clientVersion)
        set("upstream_version", transport.upstreamVersion)
        // The member of an access line that HTTP/2 adds.
        set("protocol", transport.hasHTTP2Clients ? "\"protocol\":\"HTTP/2\"," : "")
        set("other_scheme", transport.hasTLSClients ? "http" : "https")
        for server in servers {
            set(server.name, "127.0.0.1:\(server.port)")
            set(server.name + ".url", server.url)
        }
        // Behind another key, in a scenario that writes the whole API or Keystone itself.
        set("trust", transport.hasTLSUpstreams ? ", tls: {ca: \(TLSSettings.directory)/ca.crt}" : "")
        try writeSettings(fragment)
        try gateway.start()
        set("gateway", "127.0.0.1:\(gateway.port)")
        let idle = try gateway.metrics()
        for step in steps {
            do { try perform(step) } catch let error as Mismatch { throw error } catch {
                throw Mismatch(step.line, "\(error)")
            }
            try stopIfFailed()
        }
        for name in background.keys { join(name) }
        for server in servers { server.join() }
        try stopIfFailed()
        try end(idle: idle)
    }

    private func writeSettings(_ fragment: [String]) throws {
        let text = ScenarioSettings.text(
            fragment.map { String(decoding: expand(Array($0.utf8), it: []), as: UTF8.self) },
            endpoints: upstreams.map(\.url), keystone: keystones.first?.url, transport: transport)
        try gateway.write(settings: text)
    }

    private func perform(_ step: Step) throws {
        let words = step.words.map { String(decoding: expand($0.bytes, it: step.it), as: UTF8.self) }
        switch step.verb {
        case "gateway", "only": break
        case "settings": try writeSettings(step.text)
        case "client", "admin":
            let known = clients[words[1]]
            let role = known ?? ClientRole(words[1], play: self, isAdmin: words[0] == "admin")
            clients[words[1]] = role
            let group = DispatchGroup()
            background[words[1]] = group
            role.start(step.body, group)
            if !step.plain.contains("background") { join(words[1]) }
        case "upstream", "identity": servers.first { $0.name == words[1] }?.start(step.body)
        case "join": join(words[1])
        case "signal":
            let number = ["TERM": SIGTERM, "HUP": SIGHUP, "INT": SIGINT][words[1]]
            guard let number else { throw Mismatch(step.line, "unknown signal") }
            gateway.signal(number)
        case "rename":
            try FileManager.default.moveItem(
                atPath: gateway.directory + "/" + words[1], toPath: gateway.directory + "/" + words[2])
        case "copy":
            let target = gateway.directory + "/" + words[2]
            try Data(contentsOf: URL(fileURLWithPath: words[1])).write(to: URL(fileURLWithPath: target))
        case "await": try awaitMark(words[1], step.line)
        case "announce": announce(words[1])
        case "wait": try wait(words, step.line)
        case "expect": try expect(words, step.line)
        default: throw Mismatch(step.line, "unknown step \(step.verb)")
        }
    }

    /// `wait until metric NAME == 0`, `wait until log ~ "…"`, `wait until file NAME ~ "…"`.
    private func wait(_ words: [String], _ line: Int) throws {
        var last: String?
        let holds = try until {
            try stopIfFailed()
            last = try observed(Array(words.dropFirst()), line)
            return last == nil
        }
        if !holds { throw Mismatch(line, last ?? "not in time") }
    }

    /// `expect metric|log|file …` once, and `expect exit`.
    private func expect(_ words: [String], _ line: Int) throws {
        if words[1] == "exit" { return try expectExit(line) }
        if let text = try observed(words, line) { throw Mismatch(line, text) }
    }

    private func observed(_ words: [String], _ line: Int) throws -> String? {
        switch words[1] {
        case "metric":
            // Absent is zero: a sample shows up with its first count.
            let value = GatewayProcess.sample(words[2], in: try gateway.metrics()) ?? 0
            return try Expectation.mismatch(words[2], "\(Int(value))", words[3], words[4])
        case "log": return try Expectation.mismatch("log", gateway.log, words[2], words[3])
        case "file": return try Expectation.mismatch(words[2], gateway.text(of: words[2]), words[3], words[4])
        default: throw Mismatch(line, "unknown observation \(words[1])")
        }
    }

    private func join(_ name: String) {
        background[name]?.wait()
    }

    /// The end of every scenario: nothing unasked at an upstream, nothing left open, exit 0.
    private func end(idle: String) throws {
        for client in clients.values { client.close() }
        for server in servers { try server.expectNothingLeft() }
        for server in servers { server.close() }
        if !hasEnded {
            let lent = GatewayProcess.sample("gatehouse_blocks_lent", in: idle) ?? 0
            var last = ""
            let isClean = try until {
                let now = try gateway.metrics()
                last = ""
                for (name, limit) in [
                    ("gatehouse_exchanges_in_flight", 0), ("gatehouse_connections_open", 0),
                    ("gatehouse_upstream_connections_open", 0), ("gatehouse_blocks_lent", lent),
                ] {
                    let value = GatewayProcess.sample(name, in: now)
                    if value == nil || value! > limit {
                        last += " \(name) \(value.map { "\($0)" } ?? "absent")"
                    }
                }
                return last.isEmpty
            }
            guard isClean else { throw Mismatch(0, "left over at the end:\(last)") }
            gateway.signal(SIGTERM)
            try expectExit(0)
        }
    }

    private func expectExit(_ line: Int) throws {
        hasEnded = true
        guard let status = gateway.waitForExit() else {
            throw Mismatch(line, "the gateway did not end by itself")
        }
        guard status == 0 else { throw Mismatch(line, "the gateway ended with \(status)") }
    }

    // MARK: - What roles share

    func fail(_ mismatch: Mismatch) {
        lock.lock()
        defer { lock.unlock() }
        if firstMismatch == nil { firstMismatch = mismatch }
        lock.broadcast()
    }

    func stopIfFailed() throws {
        lock.lock()
        defer { lock.unlock() }
        if let firstMismatch { throw firstMismatch }
    }

    func note(_ role: String, _ text: String) {
        lock.lock()
        defer { lock.unlock() }
        transcript.append("\(role) \(text)")
    }

    func announce(_ mark: String) {
        lock.lock()
        defer { lock.unlock() }
        marks.insert(mark)
        lock.broadcast()
    }

    func isAnnounced(_ mark: String) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        return marks.contains(mark)
    }

    func awaitMark(_ mark: String, _ line: Int) throws {
        lock.lock()
        defer { lock.unlock() }
        let end = Date(timeIntervalSinceNow: PlainSocket.patience)
        while !marks.contains(mark) {
            if let firstMismatch { throw firstMismatch }
            guard lock.wait(until: end) else { throw Mismatch(line, "nobody announced \(mark)") }
        }
    }

    func set(_ name: String, _ value: String) {
        lock.lock()
        defer { lock.unlock() }
        variables[name] = Array(value.utf8)
    }

    /// Puts values in the place of `${name}`.
    func expand(_ bytes: [UInt8], it row: [Word]) -> [UInt8] {
        guard bytes.contains(UInt8(ascii: "$")) else { return bytes }
        lock.lock()
        defer { lock.unlock() }
        var known = variables
        for (place, word) in row.enumerated() { known[place == 0 ? "it" : "it.\(place + 1)"] = word.bytes }
        // Twice, since a row may itself name a variable.
        return Self.replace(Self.replace(bytes, known), known)
    }

    private static func replace(_ bytes: [UInt8], _ known: [String: [UInt8]]) -> [UInt8] {
        var result: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.first {
            if rest.starts(with: [0x24, 0x7B]), let end = rest.firstIndex(of: 0x7D),
                let value = known[String(decoding: rest[(rest.startIndex + 2)..<end], as: UTF8.self)]
            {
                result += value
                rest = rest[(end + 1)...]
            } else {
                result.append(byte)
                rest.removeFirst()
            }
        }
        return result
    }
}
