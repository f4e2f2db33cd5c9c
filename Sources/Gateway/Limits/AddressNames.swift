internal import Bytes
internal import Loop

/// The hashes of the addresses that asked last, since most requests come from an address that asked a moment ago.
///
/// - Shape: 64 places by the address's last bits; of two addresses with one place, the later one has it.
struct AddressNames: ~Copyable {
    private struct Place {
        var address = IPAddress(v4: 0)
        /// 0 for an empty place.
        var name: UInt64 = 0
    }

    private let places: UnsafeMutablePointer<Place>
    private static var count: Int { 64 }

    init() {
        places = .allocate(capacity: Self.count)
        places.initialize(repeating: Place(), count: Self.count)
    }

    deinit { places.deallocate() }

    /// The hash of an address by its network, under the one key that the process has for it.
    func name(_ address: IPAddress, _ hash: KeyedHash) -> UInt64 {
        // Of an IPv6 address, the last bits of its network.
        let last = address.family == .v4 ? address.low : address.high
        let place = places + Int(truncatingIfNeeded: last) & (Self.count - 1)
        if place.pointee.name == 0 || place.pointee.address != address {
            place.pointee = Place(address: address, name: LimitTable.name(address, hash))
        }
        return place.pointee.name
    }
}
