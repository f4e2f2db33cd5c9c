/// What a session knows of one stream besides what nghttp2 knows.
struct HTTP2Stream {
    /// The next free or the next closed stream.
    var next: UnsafeMutablePointer<HTTP2Stream>?
    /// What the owner attached; 0 is nothing.
    var user: UInt64 = 0
    var id: Int32
    var isOpen = false
    /// Content given to the owner and not consumed yet.
    var unconsumed: Int32 = 0
    /// Content that is still to come by the head's length; below 0 when it gave none.
    var contentLeft: Int64 = -1
    /// The content's last byte, kept back until END_STREAM came.
    var keptByte: UInt8 = 0
    var hasKeptByte = false
    var code: UInt32 = 0
    /// Its first HEADERS went out (client).
    var isSent = false
    /// A final response head came (client).
    var hasFinalHead = false
    /// Our END_STREAM went out.
    var isLocallyEnded = false
    /// To be reset with NO_ERROR once our END_STREAM went out.
    var resetsAtEnd = false
    /// Its RST_STREAM was asked for by the owner, or counted among those that the peer provoked.
    var isResetCounted = false
    /// A response head was taken.
    var hasAnswer = false
}

typealias HTTP2StreamPointer = UnsafeMutablePointer<HTTP2Stream>

/// The streams of one session: blocks whose places never move and are reused, and a queue of those that ended.
///
/// - Limits: as many as nghttp2 has open, plus those whose end was not asked for yet.
struct HTTP2Streams: ~Copyable {
    static var blockCount: Int { 8 }

    var blocks: [HTTP2StreamPointer] = []
    var free: HTTP2StreamPointer?
    var firstClosed: HTTP2StreamPointer?
    var lastClosed: HTTP2StreamPointer?
    /// Streams that have not ended.
    var openCount = 0

    deinit { for block in blocks { block.deallocate() } }

    /// Lends a place for a stream.
    mutating func open(_ id: Int32, user: UInt64) -> HTTP2StreamPointer {
        if free == nil {
            let block = HTTP2StreamPointer.allocate(capacity: Self.blockCount)
            blocks.append(block)
            for index in 0..<Self.blockCount {
                (block + index).initialize(to: HTTP2Stream(next: free, id: 0))
                free = block + index
            }
        }
        let place = free!
        free = place.pointee.next
        place.pointee = HTTP2Stream(next: nil, user: user, id: id, isOpen: true)
        openCount += 1
        return place
    }

    /// Ends a stream; it is told by `popClosed` when somebody was attached.
    mutating func close(_ place: HTTP2StreamPointer, code: UInt32) {
        openCount -= 1
        place.pointee.isOpen = false
        guard place.pointee.user != 0 else { return release(place) }
        place.pointee.code = code
        place.pointee.next = nil
        if let lastClosed { lastClosed.pointee.next = place } else { firstClosed = place }
        lastClosed = place
    }

    /// Takes the place of a stream that nghttp2 never got.
    mutating func forget(_ place: HTTP2StreamPointer) {
        openCount -= 1
        place.pointee.isOpen = false
        release(place)
    }

    func forEachOpen(_ body: (HTTP2StreamPointer) -> Void) {
        for block in blocks {
            for index in 0..<Self.blockCount where block[index].isOpen { body(block + index) }
        }
    }

    mutating func popClosed() -> HTTP2StreamPointer? {
        guard let place = firstClosed else { return nil }
        firstClosed = place.pointee.next
        if firstClosed == nil { lastClosed = nil }
        return place
    }

    mutating func release(_ place: HTTP2StreamPointer) {
        place.pointee.next = free
        free = place
    }
}

/// What became of the latest streams that a client opened, by id.
///
/// nghttp2 forgets a stream when it is closed. RFC 9113 §5.1 and §5.1.1 tell apart what then comes for it: ignored when
/// we reset it, an error when it was over, another error when it was skipped.
///
/// - Shape: two bits for each of the latest 512 odd ids; older ones count as ended.
struct HTTP2StreamHistory {
    enum Fate: UInt64 {
        /// The client went on to a higher id without using it.
        case skipped
        /// Both sides ended it, or the client reset it.
        case ended
        /// We reset or refused it.
        case ignored
        case open
    }

    static let count: Int32 = 512

    var newest: Int32 = -1
    var words = [16 of UInt64](repeating: 0)

    /// Notes `fate` for an id that is the newest or among those before.
    mutating func note(_ id: Int32, _ fate: Fate) {
        let index = id >> 1
        if index > newest {
            // All between the two were skipped; more than the table holds clear it once.
            let first = max(newest + 1, index - Self.count + 1)
            for skipped in first...index { set(skipped, .skipped) }
            newest = index
        }
        guard index > newest - Self.count else { return }
        set(index, fate)
    }

    func find(_ id: Int32) -> Fate {
        let index = id >> 1
        guard index <= newest else { return .skipped }
        guard index > newest - Self.count else { return .ended }
        let place = Int(index & (Self.count - 1))
        return Fate(rawValue: words[place >> 5] >> UInt64((place & 31) * 2) & 3)!
    }

    private mutating func set(_ index: Int32, _ fate: Fate) {
        let place = Int(index & (Self.count - 1))
        let shift = UInt64((place & 31) * 2)
        words[place >> 5] = words[place >> 5] & ~(3 << shift) | fate.rawValue << shift
    }

    /// Tells whether the id is above all that were used.
    func isNew(_ id: Int32) -> Bool { id >> 1 > newest }
}
