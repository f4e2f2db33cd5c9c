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
        #expect(writer.start(isFirst: index == 0, time: time, wallSeconds: now) == 0)
        return writer
    }

    private static func append(_ event: String, to writer: AuditWriter) {
        let event = Content(text: event)
        #expect(writer.appendEvent { $0.append(event.bytes) } != nil)
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
                    #expect(both[index].write(wallSeconds: Self.now) == 0)
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
            #expect(first.write(wallSeconds: Self.now) == 28)
            #expect(second.write(wallSeconds: Self.now) == 0)
            #expect(first.isFailing)
            #expect(first.write(wallSeconds: Self.now) == 0)
            #expect(!first.isFailing && !second.isFailing)
        }
    }

    @Test func `what a rotation could not synchronize is never called safe again`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withTrail({ $0.durability = .synced }) { trail, _ in
            let writer = Self.writer(trail, 0)
            Self.append("{}", to: writer)
            #expect(writer.write(wallSeconds: Self.now) == 0)
            KernelFault.fail(.synchronize, code: 5)
            defer { KernelFault.clear() }
            writer.rotate(time: Self.time, wallSeconds: Self.now)
            Self.append("{}", to: writer)
            _ = writer.write(wallSeconds: Self.now)
            #expect(trail.failureCode != 0)
        }
    }

    @Test func `after a synchronization failed no later one makes events safe`() throws {
        try Self.withTrail({ $0.durability = .synced }) { trail, _ in
            let writer = Self.writer(trail, 0)
            Self.append("{}", to: writer)
            #expect(writer.write(wallSeconds: Self.now) == 0)
            let mark = try #require(writer.unsyncedMark)
            trail.fail(5)
            // Linux says so of pages that it gave up.
            writer.synced(to: mark)
            #expect(writer.safeMark < mark)
        }
    }

    /// An event changes what its exchange says of itself, so making it twice tells something else.
    @Test(arguments: 0...3)
    func `an event is made to its end once, however little room there is behind it`(_ slack: Int) throws {
        try Self.withTrail { trail, _ in
            let writer = Self.writer(trail, 0)
            let capacity = 256 << 10
            // Sequence numbers of three digits from here on, so that every line has the same overhead.
            for _ in 0..<100 { Self.append("{}", to: writer) }
            let before = writer.byteCount
            Self.append("{}", to: writer)
            let overhead = writer.byteCount - before - 2
            while capacity - writer.byteCount > 2_000 {
                Self.append("{\"x\":\"\(Self.text(400))\"}", to: writer)
            }
            // What ends the line is a brace and a line feed.
            let length = capacity - writer.byteCount - (overhead - 2) - slack
            let event = Content(text: "{\"x\":\"\(Self.text(length - 8))\"}")
            var madeCount = 0
            _ = writer.appendEvent {
                $0.append(event.bytes)
                if !$0.hasOverflowed { madeCount += 1 }
            }
            #expect(madeCount == 1)
        }
    }

    private static func text(_ count: Int) -> String { String(repeating: "x", count: max(0, count)) }

    @Test func `a trail's age counts from its first line over restarts`() throws {
        try Self.withTrail { trail, folder in
            let writer = Self.writer(trail, 0)
            Self.append("{}", to: writer)
            #expect(writer.write(wallSeconds: Self.now) == 0)
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
        #expect(file.rotate(to: folder + "/there") == 17)
        #expect(try String(contentsOfFile: folder + "/there", encoding: .utf8) == "old\n")
        #expect(file.append(line.bytes) == 0)
        #expect(try String(contentsOfFile: folder + "/records", encoding: .utf8) == "new\nnew\n")
    }

    @Test func `a trail that somebody took away is noticed`() throws {
        try Self.withTrail({ $0.rotation.byteCount = 1 << 30 }) { trail, folder in
            let writer = Self.writer(trail, 0)
            try FileManager.default.removeItem(atPath: folder + "/audit.jsonl")
            Self.append("{}", to: writer)
            _ = writer.write(wallSeconds: Self.now)
            _ = trail.needsRotation(wallSeconds: Self.now)
            Self.append("{}", to: writer)
            _ = writer.write(wallSeconds: Self.now)
            #expect(trail.failureCode != 0 || FileManager.default.fileExists(atPath: folder + "/audit.jsonl"))
        }
    }
}
