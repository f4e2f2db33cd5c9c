internal import Bytes
internal import HTTP

/// The next thing in a message's content.
enum ContentPiece {
    /// Content bytes, and how many bytes of input they and their framing took.
    case bytes(ByteView, consumed: Int)
    /// Framing only; content may follow at once.
    case skipped(consumed: Int)
    case needMore
    case ended(consumed: Int)
    case refused(Refusal)
}

/// Takes the framing off a message's content, of either direction.
///
/// - Shape: each piece that `next` gives is consumed before the next call, whatever becomes of it: the chunked reader
///   has counted it. `consume` says how many bytes of input the piece took.
/// - Source: RFC 9112 §6 and §7.1.
struct ContentReader {
    private(set) var framing = Framing.none
    private var left: UInt64 = 0
    private var chunked = ChunkedReader()
    /// Everything was read; for `untilClose` its owner says so when the peer ends.
    var isEnded = true

    init() {}

    init(_ framing: Framing) {
        self.framing = framing
        switch framing {
        case .none: isEnded = true
        case .length(let length):
            left = length
            isEnded = length == 0
        case .chunked, .untilClose: isEnded = false
        }
    }

    /// Reads the next piece at the front of `input`, at most `limit` bytes of input.
    mutating func next(_ input: ByteView, limit: Int) -> ContentPiece {
        if isEnded { return .ended(consumed: 0) }
        guard limit > 0 else { return .needMore }
        switch framing {
        case .none: return .ended(consumed: 0)
        case .length, .untilClose:
            guard !input.isEmpty else { return .needMore }
            var count = min(limit, input.count)
            if case .length = framing { count = Int(min(UInt64(count), left)) }
            return .bytes(input.view(0, count), consumed: count)
        case .chunked:
            // The chunked reader keeps count of the chunk, so a piece cut at `limit` goes on at the next call.
            let window = input.view(0, min(input.count, limit))
            let (step, consumed) = chunked.next(window)
            switch step {
            case .needMore: return consumed > 0 ? .skipped(consumed: consumed) : .needMore
            case .content(let range): return .bytes(window.view(range), consumed: consumed)
            // Trailer fields are checked and dropped, which a recipient always may (RFC 9110 §6.5.1).
            case .trailer: return .skipped(consumed: consumed)
            case .end: return .ended(consumed: consumed)
            case .refused(let refusal): return .refused(refusal)
            }
        }
    }

    /// Counts `piece` as used and answers how many bytes of input it took.
    mutating func consume(_ piece: ContentPiece) -> Int {
        switch piece {
        case .bytes(let bytes, let consumed):
            if case .length = framing {
                // Cannot go below zero: `next` never gives more than what is left.
                left -= UInt64(bytes.count)
                if left == 0 { isEnded = true }
            }
            return consumed
        case .skipped(let consumed): return consumed
        case .ended(let consumed):
            isEnded = true
            return consumed
        case .needMore, .refused: return 0
        }
    }
}
