import Foundation

/// The settings of a scenario: a base that its own top-level keys replace.
///
/// `upstream:`, `keystone:`, `tls:`, `validation:` and `virtual_interfaces:` are no keys of the file. What stands under the
/// first three goes under the one API's upstream, in a scenario with an `identity` role under what says how Keystone is
/// asked, and under the listener's TLS where clients come over TLS; the others are keys of the one API.
enum ScenarioSettings {
    static let project = "6f70656e737461636b20342065766572"
    static let other = "b322a85578de48beba0f92acce57869b"
    private static let keysOfAPI = ["validation", "virtual_interfaces"]

    /// - Parameters:
    ///   - endpoints: the URLs of the one API's upstreams.
    ///   - keystone: the URL that Keystone is asked at.
    static func text(_ fragment: [String], endpoints: [String], keystone: String?, transport: Transport)
        -> String
    {
        var blocks: [(key: String, lines: [String])] = [
            ("listeners", ["listeners:", "  - address: \"127.0.0.1:0\""]),
            ("admin", ["admin: {address: \"127.0.0.1:0\"}"]),
            ("workers", ["workers: 1"]),
            ("apis", []),
            ("identity", keystone == nil ? tokens : []),
            ("cache", ["cache: off"]),
            ("access_log", ["access_log: {path: access.log}"]),
        ]
        var upstream: [String] = []
        var api: [String] = []
        var asking: [String] = []
        var tls: [String] = []
        var key = ""
        for line in fragment {
            if let first = line.first, first != " ", first != "#", let colon = line.firstIndex(of: ":") {
                key = String(line[..<colon])
                guard !["upstream", "keystone", "tls"].contains(key) else { continue }
                if Self.keysOfAPI.contains(key) {
                    api.append("    " + line)
                    continue
                }
                blocks.removeAll { $0.key == key }
                blocks.append((key, []))
            }
            if Self.keysOfAPI.contains(key) {
                api.append("    " + line)
            } else if key == "upstream" {
                upstream.append("    " + line)
            } else if key == "keystone" {
                asking.append("  " + line)
            } else if key == "tls" {
                tls.append("    " + line)
            } else if !blocks.isEmpty {
                blocks[blocks.count - 1].lines.append(line)
            }
        }
        func with(_ base: [String], _ lines: [String]) -> [String] {
            base.filter { line in !lines.contains { $0.hasPrefix(line.prefix { $0 != ":" } + ":") } } + lines
        }
        if transport.hasTLSClients, let place = blocks.firstIndex(where: { $0.key == "listeners" }) {
            let base = ["crt", "key"].map { "\(TLSSettings.directory)/localhost-ecdsa.\($0)" }
            blocks[place].lines +=
                ["    tls:"] + with(["      certificate: \(base[0])", "      private_key: \(base[1])"], tls)
        }
        let trust = transport.hasTLSUpstreams ? ["tls: {ca: \(TLSSettings.directory)/ca.crt}"] : []
        if let place = blocks.firstIndex(where: { $0.key == "apis" }), blocks[place].lines.isEmpty {
            blocks[place].lines = [
                "apis:", "  - definition: \(ScenarioFile.root)/config/openapi/compute.yaml", "    upstream:",
                "      endpoints: [\(endpoints.map { "\"\($0)\"" }.joined(separator: ", "))]",
            ]
            blocks[place].lines += with(trust.map { "      " + $0 }, upstream) + api
        }
        if let keystone, let place = blocks.firstIndex(where: { $0.key == "identity" }),
            blocks[place].lines.isEmpty
        {
            let base =
                [
                    "    url: \(keystone)/v3",
                    "    credential: {username: nova, password: its-password, user_domain: Default, project: service, "
                        + "project_domain: Default}",
                ] + trust.map { "    " + $0 }
            blocks[place].lines =
                ["identity:", "  provider: keystone", "  keystone:"]
                + with(base, asking)
        }
        return blocks.flatMap(\.lines).joined(separator: "\n") + "\n"
    }

    private static let tokens = """
        identity:
          provider: static
          static:
            tokens:
              - {token: demo, user: {id: u1, name: demo}, project: {id: \(project), name: demo}, roles: [member, reader]}
              - {token: demo-2, user: {id: u2, name: demo2}, project: {id: \(project), name: demo}, roles: [reader, member]}
              - {token: demo-reader, user: {id: u3, name: reader}, project: {id: \(project), name: demo}, roles: [reader]}
              - {token: demo-admin, user: {id: u4, name: admin}, project: {id: \(project), name: demo}, roles: [admin, member, reader]}
              - {token: other, user: {id: u5, name: other}, project: {id: \(other), name: other}, roles: [member, reader]}
              - {token: expired, user: {id: u1, name: demo}, project: {id: \(project), name: demo}, roles: [member, reader],
                 expires_at: "2020-01-01T00:00:00Z"}
        """.components(separatedBy: "\n")
}
