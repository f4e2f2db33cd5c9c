import Bytes
import Testing

@testable import Gateway

/// Windows in which equal reads become one event.
struct AuditFoldTests {
    private let second: UInt64 = 1_000_000_000
    private let event = Content(text: "{}")

    @Test func `reads of a window are counted, and the window's end tells how many there were and when`() {
        var fold = AuditFold()
        let now = 100 * second
        let was1 = fold.count(7 << 8, now: now, wallMicroseconds: 1)
        #expect(!was1)
        let was7 = fold.begin(7 << 8, event: event, now: now, window: 10 * second, wallMicroseconds: 1)
        #expect(was7 == nil)
        for number in 2...5 as ClosedRange<Int64> {
            let was2 = fold.count(7 << 8, now: now + UInt64(number) * second, wallMicroseconds: number)
            #expect(was2)
        }
        let was8 = fold.takeEnded(now: now + 9 * second, isEnd: false)
        #expect(was8.isEmpty)
        let ended = fold.takeEnded(now: now + 10 * second, isEnd: false)
        #expect(ended.map(\.count) == [5])
        #expect(ended.map(\.firstAt) == [1])
        #expect(ended.map(\.lastAt) == [5])
        #expect(fold.openCount == 0)
    }

    @Test func `a window that is over begins anew with an event of its own`() {
        var fold = AuditFold()
        let now = 100 * second
        _ = fold.begin(7 << 8, event: event, now: now, window: second, wallMicroseconds: 1)
        let was3 = fold.count(7 << 8, now: now, wallMicroseconds: 2)
        #expect(was3)
        let was4 = fold.count(7 << 8, now: now + second, wallMicroseconds: 3)
        #expect(!was4)
        // What was counted in the window before is told when the next one takes its place.
        let before = fold.begin(7 << 8, event: event, now: now + second, window: second, wallMicroseconds: 3)
        #expect(before?.count == 2)
        #expect(fold.openCount == 1)
    }

    @Test func `of four windows that share a set the one that ends first makes room, and loses nothing`() {
        var fold = AuditFold()
        let now = 100 * second
        for number in 1...4 as ClosedRange<UInt64> {
            _ = fold.begin(
                number << 40, event: event, now: now, window: (10 - number) * second,
                wallMicroseconds: Int64(number))
            let was5 = fold.count(number << 40, now: now, wallMicroseconds: 9)
            #expect(was5)
        }
        let before = fold.begin(5 << 40, event: event, now: now, window: second, wallMicroseconds: 5)
        #expect(before?.firstAt == 4)
        #expect(before?.count == 2)
        #expect(fold.openCount == 4)
        for number in 1...3 as ClosedRange<UInt64> {
            let was6 = fold.count(number << 40, now: now, wallMicroseconds: 9)
            #expect(was6)
        }
    }

    @Test func `at the end all windows are over, and those of one read have nothing more to tell`() {
        var fold = AuditFold()
        for number in 1...50 as ClosedRange<UInt64> {
            _ = fold.begin(number << 8, event: event, now: second, window: 60 * second, wallMicroseconds: 1)
            if number % 2 == 0 { _ = fold.count(number << 8, now: second, wallMicroseconds: 2) }
        }
        let ended = fold.takeEnded(now: second, isEnd: true)
        #expect(ended.map(\.count) == [UInt64](repeating: 2, count: 25))
        #expect(fold.openCount == 0)
    }
}
