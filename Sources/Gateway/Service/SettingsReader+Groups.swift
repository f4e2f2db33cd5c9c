internal import Foundation
internal import Glibc
internal import Logging
internal import OpenStack
internal import Yams

/// The range of every time limit. The lower end is the coarse timer's step.
let timeLimits: ClosedRange<Duration> = .milliseconds(10) ... .seconds(86_400)

extension SettingsReading {
    /// Reads every group; mistakes leave defaults behind, which nobody sees because any mistake refuses the
    /// file.
    func settings(_ root: SettingsMapping) -> Settings {
        var settings = Settings()
        let listeners = listeners(root)
        settings.listeners = listeners.map(\.listener)
        settings.admin = admin(root, besides: listeners)
        settings.workers = root.count("workers", in: 1...256, or: settings.workers)
        settings.drainTimeout = root.duration(
            "drain_timeout", in: .zero ... .seconds(3_600), or: settings.drainTimeout)
        settings.http = messageLimits(root)
        settings.http2 = root.subgroupUnlessOff("http2", .http2).map(http2)
        settings.apis = apis(root)
        let mistakeCount = mistakes.count
        settings.identity = identity(root)
        let knowsIdentities = mistakes.count == mistakeCount ? settings.identity.provider != .none : nil
        settings.limits = limits(root.subgroup("limits", .limits), knowsIdentities: knowsIdentities)
        settings.cache = root.subgroupUnlessOff("cache", .cache).map(cache)
        if root.node("access_log") != nil {
            settings.accessLog = root.subgroupUnlessOff("access_log", .accessLog).flatMap(accessLog)
        }
        if root.node("audit") != nil {
            settings.audit = root.subgroupUnlessOff("audit", .audit).flatMap {
                audit($0, besides: settings.accessLog)
            }
        }
        let log = root.subgroup("log", .log)
        settings.log.level =
            log.word("level", among: Logger.Level.allCases.map { ($0.rawValue, $0) }) ?? settings.log.level
        return settings
    }

    private func listeners(_ root: SettingsMapping) -> [(listener: Settings.Listener, mark: Mark?)] {
        var listeners: [(listener: Settings.Listener, mark: Mark?)] = []
        for item in root.items("listeners", limit: 64, isRequired: true) {
            let group = SettingsMapping(item, .listener, "listeners", self)
            guard let node = group.requiredNode("address"),
                let address = scalar(node, "address", SettingsScalars.listenAddress)
            else { continue }
            // Port 0 is another port each time.
            if address.port != 0, listeners.contains(where: { $0.listener.address == address }) {
                add(node.mark, "`address`: \(Self.written(node)) is listened on already")
            }
            let tls = group.node("tls").flatMap { serverTLS(SettingsMapping($0, .serverTLS, "tls", self)) }
            // The kernel chooses the ports, but it is by this address that `tls` is found.
            if address.port == 0,
                listeners.contains(where: { $0.listener.address == address && $0.listener.tls != tls })
            {
                add(node.mark, "`address`: \(Self.written(node)) is there already, with another `tls`")
            }
            listeners.append((Settings.Listener(address: address, tls: tls), node.mark))
        }
        return listeners
    }

    private func admin(
        _ root: SettingsMapping, besides listeners: [(listener: Settings.Listener, mark: Mark?)]
    ) -> Settings.Admin {
        var admin = Settings.Admin()
        let group = root.subgroup("admin", .admin)
        if let address = group.scalar("address", SettingsScalars.listenAddress) { admin.address = address }
        if admin.address.port != 0,
            let same = listeners.first(where: { $0.listener.address == admin.address })
        {
            if let node = group.node("address") {
                add(node.mark, "`address`: \(Self.written(node)) is a listener's already")
            } else {
                add(same.mark, "`address`: this is the admin listener's, unless `admin` has another")
            }
        }
        return admin
    }

    private func messageLimits(_ root: SettingsMapping) -> Settings.MessageLimits {
        var limits = Settings.MessageLimits()
        let group = root.subgroup("http", .http)
        limits.maxHeadByteCount = group.byteCount(
            "max_head_size", in: 1_024...1 << 18, or: limits.maxHeadByteCount)
        limits.maxTargetByteCount = group.byteCount(
            "max_target_size", in: 64...1 << 18, or: limits.maxTargetByteCount)
        if limits.maxTargetByteCount > limits.maxHeadByteCount {
            let mark = (group.node("max_target_size") ?? group.node("max_head_size"))?.mark
            add(mark, "`max_target_size` is larger than `max_head_size`")
        }
        limits.maxFieldCount = group.count("max_fields", in: 8...1_000, or: limits.maxFieldCount)
        limits.headTimeout = group.duration("head_timeout", in: timeLimits, or: limits.headTimeout)
        limits.contentProgressTimeout = group.duration(
            "content_progress_timeout", in: timeLimits, or: limits.contentProgressTimeout)
        limits.idleTimeout = group.duration("idle_timeout", in: timeLimits, or: limits.idleTimeout)
        limits.maxConnectionCount = group.count(
            "max_connections", in: 1...1 << 20, or: limits.maxConnectionCount)
        for item in group.items("trusted_proxies", limit: 256, isRequired: false) {
            guard let block = scalar(item, "trusted_proxies", SettingsScalars.block) else { continue }
            if limits.trustedProxies.contains(block) {
                add(item.mark, "`trusted_proxies`: \(Self.written(item)) is there already")
            }
            limits.trustedProxies.append(block)
        }
        limits.via =
            group.scalar("via") { text throws(ScalarMistake) in
                guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(Self.isTokenByte) else {
                    throw ScalarMistake(reason: "is not a token of 1 to 64 characters (RFC 9110 §5.6.2)")
                }
                return text
            } ?? limits.via
        return limits
    }

    private func apis(_ root: SettingsMapping) -> [Settings.API] {
        var apis: [Settings.API] = []
        for item in root.items("apis", limit: 64, isRequired: true) {
            let group = SettingsMapping(item, .api, "apis", self)
            let definitionNode = group.requiredNode("definition")
            let definition = definitionNode.flatMap { scalar($0, "definition", readableFile) }
            let overlay = group.node("overlay").flatMap { scalar($0, "overlay", readableFile) }
            var upstream = Settings.Upstream(endpoints: [])
            if let node = group.requiredNode("upstream") {
                upstream = self.upstream(SettingsMapping(node, .upstream, "upstream", self))
            }
            let virtualInterfaces = group.word(
                "virtual_interfaces",
                among: Settings.VirtualInterfaceSource.allCases.map { ($0.rawValue, $0) })
            guard let definition else { continue }
            if apis.contains(where: { $0.definition == definition }) {
                add(definitionNode?.mark, "`definition`: this file is another API's definition already")
            }
            var api = Settings.API(definition: definition, overlay: overlay, upstream: upstream)
            api.validation = validation(group.subgroup("validation", .validation))
            api.virtualInterfaces = virtualInterfaces ?? api.virtualInterfaces
            apis.append(api)
        }
        return apis
    }

    private func validation(_ group: SettingsMapping) -> Settings.Validation {
        var validation = Settings.Validation()
        validation.mode =
            group.word("mode", among: Settings.ValidationMode.allCases.map { ($0.rawValue, $0) })
            ?? validation.mode
        validation.profile =
            group.word("profile", among: RuleProfile.allCases.map { ($0.rawValue, $0) }) ?? validation.profile
        return validation
    }

    private func cache(_ group: SettingsMapping) -> Settings.Cache {
        var cache = Settings.Cache()
        cache.maxByteCount = group.byteCount("max_size", in: 1 << 20...1 << 40, or: cache.maxByteCount)
        let objectFallback = min(cache.maxObjectByteCount, cache.maxByteCount)
        cache.maxObjectByteCount = group.byteCount("max_object_size", in: 1_024...1 << 30, or: objectFallback)
        if cache.maxObjectByteCount > cache.maxByteCount {
            add(group.node("max_object_size")?.mark, "`max_object_size` is larger than `max_size`")
        }
        let lists = group.subgroup("lists", .lists)
        let range: ClosedRange<Duration> = .zero ... .seconds(86_400)
        cache.lists.fresh = lists.duration("fresh", in: range, or: cache.lists.fresh)
        cache.lists.staleWhileRevalidate = lists.duration(
            "stale_while_revalidate", in: range, or: cache.lists.staleWhileRevalidate)
        cache.lists.staleIfError = lists.duration("stale_if_error", in: range, or: cache.lists.staleIfError)
        return cache
    }

    private func accessLog(_ group: SettingsMapping) -> Settings.AccessLog? {
        group.requiredNode("path").flatMap { node in
            scalar(node, "path") { text throws(ScalarMistake) in
                Settings.AccessLog(path: try fileToAppendTo(text))
            }
        }
    }

    /// The path of a file that is there, or can be made where it would be.
    func fileToAppendTo(_ text: String) throws(ScalarMistake) -> String {
        let path = try path(text)
        let parent = (path as NSString).deletingLastPathComponent
        guard FileContent.isDirectory(parent) else {
            throw ScalarMistake(reason: "is in no existing directory")
        }
        guard !FileContent.isDirectory(path) else { throw ScalarMistake(reason: "is a directory") }
        return path
    }

    /// An absolute path; a relative one starts at the settings file's directory.
    private func path(_ text: String) throws(ScalarMistake) -> String {
        guard !text.isEmpty, text.utf8.count <= 4_096, !text.utf8.contains(0) else {
            throw ScalarMistake(reason: "is not a path")
        }
        return FileContent.absolutePath(text, in: directory)
    }

    func readableFile(_ text: String) throws(ScalarMistake) -> String {
        let path = try path(text)
        guard access(path, F_OK) == 0 else { throw ScalarMistake(reason: "does not exist (\(path))") }
        guard FileContent.isRegularFile(path) else { throw ScalarMistake(reason: "is not a regular file") }
        guard access(path, R_OK) == 0 else { throw ScalarMistake(reason: "cannot be read: no permission") }
        return path
    }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
