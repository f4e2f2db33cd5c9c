import Foundation
import Loop
import Testing

@testable import Gateway

struct SettingsLimitsTests {
    private static let identity =
        "{provider: static, static: {tokens: [{token: t, user: {id: u}, project: {id: a}, roles: []}]}}"

    private static func read(
        _ limits: String, identity: String = identity, environment: [String: String] = [:]
    ) throws(SettingsMistakes) -> Settings.Limits {
        try SettingsPlaces.read("limits:\n" + limits, identity: identity, environment: environment).limits
    }

    private static func redis(_ keys: String, environment: [String: String] = [:]) throws -> Settings.Redis {
        let limits = try read("  store: redis\n  redis: {\(keys)}\n", environment: environment)
        guard case .redis(let redis) = limits.store else { throw SettingsMistakes([]) }
        return redis
    }

    @Test func `what is left out has the defaults of the structs`() throws {
        #expect(try SettingsPlaces.read().limits == Settings.Limits())
        #expect(try Self.read("  bad_tokens:\n  rules: []\n") == Settings.Limits())
        let rule = try #require(try Self.read("  rules: [{name: a, rate: 7/h}]\n").rules.first)
        let quota = Settings.LimitQuota.rate(Settings.Rate(count: 7, per: .hour), burst: 7)
        #expect(rule == Settings.LimitRule(name: "a", quota: quota))
        let redis = try Self.redis("url: redis://r")
        var expected = Settings.Redis(endpoints: [
            Settings.Endpoint(address: NetworkAddress(host: "r", port: 6_379), url: "redis://r:6379")
        ])
        #expect(redis == expected)
        expected.tls = Settings.ClientTLS()
        #expect(try Self.redis("url: rediss://r").tls == expected.tls)
    }

    @Test func `every key reaches its property`() throws {
        let text = """
              store: memory
              max_buckets: 2048
              legacy_status: 413
              fields: off
              bad_tokens: {rate: 5/s, burst: 6}
              rules:
                - name: A.b_c-9
                  operations:
                    - servers.create
                    - "servers.action:reboot"
                  per: [project, user, address, token, operation]
                  rate: 10/day
                  burst: 50
                  cost: 2.5
                  hit_cost: 0.25
                  not_modified_cost: 0.125
                  mode: shadow
                  overrides:
                    - {project: a1, rate: 100/s}
                    - {project: b2, rate: 100/min, burst: 200}
                  exempt: {roles: [Service, admin], projects: [c3]}
                - {name: second, per: project, at_once: 4, mode: enforce, overrides: [{project: a1, at_once: 8}]}

            """
        var expected = Settings.Limits()
        expected.maxBucketCount = 2_048
        expected.legacyStatus = 413
        expected.sendsFields = false
        expected.badTokens?.rate = Settings.Rate(count: 5, per: .second)
        expected.badTokens?.burst = 6
        var first = Settings.LimitRule(
            name: "A.b_c-9", quota: .rate(Settings.Rate(count: 10, per: .day), burst: 50))
        first.operations = [
            Settings.LimitSelector("servers.create", line: 13, column: 11),
            Settings.LimitSelector("servers.action:reboot", line: 14, column: 11),
        ]
        first.per = [.project, .user, .address, .token, .operation]
        first.cost.request = 2_500
        first.cost.hit = 250
        first.cost.notModified = 125
        first.isShadow = true
        first.overrides = [
            Settings.LimitOverride(
                project: "a1", quota: .rate(Settings.Rate(count: 100, per: .second), burst: 100)),
            Settings.LimitOverride(
                project: "b2", quota: .rate(Settings.Rate(count: 100, per: .minute), burst: 200)),
        ]
        first.exemptRoles = ["service", "admin"]
        first.exemptProjects = ["c3"]
        var second = Settings.LimitRule(name: "second", quota: .atOnce(4))
        second.per = .project
        second.overrides = [Settings.LimitOverride(project: "a1", quota: .atOnce(8))]
        expected.rules = [first, second]
        #expect(try Self.read(text) == expected)
    }

    @Test func `every key of a Redis reaches its property`() throws {
        let redis = try Self.redis(
            """
            url: "rediss://127.0.0.1/3", username: nova, password: "${SECRET}", prefix: "edge:1", deadline: 25ms,
                instances: 4, tls: {server_name: redis.example, insecure: on}
            """, environment: ["SECRET": "p%41 ss"])
        var expected = Settings.Redis(endpoints: [
            Settings.Endpoint(
                address: NetworkAddress(host: "127.0.0.1", port: 6_379), url: "rediss://127.0.0.1:6379",
                usesTLS: true)
        ])
        expected.database = 3
        expected.username = "nova"
        // Percent-encoding is the URL's alone.
        expected.password = "p%41 ss"
        expected.prefix = "edge:1"
        expected.deadline = .milliseconds(25)
        expected.instanceCount = 4
        var tls = Settings.ClientTLS()
        tls.serverName = "redis.example"
        tls.isInsecure = true
        expected.tls = tls
        #expect(redis == expected)
    }

    @Test(arguments: [("", false), (", tls: {}", true), (", tls: ~", true)])
    func `sentinels are plain unless tls is beside them`(_ tls: String, _ usesTLS: Bool) throws {
        let redis = try Self.redis(
            "sentinels: [10.0.0.1, \"redis://s2:26380\", \"[::1]:9\"], master: m1, database: 2\(tls)")
        let scheme = usesTLS ? "rediss" : "redis"
        #expect(
            redis.endpoints.map(\.url) == [
                "\(scheme)://10.0.0.1:26379", "\(scheme)://s2:26380", "\(scheme)://[::1]:9",
            ])
        #expect(redis.endpoints.allSatisfy { $0.usesTLS == usesTLS } && (redis.tls != nil) == usesTLS)
        #expect(redis.master == "m1" && redis.database == 2)
    }

    @Test func `bad tokens can go uncounted`() throws {
        #expect(try Self.read("  bad_tokens: off\n").badTokens == nil)
        #expect(try Self.read("  bad_tokens: {burst: 3}\n").badTokens?.burst == 3)
    }

    @Test(arguments: [
        ("redis://h", "h", 6_379, nil, nil, 0),
        ("REDIS://h:1/", "h", 1, nil, nil, 0),
        ("rediss://user:pass@h/15", "h", 6_379, "user", "pass", 15),
        ("redis://:pass@[fd00::1]:7", "fd00::1", 7, nil, "pass", 0),
        ("redis://user@h", "h", 6_379, "user", nil, 0),
        ("redis://a%3Ab:%70%2F%40%3a@h", "h", 6_379, "a:b", "p/@:", 0),
        ("redis://:a:b@c@h", "h", 6_379, nil, "a:b@c", 0),
        ("redis://:%C3%A4%25@h", "h", 6_379, nil, "ä%", 0),
    ])
    func `the URL of a Redis has its parts`(
        _ text: String, _ host: String, _ port: UInt16, _ user: String?, _ password: String?, _ database: Int
    ) throws {
        let url = try SettingsScalars.redisURL(text)
        #expect(url.endpoint.address == NetworkAddress(host: host, port: port))
        #expect(url.username == user && url.password == password && url.database == database)
        #expect(url.endpoint.usesTLS == text.hasPrefix("rediss") && !url.endpoint.url.contains("@"))
    }

    @Test(arguments: [
        ("http://h", "is not the URL of a Redis", false),
        ("redis:h", "is not the URL of a Redis", false),
        ("unix:///redis.sock", "is not the URL of a Redis", false),
        ("redis+sentinel://:p@h", "is not the URL of a Redis", true),
        ("redis://", "has no host", false),
        ("redis://:p@", "has no host", true),
        ("redis://:p@h:x", "has a port", true),
        ("redis://:p@h:0", "has port 0", true),
        ("redis://fd00::1", "needs brackets", false),
        ("redis://[h]:1", "has no IPv6 address", false),
        ("redis://h/x", "has more than a database", false),
        ("redis://h/1/2", "has more than a database", false),
        ("redis://h/1?db=2", "has more than a database", false),
        ("redis://h?db=2", "has more than a database", false),
        ("redis://h#1", "has more than a database", false),
        ("redis://:p@h/-1", "has more than a database", true),
        ("redis://h/65536", "has a database that is not 0 to 65535", false),
        ("redis://h/99999999999999999999", "has a database that is not 0 to 65535", false),
        ("redis://:a/b@h", "has more than a database", true),
        ("redis://:@h", "1 to 1024 bytes", true),
        ("redis://:%@h", "has a % without two", true),
        ("redis://:%a@h", "has a % without two", true),
        ("redis://:%+1@h", "has a % without two", true),
        ("redis://:%zz@h", "has a % without two", true),
        ("redis://:%00@h", "1 to 1024 bytes", true),
        ("redis://:%C3@h", "not UTF-8", true),
    ])
    func `what is no URL of a Redis says why and shows no password`(
        _ text: String, _ reason: String, _ hides: Bool
    ) throws {
        let mistake = #expect(throws: ScalarMistake.self) { try SettingsScalars.redisURL(text) }
        #expect(mistake?.reason.contains(reason) == true, "\(mistake?.reason ?? "")")
        #expect(mistake?.hidesValue == hides)
    }

    @Test(arguments: [
        ("0", 0), ("1", 1_000), ("0.5", 500), ("1000000", 1_000_000_000), ("1000000.000", 1_000_000_000),
        ("999999.999", 999_999_999), ("0.001", 1), ("12.25", 12_250),
    ])
    func `a cost has up to three decimals`(_ text: String, _ thousandths: Int) throws {
        let burst = max(1, min(1_000_000, thousandths / 1_000 + 1))
        let limits = try Self.read("  rules: [{name: a, rate: 1000000/s, burst: \(burst), cost: \(text)}]\n")
        let cost = limits.rules[0].cost
        #expect(cost.request == thousandths && cost.hit == thousandths && cost.notModified == thousandths)
    }

    @Test(arguments: ["-1", "1.", ".5", "1.0001", "1e3", "1000000.001", "1,5", "0x1", "+1", "١"])
    func `what is no cost is refused`(_ text: String) {
        #expect(throws: SettingsMistakes.self) {
            try Self.read("  rules: [{name: a, rate: 1000000/s, cost: \"\(text)\"}]\n")
        }
    }

    @Test func `the overrides of all rules together are bounded`() throws {
        // By aliases, since no file is long enough for so many.
        let overrides = (0..<10_000).map { "{project: \"\($0)\", rate: 1/s}" }.joined(separator: ",")
        let rules = (1...6).map {
            "    - {name: r\($0), per: project, rate: 1/s, overrides: \($0 == 1 ? "&o [\(overrides)]" : "*o")}\n"
        }
        #expect(try Self.read("  rules:\n" + rules.prefix(5).joined()).rules[4].overrides.count == 10_000)
        let mistakes = #expect(throws: SettingsMistakes.self) {
            try Self.read("  rules:\n" + rules.joined())
        }
        #expect(
            mistakes?.list.map(\.message) == [
                "`overrides`: 60000 of all rules together are more than 50000"
            ])
    }

    @Test func `sixty-four rules are allowed and one more is not`() throws {
        let rules = (0..<64).map { "    - {name: r\($0), rate: 1/s}\n" }.joined()
        #expect(try Self.read("  rules:\n" + rules).rules.count == 64)
        let more = rules + "    - {name: r64, rate: 1/s}\n"
        let mistakes = #expect(throws: SettingsMistakes.self) { try Self.read("  rules:\n" + more) }
        #expect(mistakes?.list.map(\.message) == ["`rules` has more than 64 items"])
    }
}
