public import Logging
public import Loop
public import OpenStack

/// Everything an operator can set, after reading and checking.
///
/// - Shape: plain values, copied to each worker. A property carries the name of its key in the settings file;
///   keys that hold a size or a count say `ByteCount` or `Count` here. Paths are absolute.
/// - Limits: every value is inside the range that `SettingsReader` names in its mistakes; `init()` gives the
///   defaults, which have no listener and no API.
/// - Source: ours (design.md §5).
public struct Settings: Sendable, Equatable {
    /// Where clients connect; at least one, no two alike.
    public var listeners: [Listener] = []
    /// `admin`: where `/healthcheck`, `/metrics` and `/exchanges` are answered.
    public var admin = Admin()
    /// Loops, each on a core of its own; one a core unless set.
    public var workers: Int = Settings.defaultWorkerCount
    /// How long exchanges in flight may still take after SIGTERM or SIGINT.
    public var drainTimeout: Duration = .seconds(30)
    /// `http`: limits and time limits of downstream messages.
    public var http = MessageLimits()
    /// HTTP/2 connections of clients; nil means `http2: off`.
    public var http2: HTTP2? = HTTP2()
    /// The APIs in front of which this process stands; at least one. The first whose definition knows a path
    /// serves it.
    public var apis: [API] = []
    /// Who judges tokens.
    public var identity = IdentitySource()
    /// How often what may be asked.
    public var limits = Limits()
    /// The list cache; nil means `cache: off`.
    public var cache: Cache? = Cache()
    /// The audit trail; nil means none.
    public var audit: Audit?
    /// Where access lines go; nil means that none are written.
    public var accessLog: AccessLog?
    /// `log`: the operational log on standard error.
    public var log = Log()

    public init() {}
}

extension Settings {
    /// One address on which requests are accepted.
    public struct Listener: Sendable, Equatable {
        /// With port 0 the kernel chooses one.
        public var address: SocketAddress
        /// nil means plain connections.
        public var tls: ServerTLS?

        public init(address: SocketAddress, tls: ServerTLS? = nil) {
            self.address = address
            self.tls = tls
        }
    }

    /// The admin listener.
    public struct Admin: Sendable, Equatable {
        /// Loopback unless set, because it answers without a token.
        public var address = SocketAddress.loopback(port: 8775)

        public init() {}
    }

    /// What one downstream connection and message may cost.
    public struct MessageLimits: Sendable, Equatable {
        /// `max_head_size`: bytes of a request head; more is 431.
        public var maxHeadByteCount = 16 * 1024
        /// `max_target_size`: bytes of a request target; more is 414.
        public var maxTargetByteCount = 8 * 1024
        /// `max_fields`: field lines in a head; more is 431.
        public var maxFieldCount = 100
        /// From a head's first byte to its last.
        public var headTimeout: Duration = .seconds(10)
        /// Longest pause between two pieces of content, read or written; then 408 or close.
        public var contentProgressTimeout: Duration = .seconds(30)
        /// How long a connection is kept between two exchanges.
        public var idleTimeout: Duration = .seconds(75)
        /// `max_connections`: open downstream connections of the whole process.
        public var maxConnectionCount = 16_384
        /// Peers whose `Forwarded` and `X-Forwarded-*` are believed.
        public var trustedProxies: [AddressBlock] = []
        /// The pseudonym in `Via` (RFC 9110 §7.6.3), a token.
        public var via = "gatehouse"

        public init() {}
    }

    /// One API: the operations it has and the service that answers them.
    public struct API: Sendable, Equatable {
        /// Absolute path of the OpenAPI 3.1 document.
        public var definition: String
        /// Absolute path of the OpenAPI Overlay 1.0 document that is laid over the definition; nil means none.
        public var overlay: String?
        public var validation = Validation()
        /// Who answers the lists of virtual interfaces.
        public var virtualInterfaces: VirtualInterfaceSource = .pass
        public var upstream: Upstream

        public init(definition: String, overlay: String? = nil, upstream: Upstream) {
            self.definition = definition
            self.overlay = overlay
            self.upstream = upstream
        }
    }

    /// What happens to requests that the API's rules refuse.
    public struct Validation: Sendable, Equatable {
        public var mode = ValidationMode.enforce
        /// Which rules count where a document asks for more than Nova does.
        public var profile = RuleProfile.document

        public init() {}
    }

    /// The closed list of `apis[].validation.mode`.
    public enum ValidationMode: String, Sendable, CaseIterable {
        /// Refused here.
        case enforce
        /// Forwarded; counted and logged as what would have been refused.
        case report
        /// Forwarded; only routes, tokens, the path's project and sizes are looked at.
        case off
    }

    /// The closed list of `apis[].virtual_interfaces`.
    public enum VirtualInterfaceSource: String, Sendable, CaseIterable {
        /// The upstream has them, or says that it has not.
        case pass
        /// They are made here from the upstream's `os-interface` and `ips`.
        case translate
    }

    /// The service behind an API and how connections to it are used.
    public struct Upstream: Sendable, Equatable {
        /// At least one, no two alike, all `http` or all `https`.
        public var endpoints: [Endpoint]
        public var connectTimeout: Duration = .seconds(5)
        /// From the request's last byte to the response head's last.
        public var responseTimeout: Duration = .seconds(60)
        /// Longest pause between two pieces of content, sent or received.
        public var progressTimeout: Duration = .seconds(60)
        /// `keep_alive`: whether a connection serves a second request.
        public var keepsAlive = true
        /// How long an idle connection is kept; below the 4 s after which uWSGI drops it unannounced.
        public var idleTimeout: Duration = .seconds(3)
        /// `max_idle_connections`, per endpoint and worker: with uWSGI each one pins a process there.
        public var maxIdleConnectionCount = 8
        /// `max_connections`, per endpoint and worker; further exchanges wait for room.
        public var maxConnectionCount = 64
        /// `identity_fields`: who asks is told in fields besides the token.
        public var sendsIdentity = false
        public var http2 = UpstreamHTTP2.never
        /// Not nil exactly when the endpoints are `https`.
        public var tls: ClientTLS?
        public var ejection = Ejection()

        public init(endpoints: [Endpoint]) { self.endpoints = endpoints }
    }

    /// When an endpoint that fails is left alone, and for how long.
    public struct Ejection: Sendable, Equatable {
        /// `failures`: this many in a row eject; 0 means never.
        public var failureCount = 5
        /// The first ejection's time; doubled by each further one.
        public var baseTime: Duration = .seconds(1)
        public var maxTime: Duration = .seconds(60)

        public init() {}
    }

    /// An upstream endpoint, as `http://host:port` or `https://host:port`.
    public struct Endpoint: Sendable, Hashable {
        public var address: NetworkAddress
        /// As the operator wrote it, without a slash at the end: the name in metrics and in the access line.
        public var url: String
        /// Whether it is `https`.
        public var usesTLS: Bool

        public init(address: NetworkAddress, url: String, usesTLS: Bool = false) {
            self.address = address
            self.url = url
            self.usesTLS = usesTLS
        }
    }

    /// Who judges tokens, and which of their roles count as an administrator's.
    public struct IdentitySource: Sendable, Equatable {
        public var provider: IdentityProvider = .none
        /// Names of roles, compared without regard to case, that make an identity an administrator's.
        public var adminRoles = ["admin"]
        /// `static.tokens`; empty unless the provider is `static`.
        public var staticTokens: [StaticToken] = []
        /// `keystone`; nil unless the provider is `keystone`.
        public var keystone: Keystone?

        public init() {}
    }

    /// The closed list of `identity.provider`.
    public enum IdentityProvider: String, Sendable, CaseIterable {
        /// Keystone judges, and is asked once per token and time.
        case keystone
        /// Tokens from the settings.
        case `static`
        /// A token must be there; the upstream judges it.
        case none
    }

    /// A token written in the settings with the identity that it stands for.
    public struct StaticToken: Sendable, Equatable {
        /// 1 to 8,192 visible ASCII bytes; never logged.
        public var token: String
        public var user: NamedID
        /// Domain of the user; `default`/`Default` unless set.
        public var userDomain: NamedID
        public var project: NamedID
        /// Domain of the project; `default`/`Default` unless set.
        public var projectDomain: NamedID
        public var roles: [String]
        /// Seconds since 1970; nil means never.
        public var expiresAt: Int64?

        public init(
            token: String, user: NamedID, userDomain: NamedID = .defaultDomain, project: NamedID,
            projectDomain: NamedID = .defaultDomain, roles: [String], expiresAt: Int64? = nil
        ) {
            self.token = token
            self.user = user
            self.userDomain = userDomain
            self.project = project
            self.projectDomain = projectDomain
            self.roles = roles
            self.expiresAt = expiresAt
        }
    }

    /// A user, project or domain: its id and its name.
    public struct NamedID: Sendable, Equatable {
        public var id: String
        public var name: String
        /// Keystone's first domain.
        public static let defaultDomain = NamedID(id: "default", name: "Default")

        public init(id: String, name: String) {
            self.id = id
            self.name = name
        }
    }

    /// The store of list responses.
    public struct Cache: Sendable, Equatable {
        /// `max_size`: bytes of all stored responses together, over all workers.
        public var maxByteCount = 256 * 1024 * 1024
        /// `max_object_size`: bytes of one stored response; larger ones pass unstored.
        public var maxObjectByteCount = 4 * 1024 * 1024
        public var lists = ListFreshness()

        public init() {}
    }

    /// How long a stored list serves.
    public struct ListFreshness: Sendable, Equatable {
        /// Freshness lifetime; zero stores for the other two uses only.
        public var fresh: Duration = .seconds(2)
        /// After `fresh`: answered stale while one fetch renews it (RFC 5861 §3).
        public var staleWhileRevalidate: Duration = .seconds(10)
        /// After `fresh`: answered stale when the upstream fails (RFC 5861 §4).
        public var staleIfError: Duration = .seconds(60)

        public init() {}
    }

    /// The file of access lines.
    public struct AccessLog: Sendable, Equatable {
        /// Absolute; opened for appending, opened again on SIGHUP.
        public var path: String

        public init(path: String) { self.path = path }
    }

    /// The operational log.
    public struct Log: Sendable, Equatable {
        public var level: Logger.Level = .info

        public init() {}
    }
}
