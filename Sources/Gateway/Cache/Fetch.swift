internal import Bytes
internal import HTTP

/// A list response being brought for the cache: its key, its request and what came so far; owned by one worker.
///
/// The exchange that brings it has no client: those who asked wait for the outcome, so that a slow or leaving client
/// holds up nobody, and equal misses cost one call.
final class Fetch {
    let key: Content
    let hash: UInt64
    /// The head of the request that led, copied: its connection may end first.
    let requestHead: Content
    var fields = Buffer()
    var collected = Buffer()
    var isComplete = false
    var headTaken = false
    /// The answer says itself that it is not to be kept.
    var forbidsStoring = false
    /// The exchange whose request was sent; it may be over, or have been answered stale.
    let leader: Handle

    init(key: ByteView, hash: UInt64, requestHead: ByteView, leader: Handle) {
        self.key = Content(key)
        self.hash = hash
        self.requestHead = Content(requestHead)
        self.leader = leader
    }

    /// Takes a piece of content in; false when it would exceed `maxByteCount`.
    func collect(_ bytes: ByteView, maxByteCount: Int) -> Bool {
        guard collected.count + bytes.count <= maxByteCount else { return false }
        if collected.room < bytes.count {
            collected.enlarge(
                to: min(maxByteCount, max(16_384, collected.capacity * 2, collected.end + bytes.count)))
        }
        collected.append(bytes)
        return true
    }

    /// Gives the kept fields the content type of a fault worded here.
    func replaceContentType() {
        var replaced = Buffer(capacity: fields.count + 64)
        var rest = fields.readable
        while let end = rest.indices.dropLast().first(where: { rest[$0] == 0x0D && rest[$0 + 1] == 0x0A }) {
            let line = rest.view(0, end + 2)
            rest = rest.view(end + 2, rest.count - end - 2)
            let isType = line.count > 13 && line.view(0, 13).equalsIgnoringCase("content-type:")
            if !isType { replaced.append(line) }
        }
        replaced.append("Content-Type: application/json; charset=UTF-8\r\n")
        swap(&replaced, &fields)
    }
}
