import Foundation
import Testing

@testable import Gateway

/// Trails that somebody changed.
struct TrailTamperingTests {
    static let key = TrailKey(MadeTrail.key)!
    static let first = "00000000000000a1"
    static let second = "00000000000000a2"

    /// A short event, since each of its bytes is changed once.
    static func short(_ id: Int) -> String { "{\"id\":\"\(id)\",\"initiator\":{\"name\":\"alice\"}}" }

    /// Two writers that ended, a fragment between two processes, and some heads.
    static func small(key: [UInt8]? = MadeTrail.key) -> MadeTrail {
        var trail = MadeTrail(key: key, signEvery: 2)
        trail.start("00000000000000a0", process: "00000000000000bb")
        trail.event("00000000000000a0", short(0))
        trail.event("00000000000000a0", short(1))
        trail.end("00000000000000a0")
        trail.files[0].append(.init(writer: "", kind: .fragment, bytes: Array("{\"writer\":\"0".utf8)))
        let offset = MadeTrail.bytes(Array(trail.files[0].dropLast())).count
        trail.start(first, workers: 2)
        trail.repair(first, (offset, trail.files[0].last { $0.kind == .fragment }?.bytes ?? []))
        trail.start(second, workers: 2)
        for id in 2..<6 {
            trail.event(first, short(id))
            trail.event(second, short(id + 10))
        }
        trail.end(first)
        trail.end(second)
        return trail
    }

    static func verify(
        _ bytes: [UInt8], in folder: TrailFolder, keys: [TrailKey] = [key], isComplete: Bool = true
    ) throws -> Verified {
        try Verified.files([try folder.write("audit.jsonl", bytes)], keys: keys, isComplete: isComplete)
    }

    @Test func `the small trail is whole before anybody changes it`() throws {
        let found = try Self.verify(MadeTrail.bytes(Self.small().files[0]), in: TrailFolder())
        #expect(found.verdict.isWhole && found.verdict.unprovenLineCount == 0, "\(found.text)")
    }

    @Test func `with the key, any byte that is changed is found`() throws {
        let bytes = MadeTrail.bytes(Self.small().files[0])
        let folder = try TrailFolder()
        var numbers = SeededNumbers(seed: 7)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= UInt8.random(in: 1...255, using: &numbers)
            let found = try Self.verify(changed, in: folder)
            #expect(!found.verdict.isWhole, "byte \(index) is \(changed[index]), was \(bytes[index])")
        }
    }

    @Test func `without a key, any byte that is changed is found but in a writer's last line`() throws {
        let lines = Self.small(key: nil).files[0]
        let bytes = MadeTrail.bytes(lines)
        let folder = try TrailFolder()
        var numbers = SeededNumbers(seed: 8)
        var start = 0
        for line in lines {
            for index in start...start + line.bytes.count where line.kind != .end {
                var changed = bytes
                changed[index] ^= UInt8.random(in: 1...255, using: &numbers)
                let found = try Self.verify(changed, in: folder, keys: [])
                #expect(!found.verdict.isWhole, "byte \(index) is \(changed[index]), was \(bytes[index])")
            }
            start += line.bytes.count + 1
        }
    }

    @Test func `a changed event is told by its line`() throws {
        let lines = Self.small().files[0]
        let folder = try TrailFolder()
        for (index, line) in lines.enumerated() where line.kind == .event {
            var changed = lines
            let text = String(decoding: line.bytes, as: UTF8.self)
            changed[index].bytes = Array(text.replacing("alice", with: "alicf").utf8)
            let found = try Self.verify(MadeTrail.bytes(changed), in: folder)
            #expect(found.breaks.map(\.kind) == [.changed])
            #expect(found.breaks.first?.place.line == index + 1)
            #expect(found.breaks.first?.place.offset == UInt64(MadeTrail.bytes(Array(lines[..<index])).count))
            #expect(found.breaks.first.map { TrailHexadecimal.text($0.writer ?? 0) } == line.writer)
        }
    }

    @Test func `any line that is taken out is found`() throws {
        let lines = Self.small().files[0]
        let folder = try TrailFolder()
        for index in lines.indices where lines[index].kind != .fragment {
            var changed = lines
            changed.remove(at: index)
            let found = try Self.verify(MadeTrail.bytes(changed), in: folder)
            #expect(!found.verdict.isWhole, "line \(index + 1)")
        }
    }

    @Test(arguments: [(false, 1), (true, 1), (true, 2)])
    func `a start that is taken out is found where its writer has more lines`(isOpen: Bool, count: Int) throws
    {
        // Where the first file is missing, its writers go on in the second; those that begin there do not.
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 2)
        trail.start("00000000000000a0", process: "00000000000000bb")
        trail.event("00000000000000a0", Self.short(0))
        if isOpen { trail.rotate("00000000000000a0") }
        for writer in [Self.first, Self.second] {
            trail.start(writer, process: "00000000000000cc", workers: 2)
        }
        for writer in [Self.second, Self.first].prefix(count) { trail.event(writer, Self.short(1)) }
        let folder = try TrailFolder()
        var lines = try #require(trail.files.last)
        #expect(try Self.verify(MadeTrail.bytes(lines), in: folder, isComplete: false).verdict.isWhole)
        lines.remove(at: try #require(lines.lastIndex { $0.kind == .start }))
        let found = try Self.verify(MadeTrail.bytes(lines), in: folder, isComplete: false)
        #expect(found.has(.missing), "\(found.text)")
    }

    @Test func `without a key, any line that is taken out is found but a writer's last`() throws {
        let lines = Self.small(key: nil).files[0]
        let folder = try TrailFolder()
        for index in lines.indices where lines[index].kind != .fragment && lines[index].kind != .end {
            var changed = lines
            changed.remove(at: index)
            let found = try Self.verify(MadeTrail.bytes(changed), in: folder, keys: [], isComplete: false)
            #expect(!found.verdict.isWhole, "line \(index + 1)")
        }
    }

    @Test func `all lines of one writer that are taken out are found`() throws {
        let lines = Self.small(key: nil).files[0]
        let folder = try TrailFolder()
        for writer in Set(lines.map(\.writer)) where !writer.isEmpty {
            let changed = lines.filter { $0.writer != writer }
            let found = try Self.verify(MadeTrail.bytes(changed), in: folder, keys: [], isComplete: false)
            #expect(found.has(.missing), "writer \(writer): \(found.text)")
        }
    }

    @Test func `any line that stands twice is found`() throws {
        let lines = Self.small(key: nil).files[0]
        let folder = try TrailFolder()
        var numbers = SeededNumbers(seed: 9)
        for index in lines.indices {
            for place in [index + 1, Int.random(in: 0...lines.count, using: &numbers)] {
                var changed = lines
                changed.insert(lines[index], at: place)
                let found = try Self.verify(MadeTrail.bytes(changed), in: folder, keys: [])
                #expect(!found.verdict.isWhole, "line \(index + 1) at \(place + 1)")
            }
        }
    }

    @Test func `any two lines of a writer that changed places are found`() throws {
        let lines = Self.small(key: nil).files[0]
        let folder = try TrailFolder()
        for low in lines.indices {
            for high in lines.indices where high > low && lines[high].writer == lines[low].writer {
                var changed = lines
                changed.swapAt(low, high)
                let found = try Self.verify(MadeTrail.bytes(changed), in: folder, keys: [], isComplete: false)
                #expect(!found.verdict.isWhole, "lines \(low + 1) and \(high + 1)")
            }
        }
    }

    @Test(arguments: 1...30)
    func `writers of one process may mix in any way`(seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        let lines = Self.small().files[0]
        let starts = (lines.lastIndex { $0.kind == .start } ?? 0) + 1
        var (left, right) = (
            lines[starts...].filter { $0.writer == Self.first }[...],
            lines[starts...].filter { $0.writer == Self.second }[...]
        )
        var mixed = Array(lines[..<starts])
        while !left.isEmpty || !right.isEmpty {
            if right.isEmpty || (!left.isEmpty && Bool.random(using: &numbers)) {
                mixed.append(left.removeFirst())
            } else {
                mixed.append(right.removeFirst())
            }
        }
        let found = try Self.verify(MadeTrail.bytes(mixed), in: TrailFolder())
        #expect(found.verdict.isWhole, "seed \(seed): \(found.text)")
    }

    @Test func `lines of one writer under the name of another are found`() throws {
        let lines = Self.small(key: nil).files[0]
        let folder = try TrailFolder()
        for (index, line) in lines.enumerated() where line.writer == Self.first {
            var changed = lines
            let text = String(decoding: line.bytes, as: UTF8.self)
            changed[index].bytes = Array(
                text.replacing("\"writer\":\"\(Self.first)", with: "\"writer\":\"\(Self.second)").utf8)
            let found = try Self.verify(MadeTrail.bytes(changed), in: folder, keys: [], isComplete: false)
            #expect(!found.verdict.isWhole, "line \(index + 1)")
        }
    }

    @Test func `the newest file may be cut at any byte, which is told, and found in a complete trail`() throws
    {
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 2)
        trail.start(Self.first)
        trail.event(Self.first, Self.short(1))
        trail.rotate(Self.first)
        trail.event(Self.first, Self.short(2))
        trail.start(Self.second, process: "00000000000000bb")
        trail.event(Self.second, Self.short(3))
        trail.end(Self.first)
        trail.end(Self.second)
        let folder = try TrailFolder()
        let files = try trail.write(to: folder)
        #expect(try Verified.files(files, keys: [Self.key], isComplete: true).findings.isEmpty)
        let bytes = MadeTrail.bytes(trail.files[1])
        var starts: Set<Int> = []
        var place = 0
        for line in trail.files[1] {
            starts.insert(place)
            place += line.bytes.count + 1
        }
        for count in bytes.indices {
            try folder.write("audit.jsonl", Array(bytes[..<count]))
            let cut = try Verified.files(files, keys: [Self.key])
            #expect(cut.verdict.isWhole, "\(count) bytes: \(cut.text)")
            let torn = cut.findings.filter { $0.kind == .torn }.map(\.place.offset)
            let start = UInt64(starts.filter { $0 <= count }.max() ?? 0)
            #expect(torn == (starts.contains(count) ? [] : [start]), "\(count) bytes")
            let complete = try Verified.files(files, keys: [Self.key], isComplete: true)
            #expect(complete.has(.cut), "\(count) bytes")
        }
    }

    @Test func `an older file that is cut at any line is found`() throws {
        var trail = MadeTrail()
        trail.start(Self.first, workers: 1)
        trail.start(Self.second, process: "00000000000000bb", workers: 1)
        for id in 0..<6 { trail.event(id % 2 == 0 ? Self.first : Self.second, MadeEvent(id: id).text) }
        trail.rotate(Self.first)
        trail.end(Self.first)
        trail.end(Self.second)
        let folder = try TrailFolder()
        for count in 0..<trail.files[0].count {
            let found = try Verified.lines(
                [Array(trail.files[0].prefix(count)), trail.files[1]], in: folder)
            #expect(!found.verdict.isWhole, "\(count) lines: \(found.text)")
        }
    }

    // MARK: - Somebody who makes the chains anew, but has no key

    /// The trail after `change` to its lines, its chains made anew; signatures stay as they are.
    static func rechained(_ lines: [MadeTrail.Line], _ change: (inout [MadeTrail.Line]) -> Void) -> [MadeTrail
        .Line]
    {
        var lines = lines
        change(&lines)
        var made = MadeTrail()
        for line in lines {
            let text = String(decoding: line.bytes, as: UTF8.self)
            guard line.kind != .fragment, let member = text.range(of: "\"previous\":\"") else {
                made.files[0].append(line)
                continue
            }
            let start = text.index(member.upperBound, offsetBy: 66)
            made.append(line.writer, line.kind, String(text[start...].dropLast(2)))
        }
        return made.files[0]
    }

    static func altered(_ line: MadeTrail.Line) -> MadeTrail.Line {
        var line = line
        line.bytes = Array(
            String(decoding: line.bytes, as: UTF8.self).replacing("alice", with: "alicf").utf8)
        return line
    }

    @Test func `an event changed under new chains is found by the key alone`() throws {
        let lines = Self.small().files[0]
        let folder = try TrailFolder()
        for index in lines.indices where lines[index].kind == .event {
            let forged = Self.rechained(lines) { $0[index] = Self.altered($0[index]) }
            let plain = try Self.verify(MadeTrail.bytes(forged), in: folder, keys: [])
            #expect(plain.verdict.isWhole && plain.has(.unchecked), "\(plain.text)")
            let keyed = try Self.verify(MadeTrail.bytes(forged), in: folder)
            #expect(keyed.has(.forged), "line \(index + 1)")
        }
    }

    @Test func `an event taken out under new chains is found by the key alone`() throws {
        let lines = Self.small().files[0]
        let folder = try TrailFolder()
        // Behind the fragment, whose place the repair names.
        for index in lines.indices
        where lines[index].kind == .event && lines[index].writer != "00000000000000a0" {
            let forged = Self.rechained(lines) { $0.remove(at: index) }
            #expect(try Self.verify(MadeTrail.bytes(forged), in: folder, keys: []).verdict.isWhole)
            #expect(try Self.verify(MadeTrail.bytes(forged), in: folder).has(.forged))
        }
    }

    @Test func `a trail without its signatures is found by the key`() throws {
        let forged = Self.small(key: nil).files[0]
        #expect(try Self.verify(MadeTrail.bytes(forged), in: TrailFolder()).has(.unsigned))
    }

    @Test func `a writer that somebody without the key adds is found`() throws {
        var trail = Self.small()
        trail.key = nil
        trail.start("00000000000000a9", process: "00000000000000dd")
        trail.event("00000000000000a9", MadeEvent(id: 80).text)
        trail.end("00000000000000a9")
        let folder = try TrailFolder()
        #expect(try Self.verify(MadeTrail.bytes(trail.files[0]), in: folder, keys: []).verdict.isWhole)
        let found = try Self.verify(MadeTrail.bytes(trail.files[0]), in: folder)
        #expect(found.breaks.map(\.kind) == [.unsigned, .unsigned], "\(found.text)")
    }

    @Test func `signatures of another key are found, and of one that was not given`() throws {
        let bytes = MadeTrail.bytes(Self.small(key: Array(repeating: 1, count: 32)).files[0])
        let folder = try TrailFolder()
        #expect(try Self.verify(bytes, in: folder).has(.forged))
        let both = [Self.key, TrailKey(Array(repeating: 1, count: 32))!]
        #expect(try Self.verify(bytes, in: folder, keys: both).verdict.isWhole)
    }

    @Test func `events that go on without a head are found`() throws {
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 2)
        trail.start(Self.first)
        trail.signEvery = 0
        for id in 0..<2 { trail.event(Self.first, "{\"id\":\(id)}") }
        let folder = try TrailFolder()
        #expect(
            try Self.verify(MadeTrail.bytes(trail.files[0]), in: folder, isComplete: false).verdict.isWhole)
        trail.event(Self.first, "{\"id\":0}")
        let found = try Self.verify(MadeTrail.bytes(trail.files[0]), in: folder, isComplete: false)
        #expect(found.breaks.map(\.kind) == [.unsigned])
    }

    @Test func `lines behind the last signature are counted as not proven`() throws {
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 4)
        trail.start(Self.first)
        for id in 0..<7 { trail.event(Self.first, MadeEvent(id: id).text) }
        let found = try Self.verify(MadeTrail.bytes(trail.files[0]), in: TrailFolder(), isComplete: false)
        #expect(found.verdict.isWhole && found.verdict.unprovenLineCount == 3 && found.verdict.lineCount == 9)
    }
}
