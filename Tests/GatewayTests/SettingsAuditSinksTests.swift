import Foundation
import Testing

@testable import Gateway

/// What the sinks besides the file become; their mistakes are golden files.
struct SettingsAuditSinksTests {
    private static func sinks(_ items: String...) throws -> [Settings.AuditSink] {
        let list = items.map { "    - \($0)\n" }.joined()
        let text = "audit:\n  sinks:\n    - file: {path: audit.jsonl}\n" + list
        return try #require(try SettingsPlaces.read(text, environment: ["SECRET": "p%41 ss"]).audit).sinks
    }

    private static func address(_ host: String, _ port: UInt16) -> NetworkAddress {
        NetworkAddress(host: host, port: port)
    }

    @Test func `what is left out has the defaults of the structs`() throws {
        #expect(try Self.sinks() == [])
        let sinks = try Self.sinks(
            "syslog: {url: \"udp://l\"}", "rabbitmq: {url: \"amqp://r\"}", "redis: {url: \"redis://s\"}")
        var redis = Settings.Redis(endpoints: [])
        redis.endpoints = [Settings.Endpoint(address: Self.address("s", 6_379), url: "redis://s:6379")]
        #expect(
            sinks == [
                Settings.AuditSink(
                    name: "syslog",
                    destination: .syslog(Settings.Syslog(transport: .udp, address: Self.address("l", 514)))),
                Settings.AuditSink(
                    name: "rabbitmq",
                    destination: .rabbitMQ(Settings.RabbitMQ(address: Self.address("r", 5_672)))),
                Settings.AuditSink(
                    name: "redis", destination: .redis(Settings.RedisStream(redis: redis))),
            ])
    }

    @Test func `every key of a syslog sink reaches its property`() throws {
        let sinks = try Self.sinks(
            """
            syslog: {name: A.b_c-9, url: "tls://logs.example:1", tls: {server_name: l, insecure: on}, facility: local3,
                    app_name: edge, hostname: gate.example, max_message: 1MiB}
            """)
        var syslog = Settings.Syslog(transport: .tls, address: Self.address("logs.example", 1))
        var tls = Settings.ClientTLS()
        tls.serverName = "l"
        tls.isInsecure = true
        syslog.tls = tls
        syslog.facility = 19
        syslog.appName = "edge"
        syslog.hostname = "gate.example"
        syslog.maxMessageByteCount = 1 << 20
        #expect(sinks == [Settings.AuditSink(name: "A.b_c-9", destination: .syslog(syslog))])
    }

    @Test func `every key of a RabbitMQ sink reaches its property`() throws {
        let sinks = try Self.sinks(
            """
            rabbitmq: {name: r, url: "amqps://rabbit.example:1/%2Fa%2fb", username: u, password: "${SECRET}", exchange: e,
                    topic: t, durable: off, event_type: audit.cadf, publisher_id: p.h, tls: {insecure: on}}
            """)
        var rabbit = Settings.RabbitMQ(address: Self.address("rabbit.example", 1))
        rabbit.virtualHost = "/a/b"
        rabbit.username = "u"
        // Percent-encoding is the URL's alone.
        rabbit.password = "p%41 ss"
        var tls = Settings.ClientTLS()
        tls.isInsecure = true
        rabbit.tls = tls
        rabbit.exchange = "e"
        rabbit.topic = "t"
        rabbit.isDurable = false
        rabbit.eventType = "audit.cadf"
        rabbit.publisherID = "p.h"
        #expect(sinks == [Settings.AuditSink(name: "r", destination: .rabbitMQ(rabbit))])
    }

    @Test func `every key of a Redis sink reaches its property`() throws {
        let sinks = try Self.sinks(
            "redis: {url: \"rediss://u:p@h/3\", stream: \"a{b}:c\", max_length: 7, tls: {server_name: s}}",
            """
            redis: {name: t, sentinels: [s1, "s2:1"], master: m, database: 2, username: u, password: "${SECRET}"}
            """)
        var first = Settings.Redis(endpoints: [
            Settings.Endpoint(address: Self.address("h", 6_379), url: "rediss://h:6379", usesTLS: true)
        ])
        (first.database, first.username, first.password) = (3, "u", "p")
        var tls = Settings.ClientTLS()
        tls.serverName = "s"
        first.tls = tls
        var stream = Settings.RedisStream(redis: first)
        (stream.key, stream.maxEntryCount) = ("a{b}:c", 7)
        var second = Settings.Redis(endpoints: [
            Settings.Endpoint(address: Self.address("s1", 26_379), url: "redis://s1:26379"),
            Settings.Endpoint(address: Self.address("s2", 1), url: "redis://s2:1"),
        ])
        (second.master, second.database, second.username, second.password) = ("m", 2, "u", "p%41 ss")
        #expect(
            sinks == [
                Settings.AuditSink(name: "redis", destination: .redis(stream)),
                Settings.AuditSink(name: "t", destination: .redis(Settings.RedisStream(redis: second))),
            ])
    }

    @Test(arguments: [
        ("udp://h", Settings.Syslog.Transport.udp, "h", 514), ("tcp://h/", .tcp, "h", 601),
        ("TLS://h", .tls, "h", 6_514), ("tls://[fd00::1]:7", .tls, "fd00::1", 7),
        ("udp://127.0.0.1:5514", .udp, "127.0.0.1", 5_514),
    ])
    func `the URL of a syslog receiver has its parts`(
        _ text: String, _ transport: Settings.Syslog.Transport, _ host: String, _ port: UInt16
    ) throws {
        let url = try SettingsScalars.syslogURL(text)
        #expect(url.transport == transport && url.address == Self.address(host, port))
    }

    @Test(
        arguments: [
            ("amqp://h", "h", 5_672, nil, nil, nil), ("amqps://h/", "h", 5_671, nil, nil, nil),
            ("amqp://u:p@h:1/nova", "h", 1, "u", "p", "nova"), ("AMQP://h/%2F", "h", 5_672, nil, nil, "/"),
            ("amqp://u%40x:%2f%3A@[::1]/a%20b", "::1", 5_672, "u@x", "/:", "a b"),
            ("amqp://u:a:b@c@h/ä", "h", 5_672, "u", "a:b@c", "ä"),
        ] as [(String, String, UInt16, String?, String?, String?)])
    func `the URL of a RabbitMQ has its parts`(
        _ text: String, _ host: String, _ port: UInt16, _ user: String?, _ password: String?,
        _ virtualHost: String?
    ) throws {
        let url = try SettingsScalars.rabbitMQURL(text)
        #expect(url.address == Self.address(host, port) && url.usesTLS == text.hasPrefix("amqps"))
        #expect(url.username == user && url.password == password && url.virtualHost == virtualHost)
    }

    @Test(arguments: [
        "amqp://:p@", "amqp://:p@h:x", "amqp://:p@h:0", "amqp://:p@h/a/b", "amqp://:p@h/%zz",
        "amqp://:p@h?x=1",
        "amqp://:%zz@h", "rabbit://:p@h", "amqp://:p/q@h",
    ])
    func `what is no URL of a RabbitMQ shows no password`(_ text: String) throws {
        let mistake = #expect(throws: ScalarMistake.self) { try SettingsScalars.rabbitMQURL(text) }
        #expect(mistake?.hidesValue == true)
    }

    @Test func `sinks are none of what only a restart takes`() throws {
        var old = Settings.Audit(file: Settings.AuditFile(path: "/a"))
        var new = old
        new.sinks = try Self.sinks("syslog: {url: \"udp://l\"}")
        #expect(Service.isSameTrail(old, new))
        old.durability = .synced
        #expect(!Service.isSameTrail(old, new))
    }
}
