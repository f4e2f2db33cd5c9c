import Bytes
import Foundation
import Testing

@testable import Gateway

/// A file that is read while it is written.
struct TrailFollowerTests {
    /// A trail whose file is written as far as it goes.
    private struct Written {
        var trail = MadeTrail()
        let folder: TrailFolder
        var path: String { folder.path + "/audit.jsonl" }
        private var id = 0

        init() throws {
            folder = try TrailFolder()
            trail.start("00000000000000a1")
            try append(MadeTrail.bytes(trail.files[0]))
        }

        func append(_ bytes: [UInt8]) throws {
            if !FileManager.default.fileExists(atPath: path) { try folder.write("audit.jsonl", []) }
            let handle = try #require(FileHandle(forWritingAtPath: path))
            try handle.seekToEnd()
            try handle.write(contentsOf: bytes)
            try handle.close()
        }

        /// Writes events with the next ids.
        mutating func events(_ count: Int, user: String = "u1") throws {
            var bytes: [UInt8] = []
            for _ in 0..<count {
                var event = MadeEvent(id: id)
                event.user = user
                trail.event("00000000000000a1", event.text)
                bytes += MadeTrail.bytes(trail.files[trail.files.count - 1].suffix(1))
                id += 1
            }
            try append(bytes)
        }

        mutating func rotate() throws {
            trail.rotate("00000000000000a1")
            try append(MadeTrail.bytes(trail.files[trail.files.count - 2].suffix(1)))
            try FileManager.default.moveItem(
                atPath: path, toPath: folder.path + "/" + trail.names[trail.files.count - 2])
            try append(MadeTrail.bytes(trail.files[trail.files.count - 1]))
        }
    }

    private static func ids(_ texts: [[UInt8]]) -> [Int] {
        texts.compactMap { text in
            let text = String(decoding: text, as: UTF8.self)
            return text.range(of: "8000-").flatMap { Int(text[$0.upperBound...].prefix(12)) }
        }
    }

    private static func poll(_ follower: inout TrailFollower) throws -> (ids: [Int], told: [String]) {
        var search = TrailSearch(TrailFilter())
        var texts: [[UInt8]] = []
        var told: [String] = []
        try follower.poll(
            { run in search.search(run) { texts.append(Array($0.text)) } }, told: { told.append($0) })
        return (ids(texts), told)
    }

    @Test func `what is written later comes once, through rotations`() throws {
        var written = try Written()
        try written.events(3)
        var follower = try TrailFollower(written.path)
        #expect(try Self.poll(&follower).ids == [0, 1, 2])
        #expect(try Self.poll(&follower).ids == [])
        try written.events(2)
        try written.rotate()
        try written.events(2)
        #expect(try Self.poll(&follower).ids == [3, 4, 5, 6])
        // Several rotations between two looks.
        for _ in 0..<3 {
            try written.events(2)
            try written.rotate()
        }
        let found = try Self.poll(&follower)
        #expect(found.ids == Array(7...12) && found.told.isEmpty)
        try written.events(1)
        #expect(try Self.poll(&follower).ids == [13])
    }

    @Test func `a line comes when it is whole`() throws {
        var written = try Written()
        var follower = try TrailFollower(written.path)
        #expect(try Self.poll(&follower).ids == [])
        written.trail.event("00000000000000a1", MadeEvent(id: 0).text)
        let line = MadeTrail.bytes(written.trail.files[0].suffix(1))
        for byte in line.dropLast() { try written.append([byte]) }
        #expect(try Self.poll(&follower).ids == [])
        try written.append([0x0A])
        #expect(try Self.poll(&follower).ids == [0])
    }

    @Test func `a file that is gone before it was read is told`() throws {
        var written = try Written()
        var follower = try TrailFollower(written.path)
        try written.events(1)
        try written.rotate()
        try written.events(1)
        try written.rotate()
        try written.events(1)
        try FileManager.default.removeItem(atPath: written.folder.path + "/" + written.trail.names[1])
        let found = try Self.poll(&follower)
        #expect(found.ids == [0, 2] && found.told.count == 1)
    }

    @Test func `a file that was cut is told and read anew`() throws {
        var written = try Written()
        try written.events(3)
        var follower = try TrailFollower(written.path)
        #expect(try Self.poll(&follower).ids == [0, 1, 2])
        let handle = try #require(FileHandle(forWritingAtPath: written.path))
        try handle.truncate(atOffset: UInt64(MadeTrail.bytes(Array(written.trail.files[0].prefix(2))).count))
        let found = try Self.poll(&follower)
        #expect(found.ids == [0] && found.told.count == 1)
    }

    @Test func `a path without a file is waited for`() throws {
        var written = try Written()
        var follower = try TrailFollower(written.path)
        try written.events(1)
        try FileManager.default.moveItem(atPath: written.path, toPath: written.path + ".moved")
        #expect(try Self.poll(&follower).ids == [0])
        try written.events(1)
        #expect(try Self.poll(&follower).ids == [1])
    }

    @Test(arguments: [0, 1, 5, 29, 30, 31, 1_000])
    func `the last events are those at the end, and following goes on behind them`(count: Int) throws {
        var written = try Written()
        // More than one block from the end.
        for index in 0..<30 {
            try written.events(1)
            var long = MadeEvent(id: 500 + index)
            long.user = "other"
            long.userName = String(repeating: "n", count: 100_000)
            written.trail.event("00000000000000a1", long.text)
            try written.append(MadeTrail.bytes(written.trail.files[0].suffix(1)))
        }
        try written.append(Array("{\"writer\":\"torn".utf8))
        var follower = try TrailFollower(written.path)
        var filter = TrailFilter()
        filter.user = "u1"
        #expect(try Self.ids(follower.last(count, filter)) == Array(0..<30).suffix(count))
        #expect(try Self.poll(&follower).ids == [])
        try written.append([0x0A])
        try written.events(1)
        #expect(try Self.poll(&follower).ids == [30])
    }

    @Test func `an empty file has no last events`() throws {
        let folder = try TrailFolder()
        var follower = try TrailFollower(try folder.write("audit.jsonl", []))
        #expect(try follower.last(10, TrailFilter()).isEmpty)
        #expect(try Self.poll(&follower).ids.isEmpty)
    }
}
