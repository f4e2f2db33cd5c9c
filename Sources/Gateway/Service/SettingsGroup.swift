/// The groups of keys that a settings file may have, with their keys: the one list of all settings.
///
/// - Shape: the raw value is the group's path; `[]` stands for each item of a sequence.
enum SettingsGroup: String, CaseIterable, Sendable {
    case root = ""
    case listener = "listeners[]"
    case serverTLS = "listeners[].tls"
    case certificate = "listeners[].tls.certificates[]"
    case admin = "admin"
    case http = "http"
    case http2 = "http2"
    case http2Budgets = "http2.budgets"
    case resets = "http2.budgets.resets"
    case provokedResets = "http2.budgets.provoked_resets"
    case controlFrames = "http2.budgets.control_frames"
    case emptyFrames = "http2.budgets.empty_frames"
    case smallWindows = "http2.budgets.small_windows"
    case api = "apis[]"
    case validation = "apis[].validation"
    case upstream = "apis[].upstream"
    case upstreamTLS = "apis[].upstream.tls"
    case ejection = "apis[].upstream.ejection"
    case identity = "identity"
    case staticIdentity = "identity.static"
    case token = "identity.static.tokens[]"
    case user = "identity.static.tokens[].user"
    case userDomain = "identity.static.tokens[].user.domain"
    case project = "identity.static.tokens[].project"
    case projectDomain = "identity.static.tokens[].project.domain"
    case keystone = "identity.keystone"
    case keystoneTLS = "identity.keystone.tls"
    case credential = "identity.keystone.credential"
    case tokenCache = "identity.keystone.cache"
    case limits = "limits"
    case redis = "limits.redis"
    case redisTLS = "limits.redis.tls"
    case badTokens = "limits.bad_tokens"
    case limitRule = "limits.rules[]"
    case limitOverride = "limits.rules[].overrides[]"
    case exempt = "limits.rules[].exempt"
    case cache = "cache"
    case lists = "cache.lists"
    case audit = "audit"
    case auditSink = "audit.sinks[]"
    case auditFile = "audit.sinks[].file"
    case auditSyslog = "audit.sinks[].syslog"
    case auditSyslogTLS = "audit.sinks[].syslog.tls"
    case auditRabbitMQ = "audit.sinks[].rabbitmq"
    case auditRabbitMQTLS = "audit.sinks[].rabbitmq.tls"
    case auditRedis = "audit.sinks[].redis"
    case auditRedisTLS = "audit.sinks[].redis.tls"
    case rotation = "audit.rotation"
    case auditPolicy = "audit.policies[]"
    case accessLog = "access_log"
    case log = "log"

    /// Every key of the group, in the order of the documentation.
    var keys: [String] {
        switch self {
        case .root:
            [
                "listeners", "admin", "workers", "drain_timeout", "http", "http2", "apis", "identity",
                "limits", "cache", "audit", "access_log", "log",
            ]
        case .listener: ["address", "tls"]
        case .serverTLS:
            [
                "certificate", "private_key", "ocsp_response", "certificates", "client_ca",
                "client_certificate", "min_version", "ticket_lifetime",
            ]
        case .certificate: ["certificate", "private_key", "ocsp_response"]
        case .admin: ["address"]
        case .http:
            [
                "max_head_size", "max_target_size", "max_fields", "head_timeout", "content_progress_timeout",
                "idle_timeout", "max_connections", "trusted_proxies", "via",
            ]
        case .http2: ["max_streams", "budgets"]
        case .http2Budgets:
            ["resets", "provoked_resets", "control_frames", "empty_frames", "small_windows"]
        case .resets, .provokedResets, .controlFrames, .emptyFrames, .smallWindows: ["rate", "burst"]
        case .api: ["definition", "overlay", "validation", "virtual_interfaces", "upstream"]
        case .validation: ["mode", "profile"]
        case .upstream:
            [
                "endpoints", "http2", "tls", "connect_timeout", "response_timeout", "progress_timeout",
                "keep_alive", "idle_timeout", "max_idle_connections", "max_connections", "identity_fields",
                "ejection",
            ]
        case .upstreamTLS, .keystoneTLS, .redisTLS, .auditSyslogTLS, .auditRabbitMQTLS, .auditRedisTLS:
            ["ca", "server_name", "certificate", "private_key", "insecure"]
        case .ejection: ["failures", "base_time", "max_time"]
        case .identity: ["provider", "static", "keystone", "admin_roles"]
        case .keystone:
            [
                "url", "public_url", "tls", "credential", "cache", "service_token_roles",
                "project_lookup", "connect_timeout", "response_timeout", "max_connections",
            ]
        case .credential:
            [
                "username", "password", "user_domain", "project", "project_domain",
                "application_credential_id", "application_credential_secret",
            ]
        case .tokenCache: ["max_age", "negative_max_age", "stale_max_age", "max_tokens"]
        case .limits:
            ["store", "redis", "max_buckets", "legacy_status", "fields", "bad_tokens", "rules"]
        case .redis:
            [
                "url", "sentinels", "master", "database", "username", "password", "tls", "prefix",
                "deadline", "instances",
            ]
        case .badTokens: ["rate", "burst"]
        case .limitRule:
            [
                "name", "operations", "per", "rate", "burst", "at_once", "cost", "hit_cost",
                "not_modified_cost", "mode", "overrides", "exempt",
            ]
        case .limitOverride: ["project", "rate", "burst", "at_once"]
        case .exempt: ["roles", "projects"]
        case .staticIdentity: ["tokens"]
        case .token: ["token", "user", "project", "roles", "expires_at"]
        case .user, .project: ["id", "name", "domain"]
        case .userDomain, .projectDomain: ["id", "name"]
        case .cache: ["max_size", "max_object_size", "lists"]
        case .lists: ["fresh", "stale_while_revalidate", "stale_if_error"]
        case .audit:
            ["sinks", "durability", "on_failure", "key", "sign_every", "rotation", "fold", "policies"]
        case .auditSink: ["file", "syslog", "rabbitmq", "redis"]
        case .auditFile: ["path", "mode"]
        case .auditSyslog: ["name", "url", "tls", "facility", "app_name", "hostname", "max_message"]
        case .auditRabbitMQ:
            [
                "name", "url", "username", "password", "tls", "exchange", "topic", "durable", "event_type",
                "publisher_id",
            ]
        case .auditRedis:
            [
                "name", "url", "sentinels", "master", "database", "username", "password", "tls", "stream",
                "max_length",
            ]
        case .rotation: ["size", "age", "keep"]
        case .auditPolicy: ["operations", "record", "content"]
        case .accessLog: ["path"]
        case .log: ["level"]
        }
    }

    /// Keys that the design names and this version refuses, or has elsewhere, with the mistake to give.
    var unavailableKeys: [String: String] {
        switch self {
        case .keystone:
            ["bad_tokens": "`bad_tokens` is in `limits` now"]
        default: [:]
        }
    }

    /// The key of this group that `name` was probably meant to be; nil when none is near.
    ///
    /// - Shape: at most two edits away, one for names of up to four letters; else the only key that begins
    ///   with it.
    /// - Limits: names over 64 letters have no neighbour.
    func findNearest(_ name: String) -> String? {
        guard name.utf8.count <= 64 else { return nil }
        let written = Array(name.lowercased().map { $0 == "-" ? "_" : $0 })
        let allowance = written.count <= 4 ? 1 : 2
        var best: (key: String, distance: Int)?
        for key in keys {
            let distance = Self.editCount(from: written, to: Array(key))
            if distance <= allowance, distance < best?.distance ?? .max { best = (key, distance) }
        }
        if let best { return best.key }
        let longer = keys.filter { $0.hasPrefix(name) }
        return longer.count == 1 ? longer.first : nil
    }

    /// Insertions, removals, replacements and swaps of neighbours from one word to the other.
    static func editCount(from a: [Character], to b: [Character]) -> Int {
        var older = [Int](repeating: 0, count: b.count + 1)
        var old = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1] + [Int](repeating: 0, count: b.count)
            for j in 0..<b.count {
                row[j + 1] = min(old[j + 1] + 1, row[j] + 1, old[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    row[j + 1] = min(row[j + 1], older[j - 1] + 1)
                }
            }
            older = old
            old = row
        }
        return old[b.count]
    }
}
