import Bytes
import Testing

struct KeyedHashTests {
    // Made by a separate implementation that was checked against the published SipHash-2-4 vectors; the first
    // of each key is also in the test suites of other languages' SipHash-1-3.
    static let counted: [(Int, UInt64)] = [
        (0, 0xABAC_0158_050F_C4DC), (1, 0xC9F4_9BF3_7D57_CA93), (7, 0xD392_7D98_9BB1_1140),
        (8, 0x3690_9511_8D29_9A8E), (9, 0x25A4_8EB3_6C06_3DE4), (15, 0xD320_D86D_2A51_9956),
        (16, 0xCC4F_DD1A_7D90_8B66), (63, 0x9D19_9062_B7BB_B3A8),
    ]

    @Test(arguments: counted) func `SipHash-1-3 gives the known values`(count: Int, expected: UInt64) {
        let hash = KeyedHash(key0: 0x0706_0504_0302_0100, key1: 0x0F0E_0D0C_0B0A_0908)
        let bytes = (0..<count).map { UInt8($0) }
        #expect(bytes.withUnsafeBufferPointer { hash.hash($0) } == expected)
    }

    @Test func `the zero key gives the known values`() {
        let hash = KeyedHash(key0: 0, key1: 0)
        #expect(hash.hash(ByteView(start: nil, count: 0)) == 0xD1FB_A762_150C_532C)
        #expect([UInt8(0)].withUnsafeBufferPointer { hash.hash($0) } == 0x68A9_1412_8E01_E473)
    }

    @Test func `the place of the bytes in memory does not matter`() {
        let hash = KeyedHash.random()
        let bytes = Array("..the same bytes at each offset".utf8)
        bytes.withUnsafeBufferPointer { whole in
            let tail = whole.view(2, 29)
            #expect(hash.hash(tail) == Array(tail).withUnsafeBufferPointer { hash.hash($0) })
        }
    }

    @Test func `two random keys differ`() {
        let view = ByteView(start: nil, count: 0)
        #expect(KeyedHash.random().hash(view) != KeyedHash.random().hash(view))
    }

    @Test func `a seeded random source repeats itself and another seed does not`() {
        var one = RandomSource(seed: (1, 2, 3, 4))
        var two = RandomSource(seed: (1, 2, 3, 4))
        var other = RandomSource(seed: (1, 2, 3, 5))
        let first = (0..<8).map { _ in one.next() }
        #expect(first == (0..<8).map { _ in two.next() })
        #expect(first != (0..<8).map { _ in other.next() })
        // The first two numbers of xoshiro256** from this state, worked out by hand.
        #expect(first[0] == 11_520 && first[1] == 0)
    }
}
