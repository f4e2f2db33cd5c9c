import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// What the trail's writers do where several meet, where the disk fails, and after a restart.
struct AuditTrailTests {
    private static let now: Int64 = 1_800_000_000
    private static let time = Content(text: "2026-09-01T10:00:00.000000Z")

    private static func withTrail(
        _ change: (inout Settings.Audit) -> Void = { _ in }, _ body: (AuditTrail, String) throws -> Void
    ) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/audit-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var settings = Settings.Audit(file: Settings.AuditFile(path: folder + "/audit.jsonl"))
        change(&settings)
        try body(try AuditTrail(settings, key: nil, workerCount: 2), folder)
    }

    private static func writers(_ trail: AuditTrail, _ count: Int = 1) -> [AuditWriter] {
        let writers = (0..<count).map { index in
            var random = RandomSource()
            return AuditWriter(trail, worker: index, random: &random)
        }
        #expect(AuditWriter.begin(writers, time: time, wallSeconds: now) == 0)
        return writers
    }

    private static func append(_ event: String, to writer: AuditWriter) {
        let event = Content(text: event)
        #expect(writer.appendEvent(.read) { $0.append(event.bytes) } != nil)
    }

    /// Writes whatever waits, however short ago the disk refused.
    private static func write(_ writer: AuditWriter, seconds: UInt64 = 0) {
        writer.write(now: seconds * 1_000_000_000, wallSeconds: now)
    }

    /// Every line of all of a trail's files.
    private static func lines(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).flatMap { name in
            try String(contentsOfFile: folder + "/" + name, encoding: .utf8).split(separator: "\n").map(
                String.init)
        }
    }

    @Test func `two loops that rotate at once lose no line and overwrite no file`() throws {
        try Self.withTrail({ $0.rotation.byteCount = 65_536 }) { trail, folder in
            let writers = Self.writers(trail, 2)
            let count = 20_000
            // Unchecked: each writer is used by one thread alone.
            nonisolated(unsafe) let both = writers
            DispatchQueue.concurrentPerform(iterations: 2) { index in
                for number in 0..<count {
                    Self.append("{\"number\":\"\(index)-\(number)\"}", to: both[index])
                    Self.write(both[index])
                    if trail.needsRotation(wallSeconds: Self.now) {
                        both[index].rotate(time: Self.time, wallSeconds: Self.now)
                    }
                }
            }
            var found: Set<Substring> = []
            for line in try Self.lines(folder) {
                guard let start = line.range(of: "{\"number\":\"") else { continue }
                #expect(found.insert(line[start.upperBound...].prefix { $0 != "\"" }).inserted, "\(line)")
            }
            #expect(found.count == 2 * count)
        }
    }

    @Test func `a loop whose lines the disk refused is failing whatever another loop could write`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withTrail { trail, _ in
            let writers = Self.writers(trail, 2)
            let (first, second) = (writers[0], writers[1])
            Self.append("{\"a\":1}", to: first)
            Self.append("{\"b\":1}", to: second)
            KernelFault.fail(.write, code: 28)
            defer { KernelFault.clear() }
            Self.write(first, seconds: 1)
            Self.write(second, seconds: 1)
            #expect(first.isFailing && !second.isFailing)
            #expect(!first.isEmpty && second.isEmpty && first.safeMark == 0 && second.safeMark == 1)
            Self.write(first, seconds: 1)
            #expect(first.isFailing, "not before its pause is over")
            Self.write(first, seconds: 2)
            #expect(!first.isFailing && first.safeMark == 1)
        }
    }

    @Test func `after a synchronization failed no later one makes events safe`() throws {
        try Self.withTrail({ $0.durability = .synced }) { trail, _ in
            let writer = Self.writers(trail)[0]
            Self.append("{}", to: writer)
            Self.write(writer)
            let mark = try #require(writer.unsyncedMark)
            trail.breakOff("said so")
            // Linux says so of pages that it gave up.
            writer.synced(to: mark)
            #expect(writer.safeMark < mark)
        }
    }

    @Test func `a round of any size loses nothing while the disk takes it`() throws {
        try Self.withTrail { trail, folder in
            let writer = Self.writers(trail)[0]
            for number in 0..<6_000 { Self.append("{\"x\":\"\(number) \(Self.text(1_000))\"}", to: writer) }
            Self.write(writer)
            #expect(writer.lostCount == 0 && writer.safeMark == 6_000)
            let lines = try Self.lines(folder)
            #expect(lines.count { $0.contains("\"event\":") } == 6_000)
        }
    }

    @Test func `a rotation that cannot be leaves no lines behind at each try`() throws {
        try Self.withTrail({ $0.rotation.byteCount = 65_536 }) { trail, folder in
            let writer = Self.writers(trail)[0]
            for _ in 0..<100 { Self.append("{\"x\":\"\(Self.text(1_000))\"}", to: writer) }
            Self.write(writer)
            // What has lost its name cannot get another one.
            let kept = folder + "/kept"
            try FileManager.default.linkItem(atPath: folder + "/audit.jsonl", toPath: kept)
            try FileManager.default.removeItem(atPath: folder + "/audit.jsonl")
            let before = try Data(contentsOf: URL(fileURLWithPath: kept)).count
            for _ in 0..<100 { writer.rotate(time: Self.time, wallSeconds: Self.now) }
            #expect(try Data(contentsOf: URL(fileURLWithPath: kept)).count - before < 2_000)
        }
    }

    @Test func `a file that is no trail is refused and left as it was`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/audit-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text = String(repeating: "2026-09-01 something else\n", count: 20_000)
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/other.log"))
        #expect(throws: (any Error).self) {
            let settings = Settings.Audit(file: Settings.AuditFile(path: folder + "/other.log"))
            _ = Self.writers(try AuditTrail(settings, key: nil, workerCount: 1))
        }
        #expect(try String(contentsOfFile: folder + "/other.log", encoding: .utf8) == text)
    }

    private static func text(_ count: Int) -> String { String(repeating: "x", count: max(0, count)) }

    @Test func `a trail's age counts from its first line over restarts`() throws {
        try Self.withTrail { trail, folder in
            let writer = Self.writers(trail)[0]
            Self.append("{}", to: writer)
            Self.write(writer)
            var settings = Settings.Audit(file: Settings.AuditFile(path: folder + "/older.jsonl"))
            settings.rotation.age = .seconds(3_600)
            try FileManager.default.copyItem(
                atPath: folder + "/audit.jsonl", toPath: folder + "/older.jsonl")
            let again = try AuditTrail(settings, key: nil, workerCount: 1)
            // Its first line says 2026-09-01T10:00:00, which is 1,788,256,800.
            #expect(again.needsRotation(wallSeconds: 1_788_256_800 + 3_601))
            #expect(!again.needsRotation(wallSeconds: 1_788_256_800 + 3_599))
        }
    }

    @Test func `rotating onto a name that is there already is refused`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/audit-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("old\n".utf8).write(to: URL(fileURLWithPath: folder + "/there"))
        var file = try RecordFile(path: folder + "/records", mode: 0o640)
        let line = Content(text: "new\n")
        #expect(file.append(line.bytes) == 0)
        #expect(file.rotate(to: folder + "/there", last: line.bytes).code == 17)
        #expect(try String(contentsOfFile: folder + "/there", encoding: .utf8) == "old\n")
        #expect(file.append(line.bytes) == 0)
        #expect(try String(contentsOfFile: folder + "/records", encoding: .utf8) == "new\nnew\n")
    }

    @Test func `a trail that somebody took away is noticed`() throws {
        try Self.withTrail({ $0.rotation.byteCount = 1 << 30 }) { trail, folder in
            let writer = Self.writers(trail)[0]
            try FileManager.default.removeItem(atPath: folder + "/audit.jsonl")
            Self.append("{}", to: writer)
            // Looked for before the first write of a second.
            Self.write(writer)
            #expect(trail.isBroken && writer.isFailing && !writer.isEmpty)
        }
    }
}
