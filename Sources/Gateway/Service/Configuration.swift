internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

/// The settings compiled for one worker: nothing in it is shared with another loop, so no reference count is either.
///
/// A reload makes a new one; the old one lives until its last exchange and connection have ended.
final class Configuration {
    struct API {
        let table: OperationTable
        let validation: Settings.ValidationMode
        let upstream: UpstreamPool
        /// Tells the upstream who asks, besides the token.
        let sendsIdentity: Bool
        /// The operations whose answers are translated; nil where all are passed on.
        let virtualInterfaces: VirtualInterfaces.Operations?
        /// Index of its first operation among those of all APIs, for counters.
        let firstOperation: Int
    }

    let settings: Settings
    let apis: [API]
    let tokens: TokenTable?
    let keystone: KeystoneClient?
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
    let operationCount: Int
    /// Exchanges that began under it and are not over.
    var exchangeCount = 0

    /// - Parameter keystone: what all workers share of it, where the provider is `keystone`.
    init(_ settings: Settings, definitions: [Source], keystone: Keystone? = nil) throws {
        self.settings = settings
        var compiled: [API] = []
        var operationCount = 0
        for (api, source) in zip(settings.apis, definitions) {
            let endpoints = api.upstream.endpoints.map { endpoint in
                Endpoint(url: endpoint.url, addresses: source.addresses[endpoint] ?? [])
            }
            let table = try OperationTable.compile(
                source.definition, file: api.definition, profile: api.validation.profile)
            compiled.append(
                API(
                    table: table, validation: api.validation.mode,
                    upstream: UpstreamPool(api.upstream, endpoints: endpoints),
                    sendsIdentity: api.upstream.sendsIdentity,
                    virtualInterfaces: api.virtualInterfaces == .translate
                        ? try Self.virtualInterfaces(api, table) : nil,
                    firstOperation: operationCount))
            operationCount += table.operations.count
        }
        apis = compiled
        self.operationCount = operationCount
        switch settings.identity.provider {
        case .static:
            tokens = TokenTable(settings.identity.staticTokens, adminRoles: settings.identity.adminRoles)
        case .keystone, .none: tokens = nil
        }
        self.keystone = keystone.map { KeystoneClient($0) }
        limits = HeadLimits(
            headByteCount: settings.http.maxHeadByteCount, targetByteCount: settings.http.maxTargetByteCount,
            fieldCount: settings.http.maxFieldCount)
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
        via = Content(text: settings.http.via)
        viaLine = Content(text: "Via: 1.1 \(settings.http.via)\r\n")
        http2ViaLine = Content(text: "Via: 2.0 \(settings.http.via)\r\n")
    }

    private static func virtualInterfaces(
        _ api: Settings.API, _ table: OperationTable
    ) throws -> VirtualInterfaces.Operations {
        guard let operations = VirtualInterfaces.Operations(in: table) else {
            throw ServiceError("\(api.definition): \(VirtualInterfaces.missing)")
        }
        return operations
    }

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
