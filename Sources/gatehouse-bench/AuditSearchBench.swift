import ArgumentParser
import Foundation
import Gateway
import Glibc

/// `gatehouse-bench audit-search`
struct AuditSearchBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit-search",
        abstract: "How fast events are found in a trail.",
        discussion: """
            Makes a trail of events of many users, and searches it as `gatehouse audit search` does, on one thread, from \
            the page cache. Megabytes are millions of bytes, a second is one of the clock; the median of the rounds \
            and the best of them.
            """)

    @Option(help: "Size of the trail in MiB.")
    var size = 256

    @Option(help: "Rounds of each search.")
    var rounds = 5

    @Option(help: "The folder that holds the trail meanwhile.", completion: .directory)
    var folder = NSTemporaryDirectory()

    @Flag(help: "Prints JSON.")
    var json = false

    func validate() throws {
        guard (1...65_536).contains(size) else { throw ValidationError("--size is 1 to 65536") }
        guard (1...1_000).contains(rounds) else { throw ValidationError("--rounds is 1 to 1000") }
    }

    func run() throws {
        let file = "\(folder)/gatehouse-bench-audit-\(getpid()).jsonl"
        defer { unlink(file) }
        let trail = try BenchTrail(file: file, byteCount: size << 20)
        var rows: [AuditSearchRow] = []
        for (name, filter, expected) in trail.searches {
            let row = try measure(name, filter, file: file)
            guard row.found == expected else {
                throw BenchFailure("\(name): \(row.found) events found, and there are \(expected)")
            }
            rows.append(row)
            if !json { print(row.line) }
        }
        guard json else {
            return print(
                "\(trail.eventCount) events of \(trail.byteCount / trail.eventCount) bytes, \(size) MiB")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let report = Report(searches: rows, events: trail.eventCount, bytes: trail.byteCount)
        print(String(decoding: try encoder.encode(report), as: UTF8.self))
    }

    private func measure(_ name: String, _ filter: TrailFilter, file: String) throws -> AuditSearchRow {
        var rates: [Double] = []
        var found = 0
        // One round more, which brings the file into the page cache.
        for round in 0...rounds {
            let start = ContinuousClock.now
            var search = TrailSearch(filter)
            var blocks = try TrailBlocks(file)
            var byteCount: UInt64 = 0
            var matchedByteCount = 0
            while let run = try blocks.next() {
                byteCount += run.byteCount
                search.search(run.bytes) { matchedByteCount += $0.text.count }
            }
            found = search.matchCount
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            if round > 0 { rates.append(Double(byteCount) / 1_000_000 / seconds) }
        }
        rates.sort()
        return AuditSearchRow(
            name: name, found: found, megabytesPerSecond: rates[rates.count / 2], most: rates[rates.count - 1]
        )
    }

    struct Report: Encodable {
        let searches: [AuditSearchRow]
        let events: Int
        let bytes: Int
    }
}

/// What one search came to.
struct AuditSearchRow: Encodable {
    let name: String
    let found: Int
    /// The median of the rounds, and the best of them.
    let megabytesPerSecond: Double
    let most: Double

    var line: String {
        String(format: "%7.0f MB/s (at most %.0f): ", megabytesPerSecond, most) + "\(name), \(found) events"
    }
}

/// A trail of made-up events in a file, and what there is to find in it.
///
/// - Shape: 0.1 s from event to event; one user has every tenth of them, 1,000 others the rest in turn. Digests of the chain
///   are only of their form: searching passes them over.
struct BenchTrail {
    private(set) var eventCount = 0
    private(set) var byteCount = 0
    private(set) var searches: [(name: String, filter: TrailFilter, expected: Int)] = []

    private static let start: Int64 = 1_788_256_800_000_000
    private static let step: Int64 = 100_000
    private static let users = 1_000
    private static let actions = [
        "read/list", "read", "create", "update/reboot", "start", "stop", "delete", "read/console",
    ]

    init(file: String, byteCount wanted: Int) throws {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchFailure("\(file): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var held: [UInt8] = []
        held.reserveCapacity(2 << 20)
        while byteCount < wanted {
            let before = held.count
            held.append(contentsOf: Self.line(eventCount).utf8)
            byteCount += held.count - before
            eventCount += 1
            if held.count > 1 << 20 || byteCount >= wanted { try Self.write(&held, descriptor, file) }
        }
        plan()
    }

    private static func write(_ bytes: inout [UInt8], _ descriptor: Int32, _ file: String) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            guard count > 0 else { throw BenchFailure("\(file): \(String(cString: strerror(errno)))") }
            done += count
        }
        bytes.removeAll(keepingCapacity: true)
    }

    private mutating func plan() {
        func add(_ name: String, _ change: (inout TrailFilter) -> Void, _ matches: (Int) -> Bool) {
            var filter = TrailFilter()
            change(&filter)
            searches.append((name, filter, (0..<eventCount).count(where: matches)))
        }
        let middle = eventCount / 2
        add("one user of 1,000", { $0.user = Self.user(7) }) { !Self.isFrequent($0) && $0 % Self.users == 7 }
        add("a user with every tenth event", { $0.user = Self.frequentUser }, Self.isFrequent)
        add("one request", { $0.requestID = Self.request(middle) }) { $0 == middle }
        add("one server", { $0.target = Self.server(middle) }) { Self.server($0) == Self.server(middle) }
        add("an action", { $0.action = "update/reboot" }) {
            Self.actions[$0 % Self.actions.count] == "update/reboot"
        }
        add("failures", { $0.outcome = "failure" }) { $0 % 100 == 3 }
        add(
            "a minute",
            { filter in
                filter.since = Self.start + Int64(middle) * Self.step
                filter.until = Self.start + Int64(middle + 600) * Self.step
            }
        ) { $0 >= middle && $0 < middle + 600 }
        add("all", { _ in }) { _ in true }
    }

    // MARK: - Events

    private static let frequentUser = "5eed0000000000000000000000000000"
    private static func isFrequent(_ number: Int) -> Bool { number % 10 == 4 }
    private static func user(_ number: Int) -> String {
        hexadecimal(number % users, 0x9E37_79B9_7F4A_7C15, 32)
    }
    private static func request(_ number: Int) -> String {
        "req-\(uuid(hexadecimal(number, 0xD1B5_4A32_D192_ED03, 32)))"
    }
    private static func server(_ number: Int) -> String {
        uuid(hexadecimal(number % 20_000, 0xA24B_AED4_963E_E407, 32))
    }

    /// Digits that differ for each number below 2^64, and look like any others.
    private static func hexadecimal(_ number: Int, _ factor: UInt64, _ count: Int) -> String {
        var digits = ""
        var value = UInt64(number) &* factor &+ factor
        while digits.utf8.count < count {
            let part = String(value, radix: 16)
            digits += String(repeating: "0", count: 16 - part.utf8.count) + part
            value = (value ^ value >> 29) &* 0xBF58_476D_1CE4_E5B9
        }
        return String(digits.prefix(count))
    }

    private static func uuid(_ digits: String) -> String {
        let all = Array(digits.utf8)
        let parts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map {
            String(decoding: all[$0], as: UTF8.self)
        }
        return parts.joined(separator: "-")
    }

    /// The event of such a line alone.
    static func event(_ number: Int) -> [UInt8] {
        let line = Self.line(number)
        guard let start = line.range(of: "\"event\":") else { return [] }
        return Array(line[start.upperBound...].utf8.dropLast(2))
    }

    private static func line(_ number: Int) -> String {
        let user = isFrequent(number) ? frequentUser : Self.user(number)
        let project = hexadecimal(number % 200, 0x8CB9_2BA7_2F3D_8DD7, 32)
        let status = number % 100 == 3 ? 404 : 200
        let server = Self.server(number)
        return "{\"writer\":\"00000000000000a\(number % 2)\",\"sequence\":\(number / 2),\"previous\":\""
            + hexadecimal(number, 0x2545_F491_4F6C_DD1D, 64) + "\",\"event\":{\"typeURI\":"
            + "\"http://schemas.dmtf.org/cloud/audit/1.0/event\",\"eventType\":\"activity\",\"id\":\""
            + uuid(hexadecimal(number, 0x9FB2_1C65_1E98_DF25, 32)) + "\",\"eventTime\":\""
            + TrailTime.text(start + Int64(number) * step)
            + "\",\"action\":\"\(actions[number % actions.count])\""
            + ",\"outcome\":\"\(status == 200 ? "success" : "failure")\",\"reason\":{\"reasonType\":\"HTTP\",\"reasonCode\":"
            + "\"\(status)\"},\"initiator\":{\"typeURI\":\"service/security/account/user\",\"id\":\"\(user)\",\"name\":\"user"
            + "\(number % users)\",\"domain\":\"Default\",\"domain_id\":\"default\",\"project_id\":\"\(project)\",\"roles\":"
            + "[\"member\",\"reader\"],\"host\":{\"address\":\"192.0.2.\(number % 250)\",\"agent\":\"python-novaclient\"},"
            + "\"request_id\":\"\(request(number))\",\"credential\":{\"type\":\"token\",\"token\":\"hmac-sha256:"
            + hexadecimal(number % 5_000, 0xDB4F_0B91_75AE_2165, 64)
            + "\"}},\"target\":{\"typeURI\":\"compute/servers\","
            + "\"id\":\"\(server)\",\"project_id\":\"\(project)\"},\"observer\":{\"typeURI\":\"service/compute/gateway\","
            + "\"id\":\"gatehouse-1\",\"name\":\"gatehouse\"},\"requestPath\":\"/v2.1/servers/\(server)\",\"gatehouse\":{"
            + "\"operation\":\"servers.show\",\"cache\":\"miss\",\"upstream\":\"127.0.0.1:8774\",\"upstream_request_id\":\""
            + "req-\(uuid(hexadecimal(number, 0x94D0_49BB_1331_11EB, 32)))\",\"status\":\(status),\"microseconds\":1234}}}\n"
    }
}
