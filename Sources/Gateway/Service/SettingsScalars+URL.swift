internal import Loop

/// The URL of a service that may have a user name and a password in it.
struct ServiceURL {
    /// One of those asked for, in lower case.
    var scheme: String
    var username: String?
    var password: String?
    /// With its port, if it has one; not looked at yet.
    var host: String
    /// What stands behind it, with the slash.
    var path: Substring
    /// Whatever is wrong with it, it may hold a password.
    var hidesValue: Bool
}

extension SettingsScalars {
    /// `scheme://user:password@host:port/path`; all but scheme and host may be left out.
    ///
    /// - Parameter wrong: what is to be said of one with another scheme.
    /// - Source: RFC 3986 §3.2; what is special in a user name or a password is percent-encoded.
    static func urlParts(
        _ text: String, schemes: [String], wrong: String
    ) throws(ScalarMistake) -> ServiceURL {
        let hidesValue = text.contains("@")
        let lowered = text.lowercased()
        guard let scheme = schemes.first(where: { lowered.hasPrefix($0 + "://") }) else {
            throw ScalarMistake(reason: wrong, hidesValue: hidesValue)
        }
        let rest = text.dropFirst(scheme.count + 3)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        var host = rest[..<end]
        var url = ServiceURL(scheme: scheme, host: "", path: rest[end...], hidesValue: hidesValue)
        if let at = host.lastIndex(of: "@") {
            let parts = host[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            url.username = parts[0].isEmpty ? nil : try decodedCredentialPart(parts[0])
            url.password = parts.count == 1 ? nil : try decodedCredentialPart(parts[1])
            host = host[host.index(after: at)...]
        }
        url.host = String(host)
        return url
    }

    /// A host and a port that is not 0.
    static func addressToConnectTo(
        _ text: String, defaultPort: UInt16, hidesValue: Bool
    ) throws(ScalarMistake) -> NetworkAddress {
        do throws(ScalarMistake) {
            let address = try hostAndPort(text, defaultPort: defaultPort)
            guard address.port != 0 else {
                throw ScalarMistake(reason: "has port 0, to which nothing can connect")
            }
            return address
        } catch {
            throw ScalarMistake(reason: error.reason, hidesValue: hidesValue || error.hidesValue)
        }
    }

    /// A user name or a password: 1 to 1,024 bytes without NUL.
    static func credentialPart(_ text: String) throws(ScalarMistake) -> String {
        guard (1...1_024).contains(text.utf8.count), !text.utf8.contains(0) else {
            throw ScalarMistake(reason: "is not 1 to 1024 bytes, none of them NUL")
        }
        return text
    }

    private static func decodedCredentialPart(_ text: Substring) throws(ScalarMistake) -> String {
        let decoded = try percentDecoded(text, of: "user name or password")
        do throws(ScalarMistake) {
            return try credentialPart(decoded)
        } catch {
            throw ScalarMistake(
                reason: "has a user name or password that \(error.reason)", hidesValue: true)
        }
    }

    /// RFC 3986 §2.1; what stands for no UTF-8 is none.
    ///
    /// - Parameter name: what `text` is, for a mistake, which hides it.
    static func percentDecoded(_ text: Substring, of name: String) throws(ScalarMistake) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(Substring(rest.prefix(2)))
            guard digits.utf8.count == 2, !digits.hasPrefix("+"), !digits.hasPrefix("-"),
                let value = UInt8(digits, radix: 16)
            else {
                throw ScalarMistake(
                    reason: "has a % without two hexadecimal digits in its \(name); % itself is %25",
                    hidesValue: true)
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw ScalarMistake(reason: "has a \(name) that is not UTF-8", hidesValue: true)
        }
        return decoded
    }
}
