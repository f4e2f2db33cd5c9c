/// SipHash-1-3 under a key of 128 random bits, so that no client can choose colliding keys.
///
/// - Source: Aumasson and Bernstein, «SipHash: a fast short-input PRF»; 1 and 3 rounds as Rust and Swift use them.
public struct KeyedHash: Sendable {
    let key0: UInt64
    let key1: UInt64

    public init(key0: UInt64, key1: UInt64) {
        self.key0 = key0
        self.key1 = key1
    }

    /// A key from the system's random source.
    public static func random() -> KeyedHash {
        var source = SystemRandomNumberGenerator()
        return KeyedHash(key0: source.next(), key1: source.next())
    }

    /// The 64-bit hash of `bytes`.
    public func hash(_ bytes: ByteView) -> UInt64 {
        var state = (
            key0 ^ 0x736F_6D65_7073_6575, key1 ^ 0x646F_7261_6E64_6F6D,
            key0 ^ 0x6C79_6765_6E65_7261, key1 ^ 0x7465_6462_7974_6573
        )
        // Additions wrap: the algorithm is defined modulo 2^64.
        @inline(__always) func round() {
            state.0 = state.0 &+ state.1
            state.1 = rotate(state.1, 13) ^ state.0
            state.0 = rotate(state.0, 32)
            state.2 = state.2 &+ state.3
            state.3 = rotate(state.3, 16) ^ state.2
            state.0 = state.0 &+ state.3
            state.3 = rotate(state.3, 21) ^ state.0
            state.2 = state.2 &+ state.1
            state.1 = rotate(state.1, 17) ^ state.2
            state.2 = rotate(state.2, 32)
        }
        @inline(__always) func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 {
            value &<< by | value &>> (64 &- by)
        }

        let raw = UnsafeRawBufferPointer(bytes)
        let whole = bytes.count & ~7
        var offset = 0
        while offset < whole {
            let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            state.3 ^= word
            round()
            state.0 ^= word
            offset += 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) &<< 56
        var shift: UInt64 = 0
        if whole > 0, offset < bytes.count {
            // The last eight bytes at once; those that were taken above fall out below.
            let word = UInt64(
                littleEndian: raw.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self))
            last |= word &>> UInt64(8 &* (8 &- (bytes.count & 7)))
            offset = bytes.count
        }
        while offset < bytes.count {
            last |= UInt64(bytes[offset]) &<< shift
            shift &+= 8
            offset += 1
        }
        state.3 ^= last
        round()
        state.0 ^= last
        state.2 ^= 0xFF
        round()
        round()
        round()
        return state.0 ^ state.1 ^ state.2 ^ state.3
    }
}

/// A fast random source of one loop (xoshiro256**), seeded by the system; for ids and jitter, never for secrets.
///
/// - Source: Blackman and Vigna, «Scrambled linear pseudorandom number generators».
public struct RandomSource: RandomNumberGenerator, Sendable {
    var state: (UInt64, UInt64, UInt64, UInt64)

    public init() {
        var source = SystemRandomNumberGenerator()
        self.init(seed: (source.next(), source.next(), source.next(), source.next() | 1))
    }

    /// A source that repeats itself, for tests.
    public init(seed: (UInt64, UInt64, UInt64, UInt64)) { state = seed }

    public mutating func next() -> UInt64 {
        // Wrapping arithmetic is the algorithm.
        let scrambled = state.1 &* 5
        let result = (scrambled &<< 7 | scrambled &>> 57) &* 9
        let shifted = state.1 &<< 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 &<< 45 | state.3 &>> 19
        return result
    }
}
