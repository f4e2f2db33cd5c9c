import Bytes
import Foundation
import HTTP
import OpenStack

@testable import Gateway

/// Runs `body` with a view of a text's UTF-8.
func withBytes<Result>(_ text: String, _ body: (ByteView) throws -> Result) rethrows -> Result {
    try Array(text.utf8).withUnsafeBufferPointer { try body($0) }
}

extension Content {
    /// A content of `count` equal bytes.
    convenience init(count: Int, of byte: UInt8 = 0x78) {
        let copied = [UInt8](repeating: byte, count: count).withUnsafeBufferPointer { Content($0) }
        self.init(copied.bytes)
        withExtendedLifetime(copied) {}
    }
}

/// A stored response that is charged `byteCount` bytes in the cache, at least 600.
func storedResponse(byteCount: Int, status: Int = 200, isPartial: Bool = false) -> StoredResponse {
    // 512 bytes are the flat share; the rest lies in the fields, which are charged as they are.
    StoredResponse(
        status: status, fields: Content(count: byteCount - 512),
        representation: Representation(ByteView(start: nil, count: 0), reusing: nil), requestedAt: 0,
        freshUntil: 0, staleUntil: 0, errorUntil: 0, isStorable: status == 200, isPartial: isPartial)
}

/// Numbers that look random and are the same for the same seed, which a failing test prints.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        // SplitMix64: short and good enough to choose test cases.
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
