import Foundation
import Gateway
import Loop
import Testing

enum SettingsPlaces {
    /// The repository, from this file's place in it.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Settings with what every file needs, and `extra` after it.
    static func read(
        _ extra: String = "", identity: String = "{provider: none}", environment: [String: String] = [:]
    ) throws(SettingsMistakes) -> Settings {
        let text = """
            listeners: [{address: "127.0.0.1:8774"}]
            apis: [{definition: definition.yaml, upstream: {endpoints: ["http://127.0.0.1:18774"]}}]
            identity: \(identity)
            \(extra)
            """
        return try SettingsReader(environment: environment).read(
            Array(text.utf8), file: "test.yaml", directory: SettingsGoldenTests.directory)
    }

    /// What is wrong with `bytes` as a whole file.
    static func mistakes(_ bytes: [UInt8]) -> [SettingsMistake] {
        do throws(SettingsMistakes) {
            _ = try SettingsReader(environment: [:]).read(bytes, file: "test.yaml", directory: "/")
            return []
        } catch {
            return error.list
        }
    }
}

struct SettingsReaderTests {
    @Test func `what is left out has the defaults of the structs`() throws {
        var expected = Settings()
        expected.listeners = [Settings.Listener(address: .loopback(port: 8774))]
        let endpoint = Settings.Endpoint(
            address: NetworkAddress(host: "127.0.0.1", port: 18774), url: "http://127.0.0.1:18774")
        expected.apis = [
            Settings.API(
                definition: SettingsGoldenTests.directory + "/definition.yaml",
                upstream: Settings.Upstream(endpoints: [endpoint]))
        ]
        #expect(try SettingsPlaces.read() == expected)
        let nulls = "http:\ncache:\n  lists:\nlog:\nadmin:\n"
        #expect(try SettingsPlaces.read(nulls) == expected, "a group whose lines are comments")
    }

    @Test func `every key reaches its property`() throws {
        let text = """
            listeners: [{address: "[::1]:80"}, {address: "0.0.0.0:0"}]
            admin: {address: "127.0.0.1:9"}
            workers: 3
            drain_timeout: 1m
            http:
              max_head_size: 32KiB
              max_target_size: 4096
              max_fields: 50
              head_timeout: 500ms
              content_progress_timeout: 2s
              idle_timeout: 2h
              max_connections: 17
              trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1]
              via: edge-1
            apis:
              - definition: ../settings/definition.yaml
                upstream:
                  endpoints: ["http://nova", "HTTP://[fd00::1]:8774/"]
                  connect_timeout: 1s
                  response_timeout: 2s
                  progress_timeout: 3s
                  keep_alive: off
                  idle_timeout: 4s
                  max_idle_connections: 5
                  max_connections: 6
                  ejection: {failures: 7, base_time: 8s, max_time: 9s}
            identity:
              provider: static
              admin_roles: [root]
              static:
                tokens:
                  - token: t
                    user: {id: u, name: Uta, domain: {id: d, name: Dom}}
                    project: {id: "12", domain: {id: e}}
                    roles: [member]
                    expires_at: 2000-03-01T00:00:01Z
            cache: {max_size: 2GiB, max_object_size: 1MiB, lists: {fresh: 0, stale_while_revalidate: 0s, stale_if_error: 1h}}
            access_log: {path: a.log}
            log: {level: debug}
            """
        let directory = SettingsGoldenTests.directory
        let settings = try SettingsReader(environment: [:]).read(
            Array(text.utf8), file: "test.yaml", directory: directory)
        var expected = Settings()
        expected.listeners = [
            Settings.Listener(address: try #require(SocketAddress(parsing: "[::1]:80"))),
            Settings.Listener(address: try #require(SocketAddress(parsing: "0.0.0.0:0"))),
        ]
        expected.admin.address = .loopback(port: 9)
        expected.workers = 3
        expected.drainTimeout = .seconds(60)
        expected.http.maxHeadByteCount = 32_768
        expected.http.maxTargetByteCount = 4_096
        expected.http.maxFieldCount = 50
        expected.http.headTimeout = .milliseconds(500)
        expected.http.contentProgressTimeout = .seconds(2)
        expected.http.idleTimeout = .seconds(7_200)
        expected.http.maxConnectionCount = 17
        expected.http.trustedProxies = try ["10.0.0.0/8", "fd00::/8", "192.0.2.1"].map {
            try #require(AddressBlock(parsing: $0))
        }
        expected.http.via = "edge-1"
        var upstream = Settings.Upstream(endpoints: [
            Settings.Endpoint(address: NetworkAddress(host: "nova", port: 80), url: "http://nova"),
            Settings.Endpoint(
                address: NetworkAddress(host: "fd00::1", port: 8774), url: "http://[fd00::1]:8774"),
        ])
        upstream.connectTimeout = .seconds(1)
        upstream.responseTimeout = .seconds(2)
        upstream.progressTimeout = .seconds(3)
        upstream.keepsAlive = false
        upstream.idleTimeout = .seconds(4)
        upstream.maxIdleConnectionCount = 5
        upstream.maxConnectionCount = 6
        upstream.ejection.failureCount = 7
        upstream.ejection.baseTime = .seconds(8)
        upstream.ejection.maxTime = .seconds(9)
        expected.apis = [Settings.API(definition: directory + "/definition.yaml", upstream: upstream)]
        expected.identity.provider = .static
        expected.identity.adminRoles = ["root"]
        expected.identity.staticTokens = [
            Settings.StaticToken(
                token: "t", user: Settings.NamedID(id: "u", name: "Uta"),
                userDomain: Settings.NamedID(id: "d", name: "Dom"),
                project: Settings.NamedID(id: "12", name: "12"),
                projectDomain: Settings.NamedID(id: "e", name: "e"), roles: ["member"], expiresAt: 951_868_801
            )
        ]
        var cache = Settings.Cache()
        cache.maxByteCount = 1 << 31
        cache.maxObjectByteCount = 1 << 20
        cache.lists.fresh = .zero
        cache.lists.staleWhileRevalidate = .zero
        cache.lists.staleIfError = .seconds(3_600)
        expected.cache = cache
        expected.accessLog = Settings.AccessLog(path: directory + "/a.log")
        expected.log.level = .debug
        #expect(settings == expected)
    }

    @Test func `cache and access log can be turned off`() throws {
        #expect(try SettingsPlaces.read("cache: off").cache == nil)
        #expect(try SettingsPlaces.read("access_log: off").accessLog == nil)
        #expect(try SettingsPlaces.read().cache == Settings.Cache())
    }

    @Test func `an environment variable takes its place once, and a doubled dollar stays`() throws {
        let environment = ["NAME": "ga${X}te", "N": "4", "EMPTY": ""]
        let text = "workers: ${N}\nhttp: {max_fields: \"${N}${EMPTY}0\"}\n"
        let settings = try SettingsPlaces.read(text, environment: environment)
        #expect(settings.workers == 4)
        #expect(settings.http.maxFieldCount == 40)
        let token = #"{token: "$${NAME}-${NAME}", user: {id: u}, project: {id: a}, roles: []}"#
        let identity = "{provider: static, static: {tokens: [\(token)]}}"
        let tokens = try SettingsPlaces.read(identity: identity, environment: environment).identity
            .staticTokens
        #expect(tokens.map(\.token) == ["${NAME}-ga${X}te"])
    }

    @Test func `an alias stands for what its anchor has`() throws {
        let text = """
            listeners: [{address: "127.0.0.1:8774"}]
            apis:
              - {definition: definition.yaml, upstream: &nova {endpoints: [http://nova], connect_timeout: 2s}}
              - {definition: other.yaml, upstream: *nova}
            identity: {provider: none}
            """
        let mistakes = #expect(throws: SettingsMistakes.self) {
            try SettingsReader(environment: [:]).read(
                Array(text.utf8), file: "", directory: SettingsGoldenTests.directory)
        }
        #expect(mistakes?.list.count == 1, "only the absent file")
    }

    @Test func `more mistakes than a hundred are counted`() throws {
        let text = (0..<150).map { "unknown-\($0): 1\n" }.joined()
        let mistakes = #expect(throws: SettingsMistakes.self) { try SettingsPlaces.read(text) }
        #expect(mistakes?.list.count == 101)
        #expect(mistakes?.list.last?.message == "and 50 more mistakes")
    }

    @Test func `a mistake prints as file, line, column and message`() {
        let mistake = SettingsMistake(file: "a.yaml", line: 3, column: 7, message: "no")
        #expect(mistake.description == "a.yaml:3:7: no")
    }

    @Test(arguments: [
        ("/nowhere/gatehouse.yaml", "the settings file cannot be read: No such file or directory"),
        ("/", "the settings file cannot be read: not a regular file"),
        ("/dev/zero", "the settings file cannot be read: not a regular file"),
        ("", "the settings file cannot be read: not a path"),
    ])
    func `a file that cannot be read is one mistake`(_ file: String, _ message: String) {
        let mistakes = #expect(throws: SettingsMistakes.self) { try SettingsReader().read(file: file) }
        #expect(mistakes?.list == [SettingsMistake(file: file, line: 1, column: 1, message: message)])
    }
}

struct SettingsHostileFileTests {
    static let hostile: [(name: String, bytes: [UInt8])] = [
        ("1 MiB of opening brackets", [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)),
        ("a million dashes", Array(String(repeating: "- ", count: 500_000).utf8)),
        ("complex keys inside each other", Array(String(repeating: "? ", count: 500_000).utf8)),
        (
            "nesting just below the bound",
            Array((String(repeating: "[", count: 990) + String(repeating: "]", count: 990)).utf8)
        ),
        (
            "keys nested just below the bound",
            Array((String(repeating: "{[", count: 490) + String(repeating: "]: x}", count: 490)).utf8)
        ),
        ("larger than 1 MiB", [UInt8](repeating: UInt8(ascii: "#"), count: (1 << 20) + 1)),
        ("a NUL", Array("listeners: \0".utf8)),
        ("not UTF-8", Array("listeners:\n  - ".utf8) + [0xC3, 0x28]),
        ("a lone surrogate in an escape", Array(#"listeners: "\ud800""#.utf8)),
        ("a byte order mark alone", [0xEF, 0xBB, 0xBF]),
        ("UTF-16", [0xFF, 0xFE, 0x61, 0x00]),
        ("only a directive", Array("%YAML 9.9\n".utf8)),
        ("only an end", Array("...".utf8)),
        ("an anchor inside itself", Array("listeners: &a [*a]".utf8)),
        ("a tag of nobody", Array("listeners: !!python/object:os.system x".utf8)),
        ("aliases doubling as keys", doublingAliases),
        (
            "aliases behind false comments",
            Array(("a: &a [x]\n" + String(repeating: "b: \"\n # \", *a, *a\n", count: 40)).utf8)
        ),
        (
            "aliases behind a carriage return",
            Array(("a: &a [x]\n#" + String(repeating: "\r- *a", count: 40)).utf8)
        ),
    ]

    /// A tower of aliases, eight a floor, whose top is a key: hashing it would visit 8^9 nodes.
    static let doublingAliases: [UInt8] = {
        var text = "a0: &a0 [x]\n"
        for floor in 1...9 {
            let row = String(repeating: "*a\(floor - 1), ", count: 8)
            text += "a\(floor): &a\(floor) [\(row)]\n"
        }
        return Array((text + "? *a9\n: x\n").utf8)
    }()

    @Test(arguments: hostile.indices)
    func `a hostile file is refused in short order`(_ index: Int) {
        let clock = ContinuousClock()
        let start = clock.now
        let mistakes = SettingsPlaces.mistakes(Self.hostile[index].bytes)
        #expect(!mistakes.isEmpty, "\(Self.hostile[index].name)")
        // A bound against exponential work, far above what a sanitizer build needs.
        #expect(clock.now - start < .seconds(20), "\(Self.hostile[index].name)")
    }

    @Test(arguments: 0..<200)
    func `a working file with random damage gives settings or mistakes, never a crash`(_ seed: Int) throws {
        let path = SettingsPlaces.root + "/config/examples/all-keys.yaml"
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let alphabet = Array("[]{}:,&*!|>'\"%@`#?- \n\t0aZ${}~\u{E9}".utf8) + [0, 0xFF]
        for _ in 0...next(8) {
            let place = next(bytes.count)
            switch next(4) {
            case 0: bytes[place] = alphabet[next(alphabet.count)]
            case 1: bytes.insert(alphabet[next(alphabet.count)], at: place)
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + next(40)))
            default:
                bytes.insert(
                    contentsOf: bytes[place..<min(bytes.count, place + next(60))], at: next(bytes.count))
            }
        }
        for mistake in SettingsPlaces.mistakes(bytes) {
            #expect(mistake.line >= 1 && mistake.column >= 1 && !mistake.message.isEmpty)
        }
    }
}
