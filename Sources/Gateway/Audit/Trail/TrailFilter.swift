internal import Bytes

/// Which events are asked for; all that is named must be so.
public struct TrailFilter: Sendable {
    /// Id or name of who asked.
    public var user: String?
    /// Id of the project that the token was for, or of the target's.
    public var project: String?
    /// Id of what was acted on, or of what that belongs to.
    public var target: String?
    /// An action, or the beginning of one up to a slash: `update` is about `update/reboot` too.
    public var action: String?
    public var outcome: String?
    /// Ours, the client's own, or that of the service behind.
    public var requestID: String?
    /// Microseconds since 1970, the first included, the second not. An event that stands for several is there for the
    /// time from the first of them to the last.
    public var since: Int64?
    public var until: Int64?

    public init() {}

    /// Bytes that a line with such an event must hold; the longest and rarest there are. Empty when every line may have one.
    ///
    /// The trail is written without escapes for letters, digits and `-_./:@ `, so that a value of those stands there as it
    /// is, in quotes; of any other value, the longest part of such bytes does.
    var needle: [UInt8] {
        let words = [requestID, target, user, project].compactMap { $0.map(Self.needle(of:)) }
        if let word = words.max(by: { $0.count < $1.count }), word.count >= 4 { return word }
        if let action, action.utf8.allSatisfy(Self.isPlain) { return Array("\"action\":\"\(action)".utf8) }
        if let outcome, outcome.utf8.allSatisfy(Self.isPlain) {
            return Array("\"outcome\":\"\(outcome)\"".utf8)
        }
        return words.max { $0.count < $1.count } ?? []
    }

    private static func needle(of value: String) -> [UInt8] {
        let bytes = Array(value.utf8)
        if bytes.allSatisfy(isPlain) { return [0x22] + bytes + [0x22] }
        return bytes.split { !isPlain($0) }.max { $0.count < $1.count }.map(Array.init) ?? []
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F, 0x2E, 0x2F, 0x3A, 0x40, 0x20: true
        default: false
        }
    }
}

/// Finds a run of bytes in many others.
///
/// Looks at the last two bytes of where it could stand, and goes on by as far as those are from its own end, or by its
/// whole length where it has them not at all (Horspool's way, by pairs): of a long one, most bytes are never looked at.
struct ByteSearch: ~Copyable {
    let wanted: [UInt8]
    /// For a pair, how far the last place of it in `wanted` (its end aside) is from the end.
    private let steps: UnsafeMutablePointer<UInt8>
    private static let mask = 0x0FFF

    /// - Parameter wanted: at least one byte.
    init(_ wanted: [UInt8]) {
        self.wanted = wanted
        steps = .allocate(capacity: Self.mask + 1)
        let far = UInt8(clamping: wanted.count - 1)
        steps.initialize(repeating: max(1, far), count: Self.mask + 1)
        for index in wanted.indices.dropFirst().dropLast() {
            let step = UInt8(clamping: wanted.count - 1 - index)
            let pair = Self.pair(wanted[index - 1], wanted[index])
            steps[pair] = min(steps[pair], step)
        }
    }

    deinit { steps.deallocate() }

    @inline(__always)
    private static func pair(_ first: UInt8, _ second: UInt8) -> Int {
        // Six bits of each tell all but a few letters apart; the compare that follows tells the rest.
        (Int(first) << 6 ^ Int(second)) & mask
    }

    /// Where `wanted` is first at or after `start`; nil for nowhere.
    func first(in bytes: ByteView, from start: Int) -> Int? {
        let count = wanted.count
        guard let base = bytes.baseAddress, start >= 0, bytes.count - start >= count else { return nil }
        return wanted.withUnsafeBufferPointer { wanted in
            if count == 1 { return bytes[start...].firstIndex(of: wanted[0]) }
            let last = wanted[count - 1]
            let before = wanted[count - 2]
            var end = start + count - 1
            while end < bytes.count {
                let byte = base[end]
                // In bounds: `end` is at least `count - 1`, which is 1 or more.
                if byte == last, base[end - 1] == before {
                    var index = 0
                    let place = base + (end - count + 1)
                    while index < count - 2, place[index] == wanted[index] { index += 1 }
                    if index == count - 2 { return end - count + 1 }
                }
                end += Int(steps[Self.pair(base[end - 1], byte)])
            }
            return nil
        }
    }
}
