/// What a definition and its overlay say that Gatehouse makes no use of, by kind.
///
/// - Limits: 64 kinds, and the first five places of each; all are counted.
public struct UnusedParts: Sendable {
    /// Parts of one kind.
    public struct Kind: Sendable {
        /// What they are and what becomes of them.
        public var message: String
        public var count = 0
        /// The first ones, each as `file:line:column`.
        public var places: [String] = []
    }

    static let maxKindCount = 64
    static let maxPlaceCount = 5

    public private(set) var kinds: [Kind] = []
    /// How many parts there are of all kinds.
    public private(set) var count = 0

    mutating func add(_ message: String, at place: @autoclosure () -> String) {
        count += 1
        var index = kinds.firstIndex { $0.message == message }
        if index == nil, kinds.count < Self.maxKindCount {
            index = kinds.count
            kinds.append(Kind(message: message))
        }
        guard let index else { return }
        kinds[index].count += 1
        if kinds[index].places.count < Self.maxPlaceCount { kinds[index].places.append(place()) }
    }

    public init() {}

    /// Adds those of another definition.
    public mutating func add(_ others: UnusedParts) {
        for kind in others.kinds {
            for place in kind.places { add(kind.message, at: place) }
            guard let index = kinds.firstIndex(where: { $0.message == kind.message }) else { continue }
            kinds[index].count += kind.count - kind.places.count
        }
        count += others.count - others.kinds.reduce(0) { $0 + $1.places.count }
    }

    /// A line for each place that is kept, and one for the rest of each kind.
    public var lines: [String] {
        kinds.flatMap { kind in
            let rest = kind.count - kind.places.count
            return kind.places.map { "\($0): not used: \(kind.message)" }
                + (rest > 0 ? ["and \(rest) more: not used: \(kind.message)"] : [])
        }
    }
}
