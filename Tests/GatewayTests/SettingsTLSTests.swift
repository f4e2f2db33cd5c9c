import Bytes
import Foundation
import HTTP
import Loop
import Testing

@testable import Gateway

/// What TLS and HTTP/2 settings become.
struct SettingsTLSTests {
    static let certificates = SettingsPlaces.root + "/config/examples/certificates"
    static let pair = "certificate: server.crt, private_key: server.key"

    private static func read(
        listener: String = "", root: String = "", upstream: String = "endpoints: [http://127.0.0.1:1]"
    ) throws -> Settings {
        let definition = SettingsPlaces.root + "/Tests/Golden/settings/definition.yaml"
        let text = """
            listeners: [{address: "127.0.0.1:8774"\(listener.isEmpty ? "" : ", tls: {\(listener)}")}]
            \(root)
            apis: [{definition: \(definition), upstream: {\(upstream)}}]
            identity: {provider: none}
            """
        return try SettingsReader(environment: [:]).read(
            Array(text.utf8), file: "test.yaml", directory: certificates)
    }

    @Test func `a listener is plain unless it has tls`() throws {
        let settings = try Self.read()
        #expect(settings.listeners[0].tls == nil)
        #expect(settings.http2 == Settings.HTTP2())
        #expect(settings.apis[0].upstream.http2 == .never)
        #expect(settings.apis[0].upstream.tls == nil)
    }

    @Test func `a certificate alone has the defaults`() throws {
        let settings = try Self.read(listener: Self.pair)
        let tls = try #require(settings.listeners[0].tls)
        #expect(
            tls.certificates == [
                Settings.Certificate(
                    certificate: Self.certificates + "/server.crt",
                    privateKey: Self.certificates + "/server.key")
            ])
        #expect(tls.clientCA == nil && !tls.requiresClientCertificate)
        #expect(tls.minimumVersion == .tls12)
        #expect(tls.ticketLifetime == .seconds(12 * 3_600))
    }

    @Test(arguments: [
        ("", true), (", client_certificate: required", true), (", client_certificate: optional", false),
    ])
    func `client certificates are required unless optional`(_ more: String, _ isRequired: Bool) throws {
        let settings = try Self.read(listener: Self.pair + ", client_ca: ca.crt" + more)
        let tls = try #require(settings.listeners[0].tls)
        #expect(tls.clientCA == Self.certificates + "/ca.crt")
        #expect(tls.requiresClientCertificate == isRequired)
    }

    @Test func `budgets are read one by one`() throws {
        let root =
            "http2: {max_streams: 7, budgets: {resets: {burst: 3}, small_windows: {rate: 6/min, burst: 9}}}"
        let settings = try Self.read(root: root)
        let http2 = try #require(settings.http2)
        var expected = Settings.HTTP2()
        expected.maxStreamCount = 7
        expected.budgets.resets.burst = 3
        expected.budgets.smallWindows = Settings.Budget(
            rate: Settings.Rate(count: 6, per: .minute), burst: 9)
        #expect(http2 == expected)
        let without = try Self.read(root: "http2: off")
        #expect(without.http2 == nil)
    }

    @Test func `https endpoints are verified by the system's authorities and speak what they choose`() throws
    {
        let upstream = try Self.read(upstream: "endpoints: [https://nova, 'https://[::1]:9']").apis[0]
            .upstream
        #expect(upstream.tls == Settings.ClientTLS())
        #expect(upstream.http2 == .negotiated)
        #expect(upstream.endpoints.map(\.address.port) == [443, 9])
        #expect(upstream.endpoints.map(\.url) == ["https://nova", "https://[::1]:9"])
        #expect(!upstream.endpoints.contains { !$0.usesTLS })
    }

    @Test func `without kept connections there are no streams`() throws {
        let upstream = try Self.read(upstream: "endpoints: [https://nova], keep_alive: off").apis[0].upstream
        #expect(upstream.http2 == .never)
    }

    @Test func `what an upstream is shown and believed by is read`() throws {
        let keys =
            "server_name: nova.internal, certificate: client.crt, private_key: client.key, insecure: on"
        let upstream = try Self.read(upstream: "endpoints: [https://nova], http2: always, tls: {\(keys)}")
            .apis[0].upstream
        let tls = try #require(upstream.tls)
        #expect(tls.serverName == "nova.internal" && tls.isInsecure && tls.ca == nil)
        #expect(tls.certificate?.certificate == Self.certificates + "/client.crt")
        #expect(upstream.http2 == .always)
    }

    @Test func `session tickets outlive a reload that lets the same clients in`() throws {
        let address = try #require(SocketAddress(parsing: "127.0.0.1:8774"))
        let plain = SessionTickets().renewed(for: try Self.read())
        #expect(plain.keys.isEmpty)
        let first = SessionTickets().renewed(for: try Self.read(listener: Self.pair))
        let keys = try #require(first.keys[address])
        let same = first.renewed(for: try Self.read(listener: Self.pair + ", min_version: \"1.3\""))
        #expect(same.keys[address] === keys)
        for change in [", client_ca: ca.crt", ", ticket_lifetime: 1h", ", ticket_lifetime: off"] {
            let other = first.renewed(for: try Self.read(listener: Self.pair + change))
            #expect(other.keys[address] !== keys, "\(change)")
        }
    }

    @Test func `a configuration has a context for each that needs one`() throws {
        let address = try #require(SocketAddress(parsing: "127.0.0.1:8774"))
        let settings = try Self.read(
            listener: Self.pair, upstream: "endpoints: [https://nova], tls: {ca: ca.crt, server_name: x.test}"
        )
        var api = settings.apis[0]
        api.definition = SettingsPlaces.root + "/config/openapi/compute.yaml"
        let source = Configuration.Source(
            definition: try DefinitionFiles.read(api.definition, overlay: nil),
            addresses: [api.upstream.endpoints[0]: [.loopback(port: 1)]])
        let configuration = try Configuration(settings, definitions: [source], hash: .random())
        #expect(configuration.listenerTLS[address] != nil)
        let pool = configuration.apis[0].upstream
        #expect(pool.tls != nil && pool.http2 == .negotiated)
        #expect(pool.endpoints[0].serverName == "x.test")
        #expect(configuration.http2Limits == HTTP2Limits())
    }
}
