internal import Loop

/// How many tokens that prove bad an address may have Keystone judge: a generic cell rate algorithm per address.
///
/// - Shape: 4,096 sets of four; an IPv6 address counts with its /64. The place least in debt makes room for a new address.
/// - Source: ITU-T I.371 (virtual scheduling): an address is worth one word, the moment at which its debt is paid.
struct AddressBudget {
    /// What became of a wish to have an unknown token judged.
    enum Answer: Equatable {
        case taken
        /// Nanoseconds until there is one; earlier if one of those under way is given back.
        case refused(wait: UInt64, someUnderWay: Bool)
    }

    private struct Place {
        var address = IPAddress(v4: 0)
        /// Monotonic nanoseconds; 0 is free.
        var paidAt: UInt64 = 0
        /// Taken, and not known yet whether bad.
        var underWay = 0
    }

    private var places = [Place](repeating: Place(), count: setCount * 4)
    private static let setCount = 4_096
    private let interval: UInt64
    private let tolerance: UInt64

    /// One more each `interval` nanoseconds, and `burst` (at least 1) at once.
    init(interval: UInt64, burst: Int) {
        self.interval = interval
        tolerance = interval * UInt64(burst - 1)
    }

    /// Takes one where there is one.
    mutating func take(_ address: IPAddress, now: UInt64) -> Answer {
        let index = place(of: Self.key(address), now: now)
        let paidAt = max(places[index].paidAt, now)
        if paidAt > now + tolerance {
            return .refused(wait: paidAt - tolerance - now, someUnderWay: places[index].underWay > 0)
        }
        places[index].paidAt = paidAt + interval
        places[index].underWay += 1
        return .taken
    }

    /// Notes what became of one taken: given back unless the token proved bad.
    mutating func settle(_ address: IPAddress, isBad: Bool, now: UInt64) {
        let index = place(of: Self.key(address), now: now)
        // Its place may have been another's meanwhile.
        if places[index].underWay > 0 { places[index].underWay -= 1 }
        guard !isBad else { return }
        places[index].paidAt = max(places[index].paidAt, now + interval) - interval
    }

    private static func key(_ address: IPAddress) -> IPAddress {
        let plain = address.unmapped
        return plain.family == .v4 ? plain : IPAddress(v6: plain.high, 0)
    }

    /// The address's place, made when it has none.
    private mutating func place(of address: IPAddress, now: UInt64) -> Int {
        var hasher = Hasher()
        hasher.combine(address)
        let first = Int(UInt(bitPattern: hasher.finalize()) % UInt(Self.setCount)) * 4
        var least = first
        for index in first..<(first + 4) {
            if places[index].address == address, places[index].paidAt > 0 { return index }
            if places[index].paidAt < places[least].paidAt { least = index }
        }
        places[least] = Place(address: address, paidAt: now)
        return least
    }
}
