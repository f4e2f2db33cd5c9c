import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// What the trail's writers do where several meet, where the disk fails, and after a restart.
@Suite(.serialized)
struct AuditReviewTests {
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

    private static func writer(_ trail: AuditTrail, _ index: Int) -> AuditWriter {
        var random = RandomSource()
        let writer = AuditWriter(trail, worker: index, random: &random)
        #expect(AuditWriter.begin([writer], time: time, wallSeconds: now) == 0)
        return writer
    }

    private static func append(_ event: String, to writer: AuditWriter) {
        let event = Content(text: event)
        #expect(writer.appendEvent(.change) { $0.append(event.bytes) } != nil)
    }

    /// Whether the file has all of a writer's lines, at a moment that is long after the last one.
    private static func writes(_ writer: AuditWriter, at seconds: UInt64 = 1) -> Bool {
        writer.write(now: seconds * 1_000_000_000, wallSeconds: now)
        return writer.isEmpty && !writer.isFailing
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
            let writers = [Self.writer(trail, 0), Self.writer(trail, 1)]
            let count = 20_000
            // Unchecked: each writer is used by one thread alone.
            nonisolated(unsafe) let both = writers
            DispatchQueue.concurrentPerform(iterations: 2) { index in
                for number in 0..<count {
                    Self.append("{\"number\":\"\(index)-\(number)\"}", to: both[index])
                    #expect(Self.writes(both[index], at: 9))
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
            let (first, second) = (Self.writer(trail, 0), Self.writer(trail, 1))
            Self.append("{\"a\":1}", to: first)
            Self.append("{\"b\":1}", to: second)
            KernelFault.fail(.write, code: 28)
            defer { KernelFault.clear() }
            #expect(!Self.writes(first))
            #expect(Self.writes(second, at: 9))
            #expect(first.isFailing)
            #expect(Self.writes(first, at: 9))
            #expect(!first.isFailing && !second.isFailing)
        }
    }

    @Test func `after a synchronization failed no later one makes events safe`() throws {
        try Self.withTrail({ $0.durability = .synced }) { trail, _ in
            let writer = Self.writer(trail, 0)
            Self.append("{}", to: writer)
            #expect(Self.writes(writer, at: 9))
            let mark = try #require(writer.unsyncedMark)
            trail.breakOff("fdatasync")
            // Linux says so of pages that it gave up.
            writer.synced(to: mark)
            #expect(writer.safeMark < mark)
        }
    }

    @Test func `a trail's age counts from its first line over restarts`() throws {
        try Self.withTrail { trail, folder in
            let writer = Self.writer(trail, 0)
            Self.append("{}", to: writer)
            #expect(Self.writes(writer, at: 9))
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
            let writer = Self.writer(trail, 0)
            try FileManager.default.removeItem(atPath: folder + "/audit.jsonl")
            Self.append("{}", to: writer)
            _ = Self.writes(writer)
            // Looked for before the first write of a second.
            #expect(trail.isBroken)
            #expect(writer.isFailing)
        }
    }
}
