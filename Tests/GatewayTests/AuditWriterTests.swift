import Bytes
import Foundation
import Loop
import Testing

@testable import Gateway

/// The trail as its writers write it, judged by what `gatehouse audit verify` judges by.
@Suite(.serialized)
struct AuditWriterTests {
    static let now: Int64 = 1_800_000_000
    static let time = Content(text: "2026-09-01T10:00:00.000000Z")
    private static let key = [UInt8](0..<64)

    /// A folder for a trail, and what several processes one after the other do in it.
    struct Place {
        let folder: String
        var path: String { folder + "/audit.jsonl" }

        func trail(_ change: (inout Settings.Audit) -> Void = { _ in }) throws -> AuditTrail {
            var settings = Settings.Audit(file: Settings.AuditFile(path: path))
            settings.signEveryCount = 3
            change(&settings)
            return try AuditTrail(settings, key: AuditWriterTests.key, workerCount: 2)
        }

        /// The loops of a process that begins.
        func begin(_ trail: AuditTrail) -> [AuditWriter] {
            var random = RandomSource()
            let writers = (0..<2).map { AuditWriter(trail, worker: $0, random: &random) }
            #expect(AuditWriter.begin(writers, time: time, wallSeconds: now) == 0)
            return writers
        }

        /// A process that writes some events and ends well, or as a kill ends it.
        func run(eventCount: Int = 4, isKilled: Bool = false) throws {
            let writers = begin(try trail())
            for number in 0..<eventCount {
                append(number, to: writers[number % 2])
                writers[number % 2].write(now: 0, wallSeconds: now)
            }
            guard !isKilled else { return }
            for writer in writers { writer.end(time: time, now: 0, wallSeconds: now) }
        }

        func content(_ name: String = "audit.jsonl") throws -> Data {
            try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))
        }

        func put(_ content: Data, _ name: String = "audit.jsonl") throws {
            try content.write(to: URL(fileURLWithPath: folder + "/" + name))
        }

        var names: [String] {
            get throws {
                try FileManager.default.contentsOfDirectory(atPath: folder).filter {
                    $0.hasPrefix("audit.jsonl")
                }
            }
        }

        /// What verifying all files finds and comes to.
        func verify(expectsEnds: Bool = false) throws -> (findings: [TrailFinding], verdict: TrailVerdict) {
            var findings: [TrailFinding] = []
            let key = try #require(TrailKey(AuditWriterTests.key))
            let verifier = TrailVerifier(keys: [key], expectsEnds: expectsEnds) { findings.append($0) }
            let order = try TrailOrder.sorted(try names.map { folder + "/" + $0 })
            for (index, file) in order.enumerated() {
                try verifier.read(file, isNewest: index == order.count - 1)
            }
            return (findings, verifier.finish())
        }

        /// The kinds of what was found, of a trail that must be whole.
        func wholeFindings(expectsEnds: Bool = false) throws -> [TrailFinding.Kind] {
            let (findings, verdict) = try verify(expectsEnds: expectsEnds)
            #expect(verdict.isWhole, "\(findings.filter(\.kind.isBreak).map(\.description))")
            return findings.map(\.kind)
        }
    }

    static func withPlace(_ body: (Place) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/audit-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(Place(folder: folder))
    }

    static func append(_ number: Int, to writer: AuditWriter, padding: Int = 0) {
        let event = Content(
            text: "{\"id\":\"\(number)\",\"text\":\"\(String(repeating: "x", count: padding))\"}")
        #expect(writer.appendEvent(.change) { $0.append(event.bytes) } != nil)
    }

    // MARK: - The chain

    @Test func `a chain begins, is signed every so many events, and ends`() throws {
        try Self.withPlace { place in
            try place.run(eventCount: 14)
            let (findings, verdict) = try place.verify(expectsEnds: true)
            #expect(findings.isEmpty)
            #expect(verdict.isWhole && verdict.eventCount == 14 && verdict.writerCount == 2)
            // Two starts, two heads for the seven events of each, two ends.
            #expect(verdict.signatureCount == 8 && verdict.unprovenLineCount == 0)
            #expect(verdict.lineCount == 22)
        }
    }

    @Test func `a process goes on where the one before ended, and names its last writer`() throws {
        try Self.withPlace { place in
            try place.run()
            let before = try place.content()
            try place.run()
            #expect(try place.wholeFindings(expectsEnds: true).isEmpty)
            let content = try place.content()
            #expect(content.starts(with: before))
            let lines = String(decoding: content, as: UTF8.self).split(separator: "\n")
            let last = lines[String(decoding: before, as: UTF8.self).split(separator: "\n").count - 1]
            let start = lines[String(decoding: before, as: UTF8.self).split(separator: "\n").count]
            let writer = last.dropFirst(11).prefix(16)
            #expect(start.contains("\"sequence\":0,") && start.contains("\"continues\":\"\(writer)\""))
        }
    }

    @Test func `each byte that is changed is found`() throws {
        try Self.withPlace { place in
            try place.run()
            let content = try place.content()
            for offset in stride(from: 0, to: content.count, by: 7) {
                var changed = content
                changed[offset] ^= 1
                try place.put(changed)
                #expect(try !place.verify(expectsEnds: true).verdict.isWhole, "byte \(offset)")
            }
        }
    }

    // MARK: - What a crash leaves

    @Test func `a file cut at any byte goes on, and what was torn is marked`() throws {
        try Self.withPlace { place in
            try place.run(eventCount: 3, isKilled: true)
            let content = try place.content()
            var repaired = 0
            for count in 0...content.count {
                try place.put(content.prefix(count))
                try place.run(eventCount: 1)
                let findings = try place.wholeFindings()
                let isTorn = count > 0 && content[count - 1] != 0x0A
                // A whole line lacks its line feed alone, which is no tear.
                let lacksFeed = isTorn && count < content.count && content[count] == 0x0A
                #expect(findings.count { $0 == .repaired } == (isTorn && !lacksFeed ? 1 : 0), "\(count)")
                repaired += findings.count { $0 == .repaired }
                // What stood there stands there still.
                #expect(try place.content().starts(with: content.prefix(count)))
            }
            #expect(repaired > content.count / 2)
        }
    }

    @Test func `a process that is cut off within what it writes first is gone on from`() throws {
        try Self.withPlace { place in
            try place.run(eventCount: 3, isKilled: true)
            let before = try place.content() + Data("{\"writer\":\"torn".utf8)
            try place.put(before)
            try place.run(eventCount: 0, isKilled: true)
            let content = try place.content()
            for count in before.count...content.count {
                try place.put(content.prefix(count))
                try place.run(eventCount: 1)
                let findings = try place.wholeFindings()
                #expect(findings.contains(.repaired), "\(count)")
                #expect(try place.verify().verdict.eventCount == 4, "\(count)")
            }
        }
    }

    @Test func `lines that are none are each marked where they stand`() throws {
        try Self.withPlace { place in
            try place.run()
            let before = try place.content()
            try place.put(before + Data("not a line\n{\"writer\":\"torn".utf8))
            try place.run()
            #expect(try place.wholeFindings().count { $0 == .repaired } == 2)
            // Marked once: the next start has nothing to mark.
            try place.run()
            #expect(try place.wholeFindings().count { $0 == .repaired } == 2)
        }
    }

    // MARK: - A disk that refuses

    @Test func `what the disk refused is written whole and once when it takes it again`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withPlace { place in
            let trail = try place.trail()
            let writer = place.begin(trail)[0]
            let before = try place.content()
            Self.append(1, to: writer)
            KernelFault.fail(.write, code: ENOSPC)
            writer.write(now: 1, wallSeconds: Self.now)
            #expect(writer.isFailing && writer.safeMark == 0)
            #expect(try place.content() == before)
            Self.append(2, to: writer)
            // Not at once again: a full disk is not asked by every turn.
            writer.write(now: 50_000_000, wallSeconds: Self.now)
            #expect(writer.isFailing)
            writer.write(now: 200_000_000, wallSeconds: Self.now)
            #expect(!writer.isFailing && writer.safeMark == 2 && writer.isEmpty)
            #expect(trail.failureCount.load(ordering: .relaxed) == 1)
            _ = try place.wholeFindings()
            #expect(try place.verify().verdict.eventCount == 2)
        }
    }

    @Test func `a fragment that cannot be taken back ends writing until a restart, which marks it`() throws {
        try Self.withPlace { place in
            try place.run(isKilled: true)
            let trail = try place.trail()
            let writer = place.begin(trail)[0]
            trail.breakOff("a test says so")
            Self.append(1, to: writer)
            writer.write(now: 0, wallSeconds: Self.now)
            #expect(writer.isFailing && writer.safeMark == 0)
            writer.write(now: 1_000_000_000, wallSeconds: Self.now)
            #expect(writer.isFailing)
            #expect(try place.verify().verdict.eventCount == 4)
        }
    }

    @Test func `four MiB wait at most, half of them for changes alone, and the rest is counted`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withPlace { place in
            let writer = place.begin(try place.trail { $0.signEveryCount = 1_000_000 })[0]
            let event = Content(text: "{\"text\":\"\(String(repeating: "x", count: 30_000))\"}")
            // Until it is asked again, the disk takes nothing.
            KernelFault.fail(.write, code: ENOSPC)
            Self.append(0, to: writer)
            writer.write(now: 0, wallSeconds: Self.now)
            #expect(writer.isFailing)
            /// How many of at most 200 find room.
            func fill(_ weight: AuditWeight) -> Int {
                (0..<200).prefix { _ in writer.appendEvent(weight) { $0.append(event.bytes) } != nil }.count
            }
            let reads = fill(.read)
            #expect(writer.byteCount >= 2 << 20 && writer.byteCount < 2 << 20 + 31_000)
            #expect(fill(.refusal) == 0)
            let changes = fill(.change)
            #expect(changes > 50 && changes < 200 && writer.byteCount <= AuditWriter.maxByteCount)
            #expect(writer.lostCount == 3 && Int(writer.eventCount) == 1 + reads + changes)
            // There is room left to end the chain, which has no gap: what was lost never had a number.
            writer.end(time: Self.time, now: 0, wallSeconds: Self.now)
            #expect(writer.isEmpty)
            let (_, verdict) = try place.verify()
            #expect(verdict.isWhole && verdict.eventCount == 1 + reads + changes)
        }
    }

    @Test func `a round of more than there is room for goes to a healthy disk in between`() throws {
        try Self.withPlace { place in
            let writer = place.begin(try place.trail())[0]
            for number in 0..<200 { Self.append(number, to: writer, padding: 30_000) }
            #expect(writer.lostCount == 0 && writer.byteCount < AuditWriter.maxByteCount)
            writer.end(time: Self.time, now: 0, wallSeconds: Self.now)
            #expect(try place.verify().verdict.eventCount == 200)
        }
    }

    @Test func `with synced an event is safe when the disk has it, and not before`() throws {
        try Self.withPlace { place in
            let writer = place.begin(try place.trail { $0.durability = .synced })[0]
            Self.append(1, to: writer)
            #expect(writer.unsyncedMark == nil)
            writer.write(now: 0, wallSeconds: Self.now)
            let mark = try #require(writer.unsyncedMark)
            // Until the disk has been asked, the clock goes on.
            #expect(!writer.isQuiet)
            writer.isSyncing = true
            #expect(writer.isQuiet)
            writer.isSyncing = false
            // What is written meanwhile waits for the next time.
            Self.append(2, to: writer)
            writer.write(now: 0, wallSeconds: Self.now)
            writer.synced(to: mark)
            #expect(writer.safeMark == 1 && writer.unsyncedMark == 2)
            writer.synced(to: 2)
            #expect(writer.safeMark == 2 && writer.unsyncedMark == nil)
        }
    }
}
