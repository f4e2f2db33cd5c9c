import Bytes
import Foundation
import OpenStack
import Testing

@testable import Gateway

/// Exchanges and the events that are written of them: what went over the wire, a line of dashes, the event with each of its
/// members on a line.
///
/// What comes before the dashes is facts (`status: 202`), then parts that begin with `== request`, `== content`,
/// `== answer` and `== answer content`. `GATEHOUSE_ACCEPT=1 swift test --filter AuditEventGoldenTests` rewrites what is
/// expected.
struct AuditEventGoldenTests {
    static let directory = SettingsPlaces.root + "/Tests/Golden/audit"
    static let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
        .filter { $0.hasSuffix(".golden") }.sorted()

    @Test func `there are golden files`() { #expect(Self.names.count >= 12) }

    @Test(arguments: names)
    func `an exchange has exactly the event written below it`(_ name: String) throws {
        let path = Self.directory + "/" + name
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let halves = text.components(separatedBy: "\n-----\n")
        try #require(halves.count == 2, "one line of five dashes")
        let (asked, identity) = try Self.read(halves[0])
        let event = try AuditFixture().event(asked, identity: identity)
        _ = try members(event)
        let found = Self.lines(event)
        if ProcessInfo.processInfo.environment["GATEHOUSE_ACCEPT"] != nil {
            return try (halves[0] + "\n-----\n" + found).write(
                toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(
            found == halves[1], "to accept: GATEHOUSE_ACCEPT=1 swift test --filter AuditEventGoldenTests")
    }

    private static func read(_ text: String) throws -> (AuditedExchange, Identity?) {
        var asked = AuditedExchange()
        var identity: Identity?
        let pieces = ("\n" + text).components(separatedBy: "\n== ")
        for line in pieces[0].split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
            switch words[0] {
            case "status": asked.status = try #require(Int(words[1]))
            case "failure":
                asked.failure = try #require(Failure.allCases.first { "\($0.error)" == words[1] })
            case "answered":
                try #require(words[1] == "here")
                asked.isOurs = true
            case "identity":
                try #require(words[1] == "none" || words[1] == "delegated")
                asked.hasIdentity = words[1] != "none"
                if words[1] == "delegated" { identity = delegated }
            case "cache":
                asked.verdict = try #require(
                    (0...8).compactMap(CacheVerdict.init).first { "\($0.name)" == words[1] })
            default: Issue.record("no such fact: \(line)")
            }
        }
        for piece in pieces.dropFirst() {
            let end = try #require(piece.firstIndex(of: "\n"))
            let content = String(piece[piece.index(after: end)...])
            switch piece[..<end] {
            case "request": asked.head = content
            case "content": asked.content = content
            case "answer": asked.answer = content
            case "answer content": asked.answerContent = content
            default: Issue.record("no such part: \(piece[..<end])")
            }
        }
        return (asked, identity)
    }

    /// A user's token that an application credential of a trust gave.
    private static let delegated: Identity = {
        var origin = TokenOrigin()
        origin.methods = Array("application_credential".utf8)
        origin.auditID = Array("AbCdEf0123456789_-wxyz".utf8)
        origin.applicationCredentialID = Array("c0ffee".utf8)
        origin.applicationCredentialName = Array("robot \"7\"".utf8)
        origin.trustID = Array("7ru57".utf8)
        origin.trusteeUserID = Array("u9".utf8)
        origin.identityProvider = Array("idp".utf8)
        return Identity(
            userID: "u1", userName: "alice", userDomainID: "d1", userDomainName: "Domain",
            projectID: AuditedExchange.project, roles: ["member"], origin: origin)
    }()

    /// The event with a line for each of its members.
    private static func lines(_ event: String) -> String {
        var text = event
        for name in [
            "eventType", "id", "eventTime", "action", "outcome", "reason", "initiator", "target", "observer",
            "requestPath", "attachments", "gatehouse",
        ] {
            guard let range = text.range(of: ",\"\(name)\":") else { continue }
            text.replaceSubrange(range, with: ",\n\"\(name)\":")
        }
        return text + "\n"
    }
}

/// What holds of every event, whatever was sent.
struct AuditEventTests {
    private static let nasty: [String] = [
        "\"", "\\", "\\\"}}", "\u{85}", "é", "\u{2028}", "😀", "%00", "%22%7d%7D", "%ff%fe", "</script>",
        "{\"a\":1}",
    ]

    @Test(arguments: nasty)
    func `a client's texts cannot leave their strings`(_ text: String) throws {
        let fixture = try AuditFixture()
        var asked = AuditedExchange()
        let path = text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        // What could be read as two segments is no path of anybody's, and was refused before.
        let server = text.contains { $0 == "/" || $0 == "\\" } ? "plain" : path
        asked.head =
            "GET /v2.1/servers/\(server)?x=\(path) HTTP/1.1\nHost: a\nUser-Agent: a\(text)b\nX-Auth-Token: demo"
        let identity = Identity(userID: "u\(text)", userName: text, projectID: text, roles: [text, "b"])
        let event = try members(fixture.event(asked, identity: identity))
        #expect(event.text("initiator.host.agent") == "a\(text)b")
        #expect(event.text("initiator.id") == "u\(text)")
        #expect(event.text("initiator.name") == text)
        #expect(event[path: "initiator.roles"] as? [String] == [text, "b"])
        // What was sent encoded twice is decoded once.
        #expect(event.text("target.id") == (server == "plain" ? server : text))
        #expect(event.text("requestPath") == "/v2.1/servers/\(server)?x=\(path)")
        #expect(event[path: "gatehouse.cut"] == nil)
    }

    @Test func `bytes that are no UTF-8 stand as the characters of their numbers`() throws {
        var bytes = Array("GET /v2.1/servers HTTP/1.1\r\nHost: a\r\nUser-Agent: a".utf8)
        bytes += [0xFF, 0xC3, 0x28, 0xED, 0xA0, 0x80] + Array("z\r\n\r\n".utf8)
        var asked = AuditedExchange()
        asked.headBytes = bytes
        let event = try members(AuditFixture().event(asked))
        #expect(event.text("initiator.host.agent") == "a\u{FF}\u{C3}(\u{ED}\u{A0}\u{80}z")
    }

    @Test func `any field value gives valid JSON`() throws {
        let fixture = try AuditFixture()
        var numbers = SeededNumbers(seed: 26)
        for _ in 0..<500 {
            var bytes = Array("GET /v2.1/servers HTTP/1.1\r\nHost: a\r\nUser-Agent: x".utf8)
            for _ in 0..<Int.random(in: 0..<400, using: &numbers) {
                let byte = UInt8.random(in: 0x20...0xFF, using: &numbers)
                bytes.append(byte == 0x7F ? 0x20 : byte)
            }
            var asked = AuditedExchange()
            asked.headBytes = bytes + Array("\r\nX-Auth-Token: demo\r\n\r\n".utf8)
            let event = try members(fixture.event(asked))
            #expect(event.text("initiator.host.agent")?.utf8.first == UInt8(ascii: "x"))
        }
    }

    @Test func `the longest event stays within its bound and says what was cut`() throws {
        let long = String(repeating: "\u{85}\"é", count: 3_000)
        var origin = TokenOrigin()
        let bytes = Array(long.utf8)
        (origin.methods, origin.auditID, origin.applicationCredentialID) = (bytes, bytes, bytes)
        (origin.applicationCredentialName, origin.trustID, origin.trusteeUserID) = (bytes, bytes, bytes)
        origin.identityProvider = bytes
        let identity = Identity(
            userID: long, userName: long, userDomainID: long, userDomainName: long, projectID: long,
            domainID: long, isOfSystem: true,
            roles: Array(repeating: "r\"" + String(repeating: "x", count: 90), count: 60),
            origin: origin)
        var asked = AuditedExchange()
        let segment = String(repeating: "%22", count: 300)
        asked.head =
            "GET /v2.1/abc/servers/\(segment)/os-interface/\(segment)?x=\(String(repeating: "a", count: 3_000)) HTTP/1.1\n"
            + "Host: a\nUser-Agent: \(String(repeating: "é\\", count: 1_000))\nX-Auth-Token: demo\n"
            + "X-OpenStack-Request-Id: req-00000000-0000-4000-8000-000000000000"
        asked.answer = "HTTP/1.1 404 Not Found\nX-Compute-Request-Id: \(String(repeating: "\"", count: 128))"
        (asked.status, asked.failure, asked.verdict) = (404, .responseProgressTimeout, .forwardedStale)
        let fixture = try AuditFixture()
        try fixture.with(asked, identity: identity) { exchange in
            exchange.pointee.adoptService(identity)
            let text = try fixture.event(of: exchange)
            // A client certificate would come on top.
            let most = Worker.maxAuditEventByteCount - AuditBound.certificate - 128
            #expect(text.utf8.count <= most, "\(text.utf8.count)")
            #expect(text.utf8.count > 5_000, "\(text.utf8.count)")
            let event = try members(text)
            let cut = Set(try #require(event[path: "gatehouse.cut"] as? [String]))
            #expect(cut == ["requestPath", "agent", "roles", "names", "ids"])
            #expect(event.text("requestPath")?.hasSuffix("…") == true)
            #expect(event.text("initiator.name")?.hasSuffix("…") == true)
            let roles = try #require(event[path: "initiator.roles"] as? [String])
            #expect((1...6).contains(roles.count) && roles.allSatisfy { $0.hasPrefix("r\"xxx") })
        }
    }

    @Test func `a buffer that is too small shows it and is not written past`() throws {
        let fixture = try AuditFixture()
        try fixture.with(AuditedExchange()) { exchange in
            let whole = try fixture.event(AuditedExchange()).utf8.count
            for capacity in stride(from: 1, to: whole - 8, by: 37) {
                var buffer = Buffer(capacity: capacity)
                fixture.worker.appendAuditEvent(exchange, to: &buffer)
                let (hasOverflowed, count) = (buffer.hasOverflowed, buffer.count)
                #expect(hasOverflowed && count <= capacity)
                #expect(exchange.pointee.auditNotes.eventID.isEmpty)
            }
        }
    }

    @Test func `id, time and the last member stand where a fold looks for them`() throws {
        let event = try AuditFixture().event(AuditedExchange())
        let bytes = Array(event.utf8)
        let id = bytes[Worker.auditEventIDOffset..<Worker.auditEventIDOffset + 36]
        #expect(UUID(uuidString: String(decoding: id, as: UTF8.self)) != nil)
        let time = bytes[Worker.auditEventTimeOffset..<Worker.auditEventTimeOffset + 32]
        #expect(String(decoding: time, as: UTF8.self) == "2026-09-01T10:00:00.123456+00:00")
        let folded = try members(String(event.dropLast(2)) + ",\"count\":3}}")
        #expect(folded[path: "gatehouse.count"] as? Int == 3)
    }

    @Test func `an attempt is named by what became of it, and that by what broke after it`() throws {
        let fixture = try AuditFixture()
        try fixture.with(AuditedExchange()) { exchange in
            var buffer = Buffer(capacity: 8_192)
            fixture.worker.appendAuditEvent(exchange, status: 0, outcome: .pending, to: &buffer)
            let attempt = try members(String(decoding: buffer.readable, as: UTF8.self))
            #expect(attempt.text("outcome") == "pending" && attempt["reason"] == nil)
            let second = try members(fixture.event(of: exchange))
            #expect(second.text("outcome") == "success")
            #expect(second.text("gatehouse.attempt") == attempt.text("id"))
            exchange.pointee.failure = .responseIncomplete
            let third = try members(fixture.event(of: exchange))
            #expect(third.text("outcome") == "failure")
            #expect(third.text("gatehouse.amends") == second.text("id"))
            #expect(third.text("gatehouse.error_by") == "upstream")
            #expect(Set([attempt, second, third].compactMap { $0.text("id") }).count == 3)
        }
    }

    @Test func `the words that CADF keeps for itself are nobody's ids`() throws {
        var asked = AuditedExchange()
        asked.head = "GET /v2.1/servers/target HTTP/1.1\nHost: a"
        let event = try members(
            AuditFixture().event(asked, identity: Identity(userID: "initiator", roles: [])))
        #expect(event.text("target.id") == "./target" && event.text("initiator.id") == "./initiator")
    }

    @Test func `whose client left has an unknown outcome`() throws {
        var asked = AuditedExchange()
        (asked.status, asked.failure) = (499, .clientGone)
        let event = try members(AuditFixture().event(asked))
        #expect(event.text("outcome") == "unknown")
        #expect(event.text("gatehouse.error") == "client_gone")
        #expect(event[path: "gatehouse.error_by"] == nil)
    }

    @Test func `a head that could not be read has an event all the same`() throws {
        let fixture = try AuditFixture()
        try fixture.with(AuditedExchange(hasIdentity: false)) { exchange in
            exchange.pointee.head.reset()
            (exchange.pointee.api, exchange.pointee.operation) = (-1, -1)
            (exchange.pointee.status, exchange.pointee.failure) = (400, .unreadableRequest)
            exchange.pointee.reply.status = 400
            let event = try members(fixture.event(of: exchange))
            #expect(event.text("action") == "unknown" && event.text("target.typeURI") == "unknown")
            #expect(event["requestPath"] == nil && event.text("gatehouse.error_by") == "gateway")
        }
    }
}

/// Secrets where a path or a query holds them.
struct AuditPathTests {
    private static func path(_ target: String) throws -> String? {
        var asked = AuditedExchange()
        asked.head = "GET \(target) HTTP/1.1\nHost: a"
        return try members(AuditFixture().event(asked)).text("requestPath")
    }

    @Test(arguments: [
        ("/v2.1/os-console-auth-tokens/abc", "/v2.1/os-console-auth-tokens/***"),
        ("/v2.1/os-console-auth-tokens/abc/x", "/v2.1/os-console-auth-tokens/***/x"),
        ("/v9/os-console-auth-tokens/abc", "/v9/os-console-auth-tokens/***"),
        ("/v2.1/os-console%2dauth-t%6Fkens/abc", "/v2.1/os-console%2dauth-t%6Fkens/***"),
        ("/v2.1/abcdef/os-console-auth-tokens/tokens?a", "/v2.1/abcdef/os-console-auth-tokens/***?a"),
        ("/v2.1/servers/a/os-server-password", "/v2.1/servers/a/os-server-password"),
        ("/v2.1/servers/a/metadata/password", "/v2.1/servers/a/metadata/password"),
        ("/v2.1/servers?password=x&limit=1;p%61ss=y", "/v2.1/servers?password=***&limit=1;p%61ss=***"),
        ("/v2.1/servers?token&token=&a=token", "/v2.1/servers?token&token=&a=token"),
        ("/v2.1/servers?", "/v2.1/servers?"), ("/", "/"),
    ])
    func `what stands behind a word for secrets is hidden`(_ target: String, _ path: String) throws {
        #expect(try Self.path(target) == path)
    }
}

/// Tokens and their names.
struct AuditDigesterTests {
    private static func name(_ token: String, key: [UInt8]?, digits: Int = 32) -> String {
        let digester = AuditDigester(key: key)
        var buffer = Buffer(capacity: 128)
        withBytes(token) { digester.append($0, digitCount: digits, to: &buffer) }
        return buffer.readable.string
    }

    /// Made with `openssl dgst -sha256 -hmac KEY` on the word `names`, and with that as the key, on the token.
    @Test(arguments: [
        ("k", "gAAAAA", "2e9c6a36bdd25e4685cf0b4b8c1e0f5a02b6b7cb50b6324817b893ede5aa5c7c"),
        (
            String(repeating: "long key ", count: 20), "gAAAAA",
            "cdc27f011b079c696040f29018f2a33de474cf3acfb3257cadeb6aa220549d46"
        ),
    ])
    func `a token's name is an HMAC under a key of the audit key`(
        key: String, token: String, digest: String
    ) {
        #expect(Self.name(token, key: Array(key.utf8), digits: 64) == "hmac-sha256:\(digest)")
        #expect(Self.name(token, key: Array(key.utf8)) == "hmac-sha256:\(digest.prefix(32))")
    }

    @Test func `without a key names hold within one digester alone`() {
        #expect(Self.name("a", key: nil) != Self.name("a", key: nil))
        #expect(Self.name("a", key: nil).utf8.count == 12 + 32)
    }
}
