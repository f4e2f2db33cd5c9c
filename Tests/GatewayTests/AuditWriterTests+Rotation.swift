import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

extension AuditWriterTests {
    /// A trail of two files, of which the newer one is empty but for what begins it.
    private static func rotate(_ place: Place) throws -> (old: (name: String, content: Data), first: Data) {
        let writers = place.begin(try place.trail { $0.rotation.byteCount = 1 << 16 })
        append(1, to: writers[0], padding: 60_000)
        append(2, to: writers[1], padding: 10_000)
        for writer in writers { writer.write(now: 0, wallSeconds: now) }
        writers[0].rotate(time: time, wallSeconds: now)
        let name = try #require(try place.names.first { $0 != "audit.jsonl" })
        return ((name, try place.content(name)), try place.content())
    }

    @Test func `a rotation goes on in a new file and keeps both chains`() throws {
        try Self.withPlace { place in
            let (old, first) = try Self.rotate(place)
            #expect(old.name == "audit.jsonl.20260901T100000Z-1")
            #expect(String(decoding: first, as: UTF8.self).contains("\"after\":\"\(old.name)\""))
            #expect(!(try place.wholeFindings().contains(.continued)))
            try place.run()
            #expect(try place.verify().verdict.eventCount == 6)
        }
    }

    @Test func `a rotation that a crash ends at any step is gone on from`() throws {
        for step in ["no name yet", "no file yet", "an empty file", "a torn line", "a line", "twice"] {
            try Self.withPlace { place in
                let (old, first) = try Self.rotate(place)
                switch step {
                case "no name yet":
                    try FileManager.default.removeItem(atPath: place.folder + "/" + old.name)
                    try place.put(old.content)
                case "no file yet": try FileManager.default.removeItem(atPath: place.path)
                case "an empty file": try place.put(Data())
                case "a torn line": try place.put(first.prefix(40))
                case "twice":
                    // The crash came before the file, and the next process was killed at once, too.
                    try place.put(Data())
                    try place.run(eventCount: 0, isKilled: true)
                    try place.put(try place.content().prefix(30))
                default: break
                }
                try place.run()
                let (findings, verdict) = try place.verify()
                #expect(
                    verdict.isWhole, "\(step): \(findings.filter(\.kind.isBreak).map(\.description))")
                #expect(verdict.eventCount == 6, "\(step)")
            }
        }
    }

    @Test func `where no new file can be made the old one goes on`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withPlace { place in
            let writers = place.begin(try place.trail { $0.rotation.byteCount = 1 << 16 })
            Self.append(1, to: writers[0], padding: 70_000)
            writers[0].write(now: 0, wallSeconds: Self.now)
            KernelFault.fail(.open, code: EMFILE)
            writers[0].rotate(time: Self.time, wallSeconds: Self.now)
            KernelFault.clear()
            #expect(try place.names == ["audit.jsonl"])
            for writer in writers { Self.append(2, to: writer) }
            for writer in writers { writer.write(now: 0, wallSeconds: Self.now) }
            #expect(try place.wholeFindings().contains(.unrotated))
            #expect(try place.verify().verdict.eventCount == 3)
            // It is not tried at once again, and goes well then.
            writers[1].rotate(time: Self.time, wallSeconds: Self.now + 1)
            #expect(try place.names == ["audit.jsonl"])
            writers[1].rotate(time: Self.time, wallSeconds: Self.now + 61)
            for writer in writers { writer.end(time: Self.time, now: 0, wallSeconds: Self.now) }
            #expect(try place.names.count == 2)
            _ = try place.wholeFindings(expectsEnds: true)
        }
    }

    @Test func `a file whose last lines the disk could not be asked to keep is not rotated`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withPlace { place in
            let trail = try place.trail {
                $0.rotation.byteCount = 1 << 16
                $0.durability = .synced
            }
            let writers = place.begin(trail)
            Self.append(1, to: writers[0], padding: 70_000)
            writers[0].write(now: 0, wallSeconds: Self.now)
            // The first descriptor is that of the old file; then there are some again.
            KernelFault.fail(.open, code: EMFILE)
            writers[0].rotate(time: Self.time, wallSeconds: Self.now)
            KernelFault.clear()
            #expect(try place.names == ["audit.jsonl"])
            #expect(trail.failureCount.load(ordering: .relaxed) == 1)
            writers[0].rotate(time: Self.time, wallSeconds: Self.now + 61)
            #expect(try place.names.count == 2)
            for writer in writers { writer.end(time: Self.time, now: 0, wallSeconds: Self.now) }
            #expect(try place.wholeFindings(expectsEnds: true).isEmpty)
        }
    }

    @Test(arguments: [1, 2])
    func `a rotation whose last or first line is torn ends writing until a restart`(nth: Int32) throws {
        try #require(KernelFault.isAvailable)
        try Self.withPlace { place in
            let trail = try place.trail { $0.rotation.byteCount = 1 << 16 }
            do {
                let writers = place.begin(trail)
                Self.append(1, to: writers[0], padding: 70_000)
                writers[0].write(now: 0, wallSeconds: Self.now)
                KernelFault.tear(nthWrite: nth, code: EIO)
                writers[0].rotate(time: Self.time, wallSeconds: Self.now)
                KernelFault.clear()
                #expect(trail.isBroken)
                Self.append(2, to: writers[0])
                writers[0].write(now: 0, wallSeconds: Self.now)
                #expect(writers[0].isFailing && writers[0].safeMark == 1)
            }
            #expect(try place.names.count == Int(nth))
            // As a restart finds it, whose process has the lock.
            let folder = place.folder + "/later"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let later = Place(folder: folder)
            for name in try place.names { try later.put(try place.content(name), name) }
            try later.run()
            #expect(try later.wholeFindings().contains(.repaired))
            #expect(try later.verify().verdict.eventCount == 5)
        }
    }

    @Test func `a rotation that was refused leaves heads where they are due`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withPlace { place in
            let writers = place.begin(try place.trail { $0.rotation.byteCount = 1 << 16 })
            for number in 1...2 { Self.append(number, to: writers[0], padding: 40_000) }
            writers[0].write(now: 0, wallSeconds: Self.now)
            KernelFault.fail(.write, code: ENOSPC)
            writers[0].rotate(time: Self.time, wallSeconds: Self.now)
            KernelFault.clear()
            #expect(try place.names == ["audit.jsonl"])
            for number in 3...5 { Self.append(number, to: writers[0]) }
            for writer in writers { writer.end(time: Self.time, now: 0, wallSeconds: Self.now) }
            #expect(try place.wholeFindings(expectsEnds: true).isEmpty)
        }
    }

    @Test func `as many rotated files are kept as told, and others are let be`() throws {
        try Self.withPlace { place in
            let names = (1...12).map { "audit.jsonl.20260901T100000Z-\($0)" }
            let others = [
                "audit.jsonl.20260901T100000Z", "audit.jsonl.old-1", "other.jsonl.20260901T100000Z-1",
            ]
            for name in names + others { try place.put(Data("x".utf8), name) }
            AuditNames.removeOldest(place.path, keeping: 3)
            let left = Set(try FileManager.default.contentsOfDirectory(atPath: place.folder))
            // By number, not by text: -9 is older than -10.
            #expect(left == Set(names.suffix(3) + others))
        }
    }
}
