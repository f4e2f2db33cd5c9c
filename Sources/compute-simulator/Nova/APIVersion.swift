/// What the two version fields of a request resolve to.
enum VersionChoice: Equatable {
    /// A minor version of 2 between 1 and the newest.
    case minor(Int)
    /// A well-formed version that is not served, as it was asked for.
    case outOfRange(String)
    case malformed(String)

    static let newestMinor = 104

    /// Resolves the version of `request`.
    ///
    /// - Shape: the last `compute` member of `OpenStack-API-Version` wins, then
    ///   `X-OpenStack-Nova-API-Version`, then 2.1.
    /// - Source: facts measured on a running Nova (microversion-parse).
    static func resolve(_ request: Request) -> VersionChoice {
        var asked: String?
        for line in request.values("openstack-api-version") {
            for member in line.split(separator: ",") {
                let words = member.split(separator: " ", maxSplits: 1)
                if words.count == 2, words[0].lowercased() == "compute" {
                    asked = String(words[1]).trimmed
                }
            }
        }
        if asked == nil {
            asked = request.values("x-openstack-nova-api-version").last.map { line in
                String(line.split(separator: ",", omittingEmptySubsequences: false).last ?? "").trimmed
            }
        }
        guard let asked else { return .minor(1) }
        if asked == "latest" { return .minor(newestMinor) }
        let parts = asked.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, isNumber(parts[0], mayBeZero: false), isNumber(parts[1], mayBeZero: true)
        else {
            return .malformed(asked)
        }
        guard parts[0] == "2", let minor = Int(parts[1]), (1...newestMinor).contains(minor) else {
            return .outOfRange(asked)
        }
        return .minor(minor)
    }

    private static func isNumber(_ text: Substring, mayBeZero: Bool) -> Bool {
        guard let first = text.utf8.first, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            return false
        }
        return first != 0x30 || (mayBeZero && text == "0")
    }
}

extension String {
    /// The text without spaces and tabs at both ends.
    var trimmed: String {
        let isSpace = { (character: Character) in character == " " || character == "\t" }
        return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }
}

/// Where links in answers point, as the request's own fields say.
///
/// - Source: oslo.middleware `http_proxy_to_wsgi` with `enable_proxy_headers_parsing`: `Forwarded` wins over
///   the
///   `X-Forwarded-*` fields, the first element counts, nothing is checked.
struct LinkBase: Equatable {
    var scheme = "http"
    var host = "127.0.0.1"
    var prefix = ""

    init(_ request: Request) {
        if let value = request.value("host") { host = value }
        if let forwarded = request.value("forwarded"), let element = forwarded.split(separator: ",").first {
            for pair in element.split(separator: ";") {
                let sides = pair.split(separator: "=", maxSplits: 1).map { String($0).trimmed }
                guard sides.count == 2 else { continue }
                let value = sides[1].filter { $0 != "\"" }
                if sides[0].lowercased() == "proto" { scheme = value }
                if sides[0].lowercased() == "host" { host = value }
            }
        } else {
            if let value = request.value("x-forwarded-proto") { scheme = value }
            if let value = request.value("x-forwarded-host") { host = value }
        }
        if let value = request.value("x-forwarded-prefix") { prefix = value }
    }

    var text: String { "\(scheme)://\(host)\(prefix)" }
}
