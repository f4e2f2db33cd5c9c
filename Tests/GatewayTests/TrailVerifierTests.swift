import Foundation
import Testing

@testable import Gateway

/// Trails that are as they were written, and what is told of them.
struct TrailVerifierTests {
    static let key = TrailKey(MadeTrail.key)!

    /// A trail of several processes of several writers, killed or ended, with fragments and rotations.
    static func random(_ seed: UInt64, key: [UInt8]?, ends: Bool) -> (
        trail: MadeTrail, kills: Int, repairs: Int
    ) {
        var numbers = SeededNumbers(seed: seed)
        var trail = MadeTrail(key: key, signEvery: Int.random(in: 1...9, using: &numbers))
        var (kills, repairs, name) = (0, 0, 0)
        for process in 0..<Int.random(in: 1...4, using: &numbers) {
            let count = Int.random(in: 1...3, using: &numbers)
            let names = (0..<count).map { _ in
                name += 1
                return String(format: "%016x", 0xA00 + name)
            }
            for name in names {
                trail.start(name, process: String(format: "%016x", process + 1), workers: count)
            }
            for step in 0..<Int.random(in: 0...60, using: &numbers) {
                let writer = names.randomElement(using: &numbers)!
                if Int.random(in: 0..<30, using: &numbers) == 0 {
                    trail.rotate(writer)
                } else {
                    trail.event(writer, MadeEvent(id: step).text)
                }
            }
            let isKilled = !ends && Bool.random(using: &numbers)
            guard isKilled else {
                for name in names { trail.end(name) }
                continue
            }
            kills += count
            guard Bool.random(using: &numbers) else { continue }
            let last = names.randomElement(using: &numbers)!
            trail.event(last, MadeEvent(id: 999).text)
            let whole = trail.files[trail.files.count - 1].last?.bytes.count ?? 0
            let fragment = trail.cutLast(to: Int.random(in: 1..<whole, using: &numbers))
            name += 1
            let next = String(format: "%016x", 0xA00 + name)
            trail.start(next, process: String(format: "%016x", 0x100 + process), workers: 1)
            trail.repair(next, fragment)
            trail.end(next)
            repairs += 1
        }
        return (trail, kills, repairs)
    }

    @Test(arguments: 1...40)
    func `a trail that is as it was written is whole`(seed: UInt64) throws {
        for key in [nil, MadeTrail.key] {
            let made = Self.random(seed, key: key, ends: false)
            let folder = try TrailFolder()
            let files = try made.trail.write(to: folder)
            let found = try Verified.files(files, keys: key == nil ? [] : [Self.key])
            #expect(found.verdict.isWhole, "seed \(seed): \(found.text)")
            let lines = made.trail.files.joined()
            #expect(found.verdict.lineCount == lines.count { $0.kind != .fragment }, "seed \(seed)")
            #expect(found.verdict.eventCount == lines.count { $0.kind == .event }, "seed \(seed)")
            #expect(found.verdict.writerCount == made.trail.writers.count, "seed \(seed)")
            #expect(found.verdict.openWriterCount == made.kills, "seed \(seed)")
            #expect(found.findings.count { $0.kind == .killed } == made.kills, "seed \(seed)")
            #expect(found.findings.count { $0.kind == .repaired } == made.repairs, "seed \(seed)")
            #expect(
                found.verdict.byteCount
                    == UInt64(made.trail.files.map { MadeTrail.bytes($0).count }.reduce(0, +)))
            if key != nil {
                #expect(
                    found.verdict.signatureCount == lines.count { $0.kind != .event && $0.kind != .fragment })
            }
        }
    }

    @Test(arguments: 1...20)
    func `files are put in their order, whichever way they are given and named`(seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        var trail = MadeTrail()
        trail.start("00000000000000a1", workers: 2)
        trail.start("00000000000000a2", workers: 2)
        for step in 0..<30 {
            let writer = step % 3 == 0 ? "00000000000000a1" : "00000000000000a2"
            trail.event(writer, MadeEvent(id: step).text)
            if step % 4 == 3 { trail.rotate(writer) }
        }
        for writer in ["00000000000000a1", "00000000000000a2"] { trail.end(writer) }
        let folder = try TrailFolder()
        let files = try trail.write(to: folder)
        #expect(try TrailOrder.sorted(files.shuffled(using: &numbers)).map(\.path) == files, "seed \(seed)")
        #expect(try Verified.files(files.shuffled(using: &numbers), isComplete: true).findings.isEmpty)

        let renamed = try zip((0..<files.count).shuffled(using: &numbers), trail.files).map {
            try folder.write("copy-\($0)", MadeTrail.bytes($1))
        }
        #expect(
            try TrailOrder.sorted(renamed.shuffled(using: &numbers)).map(\.path) == renamed, "seed \(seed)")
    }

    @Test func `files without links are put in the order of their names`() throws {
        let folder = try TrailFolder()
        let names = [
            "a.jsonl.20260831T235959Z-1", "a.jsonl.20260901T100000Z-2", "a.jsonl.20260901T100000Z-10",
            "a.jsonl",
        ]
        let files = try names.map { try folder.write($0, []) }
        #expect(try TrailOrder.sorted(files.reversed()).map(\.path) == files)
    }

    @Test func `a file that is given twice is refused`() throws {
        let folder = try TrailFolder()
        let file = try folder.write("audit.jsonl", [])
        #expect(throws: TrailFailure.self) { try TrailOrder.sorted([file, folder.path + "/./audit.jsonl"]) }
    }

    @Test func `a file that is rotated after its place was found is told`() throws {
        let folder = try TrailFolder()
        let file = try #require(try TrailOrder.sorted([try folder.write("audit.jsonl", [])]).first)
        try FileManager.default.moveItem(atPath: file.path, toPath: file.path + ".1")
        try folder.write("audit.jsonl", [])
        let verifier = TrailVerifier { _ in }
        #expect(throws: TrailFailure.self) { try verifier.read(file, isNewest: true) }
    }

    @Test func `what is no file is told with its reason`() throws {
        let folder = try TrailFolder()
        for file in [folder.path, folder.path + "/none", "/dev/null"] {
            #expect(throws: TrailFailure.self) { try TrailOrder.sorted([file]) }
        }
    }

    @Test func `files of which some are not given`() throws {
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 3)
        for (index, writer) in ["00000000000000a1", "00000000000000a2"].enumerated() {
            trail.start(writer, process: "000000000000000\(index + 1)")
        }
        for step in 0..<12 {
            trail.event(step % 2 == 0 ? "00000000000000a1" : "00000000000000a2", MadeEvent(id: step).text)
            if step % 4 == 3 { trail.rotate("00000000000000a1") }
        }
        for writer in ["00000000000000a1", "00000000000000a2"] { trail.end(writer) }
        let folder = try TrailFolder()
        let files = try trail.write(to: folder)
        try #require(files.count == 4)

        let later = try Verified.files(Array(files.dropFirst()), keys: [Self.key], isComplete: true)
        #expect(later.verdict.isWhole, "\(later.text)")
        #expect(later.findings.count { $0.kind == .continued } >= 2, "\(later.text)")

        let gap = try Verified.files([files[0], files[1], files[3]], keys: [Self.key])
        #expect(gap.has(.missing))

        let earlier = try Verified.files(Array(files.dropLast()), keys: [Self.key])
        #expect(earlier.verdict.isWhole && earlier.has(.continued), "\(earlier.text)")
        let cut = try Verified.files(Array(files.dropLast()), keys: [Self.key], isComplete: true)
        #expect(cut.has(.cut))
    }

    @Test func `a rotation that was not carried out is told`() throws {
        var trail = MadeTrail()
        trail.start("00000000000000a1")
        trail.append(
            "00000000000000a1", .rotation, "\"rotation\":{\"from\":\"audit.jsonl\",\"to\":\"audit.jsonl.x\"")
        trail.event("00000000000000a1", MadeEvent().text)
        trail.end("00000000000000a1")
        let found = try Verified.lines(trail.files, in: TrailFolder(), isComplete: true)
        #expect(found.verdict.isWhole && found.findings.map(\.kind) == [.unrotated], "\(found.text)")
    }

    @Test func `a start that names an earlier line is told by the line that was put in between`() throws {
        var trail = MadeTrail()
        trail.start("00000000000000a1", workers: 1)
        trail.event("00000000000000a1", MadeEvent().text)
        let named = trail.lastWhole
        trail.event("00000000000000a1", MadeEvent().text)
        trail.writers["00000000000000a2"] = .init(previous: MadeTrail.sha256(named?.bytes ?? []))
        trail.start("00000000000000a2", process: "00000000000000bb")
        for writer in ["00000000000000a1", "00000000000000a2"] { trail.end(writer) }
        let found = try Verified.lines(trail.files, in: TrailFolder(), isComplete: true)
        #expect(
            found.findings.map(\.kind) == [.missing] && found.findings[0].place.line == 4, "\(found.text)")
    }

    @Test func `a process whose first lines were cut is told, and one that lacks a writer is found`() throws {
        var trail = MadeTrail()
        trail.start("00000000000000a1", workers: 2)
        let cut = try Verified.lines(trail.files, in: TrailFolder())
        #expect(cut.verdict.isWhole && cut.has(.torn), "\(cut.text)")
        #expect(try Verified.lines(trail.files, in: TrailFolder(), isComplete: true).has(.missing))
        trail.start("00000000000000a2", process: "00000000000000bb")
        trail.end("00000000000000a2")
        #expect(try Verified.lines(trail.files, in: TrailFolder()).verdict.isWhole)
        trail.event("00000000000000a1", MadeEvent().text)
        #expect(try Verified.lines(trail.files, in: TrailFolder()).has(.missing))
    }

    @Test(arguments: [nil, MadeTrail.key])
    func `starts that a crash tore are told, whoever goes on behind them`(key: [UInt8]?) throws {
        let folder = try TrailFolder()
        let keys = key == nil ? [] : [Self.key]
        for whole in 1...2 {
            var trail = MadeTrail(key: key, signEvery: 2)
            trail.start("00000000000000a0", process: "0000000000000001")
            trail.event("00000000000000a0", MadeEvent().text)
            for writer in ["00000000000000b1", "00000000000000b2", "00000000000000b3"].prefix(whole + 1) {
                trail.start(writer, process: "0000000000000002", workers: 3)
            }
            let fragment = trail.cutLast(to: 50)
            for writer in ["00000000000000c1", "00000000000000c2", "00000000000000c3"] {
                trail.start(writer, process: "0000000000000003", workers: 3)
                if writer.hasSuffix("c1") { trail.repair(writer, fragment) }
            }
            for writer in ["00000000000000c1", "00000000000000c2", "00000000000000c3"] {
                trail.event(writer, MadeEvent().text)
                trail.end(writer)
            }
            let found = try Verified.files(try trail.write(to: folder), keys: keys)
            #expect(found.verdict.isWhole && found.findings.count { $0.kind == .torn } == 1, "\(found.text)")
            #expect(found.findings.count { $0.kind == .repaired } == 1, "\(found.text)")
        }
    }

    @Test func `a start that is signed covers the line before it`() throws {
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 100)
        trail.start("00000000000000a1", workers: 1)
        trail.event("00000000000000a1", MadeEvent().text)
        trail.event("00000000000000a1", MadeEvent().text)
        trail.start("00000000000000a2", process: "00000000000000bb")
        trail.event("00000000000000a2", MadeEvent().text)
        let found = try Verified.lines(trail.files, in: TrailFolder(), keys: [Self.key])
        #expect(found.verdict.isWhole && found.verdict.unprovenLineCount == 1, "\(found.text)")
    }

    @Test func `a line that is too long is told, and those after it are read`() throws {
        var trail = MadeTrail()
        trail.start("00000000000000a1")
        var long = MadeEvent()
        long.userName = String(repeating: "x", count: TrailBlocks.maxLineByteCount * 3)
        trail.event("00000000000000a1", long.text)
        trail.end("00000000000000a1")
        let found = try Verified.lines(trail.files, in: TrailFolder())
        #expect(found.has(.unreadable) && found.has(.missing), "\(found.text)")
        let offset = UInt64(MadeTrail.bytes([trail.files[0][0]]).count)
        #expect(found.findings[0].place.offset == offset && found.findings[0].place.line == 2)
        let end = MadeTrail.bytes(Array(trail.files[0].prefix(2))).count
        #expect(found.findings[1].place.offset == UInt64(end) && found.findings[1].place.line == 3)
    }

    @Test func `more fragments than are held are told all the same`() throws {
        var trail = MadeTrail()
        trail.start("00000000000000a1")
        for number in 0..<200 {
            trail.files[0].append(.init(writer: "", kind: .fragment, bytes: Array("fragment \(number)".utf8)))
        }
        trail.end("00000000000000a1")
        let found = try Verified.lines(trail.files, in: TrailFolder(), isComplete: true)
        #expect(found.breaks.count { $0.kind == .unreadable } == 200)
        #expect(found.breaks.map(\.place.line) == Array(2...201))
    }

    @Test func `an empty trail is whole`() throws {
        let found = try Verified.lines([[]], in: TrailFolder(), isComplete: true)
        #expect(found.findings.isEmpty && found.verdict.lineCount == 0)
    }
}
