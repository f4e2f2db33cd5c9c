import Bytes
import Foundation
import Testing

@testable import Gateway

/// Finding events in a trail.
struct TrailSearchTests {
    private static let words = [
        "u1", "u2", "0123456789abcdef0123456789abcdef", "f0e1d2c3-0000-4000-8000-00000000beef", "alice",
        "bob\"s",
        "back\\slash", "Ζωή", "tab\there", "a b", "x", "", "u1\"", "admin/1",
    ]
    private static let actions = [
        "read/list", "read", "update/reboot", "update", "updater", "create", "delete/forced",
    ]
    private static let base: Int64 = 1_788_256_800_000_000

    static func event(_ id: Int, _ numbers: inout SeededNumbers) -> MadeEvent {
        func word() -> String { words.randomElement(using: &numbers)! }
        func maybe() -> String? { Bool.random(using: &numbers) ? word() : nil }
        let time = base + Int64.random(in: 0..<1_000_000_000, using: &numbers)
        var event = MadeEvent(
            id: id, microseconds: time, user: word(), userName: word(), project: word(),
            targetProject: word(),
            target: word(), targetParent: maybe(), created: maybe(),
            action: actions.randomElement(using: &numbers)!,
            outcome: ["success", "failure", "pending", "unknown"].randomElement(using: &numbers)!,
            status: [200, 404, 503].randomElement(using: &numbers)!, requestID: word(),
            clientRequestID: maybe(), upstreamRequestID: maybe())
        if Int.random(in: 0..<5, using: &numbers) == 0 {
            event.several = (time - Int64.random(in: 0..<60_000_000, using: &numbers), time)
        }
        return event
    }

    static func filter(_ numbers: inout SeededNumbers) -> TrailFilter {
        func maybe(_ words: [String]) -> String? {
            // Nothing to look for is no value; the commands refuse it.
            Int.random(in: 0..<3, using: &numbers) == 0
                ? words.filter { !$0.isEmpty }.randomElement(using: &numbers) : nil
        }
        func moment() -> Int64? {
            Int.random(in: 0..<3, using: &numbers) == 0
                ? base + Int64.random(in: 0..<1_000_000_000, using: &numbers) : nil
        }
        var filter = TrailFilter()
        filter.user = maybe(words)
        filter.project = maybe(words)
        filter.target = maybe(words)
        filter.action = maybe(actions)
        filter.outcome = maybe(["success", "failure"])
        filter.requestID = maybe(words)
        filter.since = moment()
        filter.until = moment()
        // Of all of them together hardly anything is left.
        if Bool.random(using: &numbers) {
            (filter.project, filter.requestID, filter.target) = (nil, nil, nil)
        }
        return filter
    }

    static func found(_ files: [String], _ filter: TrailFilter) throws -> [String] {
        var search = TrailSearch(filter)
        var texts: [String] = []
        for file in files {
            var blocks = try TrailBlocks(file)
            while let run = try blocks.next() { search.search(run.bytes) { texts.append($0.text.string) } }
        }
        #expect(search.matchCount == texts.count && search.unreadableCount == 0)
        return texts
    }

    @Test(arguments: 1...12)
    func `a search finds the events that a plain look at their fields finds`(seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        let events = (0..<300).map { Self.event($0, &numbers) }
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 20)
        trail.start("00000000000000a1")
        for event in events {
            trail.event("00000000000000a1", event.text)
            if event.id % 100 == 99 { trail.rotate("00000000000000a1") }
        }
        let folder = try TrailFolder()
        let files = try trail.write(to: folder)
        var matches = 0
        for round in 0..<100 {
            let filter = Self.filter(&numbers)
            let expected = events.filter { $0.isMet(filter) }.map(\.text)
            #expect(try Self.found(files, filter) == expected, "seed \(seed), round \(round): \(filter)")
            matches += expected.count
        }
        #expect(matches > 300, "seed \(seed)")
    }

    @Test func `fields are lent as they stand`() throws {
        var made = MadeEvent()
        made.clientRequestID = "req-2"
        made.upstreamRequestID = "req-3"
        made.several = (1_788_256_700_000_000, 1_788_256_800_000_000)
        made.userName = "bob\"s"
        withBytes(made.text) { bytes in
            let event = TrailEvent(bytes)
            #expect(event?.time.string == "2026-09-01T10:00:00.000000+00:00")
            #expect(event?.status.string == "200" && event?.action.string == "read/list")
            #expect(event.map { TrailEvent.text($0.userName) } == "bob\"s")
            #expect(event?.clientRequestID.string == "req-2" && event?.upstreamRequestID.string == "req-3")
            #expect(event?.first.string == "2026-09-01T09:58:20.000000+00:00")
        }
        for text in ["[]", "{", "{\"a\":}", ""] { withBytes(text) { #expect(TrailEvent($0) == nil) } }
    }

    @Test func `lines that are none are counted and passed over`() throws {
        var trail = MadeTrail()
        trail.start("00000000000000a1")
        trail.event("00000000000000a1", MadeEvent().text)
        trail.files[0].append(.init(writer: "", kind: .fragment, bytes: Array("{\"writer\":\"0000".utf8)))
        let broken = String(decoding: trail.files[0][1].bytes, as: UTF8.self).replacing(
            "\"outcome\":", with: "\"outcome\"")
        trail.files[0].append(.init(writer: "", kind: .fragment, bytes: Array(broken.utf8)))
        trail.end("00000000000000a1")
        var search = TrailSearch(TrailFilter())
        var count = 0
        MadeTrail.bytes(trail.files[0]).withUnsafeBufferPointer { search.search($0) { _ in count += 1 } }
        #expect(count == 1 && search.unreadableCount == 2)
    }

    // MARK: - Bytes in bytes

    @Test(arguments: 1...40)
    func `bytes are found where a plain search finds them`(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        let letters = UInt8.random(in: 1...4, using: &numbers)
        let bytes = (0..<2_000).map { _ in UInt8.random(in: 0x60...0x60 + letters, using: &numbers) }
        for _ in 0..<30 {
            let count = Int.random(in: 1...40, using: &numbers)
            let start = Int.random(in: 0..<bytes.count - count, using: &numbers)
            var wanted = Array(bytes[start..<start + count])
            if Bool.random(using: &numbers) { wanted[count / 2] ^= 1 }
            let search = ByteSearch(wanted)
            bytes.withUnsafeBufferPointer { view in
                var from = 0
                while from <= view.count {
                    let expected = (from..<max(from, view.count - count + 1)).first { place in
                        view.view(place, count).elementsEqual(wanted)
                    }
                    let found = search.first(in: view, from: from)
                    #expect(found == expected, "seed \(seed), from \(from)")
                    guard let found else { break }
                    from = found + 1
                }
            }
        }
    }

    @Test func `a run longer than a step can say is found`() {
        var numbers = SeededNumbers(seed: 3)
        let wanted = (0..<700).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let search = ByteSearch(wanted)
        let bytes = [UInt8](repeating: 7, count: 10_001) + wanted + [1, 2, 3]
        bytes.withUnsafeBufferPointer { #expect(search.first(in: $0, from: 0) == 10_001) }
        bytes.dropLast(4).withUnsafeBufferPointer { #expect(search.first(in: $0, from: 0) == nil) }
    }

    // MARK: - Time

    @Test(arguments: 1...20)
    func `moments are written and read as the calendar has them`(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        for _ in 0..<200 {
            let moment = Int64.random(in: 0..<253_402_300_800_000_000, using: &numbers)
            let text = MadeEvent.time(moment)
            #expect(TrailTime.text(moment) == text, "seed \(seed)")
            #expect(withBytes(text, TrailTime.microseconds) == moment, "seed \(seed): \(text)")
        }
    }

    @Test(arguments: [
        ("2026-09-01T10:00:00Z", 1_788_256_800_000_000),
        ("2026-09-01t12:30:00.5+02:30", 1_788_256_800_500_000),
        ("2026-09-01T00:00:00.123456789-10:00", 1_788_256_800_123_456), ("2026-02-29T10:00:00Z", nil),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000), ("2026-09-01 10:00:00Z", nil),
        ("2026-09-01T10:00:00", nil),
        ("2026-13-01T10:00:00Z", nil), ("2026-09-01T24:00:00Z", nil), ("2026-09-01T10:00:00.Z", nil),
        ("2026-09-01T10:00:00+0000", nil), ("1969-12-31T23:59:59Z", nil), ("", nil),
        ("2026-09-01T10:00:00ZZ", nil),
        ("2026-09-01T10:00:00.1234567890Z", nil), ("1970-01-01T00:00:00+00:01", nil),
    ])
    func `a moment is read in each form of RFC 3339`(text: String, moment: Int64?) {
        #expect(withBytes(text, TrailTime.microseconds) == moment)
    }
}
