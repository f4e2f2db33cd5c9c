import Bytes
import Foundation
import HTTP
import OpenStack
import Testing

@testable import Gateway

/// What a cache key tells apart and what it does not; a part that is missing here would show one client another's list.
struct CacheKeyTests {
    static let project = "6f70656e737461636b20342065766572"

    struct Asked: Sendable, CustomTestStringConvertible {
        var name = ""
        var target = "/v2.1/servers"
        var host = "compute.test"
        var fields = ""
        var token = "demo"
        var isTrusted = false
        var writes = 0
        var testDescription: String { name.isEmpty ? "\(target) \(fields)" : name }
    }

    private static let settings = """
        listeners: [{address: "127.0.0.1:1"}]
        apis: [{definition: config/openapi/compute.yaml, upstream: {endpoints: ["http://127.0.0.1:1"]}}]
        identity:
          provider: static
          static:
            tokens:
              - {token: demo, user: {id: u1}, project: {id: \(project)}, roles: [member, reader]}
              - {token: same, user: {id: u2}, project: {id: \(project)}, roles: [Reader, member]}
              - {token: reader, user: {id: u1}, project: {id: \(project)}, roles: [reader]}
              - {token: other, user: {id: u1}, project: {id: b322a85578de48beba0f92acce57869b}, roles: [member, reader]}
        """

    /// Compiled once; unsafe only in name, since nothing in these tests changes it.
    nonisolated(unsafe) private static let configuration: Configuration? = {
        do {
            let settings = try SettingsReader(environment: [:]).read(
                Array(Self.settings.utf8), file: "test", directory: SettingsPlaces.root)
            let definition = try DefinitionFiles.read(settings.apis[0].definition)
            return try Configuration(
                settings, definitions: [.init(definition: definition, addresses: [:])], hash: .random())
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }()

    /// The key of a request, or nil when it has none.
    private static func key(_ asked: Asked) throws -> [UInt8]? {
        let configuration = try #require(configuration)
        let worker = try Worker(
            index: 0,
            shared: Shared(
                cache: ResponseCache(maxByteCount: 65_536, maxObjectByteCount: 1_024),
                buckets: Buckets(capacity: 8)
            ) {},
            configuration: configuration, maxConnectionCount: 16)
        for _ in 0..<asked.writes {
            worker.shared.generations.advance(withBytes(project) { Identity.hash(of: $0) })
        }

        let exchange = ExchangePointer.allocate(capacity: 1)
        exchange.initialize(to: Exchange(fieldCapacity: 64))
        defer {
            exchange.deinitialize(count: 1)
            exchange.deallocate()
        }
        let head = Content(text: "GET \(asked.target) HTTP/1.1\r\nHost: \(asked.host)\r\n\(asked.fields)\r\n")
        exchange.pointee.configuration = .passUnretained(configuration)
        exchange.pointee.headBase = head.bytes.baseAddress
        guard
            exchange.pointee.reader.read(head.bytes, into: &exchange.pointee.head, limits: HeadLimits())
                == .complete
        else { throw SettingsMistakes([]) }
        let table = configuration.apis[0].table
        exchange.pointee.api = 0
        exchange.pointee.route = table.match(
            path: head.bytes.view(exchange.pointee.head.target.path), method: exchange.pointee.head.method)
        guard case .operation(let operation) = exchange.pointee.route.outcome else {
            throw SettingsMistakes([])
        }
        exchange.pointee.operation = operation
        exchange.pointee.microversion = MicroversionRequest.read(
            exchange.pointee.head.fields, in: head.bytes, minimum: table.minimum, maximum: table.maximum)
        exchange.pointee.peerIsTrusted = asked.isTrusted
        exchange.pointee.adopt(
            withBytes(asked.token) { configuration.tokens?.find($0, wallSeconds: 0) })
        return withExtendedLifetime((configuration, head)) {
            worker.appendCacheKey(exchange, table[operation]).map { _ in Array(worker.key.readable) }
        }
    }

    static let different = [
        Asked(name: "another project", token: "other"),
        Asked(name: "other roles", token: "reader"),
        Asked(name: "after a write", writes: 1),
        Asked(name: "another host", host: "other.test"),
        Asked(name: "another port", host: "compute.test:8774"),
        Asked(name: "https of a trusted proxy", fields: "X-Forwarded-Proto: https\r\n", isTrusted: true),
        Asked(
            name: "a host of a trusted proxy", fields: "X-Forwarded-Host: public.test\r\n", isTrusted: true),
        Asked(name: "a prefix of a trusted proxy", fields: "X-Forwarded-Prefix: /c\r\n", isTrusted: true),
        Asked(name: "a microversion", fields: "OpenStack-API-Version: compute 2.60\r\n"),
        Asked(name: "another microversion", fields: "OpenStack-API-Version: compute 2.6\r\n"),
        Asked(name: "the latest microversion", fields: "OpenStack-API-Version: compute latest\r\n"),
        Asked(name: "the older field", fields: "X-OpenStack-Nova-API-Version: 2.61\r\n"),
        Asked(name: "another media type", fields: "Accept: text/html\r\n"),
        Asked(target: "/v2/servers"), Asked(target: "/v2.1/servers/detail"), Asked(target: "/v2.1/flavors"),
        Asked(target: "/v2.1/\(project)/servers"), Asked(target: "/v2.1/servers?limit=1"),
        Asked(target: "/v2.1/servers?limit=2"), Asked(target: "/v2.1/servers?limit"),
        Asked(target: "/v2.1/servers?limit="),
        Asked(target: "/v2.1/servers?limit=1&limit=2"), Asked(target: "/v2.1/servers?limit=2&limit=1"),
        Asked(target: "/v2.1/servers?name=a&limit=1"), Asked(target: "/v2.1/servers?name=a%26limit=1"),
        Asked(target: "/v2.1/servers?name=A&limit=1"), Asked(target: "/v2.1/servers?limit=1&all_tenants"),
    ]

    @Test func `whatever may change the answer changes the key`() throws {
        var seen: [[UInt8]: String] = [try #require(try Self.key(Asked())): "the plain request"]
        for asked in Self.different {
            let key = try #require(try Self.key(asked), "\(asked.testDescription)")
            if let earlier = seen.updateValue(asked.testDescription, forKey: key) {
                Issue.record("\(asked.testDescription) has the key of \(earlier)")
            }
        }
    }

    static let equal: [(Asked, Asked)] = [
        (Asked(), Asked(name: "another user of the same roles", token: "same")),
        (
            Asked(),
            Asked(name: "the base microversion said", fields: "OpenStack-API-Version: compute 2.1\r\n")
        ),
        (
            Asked(),
            Asked(name: "another service's version", fields: "OpenStack-API-Version: identity 3.1\r\n")
        ),
        (Asked(), Asked(name: "any media type", fields: "Accept: */*\r\n")),
        (Asked(), Asked(name: "JSON", fields: "Accept: application/json\r\n")),
        (Asked(), Asked(name: "codings", fields: "Accept-Encoding: gzip\r\n")),
        (Asked(), Asked(name: "a user agent", fields: "User-Agent: curl\r\n")),
        (Asked(), Asked(name: "conditions", fields: "If-None-Match: \"a\"\r\nCache-Control: no-cache\r\n")),
        (
            Asked(),
            Asked(
                name: "forwarded fields of nobody trusted",
                fields:
                    "X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /e\r\n")
        ),
        (Asked(), Asked(name: "trust without a word", isTrusted: true)),
        (
            Asked(),
            Asked(name: "an absolute target", target: "http://compute.test/v2.1/servers", host: "other.test")
        ),
        (
            Asked(target: "/v2.1/servers?limit=1&name=a&status=b"),
            Asked(name: "names in another order", target: "/v2.1/servers?status=b&name=a&limit=1")
        ),
    ]

    @Test(arguments: equal)
    func `what cannot change the answer is one key`(_ pair: (Asked, Asked)) throws {
        let key = try #require(try Self.key(pair.0))
        #expect(try Self.key(pair.1) == key)
    }

    @Test func `a list of each user's own has the user in its key`() throws {
        let one = try Self.key(Asked(target: "/v2.1/os-keypairs"))
        let two = try Self.key(Asked(target: "/v2.1/os-keypairs", token: "same"))
        #expect(one != nil && one != two)
    }

    @Test func `the token is no part of the key`() throws {
        let key = String(decoding: try #require(try Self.key(Asked(token: "same"))), as: UTF8.self)
        #expect(!key.contains("same"))
        #expect(key.contains(Self.project))
    }

    @Test func `without an identity there is no key`() throws {
        #expect(try Self.key(Asked(token: "unknown")) == nil)
    }

    @Test func `a query of more pairs than are sorted has no key`() throws {
        let pairs = (0..<24).map { "a\($0)=b" }
        #expect(try Self.key(Asked(target: "/v2.1/servers?" + pairs.joined(separator: "&"))) != nil)
        #expect(
            try Self.key(Asked(target: "/v2.1/servers?" + (pairs + ["z=1"]).joined(separator: "&"))) == nil)
    }

    @Test func `parts cannot run into each other`() throws {
        // The zero byte that ends a part can stand in none of them.
        let one = try #require(try Self.key(Asked(target: "/v2.1/servers?name=a", host: "h1")))
        let two = try #require(try Self.key(Asked(target: "/v2.1/servers?name=a", host: "h1x")))
        #expect(one.filter { $0 == 0 }.count == two.filter { $0 == 0 }.count)
        #expect(one != two)
    }
}
