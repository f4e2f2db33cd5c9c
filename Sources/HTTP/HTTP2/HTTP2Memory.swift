import CNghttp2

#if canImport(Glibc)
    import Glibc
#endif

/// The memory of all HTTP/2 sessions of one loop: blocks that nghttp2 gave back, kept by size for the next stream.
///
/// nghttp2 makes and frees seven blocks a request. With a hundred streams at once the C library's own short lists overflow and
/// each block costs a search.
///
/// - Shape: sizes in steps of 32 bytes up to 4,096, since all fields of an answer are one block; each block behind a header of
///   16 bytes that says its size; larger blocks come from the C library every time.
/// - Limits: keeps at most `keptByteCount`, and lends at most `limitByteCount`: past it the session that wants more fails with
///   `internalError`. Used by one loop.
public final class HTTP2Memory {
    struct Block {
        var next: UnsafeMutablePointer<Block>?
        var byteCount: Int
    }

    static let step = 32
    static let classCount = 128
    static let headerByteCount = MemoryLayout<Block>.size

    public let keptByteCount: Int
    public let limitByteCount: Int
    /// Bytes that wait for reuse.
    public private(set) var freeByteCount = 0
    /// Bytes that sessions hold.
    public private(set) var lentByteCount = 0
    private let lists: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>

    /// Makes an empty memory.
    public init(keptByteCount: Int = 1_048_576, limitByteCount: Int = 1 << 40) {
        self.keptByteCount = keptByteCount
        self.limitByteCount = limitByteCount
        lists = .allocate(capacity: Self.classCount)
        lists.initialize(repeating: nil, count: Self.classCount)
    }

    deinit {
        for index in 0..<Self.classCount {
            while let block = lists[index] {
                lists[index] = block.pointee.next
                Glibc.free(block)
            }
        }
        lists.deallocate()
    }

    @inline(__always) private static func block(_ place: UnsafeMutableRawPointer) -> UnsafeMutablePointer<
        Block
    > {
        (place - headerByteCount).assumingMemoryBound(to: Block.self)
    }

    func allocate(_ wanted: Int) -> UnsafeMutableRawPointer? {
        guard wanted <= limitByteCount &- lentByteCount else { return nil }
        // The additions below cannot overflow: both sizes are far below 2^62.
        let sizeClass = wanted == 0 ? 0 : (wanted &- 1) / Self.step
        let byteCount = (sizeClass &+ 1) &* Self.step
        lentByteCount &+= byteCount
        if sizeClass < Self.classCount, let block = lists[sizeClass] {
            lists[sizeClass] = block.pointee.next
            freeByteCount &-= byteCount
            return UnsafeMutableRawPointer(block) + Self.headerByteCount
        }
        guard let block = Glibc.malloc(byteCount &+ Self.headerByteCount) else {
            lentByteCount &-= byteCount
            return nil
        }
        block.assumingMemoryBound(to: Block.self).initialize(to: Block(byteCount: byteCount))
        return block + Self.headerByteCount
    }

    func free(_ place: UnsafeMutableRawPointer?) {
        guard let place else { return }
        let block = Self.block(place)
        let byteCount = block.pointee.byteCount
        lentByteCount &-= byteCount
        guard byteCount <= Self.classCount &* Self.step, freeByteCount < keptByteCount else {
            return Glibc.free(block)
        }
        let sizeClass = byteCount / Self.step &- 1
        block.pointee.next = lists[sizeClass]
        lists[sizeClass] = block
        freeByteCount &+= byteCount
    }

    func reallocate(_ place: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
        guard let place else { return allocate(byteCount) }
        let known = Self.block(place).pointee.byteCount
        if byteCount <= known { return place }
        guard let other = allocate(byteCount) else { return nil }
        memcpy(other, place, known)
        free(place)
        return other
    }

    /// What nghttp2 calls; it copies the struct.
    var functions: nghttp2_mem {
        nghttp2_mem(
            mem_user_data: Unmanaged.passUnretained(self).toOpaque(),
            malloc: { size, memory in HTTP2Memory.with(memory) { $0.allocate(size) } },
            free: { place, memory in HTTP2Memory.with(memory) { $0.free(place) } },
            calloc: { count, size, memory in
                let (byteCount, overflowed) = count.multipliedReportingOverflow(by: size)
                guard !overflowed, let place = HTTP2Memory.with(memory, { $0.allocate(byteCount) }) else {
                    return nil
                }
                memset(place, 0, byteCount)
                return place
            },
            realloc: { place, size, memory in HTTP2Memory.with(memory) { $0.reallocate(place, size) } })
    }

    /// Lends the memory without counting references, which would cost more than the block.
    @inline(__always) private static func with<Answer>(
        _ memory: UnsafeMutableRawPointer?, _ body: (HTTP2Memory) -> Answer
    ) -> Answer {
        Unmanaged<HTTP2Memory>.fromOpaque(memory.unsafelyUnwrapped)._withUnsafeGuaranteedRef(body)
    }
}
