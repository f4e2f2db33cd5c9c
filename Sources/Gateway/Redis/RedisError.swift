internal import Bytes

/// What an error reply means for whoever asked.
///
/// - Source: the error prefixes of Redis 5 to 7; «Redis cluster specification», redirection and resharding.
enum RedisError: UInt8 {
    /// The script is not there: it has to be sent whole.
    case noScript
    /// The key's slot is another node's, for good.
    case moved
    /// The key's slot is on its way to another node, which has to be asked this once.
    case ask
    /// The slot's keys are on two nodes just now; it is over soon.
    case tryAgain
    /// This server cannot do it, or not now, whatever is asked: a replica, one that loads, is full, or wants credentials.
    case unusable
    /// The command itself was wrong.
    case other

    init(_ text: ByteView) {
        if text.starts(with: "NOSCRIPT") {
            self = .noScript
        } else if text.starts(with: "MOVED ") {
            self = .moved
        } else if text.starts(with: "ASK ") {
            self = .ask
        } else if text.starts(with: "TRYAGAIN") {
            self = .tryAgain
        } else if Self.isUnusable(text) {
            self = .unusable
        } else {
            self = .other
        }
    }

    /// An error reply in words, for the log: its first 200 bytes.
    static func words(_ text: ByteView) -> String {
        text.count <= 200 ? text.string : text.view(0, 200).string + "…"
    }

    /// Why credentials were refused, for the log: without anything of them.
    ///
    /// - Shape: up to the first quote, since a server that does not know the command says with which arguments it came.
    static func refusal(_ text: ByteView) -> String {
        let end = text.firstIndex { $0 == 0x22 || $0 == 0x27 || $0 == 0x60 } ?? text.count
        return "AUTH: " + words(text.view(0, end).trimmed())
    }

    /// Before Redis 7 what a script met stands within the text of an `ERR`.
    private static func isUnusable(_ text: ByteView) -> Bool {
        if text.starts(with: "ERR") {
            return text.contains("-READONLY ") || text.contains("-OOM ") || text.contains("-MISCONF ")
                || text.contains("-NOREPLICAS ") || text.contains("max number of clients")
        }
        return text.starts(with: "READONLY") || text.starts(with: "LOADING")
            || text.starts(with: "MASTERDOWN")
            || text.starts(with: "CLUSTERDOWN") || text.starts(with: "OOM ") || text.starts(with: "MISCONF")
            || text.starts(with: "NOREPLICAS") || text.starts(with: "NOAUTH") || text.starts(with: "NOPERM")
            || text.starts(with: "WRONGPASS") || text.starts(with: "BUSY") || text.starts(with: "DENIED")
    }
}

/// Where an error reply sends a command to.
struct RedisRedirect: Equatable {
    /// Empty for the host that said so.
    var host: String
    var port: UInt16

    /// Reads `MOVED 3999 127.0.0.1:6381` and `ASK 3999 127.0.0.1:6381`; nil when it says nothing of use.
    ///
    /// - Shape: the last colon is before the port, IPv6 has no brackets. Since Redis 7 the host may be a name, empty, or `?`
    ///   where the node does not know it.
    init?(_ text: ByteView) {
        guard let space = text.lastIndex(of: 0x20) else { return nil }
        let place = text.view(space + 1, text.count - space - 1)
        guard let colon = place.lastIndex(of: 0x3A),
            let number = Decimal.read(place.view(colon + 1, place.count - colon - 1)),
            let port = UInt16(exactly: number), port > 0, colon < 256
        else { return nil }
        let host = place.view(0, colon)
        guard !host.equals("?") else { return nil }
        self.host = host.string
        self.port = port
    }

    init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Where that is, said by the server at `host`.
    func address(from host: String) -> NetworkAddress {
        NetworkAddress(host: self.host.isEmpty ? host : self.host, port: port)
    }
}
