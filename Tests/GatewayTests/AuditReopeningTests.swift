import Bytes
import Foundation
import Testing

@testable import Gateway

/// A trail whose file somebody moves or removes, as those do who rotate files from outside.
struct AuditReopeningTests {
    private static let now: Int64 = 1_800_000_000
    private static let time = Content(text: "2026-09-01T10:00:00.000000Z")

    private static func append(_ number: Int, to writer: AuditWriter) {
        let event = Content(text: MadeEvent(id: number).text)
        #expect(writer.appendEvent(.change) { $0.append(event.bytes) } != nil)
    }

    /// A process of two loops whose first has written an event, and a second event that waits since the file is gone.
    private static func withTrail(
        _ durability: Settings.Durability = .written, key: [UInt8]? = nil,
        losing lose: (TrailFolder) throws -> Void,
        _ body: (TrailFolder, AuditTrail, [AuditWriter]) throws -> Void
    ) throws {
        let folder = try TrailFolder()
        var settings = Settings.Audit(file: Settings.AuditFile(path: folder.path + "/audit.jsonl"))
        settings.durability = durability
        settings.signEveryCount = 2
        let trail = try AuditTrail(settings, key: key, workerCount: 2)
        var random = RandomSource()
        let writers = (0..<2).map { AuditWriter(trail, worker: $0, random: &random) }
        #expect(AuditWriter.begin(writers, time: time, wallSeconds: now) == 0)
        append(1, to: writers[0])
        writers[0].write(now: 0, wallSeconds: now)
        try lose(folder)
        append(2, to: writers[0])
        writers[0].write(now: 1, wallSeconds: now + 1)
        #expect(writers[0].isFailing && writers[0].safeMark <= 1)
        try body(folder, trail, writers)
    }

    private static func move(_ folder: TrailFolder) throws {
        try FileManager.default.moveItem(
            atPath: folder.path + "/audit.jsonl", toPath: folder.path + "/audit.jsonl.1")
    }

    private static func files(_ folder: TrailFolder) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
            folder.path + "/" + $0
        }
    }

    private static func end(_ writers: [AuditWriter]) {
        append(3, to: writers[1])
        // Later than the pause after a refusal.
        for writer in writers { writer.end(time: time, now: 1_000_000_000, wallSeconds: now + 2) }
    }

    @Test(arguments: [nil, MadeTrail.key])
    func `the chain goes on in a new file, which names the moved one`(key: [UInt8]?) throws {
        try Self.withTrail(key: key, losing: Self.move) { folder, trail, writers in
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            #expect(!trail.isBroken)
            Self.end(writers)
            #expect(writers[0].safeMark == 2 && writers[0].isEmpty)
            let files = try Self.files(folder)
            let keys = key.flatMap(TrailKey.init).map { [$0] } ?? []
            let both = try Verified.files(files, keys: keys, isComplete: true)
            #expect(both.findings.isEmpty && both.verdict.eventCount == 3, "\(both.text)")
            #expect(both.verdict.unprovenLineCount == 0 || key == nil)
            // The new one alone says what it lacks.
            let new = try Verified.files([folder.path + "/audit.jsonl"], keys: keys, isComplete: true)
            #expect(new.verdict.isWhole && new.verdict.eventCount == 2, "\(new.text)")
            #expect(new.findings.allSatisfy { $0.kind == .continued }, "\(new.text)")
            #expect(new.findings.first?.detail.contains("audit.jsonl.1") == true)
        }
    }

    @Test func `lines that are cut off the end of the moved file are missed`() throws {
        try Self.withTrail(losing: Self.move) { folder, trail, writers in
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            Self.end(writers)
            let moved = URL(fileURLWithPath: folder.path + "/audit.jsonl.1")
            let lines = String(decoding: try Data(contentsOf: moved), as: UTF8.self).split(separator: "\n")
            try Data((lines.dropLast().joined(separator: "\n") + "\n").utf8).write(to: moved)
            #expect(try Verified.files(try Self.files(folder)).has(.missing))
        }
    }

    @Test func `whoever follows the trail goes on in the new file`() throws {
        var opened: TrailFollower?
        func lose(_ folder: TrailFolder) throws {
            opened = try TrailFollower(folder.path + "/audit.jsonl")
            try Self.move(folder)
        }
        try Self.withTrail(losing: lose) { folder, trail, writers in
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            Self.end(writers)
            guard var follower = opened.take() else { return }
            var search = TrailSearch(TrailFilter())
            var ids: [String] = []
            var told: [String] = []
            try follower.poll { lines in
                search.search(lines) { ids.append(String($0.text.string.suffix(40))) }
            } told: {
                told.append($0)
            }
            #expect(ids.count == 3 && told.isEmpty, "\(ids) \(told)")
        }
    }

    @Test func `a file that is not there any more is followed by a new one, too`() throws {
        try Self.withTrail(losing: { try FileManager.default.removeItem(atPath: $0.path + "/audit.jsonl") }) {
            folder, trail, writers in
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            Self.end(writers)
            let found = try Verified.files(try Self.files(folder), isComplete: true)
            #expect(found.verdict.isWhole && found.verdict.eventCount == 2, "\(found.text)")
            #expect(found.has(.continued))
        }
    }

    @Test func `with synced the moved file is on the disk before anything of the new one counts`() throws {
        try Self.withTrail(.synced, losing: Self.move) { _, trail, writers in
            #expect(writers[0].unsyncedMark == nil)
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            // The event in the moved file waits for the disk as that in the new one does.
            #expect(writers[0].unsyncedMark == 1)
            writers[0].write(now: 1_000_000_000, wallSeconds: Self.now + 2)
            #expect(writers[0].unsyncedMark == 2 && writers[0].safeMark == 0)
        }
    }

    @Test func `a file that has its name again goes on`() throws {
        try Self.withTrail(losing: Self.move) { folder, trail, writers in
            try FileManager.default.moveItem(
                atPath: folder.path + "/audit.jsonl.1", toPath: folder.path + "/audit.jsonl")
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            Self.end(writers)
            let found = try Verified.files(try Self.files(folder), isComplete: true)
            #expect(found.findings.isEmpty && found.verdict.eventCount == 3, "\(found.text)")
        }
    }

    @Test func `another file with content in its place is left alone`() throws {
        try Self.withTrail(losing: Self.move) { folder, trail, writers in
            try folder.write("audit.jsonl", Array("something else\n".utf8))
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            #expect(trail.isBroken)
            writers[0].write(now: 1_000_000_000, wallSeconds: Self.now + 2)
            #expect(
                try String(contentsOfFile: folder.path + "/audit.jsonl", encoding: .utf8)
                    == "something else\n")
            // As soon as it is gone, the trail can go on.
            try FileManager.default.removeItem(atPath: folder.path + "/audit.jsonl")
            trail.reopen(time: Self.time, wallSeconds: Self.now + 2)
            #expect(!trail.isBroken)
        }
    }

    @Test func `what the disk said that it lost stays lost`() throws {
        try Self.withTrail(losing: Self.move) { _, trail, _ in
            trail.breakOff("a test says so")
            trail.reopen(time: Self.time, wallSeconds: Self.now + 1)
            #expect(trail.isBroken)
        }
    }

    @Test func `a trail that nobody moved stays as it is`() throws {
        let folder = try TrailFolder()
        let trail = try AuditTrail(
            Settings.Audit(file: Settings.AuditFile(path: folder.path + "/audit.jsonl")), key: nil,
            workerCount: 1)
        trail.reopen(time: Self.time, wallSeconds: Self.now)
        #expect(try Self.files(folder).count == 1 && !trail.isBroken)
        #expect(FileManager.default.contents(atPath: folder.path + "/audit.jsonl")?.isEmpty == true)
    }
}
