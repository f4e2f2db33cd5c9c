/// Reads the limits of Repose's `rate-limiting.cfg.xml`.
///
/// - Source: Repose's documentation of its filter `rate-limiting`, and the schema of its settings.
struct ReposeImport {
    private let file: String
    private var result: ImportResult
    private var usesCaptureGroups = true
    private var limitCount = 0

    /// Limits of a file, each of which is tried against all operations.
    static let maxLimitCount = 1_000

    private static let namespaces: Set = [
        "http://docs.openrepose.org/repose/rate-limiting/v1.0",
        "http://docs.rackspacecloud.com/repose/rate-limiting/v1.0",
        "http://docs.rackspacecloud.com/power-api/rate-limiting/v1.0",
    ]

    static func read(
        _ text: String, file: String, into result: ImportResult
    ) throws(LimitsImportMistake) -> ImportResult {
        var reading = ReposeImport(file: file, result: result)
        try reading.read(ImportXML.read(text, file: file))
        return reading.result
    }

    private init(file: String, result: ImportResult) {
        self.file = file
        self.result = result
    }

    private func mistake(_ element: ImportElement, _ message: String) -> LimitsImportMistake {
        LimitsImportMistake(file: file, line: element.line, column: element.column, message: message)
    }

    private mutating func read(_ root: ImportElement) throws(LimitsImportMistake) {
        guard root.name == "rate-limiting" else {
            throw mistake(root, "the element is `\(root.name)`, not Repose's `rate-limiting`")
        }
        let spaces = root.attributes.filter { $0.key == "xmlns" || $0.key.hasPrefix("xmlns:") }.map(\.value)
        if !spaces.isEmpty, !spaces.contains(where: Self.namespaces.contains) {
            throw mistake(root, "the namespace is none of Repose's for rate limits")
        }
        usesCaptureGroups = Self.isTrue(root.attributes["use-capture-groups"]) ?? true
        if !(Self.isTrue(root.attributes["overLimit-429-responseCode"]) ?? false) {
            result.legacyStatus = 413
            result.choices.append(
                "Repose answers 413 unless overLimit-429-responseCode is true: legacy_status keeps that for /v2; "
                    + "/v2.1 says 429")
        }
        result.choices.append(
            "Repose counts in a window that begins with a client's first request, so that up to twice the value may "
                + "come around its end; a burst of the value allows what one window does, and comes back evenly"
        )
        result.choices.append("per: user stands for X-PP-User, which Repose's identity filters set")
        rootAttributes(root)

        let groups = root.children.filter { $0.name == "limit-group" }
        let first = groups.first { Self.isTrue($0.attributes["default"]) ?? false }
        for child in root.children {
            switch child.name {
            case "request-endpoint": endpoint(child)
            case "global-limit-group": try limits(of: child, .all)
            case "limit-group":
                if child.line == first?.line, child.column == first?.column {
                    try limits(of: child, .everybody)
                } else if first == nil, groups.count == 1 {
                    try limits(of: child, .onlyGroup)
                } else {
                    try limits(of: child, .otherGroup)
                }
            default:
                result.leaveOut(
                    child.line, "<\(child.name)>", "it is no part of Repose's limits that has a meaning here")
            }
        }
    }

    private mutating func rootAttributes(_ root: ImportElement) {
        if let store = root.attributes["datastore"], store != "local/default" {
            result.leaveOut(
                root.line, "datastore=\"\(store)\"", "several processes share limits through `store: redis`")
        }
        if let limit = root.attributes["datastore-warn-limit"] {
            result.leaveOut(
                root.line, "datastore-warn-limit=\"\(limit)\"",
                "`max_buckets` bounds all buckets of a process")
        }
        if Self.isTrue(root.attributes["delegation"]) ?? false {
            result.leaveOut(root.line, "delegation", "a rule with `mode: shadow` counts and lets pass")
        }
    }

    private mutating func endpoint(_ element: ImportElement) {
        let text = element.attributes["uri-regex"] ?? "\\/limits\\/(\\d*)\\/"
        let what = "<request-endpoint uri-regex=\"\(text)\">"
        do throws(ImportPattern.Failure) {
            let found = try ImportMatch.find(text, .java, for: result)
            if found.contains(where: { result.operations.units[$0.unit].operation.id == "limits.show" }) {
                result.choices.append(
                    "request-endpoint (line \(element.line)) needs no setting: GET …/limits is filled in")
            } else {
                result.leaveOut(
                    element.line, what, "clients find what is left of their limits at GET …/limits only")
            }
        } catch {
            result.leaveOut(element.line, what, error.reason)
        }
    }

    // MARK: - Groups

    /// Whom the limits of a group are for.
    private enum Whom {
        /// The global group: all clients together.
        case all
        case everybody
        /// The only group, but not the default one.
        case onlyGroup
        case otherGroup
    }

    private mutating func limits(of group: ImportElement, _ whom: Whom) throws(LimitsImportMistake) {
        let names = (group.attributes["groups"] ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        for child in group.children {
            guard child.name == "limit" else {
                result.leaveOut(
                    child.line, "<\(child.name)>", "it is no part of Repose's limits that has a meaning here")
                continue
            }
            limitCount += 1
            guard limitCount <= Self.maxLimitCount else {
                throw mistake(child, "there are more than \(Self.maxLimitCount) limits")
            }
            limit(child, group, names, whom)
        }
    }

    private static func source(_ limit: ImportElement) -> String {
        ["id", "uri", "uri-regex", "http-methods", "value", "unit", "query-param-names"].compactMap { key in
            limit.attributes[key].map { "\(key)=\"\($0)\"" }
        }.joined(separator: " ")
    }

    private mutating func limit(
        _ limit: ImportElement, _ group: ImportElement, _ names: [String], _ whom: Whom
    ) {
        let source = Self.source(limit)
        let values = limit.attributes
        guard let text = values["uri-regex"], let value = values["value"].flatMap({ Int($0) }), value >= 0,
            let unit = values["unit"],
            let seconds = ["SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400][unit.uppercased()]
        else {
            result.leaveOut(limit.line, source, "Repose does not read it: it needs uri-regex, value and unit")
            return
        }
        guard value > 0 else {
            result.leaveOut(limit.line, source, "0 forbids it; what is forbidden is the policy's to say")
            return
        }
        guard let rate = ImportRate(value, seconds: seconds) else {
            result.leaveOut(limit.line, source, "there is no such rate")
            return
        }
        if let parameters = values["query-param-names"], parameters.contains(where: { !$0.isWhitespace }) {
            result.leaveOut(
                limit.line, source, "it is about the query; rules are about operations and actions alone")
            return
        }
        if whom == .otherGroup {
            result.leaveOut(
                limit.line, source,
                "it is only for the groups \(names.joined(separator: " ")); a rule `per: project` can have "
                    + "`overrides: [{project: ID, rate: \(rate.count)/\(rate.unit), burst: \(value)}]` for theirs"
            )
            return
        }
        let found: [ImportMatch]
        do throws(ImportPattern.Failure) {
            found = try ImportMatch.find(text, .java, for: result)
        } catch {
            result.leaveOut(limit.line, source, error.reason)
            return
        }
        let methods = (values["http-methods"] ?? "ALL").split(whereSeparator: \.isWhitespace).map {
            $0.uppercased()
        }
        let matches = found.filter { match in
            methods.contains("ALL")
                || methods.contains(result.operations.units[match.unit].operation.method.name.description)
        }
        guard !matches.isEmpty else {
            let reason =
                found.isEmpty
                ? "its regular expression matches no path of the compute API"
                : "the compute API has none of these methods there"
            result.leaveOut(limit.line, source, reason)
            return
        }
        var rule = ImportedRule(
            name: values["id"] ?? values["uri"] ?? "limit", units: [], per: [], rate: rate, burst: value,
            line: limit.line, source: source)
        switch whom {
        case .all: rule.name = "global-\(rule.name)"
        case .everybody where !names.isEmpty && names.allSatisfy { $0.hasPrefix("IP_") }:
            rule.per = ["address"]
            rule.remarks.append("per address, since Repose's IP filters put clients in groups named IP_…")
        default: rule.per = ["user"]
        }
        if whom == .onlyGroup {
            rule.isShadow = true
            rule.remarks.append(
                "in Repose only for the groups \(names.joined(separator: " ")), here for everybody")
        }
        add(rule, matches)
    }

    // MARK: - Capture groups

    /// Adds a rule, or one for each text that the capture groups took, as those had buckets of their own.
    private mutating func add(_ rule: ImportedRule, _ matches: [ImportMatch]) {
        var rule = rule
        func units(_ matches: [ImportMatch]) -> Set<Int> {
            matches.reduce(into: []) { $0.formUnion(result.operations.ranges[$1.operation]) }
        }
        rule.units = units(matches)
        guard usesCaptureGroups else {
            result.add(rule)
            return
        }
        if matches.contains(where: \.takesProject), !rule.per.contains("address") {
            rule.per.insert("project")
        }
        let parts = Dictionary(grouping: matches, by: \.taken)
        if matches.contains(where: \.takesID) {
            rule.isShadow = true
            if parts.count > 1 { rule.per.insert("operation") }
            rule.remarks.append(
                "its capture groups took ids, so each server, image or the like had a bucket of its own; here they "
                    + "share one, which is tighter: choose a rate before it is enforced")
            result.add(rule)
        } else if parts.count > ImportResult.maxRuleCountOfOperation {
            rule.per.insert("operation")
            rule.remarks.append(
                "its capture groups took parts of the path: each had a bucket; here each operation has")
            result.add(rule)
        } else {
            for (taken, part) in parts.sorted(by: { ($0.value[0].unit, $0.key) < ($1.value[0].unit, $1.key) })
            {
                var one = rule
                one.units = units(part)
                if parts.count > 1 {
                    one.name += "-\(taken)"
                    one.remarks.append("its capture groups took “\(taken)”, which had a bucket of its own")
                }
                result.add(one)
            }
        }
    }

    /// An XML Schema boolean.
    private static func isTrue(_ text: String?) -> Bool? {
        switch text?.trimmingPrefix(while: \.isWhitespace) {
        case "true", "1": true
        case "false", "0": false
        default: nil
        }
    }
}
