import COpenSSL
import Foundation

@testable import Gateway

/// A trail made line by line, from the description of its form and not from what writes or reads it.
struct MadeTrail {
    struct Line: Equatable {
        enum Kind { case start, event, head, rotation, repair, end, fragment }
        var writer: String
        var kind: Kind
        var bytes: [UInt8]
    }

    struct Writer {
        var sequence = 0
        var previous: String
        var events = 0
    }

    /// Files, the oldest first; lines without their line feeds.
    var files: [[Line]] = [[]]
    var writers: [String: Writer] = [:]
    var key: [UInt8]?
    var signEvery = 0
    /// `audit.jsonl` has had so many successors.
    private var rotations = 0

    init(key: [UInt8]? = nil, signEvery: Int = 0) {
        self.key = key
        self.signEvery = signEvery
    }

    static let key = Array("0123456789abcdef0123456789abcdef the key of the tests".utf8)

    // MARK: - Digests

    static func sha256(_ bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let made = EVP_Digest(bytes, bytes.count, &digest, &count, EVP_sha256(), nil)
        precondition(made == 1 && count == 32)
        return hexadecimal(digest)
    }

    static func signature(_ key: [UInt8], _ bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let made = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &digest, &count)
        precondition(made != nil && count == 32)
        return hexadecimal(digest)
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static let zeros = String(repeating: "0", count: 64)

    // MARK: - Lines

    var lastWhole: Line? { files.joined().last { $0.kind != .fragment } }

    /// A line of a writer by its chain, signed where it says so.
    static func line(
        _ writer: String, _ sequence: Int, _ previous: String, _ member: String, key: [UInt8]?
    ) -> [UInt8] {
        var text = "{\"writer\":\"\(writer)\",\"sequence\":\(sequence),\"previous\":\"\(previous)\",\(member)"
        guard let key else { return Array("\(text)}}".utf8) }
        if !text.hasSuffix("{") { text += "," }
        text += "\"key\":\"\(sha256(key).prefix(16))\""
        return Array("\(text),\"signature\":\"\(signature(key, Array(text.utf8)))\"}}".utf8)
    }

    /// - Parameter member: without its closing brace.
    mutating func append(_ writer: String, _ kind: Line.Kind, _ member: String) {
        var chain = writers[writer] ?? Writer(previous: lastWhole.map { Self.sha256($0.bytes) } ?? Self.zeros)
        let bytes = Self.line(
            writer, chain.sequence, chain.previous, member, key: kind == .event ? nil : key)
        chain.sequence += 1
        chain.previous = Self.sha256(bytes)
        if kind == .event { chain.events += 1 }
        writers[writer] = chain
        files[files.count - 1].append(Line(writer: writer, kind: kind, bytes: bytes))
    }

    mutating func start(_ writer: String, process: String = "00000000000000aa", workers: Int = 1) {
        let every = key == nil || signEvery == 0 ? "" : ",\"sign_every\":\(signEvery)"
        append(
            writer, .start,
            "\"start\":{\"time\":\"2026-09-01T10:00:00.000000Z\",\"version\":\"0.1.0\",\"worker\":0"
                + ",\"process\":\"\(process)\",\"workers\":\(workers)\(every)")
    }

    /// - Parameter text: a whole JSON object.
    mutating func event(_ writer: String, _ text: String) {
        append(writer, .event, "\"event\":\(text.dropLast())")
        if let chain = writers[writer], key != nil, signEvery > 0, chain.events % signEvery == 0 {
            head(writer)
        }
    }

    mutating func head(_ writer: String) { append(writer, .head, "\"head\":{") }

    mutating func end(_ writer: String) {
        append(writer, .end, "\"end\":{\"time\":\"2026-09-01T11:00:00.000000Z\"")
    }

    mutating func rotate(_ writer: String) {
        rotations += 1
        let name = "audit.jsonl.20260901T10000\(rotations % 10)Z-\(rotations)"
        append(writer, .rotation, "\"rotation\":{\"from\":\"audit.jsonl\",\"to\":\"\(name)\"")
        let digest = Self.sha256(files[files.count - 1].last?.bytes ?? [])
        files.append([])
        append(writer, .rotation, "\"rotation\":{\"after\":\"\(name)\",\"sha256\":\"\(digest)\"")
    }

    /// The last line of the newest file is cut to `count` bytes, as by a crash; the writer is gone.
    ///
    /// - Returns: where the fragment begins, to be marked by the next writer.
    mutating func cutLast(to count: Int) -> (offset: Int, bytes: [UInt8]) {
        let last = files[files.count - 1].removeLast()
        let offset = Self.bytes(files[files.count - 1]).count
        let bytes = Array(last.bytes.prefix(count))
        files[files.count - 1].append(Line(writer: last.writer, kind: .fragment, bytes: bytes))
        return (offset, bytes)
    }

    mutating func repair(_ writer: String, _ fragment: (offset: Int, bytes: [UInt8])) {
        append(
            writer, .repair,
            "\"repair\":{\"offset\":\(fragment.offset),\"byteCount\":\(fragment.bytes.count)"
                + ",\"sha256\":\"\(Self.sha256(fragment.bytes))\"")
    }

    // MARK: - Files

    static func bytes(_ lines: [Line]) -> [UInt8] { lines.flatMap { $0.bytes + [0x0A] } }

    /// Names of the files, as the rotations have them.
    var names: [String] {
        (1..<files.count).map { "audit.jsonl.20260901T10000\($0 % 10)Z-\($0)" } + ["audit.jsonl"]
    }

    /// Writes the files to a folder; their paths, the oldest first.
    func write(to folder: TrailFolder) throws -> [String] {
        try zip(names, files).map { try folder.write($0, Self.bytes($1)) }
    }
}

/// A folder of a test, gone with it.
final class TrailFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "gatehouse-trail-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }
}

/// What verifying came to, with all that was found.
struct Verified {
    var verdict = TrailVerdict()
    var findings: [TrailFinding] = []

    var breaks: [TrailFinding] { findings.filter(\.kind.isBreak) }
    func has(_ kind: TrailFinding.Kind) -> Bool { findings.contains { $0.kind == kind } }
    var text: String { findings.map(\.description).joined(separator: "\n") }

    /// Verifies files in the order that they are found to have.
    static func files(
        _ files: [String], keys: [TrailKey] = [], isComplete: Bool = false
    ) throws -> Verified {
        var result = Verified()
        var findings: [TrailFinding] = []
        let verifier = TrailVerifier(keys: keys, expectsEnds: isComplete) { findings.append($0) }
        let order = try TrailOrder.sorted(files)
        for (index, file) in order.enumerated() {
            try verifier.read(file, isNewest: index == order.count - 1)
        }
        result.verdict = verifier.finish()
        result.findings = findings
        return result
    }

    static func lines(
        _ files: [[MadeTrail.Line]], in folder: TrailFolder, keys: [TrailKey] = [], isComplete: Bool = false
    ) throws -> Verified {
        var trail = MadeTrail()
        trail.files = files
        return try Self.files(try trail.write(to: folder), keys: keys, isComplete: isComplete)
    }
}
