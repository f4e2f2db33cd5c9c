internal import Bytes

/// The commands with which a connection begins, and those that find the server.
struct RedisSetup {
    /// `AUTH`, where the settings have a password.
    let authenticate: [UInt8]?
    /// `SELECT`, where it is not database 0, the only one that a cluster has.
    let select: [UInt8]?
    /// Where Sentinels name the server: what they say may be old.
    let role: [UInt8]?
    let master: [UInt8]?
    let nodes: [UInt8]

    init(_ settings: Settings.Redis) {
        func made(_ arguments: [String]) -> [UInt8] {
            guard let command = RedisCommand(arguments) else { preconditionFailure("no memory") }
            return command.bytes
        }
        authenticate = settings.password.map {
            made(["AUTH"] + (settings.username.map { [$0] } ?? []) + [$0])
        }
        select = settings.database == 0 ? nil : made(["SELECT", "\(settings.database)"])
        role = settings.master == nil ? nil : made(["ROLE"])
        master = settings.master.map { made(["SENTINEL", "get-master-addr-by-name", $0]) }
        nodes = made(["CLUSTER", "SLOTS"])
    }

    /// What goes before a command for a node that does not have the slot yet.
    static let asking = Array("*1\r\n$6\r\nASKING\r\n".utf8)
}

extension [NetworkAddress] {
    /// Remembers where a node of a cluster is; 32 in all.
    ///
    /// - Returns: its index.
    mutating func remember(_ address: NetworkAddress) -> Int {
        if let index = firstIndex(of: address) { return index }
        if count >= 32 { removeLast() }
        append(address)
        return count - 1
    }
}

extension RedisReply {
    /// Whether it is a master's answer to `ROLE`.
    var isOfMaster: Bool { text(1).equals("master") }

    /// The master that a Sentinel names; nil when it knows none of that name.
    ///
    /// - Source: `SENTINEL get-master-addr-by-name`: host and port, or null.
    var master: NetworkAddress? {
        guard elementCount() == 2, let number = Decimal.read(text(2)), let port = UInt16(exactly: number),
            port > 0, !text(1).isEmpty
        else { return nil }
        return NetworkAddress(host: text(1).string, port: port)
    }

    /// Gives every node of a cluster that is named in it, said by the one at `host`; nothing when it is no cluster's reply.
    ///
    /// - Source: `CLUSTER SLOTS`: of each range its first and last slot, then nodes as host, port, id and more.
    func forEachNode(from host: String, _ body: (NetworkAddress) -> Void) {
        var range = 1
        for _ in 0..<elementCount() {
            let end = end(of: range)
            // Past the array itself and its two numbers.
            var node = range + 3
            while node < end {
                if elementCount(node) >= 2, let number = integer(node + 2),
                    let port = UInt16(exactly: number),
                    port > 0
                {
                    let name = text(node + 1)
                    if name.count < 256, !name.equals("?") {
                        body(RedisRedirect(host: name.string, port: port).address(from: host))
                    }
                }
                node = self.end(of: node)
            }
            range = end
        }
    }
}
