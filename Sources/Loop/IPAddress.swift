import Bytes

/// An IPv4 or IPv6 address without port, zone or text.
///
/// - Shape: the sixteen address bytes as two numbers; an IPv4 address is the low 32 bits of `low`.
public struct IPAddress: Equatable, Hashable, Sendable {
    public enum Family: UInt8, Sendable { case v4 = 4, v6 = 6 }

    public var family: Family
    public var high: UInt64
    public var low: UInt64

    /// Makes an IPv4 address of its 32 bits, most significant byte first in the text.
    public init(v4 bits: UInt32) {
        family = .v4
        high = 0
        low = UInt64(bits)
    }

    public init(v6 high: UInt64, _ low: UInt64) {
        family = .v6
        self.high = high
        self.low = low
    }

    /// How many bits the family has: 32 or 128.
    public var bitCount: Int { family == .v4 ? 32 : 128 }

    /// The IPv4 address inside an IPv4-mapped one (`::ffff:192.0.2.1`), or the address itself.
    ///
    /// - Source: RFC 4291 §2.5.5.2; a peer may come either way, and it is one peer.
    public var unmapped: IPAddress {
        guard family == .v6, high == 0, low >> 32 == 0xFFFF else { return self }
        return IPAddress(v4: UInt32(truncatingIfNeeded: low))
    }

    /// Tells whether the address never leaves the machine: 127.0.0.0/8, ::1, or the former mapped.
    public var isLoopback: Bool {
        let plain = unmapped
        return plain.family == .v4 ? plain.low >> 24 == 127 : plain.high == 0 && plain.low == 1
    }

    // MARK: - Text

    /// Reads all of `bytes` as an address, or gives nil.
    ///
    /// - Shape: four decimal numbers without leading zeros (RFC 6943 §3.1.1 tells why), or the IPv6 forms of
    ///   RFC 4291 §2.2 in either case. No brackets, no zone, no port.
    public init?(parsing bytes: ByteView) {
        guard bytes.count >= 2, bytes.count <= 45 else { return nil }
        if let bits = Self.readDottedQuad(bytes) {
            self.init(v4: bits)
        } else {
            guard let address = Self.readGroups(bytes) else { return nil }
            self = address
        }
    }

    /// Reads all of `text` as an address; for cold paths.
    public init?(parsing text: String) {
        var text = text
        guard let address = text.withUTF8({ IPAddress(parsing: $0) }) else { return nil }
        self = address
    }

    private static func readDottedQuad(_ bytes: ByteView) -> UInt32? {
        var bits: UInt32 = 0
        var place = 0
        for part in 0..<4 {
            if part > 0 {
                guard place < bytes.count, bytes[place] == 0x2E else { return nil }
                place += 1
            }
            let start = place
            var number: UInt32 = 0
            while place < bytes.count, place - start < 3, ASCII.isDigit(bytes[place]) {
                number = number * 10 + UInt32(bytes[place] - 0x30)
                place += 1
            }
            guard place > start, number <= 255, bytes[start] != 0x30 || place == start + 1 else { return nil }
            bits = bits << 8 | number
        }
        return place == bytes.count ? bits : nil
    }

    private static func readGroups(_ bytes: ByteView) -> IPAddress? {
        var groups = InlineArray<8, UInt16>(repeating: 0)
        var count = 0
        var gap: Int?
        var place = 0
        if bytes[0] == 0x3A {
            guard bytes[1] == 0x3A else { return nil }
            gap = 0
            place = 2
        }
        while place < bytes.count {
            guard count < 8 else { return nil }
            let start = place
            var number: UInt32 = 0
            while place < bytes.count, place - start < 4, let digit = ASCII.hexValue(bytes[place]) {
                number = number << 4 | UInt32(digit)
                place += 1
            }
            if place < bytes.count, bytes[place] == 0x2E {
                // The last 32 bits may stand as an IPv4 address.
                guard count <= 6, let bits = readDottedQuad(bytes.view(start, bytes.count - start)) else {
                    return nil
                }
                groups[count] = UInt16(bits >> 16)
                groups[count + 1] = UInt16(bits & 0xFFFF)
                count += 2
                place = bytes.count
                break
            }
            guard place > start else { return nil }
            groups[count] = UInt16(number)
            count += 1
            guard place < bytes.count else { break }
            guard bytes[place] == 0x3A, place + 1 < bytes.count else { return nil }
            place += 1
            if bytes[place] == 0x3A {
                guard gap == nil else { return nil }
                gap = count
                place += 1
            }
        }
        guard gap == nil ? count == 8 : count < 8 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        let missing = 8 - count
        for index in 0..<8 {
            var group: UInt16 = 0
            if let gap, index >= gap {
                if index >= gap + missing { group = groups[index - missing] }
            } else {
                group = groups[index]
            }
            if index < 4 { high = high << 16 | UInt64(group) } else { low = low << 16 | UInt64(group) }
        }
        return IPAddress(v6: high, low)
    }

    /// The most bytes that an address takes in text.
    public static var maxByteCount: Int { 45 }

    /// Appends the address in its canonical text.
    ///
    /// - Source: RFC 5952 §4 and §5 (mapped addresses keep the dotted form).
    public func append(to buffer: inout Buffer) {
        guard buffer.room < Self.maxByteCount else { return buffer.grow(by: write(to: buffer.writable)) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.maxByteCount) { bytes in
            let count = write(to: bytes)
            buffer.append(ByteView(start: bytes.baseAddress, count: count))
        }
    }

    /// Writes the same at the front of `bytes`, which has room for any address, and answers how many bytes it took.
    public func write(to bytes: UnsafeMutableBufferPointer<UInt8>) -> Int {
        // Checked once for all: no address is longer, a full stop that is not counted included.
        precondition(bytes.count >= Self.maxByteCount)
        let start = bytes.baseAddress!
        if family == .v4 { return writeDottedQuad(to: start) - start }
        if high == 0, low >> 32 == 0xFFFF {
            let prefix: StaticString = "::ffff:"
            start.update(from: prefix.utf8Start, count: prefix.utf8CodeUnitCount)
            return writeDottedQuad(to: start + prefix.utf8CodeUnitCount) - start
        }
        return writeGroups(to: start) - start
    }

    private func writeGroups(to start: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        // The longest run of two or more zero groups, the first of equals, becomes `::`.
        var bestStart = 8
        var bestCount = 1
        var runCount = 0
        for index in 0..<8 {
            runCount = group(index) == 0 ? runCount + 1 : 0
            if runCount > bestCount {
                bestCount = runCount
                bestStart = index + 1 - runCount
            }
        }
        var place = start
        func write(_ byte: UInt8) {
            place[0] = byte
            place += 1
        }
        var index = 0
        while index < 8 {
            if index == bestStart {
                write(0x3A)
                write(0x3A)
                index += bestCount
                continue
            }
            if index > 0, index != bestStart + bestCount { write(0x3A) }
            // Without leading zeros, but for a lone one.
            var shift = max(0, 15 - group(index).leadingZeroBitCount) / 4 * 4
            while shift >= 0 {
                let digit = UInt8(truncatingIfNeeded: group(index) >> UInt16(shift) & 15)
                write(digit < 10 ? digit + 0x30 : digit + 0x57)
                shift -= 4
            }
            index += 1
        }
        return place
    }

    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - (index & 3) * 16))
    }

    private func writeDottedQuad(to start: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        var place = start
        var shift: UInt64 = 32
        while shift > 0 {
            shift -= 8
            let number = UInt8(truncatingIfNeeded: low >> shift)
            if number >= 100 {
                place[0] = number / 100 &+ 0x30
                place += 1
            }
            if number >= 10 {
                place[0] = number / 10 % 10 &+ 0x30
                place += 1
            }
            place[0] = number % 10 &+ 0x30
            place[1] = 0x2E
            place += 2
        }
        return place - 1
    }
}

extension IPAddress: CustomStringConvertible {
    public var description: String {
        var buffer = Buffer(capacity: 48)
        append(to: &buffer)
        return buffer.readable.string
    }
}

/// A run of addresses with a common prefix, as trusted proxies are listed.
public struct AddressBlock: Equatable, Sendable, CustomStringConvertible {
    public let base: IPAddress
    public let prefixBitCount: Int

    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a lone address; nil too when bits after the prefix are set.
    ///
    /// - Source: RFC 4632 §3.1; set host bits are refused since it is unclear what was meant.
    public init?(parsing text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parsing: String(parts[0])) else { return nil }
        var count = address.bitCount
        if parts.count == 2 {
            var digits = String(parts[1])
            guard digits.utf8.count <= 3, let number = digits.withUTF8({ Decimal.read($0) }),
                number <= UInt64(count)
            else { return nil }
            count = Int(number)
        }
        let mask = Self.mask(family: address.family, bitCount: count)
        guard address.high & ~mask.high == 0, address.low & ~mask.low == 0 else { return nil }
        base = address
        prefixBitCount = count
    }

    /// Tells whether `address` lies in the block; an IPv4-mapped address counts as the IPv4 one.
    public func contains(_ address: IPAddress) -> Bool {
        let plain = base.family == .v4 ? address.unmapped : address
        guard plain.family == base.family else { return false }
        let mask = Self.mask(family: base.family, bitCount: prefixBitCount)
        return plain.high & mask.high == base.high && plain.low & mask.low == base.low
    }

    private static func mask(family: IPAddress.Family, bitCount: Int) -> (high: UInt64, low: UInt64) {
        // Smart shifts: by 64 they give zero.
        if family == .v4 { return (0, (UInt64(0xFFFF_FFFF) << UInt64(32 - bitCount)) & 0xFFFF_FFFF) }
        return (UInt64.max << UInt64(64 - min(bitCount, 64)), UInt64.max << UInt64(128 - max(bitCount, 64)))
    }

    public var description: String { "\(base)/\(prefixBitCount)" }
}
