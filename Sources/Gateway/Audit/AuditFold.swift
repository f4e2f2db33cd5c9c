internal import Bytes

/// Equal reads of one user, which become one event at the beginning of a window and one with their count at its end.
///
/// - Shape: 1,024 sets of four places, each with the first event's text. A place taken by others ends its window early.
/// - Limits: 4,096 windows at once, and the texts of as many events.
struct AuditFold: ~Copyable {
    struct Place {
        var key: UInt64 = 0
        /// Monotonic nanoseconds; 0 is free.
        var endsAt: UInt64 = 0
        var count: UInt64 = 0
        /// Wall time of the first and the last, in microseconds since 1970.
        var firstAt: Int64 = 0
        var lastAt: Int64 = 0
        var event: Content?
    }

    private static let setCount = 1_024
    private static let placeCount = setCount * 4
    // No array, whose every change would ask whether it is shared.
    private let places: UnsafeMutablePointer<Place>
    private(set) var openCount = 0

    init() {
        places = .allocate(capacity: Self.placeCount)
        places.initialize(repeating: Place(), count: Self.placeCount)
    }

    deinit {
        places.deinitialize(count: Self.placeCount)
        places.deallocate()
    }

    /// Counts a read into its window; false when it has none, and begins one by its event.
    mutating func count(_ key: UInt64, now: UInt64, wallMicroseconds: Int64) -> Bool {
        guard let index = find(key), places[index].endsAt > now else { return false }
        places[index].count += 1
        places[index].lastAt = wallMicroseconds
        return true
    }

    private func find(_ key: UInt64) -> Int? {
        let first = Int(key >> 8 & UInt64(Self.setCount - 1)) * 4
        for index in first..<first + 4 where places[index].endsAt > 0 && places[index].key == key {
            return index
        }
        return nil
    }

    /// Begins a window by the event of its first read.
    ///
    /// - Returns: the window that had the place, whose event is due now.
    mutating func begin(_ key: UInt64, event: Content, now: UInt64, window: UInt64, wallMicroseconds: Int64)
        -> Place?
    {
        let first = Int(key >> 8 & UInt64(Self.setCount - 1)) * 4
        var chosen = find(key) ?? first
        if find(key) == nil {
            for index in first..<first + 4 where places[index].endsAt < places[chosen].endsAt {
                chosen = index
            }
        }
        let before = places[chosen]
        if before.endsAt == 0 { openCount += 1 }
        places[chosen] = Place(
            key: key, endsAt: now + window, count: 1, firstAt: wallMicroseconds, lastAt: wallMicroseconds,
            event: event)
        return before.endsAt > 0 && before.count > 1 ? before : nil
    }

    /// Takes the windows that are over, with more than one read; all of them at the end.
    mutating func takeEnded(now: UInt64, isEnd: Bool) -> [Place] {
        var ended: [Place] = []
        guard openCount > 0 else { return ended }
        for index in 0..<Self.placeCount
        where places[index].endsAt > 0 && (isEnd || places[index].endsAt <= now) {
            if places[index].count > 1 { ended.append(places[index]) }
            places[index] = Place()
            openCount -= 1
        }
        return ended
    }
}
