internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack
internal import TLS

/// The settings compiled for one worker: nothing in it is shared with another loop, so no reference count is either.
///
/// A reload makes a new one; the old one lives until its last exchange and connection have ended.
final class Configuration {
    /// One API of the settings, compiled; an object, so that exchanges can refer to theirs without looking it up.
    final class API {
        let table: OperationTable
        let validation: Settings.ValidationMode
        let upstream: UpstreamPool
        /// Tells the upstream who asks, besides the token.
        let sendsIdentity: Bool
        /// The operations whose answers are translated; nil where all are passed on.
        let virtualInterfaces: VirtualInterfaces.Operations?
        /// Index of its first operation among those of all APIs, for counters.
        let firstOperation: Int

        init(
            _ settings: Settings.API, table: OperationTable, upstream: UpstreamPool,
            virtualInterfaces: VirtualInterfaces.Operations?, firstOperation: Int
        ) {
            self.table = table
            validation = settings.validation.mode
            self.upstream = upstream
            sendsIdentity = settings.upstream.sendsIdentity
            self.virtualInterfaces = virtualInterfaces
            self.firstOperation = firstOperation
        }
    }

    let settings: Settings
    let apis: [API]
    /// The same, and what judges tokens, for each exchange without counting references.
    let sites: UnsafePointer<Unmanaged<API>>
    let lentTokens: Unmanaged<TokenTable>?
    let lentKeystone: Unmanaged<KeystoneClient>?
    let tokens: TokenTable?
    let keystone: KeystoneClient?
    /// What addresses may send without a good token; nil for as much as they like.
    let badTokens: BadTokens?
    /// The store of limits that several processes share, and what connections to it are opened with; nil with `memory`.
    let limitStore: (store: LimitStore, tls: TLSContext?)?
    /// The limits' rules; nil where there is none.
    let limitTable: LimitTable?
    /// What is kept of which operations; nil where there is no audit trail.
    let auditTable: AuditTable?
    /// What connections are accepted with, by the listener's address as the settings name it; none for plain listeners.
    let listenerTLS: [SocketAddress: TLSContext]
    /// What clients' HTTP/2 connections may cost; nil while HTTP/1.1 alone is served.
    let http2Limits: HTTP2Limits?
    let limits: HeadLimits
    let trustedProxies: [AddressBlock]
    let headNanoseconds: UInt64
    let contentProgressNanoseconds: UInt64
    let idleNanoseconds: UInt64
    /// Nanoseconds a list is fresh, stale while renewed, stale on error; nil while the cache is off.
    let lists: (fresh: UInt64, stale: UInt64, error: UInt64)?
    /// The pseudonym of this proxy, and the whole Via line with it.
    let via: Content
    let viaLine: Content
    let http2ViaLine: Content
    /// The same with the empty line that ends a head.
    let viaEnd: Content
    let http2ViaEnd: Content
    /// `Cache-Status: ` and the pseudonym.
    let cacheStatusStart: Content
    let operationCount: Int
    /// How long equal reads are one event.
    let foldNanoseconds: UInt64
    /// Of each API, the operation that tells the limits; nil where it has none.
    let limitsOperations: [Int?]
    /// Exchanges that began under it and are not over.
    var exchangeCount = 0

    /// - Parameters:
    ///   - hash: the key under which the process names the limits' buckets.
    ///   - keystone: what all workers share of it, where the provider is `keystone`.
    ///   - limitStore: what all workers share of the store of limits, where it is `redis`.
    ///   - ticketKeys: what all workers share of the listeners' session tickets, by address.
    /// - Errors: `ServiceError` when a definition has too little, or certificates cannot be loaded.
    init(
        _ settings: Settings, definitions: [Source], hash: KeyedHash, keystone: Keystone? = nil,
        limitStore: LimitStore? = nil, ticketKeys: [SocketAddress: TLSTicketKeys] = [:]
    ) throws {
        self.settings = settings
        var compiled: [API] = []
        var operationCount = 0
        for (api, source) in zip(settings.apis, definitions) {
            let tls = api.upstream.tls
            let endpoints = api.upstream.endpoints.map { endpoint in
                Endpoint(
                    url: endpoint.url, addresses: source.addresses[endpoint] ?? [],
                    serverName: tls?.serverName ?? endpoint.address.host)
            }
            let context = try tls.map { tls in
                try Self.loaded("upstream of \(api.definition)") { () throws(TLSFault) in
                    try tls.makeContext(offersHTTP2: api.upstream.http2 != .never)
                }
            }
            let table = try OperationTable.compile(
                source.definition, file: api.definition, profile: api.validation.profile)
            compiled.append(
                API(
                    api, table: table,
                    upstream: UpstreamPool(api.upstream, endpoints: endpoints, tls: context),
                    virtualInterfaces: api.virtualInterfaces == .translate
                        ? try Self.virtualInterfaces(api, table) : nil,
                    firstOperation: operationCount))
            operationCount += table.operations.count
        }
        apis = compiled
        let table = try LimitTable.compile(settings.limits, tables: compiled.map(\.table), hash: hash)
        auditTable = try settings.audit.map { try AuditTable.compile($0, tables: compiled.map(\.table)) }
        badTokens = settings.limits.badTokens.map { BadTokens($0, hash: hash) }
        limitTable = table.hasRules ? table : nil
        limitsOperations = compiled.map { $0.table.find(LimitTable.limitsID) }
        self.operationCount = operationCount
        switch settings.identity.provider {
        case .static:
            tokens = TokenTable(settings.identity.staticTokens, adminRoles: settings.identity.adminRoles)
        case .keystone, .none: tokens = nil
        }
        lentTokens = tokens.map { .passUnretained($0) }
        self.keystone = try keystone.map { keystone in
            try Self.loaded("identity.keystone") { () throws(TLSFault) in try KeystoneClient(keystone) }
        }
        lentKeystone = self.keystone.map { .passUnretained($0) }
        self.limitStore = try limitStore.map { store in
            let context = try store.settings.tls.map { tls in
                try Self.loaded("limits.redis") { () throws(TLSFault) in
                    try tls.makeContext(offersHTTP2: false)
                }
            }
            return (store, context)
        }
        var listenerTLS: [SocketAddress: TLSContext] = [:]
        for listener in settings.listeners {
            guard let tls = listener.tls else { continue }
            let keys = ticketKeys[listener.address] ?? tls.makeTicketKeys()
            listenerTLS[listener.address] = try Self.loaded("listener \(listener.address)") {
                () throws(TLSFault) in
                try tls.makeContext(tickets: keys, offersHTTP2: settings.http2 != nil)
            }
        }
        self.listenerTLS = listenerTLS
        limits = HeadLimits(
            headByteCount: settings.http.maxHeadByteCount, targetByteCount: settings.http.maxTargetByteCount,
            fieldCount: settings.http.maxFieldCount)
        http2Limits = settings.http2.map {
            HTTP2Limits($0, headByteCount: settings.http.maxHeadByteCount)
        }
        trustedProxies = settings.http.trustedProxies
        headNanoseconds = settings.http.headTimeout.nanoseconds
        contentProgressNanoseconds = settings.http.contentProgressTimeout.nanoseconds
        idleNanoseconds = settings.http.idleTimeout.nanoseconds
        lists = settings.cache.map {
            (
                $0.lists.fresh.nanoseconds, $0.lists.staleWhileRevalidate.nanoseconds,
                $0.lists.staleIfError.nanoseconds
            )
        }
        foldNanoseconds = settings.audit?.fold.nanoseconds ?? 0
        via = Content(text: settings.http.via)
        viaLine = Content(text: "Via: 1.1 \(settings.http.via)\r\n")
        http2ViaLine = Content(text: "Via: 2.0 \(settings.http.via)\r\n")
        viaEnd = Content(text: "Via: 1.1 \(settings.http.via)\r\n\r\n")
        http2ViaEnd = Content(text: "Via: 2.0 \(settings.http.via)\r\n\r\n")
        cacheStatusStart = Content(text: "Cache-Status: \(settings.http.via)")
        // Last, since nobody would give it back where one of the others throws.
        sites = .frozen(compiled.map { .passUnretained($0) })
    }

    deinit { sites.deallocate() }

    private static func loaded<Value>(
        _ name: String, _ load: () throws(TLSFault) -> Value
    ) throws(ServiceError) -> Value {
        do { return try load() } catch { throw ServiceError("\(name): \(error.reason)") }
    }

    private static func virtualInterfaces(
        _ api: Settings.API, _ table: OperationTable
    ) throws -> VirtualInterfaces.Operations {
        guard let operations = VirtualInterfaces.Operations(in: table) else {
            throw ServiceError("\(api.definition): \(VirtualInterfaces.missing)")
        }
        return operations
    }

    /// What is wrong with certificates that serve all the same.
    var tlsWarnings: [String] { listenerTLS.values.flatMap(\.warnings).sorted() }

    /// Everything this worker connects to.
    var endpoints: [Endpoint] {
        apis.flatMap { $0.upstream.endpoints } + (keystone?.pool.endpoints ?? [])
    }

    /// What reading the settings brought from outside: an API's definition and its endpoints' addresses.
    struct Source: Sendable {
        let definition: Definition
        let addresses: [Settings.Endpoint: [SocketAddress]]
    }
}

extension Content {
    convenience init(text: String) {
        var text = text
        let copied = text.withUTF8 { Content($0) }
        self.init(copied.bytes)
        withExtendedLifetime(copied) {}
    }
}
