internal import Loop
internal import OpenStack

/// Why a scalar is not what its setting needs; the reason continues the sentence «`key`: …».
struct ScalarMistake: Error {
    var reason: String
    /// Whether the value may hold a secret and is not to be shown.
    var hidesValue = false
}

/// Reads the scalar forms of the settings file: durations, sizes, addresses, endpoints, CIDR blocks, moments.
enum SettingsScalars {
    /// A whole number with `ms`, `s`, `m` or `h`, as `5s`.
    static func duration(_ text: String) throws(ScalarMistake) -> Duration {
        let (number, unit) = split(text)
        let milliseconds: Int
        switch unit {
        case "ms": milliseconds = 1
        case "s": milliseconds = 1_000
        case "m": milliseconds = 60_000
        case "h": milliseconds = 3_600_000
        case "" where number == 0: milliseconds = 0
        default:
            throw ScalarMistake(reason: "is not a duration: write a whole number and ms, s, m or h, as 5s")
        }
        guard let number else {
            throw ScalarMistake(reason: "is not a duration: write a whole number and ms, s, m or h, as 5s")
        }
        let (product, hasOverflowed) = number.multipliedReportingOverflow(by: milliseconds)
        guard !hasOverflowed else { throw ScalarMistake(reason: "is too long") }
        return .milliseconds(product)
    }

    /// A whole number of bytes, or one with `KiB`, `MiB` or `GiB`.
    static func byteCount(_ text: String) throws(ScalarMistake) -> Int {
        let (number, unit) = split(text)
        let shift: Int
        switch unit {
        case "", "B": shift = 0
        case "KiB": shift = 10
        case "MiB": shift = 20
        case "GiB": shift = 30
        default:
            throw ScalarMistake(
                reason: "is not a size: write a whole number and KiB, MiB or GiB, or bytes alone")
        }
        guard let number else {
            throw ScalarMistake(
                reason: "is not a size: write a whole number and KiB, MiB or GiB, or bytes alone")
        }
        let (product, hasOverflowed) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !hasOverflowed else { throw ScalarMistake(reason: "is too large") }
        return product
    }

    /// A whole number without a sign.
    static func count(_ text: String) throws(ScalarMistake) -> Int {
        let (number, unit) = split(text)
        guard let number, unit.isEmpty else { throw ScalarMistake(reason: "is not a whole number") }
        return number
    }

    /// YAML 1.1's words for true and false.
    static func bool(_ text: String) throws(ScalarMistake) -> Bool {
        switch text.lowercased() {
        case "on", "true", "yes": return true
        case "off", "false", "no": return false
        default: throw ScalarMistake(reason: "is neither on nor off")
        }
    }

    /// An IP address and a port to listen on; port 0 lets the kernel choose.
    static func listenAddress(_ text: String) throws(ScalarMistake) -> SocketAddress {
        let address = try hostAndPort(text, defaultPort: nil)
        guard let ip = IPAddress(parsing: address.host) else {
            throw ScalarMistake(reason: "is not an IP address and a port, as 127.0.0.1:8774 or [::1]:8774")
        }
        return SocketAddress(ip: ip, port: address.port)
    }

    /// An upstream endpoint: `http://` or `https://`, a host or IP address, a port unless it is the scheme's, nothing
    /// more.
    static func endpoint(_ text: String) throws(ScalarMistake) -> Settings.Endpoint {
        let lowered = text.lowercased()
        let usesTLS = lowered.hasPrefix("https://")
        guard usesTLS || lowered.hasPrefix("http://") else {
            throw ScalarMistake(reason: "is not an endpoint: write http://host:port or https://host:port")
        }
        let scheme = usesTLS ? "https://" : "http://"
        var rest = text.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.contains("@") else {
            throw ScalarMistake(reason: "has a user name or password; an endpoint has none", hidesValue: true)
        }
        if rest.contains(where: { $0 == "/" || $0 == "?" || $0 == "#" }) {
            throw ScalarMistake(reason: "has a path or a query; the definition has the paths")
        }
        let address = try hostAndPort(String(rest), defaultPort: usesTLS ? 443 : 80)
        guard address.port != 0 else {
            throw ScalarMistake(reason: "has port 0, to which nothing can connect")
        }
        return Settings.Endpoint(address: address, url: scheme + rest, usesTLS: usesTLS)
    }

    /// The name that a certificate is to have: a host name or an IP address without brackets.
    static func serverName(_ text: String) throws(ScalarMistake) -> String {
        guard isHostName(Substring(text)) || IPAddress(parsing: text) != nil else {
            throw ScalarMistake(reason: "is neither a host name nor an IP address")
        }
        return text
    }

    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    static func block(_ text: String) throws(ScalarMistake) -> AddressBlock {
        if let block = AddressBlock(parsing: text) { return block }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(parsing: String(parts[0])) else {
            throw ScalarMistake(reason: "is not an address block, as 10.0.0.0/8, fd00::/8 or one IP address")
        }
        let (number, unit) = split(parts.count == 2 ? String(parts[1]) : "")
        guard let number, unit.isEmpty, number <= address.bitCount else {
            throw ScalarMistake(reason: "has a prefix that is not 0 to \(address.bitCount)")
        }
        throw ScalarMistake(reason: "has bits set after its prefix of \(number)")
    }

    /// Seconds since 1970 of `2030-01-31T12:00:00Z`; only whole seconds and UTC, as Keystone writes them.
    static func moment(_ text: String) throws(ScalarMistake) -> Int64 {
        guard text.utf8.count == 20, let seconds = UTCTime.seconds(text.utf8) else {
            throw ScalarMistake(reason: "is not a moment in UTC, as 2030-01-31T12:00:00Z")
        }
        return seconds
    }

    /// `host:port` or `[IPv6]:port`.
    static func hostAndPort(_ text: String, defaultPort: UInt16?) throws(ScalarMistake)
        -> NetworkAddress
    {
        var host: Substring
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw ScalarMistake(reason: "has no `]`") }
            host = text[text.index(after: text.startIndex)..<end]
            guard IPAddress(parsing: String(host))?.family == .v6 else {
                throw ScalarMistake(reason: "has no IPv6 address in its brackets")
            }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw ScalarMistake(reason: "has no port after `]`")
            }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else {
                throw ScalarMistake(reason: "needs brackets around its IPv6 address")
            }
            host = parts[0]
            port = parts.count == 2 ? parts[1] : nil
            guard isHostName(host) else { throw ScalarMistake(reason: "has no host that could be one") }
        }
        guard let port else {
            guard let defaultPort else { throw ScalarMistake(reason: "has no port") }
            return NetworkAddress(host: String(host), port: defaultPort)
        }
        let (number, unit) = split(String(port))
        guard let number, unit.isEmpty, let value = UInt16(exactly: number) else {
            throw ScalarMistake(reason: "has a port that is not 0 to 65535")
        }
        return NetworkAddress(host: String(host), port: value)
    }

    /// Whether `host` can be an IPv4 address or a host name (RFC 1123 §2.1, with the underscore of container
    /// names).
    private static func isHostName(_ host: Substring) -> Bool {
        guard !host.isEmpty, host.utf8.count <= 253 else { return false }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.utf8.count <= 63 && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
                    default: false
                    }
                }
        }
    }

    /// The leading digits as a number, nil when there are none, and what follows them.
    private static func split(_ text: String) -> (number: Int?, unit: String) {
        let digits = text.utf8.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        // Too many digits for a number are the largest number, which no setting allows.
        let number = digits.isEmpty ? nil : Int(Substring(digits)) ?? .max
        return (number, String(text[digits.endIndex...]))
    }
}
