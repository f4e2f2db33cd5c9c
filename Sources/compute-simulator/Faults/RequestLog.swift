/// What arrived, as it arrived: the last requests with every field line, and counts of all.
struct RequestLog {
    /// One request, or a head that could not be read.
    struct Entry {
        var number = 0
        var listener = ""
        var connection: UInt64 = 0
        /// 1 for the first request of a connection.
        var place = 0
        var method = ""
        var target = ""
        var version = ""
        var fields: [(name: String, value: String)] = []
        var framing = "none"
        var contentCount: UInt64 = 0
        var digest = ""
        var trailers: [(name: String, value: String)] = []
        var fault: String?
        var refusal: String?
        var time = Moment(microseconds: 0)
        /// The status it was answered with; nil while, or when, there is no answer.
        var status: Int?
    }

    let capacity: Int
    private(set) var entries: [Entry] = []
    private(set) var requestCount = 0
    private(set) var refusalCount = 0
    private(set) var pathCounts: [String: Int] = [:]
    private(set) var statusCounts: [Int: Int] = [:]
    private(set) var identity = IdentityTally()
    var acceptedCount = 0
    var openCount = 0
    static let pathLimit = 1000

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Keeps `entry` and gives its number.
    mutating func add(_ entry: Entry) -> Int {
        var entry = entry
        if entry.refusal == nil {
            requestCount += 1
            if entry.listener == "identity" { identity.add(entry) }
            let path = entry.method + " " + entry.target.prefix { $0 != "?" }
            if pathCounts[path] != nil || pathCounts.count < Self.pathLimit {
                pathCounts[path, default: 0] += 1
            }
        } else {
            refusalCount += 1
        }
        entry.number = requestCount + refusalCount
        entries.append(entry)
        // Trimmed in lumps, so that a full log costs no move per request.
        if entries.count >= capacity * 2 { entries.removeFirst(entries.count - capacity) }
        return entry.number
    }

    /// Notes how the request `number` was answered.
    mutating func answer(_ number: Int, status: Int) {
        statusCounts[status, default: 0] += 1
        guard let index = entries.lastIndex(where: { $0.number == number }) else { return }
        entries[index].status = status
        if entries[index].listener == "identity" { identity.answer(entries[index], status: status) }
    }

    mutating func reset() {
        let (accepted, open) = (acceptedCount, openCount)
        self = RequestLog(capacity: capacity)
        (acceptedCount, openCount) = (accepted, open)
    }

    /// Writes counters and the requests whose target begins with `prefix`, the last `limit` of them.
    func write(_ writer: inout JSONWriter, prefix: String, listener: String?, limit: Int) {
        let found = entries.suffix(capacity).filter {
            $0.target.hasPrefix(prefix) && (listener == nil || $0.listener == listener)
        }
        writer.member("counters") { counters in
            counters.member("requests", requestCount)
            counters.member("refused", refusalCount)
            counters.member("connections_accepted", acceptedCount)
            counters.member("connections_open", openCount)
            counters.member("matched", found.count)
            counters.member("paths") { paths in
                for (path, count) in pathCounts.sorted(by: { $0.key < $1.key }) where count > 0 {
                    paths.member(path, count)
                }
            }
            counters.member("statuses") { statuses in
                for (status, count) in statusCounts.sorted(by: { $0.key < $1.key }) {
                    statuses.member(String(status), count)
                }
            }
        }
        writer.list("requests") { items in
            for entry in found.suffix(limit) { items.object { Self.write(&$0, entry) } }
        }
    }

    private static func write(_ writer: inout JSONWriter, _ entry: Entry) {
        writer.member("number", entry.number)
        writer.member("listener", entry.listener)
        writer.member("connection", .number(String(entry.connection)))
        writer.member("place", entry.place)
        if let refusal = entry.refusal { writer.member("refusal", refusal) }
        writer.member("method", entry.method)
        writer.member("target", entry.target)
        writer.member("version", entry.version)
        writePairs(&writer, "fields", entry.fields)
        writer.member("framing", entry.framing)
        writer.member("content_length", .number(String(entry.contentCount)))
        writer.member("sha256", entry.digest)
        if !entry.trailers.isEmpty { writePairs(&writer, "trailers", entry.trailers) }
        writer.member("fault", entry.fault)
        writer.member("status", entry.status.map { .number(String($0)) } ?? .null)
        writer.member("time", entry.time.tokenText)
    }

    private static func writePairs(
        _ writer: inout JSONWriter, _ name: String, _ pairs: [(name: String, value: String)]
    ) {
        writer.list(name) { lines in
            for pair in pairs {
                lines.array { line in
                    line.string(pair.name)
                    line.string(pair.value)
                }
            }
        }
    }
}
