#if canImport(Glibc)
    import Glibc
#endif

/// A block of bytes with a readable window: what was appended and not yet consumed.
///
/// - Shape: `block[0 ..< capacity]`; readable bytes are `[start, end)`, room is `[end, capacity)`.
///   An empty buffer may own no block at all (`capacity` 0): idle connections hold none.
/// - Limits: appending past the room drops the bytes and sets `hasOverflowed`; the writer checks it once, at the
///   end of a head, instead of after each field.
/// - Ownership: the block is freed with the buffer unless it goes back to a `BlockPool` first.
public struct Buffer: ~Copyable {
    @usableFromInline var block: UnsafeMutablePointer<UInt8>?
    @usableFromInline var blockByteCount: Int
    public var start: Int
    public var end: Int
    public var hasOverflowed = false

    /// Makes a buffer that owns no block.
    @inlinable public init() {
        block = nil
        blockByteCount = 0
        start = 0
        end = 0
    }

    /// Makes a buffer over a fresh block of `capacity` bytes.
    public init(capacity: Int) {
        block = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        blockByteCount = capacity
        start = 0
        end = 0
    }

    deinit { block?.deallocate() }

    @inlinable public var capacity: Int { blockByteCount }
    @inlinable public var hasBlock: Bool { block != nil }
    @inlinable public var count: Int { end - start }
    @inlinable public var isEmpty: Bool { end == start }
    @inlinable public var room: Int { capacity - end }

    /// Lends the readable bytes; valid until the next change of this buffer.
    @inlinable public var readable: ByteView {
        ByteView(start: block.map { UnsafePointer($0) + start }, count: end - start)
    }

    /// Lends everything from the start of the block to the end of the readable bytes, consumed bytes included.
    @inlinable public var all: ByteView { ByteView(start: block.map { UnsafePointer($0) }, count: end) }

    /// Lends the room after the readable bytes, to be filled by a read and then counted by `grow(by:)`.
    @inlinable public var writable: UnsafeMutableBufferPointer<UInt8> {
        UnsafeMutableBufferPointer(start: block.map { $0 + end }, count: capacity - end)
    }

    /// Counts `byteCount` bytes that were written into `writable`.
    @inlinable public mutating func grow(by byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= room)
        end += byteCount
    }

    /// Drops `byteCount` bytes from the front of the readable bytes.
    @inlinable public mutating func consume(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count)
        start += byteCount
    }

    /// Takes back what was appended behind the first `byteCount` readable bytes; traps when there are fewer.
    public mutating func cut(to byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count)
        end = start + byteCount
    }

    /// Forgets all readable bytes.
    @inlinable public mutating func removeAll() {
        start = 0
        end = 0
        hasOverflowed = false
    }

    /// Moves the readable bytes down to `offset`, so that the room after them grows; `offset` is at most `start`.
    public mutating func compact(to offset: Int = 0) {
        precondition(offset <= start)
        guard offset < start, let block else { return }
        let byteCount = count
        if byteCount > 0 { memmove(block + offset, block + start, byteCount) }
        start = offset
        end = offset + byteCount
    }

    /// Replaces the block by one of `newCapacity` bytes, contents and offsets kept; for collected content only.
    public mutating func enlarge(to newCapacity: Int) {
        guard newCapacity > capacity else { return }
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        if let block {
            larger.update(from: block, count: end)
            block.deallocate()
        }
        block = larger
        blockByteCount = newCapacity
    }

    /// Frees the block (not to a pool) and forgets everything.
    public mutating func free() {
        block?.deallocate()
        block = nil
        blockByteCount = 0
        removeAll()
    }

    // MARK: - Appending

    @inlinable public mutating func append(_ byte: UInt8) {
        guard room > 0, let block else { return hasOverflowed = true }
        block[end] = byte
        end += 1
    }

    @inlinable public mutating func append(_ bytes: ByteView) {
        guard bytes.count > 0 else { return }
        guard bytes.count <= room, let block else { return hasOverflowed = true }
        memcpy(block + end, bytes.baseAddress!, bytes.count)
        end += bytes.count
    }

    /// Always inlined: the count is known where the literal stands, so the copy is a few moves instead of a call.
    @inlinable @inline(__always) public mutating func append(_ literal: StaticString) {
        let byteCount = literal.utf8CodeUnitCount
        guard byteCount <= room, let block else { return hasOverflowed = true }
        memcpy(block + end, literal.utf8Start, byteCount)
        // Cannot overflow: the room was checked just above.
        end &+= byteCount
    }

    /// Appends two texts with what stands between and behind them; nothing of it when the whole has no room.
    @inlinable @inline(__always) public mutating func append(
        _ first: ByteView, _ middle: StaticString, _ second: ByteView, _ last: StaticString
    ) {
        let (between, behind) = (middle.utf8CodeUnitCount, last.utf8CodeUnitCount)
        let byteCount = first.count + between + second.count + behind
        guard byteCount <= room, let block else { return hasOverflowed = true }
        var place = block + end
        if let bytes = first.baseAddress { memcpy(place, bytes, first.count) }
        place += first.count
        memcpy(place, middle.utf8Start, between)
        place += between
        if let bytes = second.baseAddress { memcpy(place, bytes, second.count) }
        memcpy(place + second.count, last.utf8Start, behind)
        // Cannot overflow: the room was checked just above.
        end &+= byteCount
    }

    /// Appends a String's UTF-8; for cold paths. Disfavoured, so that a literal is a StaticString and costs no String.
    @_disfavoredOverload
    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append($0) }
    }

    /// Appends a number in decimal digits.
    @inlinable public mutating func appendDecimal(_ value: UInt64) {
        let byteCount = Decimal.digitCount(value)
        guard byteCount <= room, let block else { return hasOverflowed = true }
        end &+= byteCount
        Decimal.write(value, endingAt: block + end)
    }

    @inlinable public mutating func appendDecimal(_ value: Int) {
        if value < 0 { append(0x2D) }
        appendDecimal(UInt64(value.magnitude))
    }

    /// Appends bytes in two lower-case hexadecimal digits each.
    public mutating func appendHexadecimal(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count * 2 <= room, let block else { return hasOverflowed = true }
        for byte in bytes {
            block[end] = Self.digit(byte >> 4)
            block[end + 1] = Self.digit(byte & 15)
            end += 2
        }
    }

    /// 0x30 is `0`; 0x57 and 10 give `a`.
    @inlinable static func digit(_ value: UInt8) -> UInt8 { value < 10 ? value &+ 0x30 : value &+ 0x57 }

    /// Appends a number in lower-case hexadecimal digits, as many as it needs or at least `width`.
    @inlinable public mutating func appendHexadecimal(_ value: UInt64, width: Int = 1) {
        let needed = Swift.max(width, (67 - (value | 1).leadingZeroBitCount) / 4)
        guard needed <= room, let block else { return hasOverflowed = true }
        let (high, low) = (Self.digits(UInt32(value >> 32)), Self.digits(UInt32(truncatingIfNeeded: value)))
        withUnsafeBytes(of: (high, low)) { digits in
            // Beyond 16 digits there are zeros alone.
            let zeros = Swift.max(0, needed - 16)
            for place in 0..<zeros { block[end + place] = 0x30 }
            memcpy(block + end + zeros, digits.baseAddress! + 16 - (needed - zeros), needed - zeros)
        }
        end += needed
    }

    /// The eight hexadecimal digits of a number as they stand in memory.
    @inlinable public static func digits(_ value: UInt32) -> UInt64 {
        // Four bits to a byte, by halves.
        var spread = UInt64(value)
        spread = (spread | spread &<< 16) & 0x0000_FFFF_0000_FFFF
        spread = (spread | spread &<< 8) & 0x00FF_00FF_00FF_00FF
        spread = (spread | spread &<< 4) & 0x0F0F_0F0F_0F0F_0F0F
        // 1 in each byte that is 10 or more: those are 39 further on than digits. No byte carries into the next.
        let letters = (spread &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
        return (spread &+ 0x3030_3030_3030_3030 &+ letters &* 39).bigEndian
    }
}

/// Blocks of one size, kept for reuse by one loop.
///
/// - Limits: keeps at most `keptCount` free blocks; more are freed. Not shared between loops.
public struct BlockPool: ~Copyable {
    public let blockByteCount: Int
    public private(set) var lentCount = 0
    @usableFromInline var free: [UnsafeMutablePointer<UInt8>] = []
    let keptCount: Int

    public init(blockByteCount: Int, keptCount: Int) {
        self.blockByteCount = blockByteCount
        self.keptCount = keptCount
        free.reserveCapacity(keptCount)
    }

    deinit { for block in free { block.deallocate() } }

    /// Gives `buffer` a block if it owns none.
    public mutating func attach(to buffer: inout Buffer) {
        guard buffer.block == nil else { return }
        lentCount += 1
        buffer.adopt(free.popLast() ?? .allocate(capacity: blockByteCount), capacity: blockByteCount)
    }

    /// Takes the block of `buffer` back, readable bytes forgotten.
    public mutating func release(_ buffer: inout Buffer) {
        guard let block = buffer.surrender() else { return }
        lentCount -= 1
        if free.count < keptCount { free.append(block) } else { block.deallocate() }
    }
}

extension Buffer {
    mutating func adopt(_ newBlock: UnsafeMutablePointer<UInt8>, capacity: Int) {
        block = newBlock
        blockByteCount = capacity
        removeAll()
    }

    mutating func surrender() -> UnsafeMutablePointer<UInt8>? {
        let old = block
        block = nil
        blockByteCount = 0
        removeAll()
        return old
    }
}
