import Bytes
import Dispatch
import Foundation
import Testing

@testable import Gateway

/// Where a sink begins to read, and how it finds the next file, when files and cursors are not as they were left.
struct SinkReaderTests {
    /// Reads on until there is nothing more; the ids, and what was told.
    private static func read(
        _ fixture: SinkFixture, _ cursor: SinkCursor?
    ) throws -> (ids: [Int], told: [String], cursor: SinkCursor) {
        var told: [String] = []
        let reader = try SinkReader(fixture.trail, cursor) { told.append($0) }
        return (try read(reader), told, reader.cursor)
    }

    private static func read(_ reader: SinkReader) throws -> [Int] {
        var ids: [Int] = []
        try read(reader, &ids)
        return ids
    }

    private static func read(_ reader: SinkReader, _ ids: inout [Int]) throws {
        while true {
            switch try reader.next() {
            case .events(let events):
                ids += events.map { event in
                    event.content.string.firstMatch(of: /"id":"([0-9]+)"/).flatMap { Int($0.1) } ?? -1
                }
            case .nothing: return
            case .ended: if !(try reader.advance()) { return }
            }
        }
    }

    private static func rename(_ fixture: SinkFixture, _ name: String, _ other: String) throws {
        try FileManager.default.moveItem(
            atPath: fixture.folder + "/" + name, toPath: fixture.folder + "/" + other)
    }

    @Test
    func `without a cursor reading begins with the oldest file, by what files say and not by their names`()
        throws
    {
        let fixture = try SinkFixture()
        for _ in 0..<3 {
            fixture.write(10)
            fixture.rotate()
        }
        fixture.write(10)
        let found = try Self.read(fixture, nil)
        #expect(found.ids == Array(0..<40) && found.told.isEmpty)
        // As a clock that went back would name them.
        let names = fixture.rotated
        try Self.rename(fixture, names[0], "audit.jsonl.20270101T000000Z-1")
        try Self.rename(fixture, names[2], "audit.jsonl.20250101T000000Z-1")
        let other = try Self.read(fixture, nil)
        #expect(other.ids == Array(0..<40) && other.told.isEmpty)
    }

    @Test func `a cursor is found again in whichever file it is, and in a copy`() throws {
        let fixture = try SinkFixture()
        fixture.write(10)
        let cursor = try Self.read(fixture, nil).cursor
        fixture.write(10)
        #expect(try Self.read(fixture, cursor).ids == Array(10..<20))
        fixture.rotate()
        fixture.write(10)
        fixture.rotate()
        #expect(try Self.read(fixture, cursor).ids == Array(10..<30))
        let name = fixture.rotated[0]
        try FileManager.default.copyItem(
            atPath: fixture.folder + "/" + name, toPath: fixture.folder + "/copy")
        try FileManager.default.removeItem(atPath: fixture.folder + "/" + name)
        try Self.rename(fixture, "copy", name)
        let found = try Self.read(fixture, cursor)
        #expect(found.ids == Array(10..<30) && found.told.isEmpty)
    }

    @Test func `a cursor whose file is gone, or was changed, has what there is sent again and is told`()
        throws
    {
        let fixture = try SinkFixture()
        fixture.write(10)
        let first = try Self.read(fixture, nil).cursor
        fixture.rotate()
        fixture.write(10)
        let second = try Self.read(fixture, nil).cursor
        fixture.rotate()
        fixture.write(10)

        // Of a file that is there, its own events are enough.
        var changed = second
        changed.line = first.line
        var found = try Self.read(fixture, changed)
        #expect(found.ids == Array(10..<30) && found.told.count == 1)
        changed = second
        changed.offset += 1_000_000
        found = try Self.read(fixture, changed)
        #expect(found.ids == Array(10..<30) && found.told.count == 1)
        changed.lineByteCount = 1 << 29
        found = try Self.read(fixture, changed)
        #expect(found.ids == Array(10..<30) && found.told.count == 1)

        try FileManager.default.removeItem(atPath: fixture.folder + "/" + fixture.rotated[0])
        found = try Self.read(fixture, first)
        #expect(found.ids == Array(10..<30) && found.told.count == 1)
        #expect(try Self.read(fixture, second).ids == Array(20..<30))
    }

    @Test func `a file that is gone between two others is told, and the rest is read`() throws {
        let fixture = try SinkFixture()
        fixture.write(10)
        var told: [String] = []
        let reader = try SinkReader(fixture.trail, nil) { told.append($0) }
        #expect(try Self.read(reader) == Array(0..<10))
        for _ in 0..<2 {
            fixture.rotate()
            fixture.write(10)
        }
        try FileManager.default.removeItem(atPath: fixture.folder + "/" + fixture.rotated[1])
        #expect(try Self.read(reader) == Array(20..<30))
        #expect(told.count == 1)
        // The one that is being read, too: it is read to its end, and then the next one is found by its first line.
        fixture.rotate()
        try FileManager.default.removeItem(atPath: fixture.folder + "/" + fixture.rotated[1])
        fixture.write(10)
        #expect(try Self.read(reader) == Array(30..<40))
        #expect(told.count == 1)
    }

    @Test func `a file that got its first line and another name since it was looked at is read all the same`()
        throws
    {
        let fixture = try SinkFixture(begins: false)
        let reader = try SinkReader(fixture.trail, nil) { Issue.record("\($0)") }
        #expect(try Self.read(reader).isEmpty)
        fixture.begin()
        fixture.write(10)
        fixture.rotate()
        fixture.write(10)
        #expect(try Self.read(reader) == Array(0..<20))
    }

    @Test func `a sink that begins while the first file gets another name begins with that file`() throws {
        for _ in 0..<100 {
            let fixture = try SinkFixture()
            fixture.write(1)
            nonisolated(unsafe) let shared = fixture
            let rotated = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                shared.rotate()
                shared.write(1)
                rotated.signal()
            }
            var isOver = false
            repeat {
                isOver = rotated.wait(timeout: .now()) == .success
                // That a name became another file's is an error here, and tried again by a sink.
                guard let reader = try? SinkReader(fixture.trail, nil, tell: { Issue.record("\($0)") }) else {
                    continue
                }
                var ids: [Int] = []
                try? Self.read(reader, &ids)
                #expect(ids.first == 0)
            } while !isOver
        }
    }

    @Test func `files that are rotated while they are looked for are all read`() throws {
        let fixture = try SinkFixture()
        fixture.write(1)
        let following = try SinkReader(fixture.trail, nil) { Issue.record("\($0)") }
        nonisolated(unsafe) let shared = fixture
        let written = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            for _ in 0..<200 {
                shared.rotate()
                shared.write(1)
            }
            written.signal()
        }
        var isOver = false
        var followed: [Int] = []
        repeat {
            isOver = written.wait(timeout: .now()) == .success
            // A name that another file has got meanwhile is told, and asked again.
            guard (try? Self.read(following, &followed)) != nil else { continue }
            guard let found = try? Self.read(fixture, nil) else { continue }
            #expect(found.ids == Array(0..<found.ids.count) && found.told.isEmpty)
            if let again = try? Self.read(fixture, found.cursor) { #expect(again.told.isEmpty) }
        } while !isOver
        try Self.read(following, &followed)
        #expect(followed == Array(0...200))
        #expect(try Self.read(fixture, nil).ids == Array(0...200))
    }

    @Test func `going back gives the same again`() throws {
        let fixture = try SinkFixture(writerCount: 2)
        fixture.write(600, padding: 3_000)
        let reader = try SinkReader(fixture.trail, nil) { Issue.record("\($0)") }
        let beginning = reader.cursor
        let ids = try Self.read(reader)
        #expect(ids.count == 600)
        reader.goBack(to: beginning)
        #expect(try Self.read(reader) == ids)
        reader.goBack(to: beginning)
        // In pieces that are not too big.
        guard case .events(let events) = try reader.next() else {
            Issue.record("there are some")
            return
        }
        let byteCount = events.reduce(0) { $0 + $1.content.count }
        #expect(byteCount <= SinkReader.maxByteCount && events.count <= SinkReader.maxEventCount)
    }

    @Test func `a rotated file's name is behind all others of its second, whichever are gone`() throws {
        let fixture = try SinkFixture()
        let time = "2026-09-01T10:00:00.000000Z"
        let stem = fixture.path + ".20260901T100000Z-"
        #expect(AuditNames.rotated(fixture.path, time: time) == stem + "1")
        for number in [2, 9, 10] { try Data().write(to: URL(fileURLWithPath: "\(stem)\(number)")) }
        #expect(AuditNames.rotated(fixture.path, time: time) == stem + "11")
        try Data().write(to: URL(fileURLWithPath: stem + "1000"))
        #expect(AuditNames.rotated(fixture.path, time: time) == nil)
        #expect(AuditNames.rotated(fixture.path, time: "2026-09-01T10:00:01")?.hasSuffix("01Z-1") == true)
    }

    @Test func `a cursor is what was written, and nothing else is one`() throws {
        let fixture = try SinkFixture()
        fixture.write(3)
        let cursor = try Self.read(fixture, nil).cursor
        let path = fixture.cursorPath("s")
        #expect(path == fixture.folder + "/cursor.s.audit.jsonl")
        #expect(try SinkCursor.read(path) == nil)
        #expect(cursor.write(path, mode: 0o640, trailName: "audit \"\u{1F600}.jsonl") == 0)
        #expect(try SinkCursor.read(path) == cursor)
        #expect(!FileManager.default.fileExists(atPath: path + ".new"))
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for wrong in [
            "", "\n", "{}\n", String(text.dropLast()), String(text.dropLast(2)) + "\n",
            text.replacing("\"offset\":", with: "\"offset\":-"),
            text.replacing("\"file\":\"", with: "\"file\":\"x"),
            text.replacing("\"sequence\"", with: "\"sequences\""), text + text,
            text.replacing(/"byteCount":[0-9]+/, with: "\"byteCount\":99999999999"),
            text.replacing("audit", with: String(repeating: "a", count: 8_192)),
        ] {
            try Data(wrong.utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: SinkFailure.self, "\(wrong)") { try SinkCursor.read(path) }
        }
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(throws: SinkFailure.self) { try SinkCursor.read(path) }
    }

    @Test func `a damaged cursor has all events sent again`() throws {
        let fixture = try SinkFixture()
        let destination = try MemoryDestination()
        fixture.write(10)
        try fixture.run(destination, until: 10)
        try Data("{".utf8).write(to: URL(fileURLWithPath: fixture.cursorPath()))
        fixture.write(10)
        try fixture.run(destination, until: 30)
        #expect(destination.with { $0.settled } == Array(0..<10) + Array(0..<20))
    }
}
