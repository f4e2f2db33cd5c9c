/// What sixteen bytes at a time are asked.
///
/// Bit 7 of a lane is its answer: there are no comparisons, which the compiler would make one lane after the other.
enum ByteLanes {
    /// The first lane whose bit 7 is set; nil for none. All other bits are clear.
    @inline(__always) static func firstMarked(_ lanes: SIMD16<UInt8>) -> Int? {
        let words = unsafeBitCast(lanes, to: SIMD2<UInt64>.self)
        let low = UInt64(littleEndian: words[0])
        if low != 0 { return low.trailingZeroBitCount &>> 3 }
        let high = UInt64(littleEndian: words[1])
        return high != 0 ? 8 &+ high.trailingZeroBitCount &>> 3 : nil
    }

    /// Tells whether bit 7 of any lane is set.
    @inline(__always) static func isMarked(_ lanes: SIMD16<UInt8>) -> Bool {
        let words = unsafeBitCast(lanes, to: SIMD2<UInt64>.self)
        return words[0] | words[1] != 0
    }

    /// Steps over bytes sixteen at a time: to the first that `marks` answers for, or to where fewer than that are left.
    @inline(__always) static func skip(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int,
        _ marks: (SIMD16<UInt8>) -> SIMD16<UInt8>
    ) -> Int {
        let raw = UnsafeRawPointer(base)
        var place = start
        // Cannot overflow: a step is only made where that many bytes are left before `end`.
        while end &- place >= 16 {
            let marked = marks(raw.loadUnaligned(fromByteOffset: place, as: SIMD16<UInt8>.self)) & 0x80
            if let offset = firstMarked(marked) { return place &+ offset }
            place &+= 16
        }
        return place
    }
}
