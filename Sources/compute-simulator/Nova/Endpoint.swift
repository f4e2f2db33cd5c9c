/// One method on one path of the compute API.
///
/// - Shape: `{}` in the path is a parameter. Outside `versions` the answer is 404 in Nova's own form.
/// - Limits: `queryNames` with `strictFrom`: from that minor on other names are refused with 400.
struct Endpoint: Sendable {
    typealias Answer = @Sendable (Call) throws(NovaFault) -> Response

    let method: String
    let segments: [Substring]
    let versions: ClosedRange<Int>
    let strictFrom: Int
    let queryNames: Set<String>
    /// Whether names with a leading underscore or of joined tables pass the strict check, as on the server
    /// lists.
    let isLenient: Bool
    let answer: Answer

    private static let joined: Set<String> = [
        "block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups",
        "pci_devices",
    ]

    init(
        _ method: String, _ path: String, since: Int = 1, until: Int = .max, strictFrom: Int = 102,
        query: Set<String> = [], isLenient: Bool = false, _ answer: @escaping Answer
    ) {
        self.method = method
        segments = path.split(separator: "/")
        versions = since...until
        self.strictFrom = strictFrom
        queryNames = query
        self.isLenient = isLenient
        self.answer = answer
    }

    /// The parameters of `path` when it matches, else nil.
    func match(_ path: [String]) -> [String]? {
        guard path.count == segments.count else { return nil }
        var parameters: [String] = []
        for (segment, given) in zip(segments, path) {
            if segment == "{}" { parameters.append(given) } else if segment != given { return nil }
        }
        return parameters
    }

    /// Refuses query names that are not known, where the version is strict about them.
    func checkNames(_ query: [(name: String, value: String)], minor: Int) throws(NovaFault) {
        guard method == "GET", minor >= strictFrom else { return }
        var unknown: [String] = []
        for pair in query where !queryNames.contains(pair.name) && !unknown.contains(pair.name) {
            if isLenient, pair.name.hasPrefix("_") || Self.joined.contains(pair.name) { continue }
            unknown.append(pair.name)
        }
        guard !unknown.isEmpty else { return }
        let list = unknown.map { JSONValue.string($0).pythonText }.joined(separator: ", ")
        guard !isLenient else {
            throw .badRequest(
                "\(list) \(unknown.count == 1 ? "does" : "do") not match any of the regexes: '^_'")
        }
        throw .badRequest(
            "Additional properties are not allowed (\(list) \(unknown.count == 1 ? "was" : "were") "
                + "unexpected)"
        )
    }
}
