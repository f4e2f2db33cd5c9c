import Foundation
import Testing

@testable import Gateway

struct SettingsExamplesTests {
    static let examples = SettingsPlaces.root + "/config/examples"
    static let environment = [
        "GATEHOUSE_EXAMPLE_TOKEN": "example", "KEYSTONE_PASSWORD": "example", "KEYSTONE_SECRET": "example",
        "REDIS_PASSWORD": "example", "RABBITMQ_PASSWORD": "example",
    ]

    /// All but what excludes each other stands in one.
    @Test func `every setting appears in an example`() throws {
        var written: Set<String> = []
        for name in [
            "all-keys", "static-tokens", "application-credential", "limits-redis", "limits-sentinel",
            "audit-sinks",
        ] {
            let text = try String(contentsOfFile: Self.examples + "/\(name).yaml", encoding: .utf8)
            written.formUnion(Self.keys(of: text))
        }
        for group in SettingsGroup.allCases {
            for key in group.keys {
                let path = group == .root ? key : group.rawValue + "." + key
                #expect(written.contains(path), "\(path) is in no example")
            }
        }
    }

    /// The paths of all keys in a file.
    private static func keys(of text: String) -> Set<String> {
        var written: Set<String> = []
        var open: [(indent: Int, key: String)] = []
        for line in text.split(separator: "\n") {
            let code = line.replacing(/(^|\s)#.*$/, with: "")
            guard let match = code.firstMatch(of: /^([ -]*)([a-z0-9_]+):(.*)$/) else { continue }
            let indent = match.1.count
            open.removeAll { $0.indent >= indent }
            if match.1.contains("-"), let last = open.indices.last, !open[last].key.hasSuffix("[]") {
                open[last].key += "[]"
            }
            open.append((indent, String(match.2)))
            let path = open.map(\.key).joined(separator: ".")
            written.insert(path)
            for inner in match.3.matches(of: /[{,]\s*([a-z0-9_]+):/) { written.insert(path + "." + inner.1) }
        }
        return written
    }

    @Test func `the example of all keys has the defaults that it claims`() throws {
        let text = try String(contentsOfFile: Self.examples + "/all-keys.yaml", encoding: .utf8)
        let settings = try Self.read(examplesFile: "all-keys.yaml")
        let defaults = Settings()
        #expect(text.contains("# default"))
        #expect(settings.admin == defaults.admin)
        #expect(settings.drainTimeout == defaults.drainTimeout)
        var http = settings.http
        http.trustedProxies = []
        #expect(http == defaults.http)
        let listener = try #require(settings.listeners[0].tls)
        var server = Settings.ServerTLS(certificates: listener.certificates)
        server.clientCA = listener.clientCA
        server.requiresClientCertificate = true
        #expect(listener == server)
        #expect(settings.http2 == defaults.http2)
        var upstream = settings.apis[0].upstream
        #expect(upstream.http2 == .negotiated && upstream.tls?.isInsecure == false)
        upstream.http2 = .never
        upstream.tls = nil
        #expect(upstream == Settings.Upstream(endpoints: upstream.endpoints))
        #expect(settings.apis[0].virtualInterfaces == .pass)
        #expect(settings.identity.adminRoles == defaults.identity.adminRoles)
        var keystone = try #require(settings.identity.keystone)
        #expect(keystone.tls?.isInsecure == false)
        keystone.tls = nil
        let bare = Settings.Keystone(
            endpoint: keystone.endpoint, path: keystone.path, publicURL: keystone.publicURL,
            credential: keystone.credential)
        #expect(keystone == bare)
        guard case .password(let login) = keystone.credential else {
            Issue.record("the example has a password")
            return
        }
        #expect(login.userDomain == "Default" && login.projectDomain == "Default")
        let tokens = try Self.read(examplesFile: "static-tokens.yaml").identity.staticTokens
        #expect(tokens[0].userDomain == .defaultDomain)
        #expect(tokens[0].projectDomain == .defaultDomain)
        var limits = settings.limits
        let rules = limits.rules
        limits.rules = []
        #expect(limits == defaults.limits)
        #expect(rules[0].cost == Settings.LimitCost() && !rules[0].isShadow)
        #expect(settings.cache == defaults.cache)
        #expect(settings.log == defaults.log)
    }

    @Test func `the examples of a shared store have the defaults that they claim`() throws {
        guard case .redis(let redis) = try Self.read(examplesFile: "limits-redis.yaml").limits.store,
            case .redis(let found) = try Self.read(examplesFile: "limits-sentinel.yaml").limits.store
        else {
            Issue.record("both have a Redis")
            return
        }
        let defaults = Settings.Redis(endpoints: [])
        #expect(redis.prefix == defaults.prefix && redis.deadline == defaults.deadline)
        #expect(redis.tls?.isInsecure == false && redis.database == defaults.database)
        #expect(found.database == defaults.database && found.tls == nil)
        #expect(found.instanceCount == defaults.instanceCount && found.master == "mymaster")
    }

    @Test func `the example of sinks has the defaults that it claims`() throws {
        let sinks = try #require(try Self.read(examplesFile: "audit-sinks.yaml").audit).sinks
        #expect(sinks.map(\.name) == ["syslog", "rabbitmq", "redis", "found"])
        guard case .syslog(let syslog) = sinks[0].destination,
            case .rabbitMQ(let rabbit) = sinks[1].destination, case .redis(let stream) = sinks[2].destination,
            case .redis(let found) = sinks[3].destination
        else {
            Issue.record("they are of three kinds")
            return
        }
        var bareSyslog = Settings.Syslog(transport: .tls, address: syslog.address)
        (bareSyslog.tls, bareSyslog.hostname) = (syslog.tls, syslog.hostname)
        #expect(syslog == bareSyslog && syslog.address.port == 6_514 && syslog.tls?.isInsecure == false)
        var bareRabbit = Settings.RabbitMQ(address: rabbit.address)
        (bareRabbit.virtualHost, bareRabbit.publisherID) = (rabbit.virtualHost, rabbit.publisherID)
        (bareRabbit.username, bareRabbit.password) = (rabbit.username, rabbit.password)
        bareRabbit.tls = rabbit.tls
        #expect(rabbit == bareRabbit && rabbit.virtualHost == "nova" && rabbit.tls?.isInsecure == false)
        let bareStream = Settings.RedisStream(redis: stream.redis)
        #expect(stream.key == bareStream.key && stream.redis.tls?.isInsecure == false)
        #expect(found == Settings.RedisStream(redis: found.redis) && found.redis.master == "mymaster")
    }

    @Test func `every example is without mistakes`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.examples)
        #expect(names.count >= 2)
        for name in names where name.hasSuffix(".yaml") { _ = try Self.read(examplesFile: name) }
    }

    @Test func `the working settings serve the simulator with three demonstration tokens`() throws {
        let settings = try SettingsReader(environment: [:]).read(
            file: SettingsPlaces.root + "/config/gatehouse.yaml")
        #expect(settings.listeners.map(\.address.description) == ["127.0.0.1:8774"])
        #expect(settings.admin.address.description == "127.0.0.1:8775")
        #expect(
            settings.apis.map(\.upstream.endpoints) == [
                [try SettingsScalars.endpoint("http://127.0.0.1:18774")]
            ])
        #expect(settings.apis[0].definition == SettingsPlaces.root + "/config/openapi/compute.yaml")
        let tokens = settings.identity.staticTokens
        #expect(tokens.map(\.token) == ["demo", "demo-admin", "other"])
        #expect(tokens[0].project == tokens[1].project && tokens[0].project != tokens[2].project)
        #expect(tokens.map { $0.roles.contains("admin") } == [false, true, false])
    }

    private static func read(examplesFile name: String) throws(SettingsMistakes) -> Settings {
        try SettingsReader(environment: environment).read(file: examples + "/" + name)
    }
}
