public import Bytes

/// Finds the events that a filter asks for, in runs of whole lines.
///
/// Bytes that such an event must hold are looked for first, over all lines at once; only a line that has them is taken
/// apart.
public struct TrailSearch: ~Copyable {
    private let filter: TrailFilter
    private let needle: ByteSearch?
    private let bounds: TimeBounds?
    public private(set) var matchCount = 0
    /// Lines with what was looked for that are no line of a trail; only `gatehouse audit verify` tells why.
    public private(set) var unreadableCount = 0

    public init(_ filter: TrailFilter) {
        self.filter = filter
        let bytes = filter.needle
        needle = bytes.isEmpty ? nil : ByteSearch(bytes)
        bounds = filter.since != nil || filter.until != nil ? TimeBounds(filter) : nil
    }

    /// Gives each event of `run`, which ends with a line feed, that the filter asks for, in their order.
    public mutating func search(_ run: ByteView, _ body: (TrailEvent) -> Void) {
        var place = 0
        while place < run.count {
            var start = place
            if needle != nil {
                guard let found = needle?.first(in: run, from: place) else { return }
                start = run.view(0, found).lastLineFeed(downTo: place).map { $0 + 1 } ?? place
                place = found
            }
            let end = run.nextLineFeed(from: place) ?? run.count
            examine(run.view(start, end - start), body)
            place = end + 1
        }
    }

    private mutating func examine(_ line: ByteView, _ body: (TrailEvent) -> Void) {
        guard let text = Self.event(in: line) else {
            // The lines of the chain itself are no events, and fragments are nothing.
            if TrailLine(line) == nil { unreadableCount += 1 }
            return
        }
        if bounds?.isOutside(text) ?? false { return }
        guard let event = TrailEvent(text) else {
            unreadableCount += 1
            return
        }
        guard filter.isMet(by: event) else { return }
        matchCount += 1
        body(event)
    }

    /// Lends the event of a line of that shape; nil for another.
    ///
    /// The digits of the chain are passed over: they are what verifying is about.
    private static func event(in line: ByteView) -> ByteView? {
        guard line.count > 130, line.starts(with: "{\"writer\":\"") else { return nil }
        var index = 40
        while index < 60, ASCII.isDigit(line[index]) { index += 1 }
        // `,"previous":"`, 64 digits, `",`
        index += 79
        guard line.count > index + 10, line.view(index, 8).equals("\"event\":") else { return nil }
        return line.view(index + 8, line.count - index - 9)
    }
}

extension TrailFilter {
    /// Tells whether all that is named is so in `event`.
    func isMet(by event: TrailEvent) -> Bool {
        if let user, !Self.equals(event.user, user), !Self.equals(event.userName, user) { return false }
        if let project, !Self.equals(event.project, project), !Self.equals(event.targetProject, project) {
            return false
        }
        if let target, !Self.equals(event.target, target), !Self.equals(event.targetParent, target),
            !Self.equals(event.created, target)
        {
            return false
        }
        if let outcome, !Self.equals(event.outcome, outcome) { return false }
        if let action, !Self.equals(event.action, action), !Self.isUnder(event.action, action) {
            return false
        }
        if let requestID, !Self.equals(event.requestID, requestID),
            !Self.equals(event.clientRequestID, requestID), !Self.equals(event.upstreamRequestID, requestID)
        {
            return false
        }
        guard since != nil || until != nil else { return true }
        guard let time = TrailTime.microseconds(event.time) else { return false }
        let first = TrailTime.microseconds(event.first) ?? time
        let last = TrailTime.microseconds(event.last) ?? time
        return last >= since ?? .min && first < until ?? .max
    }

    private static func equals(_ inside: ByteView, _ value: String) -> Bool {
        if inside.contains(0x5C) { return TrailControl.text(inside) == value }
        return inside.elementsEqual(value.utf8)
    }

    /// Tells whether `inside` begins with `value` and a slash.
    private static func isUnder(_ inside: ByteView, _ value: String) -> Bool {
        let count = value.utf8.count
        return inside.count > count && inside[count] == 0x2F
            && inside.view(0, count).elementsEqual(value.utf8)
    }
}

/// Tells of most events from their bytes alone that they were not in the time asked for.
struct TimeBounds: ~Copyable {
    private let key = ByteSearch(Array("\"eventTime\":\"".utf8))
    private let several = ByteSearch(Array("\"first\":\"".utf8))
    /// As events write moments.
    private let since: [UInt8]
    private let until: [UInt8]

    init(_ filter: TrailFilter) {
        since = Array(TrailTime.text(filter.since ?? 0).utf8)
        until = filter.until.map { Array(TrailTime.text($0).utf8) } ?? [0x7E]
    }

    /// Tells whether `event` is surely none; an event that stands for several, or whose time is written in another way, is
    /// left to be read.
    func isOutside(_ event: ByteView) -> Bool {
        let count = TrailTime.comparedByteCount
        guard let found = key.first(in: event, from: 0), event.count > found + 13 + count + 6,
            event.view(found + 13 + count, 6).equals("+00:00")
        else { return false }
        let time = event.view(found + 13, count)
        let isInside =
            !time.lexicographicallyPrecedes(since.prefix(count))
            && time.lexicographicallyPrecedes(until.prefix(count))
        return !isInside && several.first(in: event, from: found) == nil
    }
}
